"""What time it is in a sandbox: the machine's time, and as much more as a test has let pass."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from krosai_calls.errors import SettingsError
from krosai_calls.sandbox.checks import number

# Links, quotas and retention have all passed by then, and no date leaves the calendar.
LONGEST_ADVANCE_SECONDS = 10 * 366 * 86_400.0


def wall_clock() -> datetime:
    """Tell the current time, in UTC."""
    return datetime.now(UTC)


class Clock:
    """Two hands on one axle: the service's time for links and rates, and the history's for its calls.

    Args:
        source: Tells the current time in UTC.
        history_begins: What time it is in the history at first.
        real_time: Whether the history goes on with the source; otherwise only ``advance`` moves it.
    """

    def __init__(self, source: Callable[[], datetime], history_begins: datetime, *, real_time: bool) -> None:
        self._source = source
        self._history_begins = history_begins
        self._real_time = real_time
        self._lock = threading.Lock()
        self.restart()

    def restart(self) -> None:
        """Take back what was let pass, and begin the history's time anew."""
        with self._lock:
            self._passed = timedelta()
            self._started_at = self._source()

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            SettingsError: Time does not go backwards, and no more than ten years on in all.
        """
        number("seconds", seconds, 0, LONGEST_ADVANCE_SECONDS)
        with self._lock:
            passed = self._passed + timedelta(seconds=seconds)
            if passed.total_seconds() > LONGEST_ADVANCE_SECONDS:
                raise SettingsError("ten years have passed in this sandbox: reset it, or make another one")
            self._passed = passed

    def service_time(self) -> datetime:
        """Tell the time for links, rates and quotas."""
        return self._source() + self._passed

    def history_time(self) -> datetime:
        """Tell the time for the calls: what has happened by now."""
        went_on = self._source() - self._started_at if self._real_time else timedelta()
        return self._history_begins + went_on + self._passed
