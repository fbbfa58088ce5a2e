"""One line on stderr that changes in place while something takes long; nothing where it is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

_SECONDS_BETWEEN = 0.1


class StatusLine:
    """A line on stderr that changes in place while it is a terminal.

    Args:
        beginning: What it says at first.
    """

    def __init__(self, beginning: str) -> None:
        self._beginning = beginning
        self._status: Any = None
        self._shown_at = 0.0

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.status import Status

            self._status = Status(self._beginning, console=Console(file=sys.stderr, highlight=False))
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def say(self, words: Callable[[], str]) -> None:
        """Take note of how far it has come; drawn ten times a second at most."""
        now = time.monotonic()
        if self._status is not None and now - self._shown_at >= _SECONDS_BETWEEN:
            self._shown_at = now
            self._status.update(words())
