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
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, ParamSpec, Protocol, TypeVar

from krosai_calls.errors import ClientStateError

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# How long an interrupted caller waits for its coroutine to tidy up.
CLEAN_UP_SECONDS = 5.0


class ClosableSource(Protocol[T_co]):
    """An async iterator that can be closed: an async generator, or what behaves like one."""

    def __anext__(self) -> Awaitable[T_co]: ...

    def aclose(self) -> Coroutine[Any, Any, None]: ...


class Portal:
    """Runs coroutines for callers that block, all on one loop.

    A daemon thread and its loop start at the first ``run``, so that a portal made before a fork and not yet
    used works in the child. One used before a fork says so there: its thread exists in the parent only.

    Args:
        name: The thread's name.
        last: Run on the loop before it stops, however that comes: the place to close what lives on it.
    """

    def __init__(
        self, name: str = "krosai-calls", *, last: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> None:
        self._name = name
        self._last = last
        self._waiting: set[Future[Any]] = set()
        # Reentrant: the garbage collector may dispose of an iterator in the middle of a start.
        self._starting = threading.RLock()
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

        def stop() -> None:
            for task in started:
                task.cancel()
            if not started:  # interrupted before it was handed over
                coroutine.close()
                _give_up(answer)

        try:
            # From here on Ctrl-C may come at any moment: the loop is quicker than this thread.
            self._waiting.add(answer)
            _call_on(loop, start, coroutine)
            return answer.result()
        except KeyboardInterrupt:
            loop.call_soon_threadsafe(stop)
            with contextlib.suppress(Exception, CancelledError):
                answer.exception(timeout=CLEAN_UP_SECONDS)
            raise
        except CancelledError:
            if not started:
                coroutine.close()
            raise ClientStateError("closed while this call was under way") from None
        finally:
            self._waiting.discard(answer)

    def iterate(self, source: ClosableSource[T]) -> PortalIterator[T]:
        """Step through an async iterator; it advances only when it is stepped."""
        return PortalIterator(self, source)

    def dispose(self, source: ClosableSource[Any]) -> None:
        """Close an async iterator that is not needed any more, if its loop is still there."""
        if threading.current_thread() is self._thread:
            # Collected by the garbage collector on the loop's own thread: waiting here would wait for ever.
            assert self._loop is not None
            closing = self._loop.create_task(source.aclose())
            self._closings.add(closing)
            closing.add_done_callback(self._closings.discard)
        elif self._stop is not None and self._stop.alive and os.getpid() == self._pid:
            # The loop may go at this very moment, or have closed the source by itself.
            with contextlib.suppress(RuntimeError):
                self.run(source.aclose)

    def close(self) -> None:
        """Cancel what is under way, stop the loop and end its thread. A second call does nothing.

        Raises:
            Exception: Whatever the last thing to run raised; the loop and its thread have ended all the same.
        """
        with self._starting:
            self._closed = True
        failed = self._stop() if self._stop is not None else None
        if failed is not None:
            raise failed

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
        serving = (self._loop, self._waiting)
        self._thread = threading.Thread(target=_serve, args=serving, name=self._name, daemon=True)
        self._thread.start()
        self._stop = weakref.finalize(self, _shut, self._loop, self._thread, self._pid, self._last)


class PortalIterator(Iterator[T]):
    """The items of an async iterator, for callers that block.

    An error of the source is raised, and whether there is more after it is the source's to say. Leaving the
    iterator early, also to the garbage collector, closes the source.
    """

    def __init__(self, portal: Portal, source: ClosableSource[T]) -> None:
        self._portal = portal
        self._source = source
        self._has_begun = False
        self._is_over = False

    def __next__(self) -> T:
        """The next item."""
        if self._is_over:
            raise StopIteration
        self._has_begun = True
        item = self._portal.run(self._step)
        if item is None:
            self._is_over = True
            raise StopIteration
        return item[0]

    async def _step(self) -> tuple[T] | None:
        try:
            return (await anext(self._source),)
        except StopAsyncIteration:
            return None

    def close(self) -> None:
        """End it; a second call does nothing."""
        was_open, self._is_over = self._has_begun and not self._is_over, True
        if was_open:
            self._portal.dispose(self._source)

    def __del__(self) -> None:
        self.close()


def _serve(loop: asyncio.AbstractEventLoop, waiting: set[Future[Any]]) -> None:
    # Leaving the runner cancels what is left, closes async generators and the executor.
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop().run_forever()
    # Whoever handed over a coroutine while the loop was winding up would wait for ever.
    for answer in tuple(waiting):
        _give_up(answer)


def _shut(
    loop: asyncio.AbstractEventLoop,
    thread: threading.Thread,
    pid: int,
    last: Callable[[], Coroutine[Any, Any, None]] | None,
) -> Exception | None:
    if os.getpid() != pid:
        return None  # a forked child: the loop is the parent's
    failures: list[Exception] = []
    windings: list[asyncio.Task[None]] = []

    async def wind_up() -> None:
        try:
            if last is not None:
                await asyncio.wait_for(last(), CLEAN_UP_SECONDS)
        except Exception as failure:  # noqa: BLE001 - told by close, or by nobody: this may be the interpreter's end
            failures.append(failure)
        finally:
            loop.stop()

    with contextlib.suppress(RuntimeError):  # already closed
        # Not run at once: the loop may be in another thread, or in the middle of a step of this one.
        loop.call_soon_threadsafe(lambda: windings.append(loop.create_task(wind_up())))
    if threading.current_thread() is not thread:
        thread.join()
    return failures[0] if failures else None


def _relay(task: asyncio.Task[T], answer: Future[T]) -> None:
    if answer.done():
        return  # given up when the loop had gone
    if task.cancelled():
        _give_up(answer)
    elif (error := task.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(task.result())


def _call_on(
    loop: asyncio.AbstractEventLoop, start: Callable[[], None], coroutine: Coroutine[Any, Any, Any]
) -> None:
    try:
        loop.call_soon_threadsafe(start)
    except RuntimeError:  # closed between the check and here
        coroutine.close()
        raise ClientStateError("closed: make a new client") from None


def _give_up(answer: Future[Any]) -> None:
    # Notified once only: a second time is an error of the future's.
    if not answer.done() and answer.cancel():
        answer.set_running_or_notify_cancel()
