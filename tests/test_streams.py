"""A recording that is passed on while it comes: what breaks under way is mended, or told."""

from __future__ import annotations

import asyncio

import pytest
from audio import recording
from raw_server import Answer, Request, answer
from storage_server import (
    MP3,
    OTHER,
    TAG,
    Storage,
    Turn,
    cut,
    part,
    replaced,
    says,
    serving,
    status,
    then,
    whole,
)

from krosai_calls import (
    Call,
    ClientStateError,
    DownloadError,
    IntegrityError,
    RecordingGoneError,
    ServerError,
    StreamInterruptedError,
)

N = len(MP3)
pytestmark = pytest.mark.usefixtures("both_clients")
# A blocking call has no task that could be cancelled.
awaiting_only = pytest.mark.parametrize("both_clients", ["awaiting"], indirect=True)


async def heard(storage: Storage, call: Call | str | None = None) -> tuple[bytes, Exception | None]:
    """What a stream gave, and how it failed, if it did."""
    got = b""
    try:
        async with storage.client.stream_recording(call or storage.call) as stream:
            async for piece in stream:
                assert piece
                got += piece
    except Exception as error:  # noqa: BLE001 - the tests say which
        return got, error
    return got, None


async def told_short(storage: Storage, received: int, call: Call | str | None = None) -> StreamInterruptedError:
    """Have a stream end after so many bytes with the error for that."""
    got, error = await heard(storage, call)
    assert isinstance(error, StreamInterruptedError)
    assert (len(got), error.received, error.expected) == (received, received, N)
    return error


async def test_a_stream_gives_each_byte_once() -> None:
    data = recording(3000)
    async with serving(data) as storage:
        assert await heard(storage) == (data, None)
        assert storage.ranges == [None]


@pytest.mark.parametrize("ends", ["close", "hang"])
async def test_f_a_stream_that_is_cut_is_gone_on_with(ends: str) -> None:
    # Only silence has to be waited for.
    async with serving(read_timeout_seconds=0.2 if ends == "hang" else 20.0) as storage:
        storage.plan(cut(5000, "hang" if ends == "hang" else "close"), cut(0), cut(1000))
        assert await heard(storage) == (MP3, None)
        assert storage.ranges == [None, "bytes=5000-", "bytes=5000-", "bytes=6000-"]
        assert storage.conditions == [None, TAG, TAG, TAG]
        assert storage.sent_bytes == N


@pytest.mark.parametrize("etag", [TAG, None])
async def test_e01_what_came_before_a_cut_is_not_lost_on_a_reader_that_was_busy(etag: str | None) -> None:
    async with serving() as storage:
        storage.etag = etag
        storage.plan(cut(5000))
        async with storage.client.stream_recording(storage.call) as stream:
            await asyncio.sleep(0.02)  # long enough for the cut to be noticed
            assert await anext(stream) == MP3[:5000]


async def test_f14_a_stream_may_be_cut_as_often_as_it_brings_something_new() -> None:
    async with serving(max_attempts=3) as storage:
        storage.plan(*[turn for _ in range(30) for turn in (cut(100), status(503))])
        assert await heard(storage) == (MP3, None)
        storage.plan(cut(100), *[cut(0)] * 9)
        error = await told_short(storage, 100)
        assert error.attempts == 3


async def test_f01_a_stream_from_a_storage_that_ignores_ranges_gives_each_byte_once() -> None:
    async with serving() as storage:
        storage.plan(cut(5000), whole(7000), whole())
        assert await heard(storage) == (MP3, None)
        assert storage.ranges == [None, "bytes=5000-", "bytes=7000-"]


async def test_f01_a_stream_tells_how_far_it_came_not_how_far_the_last_try_came() -> None:
    async with serving() as storage:
        storage.plan(cut(6000), *[whole(1000)] * 9)
        await told_short(storage, 6000)


async def test_f15_a_stream_that_breaks_at_the_same_place_gets_the_policys_attempts() -> None:
    async with serving(max_attempts=5) as storage:
        storage.plan(*[whole(9000)] * 9)
        error = await told_short(storage, 9000)
        assert "changes" not in str(error)
        assert len(storage.asked) == 5


@pytest.mark.parametrize("turn", [Storage.honest, part(f"bytes 5000-{N - 1}/{N}", OTHER[5000:], etag='"v2"')])
async def test_f08_a_stream_never_goes_on_with_another_recording(turn: Turn) -> None:
    async with serving() as storage:
        storage.plan(cut(5000), then(replaced(OTHER, '"v2"'), turn))
        error = await told_short(storage, 5000)
        assert "replaced" in str(error)


async def test_f08_a_stream_that_has_given_nothing_yet_may_begin_anew() -> None:
    async with serving() as storage:
        storage.plan(cut(0))
        assert await heard(storage) == (MP3, None)


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
async def test_f09_a_stream_of_a_version_that_cannot_be_told_ends_where_it_is_cut(etag: str | None) -> None:
    async with serving() as storage:
        storage.etag = etag
        storage.plan(cut(5000))
        await told_short(storage, 5000)
        assert len(storage.asked) == 1


async def test_f02_a_stream_believes_no_part_that_does_not_fit() -> None:
    async with serving() as storage:
        storage.plan(cut(5000), part(f"bytes 0-{N - 1}/{N}", MP3), Storage.honest)
        assert await heard(storage) == (MP3, None)
        assert storage.ranges == [None, "bytes=5000-", None]


def in_parts(size: int, start: int, *before: Turn) -> list[Turn]:
    parts = [part(f"bytes {at}-{min(at + size, N) - 1}/{N}", MP3[at : at + size]) for at in range(start, N, size)]
    return [turn for each in parts for turn in (*before, each)]


async def test_f05_a_stream_joins_parts_that_are_shorter_than_asked_for() -> None:
    async with serving() as storage:
        storage.plan(cut(1000), *in_parts(1000, 1000))
        assert await heard(storage) == (MP3, None)


async def test_f05_a_stream_in_parts_may_be_held_up_before_each() -> None:
    async with serving(max_attempts=3) as storage:
        storage.plan(cut(1000), *in_parts(1000, 1000, status(503)))
        assert await heard(storage) == (MP3, None)


async def test_f05_a_stream_in_parts_that_ends_short_says_so() -> None:
    async with serving() as storage:
        storage.plan(cut(1000), *in_parts(1000, 1000)[:3], *[status(503)] * 9)
        error = await told_short(storage, 4000)
        assert isinstance(error.__cause__, ServerError)


async def test_g02_a_link_that_expires_under_a_stream_is_replaced() -> None:
    async with serving() as storage:
        storage.plan(status(403), cut(5000), status(403), status(410))
        assert await heard(storage) == (MP3, None)
        assert storage.ranges == [None, None, "bytes=5000-", "bytes=5000-", "bytes=5000-"]
        assert storage.fresh_links == 3
        assert storage.client.clock.slept.count(1.0) == 1


async def test_g04_a_stream_whose_links_are_all_refused_ends_short_and_says_why() -> None:
    async with serving() as storage:
        storage.plan(cut(5000), *[status(403)] * 9)
        error = await told_short(storage, 5000)
        assert isinstance(error.__cause__, DownloadError)
        assert "signature" not in str(error)


async def test_h04_a_stream_of_a_recording_that_is_deleted_under_way_ends_short() -> None:
    async with serving() as storage:
        storage.plan(cut(5000), *[status(404)] * 9)
        error = await told_short(storage, 5000)
        assert isinstance(error.__cause__, RecordingGoneError)


async def test_h03_a_stream_that_does_not_come_about_says_why() -> None:
    async with serving() as storage:
        for turn, kind in ((status(404), RecordingGoneError), (status(503), ServerError)):
            storage.plan(*[turn] * 9)
            got, error = await heard(storage)
            assert (got, type(error)) == (b"", kind)


async def test_e06_a_stream_gives_no_more_than_was_promised() -> None:
    head = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: "v1"\r\n\r\n'
    async with serving() as storage:
        storage.link_fields = {"size_bytes": N}
        storage.plan(says(Answer(head + b"%x\r\n%b\r\n0\r\n\r\n" % (N + 1, MP3 + b"\0"), "close")))
        got, error = await heard(storage, "call_1")
        assert isinstance(error, IntegrityError | StreamInterruptedError)
        assert MP3.startswith(got)


async def test_e15_a_stream_says_what_it_is_before_its_first_byte() -> None:
    async with serving() as storage:
        storage.plan(cut(0, "hang"))
        async with storage.client.stream_recording(storage.call) as stream:
            assert (stream.size_bytes, stream.content_type) == (N, "audio/mpeg")
        await storage.server.disconnected()


@pytest.mark.parametrize("after", ["none", "one piece", "an error"])
async def test_c13_leaving_a_stream_early_lets_go_of_its_connection(after: str) -> None:
    async with serving() as storage:
        storage.plan(cut(5000, "hang"))
        try:
            async with storage.client.stream_recording(storage.call) as stream:
                if after != "none":
                    await anext(stream)
                if after == "an error":
                    raise LookupError
        except LookupError:
            pass
        await storage.server.disconnected()
        assert len(storage.asked) == 1
        assert not storage.client.transport._responses


@awaiting_only
async def test_k01_a_stream_that_is_cancelled_lets_go_of_its_connection() -> None:
    async with serving() as storage:
        storage.plan(cut(5000, "hang"))
        listening = asyncio.ensure_future(heard(storage))
        await storage.server.received(1)
        await asyncio.sleep(0.01)
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        await storage.server.disconnected()


@awaiting_only
async def test_k06_closing_the_client_ends_a_stream() -> None:
    async with serving() as storage:
        storage.plan(cut(5000, "hang"))
        listening = asyncio.ensure_future(heard(storage))
        await storage.server.received(1)
        await asyncio.sleep(0.01)
        async with asyncio.timeout(1):
            await storage.client.aclose()
            got, error = await listening
        assert MP3.startswith(got)
        assert isinstance(error, ClientStateError)


async def test_a_stream_of_unknown_length_is_refused_before_its_first_byte() -> None:
    def endless(storage: Storage, request: Request) -> Answer:
        return answer(200, MP3, framing="none")

    async with serving() as storage:
        storage.plan(endless, endless)
        got, error = await heard(storage)
        assert (got, type(error)) == (b"", IntegrityError)
