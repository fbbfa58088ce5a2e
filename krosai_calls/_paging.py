"""Which pages to ask for, and how far a listing can be vouched for. Pure: answers in, decisions out.

A history is read in windows that overlap by a row, several at a time, while calls come and go. An answer is
passed on when it meets the trail of those before it (see ``_seams``), so a shift of the history is noticed and
the seam is read again. The listing is over with an answer that meets the trail and ends the history: then every
call that matched all the time has been given, once, in the service's order. This needs the service to keep to one
order; where it does not, or a seam never closes, the listing ends in an error.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence

from krosai_calls._habits import MOST_ROWS, Habits
from krosai_calls._seams import ListedPage, Reply, Row, Seam, Trail, Window
from krosai_calls.errors import BadRequestError, KrosaiError, ListingInconsistentError

# Windows grow in number with the pages that were used, so that looking at the first calls costs one request.
AHEAD_PER_PAGE = 4
MOST_OVERLAP = 5
# So many good seams in a row, and the overlap that a repair widened is narrowed again by a row.
QUIET_SEAMS = 50
# Answers in all that lead no further: so many, the windows ahead, and two for each page that went well.
SPARE_ANSWERS = 10
SPARE_ANSWERS_PER_PAGE = 2
# Repairs of one seam. Each goes back twice as far as the one before, so that fewer reach the first call.
MOST_REPAIRS_OF_A_SEAM = 24


def next_offset(offset: int, rows: int, total: int | None) -> int | None:
    """Where the page after this one begins, or None where this one ends the history.

    A short page alone proves nothing: a service may cap pages below what was asked. The end is where the page
    reaches the total or, without a total, a page that is empty.

    Args:
        offset: Where the page begins.
        rows: How many rows it has.
        total: How many rows the service says there are, or None.
    """
    if rows == 0 or (total is not None and offset + rows >= total):
        return None
    return offset + rows


class Listing:
    """A listing under way: what to ask for next, and what may be given to the caller.

    Whoever drives it asks for each window that ``ask`` gives, in any order, hands the answers to ``receive`` or
    ``fail``, and passes ``ready`` on. After an error it stands where it stood, and ``resume`` lets it go on.

    Args:
        page_size: Rows to ask for at once.
        most_at_once: Windows at most that are asked for, or have come and are not used yet. What is just being
            read makes room already.
        wanted: How many calls the caller takes at most; None for all.

    Attributes:
        ready: Pages to be passed on, each once.
        is_over: Whether nothing more is to come.
    """

    def __init__(self, page_size: int, *, most_at_once: int = 1, wanted: int | None = None) -> None:
        self.ready: deque[ListedPage] = deque()
        self.is_over = False
        self._limit = max(page_size, 2)  # a row of each window is the last one of the window before
        self._first_limit = page_size
        self._most_at_once = most_at_once
        self._wanted = wanted
        self._trail = Trail()
        self._asked: list[Window] = []
        self._unread: list[Window] = []  # those of them that have come
        self._sent_for: Window | None = None
        self._held: list[Reply] = []
        self._failed: tuple[Window, KrosaiError] | None = None
        self._inconsistent: ListingInconsistentError | None = None
        self._habits = Habits()
        # How far the trail goes.
        self._pages = 0
        self._end = 0
        self._room_at_end = 0
        self._total_at_end: int | None = None
        self._ahead = 0
        self._seam = Seam()
        self._overlap = 1
        self._quiet_seams = 0
        self._in_vain = 0

    # --- What to ask for -----------------------------------------------------------------------------------

    def ask(self) -> Window | None:
        """The next window to ask for; None while no more is to be under way."""
        if self.is_over or self._inconsistent is not None:
            return None
        if self._is_carried():
            window = self._window_ahead()
        else:
            window = self._sent_for = self._window_due()
        if window is not None:
            self._asked.append(window)
        return window

    def _is_carried(self) -> bool:
        """Whether an answer to come may lengthen the trail."""
        return any(window is self._sent_for or self._may_meet(window) for window in self._asked)

    def _may_meet(self, window: Window) -> bool:
        """Whether a window begins where the trail has been, as far as is known."""
        return window.offset <= max(self._due, self._end - 1)

    @property
    def _due(self) -> int:
        """Where the window begins that lengthens the trail if nothing has moved: over its last call."""
        if self._end == 1 < self._room_at_end or self._seam.looks_behind:
            return self._end  # over the last call it would be the same page again
        return max(0, self._end - self._trail.bad_at_end - self._margin)

    @property
    def _margin(self) -> int:
        """How many rows of the one before a window repeats."""
        return max(1, min(self._overlap, min(self._limit, self._habits.cap) - 1))

    @property
    def _stride(self) -> int:
        """How far apart windows begin."""
        return max(1, min(self._limit, self._habits.cap) - self._margin)

    def _window_due(self) -> Window | None:
        if self._failed is not None and self._failed[0].offset <= self._due:
            return None
        if self._seam.misses == 0 and not self._seam.slid:
            self._ahead = max(self._ahead, self._due + self._stride)
            return self._window(self._due)
        return self._window_of_repair()

    def _window_of_repair(self) -> Window | None:
        allowed = SPARE_ANSWERS + self._most_at_once + SPARE_ANSWERS_PER_PAGE * self._pages
        allowed_here = MOST_REPAIRS_OF_A_SEAM * (2 if self._trail.is_apart else 1)
        if self._in_vain >= allowed or self._seam.repairs >= allowed_here:
            self._give_up(
                f"the calls around offset {self._end} change faster than they can be listed, or the service keeps"
                " to no order: what was given is right; narrow the listing by date, or go on later"
            )
            return None
        self._seam.repairs += 1
        if self._seam.misses == 0:
            return self._window(self._due)
        self._overlap = min(self._margin + 1, MOST_OVERLAP)
        self._quiet_seams = 0
        # The first guess is that all that came or vanished did so above; then further and further up.
        total = self._habits.total
        moved = 0 if total is None or self._total_at_end is None else total - self._total_at_end
        has_jumped = abs(moved - self._seam.moved) >= self._stride
        if moved and (self._seam.misses == 1 or has_jumped):
            self._seam.moved = moved
            return self._window(max(0, self._due + moved))
        return self._window(max(0, self._due - 2**self._seam.misses))

    def _window_ahead(self) -> Window | None:
        held = {reply.window.offset for reply in self._held}
        while self._ahead in held:
            self._ahead += self._stride
        ahead = len(self._asked) + len(self._held) + len(self.ready)
        is_reading = bool(self._unread)
        if (
            ahead >= min(self._most_at_once + is_reading, AHEAD_PER_PAGE * self._pages)
            or self._failed is not None
            or self._habits.is_repeating
            or self._habits.cap_is_a_guess
            or self._ahead + self._margin >= min(self._habits.foreseen, self._wanted or sys.maxsize)
        ):
            return None
        window = self._window(self._ahead)
        self._ahead += self._stride
        return window

    def _window(self, offset: int) -> Window:
        if self._room_at_end == 0:
            return Window(0, self._first_limit)
        left = (self._wanted or 0) - offset
        limit = min(self._limit, left) if left > self._margin else self._limit
        # Beyond rows without an id there has to be room for a call.
        needed = min(MOST_ROWS, 2 * self._trail.bad_at_end + self._margin + 1)
        return Window(offset, max(limit, needed))

    # --- What came -----------------------------------------------------------------------------------------

    def note_arrival(self, window: Window) -> None:
        """Take note that an answer has come, which will be handed over when it is read: another may be asked for.

        Args:
            window: As it was asked for.
        """
        self._unread.append(window)

    def receive(self, window: Window, rows: Sequence[Row], *, total: int | None, most: int) -> None:
        """Take in what came for a window.

        Args:
            window: As it was asked for.
            rows: Its rows, in order.
            total: How many calls match, as the service says.
            most: How many rows a page holds at most, as the service says.
        """
        self._forget(window)
        reply = Reply(window, tuple(rows), total, most)
        if (fault := self._habits.learn(reply, self._held)) is not None:
            self._give_up(fault)
        if not reply.rows:
            self._pass_over_nothing(reply)
            return
        self._held = sorted([*self._held, reply], key=lambda held: held.window.offset)
        used, deeper = self._join(reply)
        if deeper:
            self._seam.misses = sum(self._may_meet(held.window) for held in self._held)
        elif used:
            self._seam.misses = 0
        elif window is self._sent_for or self._may_meet(window):
            self._seam.misses += 1
        # What the trail has passed would only take up room.
        kept = [held for held in self._held if held.end > self._end]
        self._in_vain += len(self._held) - len(kept)
        self._held = kept

    def _forget(self, window: Window) -> None:
        self._asked.remove(window)
        if window in self._unread:
            self._unread.remove(window)

    def _pass_over_nothing(self, reply: Reply) -> None:
        is_sent_for = reply.window is self._sent_for
        self._in_vain += 1
        if reply.window.offset == 0 and (not reply.total or self._seam.misses):
            self.is_over = True  # whatever the total says, now for the second time
            return
        if is_sent_for and reply.window.offset == self._end:
            # Where the history has not moved, that is its end: the last call will tell.
            self._seam.nothing_behind = True
            self.is_over = self._end == 1 and (reply.total or 0) <= 1 and (self._total_at_end or 0) <= 1
        self._seam.looks_behind = False
        self._seam.misses += is_sent_for or self._may_meet(reply.window)

    def _join(self, fresh: Reply) -> tuple[bool, bool]:
        """Lengthen the trail by what meets it; whether the new answer did, and whether the trail goes deeper."""
        used = went_deeper = False
        while not self.is_over:
            reply = next((held for held in self._held if self._trail.meets(held)), None)
            if reply is None:
                break
            self._held.remove(reply)
            deeper = self._use(reply, is_fresh=reply is fresh)
            used, went_deeper = used or reply is fresh, went_deeper or deeper
        return used, went_deeper

    def _use(self, reply: Reply, *, is_fresh: bool) -> bool:
        rows, deeper = self._trail.extend(reply)
        self._in_vain += not deeper
        if rows:
            self.ready.append(ListedPage(rows, reply.total))
        if self._ends_the_history(reply, goes_deeper=deeper):
            self.is_over = True
        elif self._trail.bad_at_end >= self._habits.cap - 1:
            self._give_up("a whole page of rows without an id: nothing shows how it joins the pages around it")
        elif deeper:
            self._advance(reply)
        elif is_fresh:
            self._stay(reply)
        return deeper

    def _ends_the_history(self, reply: Reply, *, goes_deeper: bool) -> bool:
        if not self._habits.has_room(reply):
            return False
        reaches_the_total = self._habits.reaches_the_total(reply)
        if reaches_the_total is not None:
            return reaches_the_total
        # Where no total says so, a second look does: behind the last call there was nothing.
        could_be_longer = self._habits.could_be_longer(reply) or (
            self._seam.nothing_behind and len(reply.rows) == 1
        )
        return not goes_deeper and could_be_longer and self._trail.ends_like(reply)

    def _stay(self, reply: Reply) -> None:
        """Learn from an answer without anything deeper: all has moved down, or the deepest calls have vanished."""
        self._seam.slid = self._seam.slid or reply.window is self._sent_for
        has_room = self._habits.has_room(reply)
        if has_room or self._trail.last_id in reply.places:
            self._trail.end_with(reply)
        self._end = self._trail.end_seen_from(reply) or max(self._end, reply.end)
        self._note_end(reply)
        # A short page before the total's end may have been cut, or the total is wrong.
        self._seam.looks_behind = has_room and not self._seam.nothing_behind and self._trail.ends_like(reply)

    def _note_end(self, reply: Reply) -> None:
        self._room_at_end = min(reply.window.limit, max(reply.most, len(reply.rows)))
        self._total_at_end, self._seam.moved = reply.total, 0

    def _advance(self, reply: Reply) -> None:
        self._end = reply.end
        self._note_end(reply)
        self._habits.settle_cap(reply)
        if self._trail.is_apart:  # on the way back from the top each request is one of the repair
            self._seam = Seam(slid=True, repairs=self._seam.repairs)
            return
        self._seam = Seam()
        self._pages += 1
        self._quiet_seams += 1
        if self._quiet_seams % QUIET_SEAMS == 0:
            self._overlap = max(1, self._overlap - 1)
        if self._failed is not None and self._failed[0].offset + self._failed[0].limit <= self._end:
            self._failed = None

    # --- What went wrong -----------------------------------------------------------------------------------

    def fail(self, window: Window, error: KrosaiError) -> None:
        """Take in that a window cannot be had; it matters once the trail has come there."""
        self._forget(window)
        if isinstance(error, BadRequestError) and self._pages and window.offset:
            refused = error
            error = ListingInconsistentError(
                f"the service takes no offset of {window.offset}: narrow the listing by date to see what follows"
            )
            error.__cause__ = refused
        if self._failed is None or window.offset < self._failed[0].offset:
            self._failed = window, error

    def dead_end(self) -> KrosaiError | None:
        """Why it cannot go on; to be told when all that is ready was passed on."""
        if self._inconsistent is not None:
            return self._inconsistent
        if self._failed is None or self._is_carried() or self._failed[0].offset > self._due:
            return None
        return self._failed[1]

    def resume(self) -> None:
        """Go on from where it stands, after an error or a pause; windows under way are asked for again."""
        self._asked.clear()
        self._unread.clear()
        self._failed = self._inconsistent = None
        self._habits.forget_setbacks()
        self._seam = Seam()
        self._in_vain = self._ahead = 0

    def spare_rows(self) -> tuple[Row, ...]:
        """What has come and cannot be vouched for: there may be calls between it and what was given."""
        return self._trail.unknown(self._held)

    def _give_up(self, why: str) -> None:
        self._inconsistent = self._inconsistent or ListingInconsistentError(why)
