"""Bodies that are led past aiohttp: every byte once and in order, and a connection that stays what it was."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from unittest.mock import Mock

import pytest
from audio import recording
from fault_client import TimelessClient
from networks import tls_server, trusting
from raw_server import Answer, RawServer, answer

from krosai_calls import AsyncCallsClient, ClientStateError, RequestTimeoutError, StreamInterruptedError
from krosai_calls._bodies import StorageAnswer
from krosai_calls._bypass import WORTH_BYTES, Bypass
from krosai_calls._retry import Failure
from krosai_calls._text import Secret

BODY = recording(8000)  # 1.5 MB: several pieces, whatever the sockets' buffers
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
BODY_ALONE = [BODY[place : place + 100_000] for place in range(0, len(BODY), 100_000)]


class Pieces:
    """Takes pieces, or some of them.

    Args:
        came: Is set when one was taken.
        does_take: Says whether to take the next one.
    """

    def __init__(self, came: asyncio.Event | None = None, *, does_take: Callable[[], bool] = lambda: True) -> None:
        self.data = b""
        self.taken = 0
        self._came = came or asyncio.Event()
        self._does_take = does_take
        self._room = memoryview(bytearray(100_000))

    def room(self, most: int) -> memoryview:
        return self._room[:most]

    def take(self, piece: memoryview) -> bool:
        if not self._does_take():
            return False
        self.data += piece
        self.taken += len(piece)
        self._came.set()
        return True

    async def all_of(self, stored: StorageAnswer) -> None:
        """Read a body to its end."""
        while piece := await stored.read(self):
            self.data += piece


@pytest.fixture(params=["http", "https"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[RawServer]:
    """A server, with TLS and without."""
    async with tls_server("127.0.0.1") if request.param == "https" else RawServer() as running:
        yield running


@pytest.fixture
async def client(server: RawServer) -> AsyncIterator[TimelessClient]:
    async with TimelessClient(
        f"{server.url}/v1", ssl_context=trusting(), read_timeout_seconds=5.0, max_concurrency=4
    ) as made:
        yield made


@asynccontextmanager
async def stored(client: AsyncCallsClient, server: RawServer) -> AsyncIterator[StorageAnswer]:
    async with client._transport.storage(Secret(f"{server.url}/call_1.mp3"), {}) as got:
        assert not isinstance(got, Failure), got
        yield got


def in_pieces(*pieces: bytes) -> Answer:
    """The body bit by bit, so that little of it comes with the headers."""
    return Answer(HEAD, more=pieces)


async def test_what_is_taken_is_the_body_and_the_connection_is_used_again(
    server: RawServer, client: TimelessClient
) -> None:
    server.script(in_pieces(*BODY_ALONE))
    for _ in range(3):
        pieces = Pieces()
        async with stored(client, server) as got:
            await pieces.all_of(got)
        assert pieces.data == BODY
        assert pieces.taken > len(BODY) - WORTH_BYTES
    assert [request.connection for request in server.requests] == [1, 1, 1]


async def test_what_is_not_taken_is_read_in_its_place(server: RawServer, client: TimelessClient) -> None:
    server.script(in_pieces(*BODY_ALONE))
    turns = itertools.cycle([True, False, False])
    pieces = Pieces(does_take=lambda: next(turns))
    async with stored(client, server) as got:
        await pieces.all_of(got)
    assert pieces.data == BODY
    assert 0 < pieces.taken < len(BODY)


async def test_nothing_is_taken_while_nobody_reads(server: RawServer, client: TimelessClient) -> None:
    came = asyncio.Event()
    server.script(in_pieces(*BODY_ALONE))
    pieces = Pieces(came)
    async with stored(client, server) as got:
        reading = asyncio.create_task(pieces.all_of(got))
        await came.wait()
        reading.cancel()
        await asyncio.wait([reading])
        seen = pieces.data
        for _ in range(1000):
            await asyncio.sleep(0)  # the server goes on meanwhile
        assert pieces.data == seen
        pieces.data = seen + await got.read()
        await pieces.all_of(got)
    assert pieces.data == BODY


async def test_a_reader_that_does_not_read_holds_the_server_back(
    server: RawServer, client: TimelessClient
) -> None:
    sent = itertools.count()
    most = 64 * 2**20
    server.script(
        Answer(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % most,
            more=(bytes(2**18) for _ in itertools.takewhile(lambda n: n * 2**18 < most, sent)),
        )
    )
    pieces = Pieces(does_take=lambda: False)
    async with stored(client, server) as got:
        for _ in range(8):
            await got.read(pieces)
        for _ in range(3000):
            await asyncio.sleep(0)
    assert next(sent) * 2**18 < most / 2


@pytest.mark.parametrize("ends", ["close", "reset"])
@pytest.mark.parametrize("at", [WORTH_BYTES, len(BODY) - 1])
async def test_a_body_that_is_cut_loses_nothing_that_came(
    server: RawServer, client: TimelessClient, at: int, ends: str
) -> None:
    server.script(Answer(HEAD, more=[BODY[:1000], BODY[1000:at]], then="close" if ends == "close" else "reset"))
    pieces = Pieces()
    async with stored(client, server) as got:
        with pytest.raises(StreamInterruptedError) as raised:
            await pieces.all_of(got)
    assert raised.value.received == len(pieces.data)
    assert raised.value.expected == len(BODY)
    assert BODY.startswith(pieces.data)
    if ends == "close":  # a reset throws away what the system has not handed out yet
        assert len(pieces.data) == at


async def test_silence_is_a_timeout_and_what_came_is_kept(server: RawServer) -> None:
    server.script(Answer(HEAD, more=[BODY[:1000], BODY[1000:500_000]], then="hang"))
    pieces = Pieces()
    async with (
        TimelessClient(f"{server.url}/v1", ssl_context=trusting(), read_timeout_seconds=0.05) as client,
        stored(client, server) as got,
    ):
        with pytest.raises(RequestTimeoutError):
            await pieces.all_of(got)
    assert pieces.data == BODY[:500_000]


async def test_closing_the_client_ends_the_wait(server: RawServer, client: TimelessClient) -> None:
    server.script(Answer(HEAD, more=[BODY[:1000], BODY[1000:500_000]], then="hang"))
    came = asyncio.Event()
    pieces = Pieces(came)

    async def download() -> None:
        async with stored(client, server) as got:
            await pieces.all_of(got)

    task = asyncio.create_task(download())
    await came.wait()
    await client.aclose()
    with pytest.raises(ClientStateError):
        await task


async def test_nothing_is_taken_after_a_cancellation_and_the_connection_is_closed(
    server: RawServer, client: TimelessClient
) -> None:
    server.script(Answer(HEAD, more=itertools.chain(BODY_ALONE[:8], itertools.repeat(b"\0" * 10))))
    came = asyncio.Event()
    pieces = Pieces(came)

    async def download() -> int:
        async with stored(client, server) as got:
            try:
                await pieces.all_of(got)
            finally:
                left = pieces.taken
                for _ in range(100):
                    await asyncio.sleep(0)
                assert pieces.taken == left
        return left

    task = asyncio.create_task(download())
    await came.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.disconnected()


async def test_a_fault_of_whoever_takes_is_raised_where_it_reads(
    server: RawServer, client: TimelessClient
) -> None:
    def full() -> bool:
        raise OSError(28, "No space left on device")

    pieces = Pieces(does_take=full)
    server.script(in_pieces(*BODY_ALONE), answer(200, b"whole"))
    async with stored(client, server) as got:
        first = await got.read()
        assert BODY.startswith(first)
        with pytest.raises(OSError, match="No space left"):
            await got.read(pieces)
        with pytest.raises(OSError, match="No space left"):
            await got.read(pieces)
    async with stored(client, server) as got:
        assert await got.read() == b"whole"
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize(
    "extra", [b"\0", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"], ids=["byte", "answer"]
)
async def test_more_than_was_promised_is_never_taken_for_anything(
    server: RawServer, client: TimelessClient, extra: bytes
) -> None:
    server.script(in_pieces(*BODY_ALONE[:-1], BODY_ALONE[-1] + extra), answer(200, b"honest"))
    pieces = Pieces()
    async with stored(client, server) as got:
        await pieces.all_of(got)
    assert pieces.data == BODY
    async with stored(client, server) as got:
        assert await got.read() == b"honest"
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize(
    "head",
    [
        b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % len(BODY),
        b"Connection: close\r\n\r\n",
        b"Content-Length: %d\r\n\r\n" % (WORTH_BYTES - 1),
    ],
    ids=["in chunks", "of no length", "small"],
)
async def test_a_body_that_has_to_be_parsed_or_is_small_is_left_to_aiohttp(
    server: RawServer, client: TimelessClient, head: bytes
) -> None:
    size = WORTH_BYTES - 1 if b"Content-Length" in head else len(BODY)
    last = b"\r\n0\r\n\r\n" if b"chunked" in head else b""
    server.script(Answer(b"HTTP/1.1 200 OK\r\n" + head, more=[BODY[:1000], BODY[1000:size] + last], then="close"))
    pieces = Pieces()
    async with stored(client, server) as got:
        await pieces.all_of(got)
    assert (pieces.data, pieces.taken) == (BODY[:size], 0)


async def test_a_server_that_closes_after_the_last_byte_costs_nothing(
    server: RawServer, client: TimelessClient
) -> None:
    last = BODY_ALONE[-1]
    server.script(Answer(HEAD, more=[*BODY_ALONE[:-1], last[:-1], last[-1:]], then="close"))
    # The last piece is left to the reader, who comes for it when the connection is gone.
    pieces = Pieces(does_take=lambda: len(pieces.data) < len(BODY) - len(last))
    async with stored(client, server) as got:
        await pieces.all_of(got)
    assert pieces.data == BODY


class Wire(asyncio.Transport):
    """A connection of which nothing is wanted but to have a protocol."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


def test_every_piece_holds_off_the_timeout_and_the_last_gives_the_connection_back() -> None:
    protocol, content, wire = Mock(), Mock(), Wire()
    content.exception.return_value = None
    bypass = Bypass(content, protocol, wire, 1000, memoryview(bytearray(600)))
    bypass.taker = Mock(
        **{"take.return_value": True, "room.side_effect": lambda most: memoryview(bytearray(600))[:most]}
    )
    assert wire.protocol is bypass
    for size, room in ((600, 600), (300, 401), (100, 101)):
        assert len(bypass.get_buffer(-1)) == room
        assert protocol.start_timeout.call_count < 3
        bypass.buffer_updated(size)
    assert protocol.start_timeout.call_count == 3
    assert wire.protocol is protocol
    content.feed_eof.assert_called_once_with()
    protocol.force_close.assert_not_called()
    # Windows' loop asks once more for what is left of its own buffer.
    bypass.get_buffer(-1)
    bypass.buffer_updated(1)
    protocol.force_close.assert_called_once_with()


def test_what_comes_for_a_reader_that_has_left_holds_nothing_off() -> None:
    protocol, content = Mock(), Mock()
    content.exception.return_value = ConnectionError()
    bypass = Bypass(content, protocol, Wire(), 1000, memoryview(bytearray(600)))
    bypass.buffer_updated(600)
    protocol.start_timeout.assert_not_called()
    content.feed_data.assert_not_called()


def test_what_comes_after_a_refused_piece_waits_for_the_reader_behind_it() -> None:
    protocol, content, room, asked = Mock(), Mock(), memoryview(bytearray(b"abcdef")), []
    content.exception.return_value = None
    bypass = Bypass(content, protocol, Wire(), 1000, room)

    def take(piece: memoryview) -> bool:
        asked.append(bytes(piece))
        return len(asked) > 1

    bypass.taker = Mock(take=take, room=lambda most: room)
    for size in (3, 6):
        bypass.get_buffer(-1)
        bypass.buffer_updated(size)
    assert asked == [b"abc"]
    assert [call.args for call in content.feed_data.call_args_list] == [(b"abc",), (b"abcdef",)]
