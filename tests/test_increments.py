"""What has to be listed again: rules over times, without a catalogue or a service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from krosai_calls._increments import (
    ANCHORS,
    BEGINNING,
    END,
    PAGE,
    KnownCall,
    Progress,
    Span,
    Walk,
    gaps,
    merged,
    reopened,
    walk_of,
)

NOON = datetime(2025, 1, 10, 12, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
ALL = Span(BEGINNING, END)


def at(hours: float) -> datetime:
    return NOON + hours * HOUR


def span(start: float | None, end: float | None) -> Span:
    return Span(BEGINNING if start is None else at(start), END if end is None else at(end))


def known(*hours: float) -> list[KnownCall]:
    return [KnownCall(f"call_{hour}", at(hour)) for hour in hours]


def given_calls(*hours: float) -> list[tuple[str, datetime | None]]:
    return [(f"call_{hour}", at(hour)) for hour in hours]


# --- Stretches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([span(3, 4), span(1, 2)], [span(1, 2), span(3, 4)], id="oldest first"),
        pytest.param([span(1, 3), span(2, 4)], [span(1, 4)], id="overlapping"),
        pytest.param([span(1, 2), span(2, 4)], [span(1, 4)], id="touching"),
        pytest.param([span(1, 9), span(2, 4)], [span(1, 9)], id="one inside the other"),
        pytest.param([span(2, 1)], [], id="the wrong way round"),
        pytest.param([span(None, 2), span(1, None)], [ALL], id="everything"),
    ],
)
def test_stretches_are_joined(spans: list[Span], expected: list[Span]) -> None:
    assert merged(spans) == expected


@pytest.mark.parametrize(
    ("wanted", "covered", "expected"),
    [
        pytest.param(ALL, [], [ALL], id="nothing covered"),
        pytest.param(ALL, [span(None, 5)], [span(5, None)], id="what is new"),
        pytest.param(ALL, [span(3, 5)], [span(5, None), span(None, 3)], id="newest first"),
        pytest.param(span(1, 9), [span(2, 3), span(5, 6)], [span(6, 9), span(3, 5), span(1, 2)], id="between"),
        pytest.param(span(1, 9), [span(None, None)], [], id="inside"),
        pytest.param(span(1, 9), [span(1, 9)], [], id="exactly"),
        pytest.param(span(4, 9), [span(1, 2), span(10, 11)], [span(4, 9)], id="elsewhere"),
        pytest.param(span(4, 9), [span(1, 5), span(8, 11)], [span(5, 8)], id="over the ends"),
    ],
)
def test_what_is_not_covered_is_a_gap(wanted: Span, covered: list[Span], expected: list[Span]) -> None:
    assert gaps(wanted, covered) == expected


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda ends: span(min(ends), max(ends)))),
    st.integers(0, 30),
)
def test_a_moment_is_covered_or_in_a_gap(covered: list[Span], hour: int) -> None:
    moment, wanted = at(hour + 0.5), span(0, 31)
    is_covered = any(moment in stretch for stretch in covered)
    assert is_covered != any(moment in gap for gap in gaps(wanted, covered))


# --- Walks --------------------------------------------------------------------------------------------------


def test_a_first_walk_asks_for_everything() -> None:
    assert walk_of(ALL, ALL, [], []) == Walk(ALL, ALL)


def test_what_is_new_is_asked_for_down_to_known_calls() -> None:
    walk = walk_of(span(5, None), ALL, known(5, 4, 3), [])
    assert walk.span == Span(at(3) - SECOND, END)
    assert walk.anchors == (frozenset({"call_5", "call_4", "call_3"}),)
    assert not walk.is_closed


def test_a_gap_below_is_asked_for_up_to_known_calls() -> None:
    walk = walk_of(span(None, 5), ALL, [], known(5, 6, 7))
    assert walk.span == Span(BEGINNING, at(7) + SECOND)
    assert walk.is_closed


def test_nothing_beyond_what_is_wanted_is_asked_for() -> None:
    walk = walk_of(span(5, 6), span(4, 7), known(5, 1), known(6, 9))
    assert walk.span == span(4, 7)


def test_without_known_calls_below_all_that_is_wanted_is_asked_for() -> None:
    assert walk_of(span(5, 9), span(1, 9), [], []).span == span(1, 9)


@pytest.mark.parametrize("moment", [BEGINNING, END])
def test_times_at_the_ends_of_time_are_borne(moment: datetime) -> None:
    edge = [KnownCall("edge", moment)]
    assert walk_of(span(5, 6), ALL, edge, edge).span in (
        Span(BEGINNING, BEGINNING + SECOND),
        Span(END - SECOND, END),
    )
    assert reopened(edge, [])[1] == ["edge"]
    progress = Progress(Walk(ALL, ALL))
    progress.note([("a", moment), ("b", at(1)), ("c", moment)] * 9)
    assert progress.covered(is_complete=True) in (Span(BEGINNING, END), Span(BEGINNING, at(1)))


# --- What is open -------------------------------------------------------------------------------------------


def open_calls(*places: int) -> list[KnownCall]:
    """Open calls at places of a history with a call a minute, the newest at place 0."""
    above = [places[0], *places]
    return [
        KnownCall(f"call_{place}", NOON - place * MINUTE, min(PAGE, max(0, place - before - 1)))
        for place, before in zip(places, above, strict=False)
    ]


@pytest.mark.parametrize(
    ("places", "alone", "walks"),
    [
        pytest.param([7], ["call_7"], 0, id="one"),
        pytest.param([1, 2], [], 1, id="two neighbours"),
        pytest.param([1, 90], [], 1, id="two on a page"),
        pytest.param([1, 150], ["call_1", "call_150"], 0, id="two, a page apart"),
        pytest.param([1, 5000, 10000], ["call_1", "call_5000", "call_10000"], 0, id="far from each other"),
        pytest.param([1, 2, 3, 5000], ["call_5000"], 1, id="three together, and one far below"),
        pytest.param(list(range(0, 1000, 90)), [], 1, id="one on each page"),
    ],
)
def test_open_calls_are_looked_at_in_the_cheapest_way(places: list[int], alone: list[str], walks: int) -> None:
    found, singly = reopened(open_calls(*places), [])
    assert (singly, len(found)) == (alone, walks)


def test_a_walk_over_open_calls_reaches_a_little_beyond_them() -> None:
    ((walk,), _) = reopened(open_calls(1, 2, 3), [])
    assert walk.span == Span(NOON - 3 * MINUTE - SECOND, NOON - MINUTE + SECOND)
    assert walk.gap is None


def test_what_is_listed_in_any_case_is_not_asked_for_again() -> None:
    assert reopened(open_calls(1, 2, 3), [Span(NOON - HOUR, NOON)]) == ([], [])


def test_a_call_that_has_no_address_is_listed() -> None:
    (walk,), alone = reopened([KnownCall("../x", at(1), has_address=False)], [])
    assert (walk.span, alone) == (Span(at(1) - SECOND, at(1) + SECOND), [])


@given(st.lists(st.integers(0, 2000), unique=True, min_size=1).map(sorted))
def test_open_calls_never_cost_more_than_one_request_each(places: list[int]) -> None:
    walks, alone = reopened(open_calls(*places), [])
    listed = [place for place in range(2001) if any(NOON - place * MINUTE in walk.span for walk in walks)]
    assert {f"call_{place}" for place in places} == set(alone) | {
        f"call_{place}" for place in set(listed) & set(places)
    }
    assert len(alone) + len(walks) + len(listed) // PAGE <= len(places)


# --- How far a walk has come --------------------------------------------------------------------------------


def after(progress: Progress, *hours: float) -> Progress:
    progress.note(given_calls(*hours))
    return progress


def test_a_walk_to_its_end_covers_what_is_up_to_the_newest_call() -> None:
    assert after(Progress(Walk(ALL, ALL)), 9, 5, 7).covered(is_complete=True) == span(None, 9)


def test_a_walk_between_known_calls_covers_the_gap() -> None:
    walk = walk_of(span(3, 6), ALL, known(3), known(6))
    assert after(Progress(walk), 6, 5, 3).covered(is_complete=True) == span(3, 6)


def test_a_walk_whose_known_calls_did_not_come_back_covers_nothing() -> None:
    walk = walk_of(span(3, 6), ALL, known(3, 2), known(6))
    assert after(Progress(walk), 6, 5, 4).is_out_of_bounds
    assert after(Progress(walk), 6, 5, 4).covered(is_complete=True) is None
    assert not after(Progress(walk), 6, 5, 2).is_out_of_bounds


def test_a_walk_without_calls_covers_nothing() -> None:
    progress = Progress(Walk(ALL, ALL))
    progress.note([("undated", None)])
    assert progress.covered(is_complete=True) is None


def test_calls_of_the_future_do_not_cover_what_is_to_come() -> None:
    assert after(Progress(Walk(ALL, ALL), at(5)), 99, 4).covered(is_complete=True) == span(None, 5)


def test_where_a_status_is_asked_for_the_last_day_stays_open() -> None:
    progress = after(Progress(Walk(ALL, ALL), shows_all=False), 99, 4)
    assert progress.covered(is_complete=True) == span(None, 75)


COUNTDOWN = [100 - hour for hour in range(50)]
LONG = [300 - hour for hour in range(160)]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        pytest.param(COUNTDOWN, Span(at(51) + MINUTE, at(100)), id="newest first"),
        pytest.param(COUNTDOWN[::-1], Span(BEGINNING, at(100) - MINUTE), id="oldest first"),
        pytest.param([100, 98, 99, *COUNTDOWN[3:]], None, id="nearly in order, and no page of calls beyond"),
        # The last hundred tell how far the others may be out of place: by an hour, and so by two at most.
        pytest.param([300, 298, 299, *LONG[3:]], Span(at(241 + 2) + MINUTE, at(300)), id="nearly in order"),
        pytest.param(
            [301 - hour for hour in (300, 298, 299, *LONG[3:])],
            Span(BEGINNING, at(60 - 2) - MINUTE),
            id="nearly in order, oldest first",
        ),
        pytest.param(Random(1).sample(COUNTDOWN, 50), None, id="in no order"),
        pytest.param(COUNTDOWN[:29], None, id="too few to tell"),
        pytest.param([*COUNTDOWN[:20], *[81] * 35], None, id="many of one instant, and too few others to tell"),
        pytest.param([7] * 50, None, id="all of one instant"),
        pytest.param([7 + n / 10_000 for n in range(50)], None, id="oldest first, within seconds"),
    ],
)
def test_a_walk_that_was_cut_short_covers_what_its_order_tells(hours: list[float], expected: Span | None) -> None:
    progress = after(Progress(Walk(ALL, ALL)), *hours)
    assert progress.covered(is_complete=False) == expected


def test_an_order_that_is_barely_one_tells_nothing_of_what_is_above_it() -> None:
    walk = walk_of(span(0, 400), ALL, known(0), known(400))
    progress = after(Progress(walk), *range(300, 250, -1), 100, *range(249, 140, -1))
    assert progress.covered(is_complete=False) is None


def test_calls_within_a_minute_tell_nothing_of_what_is_above_them() -> None:
    walk = walk_of(span(0, 6), ALL, known(0), known(6))
    progress = after(Progress(walk), *(1 + n / 10_000 for n in range(50)))
    assert progress.covered(is_complete=False) is None


# --- Whatever happens ---------------------------------------------------------------------------------------


class Archive:
    """What an archive knows, and a service that lists between two moments, in pages."""

    def __init__(self, order: str, page: int) -> None:
        self.calls: dict[str, datetime] = {}
        self.known: dict[str, datetime] = {}
        self.covered: list[Span] = []
        self._order = order
        self._page = page

    def run(self, most_pages: int | None) -> None:
        """A run that is cut short after so many pages."""
        left = most_pages
        for gap in gaps(ALL, self.covered):
            walk = walk_of(
                gap, ALL, self._neighbours(gap.start, below=True), self._neighbours(gap.end, below=False)
            )
            progress = Progress(walk, at(100_000))
            calls = self._listed(walk.span)
            for start in range(0, len(calls), self._page):
                if left == 0:
                    return
                left = None if left is None else left - 1
                page = calls[start : start + self._page]
                self.known.update(page)
                progress.note(page)
                self._cover(progress.covered(is_complete=False))
            self._cover(progress.covered(is_complete=True))

    def _cover(self, stretch: Span | None) -> None:
        if stretch is not None:
            self.covered = merged([*self.covered, stretch])

    def _neighbours(self, moment: datetime, *, below: bool) -> list[KnownCall]:
        if moment in (BEGINNING, END):
            return []
        found = [
            KnownCall(name, time)
            for name, time in self.known.items()
            if (time <= moment if below else time >= moment)
        ]
        return sorted(found, key=lambda call: call.created_at, reverse=below)[:ANCHORS]

    def _listed(self, stretch: Span) -> Sequence[tuple[str, datetime]]:
        calls = sorted((item for item in self.calls.items() if item[1] in stretch), key=lambda item: item[1])
        if self._order == "newest first":
            calls.reverse()
        elif self._order == "jumbled":  # by another time, near the first
            calls.sort(key=lambda item: (item[1] + Random(item[0]).random() * HOUR, item[0]), reverse=True)
        elif self._order == "none":
            Random(len(calls)).shuffle(calls)
        return calls


@settings(max_examples=150, deadline=None)
@example(order="jumbled", steps=[(0, 0.0, None), (0, 0.0, None), (44, 0.3, 1), (35, 0.0, 1)])
@given(
    order=st.sampled_from(["newest first", "oldest first", "jumbled", "none"]),
    steps=st.lists(
        st.tuples(
            st.integers(0, 120),  # calls that come
            st.sampled_from([0.0, 0.001, 0.3, 20.0]),  # minutes between them
            st.integers(1, 4) | st.none(),  # pages until the run is cut short
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_what_is_called_covered_was_given_and_in_the_end_everything_is(
    order: str, steps: list[tuple[int, float, int | None]]
) -> None:
    archive, clock = Archive(order, page=40), 0.0
    for number, (calls, minutes, pages) in enumerate(steps):
        for call in range(calls):
            clock += minutes / 60
            archive.calls[f"{number}-{call}"] = at(clock)
        clock += 1
        archive.run(pages)
        hidden = {
            name: time
            for name, time in archive.calls.items()
            if name not in archive.known and any(time in stretch for stretch in archive.covered)
        }
        assert hidden == {}
    archive.run(None)
    assert archive.known == archive.calls
    assert all(any(time in stretch for stretch in archive.covered) for time in archive.calls.values())
