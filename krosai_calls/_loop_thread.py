"""A loop on its running thread: what a portal holds, and what takes a moment longer than it to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, ParamSpec, TypeVar

from krosai_calls.errors import ClientStateError

P = ParamSpec("P")
T = TypeVar("T")

# How long an interrupted caller waits for its coroutine to tidy up.
CLEAN_UP_SECONDS = 5.0
# What the last thing to run has told to end gets so long to do it before it is cancelled.
GRACE_SECONDS = 0.5


class LoopThread:
    """Runs coroutines on a loop of its own; its thread is running when this is made.

    Args:
        name: The thread's name.
        last: Run on the loop before it stops, however that comes.
        entered: The context managers that are then left, if they are still entered.

    Attributes:
        failure: What the last thing to run raised.

    Raises:
        ClientStateError: The process cannot have another thread.
    """

    def __init__(
        self,
        name: str,
        last: Callable[[], Coroutine[Any, Any, None]] | None,
        entered: Collection[AbstractAsyncContextManager[Any]],
    ) -> None:
        self._last = last
        self._entered = entered
        self._pid = os.getpid()
        self._waiting: set[_Job[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._is_ending = False
        self.failure: Exception | None = None
        try:
            self._thread.start()
        except RuntimeError as refused:
            self._loop.close()
            raise ClientStateError(f"no thread can be started for the client's loop: {refused}") from refused

    @property
    def is_mine(self) -> bool:
        """Whether it belongs to this process, and not to one that this was forked from."""
        return os.getpid() == self._pid

    @property
    def is_there(self) -> bool:
        """Whether its loop can be reached from here."""
        return self.is_mine and not self._loop.is_closed()

    @property
    def is_this_thread(self) -> bool:
        """Whether whoever asks is on the loop."""
        return threading.current_thread() is self._thread

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it and wait for its end; Ctrl-C cancels it, and waits for a bounded time until it has tidied up.

        Raises:
            ClientStateError: The loop ended meanwhile.
        """
        job = _Job(coroutine, self._waiting)
        try:
            # From here on Ctrl-C may come at any moment: the loop is quicker than this thread.
            self._hand_over(job)
            return job.answer.result()
        except KeyboardInterrupt:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(job.cancel)
            with contextlib.suppress(Exception, CancelledError):
                job.answer.exception(CLEAN_UP_SECONDS)
            raise
        except CancelledError:
            how = "closed" if self._is_ending else "cancelled, by a callback on the client's own loop,"
            raise ClientStateError(f"{how} while this call was under way") from None
        finally:
            del job  # or an error, its traceback and its job would hold each other

    def spawn(self, coroutine: Coroutine[Any, Any, None], *, waits: bool) -> None:
        """Run it, whatever comes of it.

        Args:
            coroutine: What to run.
            waits: Whether to wait for its end, for a bounded time, where this is not the loop's own thread.

        Raises:
            ClientStateError: The loop has ended.
        """
        job = _Job(coroutine, self._waiting)
        self._hand_over(job)
        if waits and not self.is_this_thread:
            with contextlib.suppress(Exception, CancelledError):
                job.answer.exception(CLEAN_UP_SECONDS)

    def end(self, patience: float | None) -> None:
        """Stop the loop, and wait so many seconds for its thread to end; None for as long as it takes."""
        if not self.is_mine:
            return
        with contextlib.suppress(RuntimeError):  # already closed
            self._loop.call_soon_threadsafe(self._stop)
        if not self.is_this_thread:
            self._thread.join(patience)

    def _hand_over(self, job: _Job[Any]) -> None:
        self._waiting.add(job)
        try:
            self._loop.call_soon_threadsafe(self._start, job)
        except RuntimeError:  # closed between the check and here
            job.give_up()
            raise ClientStateError("closed: make a new client") from None

    def _stop(self) -> None:
        if not self._is_ending:  # a second time would break off the winding up
            self._loop.stop()

    def _start(self, job: _Job[Any]) -> None:
        if self._is_ending:
            job.give_up()  # what it would open now, nobody would close
        else:
            job.start()

    def _serve(self) -> None:
        # It ends as asyncio.run does, but for one thing: that ends the executor from one more thread, which cannot
        # be had at the end of the process.
        executor = _Executor(thread_name_prefix=f"{self._thread.name}-worker")
        self._loop.set_default_executor(executor)
        try:
            # A callback may have stopped the loop, or left it, in a task that is nobody's job.
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                self._loop.run_forever()
            self._is_ending = True
            self._loop.run_until_complete(self._wind_up())
            executor.shutdown()
        finally:
            self._loop.close()
            # Whoever handed over a coroutine while the loop was winding up would wait for ever.
            for job in tuple(self._waiting):
                job.give_up()

    async def _wind_up(self) -> None:
        await self._end_gently()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    async def _end_gently(self) -> None:
        try:
            if self._last is not None:
                await asyncio.wait_for(self._last(), CLEAN_UP_SECONDS)
        except Exception as failure:  # noqa: BLE001 - told by close, or by nobody: this may be the interpreter's end
            self.failure = failure
        tasks = [job.task for job in tuple(self._waiting) if job.task is not None]
        if self._last is not None and tasks:
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        # Each from the outside in; in the end all generators that they are made of are closed at once.
        for manager in tuple(self._entered):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(manager.__aexit__(None, None, None), CLEAN_UP_SECONDS)


class _Job(Generic[T]):
    """One coroutine on the loop, and the answer that somebody waits for."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], waiting: set[_Job[Any]]) -> None:
        self._coroutine = coroutine
        self._waiting = waiting
        self.task: asyncio.Task[T] | None = None
        self.answer: Future[T] = Future()

    def start(self) -> None:
        """Begin; on the loop."""
        self.task = asyncio.get_running_loop().create_task(self._contained())
        self.task.add_done_callback(self._relay)

    def cancel(self) -> None:
        """Cancel it; on the loop."""
        if self.task is None:  # interrupted before it was handed over
            self.give_up()
        else:
            self.task.cancel()

    def give_up(self) -> None:
        """Tell whoever waits that no answer will come."""
        self._waiting.discard(self)
        if self.task is None:
            self._coroutine.close()
        # Notified once only: a second time is an error of the future's.
        if not self.answer.done() and self.answer.cancel():
            self.answer.set_running_or_notify_cancel()

    async def _contained(self) -> T:
        try:
            return await self._coroutine
        except (SystemExit, KeyboardInterrupt) as leaving:
            # A callback wants to end the program: that is for the thread that called, and not for the loop.
            raise _LeavingError(leaving) from None

    def _relay(self, task: asyncio.Task[T]) -> None:
        self._waiting.discard(self)
        self.task = None
        self._coroutine.close()  # where it was cancelled before it began
        if self.answer.done():
            return  # given up when the loop had gone
        if task.cancelled():
            self.give_up()
        elif (error := task.exception()) is not None:
            self.answer.set_exception(error.leaving if isinstance(error, _LeavingError) else error)
        else:
            self.answer.set_result(task.result())


class _LeavingError(Exception):
    def __init__(self, leaving: BaseException) -> None:
        super().__init__()
        self.leaving = leaving


class _Executor(ThreadPoolExecutor):
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
