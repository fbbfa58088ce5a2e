"""What a run has to list again, so that it asks only for what can have changed. Pure: knowledge in, plans out.

What was listed to its end is covered, a stretch of time for each set of filters; a run lists the gaps. A gap is
asked for a little beyond its borders, up to calls that are known: where none of these comes back, the service
reads the bounds otherwise than we do, and the run lists without them. Calls below that are still open (not ended,
or with something wanted of them) are listed again where they stand close together, and asked for one by one where
they stand alone.
"""

from __future__ import annotations

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
# So far may a call stand out of place before a listing counts as one without an order of time.
SLACK = timedelta(minutes=1)
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
        is_open: Whether it has to be looked at again.
    """

    call_id: str
    created_at: datetime
    is_open: bool = False


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
        start = max(wanted.start, below[-1].created_at - ROUNDING)
        anchors.append(frozenset(known.call_id for known in below))
    if is_closed:
        end = min(wanted.end, above[-1].created_at + ROUNDING)
        anchors.append(frozenset(known.call_id for known in above))
    return Walk(Span(start, end), gap, tuple(anchors), is_closed)


def reopened(known: Iterable[KnownCall], listed: Sequence[Span]) -> tuple[list[Walk], list[str]]:
    """How to look at open calls with the fewest requests.

    Args:
        known: The calls of the catalogue, newest first, at least down to the oldest open one.
        listed: What is listed in any case.

    Returns:
        Walks over places where they stand close together, and the ids of those to be asked for one by one.
    """
    walks: list[Walk] = []
    alone: list[str] = []
    group: list[KnownCall] = []
    rows = between = 0

    def close() -> None:
        if not group:
            return
        if 1 + rows // PAGE < len(group):
            span = Span(group[-1].created_at - ROUNDING, group[0].created_at + ROUNDING)
            walks.append(Walk(span, None, (frozenset(call.call_id for call in group),)))
        else:
            alone.extend(call.call_id for call in group)
        group.clear()

    for call in known:
        if any(call.created_at in span for span in listed):
            close()
        elif not call.is_open:
            between += 1
        else:
            if group and between >= PAGE:
                close()
            rows = rows + between + 1 if group else 1
            group.append(call)
            between = 0
    close()
    return walks, alone


@define
class Progress:
    """How far a walk has come, and what is covered by it.

    Attributes:
        walk: The walk.
        shows_all: Whether calls that are listed now are all that ever will be: not where a status is asked for.
    """

    walk: Walk
    shows_all: bool = True
    _newest: datetime | None = field(default=None, init=False)
    _oldest: datetime | None = field(default=None, init=False)
    _descends: bool = field(default=True, init=False)
    _ascends: bool = field(default=True, init=False)
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
            if self._newest is None or self._oldest is None:
                self._newest = self._oldest = created_at
            self._descends = self._descends and created_at <= self._oldest + SLACK
            self._ascends = self._ascends and created_at >= self._newest - SLACK
            self._newest, self._oldest = max(self._newest, created_at), min(self._oldest, created_at)

    @property
    def is_out_of_bounds(self) -> bool:
        """Whether none of the calls at one of its ends came back."""
        return any(not (anchors & self._seen) for anchors in self.walk.anchors)

    def covered(self, *, is_complete: bool) -> Span | None:
        """What can be called listed by now, or None."""
        gap = self.walk.gap
        if gap is None or self._newest is None or self._oldest is None:
            return None
        if is_complete and self.is_out_of_bounds:
            return None
        end = gap.end if self.walk.is_closed else self._newest
        if not self.shows_all and not self.walk.is_closed:
            end = min(end, self._newest - UNSETTLED)
        start = gap.start
        if not is_complete:
            if self._descends:
                start = max(start, self._oldest + SLACK)
            elif self._ascends:
                end = min(end, self._newest - SLACK)
            else:
                return None
        return Span(start, end) if start < end else None
