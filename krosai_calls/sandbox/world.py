"""The calls that can be seen at one moment: a piece of the timeline, and what the moment makes of it."""

from __future__ import annotations

import bisect
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from krosai_calls.sandbox.timeline import Call, Timeline

RETENTION = timedelta(days=90)
# How the newest calls stand, from the very newest on.
LIVE_STATUSES = ("initiated", "ringing", "in_progress")
# A smaller world has only calls that have ended, so that the first look already shows a recording.
SMALLEST_WORLD_WITH_LIVE_CALLS = 20

_RECENT_CALLS = 4096
_RECENT_SELECTIONS = 16


@dataclass(frozen=True, slots=True)
class Filters:
    """Which calls are wanted; None stands for any. Both dates are inclusive and mean when a call was created."""

    status: str | None = None
    direction: str | None = None
    phone_number_id: str | None = None
    endpoint_id: str | None = None
    from_date: datetime | None = None
    to_date: datetime | None = None

    def accept(self, call: Call) -> bool:
        """Tell whether a call is wanted, its date aside."""
        return (
            (self.status is None or call.status == self.status)
            and (self.direction is None or call.direction == self.direction)
            and (self.phone_number_id is None or call.place.phone_number_id == self.phone_number_id)
            and (self.endpoint_id is None or call.endpoint_id == self.endpoint_id)
        )

    @property
    def only_dates(self) -> bool:
        """Whether the date alone decides."""
        return self.status is self.direction is self.phone_number_id is self.endpoint_id is None


class World:
    """The last so many calls before a moment. A call is made when it is looked at, so a large world costs nothing.

    Args:
        timeline: The history to cut from.
        calls: How many calls there are.
        now: The moment it is.
    """

    def __init__(self, timeline: Timeline, calls: int, now: datetime) -> None:
        self.timeline = timeline
        self.now = now
        # Even the newest call has had the time to be talked to its end.
        newest = timeline.slot_before(now - timedelta(seconds=timeline.longest_call_seconds + 60))
        self._slots = range(newest, newest - calls, -1)
        self._settled = lru_cache(maxsize=_RECENT_CALLS)(timeline.call)
        self._live = self._slots[: len(LIVE_STATUSES)] if calls >= SMALLEST_WORLD_WITH_LIVE_CALLS else range(0)
        self._unprocessed = self._newest_completed() if self._live else None
        self._hung_up: dict[int, Call] = {}
        self._selections: OrderedDict[Filters, Sequence[int]] = OrderedDict()

    def slots(self, filters: Filters | None = None) -> Sequence[int]:
        """Give the slots of the wanted calls, newest first."""
        if filters is None:
            return self._slots
        if (known := self._selections.get(filters)) is not None:
            return known
        selected = self._selections[filters] = self._select(filters)
        if len(self._selections) > _RECENT_SELECTIONS:
            self._selections.popitem(last=False)
        return selected

    def call(self, slot: int) -> Call:
        """Give a slot's call as it stands now."""
        if (hung_up := self._hung_up.get(slot)) is not None:
            return hung_up
        call = self._settled(slot)
        if slot in self._live:
            return self._still_live(call, LIVE_STATUSES[self._live.index(slot)])
        if slot == self._unprocessed:
            return replace(call, processed=False)
        return call if self.now - call.created_at <= RETENTION else replace(call, retained=False)

    def find(self, call_id: str) -> Call | None:
        """Find a call by its id."""
        slot = self.timeline.slot_of(call_id)
        return self.call(slot) if slot is not None and slot in self._slots else None

    def hang_up(self, call: Call, at: datetime) -> Call:
        """End a live call and give it as it stands then. What it leaves behind is not processed yet."""
        ended_at = max(at, call.answered_at or call.created_at)
        talked = timedelta() if call.answered_at is None else ended_at - call.answered_at
        ended = replace(
            call,
            status="completed",
            hangup_cause="agent_hangup",
            completed_at=ended_at,
            duration=talked // timedelta(seconds=1),
            processed=False,
        )
        self._hung_up[call.slot] = ended
        self._selections.clear()
        return ended

    def reset(self) -> None:
        """Take back every hang-up."""
        self._hung_up.clear()
        self._selections.clear()

    def _select(self, filters: Filters) -> Sequence[int]:
        slots = self._within(filters.from_date, filters.to_date)
        if filters.only_dates:
            return slots
        return array("q", (slot for slot in slots if filters.accept(self.call(slot))))

    def _within(self, from_date: datetime | None, to_date: datetime | None) -> range:
        slots, begins = self._slots, self.timeline.begins
        if to_date is not None:
            slots = slots[bisect.bisect_left(slots, True, key=lambda slot: begins(slot) <= to_date) :]
        if from_date is not None:
            slots = slots[: bisect.bisect_left(slots, True, key=lambda slot: begins(slot) < from_date)]
        return slots

    def _newest_completed(self) -> int | None:
        ended = self._slots[len(self._live) :]
        return next((slot for slot in ended if self._settled(slot).status == "completed"), None)

    def _still_live(self, call: Call, status: str) -> Call:
        # Talked to for seconds only, wherever in its slot it began: hanging up gives a duration as calls have it.
        talking_since = (self.now - timedelta(seconds=20)).replace(microsecond=0)
        return replace(
            call,
            status=status,
            hangup_cause=None,
            ringing_at=None if status == "initiated" else call.ringing_at,
            answered_at=talking_since if status == "in_progress" else None,
            completed_at=None,
            duration=0,
        )
