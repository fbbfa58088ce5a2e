"""A body on its way to a file: cuts, stalls, drips, overruns, slow consumers (E1 to E6, E13, E14, E16)."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from audio import recording
from raw_server import Answer, Then, answer
from storage_server import MP3, Storage, Turn, cut, names, paced, says, serving, status, then, whole

from krosai_calls import (
    ConnectionFailedError,
    IntegrityError,
    RequestTimeoutError,
    ServerError,
    StreamInterruptedError,
)

pytestmark = pytest.mark.usefixtures("both_ways")

N = len(MP3)


def chunked(body: bytes, *, last: bytes = b"0\r\n\r\n", ends: Then = "close") -> Turn:
    """The recording without a length."""
    head = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: "v1"\r\n\r\n'
    return says(Answer(head + b"%x\r\n%b\r\n" % (len(body), body) + last, ends))


def until_closed(body: bytes) -> Turn:
    """The recording without a length, ended by the connection's end."""
    return says(answer(200, body, [("ETag", '"v1"')], framing="none"))


class Endless:
    """A body that goes on for as long as the peer takes it.

    Attributes:
        bytes: How much of it was sent.
    """

    def __init__(self, piece: bytes) -> None:
        self.bytes = 0
        self._piece = piece

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.bytes += len(self._piece)
            yield self._piece


@pytest.mark.parametrize("ends", ["close", "reset"])
@pytest.mark.parametrize("at", [0, 1, N // 2, N - 1])
async def test_e01_a_body_that_is_cut_is_gone_on_with_and_no_file_appears_before_it_is_whole(
    tmp_path: Path, at: int, ends: Then
) -> None:
    seen: list[bool] = []
    async with serving() as storage:
        look = then(lambda _: seen.append((tmp_path / "call.mp3").exists()), Storage.honest)
        storage.plan(cut(at, ends), look)
        await storage.save(tmp_path)
        assert (tmp_path / "call.mp3").read_bytes() == MP3
        assert seen == [False]
        if ends == "close":
            assert storage.ranges == [None, f"bytes={at}-" if at else None]
    assert names(tmp_path) == ["call.mp3"]


async def test_e02_a_chunked_body_without_an_end_is_gone_on_with(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.link_fields = {"size_bytes": N}
        storage.plan(chunked(MP3[:4000], last=b""))
        await storage.save(tmp_path, call="call_1")
        assert storage.ranges == [None, "bytes=4000-"]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_e02_a_chunked_body_that_lacks_nothing_but_its_end_is_whole(tmp_path: Path) -> None:
    async with serving(max_attempts=1) as storage:
        storage.link_fields = {"size_bytes": N}
        storage.plan(chunked(MP3, last=b""))
        await storage.save(tmp_path, call="call_1")
        assert storage.ranges == [None]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_e03_of_a_body_that_ends_with_the_connection_the_length_decides(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.link_fields = {"size_bytes": N}
        storage.plan(until_closed(MP3[:4000]))
        await storage.save(tmp_path, call="call_1")
        assert storage.ranges == [None, "bytes=4000-"]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_e03_a_body_that_ends_before_its_first_byte_counts_as_an_attempt(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.link_fields = {"size_bytes": N}
        storage.plan(*[until_closed(b"")] * 9)
        with pytest.raises(StreamInterruptedError):
            await storage.save(tmp_path, call="call_1")
        assert len(storage.asked) == 3
    assert names(tmp_path) == []


async def test_e03_a_body_of_unknown_length_is_not_believed(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(until_closed(MP3), until_closed(MP3), until_closed(MP3))
        with pytest.raises(IntegrityError, match="nobody says how long"):
            await storage.save(tmp_path)
        assert (len(storage.asked), storage.fresh_links) == (2, 1)
    assert names(tmp_path) == []


async def test_e03_the_api_is_asked_for_a_length_that_storage_does_not_tell(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.link_fields = {"size_bytes": N}
        storage.plan(until_closed(MP3), until_closed(MP3))
        assert (await storage.save(tmp_path)).size_bytes == N
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_e04_a_body_that_stalls_is_broken_off_and_gone_on_with(tmp_path: Path) -> None:
    async with serving(read_timeout_seconds=0.05) as storage:
        storage.plan(cut(4000, "hang"))
        await storage.save(tmp_path)
        assert storage.ranges == [None, "bytes=4000-"]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_e04_a_stall_counts_as_an_attempt_and_what_came_is_kept(tmp_path: Path) -> None:
    async with serving(read_timeout_seconds=0.05, max_attempts=1) as storage:
        storage.plan(cut(4000, "hang"))
        with pytest.raises(RequestTimeoutError) as raised:
            await storage.save(tmp_path)
        assert raised.value.attempts == 1
    assert names(tmp_path) == ["call.mp3.part", "call.mp3.part.log"]
    assert (tmp_path / "call.mp3.part").read_bytes() == MP3[:4000]


async def test_e05_a_body_that_drips_for_a_minute_is_broken_off_and_gone_on_with(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(paced(10, 1.0))
        await storage.save(tmp_path)
        first, second = storage.ranges
        assert first is None
        assert second is not None
        assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) < N
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_e05_a_body_that_is_slow_but_does_not_drip_is_left_alone(tmp_path: Path) -> None:
    data = recording(2000)
    async with serving(data) as storage:
        storage.plan(paced(3000, 2.0))
        await storage.save(tmp_path)
        assert storage.client.clock.now > 300.0
        assert storage.ranges == [None]
    assert (tmp_path / "call.mp3").read_bytes() == data


async def test_e06_more_bytes_than_were_promised_are_not_believed(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.link_fields = {"size_bytes": N}
        storage.plan(*[chunked(MP3 + b"\0")] * 3)
        with pytest.raises(IntegrityError, match="more than") as raised:
            await storage.save(tmp_path, call="call_1")
        assert raised.value.call_id == "call_1"
        assert storage.ranges == [None, None]
    assert names(tmp_path) == []


async def test_e06_more_bytes_than_were_promised_may_have_been_a_slip(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.link_fields = {"size_bytes": N}
        storage.plan(cut(4000), chunked(MP3[4000:] + b"\0"))
        await storage.save(tmp_path, call="call_1")
        storage.plan(chunked(MP3 + b"\0"))
        await storage.save(tmp_path, call="call_1")
    assert (tmp_path / "call.mp3").read_bytes() == MP3


@pytest.mark.parametrize("told", [{"size_bytes": 200_000}, {}], ids=["the API tells a length", "nobody tells one"])
async def test_e16_a_body_without_end_is_taken_no_further_than_what_was_promised(
    tmp_path: Path, told: dict[str, int]
) -> None:
    sent, received = Endless(recording(300)), [0]
    async with serving() as storage:
        storage.link_fields = told
        storage.plan(*[says(Answer(b'HTTP/1.1 200 OK\r\nETag: "v1"\r\n\r\n', "hang", more=sent))] * 9)
        with pytest.raises(IntegrityError, match="more than the 200000 bytes" if told else "nobody says how long"):
            await storage.save(tmp_path, call="call_1", progress=lambda now, total: received.append(now))
        assert len(storage.asked) == 2
        await storage.client.aclose()
        await storage.server.disconnected()
    assert max(received) <= sum(told.values())
    assert sent.bytes < 64 * 2**20  # what the system's own buffers take
    assert names(tmp_path) == []


async def test_e06_what_follows_the_promised_length_reaches_no_file(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(lambda at, request: Answer(at.honest(request).wire + b"more", "close"))
        await storage.save(tmp_path)
    assert (tmp_path / "call.mp3").read_bytes() == MP3


def endless(pieces: Iterable[bytes], size: int) -> Turn:
    return says(Answer(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\nETag: "v1"\r\n\r\n' % size, "hang", more=pieces))


async def test_e13_a_stream_that_nobody_reads_holds_the_server_up_and_little_memory() -> None:
    sent = Endless(recording(300))
    async with serving() as storage:
        storage.plan(endless(sent, 2**30))
        async with storage.client.stream_recording(storage.call) as stream:
            await anext(stream)
            tracemalloc.start()
            before = -1
            while before != sent.bytes:  # until no more is taken from the server
                before = sent.bytes
                await asyncio.sleep(0.05)
            grown = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
    assert grown < 2 * 2**20
    assert sent.bytes < 64 * 2**20  # what the system's own buffers take


async def test_e13_a_consumer_may_take_its_time() -> None:
    data = recording(20_000)
    async with serving(data) as storage:
        got = b""
        async with storage.client.stream_recording(storage.call) as stream:
            async for piece in stream:
                got += piece
                storage.client.clock.now += 3600.0
        assert got == data
        assert storage.ranges == [None]


@pytest.mark.parametrize("number", [500, 503])
async def test_e14_a_storage_that_is_busy_is_asked_again_when_it_says(tmp_path: Path, number: int) -> None:
    async with serving() as storage:
        storage.plan(status(number, ("Retry-After", "7"), body=b"<Error><Code>SlowDown</Code></Error>"))
        await storage.save(tmp_path)
        assert sum(storage.client.clock.slept) == pytest.approx(7.0)
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_e14_a_storage_that_stays_busy_is_an_error_after_the_policys_attempts(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(*[status(503)] * 9)
        with pytest.raises(ServerError) as raised:
            await storage.save(tmp_path)
        assert raised.value.attempts == len(storage.asked) == 3
        assert "signature" not in raised.value.url
    assert names(tmp_path) == []


@pytest.mark.parametrize("fault", [status(503), cut(4000), whole(0)], ids=["E14 busy", "E1 cut", "E1 cut at once"])
async def test_e14_a_client_of_many_recordings_gets_over_a_fault_in_each(tmp_path: Path, fault: Turn) -> None:
    async with serving() as storage:
        for number in range(60):
            storage.plan(fault)
            try:
                await storage.client.download_recording(storage.call, tmp_path / f"{number}.mp3")
            except (ServerError, ConnectionFailedError):
                pytest.fail(f"the {number}th of them was given up")
    assert len(names(tmp_path)) == 60
