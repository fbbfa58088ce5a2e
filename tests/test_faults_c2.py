"""Group C of the catalogue of faults, over real sockets: pages and rows that cannot be had, and archives."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from changing_server import (
    CHANGES,
    HANG,
    PAGE,
    Asked,
    Change,
    ChangingServer,
    History,
    blocking_client_of,
    client_of,
    ids_from,
)
from raw_server import Answer, answer

from krosai_calls import (
    ArchiveReport,
    CallsClient,
    DecodeError,
    KrosaiError,
    RequestBudgetExceededError,
    ServerError,
)

CALLS = 1000
one_or_many = pytest.mark.parametrize("at_once", [1, 8], ids=["one at a time", "several at once"])


def refusal_at(offset: int, status: int = 500) -> Callable[[Asked], Answer | None]:
    """One page cannot be had."""
    return lambda asked: answer(status) if asked.offset == offset else None


def step_on(iterator: Any, seen: list[str]) -> KrosaiError | None:
    """Take all that comes from a blocking iterator; the error that ends it."""
    try:
        for call in iterator:
            seen.append(call.id)  # noqa: PERF401 - what came before an error counts
    except KrosaiError as error:
        return error
    return None


async def step_on_async(iterator: Any, seen: list[str]) -> KrosaiError | None:
    try:
        async for call in iterator:
            seen.append(call.id)  # noqa: PERF401 - what came before an error counts
    except KrosaiError as error:
        return error
    return None


# --- A page that cannot be had ---------------------------------------------------------------------------


@one_or_many
async def test_c11_a_page_that_fails_for_good_is_an_error_after_all_calls_before_it(at_once: int) -> None:
    async with ChangingServer(CALLS, instead=refusal_at(297)) as server:
        seen: list[str] = []
        with pytest.raises(ServerError) as raised:
            await ids_from(server, page_size=100, seen=seen, max_concurrency=at_once)
        assert seen == server.history.ids()[:298]
        assert server.offsets.count(297) == raised.value.attempts == 2


async def test_c11_the_other_requests_are_given_up_and_their_connections_closed() -> None:
    def behind_it_nothing_answers(asked: Asked) -> Answer | None:
        return HANG if asked.offset > 297 else refusal_at(297)(asked)

    async with ChangingServer(CALLS, instead=behind_it_nothing_answers) as server, client_of(server) as client:
        assert isinstance(await step_on_async(client.iter_calls(), []), ServerError)
        hung = sum(offset > 297 for offset in server.offsets)
        assert hung > 0
        await server.keeps_open(len({request.connection for request in server.requests}) - hung)
        server.instead = None
        assert (await client.list_calls()).total == CALLS


@one_or_many
async def test_c11_going_on_after_the_service_has_recovered_gives_the_rest(at_once: int) -> None:
    async with (
        ChangingServer(CALLS, instead=refusal_at(297)) as server,
        client_of(server, max_concurrency=at_once) as client,
    ):
        seen: list[str] = []
        iterator = client.iter_calls()
        assert isinstance(await step_on_async(iterator, seen), ServerError)
        assert isinstance(await step_on_async(iterator, seen), ServerError)
        assert len(seen) == 298
        server.instead = None
        assert await step_on_async(iterator, seen) is None
        assert seen == server.history.ids()


CALMER = {name: change for name, change in CHANGES.items() if name != f"C1 {3 * PAGE} new calls at the head"}


@one_or_many
@pytest.mark.parametrize("change", CALMER.values(), ids=CALMER)
async def test_c11_going_on_over_a_history_that_has_changed_loses_nothing(change: Change, at_once: int) -> None:
    async with (
        ChangingServer(100, after_each=change, instead=refusal_at(18)) as server,
        client_of(server, max_concurrency=at_once) as client,
    ):
        seen: list[str] = []
        iterator = client.iter_calls(page_size=10)
        await step_on_async(iterator, seen)
        server.instead = None
        assert await step_on_async(iterator, seen) is None
        server.history.check(seen)


async def test_c11_the_very_first_page_can_be_asked_for_again() -> None:
    async with ChangingServer(CALLS, instead=refusal_at(0)) as server, client_of(server) as client:
        seen: list[str] = []
        iterator = client.iter_calls()
        assert isinstance(await step_on_async(iterator, seen), ServerError)
        server.instead = None
        assert await step_on_async(iterator, seen) is None
        assert seen == server.history.ids()


async def test_c11_a_blocking_iterator_goes_on_after_an_error_too() -> None:
    async with ChangingServer(CALLS, instead=refusal_at(297)) as server:

        def work(client: CallsClient) -> tuple[list[str], list[KrosaiError | None]]:
            seen: list[str] = []
            iterator = client.iter_calls()
            errors = [step_on(iterator, seen)]
            server.instead = None
            errors.append(step_on(iterator, seen))
            client.close()
            return seen, errors

        seen, (first, second) = await asyncio.to_thread(work, blocking_client_of(server))
        assert seen == server.history.ids()
        assert isinstance(first, ServerError)
        assert second is None


# --- A row that cannot be read ---------------------------------------------------------------------------

BAD_ROWS: list[Any] = [{"id": None}, {}, None, "call", 7, [], {"id": ""}, {"id": ["call_00001"]}]
PLACES = [0, 5, 8, 9, 10, 49, 98, 99]


@one_or_many
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"C15 row {place}")
async def test_c15_a_row_without_an_id_is_an_error_in_its_place_and_passed_over(place: int, at_once: int) -> None:
    async with ChangingServer(100) as server, client_of(server, max_concurrency=at_once) as client:
        server.history.rows[place] = {"id": None, "status": "completed"}
        seen: list[str] = []
        iterator = client.iter_calls(page_size=10)
        error = await step_on_async(iterator, seen)
        assert isinstance(error, DecodeError)
        assert (len(seen), error.reason) == (place, "id")
        assert error.path.startswith("$.calls[")
        assert await step_on_async(iterator, seen) is None
        assert seen == server.history.ids()


@pytest.mark.parametrize("row", BAD_ROWS, ids=lambda row: f"C15 {row}")
async def test_c15_whatever_a_row_is_the_others_are_given(row: Any) -> None:
    async with ChangingServer(100) as server, client_of(server) as client:
        server.history.rows[3] = server.history.rows[70] = row
        seen: list[str] = []
        iterator = client.iter_calls(page_size=10)
        errors = [await step_on_async(iterator, seen) for _ in range(3)]
        assert [type(error) for error in errors] == [DecodeError, DecodeError, type(None)]
        assert seen == server.history.ids()


@pytest.mark.parametrize("page_size", [1, 2, 3])
async def test_c15_a_row_without_an_id_is_passed_over_on_the_smallest_pages_too(page_size: int) -> None:
    async with ChangingServer(9) as server, client_of(server) as client:
        server.history.rows[4] = {}
        seen: list[str] = []
        iterator = client.iter_calls(page_size=page_size)
        assert isinstance(await step_on_async(iterator, seen), DecodeError)
        assert await step_on_async(iterator, seen) is None
        assert seen == server.history.ids()


async def test_c15_a_blocking_iterator_passes_a_bad_row_over_too() -> None:
    async with ChangingServer(100) as server:
        server.history.rows[49] = {}

        def work(client: CallsClient) -> tuple[list[str], list[KrosaiError | None]]:
            seen: list[str] = []
            iterator = client.iter_calls(page_size=10)
            errors = [step_on(iterator, seen) for _ in range(2)]
            client.close()
            return seen, errors

        seen, (first, second) = await asyncio.to_thread(work, blocking_client_of(server))
        assert seen == server.history.ids()
        assert isinstance(first, DecodeError)
        assert second is None


# --- An archive ------------------------------------------------------------------------------------------


def ids_in(folder: Path) -> set[str]:
    """The calls in the catalogue."""
    connection = sqlite3.connect(folder / "catalog.sqlite")
    try:
        return {row[0] for row in connection.execute("SELECT id FROM calls")}
    finally:
        connection.close()


@pytest.fixture
async def changing() -> AsyncIterator[ChangingServer]:
    async with ChangingServer(CALLS) as server:
        yield server


async def archived(server: ChangingServer, folder: Path, **settings: Any) -> ArchiveReport:
    async with client_of(server, **settings) as client:
        return await client.archive(folder, recordings=False, transcripts=False)


def big(change: Change) -> Change:
    """For pages of a hundred: each change tenfold."""

    def tenfold(history: History, answers: int) -> None:
        for _ in range(10):
            change(history, answers)

    return tenfold


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_each_call_that_is_there_all_the_time_is_in_the_catalogue(
    changing: ChangingServer, change: Change, tmp_path: Path
) -> None:
    changing.after_each = big(change)
    report = await archived(changing, tmp_path)
    found = ids_in(tmp_path)
    assert set(changing.history.always()) <= found
    assert report.calls_seen == report.calls_new == len(found)
    assert report.failures == ()


async def test_c15_an_archive_counts_the_rows_that_it_cannot_read(
    changing: ChangingServer, tmp_path: Path
) -> None:
    for place in (3, 99, 450):
        changing.history.rows[place] = {}
    report = await archived(changing, tmp_path)
    assert ids_in(tmp_path) == set(changing.history.ids())
    assert report.calls_seen == CALLS - 3
    assert [failure.kind for failure in report.failures] == ["row"] * 3


def behind_a_gap(history: History, answers: int) -> None:
    """After the first page so many are deleted that no page meets it."""
    if answers == 1:
        history.delete(0, 300)


LAST_WORDS = {
    "a budget": (4, None, RequestBudgetExceededError),
    "a quota of the service": (None, answer(429, headers=[("Retry-After", "3600")]), RequestBudgetExceededError),
    "a fault of the service": (None, answer(500), ServerError),
}


@pytest.mark.parametrize(("most", "refusal", "kind"), LAST_WORDS.values(), ids=LAST_WORDS)
async def test_what_came_before_a_run_was_ended_is_in_the_catalogue_though_calls_may_be_missing_between(
    changing: ChangingServer, most: int | None, refusal: Answer | None, kind: type[KrosaiError], tmp_path: Path
) -> None:
    changing.after_each = behind_a_gap
    changing.instead = lambda _: refusal if len(changing.asked) > 4 else None
    with pytest.raises(kind) as raised:
        await archived(changing, tmp_path, max_requests=most)
    assert len(changing.served) > 100
    assert ids_in(tmp_path) == changing.served
    if isinstance(raised.value, RequestBudgetExceededError):
        assert raised.value.report is not None
        assert raised.value.report.calls_seen == len(changing.served)


async def test_runs_of_a_few_requests_each_come_to_the_end_of_a_history(
    changing: ChangingServer, tmp_path: Path
) -> None:
    with pytest.raises(RequestBudgetExceededError):
        await archived(changing, tmp_path, max_requests=3)
    some = ids_in(tmp_path)
    assert 100 < len(some) < CALLS
    await archived(changing, tmp_path)
    assert ids_in(tmp_path) == set(changing.history.ids())


async def test_an_iterator_gives_nothing_that_it_cannot_vouch_for(changing: ChangingServer) -> None:
    changing.after_each = behind_a_gap
    seen: list[str] = []
    with pytest.raises(RequestBudgetExceededError):
        await ids_from(changing, page_size=100, seen=seen, max_requests=4)
    assert seen == [f"call_{number:05d}" for number in range(100)]
