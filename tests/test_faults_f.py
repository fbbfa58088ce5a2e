"""Going on with what is there (F1 to F10, F14 to F16), within a run and across runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest
from audio import recording
from fake_clock import FakeClock
from storage_server import MP3, OTHER, TAG, Storage, Turn, cut, names, part, replaced, serving, status, then, whole

from krosai_calls import Call, DownloadError, IntegrityError, KrosaiError, StreamInterruptedError
from krosai_calls._parts import RecordingPart

pytestmark = pytest.mark.usefixtures("both_ways")

N = len(MP3)
FROM_5000 = f"bytes 5000-{N - 1}/{N}"


async def stopped_at(storage: Storage, folder: Path, at: int) -> None:
    """Have a run that ends with so much of the recording on disk."""
    storage.plan(cut(at), *[cut(0)] * 9)
    with pytest.raises(KrosaiError):
        await storage.client.download_recording(storage.call, folder / "call.mp3")
    storage.plan()


async def test_f01_a_range_that_is_ignored_costs_the_bytes_again_and_mixes_none(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(cut(5000), whole())
        download = await storage.save(tmp_path)
        assert storage.ranges == [None, "bytes=5000-"]
    assert (tmp_path / "call.mp3").read_bytes() == MP3
    assert (download.size_bytes, download.resumed_bytes) == (N, 0)


WRONG_PARTS: dict[str, Turn] = {
    "start": part(f"bytes 4999-{N - 1}/{N}", MP3[4999:]),
    "end": part(f"bytes 5000-{N}/{N}", MP3[5000:] + b"\0"),
    "end that the body does not reach": part(FROM_5000, MP3[5000:-1]),
    "total": part(f"bytes 5000-{N - 1}/{N + 1}", MP3[5000:]),
    "end before its start": part(f"bytes 5000-4999/{N}", MP3[5000:]),
    "silence about its place": part(None, MP3[5000:]),
    "unit": part(f"frames 5000-{N - 1}/{N}", MP3[5000:]),
    "number": part(f"bytes +5000-{N - 1}/{N}", MP3[5000:]),
    "many parts": part(None, b"--x\r\n\r\n--x--", ("Content-Type", "multipart/byteranges; boundary=x")),
    "F8 version": part(FROM_5000, OTHER[5000:], etag='"v2"'),
    "F8 version that it does not tell": part(FROM_5000, OTHER[5000:], etag=None),
    "F9 version that it tells weakly": part(FROM_5000, OTHER[5000:], etag='W/"v1"'),
}


@pytest.mark.parametrize("wrong", WRONG_PARTS.values(), ids=WRONG_PARTS)
async def test_f02_a_part_that_does_not_fit_is_not_written(tmp_path: Path, wrong: Turn) -> None:
    async with serving() as storage:
        storage.plan(cut(5000), wrong)
        assert (await storage.save(tmp_path)).resumed_bytes == 0
        assert storage.ranges == [None, "bytes=5000-", None]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


@pytest.mark.parametrize("wrong", WRONG_PARTS.values(), ids=WRONG_PARTS)
async def test_f02_a_storage_that_never_sends_the_right_part_is_an_error_soon(tmp_path: Path, wrong: Turn) -> None:
    async with serving() as storage:
        storage.plan(*[cut(5000), wrong] * 20)
        with pytest.raises(KrosaiError):
            await storage.save(tmp_path)
        assert len(storage.asked) <= 8
    assert not (tmp_path / "call.mp3").exists()


async def test_f03_a_part_that_nobody_asked_for_is_not_written(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(*[part(f"bytes 0-{N - 1}/{N}", MP3)] * 9)
        with pytest.raises(IntegrityError, match="nobody asked"):
            await storage.save(tmp_path)
        assert storage.ranges == [None, None]
    assert names(tmp_path) == []


async def test_f04_a_part_of_a_total_that_is_known_may_leave_it_out(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(cut(5000), part(f"bytes 5000-{N - 1}/*", MP3[5000:]))
        await storage.save(tmp_path)
        assert len(storage.asked) == 2
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_f05_parts_that_are_shorter_than_asked_for_are_joined(tmp_path: Path) -> None:
    async with serving(max_attempts=3) as storage:
        places = list(range(1000, N, 1000))
        turns = [part(f"bytes {at}-{min(at + 1000, N) - 1}/{N}", MP3[at : at + 1000]) for at in places]
        # Each brings something new, so that each may fail once before.
        storage.plan(cut(1000), *[turn for answer in turns for turn in (status(503), answer)])
        await storage.save(tmp_path)
        assert storage.ranges == [None, *[f"bytes={at}-" for at in places for _ in range(2)]]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_f06_a_part_that_lacks_nothing_but_its_name_costs_no_request(tmp_path: Path) -> None:
    left = RecordingPart(tmp_path / "call.mp3", "call_1")
    left.begin(TAG, N)
    left.write(MP3)
    left.park()
    async with serving() as storage:
        download = await storage.save(tmp_path)
        assert storage.server.requests == []
    assert (download.resumed_bytes, (tmp_path / "call.mp3").read_bytes()) == (N, MP3)
    assert names(tmp_path) == ["call.mp3"]


@pytest.mark.parametrize("content_range", [None, f"bytes */{N}", "bytes */5000", "bytes */4000", "bytes 0-1/2"])
async def test_f07_a_range_that_cannot_be_had_means_to_start_over(
    tmp_path: Path, content_range: str | None
) -> None:
    async with serving() as storage:
        headers = [("Content-Range", content_range)] if content_range is not None else []
        storage.plan(cut(5000), status(416, *headers))
        await storage.save(tmp_path)
        assert storage.ranges == [None, "bytes=5000-", None]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_f07_a_range_that_can_never_be_had_is_an_error_soon(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(cut(5000), *[status(416)] * 9)
        with pytest.raises(DownloadError):
            await storage.save(tmp_path)
        assert len(storage.asked) <= 8
    assert not (tmp_path / "call.mp3").exists()


@pytest.mark.parametrize("data", [OTHER, recording(80, voice=2)], ids=["as long", "longer"])
async def test_f08_a_recording_that_is_replaced_meanwhile_comes_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr("krosai_calls._incoming.CHECKPOINT_BYTES", 1)
    async with serving() as storage:
        storage.plan(cut(5000), then(replaced(data, '"v2"'), Storage.honest))
        download = await storage.save(tmp_path)
        assert storage.conditions == [None, TAG]
    assert (tmp_path / "call.mp3").read_bytes() == data
    assert download.sha256 == hashlib.sha256(data).hexdigest()


async def test_f08_a_recording_that_changes_again_and_again_is_an_error(tmp_path: Path) -> None:
    async with serving() as storage:
        versions = [then(replaced(recording(voice=n), f'"{n}"'), cut(5000 + n)) for n in range(20)]
        storage.plan(*versions)
        with pytest.raises(IntegrityError, match="changes again and again"):
            await storage.save(tmp_path)
        assert len(storage.asked) <= 6
    assert names(tmp_path) == []


LONG_AGO, JUST_NOW = formatdate(1_600_000_000, usegmt=True), formatdate(1_700_000_000 - 59, usegmt=True)
DATED = ("Date", formatdate(1_700_000_000, usegmt=True))
VALIDATORS: dict[str, tuple[str | None, list[tuple[str, str]], str | None]] = {
    "a strong tag": ('"v1"', [], '"v1"'),
    "a strong tag beside a date": ('"v1"', [("Last-Modified", LONG_AGO), DATED], '"v1"'),
    "a weak tag": ('W/"v1"', [], None),
    "a weak tag beside a date": ('W/"v1"', [("Last-Modified", LONG_AGO), DATED], LONG_AGO),
    "no tag": (None, [], None),
    "a date": (None, [("Last-Modified", LONG_AGO), DATED], LONG_AGO),
    "a date of this minute": (None, [("Last-Modified", JUST_NOW), DATED], None),
    "a date without a present": (None, [("Last-Modified", LONG_AGO)], None),
    "no date": (None, [("Last-Modified", "yesterday"), DATED], None),
    "F10 a tag without quotes": ("v1", [], None),
    "F10 a tag of other letters": ('"v\xe91"', [], None),
    "F10 a tag with a quote inside": ('"v"1"', [], None),
    "F10 two tags": ('"v1", "v2"', [], None),
    "F10 a tag of ten kilobytes": ('"' + "v" * 7000 + '"', [], None),
}


@pytest.mark.parametrize(("etag", "headers", "condition"), VALIDATORS.values(), ids=VALIDATORS)
async def test_f09_only_what_tells_versions_apart_is_sent_as_a_condition(
    tmp_path: Path, etag: str | None, headers: list[tuple[str, str]], condition: str | None
) -> None:
    async with serving() as storage:
        storage.etag, storage.more_headers = etag, headers
        storage.plan(cut(5000))
        await storage.save(tmp_path)
        assert storage.ranges == [None, None if condition is None else "bytes=5000-"]
        assert storage.conditions == [None, condition]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


@pytest.mark.parametrize("way", [RecordingPart.park, RecordingPart.close], ids=["stopped", "J1 killed"])
async def test_f11_another_run_goes_on_where_the_last_one_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Callable[[RecordingPart], None]
) -> None:
    data, clock = recording(1000), FakeClock()
    monkeypatch.setattr(RecordingPart, "park", way)
    # What a kill leaves is what was written down in time: here with every piece.
    monkeypatch.setattr("krosai_calls._incoming.CHECKPOINT_BYTES", 1)
    async with serving(data, clock=clock, max_attempts=1) as storage:
        storage.plan(cut(100_000))
        with pytest.raises(StreamInterruptedError):
            await storage.save(tmp_path)
        assert names(tmp_path) == ["call.mp3.part", "call.mp3.part.log"]
        first = storage.sent_bytes
    async with serving(data) as storage:
        download = await storage.save(tmp_path)
        assert storage.ranges == ["bytes=100000-"]
        assert first + storage.sent_bytes == len(data)
    assert (tmp_path / "call.mp3").read_bytes() == data
    assert (download.resumed_bytes, download.size_bytes) == (100_000, len(data))
    assert names(tmp_path) == ["call.mp3"]


@pytest.mark.parametrize("spoil", ["the record", "the part"])
async def test_f11_a_part_that_does_not_match_its_record_is_not_believed(tmp_path: Path, spoil: str) -> None:
    async with serving() as storage:
        await stopped_at(storage, tmp_path, 5000)
        spoilt = tmp_path / ("call.mp3.part" if spoil == "the part" else "call.mp3.part.log")
        content = bytearray(spoilt.read_bytes())
        content[20] ^= 1
        spoilt.write_bytes(content)
        before = len(storage.asked)
        assert (await storage.save(tmp_path)).resumed_bytes == 0
        assert storage.ranges[before:] == [None]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_f11_a_part_of_another_call_is_not_believed(tmp_path: Path) -> None:
    async with serving() as storage:
        await stopped_at(storage, tmp_path, 5000)
        before = len(storage.asked)
        await storage.save(tmp_path, call=Call("call_2", recording_url=storage.link))
        assert storage.ranges[before:] == [None]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_f08_a_part_of_a_recording_that_was_replaced_between_two_runs_is_not_mixed(tmp_path: Path) -> None:
    async with serving() as storage:
        await stopped_at(storage, tmp_path, 5000)
        storage.data, storage.etag = OTHER, '"v2"'
        before = len(storage.asked)
        assert (await storage.save(tmp_path)).resumed_bytes == 0
        assert storage.ranges[before:] == ["bytes=5000-"]
        assert storage.conditions[before:] == [TAG]
    assert (tmp_path / "call.mp3").read_bytes() == OTHER


async def test_f14_thirty_cuts_are_no_failure_while_each_brings_something_new(tmp_path: Path) -> None:
    async with serving(max_attempts=3) as storage:
        storage.plan(*[turn for _ in range(30) for turn in (cut(100), status(503))])
        assert (await storage.save(tmp_path)).size_bytes == N
        assert storage.sent_bytes == N
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_f14_a_failure_that_brings_nothing_new_counts(tmp_path: Path) -> None:
    async with serving(max_attempts=3) as storage:
        storage.plan(cut(100), *[cut(0)] * 99)
        with pytest.raises(StreamInterruptedError) as raised:
            await storage.save(tmp_path)
        # The one that brought something is the first of three.
        assert raised.value.attempts == 3
        assert storage.ranges == [None, "bytes=100-", "bytes=100-"]
        assert (raised.value.received, raised.value.expected) == (100, N)
    assert (tmp_path / "call.mp3.part").read_bytes() == MP3[:100]


async def test_f14_no_recording_takes_more_than_two_hundred_requests(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(*[cut(1)] * 999)
        with pytest.raises(DownloadError, match="200 requests"):
            await storage.save(tmp_path)
        assert len(storage.asked) == 200
        assert (tmp_path / "call.mp3.part").read_bytes() == MP3[:200]
        storage.plan()
        assert (await storage.save(tmp_path)).resumed_bytes == 200
    assert (tmp_path / "call.mp3").read_bytes() == MP3


@pytest.mark.parametrize("etag", [TAG, None])
async def test_f15_a_storage_without_ranges_that_always_breaks_off_gets_the_policys_attempts(
    tmp_path: Path, etag: str | None
) -> None:
    async with serving(max_attempts=5) as storage:
        storage.etag = etag
        storage.plan(*[whole(9000)] * 99)
        with pytest.raises(StreamInterruptedError) as raised:
            await storage.save(tmp_path)
        assert raised.value.attempts == len(storage.asked) == 5


@pytest.mark.parametrize("lasts", [False, True], ids=["once", "always"])
async def test_f16_a_part_that_is_compressed_is_not_written(tmp_path: Path, lasts: bool) -> None:
    async with serving() as storage:
        squeezed = part(FROM_5000, MP3[5000:], ("Content-Encoding", "gzip"))
        storage.plan(cut(5000), *[squeezed] * (9 if lasts else 1))
        if lasts:
            with pytest.raises(IntegrityError, match="compressed"):
                await storage.save(tmp_path)
            assert names(tmp_path) == []
        else:
            await storage.save(tmp_path)
            assert (tmp_path / "call.mp3").read_bytes() == MP3
