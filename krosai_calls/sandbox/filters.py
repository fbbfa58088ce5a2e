"""Which calls a listing asks for, and where they stand in the settled part of the history."""

from __future__ import annotations

import bisect
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from krosai_calls.sandbox.timeline import Call

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

    def accept_date(self, moment: datetime) -> bool:
        """Tell whether a call that was created then is wanted."""
        return (self.from_date is None or self.from_date <= moment) and (
            self.to_date is None or moment <= self.to_date
        )

    @property
    def only_dates(self) -> bool:
        """Whether the date alone decides."""
        return self.status is self.direction is self.phone_number_id is self.endpoint_id is None


EVERYTHING = Filters()


class Settled:
    """The calls that stand as the timeline has them; they never change, so what was found of them holds.

    Args:
        slots: Where they stand, newest first.
        begins: Tells when a slot's call begins.
        call: Makes a slot's call.
    """

    def __init__(self, slots: range, begins: Callable[[int], datetime], call: Callable[[int], Call]) -> None:
        self.slots = slots
        self._begins = begins
        self._call = call
        self._selections: OrderedDict[Filters, Sequence[int]] = OrderedDict()

    def select(self, filters: Filters) -> Sequence[int]:
        """Give the slots of the wanted calls, newest first; their parts can be taken without copying."""
        if (known := self._selections.get(filters)) is not None:
            self._selections.move_to_end(filters)
            return known
        selected = self._selections[filters] = self._select(filters)
        if len(self._selections) > _RECENT_SELECTIONS:
            self._selections.popitem(last=False)
        return selected

    def _select(self, filters: Filters) -> Sequence[int]:
        slots = self._within(filters.from_date, filters.to_date)
        if filters.only_dates:
            return slots
        return memoryview(array("q", (slot for slot in slots if filters.accept(self._call(slot)))))

    def _within(self, from_date: datetime | None, to_date: datetime | None) -> range:
        slots, begins = self.slots, self._begins
        if to_date is not None:
            slots = slots[bisect.bisect_left(slots, True, key=lambda slot: begins(slot) <= to_date) :]
        if from_date is not None:
            slots = slots[: bisect.bisect_left(slots, True, key=lambda slot: begins(slot) < from_date)]
        return slots
