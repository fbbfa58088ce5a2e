"""What the portal's tests run on it, and how they press Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from typing import Any

import pytest

WITHIN = 5  # seconds that something which must not hang is given


async def double(number: int) -> int:
    return 2 * number


async def ident() -> int:
    return threading.get_ident()


def in_a_thread(function: Callable[..., Any], *args: Any) -> Future[Any]:
    """Call a function on a daemon thread, so that one that hangs does not hang the tests."""
    answer: Future[Any] = Future()

    def work() -> None:
        try:
            answer.set_result(function(*args))
        except BaseException as error:  # noqa: BLE001 - handed over to the test
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return answer


class Waiting:
    """A coroutine function that waits for ever, says when it has begun, and takes its time to tidy up."""

    def __init__(self, at_start: Callable[[], object] = lambda: None) -> None:
        self.begun = threading.Event()
        self.tidied = False
        self._at_start = at_start

    async def __call__(self) -> None:
        self.begun.set()
        self._at_start()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(1000):
                await asyncio.sleep(0)
            self.tidied = True


class Numbers:
    """A source of numbers that tells how far it was read and when it was closed."""

    def __init__(self) -> None:
        self.given = 0
        self.closed = threading.Event()

    async def __call__(self) -> AsyncGenerator[int, None]:
        try:
            while True:
                self.given += 1
                yield self.given
        finally:
            await asyncio.sleep(0.05)  # closing takes its time, so that one who does not wait for it is found out
            self.closed.set()


def press_ctrl_c() -> None:
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGINT)


def late_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the next answer of a call come together with Ctrl-C: it is there, and its caller never gets it."""
    plain = Future.result

    def result(self: Future[Any], timeout: float | None = None) -> Any:
        monkeypatch.setattr(Future, "result", plain)
        plain(self, timeout)
        raise KeyboardInterrupt

    monkeypatch.setattr(Future, "result", result)
