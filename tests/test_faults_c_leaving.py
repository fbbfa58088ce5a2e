"""Group C of the catalogue of faults, and K and L where they meet it, over real sockets: how a listing is left."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, TypeAlias

import pytest
from changing_server import (
    HANG,
    LONGEST_WAIT_SECONDS,
    Asked,
    ChangingServer,
    blocking_client_of,
    client_of,
)
from raw_server import Answer

from krosai_calls import AsyncCallsClient, CallsClient, ClientStateError
from krosai_calls._listing import CallIterator

CALLS = 1000
HUNG = 3  # of the four requests after the first page, all but the one that comes next


@pytest.fixture
async def server() -> AsyncIterator[ChangingServer]:
    async with ChangingServer(CALLS) as made:
        yield made


@pytest.fixture(autouse=True)
async def complaints() -> AsyncIterator[list[dict[str, Any]]]:
    """A test after which the loop complains of a task whose error nobody took fails."""
    loop = asyncio.get_running_loop()
    found: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: found.append(context))
    yield found
    gc.collect()
    assert found == []


Leave: TypeAlias = Callable[[ChangingServer, AsyncCallsClient], Awaitable[None]]


def nothing_after_two_pages(asked: Asked) -> Answer | None:
    return HANG if asked.offset > 99 else None


async def step_into(calls: CallIterator, server: ChangingServer, count: int = 150) -> None:
    """Read into the second page, while those after it are under way."""
    for _ in range(count):
        await anext(calls)
    await server.is_asked(2 + HUNG)


async def by_break(server: ChangingServer, client: AsyncCallsClient) -> None:
    async with aclosing(client.iter_calls()) as calls:
        async for call in calls:
            if call.id == server.history.ids()[150]:
                await server.is_asked(2 + HUNG)
                break
    await server.keeps_open(1)  # not only when the iterator is dropped


async def by_error_in_the_body(server: ChangingServer, client: AsyncCallsClient) -> None:
    async def read() -> None:
        async with aclosing(client.iter_calls()) as calls:
            await step_into(calls, server)
            raise KeyError

    with pytest.raises(KeyError):
        await read()


async def by_aclose(server: ChangingServer, client: AsyncCallsClient) -> None:
    calls = client.iter_calls()
    await step_into(calls, server)
    await calls.aclose()
    await server.keeps_open(1)
    await calls.aclose()
    assert [call async for call in calls] == []


async def by_dropping_it(server: ChangingServer, client: AsyncCallsClient) -> None:
    await step_into(client.iter_calls(), server)
    gc.collect()


async def by_cancelling_the_task(server: ChangingServer, client: AsyncCallsClient) -> None:
    reading = asyncio.create_task(step_into(client.iter_calls(), server, CALLS))
    await server.is_asked(2 + HUNG)
    await server.settles()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def by_timeout(server: ChangingServer, client: AsyncCallsClient) -> None:
    async def read() -> None:
        async with asyncio.timeout(None) as limit:
            calls = client.iter_calls()
            await step_into(calls, server)
            limit.reschedule(0)
            await step_into(calls, server, CALLS)

    with pytest.raises(TimeoutError) as raised:
        await read()
    assert type(raised.value) is TimeoutError


async def by_a_sibling_that_fails(server: ChangingServer, client: AsyncCallsClient) -> None:
    async def fail() -> None:
        await server.is_asked(2 + HUNG)
        raise KeyError

    async def read() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(step_into(client.iter_calls(), server, CALLS))
            group.create_task(fail())

    with pytest.raises(ExceptionGroup) as raised:
        await read()
    assert [type(error) for error in raised.value.exceptions] == [KeyError]


WAYS: dict[str, Leave] = {
    "C13 break": by_break,
    "C13 an error in the loop's body": by_error_in_the_body,
    "C13 aclose": by_aclose,
    "K14 dropping it": by_dropping_it,
    "K1 cancelling the task": by_cancelling_the_task,
    "K4 asyncio.timeout": by_timeout,
    "K5 a sibling in a task group fails": by_a_sibling_that_fails,
}


@pytest.mark.parametrize("leave", WAYS.values(), ids=WAYS)
async def test_leaving_a_listing_ends_its_requests_and_the_client_goes_on(
    server: ChangingServer, leave: Leave
) -> None:
    server.instead = nothing_after_two_pages
    async with client_of(server) as client:
        await leave(server, client)
        await server.keeps_open(1)  # the one that is free
        asked = len(server.asked)
        await server.settles()
        assert len(server.asked) == asked >= 2 + HUNG
        server.instead = None
        assert [call.id async for call in client.iter_calls()] == server.history.ids()


async def test_after_a_timeout_the_same_iterator_goes_on_with_the_next_call(server: ChangingServer) -> None:
    server.instead = nothing_after_two_pages
    async with client_of(server) as client:
        calls = client.iter_calls()
        seen: list[str] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                async for call in calls:
                    seen.append(call.id)
                    if len(seen) == 199:
                        await server.is_asked(2 + HUNG)
                        limit.reschedule(0)
        server.instead = None
        seen += [call.id async for call in calls]
        assert seen == server.history.ids()


@pytest.mark.parametrize("reads_on", [True, False], ids=["and is read on", "and is never read again"])
async def test_k06_closing_the_client_ends_a_listing_that_is_under_way(
    server: ChangingServer, reads_on: bool
) -> None:
    server.instead = nothing_after_two_pages
    client = client_of(server)
    calls = client.iter_calls()
    await step_into(calls, server)
    async with asyncio.timeout(LONGEST_WAIT_SECONDS):
        await client.aclose()
    await server.keeps_open(0)
    if reads_on:
        for _ in range(199 - 150):
            await anext(calls)
        with pytest.raises(ClientStateError):
            await anext(calls)
    assert len(server.asked) == 2 + HUNG


async def test_k06_closing_the_client_ends_a_step_that_waits(server: ChangingServer) -> None:
    server.instead = nothing_after_two_pages
    async with client_of(server) as client:
        waiting = asyncio.create_task(step_into(client.iter_calls(), server, CALLS))
        await server.is_asked(2 + HUNG)
        await client.aclose()
        with pytest.raises(ClientStateError):
            await asyncio.wait_for(waiting, LONGEST_WAIT_SECONDS)
    await server.keeps_open(0)


def blocking_break(client: CallsClient) -> None:
    for number, _ in enumerate(client.iter_calls()):
        if number == 150:
            break


def blocking_error(client: CallsClient) -> None:
    with suppress(KeyError):
        for number, _ in enumerate(client.iter_calls()):
            if number == 150:
                raise KeyError


def blocking_pages(client: CallsClient) -> None:
    pages = client.iter_pages()
    next(pages)
    next(pages)


BLOCKING_WAYS = {
    "L12 break": blocking_break,
    "L12 an error in the loop's body": blocking_error,
    "L12 dropping the pages": blocking_pages,
}


@pytest.fixture
async def blocking_client(server: ChangingServer) -> AsyncIterator[CallsClient]:
    client = blocking_client_of(server)
    yield client
    await asyncio.to_thread(client.close)
    await server.keeps_open(0)


@pytest.mark.parametrize("leave", BLOCKING_WAYS.values(), ids=BLOCKING_WAYS)
async def test_l12_leaving_a_blocking_loop_ends_its_requests_and_the_client_goes_on(
    server: ChangingServer, blocking_client: CallsClient, leave: Callable[[CallsClient], None]
) -> None:
    server.instead = nothing_after_two_pages
    await asyncio.to_thread(leave, blocking_client)
    await server.keeps_open(1)
    server.instead = None
    seen = await asyncio.to_thread(lambda: [call.id for call in blocking_client.iter_calls()])
    assert seen == server.history.ids()


async def test_l12_closing_a_blocking_client_ends_a_listing_that_is_never_read_again(
    server: ChangingServer, blocking_client: CallsClient
) -> None:
    server.instead = nothing_after_two_pages
    calls = blocking_client.iter_calls()

    def step() -> str:
        return [next(calls).id for _ in range(150)][-1]

    assert await asyncio.to_thread(step) == server.history.ids()[149]
    await server.is_asked(2 + HUNG)
    await asyncio.to_thread(blocking_client.close)
    await server.keeps_open(0)
