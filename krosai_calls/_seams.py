"""Whether two answers meet, and what the later one adds. Pure.

The rows of one answer are neighbours in the service's order. Two answers that share a call therefore leave no
gap between them for a call that was there all the time, whenever each of them was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, pairwise
from typing import TypeAlias

from attrs import define, field, frozen

from krosai_calls.errors import DecodeError
from krosai_calls.models import Call

Row: TypeAlias = Call | DecodeError

# Ids that a trail remembers at least. An answer is joined to the end of what was given before, so older ones are
# not needed; an id could come twice only if more calls than these came into being in the middle of the history,
# in the place of one that had vanished, before that one returned.
REMEMBERED = 8192


@frozen
class Window:
    """A stretch of the history to ask for.

    Attributes:
        offset: Where it begins.
        limit: Its rows at most.
    """

    offset: int
    limit: int


@frozen
class Reply:
    """What came for a window.

    Attributes:
        window: What was asked for.
        rows: What came, in order.
        total: How many calls match, as this answer says.
        most: How many rows the service gives for this window at most, by its own word.
        places: Where each call stands among the rows.
    """

    window: Window
    rows: tuple[Row, ...]
    total: int | None
    most: int
    places: dict[str, int] = field(init=False, repr=False)

    @places.default
    def _find_places(self) -> dict[str, int]:
        calls = [(row.id, index) for index, row in enumerate(self.rows) if isinstance(row, Call)]
        return dict(reversed(calls)) if len(places := dict(calls)) < len(calls) else places

    @property
    def end(self) -> int:
        """Where the row behind it was when it was read."""
        return self.window.offset + len(self.rows)

    @property
    def ids(self) -> list[str]:
        """The calls, in order."""
        return list(self.places)

    def id_at(self, place: int) -> str:
        """The call in a place where there is one."""
        row = self.rows[place]
        assert isinstance(row, Call)
        return row.id

    def contradicts(self, others: Mapping[str, int]) -> bool:
        """Whether two calls stand in one order here and in the other order there.

        Args:
            others: The places of another answer.
        """
        if self.places.keys().isdisjoint(others):
            return False
        there = [others[call_id] for call_id in self.places if call_id in others]
        return any(later < earlier for earlier, later in pairwise(there))


@frozen
class ListedPage:
    """Rows of a listing, in order.

    Attributes:
        rows: Each a call that was not given before, or why it is none.
        total: How many calls match, as the service says.
        is_vouched: Whether there is no call between these rows and those before them; where not, an error follows.
    """

    rows: tuple[Row, ...]
    total: int | None
    is_vouched: bool = True

    @property
    def calls(self) -> list[Call]:
        """The rows that can be read."""
        return [row for row in self.rows if isinstance(row, Call)]

    @property
    def bad_rows(self) -> list[DecodeError]:
        """Why the other rows cannot."""
        return [row for row in self.rows if isinstance(row, DecodeError)]


@define
class Seam:
    """The place where the trail ends, and what it takes to get beyond.

    Attributes:
        misses: Answers for this place that did not meet the trail.
        slid: Whether one met it and had nothing deeper.
        repairs: Requests that would not have been needed, had nothing moved.
        moved: How far the history was taken to have moved by the last guess.
        looks_behind: Whether the next request is for what is behind the last call, not over it.
        nothing_behind: Whether there was nothing.
    """

    misses: int = 0
    slid: bool = False
    repairs: int = 0
    moved: int = 0
    looks_behind: bool = False
    nothing_behind: bool = False


class Trail:
    """The calls that a chain of answers has brought so far, from the first page on.

    Attributes:
        last_id: The deepest call of the chain.
        bad_at_end: How many rows without an id came behind it.
    """

    def __init__(self) -> None:
        self.last_id: str | None = None
        self.bad_at_end = 0
        self._numbers: dict[str, int] = {}
        self._count = 0
        self._forgot = False
        # Where the history begins with a page of new calls alone, the trail starts again from the top. This is
        # what it was before, until it comes back to it: the number of its end, and its last call.
        self._left_off: tuple[int, str] | None = None

    @property
    def is_apart(self) -> bool:
        """Whether it has started again from the top, and has not come back to where it was."""
        return self._left_off is not None

    def meets(self, reply: Reply) -> bool:
        """Whether nothing can be missing between the trail and this answer."""
        if reply.window.offset == 0 and not self._forgot:
            return True
        first = self._first_known(reply)
        if first is None:
            return False
        # An unknown row above the known ones is new, or the service swaps calls of the same instant: then the
        # one that it swapped away would be lost, and only an answer from further up can tell.
        return not any(_are_tied(row, reply.rows[first]) for row in reply.rows[:first])

    def extend(self, reply: Reply) -> tuple[tuple[Row, ...], bool]:
        """Take in an answer that meets the trail.

        Returns:
            Its new rows, and whether it reaches deeper than the trail did.
        """
        deepest = self._deepest_known(reply)
        self._come_back(reply, deepest)
        new: list[Row] = list(self._late_rows(reply, deepest))
        # The bad rows behind a known call come again: they have no id to be known by.
        is_at_end = deepest is None or _id(reply.rows[deepest]) == self.last_id
        again = self.bad_at_end if is_at_end else len(reply.rows)
        deeper = False
        rest = reply.rows[0 if deepest is None else deepest + 1 :]
        if rest and len(reply.places) == len(reply.rows):  # all are calls, and none of these was known
            self._remember(reply.ids[-len(rest) :])
            self.last_id, self.bad_at_end = reply.id_at(-1), 0
            return (*new, *rest), True
        for row in rest:
            if isinstance(row, DecodeError):
                again -= 1
                if again < 0:
                    new.append(row)
                    self.bad_at_end += 1
            elif row.id not in self._numbers:
                self._remember([row.id])
                new.append(row)
                self.last_id, self.bad_at_end, again, deeper = row.id, 0, 0, True
        return tuple(new), deeper

    def _come_back(self, reply: Reply, deepest: int | None) -> None:
        if deepest is None:
            if self.last_id is not None:
                self._left_off = self._left_off or (self._count, self.last_id)
                self.bad_at_end = 0
        elif self._left_off is not None and self._numbers[reply.id_at(deepest)] < self._left_off[0]:
            self.last_id, self._left_off, self.bad_at_end = self._left_off[1], None, 0

    def end_with(self, reply: Reply) -> None:
        """Take the last call of an answer, which is known, for the deepest one: those behind it have vanished."""
        last = self._deepest_known(reply)
        if last is not None:
            self.last_id, self.bad_at_end = reply.id_at(last), len(reply.rows) - last - 1

    def ends_like(self, reply: Reply) -> bool:
        """Whether the last call of an answer is the deepest one."""
        return reply.ids[-1:] == [self.last_id]

    def end_seen_from(self, reply: Reply) -> int | None:
        """Where the trail ends, as far as an answer just read can tell; None where it shares no call with it."""
        deepest = self._deepest_known(reply)
        if deepest is None:
            return None
        number = self._numbers[reply.id_at(deepest)]
        last = self._numbers.get(self.last_id or "", number)
        return reply.window.offset + deepest + 1 + max(0, last - number) + self.bad_at_end

    def unknown(self, replies: Iterable[Reply]) -> tuple[Row, ...]:
        """The rows of answers, whether they meet the trail or not, that it has not; each call once."""
        found: dict[str, Call] = {}
        bad: list[Row] = []
        for reply in replies:
            for row in reply.rows:
                if isinstance(row, DecodeError):
                    bad.append(row)
                elif row.id not in self._numbers:
                    found.setdefault(row.id, row)
        return (*found.values(), *bad)

    def _late_rows(self, reply: Reply, deepest: int | None) -> Iterator[Call]:
        # What stands before a known call and is unknown has come since: it is passed over, to keep the order.
        # But of two calls of the same instant the service may have swapped the places, and either order is right.
        first = self._first_known(reply)
        for index in range(deepest or 0):
            row = reply.rows[index]
            if isinstance(row, Call) and row.id not in self._numbers:
                self._remember([row.id])
                neighbours = reply.rows[index - 1 : index + 2 : 2] if index else ()
                if first is not None and first < index and any(_are_tied(row, other) for other in neighbours):
                    yield row

    def _first_known(self, reply: Reply) -> int | None:
        return min(self._known_places(reply), default=None)

    def _deepest_known(self, reply: Reply) -> int | None:
        return max(self._known_places(reply), default=None)

    def _known_places(self, reply: Reply) -> list[int]:
        return [reply.places[call_id] for call_id in reply.places.keys() & self._numbers.keys()]

    def _remember(self, ids: Sequence[str]) -> None:
        self._numbers.update(zip(ids, count(self._count), strict=False))
        self._count += len(ids)
        if len(self._numbers) >= 2 * REMEMBERED:
            self._numbers = dict(list(self._numbers.items())[-REMEMBERED:])
            self._forgot = True


def _id(row: Row) -> str | None:
    return row.id if isinstance(row, Call) else None


def _are_tied(row: Row, other: Row) -> bool:
    if isinstance(row, DecodeError) or isinstance(other, DecodeError):
        return False
    return row.created_at is not None and row.created_at == other.created_at
