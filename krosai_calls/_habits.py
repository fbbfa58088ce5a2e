"""How a service pages, as far as its answers have shown. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from krosai_calls._seams import Reply

# The same rows so often in a row from different offsets, while the total stays.
MOST_REPEATS = 2


class Habits:
    """What the answers of a listing have taught of the service.

    Args:
        page_size: Rows that a page is asked for.

    Attributes:
        cap: Rows that the service gives at most.
        cap_is_a_guess: Whether that rests on one short page alone, which may as well have been the last one.
        total: How many calls match, as the last answer said.
        is_repeating: Whether the last answer had the rows of the one before, though another place was asked for.
    """

    def __init__(self, page_size: int) -> None:
        self.cap = page_size
        self.cap_is_a_guess = False
        self.total: int | None = None
        self._total_is_wrong = False
        self._horizon: int | None = None
        self._longest = 0
        self._recent: deque[Reply] = deque(maxlen=3)
        self._repeats = 0

    @property
    def is_repeating(self) -> bool:
        return self._repeats > 0

    def learn(self, reply: Reply, others: Iterable[Reply]) -> str | None:
        """Learn from an answer.

        Args:
            reply: The answer.
            others: Answers that it must not contradict.

        Returns:
            Why the service cannot be trusted, or None.
        """
        self.total = reply.total
        self._longest = max(self._longest, len(reply.rows))
        if not reply.rows:
            self._horizon = min(self._horizon or reply.end, reply.end)
            return None
        self._total_is_wrong |= reply.total is not None and reply.end > reply.total
        if reply.most < reply.window.limit:
            self.cap = max(2, min(self.cap, reply.most))
        last = self._recent[-1] if self._recent else None
        self._repeats = self._repeats + 1 if last is not None and _repeats(reply, last) else 0
        contradicts = any(reply.contradicts(other) for other in (*self._recent, *others))
        self._recent.append(reply)
        if contradicts:
            return "the service contradicts itself: two calls changed places while both were listed"
        if self._repeats == MOST_REPEATS:
            return "the service gives the same page again and again, whatever offset is asked for"
        return None

    def is_short(self, reply: Reply) -> bool:
        """Whether there was room for more rows."""
        return len(reply.rows) < min(reply.window.limit, reply.most, self.cap)

    def settle_cap(self, reply: Reply) -> None:
        """Learn how long a page is from one that the history goes on behind."""
        self.cap_is_a_guess = self.is_short(reply)
        if self.cap_is_a_guess:
            self.cap = max(2, len(reply.rows))

    def says_the_end(self, reply: Reply) -> bool:
        """Whether a short answer reaches the total that it tells, of a service whose totals were right so far."""
        return reply.total is not None and reply.end >= reply.total and not self._total_is_wrong

    def could_be_longer(self, reply: Reply) -> bool:
        """Whether the service has given longer pages than this one."""
        return len(reply.rows) < self._longest

    @property
    def foreseen(self) -> int:
        """How many rows there are to be asked for, as far as is known; where it is not, nothing is asked ahead."""
        total = self.total or 0
        return total if self._horizon is None else min(total, self._horizon)

    def forget_setbacks(self) -> None:
        """Give the service another chance."""
        self._horizon, self._repeats = None, 0


def _repeats(reply: Reply, last: Reply) -> bool:
    moved = last.window.offset != reply.window.offset and last.total == reply.total
    return moved and bool(reply.ids) and reply.ids == last.ids
