"""Work that blocks, in the event loop's threads, and run to its end whatever becomes of whoever waits for it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def run_to_the_end(function: Callable[[], T], *, undo: Callable[[T], object] | None = None) -> T:
    """Run a blocking function in a thread; a cancellation is delivered once it has ended, not in its middle.

    Args:
        function: What to run.
        undo: What becomes of its result when nobody is there to take it.
    """
    context = contextvars.copy_context()
    return await to_the_end(asyncio.get_running_loop().run_in_executor(None, context.run, function), undo=undo)


async def to_the_end(work: asyncio.Future[T], *, undo: Callable[[T], object] | None = None) -> T:
    """Wait for work that has begun; a cancellation is delivered once it has ended.

    Args:
        work: What to wait for.
        undo: What becomes of its result when nobody is there to take it.
    """
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():  # whoever cancels again changes nothing
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        if undo is not None and work.exception() is None:
            undo(work.result())
        raise
