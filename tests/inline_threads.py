"""Threads that are none: what is given to them is done at once, so that nothing else happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class InlineThreads(ThreadPoolExecutor):
    """An executor that runs everything where it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it."""
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets it, as from any executor
            done.set_exception(error)
        return done


def use_inline_threads() -> None:
    """Have the running loop's blocking work done inline, from now on."""
    asyncio.get_running_loop().set_default_executor(InlineThreads())
