"""How a long command shows that it gets on: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from krosai_calls.cli.display import count_of, size_of

if TYPE_CHECKING:
    from krosai_calls.archive import ArchiveReport

_SECONDS_BETWEEN = 0.1


def progress_line(report: ArchiveReport) -> str:
    """What a run has done so far, in a line."""
    of_total = f" of {report.calls_total:,}" if report.calls_total is not None else ""
    done = report.recordings_saved + report.recordings_present
    return (
        f"{report.calls_seen:,}{of_total} calls, {count_of(done, 'recording')},"
        f" {size_of(report.bytes_downloaded)}, {count_of(report.requests, 'request')}"
    )


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


class ArchiveProgressBar(StatusLine):
    """How far an archive run has come."""

    def __init__(self) -> None:
        super().__init__("asking for the first page")

    def show(self, report: ArchiveReport) -> None:
        """Take note of how far the run has come."""
        self.say(lambda: progress_line(report))
