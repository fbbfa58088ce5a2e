"""An event loop on a thread of its own, as an object: how blocking callers run coroutines.

This module knows threads and loops and nothing of calls or HTTP. It keeps no state at module level: a portal
belongs to whoever made it, starts at first use, and ends with ``close``, garbage collection or the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, ParamSpec, TypeVar

from krosai_calls.errors import ClientStateError

P = ParamSpec("P")
T = TypeVar("T")

# How long an interrupted caller waits for its coroutine to tidy up.
CLEAN_UP_SECONDS = 5.0


class Portal:
    """Runs coroutines for callers that block, all on one loop.

    A daemon thread and its loop start at the first ``run``, so that a portal made before a fork and not yet
    used works in the child. One used before a fork says so there: its thread exists in the parent only.
    """

    def __init__(self, name: str = "krosai-calls") -> None:
        self._name = name
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: weakref.finalize[Any, Any] | None = None
        self._pid = 0
        self._closings: set[asyncio.Task[None]] = set()
        self._closed = False

    def run(self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one coroutine function on the loop and wait for its end.

        The function is called here, so that a wrong argument is the caller's own TypeError. Ctrl-C cancels
        the coroutine and waits, for a bounded time, until it has tidied up.

        Raises:
            ClientStateError: The portal is closed, was used before a fork, or this is its own thread.
        """
        loop = self._usable_loop()
        coroutine = function(*args, **kwargs)
        answer: Future[T] = Future()
        started: list[asyncio.Task[T]] = []

        def start() -> None:
            task = loop.create_task(coroutine)
            started.append(task)
            task.add_done_callback(lambda done: _relay(done, answer))

        try:
            loop.call_soon_threadsafe(start)
        except RuntimeError:  # closed between the check and here
            coroutine.close()
            raise ClientStateError("closed: make a new client") from None
        try:
            return answer.result()
        except KeyboardInterrupt:
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in started])
            with contextlib.suppress(Exception, CancelledError):
                answer.exception(timeout=CLEAN_UP_SECONDS)
            raise
        except CancelledError:
            raise ClientStateError("closed while this call was under way") from None

    def iterate(self, source: AsyncGenerator[T, None]) -> Iterator[T]:
        """Step through an async generator; it advances only when it is stepped.

        Leaving the iterator early closes the source.
        """

        async def step() -> tuple[T] | None:
            try:
                return (await anext(source),)
            except StopAsyncIteration:
                return None

        try:
            while (item := self.run(step)) is not None:
                yield item[0]
        finally:
            self._dispose(source)

    def _dispose(self, source: AsyncGenerator[Any, None]) -> None:
        if threading.current_thread() is self._thread:
            # Collected by the garbage collector on the loop's own thread: waiting here would wait for ever.
            assert self._loop is not None
            closing = self._loop.create_task(source.aclose())
            self._closings.add(closing)
            closing.add_done_callback(self._closings.discard)
        elif not self._closed and os.getpid() == self._pid:
            self.run(source.aclose)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Cancel what is under way, stop the loop and end its thread. A second call does nothing.

        Args:
            last: Run on the loop before it stops, if it ever started: the place to close what lives on it.
        """
        with self._starting:
            was_closed, self._closed = self._closed, True
        if self._stop is None or was_closed or os.getpid() != self._pid:
            return
        try:
            if last is not None and self._loop is not None and threading.current_thread() is not self._thread:
                asyncio.run_coroutine_threadsafe(last(), self._loop).result(CLEAN_UP_SECONDS)
        finally:
            self._stop()

    def _usable_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._closed:
                raise ClientStateError("closed: make a new client")
            if self._loop is None:
                self._start()
            if os.getpid() != self._pid:
                raise ClientStateError("used before a fork: make a new client in each process")
            if threading.current_thread() is self._thread:
                raise ClientStateError("a blocking call on the client's own loop would wait for itself")
            assert self._loop is not None
            return self._loop

    def _start(self) -> None:
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_serve, args=(self._loop,), name=self._name, daemon=True)
        self._thread.start()
        self._stop = weakref.finalize(self, _shut, self._loop, self._thread, self._pid)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    # Leaving the runner cancels what is left, closes async generators and the executor.
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop().run_forever()


def _shut(loop: asyncio.AbstractEventLoop, thread: threading.Thread, pid: int) -> None:
    if os.getpid() != pid:
        return  # a forked child: the loop is the parent's
    with contextlib.suppress(RuntimeError):  # already closed
        loop.call_soon_threadsafe(loop.stop)
    if threading.current_thread() is not thread:
        thread.join()


def _relay(task: asyncio.Task[T], answer: Future[T]) -> None:
    if task.cancelled():
        answer.cancel()
        answer.set_running_or_notify_cancel()
    elif (error := task.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(task.result())
