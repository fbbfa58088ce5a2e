"""A settled listing with a few changes in it, at the cost of the changes alone: a million calls are not copied."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple, overload


class Change(NamedTuple):
    """What is different at one place of a settled listing. Changes sort by their place.

    Attributes:
        slot: The place: just before this slot, or, for a change of the timeline's own, the slot itself.
        is_added: Whether the call stands beside the timeline; otherwise it takes the slot's place.
        begin: Which of several calls at one place comes first: the later one.
        number: The call's number.
    """

    slot: int
    is_added: bool
    begin: float
    number: int


class Listed(Sequence[int]):
    """Numbers of calls, newest first, put together from runs of others."""

    def __init__(self, runs: Iterable[Sequence[int]]) -> None:
        self._runs = [run for run in runs if len(run)]
        self._ends = list(itertools.accumulate(map(len, self._runs)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> list[int]: ...
    def __getitem__(self, index: int | slice) -> int | list[int]:
        places = range(len(self))[index]
        return [self._at(place) for place in places] if isinstance(places, range) else self._at(places)

    def _at(self, place: int) -> int:
        run = bisect.bisect_right(self._ends, place)
        return self._runs[run][place - (self._ends[run - 1] if run else 0)]


def with_changes(base: Sequence[int], changes: Iterable[Change], visible: set[int]) -> Sequence[int]:
    """Put changes into a settled listing.

    Args:
        base: The slots that the settled listing has, newest first.
        changes: Every call that was added, or stands otherwise than the timeline has it, newest first.
        visible: The numbers of those that are to be listed; the others are left out.
    """
    runs: list[Sequence[int]] = []
    start = 0
    for change in changes:
        stop = bisect.bisect_left(base, -change.slot, lo=start, key=lambda slot: -slot)
        runs.append(base[start:stop])
        replaces = not change.is_added and stop < len(base) and base[stop] == change.slot
        start = stop + replaces
        if change.number in visible:
            runs.append((change.number,))
    return Listed([*runs, base[start:]])
