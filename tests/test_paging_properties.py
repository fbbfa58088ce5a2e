"""What a listing guarantees while the history changes: found by chance, and played through for small histories."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listing_world import (
    TOTALS,
    Answer,
    Driver,
    EveryWay,
    Honest,
    Lister,
    Pick,
    Story,
    Tape,
    Weather,
    World,
    check,
    lost,
    one_anywhere,
    place_of,
    row_of,
    storm,
)
from naive_listings import OneByOne, SideBySide

from krosai_calls._paging import MOST_REPAIRS_OF_A_SEAM, Listing
from krosai_calls._seams import Row, Window
from krosai_calls.errors import BadRequestError, DecodeError, KrosaiError, ServerError

searched = settings(max_examples=300, deadline=None, derandomize=True)
# What a service that cuts pages in silence may say of its total: with any other word its first page is the last.
UNDECEIVING = ("true", "none", "too high", "enormous")
TIES = st.sampled_from([0, 2, 3, 6, 10**6])


@dataclass
class Scene:
    """A history, a service and a listing of it."""

    size: int
    page_size: int
    most_at_once: int
    cap: int | None
    echoes: bool
    total: str
    tied: int
    changes: int
    pauses: int
    tape: bytes

    def play(self, weather: Weather = storm) -> tuple[Story, World]:
        world = World(self.size, tied=self.tied)
        service = Honest(world, self.total, self.cap, self.echoes)
        listing = Listing(self.page_size, most_at_once=self.most_at_once)
        driver = Driver(listing, service, Tape(self.tape), weather, self.changes, self.pauses)
        return driver.run(), world


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    page_size = draw(st.integers(2, 8))
    cap, echoes = draw(st.none() | st.integers(2, 6)), draw(st.booleans())
    is_silent = cap is not None and cap < page_size and not echoes
    return Scene(
        size=draw(st.integers(0, 30)),
        page_size=page_size,
        most_at_once=draw(st.sampled_from([1, 2, 4, 16])),
        cap=cap,
        echoes=echoes,
        total=draw(st.sampled_from(UNDECEIVING if is_silent else sorted(TOTALS))),
        tied=draw(TIES),
        changes=draw(st.sampled_from([1, 3, 10, 50])),
        pauses=draw(st.sampled_from([0, 0, 3])),
        tape=draw(st.binary(min_size=40, max_size=300)),
    )


def seeded(seed: int) -> Pick:
    return random.Random(seed).randrange


@searched
@given(scenes())
def test_what_a_changing_history_had_all_the_time_comes_once_and_in_order_or_an_error_tells(scene: Scene) -> None:
    story, world = scene.play()
    check(story, world)
    assert story.most_kept <= scene.most_at_once + MOST_REPAIRS_OF_A_SEAM


@pytest.mark.parametrize("seed", range(3))
def test_a_thousand_storms_lose_nothing(seed: int) -> None:
    pick = seeded(seed)
    for _ in range(300):
        world = World(pick(40), tied=(0, 0, 4)[pick(3)])
        listing = Listing(2 + pick(7), most_at_once=1 + pick(8))
        service = Honest(world, ("true", "none", "too high")[pick(3)], (None, 3)[pick(2)], echoes=bool(pick(2)))
        check(Driver(listing, service, pick, storm, changes=40, pauses=pick(3)).run(), world)


# --- The searches find what they are to find -------------------------------------------------------------------


def loses_a_call(listing: Lister, size: int, pick: Pick, weather: Weather, changes: int) -> bool:
    world = World(size)
    story = Driver(listing, Honest(world), pick, weather, changes).run()
    return story.is_over and bool(lost(story, world))


@pytest.mark.parametrize("naive", [SideBySide, OneByOne])
def test_a_naive_listing_is_caught_losing_calls(naive: type[SideBySide | OneByOne]) -> None:
    caught = sum(loses_a_call(naive(4, most_at_once=4), 20, seeded(seed), storm, 40) for seed in range(200))
    assert caught > 50


@pytest.mark.parametrize("naive", [SideBySide, OneByOne])
def test_one_change_in_a_small_history_is_enough_to_catch_a_naive_listing(
    naive: type[SideBySide | OneByOne],
) -> None:
    every = EveryWay()
    assert any(loses_a_call(naive(2, most_at_once=2), 4, every, one_anywhere, 1) for _ in every.runs())


# --- Every way of small histories ------------------------------------------------------------------------------


@pytest.mark.parametrize("total", ["true", "none"])
@pytest.mark.parametrize(
    ("size", "page_size", "most_at_once", "changes"),
    [
        *((size, page_size, 2, 1) for size in range(7) for page_size in (2, 3)),
        *((size, 2, 3, 1) for size in range(6)),
        *((size, page_size, 2, 2) for size in range(4) for page_size in (2, 3)),
        (4, 3, 2, 2),
    ],
)
def test_no_order_of_changes_reads_and_arrivals_loses_a_call(
    size: int, page_size: int, most_at_once: int, changes: int, total: str
) -> None:
    every = EveryWay()
    for _ in every.runs():
        world = World(size)
        listing = Listing(page_size, most_at_once=most_at_once)
        check(Driver(listing, Honest(world, total), every, one_anywhere, changes).run(), world)


# --- It comes to an end ----------------------------------------------------------------------------------------


def reads_of(size: int, total: str = "true", **limits: int) -> list[Window]:
    world = World(size)
    story = Driver(Listing(100, most_at_once=16, **limits), Honest(world, total), seeded(size)).run()
    assert story.is_over
    check(story, world)
    return story.windows


@pytest.mark.parametrize("size", [0, 1, 2, 50, 99, 100, 101, 199, 200, 1000, 5000, 9999])
def test_a_quiet_history_costs_a_read_for_each_page_and_no_window_twice(size: int) -> None:
    windows = reads_of(size)
    assert len(set(windows)) == len(windows)
    # The windows overlap by a row; the last page must be seen to be short.
    assert len(windows) == max(1, math.ceil(max(0, size - 1) / 99) + (size > 1 and (size - 1) % 99 == 0))
    assert size < 5000 or len(windows) <= 1.02 * size / 100 + 1
    without_total = reads_of(size, "none")
    assert len(set(without_total)) == len(without_total) <= len(windows) + 1


def test_the_first_calls_cost_one_read() -> None:
    world = World(3000)
    driver = Driver(Listing(5, most_at_once=16, wanted=5), Honest(world), seeded(1), pages=1)
    story = driver.run()
    assert story.windows == [Window(0, 5)]
    assert story.places == world.places[:5]


def breeze(world: World, pick: Pick) -> Sequence[int]:
    """A change for five reads."""
    if pick(5) or not world.places:
        return ()
    chosen = world.places[pick(len(world.places))]
    return [(chosen, chosen + 1, world.places[0] - 1)[pick(3)]]


@pytest.mark.parametrize("seed", range(24))
def test_light_change_costs_few_more_reads_and_no_error(seed: int) -> None:
    pick = seeded(seed)
    size = pick(3001)
    world = World(size)
    story = Driver(Listing(100, most_at_once=16), Honest(world), pick, breeze, changes=1000).run()
    check(story, world)
    assert story.error is None
    assert len(story.windows) <= 2 * math.ceil(size / 99 + 1) + 10
    assert story.most_kept <= 16 + MOST_REPAIRS_OF_A_SEAM


# --- Whatever the service does ---------------------------------------------------------------------------------


@dataclass
class Garbage:
    """A service that answers with whatever it likes, out of so many calls."""

    world: World
    calls: int

    def read(self, window: Window, pick: Pick) -> Answer | KrosaiError:
        if not pick(16):
            return (BadRequestError("no"), ServerError("down"))[pick(2)]
        rows = [self._row(pick) for _ in range(pick(window.limit + 3))]
        if pick(2):
            rows.sort(key=place_of)
        total = (None, self.calls, 0, -1, pick(60), 2**53, len(rows))[pick(7)]
        return Answer(tuple(rows), total, (window.limit, 1 + pick(9), 10**6)[pick(3)])

    def _row(self, pick: Pick) -> Row:
        return row_of(pick(self.calls), 3, is_bad=pick(12) == 1)


def garbage(seed: int) -> tuple[Driver, int]:
    pick = seeded(seed)
    calls, most_at_once = (3, 6, 12, 40)[pick(4)], (1, 2, 4, 16)[pick(4)]
    listing = Listing(1 + pick(8), most_at_once=most_at_once)
    return Driver(listing, Garbage(World(0), calls), pick), most_at_once


@pytest.mark.parametrize("seed", range(0, 8000, 1000))
def test_a_service_that_answers_anything_is_done_with_soon_and_no_call_comes_twice(seed: int) -> None:
    for chance in range(seed, seed + 1000):
        driver, most_at_once = garbage(chance)
        story = driver.run()
        assert story.error is not None or story.is_over
        assert len(set(story.places)) == len(story.places)
        assert len(story.windows) <= 200
        assert story.most_kept <= most_at_once + MOST_REPAIRS_OF_A_SEAM


def test_a_cap_that_falls_while_a_seam_is_repaired_ends_in_no_endless_loop() -> None:
    listing = Listing(8, most_at_once=16)
    waiting: list[Window] = []

    def ask(most: int) -> None:
        waiting.extend(window for _ in range(most) if (window := listing.ask()))

    def give(*places: int, most: int = 8) -> None:
        listing.receive(waiting.pop(0), [row_of(place) for place in places], total=400, most=most)
        listing.ready.clear()

    ask(1)
    give(*range(8))
    ask(4)
    give(*range(7, 15))
    give(*range(50, 58))  # meets nothing: a repair, and a wider overlap
    ask(1)
    give(*range(80, 82), most=2)
    ask(20)
    assert len({window.offset for window in waiting}) == len(waiting), "it asks for the same again"
    for _ in range(len(waiting)):
        give(*range(90, 92), most=2)
        ask(1)


# --- Pages of one ----------------------------------------------------------------------------------------------


def the_first_two_vanish(world: World, pick: Pick) -> Sequence[int]:
    return world.places[:2] if pick(2) else ()


def test_pages_of_one_lose_nothing() -> None:
    for seed in range(300):
        pick = seeded(seed)
        world = World(pick(8))
        listing = Listing(1, most_at_once=4)
        check(Driver(listing, Honest(world), pick, the_first_two_vanish, changes=1).run(), world)


@pytest.mark.parametrize("total", ["true", "none", "too high"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_of_one_come_to_their_end(size: int, total: str) -> None:
    assert Driver(Listing(1, most_at_once=4), Honest(World(size), total), seeded(size)).run().is_over


# --- Rows that cannot be read ----------------------------------------------------------------------------------


@searched
@given(data=st.data())
def test_rows_that_cannot_be_read_shift_nothing_and_the_calls_around_them_all_come(data: st.DataObject) -> None:
    size, page_size = data.draw(st.integers(2, 60)), data.draw(st.integers(6, 12))
    bad = data.draw(st.sets(st.integers(0, size - 1), max_size=3))
    world = World(size, bad=[2 * number for number in bad])
    service = Honest(world, data.draw(st.sampled_from(["true", "too high"])))
    pick = Tape(data.draw(st.binary(max_size=40)))
    if len(bad) == size:
        return
    story = Driver(Listing(page_size, most_at_once=4), service, pick).run()
    check(story, world)
    assert story.is_over
    times = Counter(place_of(row) for row in story.rows if isinstance(row, DecodeError))
    assert set(times) == {2 * number for number in bad}
    assert max(times.values(), default=1) <= 2


@searched
@given(scenes(), st.sets(st.integers(0, 60), max_size=12))
def test_rows_that_cannot_be_read_hide_no_call_while_the_history_changes(scene: Scene, bad: set[int]) -> None:
    world = World(scene.size, bad=bad)
    service = Honest(world, "true", scene.cap, scene.echoes)
    listing = Listing(scene.page_size, most_at_once=scene.most_at_once)
    check(Driver(listing, service, Tape(scene.tape), storm, scene.changes, scene.pauses).run(), world)


@pytest.mark.parametrize("total", ["true", "none", "too high"])
@pytest.mark.parametrize("size", [1, 2, 5, 10, 25])
def test_a_history_without_a_row_that_can_be_read_is_done_with_soon(size: int, total: str) -> None:
    world = World(size, bad=range(2 * size))
    story = Driver(Listing(10, most_at_once=4), Honest(world, total), seeded(size)).run()
    check(story, world)
    assert len(story.windows) <= 30
    assert len(story.rows) >= min(size, 10)
