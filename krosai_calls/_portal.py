"""An event loop on a thread of its own, as an object: how blocking callers run coroutines.

This module knows threads and loops and nothing of calls or HTTP. It keeps no state at module level: a portal
belongs to whoever made it, starts at first use, and ends with ``close``, garbage collection or the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, MutableSet
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from krosai_calls._loop_thread import LoopThread
from krosai_calls.errors import ClientStateError

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")
T_co = TypeVar("T_co", covariant=True)

# How long the end of the process waits for the loop's.
EXIT_SECONDS = 0.5


class Source(Protocol[T_co]):
    """Whatever has a next item, and tells with StopAsyncIteration that there is none."""

    def __anext__(self) -> Awaitable[T_co]: ...


class ClosableSource(Source[T_co], Protocol[T_co]):
    """An async iterator that can be closed: an async generator, or what behaves like one."""

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
        # Reentrant: the garbage collector may dispose of an iterator in the middle of a start.
        self._starting = threading.RLock()
        self._serving: LoopThread | None = None
        self._at_exit: weakref.finalize[[float | None], Portal] | None = None
        self._closed = False
        self._entered: weakref.WeakSet[AbstractAsyncContextManager[Any]] = weakref.WeakSet()

    @property
    def is_over(self) -> bool:
        """Whether nothing can run on it any more: it was closed, or its loop has ended or is another process's."""
        return self._closed or (self._serving is not None and not self._serving.is_there)

    def run(self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one coroutine function on the loop and wait for its end.

        The function is called here, so that a wrong argument is the caller's own TypeError. Ctrl-C cancels
        the coroutine and waits, for a bounded time, until it has tidied up.

        Raises:
            ClientStateError: The portal is closed, was used before a fork, or this is its own thread.
        """
        try:
            return self._usable().run(function(*args, **kwargs))
        except Exception:
            _let_the_process_end()
            raise

    def iterate(self, source: ClosableSource[T]) -> PortalIterator[T]:
        """Step through an async iterator; it advances only when it is stepped."""
        return PortalIterator(self, source)

    def enter(self, manager: AbstractAsyncContextManager[T], wrap: Callable[[T], U]) -> PortalContext[T, U]:
        """An async context manager, to be entered and left by a caller that blocks.

        Args:
            manager: The context manager.
            wrap: Makes what the caller gets of what entering gave.
        """
        return PortalContext(self, self._entered, manager, wrap)

    def dispose(self, source: ClosableSource[Any], *, waits: bool) -> None:
        """Close an async iterator that is not needed any more, if its loop is still there.

        Args:
            source: The iterator.
            waits: Whether to wait until it is closed, for a bounded time, where this is not the loop's own thread.
        """
        serving = self._serving
        if serving is None or self.is_over:
            return
        # The loop may go at this very moment, or have closed the source by itself.
        with contextlib.suppress(RuntimeError):
            serving.spawn(source.aclose(), waits=waits)

    def close(self) -> None:
        """Cancel what is under way, stop the loop and end its thread. A second call does nothing.

        Raises:
            Exception: Whatever the last thing to run raised; the loop and its thread have ended all the same.
        """
        if self._serving is not None and not self._serving.is_mine:
            self._closed = True  # in a forked child not even the lock can be relied on
            return
        with self._starting:
            self._closed = True
        if self._serving is None or self._at_exit is None:
            return
        is_first = self._at_exit.detach() is not None
        self._serving.end(None)
        if is_first and self._serving.failure is not None:
            raise self._serving.failure

    def _usable(self) -> LoopThread:
        if self._serving is not None and not self._serving.is_mine:
            raise ClientStateError("used before a fork: make a new client in each process")
        with self._starting:
            if self._closed:
                raise ClientStateError("closed: make a new client")
            if self._serving is None:
                self._serving = LoopThread(self._name, self._last, self._entered)
                self._at_exit = weakref.finalize(self, self._serving.end, EXIT_SECONDS)
        if self._serving.is_this_thread:
            raise ClientStateError("a blocking call on the client's own loop would wait for itself")
        return self._serving


class PortalSteps(Iterator[T]):
    """The items of an async iterator, for callers that block; it advances only when it is stepped.

    An error of the source is raised, and whether there is more after it is the source's to say. An item that came
    while Ctrl-C was pressed is the next one.
    """

    def __init__(self, portal: Portal, source: Source[T]) -> None:
        self._portal = portal
        self._steps = source
        self._arrived: deque[T] = deque()

    def __next__(self) -> T:
        """The next item."""
        while True:
            with contextlib.suppress(IndexError):
                return self._arrived.popleft()
            if not self._portal.run(self._step):
                raise StopIteration

    async def _step(self) -> bool:
        try:
            self._arrived.append(await anext(self._steps))
        except StopAsyncIteration:
            return False
        return True


class PortalIterator(PortalSteps[T]):
    """The same for a source that is to be closed: leaving it early, also to the garbage collector, closes it."""

    def __init__(self, portal: Portal, source: ClosableSource[T]) -> None:
        super().__init__(portal, source)
        self._source = source
        self._has_begun = False
        self._is_over = False

    def __next__(self) -> T:
        """The next item."""
        if self._is_over:
            raise StopIteration
        self._has_begun = True
        try:
            return super().__next__()
        except StopIteration:
            self._is_over = True
            raise

    def close(self) -> None:
        """End it; a second call does nothing."""
        self._dispose(waits=True)

    def _dispose(self, *, waits: bool) -> None:
        was_open, self._is_over = self._has_begun and not self._is_over, True
        if was_open:
            self._portal.dispose(self._source, waits=waits)

    def __del__(self) -> None:
        # The garbage collector comes in any thread. One that runs a loop is not kept waiting: two loops that
        # collected each other's iterators would wait for ever.
        self._dispose(waits=not _runs_a_loop())


class PortalContext(AbstractContextManager[U], Generic[T, U]):
    """An async context manager, for callers that block.

    Where the portal ended under way, so did what was entered; leaving it then does nothing.
    """

    def __init__(
        self,
        portal: Portal,
        entered: MutableSet[AbstractAsyncContextManager[Any]],
        manager: AbstractAsyncContextManager[T],
        wrap: Callable[[T], U],
    ) -> None:
        self._portal = portal
        self._entered = entered
        self._manager = manager
        self._wrap = wrap

    def __enter__(self) -> U:
        try:
            return self._wrap(self._portal.run(self._enter))
        except BaseException as error:
            if self._manager in self._entered:  # Ctrl-C came when it was entered already
                self.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        try:
            return self._portal.run(self._exit, kind, error, traceback)
        except ClientStateError:
            if not self._portal.is_over:
                raise
            return None  # how the block itself ended is what counts

    async def _enter(self) -> T:
        entered = await self._manager.__aenter__()
        self._entered.add(self._manager)
        return entered

    async def _exit(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._entered.discard(self._manager)
        return await self._manager.__aexit__(kind, error, traceback)


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _let_the_process_end() -> None:
    """Give way to the end of the process where that has begun: a daemon thread's error would only be noise."""
    if threading.current_thread().daemon and not threading.main_thread().is_alive():
        time.sleep(4 * EXIT_SECONDS)
