"""Signals that end a command: the first lets it tidy up, the second ends the process then and there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

from krosai_calls.cli.exits import Exit

# Ctrl-C; what a service manager sends; what a terminal sends that is closed. Windows has no SIGHUP.
SIGNALS = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if name in signal.Signals.__members__
)
_SHOW_CURSOR = b"\x1b[?25h"


def exit_of(number: int) -> Exit:
    """The exit code that a signal means."""
    return Exit.INTERRUPTED if number == signal.SIGINT else Exit.TERMINATED


class Interruptions:
    """Takes the signals while it is entered, and gives them back after.

    A signal that the process was told to ignore, as under ``nohup``, stays ignored.

    Attributes:
        number: The signal that came, if one did.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruptions:
        if threading.current_thread() is threading.main_thread():  # no other may
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    # Not the loop's own handlers: those wait for a loop that may be held up by a full pipe.
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def end_with(self, task: asyncio.Task[Any]) -> None:
        """Have the first signal cancel a task of the running loop."""
        self._loop, self._task = asyncio.get_running_loop(), task
        if self.number is not None:
            task.cancel()

    def _take(self, number: int, _: FrameType | None) -> None:
        if self.number is not None:
            _end_at_once(exit_of(number))
        self.number = number
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the work is done
                self._loop.call_soon_threadsafe(self._task.cancel)


def _end_at_once(code: Exit) -> None:
    # No file is harmed: one under its final name is whole, and a part is checked before it is used.
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    os._exit(code)
