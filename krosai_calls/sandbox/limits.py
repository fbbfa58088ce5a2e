"""How many requests a plan allows: a second's window and a day's quota."""

from __future__ import annotations

import math
from dataclasses import dataclass

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan allows.

    Attributes:
        per_second: Requests in a second.
        per_day: Requests in a day, by UTC, or None for as many as one likes.
        enforced: Whether more are refused, or only counted.
    """

    per_second: int
    per_day: int | None
    enforced: bool = True


UNLIMITED = Plan(per_second=1000, per_day=None, enforced=False)
PLANS = {
    "free": Plan(10, 1_000),
    "pro": Plan(50, 50_000),
    "business": Plan(200, 500_000),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one request.

    Attributes:
        remaining: Requests left in this second.
        reset: Unix time at which the next second's window opens.
        retry_after: None for a request that is served, else how many seconds to wait.
        exhausted: Which limit was met: ``second``, ``day`` or nothing.
    """

    remaining: int
    reset: int
    retry_after: float | None = None
    exhausted: str = ""


class RateWindows:
    """Counts requests in fixed windows. A refused request costs nothing.

    Args:
        plan: What is allowed.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.reset()

    def reset(self) -> None:
        """Forget what was counted."""
        self._second = self._day = -1
        self._in_second = self._in_day = 0

    def look(self, now: float) -> Verdict:
        """Tell how things stand, without counting a request."""
        self._turn_to(now)
        return Verdict(max(self.plan.per_second - self._in_second, 0), self._second + 1)

    def take(self, now: float) -> Verdict:
        """Count one request at a Unix time, or refuse it."""
        self._turn_to(now)
        if self.plan.enforced:
            if self.plan.per_day is not None and self._in_day >= self.plan.per_day:
                return Verdict(0, self._second + 1, _until((self._day + 1) * DAY_SECONDS, now), "day")
            if self._in_second >= self.plan.per_second:
                return Verdict(0, self._second + 1, _until(self._second + 1, now), "second")
        self._in_second += 1
        self._in_day += 1
        return self.look(now)

    def _turn_to(self, now: float) -> None:
        if self._second != math.floor(now):
            self._second, self._in_second = math.floor(now), 0
        if self._day != math.floor(now) // DAY_SECONDS:
            self._day, self._in_day = math.floor(now) // DAY_SECONDS, 0


def _until(moment: float, now: float) -> float:
    # Rounded up: who waits that long finds the window open.
    return max(math.ceil((moment - now) * 1000), 1) / 1000
