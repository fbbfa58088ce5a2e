"""Work that blocks, in threads of its own, and run to its end whatever becomes of whoever waits for it."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# One thread hashes faster than one event loop receives.
_MOST_THREADS = 2


async def run_to_the_end(
    function: Callable[[], T], *, undo: Callable[[T], object] | None = None, threads: Executor | None = None
) -> T:
    """Run a blocking function in a thread; a cancellation is delivered once it has ended, not in its middle.

    Args:
        function: What to run.
        undo: What becomes of its result when nobody is there to take it.
        threads: Where to run it; None for the event loop's own threads.
    """
    context = contextvars.copy_context()
    work = asyncio.get_running_loop().run_in_executor(threads, context.run, function)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():  # whoever cancels again changes nothing
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        if undo is not None and work.exception() is None:
            undo(work.result())
        raise


class LastingThreads(ThreadPoolExecutor):
    """Threads for what blocks, and after them the loop's own.

    Python's executors take nothing more once the main thread has ended, although others may go on for as long as
    they like. What those still want is then done at once, while the loop waits.
    """

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function, in a thread where there are any to be had."""
        try:
            return super().submit(function, *args, **kwargs)
        except RuntimeError:
            done: Future[T] = Future()
        try:
            done.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
            done.set_exception(error)
        return done


class SpareCores:
    """Threads for work that keeps a core busy: no more of them than there are cores beside the event loop's.

    More would take turns with each other, and with the loop. They are made when they are first needed.
    """

    def __init__(self) -> None:
        self._threads: LastingThreads | None = None
        self._under_way = 0
        self._is_closed = False

    async def run(self, function: Callable[[], T]) -> T:
        """Run a blocking function as ``run_to_the_end`` does; after the end of these threads in the loop's own."""
        if self._threads is None and not self._is_closed:
            count = min(_MOST_THREADS, max(1, _cores() - 1))
            self._threads = LastingThreads(count, thread_name_prefix="krosai-calls")
        self._under_way += 1
        try:
            return await run_to_the_end(function, threads=self._threads)
        finally:
            self._under_way -= 1

    def close(self) -> None:
        """End the threads; what they have under way, or still before them, is done first."""
        self._is_closed = True
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=not self._under_way)  # where all are idle they end at once


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
