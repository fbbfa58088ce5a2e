"""Group C of the catalogue of faults, over real sockets: what a listing costs in requests, and what it keeps."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from changing_server import Asked, ChangingServer, blocking_client_of, client_of, ids_from

from krosai_calls import Call, DecodeError
from krosai_calls._listing import PageIterator, PageSource, walk
from krosai_calls._paging import Listing
from krosai_calls._seams import REMEMBERED, Row, Window
from krosai_calls.models import Page

CALLS = 1000


@pytest.fixture
async def server() -> AsyncIterator[ChangingServer]:
    async with ChangingServer(CALLS) as made:
        yield made


@pytest.mark.parametrize("calls", [0, 1, 99, 100, 101, 198, 199, 200, CALLS, 2500])
@pytest.mark.parametrize("at_once", [1, 3, 16])
async def test_a_quiet_history_costs_a_request_for_99_calls_and_none_is_asked_twice(
    calls: int, at_once: int
) -> None:
    async with ChangingServer(calls) as server:
        assert await ids_from(server, page_size=100, max_concurrency=at_once) == server.history.ids()
        assert set(Counter(server.offsets).values()) == {1}
        assert len(server.asked) == max(0, calls - 1) // 99 + 1


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 100])
async def test_pages_of_every_size_give_each_call_once(page_size: int) -> None:
    async with ChangingServer(30) as server:
        assert await ids_from(server, page_size=page_size) == server.history.ids()
        assert {asked.limit for asked in server.asked} <= {page_size, 2 if page_size == 1 else page_size}


async def test_iter_pages_gives_the_same_calls_in_lists(server: ChangingServer) -> None:
    async with client_of(server) as client:
        lists = [[call.id for call in calls] async for calls in client.iter_pages(page_size=100)]
    assert [call_id for calls in lists for call_id in calls] == server.history.ids()
    assert all(0 < len(calls) <= 100 for calls in lists)


async def answered_in_rounds(server: ChangingServer, reading: asyncio.Future[Any]) -> None:
    """Answer only when all that will be asked has been asked."""
    while not reading.done():
        await server.settles()
        held, server.hold = server.hold, asyncio.Event()
        assert held is not None
        held.set()


@pytest.mark.parametrize("at_once", [1, 3, 8])
async def test_no_more_requests_are_under_way_than_max_concurrency(server: ChangingServer, at_once: int) -> None:
    server.hold = asyncio.Event()
    reading = asyncio.create_task(ids_from(server, page_size=10, max_concurrency=at_once))
    await answered_in_rounds(server, reading)
    assert await reading == server.history.ids()
    assert server.most_under_way == at_once


async def test_nothing_is_asked_before_the_first_step_and_one_page_for_the_first_calls(
    server: ChangingServer,
) -> None:
    async with client_of(server) as client:
        calls, pages = client.iter_calls(), client.iter_pages()
        await server.settles()
        assert server.asked == []
        for _ in range(100):
            await anext(calls)
        await server.settles()
        assert server.asked == [Asked(0, 100)]
        assert len(await anext(pages)) == 100
        await server.settles()
        assert server.asked == [Asked(0, 100)] * 2
        await anext(calls)
        assert len(server.asked) > 2
        await calls.aclose()
        await pages.aclose()


@pytest.mark.parametrize("at_once", [1, 2, 8])
async def test_an_iterator_that_is_not_read_on_asks_for_no_more_than_max_concurrency_pages(
    server: ChangingServer, at_once: int
) -> None:
    async with (
        client_of(server, max_concurrency=at_once) as client,
        aclosing(client.iter_pages(page_size=10)) as it,
    ):
        for read in range(1, 30):
            await anext(it)
            await server.settles()
            assert len(server.asked) <= read + at_once


@pytest.mark.parametrize(
    ("max_items", "asked"),
    [
        pytest.param(0, [], id="none"),
        pytest.param(1, [Asked(0, 1)], id="one"),
        pytest.param(5, [Asked(0, 5)], id="five"),
        pytest.param(100, [Asked(0, 100)], id="a page"),
        pytest.param(150, [Asked(0, 100), Asked(99, 51)], id="a page and a half"),
    ],
)
async def test_no_more_is_asked_for_than_is_wanted(
    server: ChangingServer, max_items: int, asked: list[Asked]
) -> None:
    async with client_of(server) as client:
        seen = [call.id async for call in client.iter_calls(max_items=max_items)]
    assert seen == server.history.ids()[:max_items]
    assert server.asked == asked


async def test_several_listings_at_once_know_nothing_of_each_other(server: ChangingServer) -> None:
    async with client_of(server, max_concurrency=5) as client:

        async def read(page_size: int) -> list[str]:
            return [call.id async for call in client.iter_calls(page_size=page_size)]

        server.hold = asyncio.Event()
        reading = asyncio.gather(read(100), read(33), read(10))
        await answered_in_rounds(server, reading)
        for seen in await reading:
            assert seen == server.history.ids()
    assert server.most_under_way == 5


async def test_l08_two_threads_each_read_a_listing_of_their_own(server: ChangingServer) -> None:
    client = blocking_client_of(server, max_concurrency=4)

    def read(page_size: int) -> list[str]:
        return [call.id for call in client.iter_calls(page_size=page_size)]

    def read_pages() -> list[str]:
        return [call.id for calls in client.iter_pages(page_size=20) for call in calls]

    readers = [asyncio.to_thread(read, 100), asyncio.to_thread(read, 10), asyncio.to_thread(read_pages)]
    for seen in await asyncio.gather(*readers):
        assert seen == server.history.ids()
    assert server.most_under_way <= 4
    await asyncio.to_thread(client.close)


async def test_c14_a_long_history_is_read_without_keeping_it() -> None:
    gc.collect()
    others = live_calls()  # what other tests have left is not this listing's
    rows, most_kept = 40_000, 0
    listing = Listing(100, most_at_once=8)

    async def fetch(window: Window) -> tuple[Page, tuple[Row, ...]]:
        end = min(window.offset + window.limit, rows)
        calls = tuple(Call(f"call_{number}") for number in range(window.offset, end))
        return Page(calls, rows, window.limit, window.offset, None), calls

    count = 0

    async def never(window: Window, unreadable: DecodeError) -> tuple[Page, tuple[Row, ...]]:
        raise unreadable

    source = PageSource(fetch, lambda window, answered: answered, never)
    async for calls in PageIterator(lambda: walk(listing, source)):
        count += len(calls)
        if count % 8000 < 100:
            most_kept = max(most_kept, live_calls() - others)
    assert count == rows
    assert 100 <= most_kept <= 20 * 100
    assert len(listing._trail._numbers) <= 2 * REMEMBERED + 100


def live_calls() -> int:
    return sum(type(found) is Call for found in gc.get_objects())
