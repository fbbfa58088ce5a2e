"""What a run has to list again, so that it asks only for what can have changed. Pure: knowledge in, plans out.

What was listed to its end is covered, a stretch of time for each set of filters; a run lists the gaps. A gap is
asked for a little beyond its borders, up to calls that are known: where none of these comes back, the service
reads the bounds otherwise than we do, and the run lists without them. Calls below that are still open (not ended,
or with something wanted of them) are listed again where they stand close together, and asked for one by one where
they stand alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from attrs import define, field, frozen

BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)
# A page is paid for anyway: so many known calls beside a gap are listed with it, and late ones among them found.
ANCHORS = 50
PAGE = 100
# Bounds are inclusive, as far as is known, and times may be rounded on the way.
ROUNDING = timedelta(seconds=1)
# So far may calls to come stand out of place, besides twice as far as those that came.
SLACK = timedelta(minutes=1)
# So many calls, each older or newer than all before, tell a listing's order; fewer may stand in one by chance.
ENOUGH = 30
# A listing by status does not show the calls that have another one now: those of the last day may still get it.
UNSETTLED = timedelta(hours=24)


@frozen
class Span:
    """A stretch of the history, by when calls were created; both ends belong to it.

    Attributes:
        start: Its oldest moment; BEGINNING for no bound.
        end: Its newest; END for no bound.
    """

    start: datetime
    end: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment <= self.end


@frozen
class KnownCall:
    """A call of the catalogue, as far as planning needs it.

    Attributes:
        call_id: Its id.
        created_at: When it was created.
        between: Of an open one: how many calls stand between it and the open one above it; PAGE at most.
        has_address: Whether it can be asked for alone; not where its id would be part of no path.
    """

    call_id: str
    created_at: datetime
    between: int = 0
    has_address: bool = True


@frozen
class Walk:
    """A stretch to be listed.

    Attributes:
        span: What is asked for.
        gap: What of it is not covered, if any is: covered when the walk is complete.
        anchors: Known calls at each bounded end: of each of these sets, one has to come back.
        is_closed: Whether all newer calls are known; else some may come yet, above the newest one.
    """

    span: Span
    gap: Span | None = None
    anchors: tuple[frozenset[str], ...] = ()
    is_closed: bool = False

    def leads_on(self, moments: Iterable[datetime | None]) -> bool:
        """Whether it goes on after a page with calls of these times; a look ahead ends where it has no bounds."""
        is_look_ahead = self.gap is None and not self.anchors
        return not is_look_ahead or any(moment in self.span for moment in moments if moment is not None)


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same stretches without overlaps, oldest first."""
    result: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if span.start > span.end:
            continue
        if result and span.start <= result[-1].end:
            result[-1] = Span(result[-1].start, max(result[-1].end, span.end))
        else:
            result.append(span)
    return result


def gaps(wanted: Span, covered: Iterable[Span]) -> list[Span]:
    """What of a stretch is not covered, newest first."""
    found = []
    start = wanted.start
    for span in merged(covered):
        if span.end < start:
            continue
        if span.start > wanted.end:
            break
        if span.start > start:
            found.append(Span(start, span.start))
        start = span.end
        if start >= wanted.end:
            break
    if start < wanted.end:
        found.append(Span(start, wanted.end))
    return found[::-1]


def walk_of(gap: Span, wanted: Span, below: Sequence[KnownCall], above: Sequence[KnownCall]) -> Walk:
    """The walk through a gap.

    Args:
        gap: What is not covered.
        wanted: What the caller wants at all; beyond it nothing is asked for.
        below: Known calls below the gap, the nearest first.
        above: Known calls above it, the nearest first.
    """
    start, end, anchors = wanted.start, wanted.end, []
    is_closed = gap.end < wanted.end and bool(above)
    if gap.start > wanted.start and below:
        start = max(wanted.start, _earlier(below[-1].created_at, ROUNDING))
        anchors.append(frozenset(known.call_id for known in below))
    if is_closed:
        end = min(wanted.end, _later(above[-1].created_at, ROUNDING))
        anchors.append(frozenset(known.call_id for known in above))
    return Walk(Span(start, end), gap, tuple(anchors), is_closed)


def look_ahead(walk: Walk, stretch: Span) -> Walk | None:
    """A walk to what cannot wait until a long walk has come to it; None where that will not come to it at all."""
    if walk.gap is None:
        return None
    span = Span(max(walk.gap.start, stretch.start), min(walk.gap.end, stretch.end))
    return Walk(span) if span.start < span.end else None


def reopened(open_calls: Iterable[KnownCall], listed: Sequence[Span]) -> tuple[list[Walk], list[str]]:
    """How to look at open calls with the fewest requests.

    Args:
        open_calls: The calls that have to be looked at again, newest first.
        listed: What is listed in any case.

    Returns:
        Walks over places where they stand close together, and the ids of those to be asked for one by one.
    """
    groups: list[list[KnownCall]] = [[]]
    for call in open_calls:
        is_listed = any(call.created_at in span for span in listed)
        if is_listed or call.between >= PAGE:
            groups.append([])
        if not is_listed:
            groups[-1].append(call)
    walks: list[Walk] = []
    alone: list[str] = []
    for group in filter(None, groups):
        rows = len(group) + sum(call.between for call in group[1:])
        if 1 + rows // PAGE < len(group) or not all(call.has_address for call in group):
            span = Span(_earlier(group[-1].created_at, ROUNDING), _later(group[0].created_at, ROUNDING))
            walks.append(Walk(span, None, (frozenset(call.call_id for call in group),)))
        else:
            alone += [call.call_id for call in group]
    return walks, alone


@define
class Progress:
    """How far a walk has come, and what is covered by it.

    Attributes:
        walk: The walk.
        now: The present: calls that claim to be of later do not hide those that will be.
        shows_all: Whether calls that are listed now are all that ever will be: not where a status is asked for.
    """

    walk: Walk
    now: datetime = END
    shows_all: bool = True
    _count: int = field(default=0, init=False)
    # How many of them were older or newer than all before.
    _steps: int = field(default=0, init=False)
    _newest: datetime = field(default=BEGINNING, init=False)
    _oldest: datetime = field(default=END, init=False)
    # What these two were before each of the last calls, the earliest of those first.
    _before: deque[tuple[datetime, datetime]] = field(factory=lambda: deque(maxlen=PAGE), init=False)
    # How far a call was newer than one before it, and how far older.
    _risen: timedelta = field(default=timedelta(), init=False)
    _fallen: timedelta = field(default=timedelta(), init=False)
    _seen: set[str] = field(factory=set, init=False)

    def note(self, calls: Iterable[tuple[str, datetime | None]]) -> None:
        """Take in calls that can be vouched for, in the order in which they came.

        Args:
            calls: The id of each, and when it was created.
        """
        anchors = frozenset().union(*self.walk.anchors)
        for call_id, created_at in calls:
            if call_id in anchors:
                self._seen.add(call_id)
            if created_at is None:
                continue
            if self._count:
                self._risen = max(self._risen, created_at - self._oldest)
                self._fallen = max(self._fallen, self._newest - created_at)
                self._before.append((self._oldest, self._newest))
            self._steps += not self._oldest <= created_at <= self._newest
            self._count += 1
            self._newest, self._oldest = max(self._newest, created_at), min(self._oldest, created_at)

    @property
    def is_out_of_bounds(self) -> bool:
        """Whether none of the calls at one of its ends came back."""
        return any(not (anchors & self._seen) for anchors in self.walk.anchors)

    def covered(self, *, is_complete: bool) -> Span | None:
        """What can be called listed by now, or None."""
        gap = self.walk.gap
        if gap is None or not self._count or (is_complete and self.is_out_of_bounds):
            return None
        start, end = gap.start, gap.end
        if not self.walk.is_closed:
            end = min(self._newest, self.now)
            end = end if self.shows_all else _earlier(end, UNSETTLED)
        if not is_complete:
            given = self._given_for_good()
            if given is None:
                return None
            start, end = max(start, given.start), min(end, given.end)
        return Span(start, end) if start < end else None

    def _given_for_good(self) -> Span | None:
        """The stretch into which no call to come can belong, as far as the order of those that came tells."""
        disorder = min(self._risen, self._fallen)
        oldest, newest = self._oldest, self._newest
        if self._steps < ENOUGH or self._risen == self._fallen:
            return None
        if disorder > ROUNDING:  # it is by another time: how far off that is, a page of calls beyond has to show
            if len(self._before) < PAGE:
                return None
            oldest, newest = self._before[0]
        if self._risen < self._fallen:  # newest first
            start = _later(oldest, 2 * disorder + SLACK)
            return Span(start, END) if start <= self._newest else None
        end = _earlier(newest, 2 * disorder + SLACK)
        return Span(BEGINNING, end) if end >= self._oldest else None


def _later(moment: datetime, by: timedelta) -> datetime:
    return moment + by if END - moment > by else END


def _earlier(moment: datetime, by: timedelta) -> datetime:
    return moment - by if moment - BEGINNING > by else BEGINNING
