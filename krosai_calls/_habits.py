"""How a service pages, as far as its answers have shown. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from krosai_calls._seams import Reply

# The longest page that the service gives.
MOST_ROWS = 100
# The rows of the first page so often in a row from different offsets, while the total stays.
MOST_REPEATS = 2


class Habits:
    """What the answers of a listing have taught of the service.

    Attributes:
        cap: Rows that the service gives at most.
        cap_is_a_guess: Whether that rests on one short page alone, which may as well have been the last one.
        total: How many calls match, as the last answer said.
        is_repeating: Whether the last answer had the rows of the first, though another place was asked for.
    """

    def __init__(self) -> None:
        self.cap = MOST_ROWS
        self.cap_is_a_guess = False
        self.total: int | None = None
        self._total_is_wrong = False
        self._horizon: int | None = None
        self._longest = 0
        self._first: Reply | None = None
        self._recent: deque[Mapping[str, int]] = deque(maxlen=3)  # places alone: the calls are gone
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
        # Rows beyond the total, or none before it: it is made up, or counts something else.
        self._total_is_wrong |= reply.total is not None and (reply.end > reply.total) is bool(reply.rows)
        if not reply.rows:
            self._horizon = min(self._horizon or reply.end, reply.end)
            return None
        if reply.most < reply.window.limit:
            self.cap = max(2, self._longest, min(self.cap, reply.most))
        if self._first is None:
            self._first = reply
        self._repeats = self._repeats + 1 if _repeats(reply, self._first) else 0
        around = [other.places for other in others if abs(other.window.offset - reply.window.offset) < MOST_ROWS]
        contradicts = any(reply.contradicts(places) for places in (*self._recent, *around))
        self._recent.append(reply.places)
        if contradicts:
            return "the service contradicts itself: two calls changed places while both were listed"
        if self._repeats == MOST_REPEATS:
            return "the service gives the same page again and again, whatever offset is asked for"
        return None

    def has_room(self, reply: Reply) -> bool:
        """Whether more rows would have found place in an answer."""
        return len(reply.rows) < min(reply.window.limit, max(reply.most, self._longest))

    def settle_cap(self, reply: Reply) -> None:
        """Learn how long a page is from one that the history goes on behind."""
        self.cap_is_a_guess = self.has_room(reply) and len(reply.rows) != self.cap
        if self.cap_is_a_guess:
            self.cap = max(2, len(reply.rows))

    def reaches_the_total(self, reply: Reply) -> bool | None:
        """Whether an answer ends where its total says; None where there is no total, or it was wrong before."""
        return None if reply.total is None or self._total_is_wrong else reply.end >= reply.total

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


def _repeats(reply: Reply, first: Reply) -> bool:
    is_elsewhere = reply.window.offset > 0 and reply.total == first.total
    common = min(len(reply.ids), len(first.ids))
    return is_elsewhere and common > 0 and reply.ids[:common] == first.ids[:common]
