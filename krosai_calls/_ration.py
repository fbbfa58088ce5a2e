"""How many requests may start now: the arithmetic of limits and pauses. Pure: moments in, waits out.

A server counts requests when they arrive, which is at some moment between their start here and their answer. So a
request counts from its start until a second after its answer: whatever that second's borders are on the server's
clock, no more than the limit arrive within them. Under the caller's own ceiling requests are spaced besides.
"""

from __future__ import annotations

import math
from collections import deque

WINDOW_SECONDS = 1.0


class Ration:
    """What one origin may be asked.

    Args:
        most_at_once: Requests under way at once, whatever else is allowed.
        ceiling: Requests in any second that the caller allows; None for no ceiling.
        is_known: Whether the origin may be asked in parallel from the first request on, or only once its first
            answer has told how much it takes.
    """

    def __init__(self, *, most_at_once: int, ceiling: float | None = None, is_known: bool = False) -> None:
        self._most_at_once = most_at_once
        self._ceiling = ceiling
        self._limit: float | None = None
        self._room = most_at_once if is_known else 1
        self._under_way = 0
        self._last_start = -math.inf
        self._ended: deque[float] = deque()
        self._closed_until = -math.inf
        self._is_recovering = False
        self._sent_before_refusal = 0

    @property
    def rate(self) -> float | None:
        """Requests in any second: the lower of the caller's ceiling and the server's limit."""
        return min((rate for rate in (self._ceiling, self._limit) if rate is not None), default=None)

    def wait(self, now: float) -> float | None:
        """Seconds until another request may start, 0 for at once; None where an answer has to come first.

        Args:
            now: Seconds on a clock that never runs backwards.
        """
        if now < self._closed_until:
            return self._closed_until - now
        if self._under_way >= self._room:
            return None
        rate = self.rate
        if rate is None:
            return 0.0
        self._forget(now)
        spacing = 0.0 if self._ceiling is None else self._last_start + WINDOW_SECONDS / self._ceiling - now
        if self._counted < math.floor(rate) or not self._counted:
            return max(0.0, spacing)
        if not self._ended:
            return None
        return max(0.0, spacing, self._ended[0] + WINDOW_SECONDS - now)

    def closed_for(self, now: float) -> float:
        """Seconds for which nothing starts because the server asked for a pause."""
        return max(0.0, self._closed_until - now)

    def start(self, now: float) -> None:
        """Take note that a request starts."""
        self._under_way += 1
        self._last_start = now

    def end(self, now: float) -> None:
        """Take note that a request has ended, with an answer or without."""
        self._under_way -= 1
        self._sent_before_refusal = max(0, self._sent_before_refusal - 1)
        if self.rate is not None:
            self._forget(now)
            self._ended.append(now)

    def learn(self, limit: float | None, *, is_well: bool = True) -> None:
        """Take note of an answer that was no refusal.

        Args:
            limit: How many requests in a second the server says are allowed, where it says so.
            is_well: Whether the answer is one of a server that can take more.
        """
        if limit is not None:
            self._limit = limit
        if self._sent_before_refusal or not is_well:
            return  # what was sent before a refusal says nothing of how it is after it
        if self._is_recovering:
            self._room = min(self._room + 1, self._most_at_once)
            self._is_recovering = self._room < self._most_at_once
        else:
            self._room = self._most_at_once

    def refused(self, now: float, seconds: float) -> None:
        """Let nothing start for so long after a refusal; then one goes first, and each success adds one."""
        self._closed_until = max(self._closed_until, now + seconds)
        self._room = 1
        self._is_recovering = True
        self._sent_before_refusal = self._under_way

    def exhausted(self, now: float, seconds: float) -> bool:
        """Let nothing start until the server's window opens again, which it says is empty.

        Where our own requests have emptied it, they say more exactly when the next may start: many servers round
        the moment up to a whole second. So only what others have used closes this.

        Returns:
            Whether it did.
        """
        self._forget(now)
        rate = self.rate
        if rate is not None and self._counted + 1 >= math.floor(rate):
            return False
        self._closed_until = max(self._closed_until, now + seconds)
        return True

    @property
    def _counted(self) -> int:
        return self._under_way + len(self._ended)

    def _forget(self, now: float) -> None:
        # Reckoned as in wait(), or the rounding of the two could differ.
        while self._ended and self._ended[0] + WINDOW_SECONDS <= now:
            self._ended.popleft()
