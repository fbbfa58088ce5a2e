"""How requests go out and what becomes of faults, over real sockets."""

from __future__ import annotations

import asyncio
import itertools
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from fake_clock import FakeClock, settle
from raw_server import Answer, RawServer, Request, answer

from krosai_calls import (
    AsyncCallsClient,
    ClientStateError,
    ConnectionFailedError,
    DecodeError,
    KrosaiError,
    RateLimitedError,
    RequestBudgetExceededError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
)
from krosai_calls._pace import Pace
from krosai_calls._transport import Transport
from krosai_calls._wire import Endpoint
from krosai_calls._wire import Request as ApiRequest
from krosai_calls.settings import ClientSettings

KEY = "kros_test_CANARYKEY"
CALL = b'{"id": "call_1"}'


@asynccontextmanager
async def transport_to(url: str, clock: FakeClock, **settings: Any) -> AsyncIterator[Transport]:
    resolved = ClientSettings.resolve(KEY, base_url=f"{url}/v1", environment={}, **settings)
    pace = Pace(max_concurrency=4, max_requests=resolved.max_requests, clock=clock.read, sleep=clock.sleep)
    transport = Transport(resolved, pace, sleep=clock.sleep, random=lambda: 0.5, clock=clock.read)
    try:
        yield transport
    finally:
        await transport.aclose()


def client_of(url: str, **settings: Any) -> AsyncCallsClient:
    settings.setdefault("retry", RetryPolicy(base_delay_seconds=0.0))
    return AsyncCallsClient(KEY, base_url=f"{url}/v1", **settings)


REQUEST = ApiRequest(Endpoint.GET_CALL, "/calls/call_1")


async def test_waits_are_drawn_between_attempts_and_the_last_error_counts_them() -> None:
    clock = FakeClock()
    async with RawServer() as server, transport_to(server.url, clock) as transport:
        server.script(answer(500))
        with pytest.raises(ServerError) as raised:
            await transport.fetch(REQUEST, lambda got: got.body)
    assert clock.slept == [0.25, 0.5, 1.0, 2.0]
    assert raised.value.attempts == len(server.requests) == 5


async def test_a_retry_after_is_slept_exactly() -> None:
    clock = FakeClock()
    async with RawServer() as server, transport_to(server.url, clock) as transport:
        server.script(answer(429, headers=[("Retry-After", "1.5")]), answer(200, CALL))
        assert await transport.fetch(REQUEST, lambda got: got.body) == CALL
    assert clock.slept == [1.5]


async def test_a_retry_after_of_more_than_a_minute_is_told_at_once() -> None:
    clock = FakeClock()
    async with RawServer() as server, transport_to(server.url, clock) as transport:
        server.script(answer(429, headers=[("Retry-After", "3600")]))
        with pytest.raises(RateLimitedError) as raised:
            await transport.fetch(REQUEST, lambda got: got.body)
    assert clock.slept == []
    assert (raised.value.retry_after, len(server.requests)) == (3600.0, 1)


@pytest.mark.parametrize("fault", [Answer(then="close"), Answer(then="reset")], ids=["closed", "reset"])
async def test_an_attempt_is_one_request_on_the_wire(fault: Answer) -> None:
    # aiohttp alone would send each GET twice.
    async with RawServer() as server, client_of(server.url, retry=RetryPolicy(max_attempts=1)) as client:
        server.script(fault)
        with pytest.raises(ConnectionFailedError) as raised:
            await client.get_call("call_1")
        assert len(server.requests) == 1
        assert raised.value.sent


async def test_a_lost_connection_is_tried_again() -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(Answer(then="close"), Answer(then="reset"), answer(200, CALL, cut=5), answer(200, CALL))
        assert (await client.get_call("call_1")).id == "call_1"
        assert len(server.requests) == 4


async def test_a_body_that_cannot_be_read_is_asked_for_once_more_only() -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(answer(200, b"<html>"))
        with pytest.raises(DecodeError) as raised:
            await client.get_call("call_1")
        assert raised.value.attempts == len(server.requests) == 2


async def test_a_server_that_says_nothing_is_a_timeout() -> None:
    settings = {"timeout_seconds": 0.05, "retry": RetryPolicy(max_attempts=1)}
    async with RawServer() as server, client_of(server.url, **settings) as client:
        server.script(Answer(then="hang"))
        with pytest.raises(RequestTimeoutError, match="no complete answer in time"):
            await client.get_call("call_1")


async def test_bytes_that_drip_in_for_ever_are_a_timeout_too() -> None:
    settings = {"timeout_seconds": 0.1, "retry": RetryPolicy(max_attempts=1)}
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with RawServer() as server, client_of(server.url, **settings) as client:
        server.script(Answer(head, more=itertools.repeat(b"1\r\n \r\n"), then="close"))
        with pytest.raises(RequestTimeoutError):
            await client.get_call("call_1")


async def test_nobody_listening_is_a_connection_that_was_never_made() -> None:
    async with RawServer() as server:
        url = server.url
    async with client_of(url, retry=RetryPolicy(max_attempts=2, base_delay_seconds=0.0)) as client:
        with pytest.raises(ConnectionFailedError, match="no connection") as raised:
            await client.get_call("call_1")
    assert not raised.value.sent
    assert raised.value.attempts == 2


async def test_a_body_over_the_cap_is_refused_without_reading_on() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    endless = Answer(head, more=itertools.repeat(b"400\r\n" + b" " * 1024 + b"\r\n"), then="close")
    async with RawServer() as server, client_of(server.url, max_response_bytes=10_000) as client:
        server.script(endless)
        with pytest.raises(DecodeError) as raised:
            await client.get_call("call_1")
    assert raised.value.reason == "too large"


async def test_a_budget_is_told_before_the_request_after_its_last() -> None:
    async with RawServer() as server, client_of(server.url, max_requests=3) as client:
        server.script(answer(500), answer(200, CALL))
        await client.get_call("call_1")  # two attempts
        await client.get_call("call_1")
        with pytest.raises(RequestBudgetExceededError, match="budget of 3"):
            await client.get_call("call_1")
        assert len(server.requests) == 3


class Doorman:
    """Answers a request for a call with that call, once its gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    def __call__(self, request: Request) -> Answer:
        call_id = request.path.rpartition("/")[2].encode()
        return answer(200, b'{"id": "%s"}' % call_id, gate=self.gate)


async def test_a_clients_first_request_goes_alone_until_its_answer_has_told_the_pace() -> None:
    doorman = Doorman()
    async with RawServer(doorman) as server, client_of(server.url, max_concurrency=3) as client:
        calls = [asyncio.ensure_future(client.get_call(f"call_{n}")) for n in range(3)]
        await server.received(1)
        await settle()
        assert [request.path for request in server.requests] == ["/v1/calls/call_0"]
        doorman.gate.set()
        assert [call.id for call in await asyncio.gather(*calls)] == [f"call_{n}" for n in range(3)]


async def test_no_more_requests_are_under_way_than_allowed() -> None:
    doorman = Doorman()
    async with RawServer(doorman) as server, client_of(server.url, max_concurrency=3) as client:
        doorman.gate.set()
        await client.get_call("call_0")
        doorman.gate.clear()
        calls = [asyncio.ensure_future(client.get_call(f"call_{n}")) for n in range(1, 9)]
        await server.received(4)
        await settle()
        assert len(server.requests) == 4  # the first, and three under way
        doorman.gate.set()
        assert [call.id for call in await asyncio.gather(*calls)] == [f"call_{n}" for n in range(1, 9)]
        assert len({request.connection for request in server.requests}) == 3


async def test_a_lent_session_is_used_and_left_open() -> None:
    async with RawServer() as server, aiohttp.ClientSession() as session:
        server.script(answer(200, CALL))
        async with client_of(server.url, session=session) as client:
            await client.get_call("call_1")
        assert not session.closed


async def test_a_closed_client_says_so_and_sends_nothing() -> None:
    async with RawServer() as server:
        client = client_of(server.url)
        await client.aclose()
        await client.aclose()
        with pytest.raises(ClientStateError, match="closed"):
            await client.get_call("call_1")
        assert server.requests == []


FAULTS = {
    "refused": answer(401, b'{"error": "the key kros_test_CANARYKEY is wrong"}'),
    "redirected": answer(302, headers=[("Location", "http://user:CANARYKEY@127.0.0.1:1/")]),
    "unreadable": answer(200, b'{"recording_url": "https://x/y.mp3?signature=CANARYSIG", broken'),
    "not utf-8": answer(200, b'"kros_test_CANARYKEY https://x/y?signature=CANARYSIG \xff"'),
    "no http": Answer(b"SSH-2.0 CANARYSIG\r\n\r\n", then="close"),
    "cut": answer(200, CALL, cut=3),
    "lost": Answer(then="reset"),
    "silent": Answer(then="hang"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("scheme", ["x-api-key", "bearer"])
async def test_no_error_holds_the_key_or_a_signature(fault: Answer, scheme: str) -> None:
    settings = {"timeout_seconds": 0.2, "retry": RetryPolicy(max_attempts=1), "auth_scheme": scheme}
    async with RawServer() as server, client_of(server.url, **settings) as client:
        server.script(fault)
        with pytest.raises(KrosaiError) as raised:
            await client.get_call("call_1")
    told = "".join(traceback.format_exception(raised.value)) + repr(raised.value) + repr(vars(raised.value))
    assert "CANARY" not in told
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
