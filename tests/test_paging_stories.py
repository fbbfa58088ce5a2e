"""Group C of the catalogue of faults, told to the listing alone: one story for each, in many orders of arrival."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import pytest
from listing_world import (
    TOTALS,
    Answer,
    Driver,
    Honest,
    Lister,
    Pick,
    Service,
    Story,
    Weather,
    World,
    check,
    lost,
    place_of,
    quiet,
)
from naive_listings import OneByOne

from krosai_calls._paging import Listing
from krosai_calls._seams import Row, Window
from krosai_calls.errors import BadRequestError, KrosaiError, ListingInconsistentError, ServerError

SEEDS = range(20)
LIMIT = 10


def told(
    service: Service,
    seed: int,
    weather: Weather = quiet,
    *,
    changes: int = 0,
    page_size: int = LIMIT,
    ahead: int = 16,
) -> Story:
    """What becomes of a listing; what it guarantees has been checked."""
    listing = Listing(page_size, most_at_once=ahead)
    story = Driver(listing, service, random.Random(seed).randrange, weather, changes).run()
    check(story, service.world)
    return story


# --- The history changes ---------------------------------------------------------------------------------------


def at_the_head(count: int) -> Weather:
    return lambda world, pick: range(world.places[0] - count, world.places[0])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [1, LIMIT - 1, LIMIT, 3 * LIMIT])
def test_c01_new_calls_at_the_head_between_the_reads(count: int, seed: int) -> None:
    story = told(Honest(World(60)), seed, at_the_head(count), changes=5)
    assert story.is_over


def vanishing(part: float) -> Weather:
    def weather(world: World, pick: Pick) -> Sequence[int]:
        index = int(len(world.places) * part)
        return world.places[index : index + 1 + pick(4)] if len(world.places) > 20 else ()

    return weather


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.99])
def test_c02_calls_vanish_before_within_and_behind_what_is_read(part: float, seed: int) -> None:
    story = told(Honest(World(80)), seed, vanishing(part), changes=8)
    assert story.is_over


@pytest.mark.parametrize("seed", SEEDS)
def test_c03_one_comes_and_one_vanishes_and_the_total_is_the_same(seed: int) -> None:
    def weather(world: World, pick: Pick) -> Sequence[int]:
        return world.places[0] - 1, world.places[pick(len(world.places))]

    story = told(Honest(World(60)), seed, weather, changes=6)
    assert story.is_over


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("total", ["true", "none"])
def test_c04_half_of_the_history_vanishes_and_a_page_is_empty_before_the_end(total: str, seed: int) -> None:
    def weather(world: World, pick: Pick) -> Sequence[int]:
        return world.places[len(world.places) // 2 :] if pick(2) else world.places[::2]

    story = told(Honest(World(90), total), seed, weather, changes=1)
    assert story.is_over


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("total", ["true", "none"])
def test_c05_the_history_grows_behind_its_end(total: str, seed: int) -> None:
    def weather(world: World, pick: Pick) -> Sequence[int]:
        return range(world.places[-1] + 1, world.places[-1] + 2 + pick(12))

    story = told(Honest(World(45), total), seed, weather, changes=4)
    assert story.is_over


@pytest.mark.parametrize("seed", SEEDS)
def test_c17_calls_leave_the_filter_and_come_back(seed: int) -> None:
    def weather(world: World, pick: Pick) -> Sequence[int]:
        return [2 * pick(50) for _ in range(3)]

    story = told(Honest(World(50)), seed, weather, changes=6)
    assert story.is_over


# --- The service pages in its own way --------------------------------------------------------------------------


@pytest.mark.parametrize("echoes", [True, False])
@pytest.mark.parametrize("total", ["true", "none", "too high"])
@pytest.mark.parametrize("size", [1, 3, 4, 25])
def test_c06_a_service_that_caps_its_pages(size: int, total: str, echoes: bool) -> None:
    for seed in SEEDS:
        assert told(Honest(World(size), total, cap=4, echoes=echoes), seed).is_over


@dataclass
class Edited:
    """A service that does something to its answers."""

    world: World
    edit: Callable[[Window, list[Row]], list[Row]]
    most: int | None = None
    extra: int = 0

    def read(self, window: Window, pick: Pick) -> Answer | KrosaiError:
        places = self.world.places[window.offset : window.offset + window.limit + self.extra]
        rows = self.edit(window, [self.world.row(place) for place in places])
        return Answer(tuple(rows), len(self.world.places), self.most or window.limit)


@dataclass
class Cutting(Honest):
    """A service that cuts pages to any length, as one does that counts bytes; never to less than so many rows."""

    least: int = 1

    def read(self, window: Window, pick: Pick) -> Answer | KrosaiError:
        answer = super().read(window, pick)
        assert isinstance(answer, Answer)
        return Answer(answer.rows[: self.least + pick(window.limit)], answer.total, answer.most)


@pytest.mark.parametrize("changes", [0, 6])
@pytest.mark.parametrize("least", [1, 2])
def test_c06_pages_of_any_length_lose_nothing_where_the_total_is_true(least: int, changes: int) -> None:
    for seed in range(200):
        told(Cutting(World(1 + seed % 40), least=least), seed, at_the_head(1), changes=changes, page_size=6)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("extra", "most"), [(3, None), (3, LIMIT + 3), (0, 10**6), (30, None)])
def test_c07_pages_longer_than_asked_for_or_another_limit_told(extra: int, most: int | None, seed: int) -> None:
    story = told(Edited(World(47), lambda window, rows: rows, most, extra), seed)
    assert story.is_over


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("at", [0, 4, 9])
def test_c08_a_call_that_stands_twice_on_each_page_comes_once(at: int, seed: int) -> None:
    def twice(window: Window, rows: list[Row]) -> list[Row]:
        return [*rows[: at + 1], *rows[at:]]

    told(Edited(World(47), twice), seed)


@pytest.mark.parametrize("total", sorted(TOTALS))
@pytest.mark.parametrize("size", [1, 9, 10, 11, 47])
def test_c10_a_total_that_is_missing_or_wrong_loses_nothing(size: int, total: str) -> None:
    for seed in SEEDS:
        assert told(Honest(World(size), total), seed).is_over


# --- The service keeps to no order -----------------------------------------------------------------------------


@dataclass
class Swapping:
    """A service that gives the calls of an instant in another order each time.

    Attributes:
        tied: How many places share an instant.
    """

    world: World
    tied: int

    def read(self, window: Window, pick: Pick) -> Answer | KrosaiError:
        order: list[int] = []
        for _, tied in groupby(self.world.places, key=lambda place: place // self.tied):
            group = list(tied)
            order += [group.pop(pick(len(group))) for _ in range(len(group))]
        rows = order[window.offset : window.offset + window.limit]
        return Answer(tuple(map(self.world.row, rows)), len(order), window.limit)


def of_swapped_pairs(listing: Lister, seed: int, start: int) -> tuple[Story, World]:
    world = World(30 + seed % 7, start=start, tied=4)
    return Driver(listing, Swapping(world, 4), random.Random(seed).randrange).run(), world


# Pages of two to four rows can close a seam over a call that changed places: no overlap of theirs shows it.
@pytest.mark.parametrize(("page_size", "start"), [(5, 0), (5, 2), (10, 0), (10, 2), (21, 0), (21, 2)])
def test_c09_of_two_calls_of_an_instant_that_change_places_none_is_lost_in_silence(
    page_size: int, start: int
) -> None:
    for seed in range(60):
        story, world = of_swapped_pairs(Listing(page_size, most_at_once=4), seed, start)
        assert len(set(story.places)) == len(story.places)
        assert isinstance(story.error, ListingInconsistentError) or not lost(story, world)


@pytest.mark.parametrize("start", [0, 2])
def test_c09_such_pairs_are_where_a_naive_listing_loses_calls(start: int) -> None:
    assert any(lost(*of_swapped_pairs(OneByOne(5), seed, start)) for seed in range(60))


@dataclass
class Lagging:
    """Two copies of a history, one behind the other, that answer in turn."""

    world: World
    old: list[int]

    def read(self, window: Window, pick: Pick) -> Answer | KrosaiError:
        places = (self.world.places, self.old)[pick(2)]
        rows = places[window.offset : window.offset + window.limit]
        return Answer(tuple(map(self.world.row, rows)), len(places), window.limit)


@pytest.mark.parametrize("count", [1, 3, LIMIT, 25])
def test_c18_copies_of_different_age_that_answer_in_turn(count: int) -> None:
    for seed in range(60):
        world = World(60)
        old = world.places.copy()
        pick = random.Random(seed).randrange
        for _ in range(count):
            world.toggle(pick(120) if count < 25 else world.places[0] - 1)
        told(Lagging(world, old), seed)


@pytest.mark.parametrize("size", [2, 50, 99, 100, 101, 250, 1000])
@pytest.mark.parametrize("told_total", [True, False])
def test_c12_a_service_that_ignores_the_offset_is_told_after_few_reads(size: int, told_total: bool) -> None:
    class Deaf(Honest):
        def read(self, window: Window, pick: Pick) -> Answer | KrosaiError:
            return super().read(Window(0, window.limit), pick)

    for seed in SEEDS:
        story = told(Deaf(World(size), "true" if told_total else "none"), seed, page_size=100)
        assert len(story.windows) <= 5
        assert story.is_over is (size < 100 and told_total)


# --- Pages that cannot be had ----------------------------------------------------------------------------------


@dataclass
class Failing(Honest):
    """A service that has an error for some offsets."""

    errors: Callable[[int], KrosaiError | None] = lambda offset: None

    def read(self, window: Window, pick: Pick) -> Answer | KrosaiError:
        return self.errors(window.offset) or super().read(window, pick)


@pytest.mark.parametrize("with_changes", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_c11_a_page_that_fails_for_good_is_told_after_all_before_it_and_then_gone_on_from(
    seed: int, with_changes: bool
) -> None:
    service = Failing(World(95), errors=lambda offset: ServerError("down") if 30 <= offset < 40 else None)
    weather, changes = (at_the_head(1), 3) if with_changes else (quiet, 0)
    listing = Listing(LIMIT, most_at_once=8)
    driver = Driver(listing, service, random.Random(seed).randrange, weather, changes)
    assert isinstance(driver.run().error, ServerError)
    assert not {place_of(row) for row in listing.spare_rows()} & set(driver.story.places)
    assert len([place for place in driver.story.places if place in service.world.lasting]) >= 30 - 4
    if not with_changes:
        assert driver.story.places == service.world.places[: len(driver.story.places)]
    driver.changes = changes
    assert isinstance(driver.run().error, ServerError)
    service.errors = lambda offset: None
    driver.changes = changes
    assert driver.run().is_over
    check(driver.story, service.world)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("most", [1, 25, 38])
def test_c16_an_offset_that_is_not_taken_is_an_inconsistent_listing_after_all_that_can_be_had(
    most: int, seed: int
) -> None:
    refused = BadRequestError("no such offset")
    service = Failing(World(95), errors=lambda offset: refused if offset > most else None)
    story = told(service, seed)
    assert isinstance(story.error, ListingInconsistentError)
    assert story.error.__cause__ is refused
    assert len(story.places) >= most
