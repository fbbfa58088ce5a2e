"""Group C of the catalogue of faults, over real sockets: histories that change, and services of odd ways."""

from __future__ import annotations

import random
from typing import Any

import pytest
from changing_server import (
    CALLS,
    CHANGES,
    PAGE,
    Asked,
    ChangingServer,
    History,
    Twist,
    client_of,
    ids_from,
)
from raw_server import Answer, answer

from krosai_calls import BadRequestError, ListingInconsistentError

# For a hundred calls to which two hundred come, where each page may overlap the one before by half.
MOST_REQUESTS = 80
pytestmark = pytest.mark.usefixtures("both_clients")
one_or_many = pytest.mark.parametrize("at_once", [1, 8], ids=["one at a time", "several at once"])
told_or_not = pytest.mark.parametrize("tells_total", [True, False], ids=["with a total", "without a total"])


def leave_out_total(asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
    del body["total"]
    return body


# --- Calls come and go -----------------------------------------------------------------------------------


# More calls come after each answer than a page holds: that can be told only where it outruns the reading.
FLOOD = f"C1 {3 * PAGE} new calls at the head"
CALMER = sorted(set(CHANGES) - {FLOOD})


@one_or_many
@pytest.mark.parametrize("name", CALMER)
async def test_what_is_there_all_the_time_is_given_once_and_in_order(name: str, at_once: int) -> None:
    async with ChangingServer(CALLS, after_each=CHANGES[name]) as server:
        seen = await ids_from(server, max_concurrency=at_once)
        server.history.check(seen)
        assert len(server.asked) <= MOST_REQUESTS


@one_or_many
@pytest.mark.parametrize("name", CALMER)
async def test_it_is_so_without_a_total_too(name: str, at_once: int) -> None:
    async with ChangingServer(CALLS, after_each=CHANGES[name], twist=leave_out_total) as server:
        seen = await ids_from(server, max_concurrency=at_once)
        server.history.check(seen)
        assert len(server.asked) <= MOST_REQUESTS


@one_or_many
@pytest.mark.parametrize("twist", [None, leave_out_total], ids=["with a total", "without a total"])
async def test_c01_a_flood_of_new_calls_is_listed_right_or_told(twist: Twist | None, at_once: int) -> None:
    async with ChangingServer(CALLS, after_each=CHANGES[FLOOD], twist=twist) as server:
        seen: list[str] = []
        try:
            await ids_from(server, seen=seen, max_concurrency=at_once)
        except ListingInconsistentError:
            given = [call_id for call_id in server.history.always() if call_id in seen]
            assert given == server.history.always()[: len(given)]
        else:
            server.history.check(seen)
        assert len(set(seen)) == len(seen)
        assert len(server.asked) <= MOST_REQUESTS


async def is_told_in_time(server: ChangingServer, at_once: int) -> None:
    """The listing ends with the error that is due, and everything before it was right."""
    seen: list[str] = []
    with pytest.raises(ListingInconsistentError):
        await ids_from(server, seen=seen, max_concurrency=at_once, max_requests=2 * MOST_REQUESTS)
    given = [call_id for call_id in server.history.always() if call_id in seen]
    assert given == server.history.always()[: len(given)]
    assert len(set(seen)) == len(seen)
    assert len(server.asked) <= MOST_REQUESTS


async def test_c02_nothing_behind_the_only_call_that_was_asked_for_is_no_end() -> None:
    def the_first_again_comes_late(asked: Asked) -> Answer | None:
        return Answer(then="close") if server.asked.count(asked) == 1 and asked == Asked(0, 2) else None

    def two_vanish(history: History, answers: int) -> None:
        if answers == 1:
            history.delete(0, 2)

    async with ChangingServer(3, after_each=two_vanish, instead=the_first_again_comes_late) as server:
        server.history.check(await ids_from(server, page_size=1, max_concurrency=4))


@one_or_many
async def test_c01_a_history_that_never_rests_is_told(at_once: int) -> None:
    async with ChangingServer(CALLS, after_each=lambda history, _: history.insert(0, 3 * PAGE)) as server:
        await is_told_in_time(server, at_once)


@one_or_many
async def test_c17_calls_whose_status_changes_meanwhile_come_once_at_most(at_once: int) -> None:
    def flip(history: History, answers: int) -> None:
        row = history.rows[(7 * answers) % CALLS]
        row["status"] = "failed" if row["status"] == "completed" else "completed"

    async with (
        ChangingServer(CALLS, after_each=flip) as server,
        client_of(server, max_concurrency=at_once) as client,
    ):
        seen = [call.id async for call in client.iter_calls(status="completed", page_size=PAGE)]
        flipped = {row["id"] for row in server.history.rows[::7]} | {
            server.history.rows[(7 * number) % CALLS]["id"] for number in range(len(server.asked) + 1)
        }
        assert len(set(seen)) == len(seen)
        assert set(server.history.ids()) - flipped <= set(seen)


# --- The service's own ways ------------------------------------------------------------------------------


@one_or_many
@pytest.mark.parametrize("total", [450, None, 20], ids=["with a total", "without a total", "with a total of 20"])
@pytest.mark.parametrize("echoes", [True, False], ids=["and says so", "in silence"])
async def test_c06_a_service_that_caps_its_pages_is_listed_whole(
    echoes: bool, total: int | None, at_once: int
) -> None:
    def cap(asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
        body["calls"] = body["calls"][:30]
        body["limit"] = min(asked.limit, 30) if echoes else asked.limit
        return body | {"total": total}

    async with ChangingServer(450, twist=cap) as server:
        seen = await ids_from(server, page_size=100, max_concurrency=at_once)
        assert seen == server.history.ids()
        assert len(server.asked) <= 450 // 29 + 4


def longer(asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
    """All calls but the first `offset`, whatever the limit."""
    return body | {"calls": [{"id": f"call_{number:05d}"} for number in range(CALLS)][asked.offset :][: 3 * PAGE]}


def with_limit(limit: object) -> Twist:
    return lambda asked, body: body | {"limit": limit}


ODD_LIMITS = [1, 3, 0, -5, 100, 10**30, 2.5, "ten", None, []]
TWISTS = {"C7 pages three times as long": longer} | {
    f"C7 a limit of {odd!r}": with_limit(odd) for odd in ODD_LIMITS
}


@one_or_many
@pytest.mark.parametrize("twist", TWISTS.values(), ids=TWISTS)
async def test_c07_what_a_page_holds_counts_not_what_it_says(twist: Twist, at_once: int) -> None:
    async with ChangingServer(CALLS, twist=twist) as server:
        assert await ids_from(server, max_concurrency=at_once) == server.history.ids()
        assert len(server.asked) <= 20


@one_or_many
@pytest.mark.parametrize("place", [0, 4, 8, 9, 10, 55, CALLS], ids=lambda place: f"C8 before row {place}")
@pytest.mark.parametrize("other", [0, 8], ids=["next to itself", "elsewhere"])
async def test_c08_a_call_that_stands_twice_is_given_once(place: int, other: int, at_once: int) -> None:
    async with ChangingServer(CALLS) as server:
        rows = server.history.rows
        rows.insert(place, rows[max(0, place - 1 - other)])
        try:
            seen = await ids_from(server, max_concurrency=at_once)
        except ListingInconsistentError:
            assert other  # two calls in either order are a contradiction
        else:
            assert sorted(seen) == sorted(set(server.history.ids()))


@one_or_many
async def test_c09_calls_of_one_instant_in_another_order_each_time_are_told(at_once: int) -> None:
    dice = random.Random(9)

    def shuffle(history: History, answers: int) -> None:
        dice.shuffle(history.rows)

    async with ChangingServer(CALLS, after_each=shuffle) as server:
        for row in server.history.rows:
            row["created_at"] = "2025-01-10T12:00:00Z"
        seen: list[str] = []
        with pytest.raises(ListingInconsistentError, match="changed places"):
            await ids_from(server, seen=seen, max_concurrency=at_once)
        assert len(set(seen)) == len(seen)
        assert len(server.asked) <= 40


@one_or_many
@pytest.mark.parametrize("place", range(7, 13))
async def test_c09_two_calls_of_one_instant_that_change_places_are_not_lost_in_silence(
    place: int, at_once: int
) -> None:
    def swap(history: History, answers: int) -> None:
        rows = history.rows
        rows[place], rows[place + 1] = rows[place + 1], rows[place]

    async with ChangingServer(CALLS, after_each=swap) as server:
        server.history.rows[place + 1]["created_at"] = server.history.rows[place]["created_at"]
        seen: list[str] = []
        try:
            await ids_from(server, seen=seen, max_concurrency=at_once)
        except ListingInconsistentError:
            assert len(set(seen)) == len(seen)
        else:
            assert sorted(seen) == sorted(server.history.ids())


TOTALS: list[Any] = [
    None,
    -1,
    0,
    3,
    CALLS - 1,
    CALLS + 1,
    2**53 + 1,
    2**63,
    10**400,
    "100",
    100.0,
    1e300,
    True,
    [],
    {},
]


@one_or_many
@pytest.mark.parametrize("total", TOTALS, ids=lambda total: f"C10 {str(total)[:20]}")
async def test_c10_whatever_the_total_is_the_listing_is_whole(total: Any, at_once: int) -> None:
    async with ChangingServer(CALLS, twist=lambda asked, body: body | {"total": total}) as server:
        assert await ids_from(server, max_concurrency=at_once) == server.history.ids()
        assert len(server.asked) <= CALLS // (PAGE - 1) + 2 + 3 * at_once


@one_or_many
@pytest.mark.parametrize("calls", [0, 1, 2, 9, 10, 11, 19, 20])
@pytest.mark.parametrize("page_size", [1, 2, 3, PAGE, 100])
async def test_c10_a_service_that_tells_no_total_is_listed_to_its_end(
    page_size: int, calls: int, at_once: int
) -> None:
    async with ChangingServer(calls, twist=leave_out_total) as server:
        assert await ids_from(server, page_size=page_size, max_concurrency=at_once) == server.history.ids()


@one_or_many
@told_or_not
async def test_c12_a_service_that_ignores_the_offset_is_told_soon(tells_total: bool, at_once: int) -> None:
    def first_page(asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
        body["calls"] = [{"id": f"call_{number:05d}"} for number in range(asked.limit)]
        return body if tells_total else leave_out_total(asked, body)

    async with ChangingServer(CALLS, twist=first_page) as server:
        seen: list[str] = []
        with pytest.raises(ListingInconsistentError, match="offset"):
            await ids_from(server, seen=seen, max_concurrency=at_once)
        assert seen == server.history.ids()[:PAGE]
        assert len(server.asked) <= 5


@one_or_many
@pytest.mark.parametrize("status", [400, 422])
async def test_c16_a_service_that_takes_no_offset_above_a_bound_is_told_as_such(status: int, at_once: int) -> None:
    def refuse(asked: Asked) -> Answer | None:
        return answer(status, b'{"error": "offset too large"}') if asked.offset > 50 else None

    async with ChangingServer(CALLS, instead=refuse) as server:
        seen: list[str] = []
        with pytest.raises(ListingInconsistentError, match=r"offset.*narrow the listing") as raised:
            await ids_from(server, seen=seen, max_concurrency=at_once)
        assert seen == server.history.ids()[: len(seen)]
        assert len(seen) > 50
        assert isinstance(raised.value.__cause__, BadRequestError)


async def test_c16_a_listing_that_is_refused_from_the_start_is_a_bad_request() -> None:
    async with ChangingServer(CALLS, instead=lambda _: answer(422, b'{"error": "no such filter"}')) as server:
        with pytest.raises(BadRequestError):
            await ids_from(server)


@one_or_many
@pytest.mark.parametrize("newer", [1, 5, PAGE, 25])
@pytest.mark.parametrize("turn", [2, 3])
async def test_c18_answers_of_a_replica_that_lags_lose_nothing_in_silence(
    turn: int, newer: int, at_once: int
) -> None:
    async with ChangingServer(CALLS) as server:
        present = server.history.rows
        lagging = present[newer:]

        def other_replica(history: History, answers: int) -> None:
            history.rows = lagging if answers % turn == 0 else present

        server.after_each = other_replica
        seen: list[str] = []
        try:
            await ids_from(server, seen=seen, max_concurrency=at_once)
        except ListingInconsistentError:
            assert len(set(seen)) == len(seen)
        else:
            server.history.rows = lagging
            server.history.check(seen)
