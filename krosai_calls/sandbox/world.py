"""The one place that says which calls there are and how they stand: a piece of the timeline, and what has changed.

Every question is answered for one moment, and by what was true between two changes: whoever asks or changes
something may do so from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TypeVar

from krosai_calls.errors import SettingsError
from krosai_calls.sandbox import added, lives
from krosai_calls.sandbox.added import CallFields
from krosai_calls.sandbox.filters import EVERYTHING, Filters, Settled
from krosai_calls.sandbox.listed import Change, with_changes
from krosai_calls.sandbox.lives import FINAL_STATUSES, LIVE_STATUSES, Life
from krosai_calls.sandbox.timeline import EPOCH, Call, Timeline

T = TypeVar("T")

# A smaller world has only calls that have ended, so that the first look already shows a recording.
SMALLEST_WORLD_WITH_LIVE_CALLS = 20
MOST_CHANGES = 100_000

_RECENT_CALLS = 4096
_RECENT_LISTINGS = 16
# Beyond every slot: the timeline's calendar has no room for so many.
_FIRST_ADDED = 1 << 50


class World:
    """The last so many calls before a moment, and what has become of them since.

    A call is made when it is looked at, so a large world costs nothing; what has changed is kept beside it.

    Args:
        timeline: The history to cut from.
        calls: How many calls there are at first.
        now: The moment the history begins to be looked at.
        clock: Tells what time it is in the history; else it stays ``now``.
    """

    def __init__(
        self, timeline: Timeline, calls: int, now: datetime, clock: Callable[[], datetime] | None = None
    ) -> None:
        self.timeline = timeline
        self.now = now
        self._clock = clock or (lambda: now)
        # Even the newest call has had the time to be talked to its end, and to be processed.
        newest = timeline.slot_before(now - timedelta(seconds=timeline.longest_call_seconds + 90))
        self._slots = range(newest, newest - calls, -1)
        self._settled_call = lru_cache(maxsize=_RECENT_CALLS)(timeline.call)
        self._settled = Settled(self._slots, timeline.begins, self._settled_call)
        self._lock = threading.RLock()
        self._newest_at = EPOCH
        self._listings: dict[Filters, Sequence[int]] = {}
        self._listed_at = self._listed_until = now
        self._in_order: list[Change] | None = None
        self.reset()

    # ---- what there is

    def slots(self, filters: Filters = EVERYTHING) -> Sequence[int]:
        """Give the numbers of the wanted calls, newest first."""
        with self._lock:
            return self._listing(filters, self._clock())

    def call(self, number: int) -> Call:
        """Give the call of a number as it stands now.

        Raises:
            LookupError: There is none.
        """
        with self._lock:
            call = self._call(number, self._clock())
        if call is None:
            raise LookupError(f"there is no call number {number}")
        return call

    def page(
        self, filters: Filters, start: int, stop: int, *, oldest_first: bool = False
    ) -> tuple[list[Call], int]:
        """Give the wanted calls from one place to another, and how many there are on all pages."""
        with self._lock:
            moment = self._clock()
            numbers = self._listing(filters, moment)
            total = len(numbers)
            if not oldest_first:
                return list(self._calls(numbers[start:stop], moment)), total
            wanted = numbers[max(total - stop, 0) : max(total - start, 0)]
            return list(self._calls(wanted, moment))[::-1], total

    def read(self, filters: Filters, reader: Callable[[Iterator[Call]], T]) -> T:
        """Give all wanted calls to a reader, one by one, and what it makes of them to the caller."""
        with self._lock:
            moment = self._clock()
            return reader(self._calls(self._listing(filters, moment), moment))

    def find(self, call_id: str) -> Call | None:
        """Find a call by its id."""
        with self._lock:
            number = self._number_of(call_id)
            return None if number is None else self._call(number, self._clock())

    # ---- what becomes of it

    def add(self, fields: CallFields) -> Call:
        """Add a call and give it as it stands now.

        Raises:
            SettingsError: What is said of it cannot be right, its id is taken, or too much has been changed.
        """
        added.check(fields)
        with self._lock:
            now, number = self._clock(), _FIRST_ADDED + self._added
            life = added.life_of(fields, number, self.timeline, now=now, newest=self._newest_at)
            call = life.whole
            if self._number_of(call.id) is not None:
                raise SettingsError(f"id is taken: there is a call {call.id!r} already")
            begin = call.created_at.timestamp()
            self._change(number, life, Change(self.timeline.slot_before(call.created_at), True, begin, number))
            self._ids[call.id] = number
            self._added += 1
            self._newest_at = max(self._newest_at, call.created_at)
            return lives.retained(life.at(now), now)

    def end(self, call_id: str, status: str, hangup_cause: str | None = None) -> Call:
        """End a live call and give it as it stands then. What it leaves behind comes later.

        Raises:
            SettingsError: There is no such call, or it has ended already.
        """
        with self._lock:
            now, number = self._clock(), self._number_of(call_id)
            call = None if number is None else self._call(number, now)
            if call is None:
                raise SettingsError(f"there is no call {call_id!r} to be ended")
            if call.status in FINAL_STATUSES:
                raise SettingsError(f"the call {call_id!r} has already ended: {call.status}")
            life = lives.ended(call, now, status, hangup_cause or FINAL_STATUSES[status])
            self._change(call.slot, life)
            return life.at(now)

    def delete(self, call_id: str) -> None:
        """Make a call as if it had never been.

        Raises:
            SettingsError: There is no such call.
        """
        with self._lock:
            number = self._number_of(call_id)
            if number is None:
                raise SettingsError(f"there is no call {call_id!r} to be deleted")
            if number < _FIRST_ADDED:
                self._change(number, None)
                return
            # Nothing of it is left, so that calls may come and go without end.
            for kept in (self._lives, self._changes):
                del kept[number]
            del self._ids[call_id]
            self._in_order = None
            self._forget_listings()

    def reset(self) -> None:
        """Take back every change."""
        with self._lock:
            self._lives: dict[int, Life | None] = {}
            self._changes: dict[int, Change] = {}
            self._ids: dict[str, int] = {}
            self._added = 0
            self._newest_at = self.timeline.begins(self._slots[0]) if len(self._slots) else EPOCH
            self._forget_listings()
            for slot, life in self._lives_at_first():
                self._change(slot, life)

    def _lives_at_first(self) -> Iterator[tuple[int, Life]]:
        if len(self._slots) < SMALLEST_WORLD_WITH_LIVE_CALLS:
            return
        for slot, status in zip(self._slots, LIVE_STATUSES, strict=False):
            yield slot, lives.live_at_first(self.timeline, slot, status, self.now)
        for slot in self._slots[len(LIVE_STATUSES) :]:
            if self._settled_call(slot).status == "completed":
                yield slot, lives.unprocessed_at_first(self.timeline, slot, self.now)
                return

    def _change(self, number: int, life: Life | None, change: Change | None = None) -> None:
        if number not in self._changes:
            if len(self._changes) >= MOST_CHANGES:
                raise SettingsError(f"{MOST_CHANGES:,} calls have been changed in this sandbox: reset it")
            self._changes[number] = change or Change(number, False, 0.0, number)
            self._in_order = None
        self._lives[number] = life
        self._forget_listings()

    # ---- how it stands at a moment; the lock is held

    def _call(self, number: int, moment: datetime) -> Call | None:
        if number in self._lives:
            life = self._lives[number]
            return None if life is None else lives.retained(life.at(moment), moment)
        return lives.retained(self._settled_call(number), moment) if number in self._slots else None

    def _calls(self, numbers: Sequence[int], moment: datetime) -> Iterator[Call]:
        for number in numbers:
            call = self._call(number, moment)
            assert call is not None
            yield call

    def _number_of(self, call_id: str) -> int | None:
        number = self._ids.get(call_id)
        if number is None:
            number = self.timeline.slot_of(call_id)
        if number in self._lives:
            return None if self._lives[number] is None else number
        return number if number in self._slots else None

    def _listing(self, filters: Filters, moment: datetime) -> Sequence[int]:
        if not self._listed_at <= moment < self._listed_until:
            self._forget_listings()
            turns = (life.turn_after(moment) for life in self._lives.values() if life is not None)
            never = datetime.max.replace(tzinfo=moment.tzinfo)
            self._listed_at, self._listed_until = moment, min((turn for turn in turns if turn), default=never)
        if (known := self._listings.get(filters)) is None:
            if len(self._listings) >= _RECENT_LISTINGS:
                self._listings.clear()
            known = self._listings[filters] = self._listing_with_changes(filters, moment)
        return known

    def _listing_with_changes(self, filters: Filters, moment: datetime) -> Sequence[int]:
        settled = self._settled.select(filters)
        if not self._changes:
            return settled
        if self._in_order is None:
            self._in_order = sorted(self._changes.values(), reverse=True)
        changed = ((number, self._call(number, moment)) for number in self._changes)
        visible = {
            number
            for number, call in changed
            if call is not None and filters.accept(call) and filters.accept_date(call.created_at)
        }
        return with_changes(settled, self._in_order, visible)

    def _forget_listings(self) -> None:
        self._listings.clear()
        self._listed_until = self._listed_at  # so that the next look begins anew
