"""Queues, deadlines, clocks and addresses (A23, A27 to A29)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from fake_clock import FakeClock
from fault_client import CALL, client_of
from raw_server import Answer, RawServer, Request, answer

from krosai_calls import AsyncCallsClient, RateLimitedError, ServerError, SettingsError
from krosai_calls._wire import Endpoint
from krosai_calls._wire import Request as ApiRequest
from krosai_calls.errors import ApiError

REQUEST = ApiRequest(Endpoint.GET_CALL, "/calls/call_1")


def echo(request: Request, gate: asyncio.Event | None = None) -> Answer:
    """The call that was asked for."""
    return answer(200, b'{"id": "%s"}' % request.path.rsplit("/", 1)[1].encode(), gate=gate)


async def get_all(client: AsyncCallsClient, count: int) -> list[str]:
    calls = await asyncio.gather(*(client.get_call(f"call_{n}") for n in range(count)))
    return [call.id for call in calls]


async def test_a23_a_thousand_tasks_share_a_few_connections() -> None:
    async with RawServer(echo) as server, client_of(server.url, max_concurrency=4) as client:
        assert await get_all(client, 1000) == [f"call_{n}" for n in range(1000)]
        assert len(server.requests) == 1000
        assert len({request.connection for request in server.requests}) <= 4


# An exchange takes an eighth of what it may, so that a busy machine ends none; the last has waited for longer.
LIMIT, MANY = 0.4, 12


def slowly(request: Request) -> Answer:
    """The call that was asked for, a twentieth of a second later."""
    gate = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, gate.set)
    return echo(request, gate)


async def test_a23_waiting_for_a_slot_is_no_part_of_the_exchanges_time() -> None:
    settings = {"max_concurrency": 1, "timeout_seconds": LIMIT}
    async with RawServer(slowly) as server, client_of(server.url, **settings) as client:
        # All told it takes longer than one exchange may take.
        assert await get_all(client, MANY) == [f"call_{n}" for n in range(MANY)]
        assert len(server.requests) == MANY


@pytest.mark.parametrize(("limit", "for_each_host"), [(1, 0), (100, 1)], ids=["in all", "for each host"])
async def test_a23_waiting_for_a_connection_of_a_lent_session_is_no_part_of_it_either(
    limit: int,
    for_each_host: int,
) -> None:
    async with (
        RawServer(slowly) as server,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, limit_per_host=for_each_host)
        ) as session,
        client_of(server.url, session=session, timeout_seconds=LIMIT) as client,
    ):
        assert await get_all(client, MANY) == [f"call_{n}" for n in range(MANY)]
        assert len(server.requests) == MANY


@pytest.mark.parametrize(
    ("answered", "kind", "waits"),
    [
        # 2.0 would be next, and 1.25 are left.
        pytest.param(answer(503), ServerError, [0.25, 0.5, 1.0], id="A27 a drawn wait"),
        pytest.param(
            answer(503, headers=[("Retry-After", "2")]), ServerError, [2.0], id="A27 the second wait of two"
        ),
        pytest.param(answer(429, headers=[("Retry-After", "3.5")]), RateLimitedError, [], id="A27 the first wait"),
    ],
)
async def test_a_wait_that_does_not_fit_the_deadline_is_told_at_once(
    answered: Answer, kind: type[ApiError], waits: list[float]
) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(answered)
        deadline = client.clock.now + 3.0
        with pytest.raises(kind) as raised:
            await client.transport.fetch(REQUEST, lambda got: got.body, deadline=deadline)
        assert client.clock.slept == waits
        assert raised.value.attempts == len(server.requests) == len(waits) + 1
        assert client.clock.now < deadline


async def test_a27_no_attempt_is_made_after_the_deadline() -> None:
    clock = FakeClock()

    def handle(request: Request) -> Answer:
        clock.now += 4.0
        return answer(500)

    async with RawServer(handle) as server, client_of(server.url, clock=clock) as client:
        with pytest.raises(ServerError):
            await client.transport.fetch(REQUEST, lambda got: got.body, deadline=clock.now + 3.0)
        assert len(server.requests) == 1
        assert clock.slept == []


def dated(days: float, *, wait: int) -> list[tuple[str, str]]:
    """Headers of a server whose clock is so many days ahead of ours, and that wants a pause."""
    there = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    return [
        ("Date", format_datetime(there, usegmt=True)),
        ("Retry-After", format_datetime(there + timedelta(seconds=wait), usegmt=True)),
    ]


@pytest.mark.parametrize("days", [-1.0, 0.0, 1.0], ids=["A28 a day ahead", "A28 on time", "A28 a day behind"])
async def test_a_wall_clock_that_is_wrong_changes_no_wait(days: float) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(answer(503, headers=dated(days, wait=7)), answer(500), answer(200, CALL))
        assert (await client.get_call("call_1")).id == "call_1"
        assert client.clock.slept == [7.0, 0.5]


@pytest.mark.parametrize(
    ("suffix", "path"),
    [
        ("", "/calls/call_1"),
        ("/", "/calls/call_1"),
        ("/v1", "/v1/calls/call_1"),
        ("/v1/", "/v1/calls/call_1"),
        ("/gateway/krosai/v1//", "/gateway/krosai/v1/calls/call_1"),
        ("/a%2Fb", "/a%2Fb/calls/call_1"),
    ],
    ids="A29 '{}'".format,
)
async def test_a_base_urls_path_is_kept(suffix: str, path: str) -> None:
    async with RawServer() as server:
        server.script(answer(200, CALL))
        async with AsyncCallsClient("key", base_url=server.url + suffix) as client:
            await client.get_call("call_1")
        assert [request.target for request in server.requests] == [path]


@pytest.mark.parametrize(
    "address",
    [
        "https://api.example/v1?key=CANARY",
        "https://api.example/v1#part",
        "https://user:CANARY@api.example/v1",
        "https://user@api.example/v1",
        "ftp://api.example/v1",
        "api.example/v1",
        "https://",
        "https:///v1",
        "https://api.example:99999/v1",
        "https://[::1/v1",
        " https://api.example/v1",
        "https://api.example/v 1",
        "https://api.\texample/v1",
        "https://api.example\n/v1",
        "https://api.example\\v1",
        "https://\u2460.example/v1",
    ],
    ids="A29 {!r}".format,
)
async def test_an_address_that_is_no_base_url_is_refused_before_any_request(address: str) -> None:
    with pytest.raises(SettingsError) as raised:
        AsyncCallsClient("key", base_url=address)
    assert "CANARY" not in str(raised.value)
