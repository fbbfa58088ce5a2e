"""Connections that are lost, fall silent or drip (A6 to A13)."""

from __future__ import annotations

import asyncio

import pytest
from fault_client import CALL, ONCE, client_of
from raw_server import Answer, RawServer, Request, Then, answer

from krosai_calls import ConnectionFailedError, RequestTimeoutError, RetryPolicy

LOST = {"A6 closed": Answer(then="close"), "A9 reset": Answer(then="reset")}


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
async def test_a_connection_lost_without_an_answer_costs_one_request_an_attempt(lost: Answer) -> None:
    # aiohttp alone would send each of the five twice.
    async with RawServer() as server, client_of(server.url) as client:
        server.script(lost)
        with pytest.raises(ConnectionFailedError, match="the connection was lost") as raised:
            await client.get_call("call_1")
        assert len(server.requests) == 5
        assert client.clock.slept == [0.0, 0.5, 1.0, 2.0]
    assert (raised.value.attempts, raised.value.sent) == (5, True)


async def test_a07_a_kept_connection_that_dies_under_a_request_is_replaced_at_once() -> None:
    def handle(request: Request) -> Answer:
        return Answer(then="close") if request.index else answer(200, CALL)

    async with RawServer(handle) as server, client_of(server.url) as client:
        await client.get_call("call_1")
        assert (await client.get_call("call_1")).id == "call_1"
        assert [(request.connection, request.index) for request in server.requests] == [(1, 0), (1, 1), (2, 0)]
        assert client.clock.slept == [0.0]


async def test_a07_a_hang_up_on_a_kept_connection_that_dies_is_followed_by_a_look() -> None:
    def handle(request: Request) -> Answer:
        if request.method == "POST" and request.index:
            return Answer(then="close")
        return answer(
            200, b'{"id": "call_1", "status": "%s"}' % (b"completed" if request.connection > 1 else b"queued")
        )

    async with RawServer(handle) as server, client_of(server.url) as client:
        await client.get_call("call_1")
        assert (await client.hang_up("call_1")).status == "completed"
        assert [request.method for request in server.requests] == ["GET", "POST", "GET"]


async def test_a08_a_connection_that_the_server_closed_while_idle_costs_no_attempt() -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(answer(200, CALL, then="close"), answer(200, CALL))
        await client.get_call("call_1")
        await server.disconnected()
        for _ in range(10):  # the end of the connection is read at some turn of the loop
            await asyncio.sleep(0)
        assert (await client.get_call("call_1")).id == "call_1"
        assert [request.connection for request in server.requests] == [1, 2]
        assert client.clock.slept == []


class Dripping:
    """A server that sends a header line for ever, a byte now and then."""

    def __init__(self) -> None:
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:
            pass
        finally:
            writer.transport.abort()


async def test_a10_a_header_that_drips_ends_with_the_exchanges_time() -> None:
    dripping = Dripping()
    server = await asyncio.start_server(dripping.serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        # The silence between two bytes never lasts as long as a read may.
        settings = {"timeout_seconds": 0.1, "read_timeout_seconds": 5.0, "retry": RetryPolicy(max_attempts=2)}
        async with client_of(url, **settings) as client:
            with pytest.raises(RequestTimeoutError, match="no complete answer in time") as raised:
                await client.get_call("call_1")
        await asyncio.sleep(0.03)  # the server notices that nobody listens any more
    assert (raised.value.attempts, raised.value.sent, dripping.connections) == (2, True, 2)


@pytest.mark.parametrize("limit", ["timeout_seconds", "read_timeout_seconds"])
async def test_a11_a_server_that_never_answers_is_a_timeout_of_each_attempt(limit: str) -> None:
    async with RawServer() as server:
        settings = {limit: 0.05, "retry": RetryPolicy(max_attempts=3)}
        async with client_of(server.url, **settings) as client:
            server.script(Answer(then="hang"))
            with pytest.raises(RequestTimeoutError) as raised:
                await client.get_call("call_1")
            assert len(server.requests) == 3
    assert (raised.value.attempts, raised.value.sent) == (3, True)


ENDS: list[Then] = ["close", "reset", "hang"]
# Only silence has to be waited for.
PATIENCE: dict[Then, float] = {"close": 20.0, "reset": 20.0, "hang": 0.25}


def short(then: Then) -> Answer:
    """An answer that promises more than it sends; what it sends would be whole JSON."""
    return answer(200, CALL + b" " * 60, cut=len(CALL), then=then)


@pytest.mark.parametrize("then", ENDS)
async def test_a12_a_body_shorter_than_promised_is_asked_for_again(then: Then) -> None:
    async with RawServer() as server, client_of(server.url, timeout_seconds=PATIENCE[then]) as client:
        server.script(short(then), answer(200, b'{"id": "call_1", "status": "busy"}'))
        assert (await client.get_call("call_1")).status == "busy"
        assert len(server.requests) == 2


@pytest.mark.parametrize("then", ENDS)
async def test_a12_a_body_shorter_than_promised_is_never_read_however_whole_it_looks(then: Then) -> None:
    async with RawServer() as server, client_of(server.url, timeout_seconds=PATIENCE[then], retry=ONCE) as client:
        server.script(short(then))
        with pytest.raises(ConnectionFailedError) as raised:
            await client.get_call("call_1")
    assert isinstance(raised.value, RequestTimeoutError) is (then == "hang")
    assert raised.value.sent


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE_CHUNK = b"%x\r\n%b\r\n" % (len(CALL), CALL)
CHUNKED = {
    "A13 inside a chunk": HEAD + WHOLE_CHUNK[:-10],
    "A13 at a chunk's end": HEAD + WHOLE_CHUNK,
    "A13 before the last line": HEAD + WHOLE_CHUNK + b"0\r\n",
    "A13 inside a chunk's size": HEAD + WHOLE_CHUNK + b"1",
}


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("wire", CHUNKED.values(), ids=CHUNKED)
async def test_a_chunked_body_without_its_end_is_asked_for_again_and_never_read(wire: bytes, then: Then) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(Answer(wire, then))
        with pytest.raises(ConnectionFailedError) as raised:
            await client.get_call("call_1")
        assert len(server.requests) == raised.value.attempts == 5
        assert raised.value.sent
