"""What storage sends instead of the recording: pages, other lengths, durations and bits (E7 to E12, E18)."""

from __future__ import annotations

import gzip
import hashlib
from base64 import b64encode
from pathlib import Path

import pytest
from audio import recording
from raw_server import Answer, Request, answer
from storage_server import MP3, TAG, Storage, cut, names, part, says, serving, status

from krosai_calls import Call, IntegrityError, KrosaiError

pytestmark = pytest.mark.usefixtures("both_ways")

N = len(MP3)


def compressed(storage: Storage, request: Request) -> Answer:
    return storage.sending(200, gzip.compress(MP3), [("Content-Encoding", "gzip"), ("ETag", '"v1"')])


async def test_e07_a_compressed_body_is_a_slip_once_and_then_an_error(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(compressed)
        await storage.save(tmp_path)
        assert (tmp_path / "call.mp3").read_bytes() == MP3
        (tmp_path / "call.mp3").unlink()
        storage.plan(*[compressed] * 3)
        with pytest.raises(IntegrityError, match="compressed"):
            await storage.save(tmp_path)
        assert len(storage.asked) == 4
    assert names(tmp_path) == []


PAGES = {
    "HTML": b"<!DOCTYPE html><html><body>try again later</body></html>",
    "XML": b'<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>',
    "JSON": b'{"error": {"code": "INTERNAL"}}',
    "E12 WAV": b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0" + bytes(100),
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
async def test_e08_a_page_becomes_no_file_and_no_part(tmp_path: Path, page: bytes) -> None:
    async with serving(page * 20) as storage:
        with pytest.raises(IntegrityError, match="no MP3") as raised:
            await storage.save(tmp_path)
        assert raised.value.call_id == "call_1"
        assert (len(storage.asked), storage.fresh_links) == (2, 1)
    assert names(tmp_path) == []


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
async def test_e08_a_page_that_is_cut_leaves_nothing_to_go_on_with(tmp_path: Path, page: bytes) -> None:
    async with serving(page * 20) as storage:
        storage.plan(*[cut(60)] * 9)
        with pytest.raises(KrosaiError):
            await storage.save(tmp_path)
        assert set(storage.ranges) == {None}
    assert names(tmp_path) == []


async def test_e08_bytes_that_are_no_text_and_no_frames_become_no_file(tmp_path: Path) -> None:
    async with serving(bytes(range(130, 250)) * 100) as storage:
        with pytest.raises(IntegrityError, match="no MP3"):
            await storage.save(tmp_path)
    assert names(tmp_path) == []


async def test_e08_a_page_that_was_a_slip_is_replaced_by_the_recording(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(says(answer(200, PAGES["HTML"], [("ETag", '"v1"')])))
        await storage.save(tmp_path)
        assert storage.ranges == [None, None]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_e09_an_empty_body_is_asked_for_once_more_by_a_fresh_link(tmp_path: Path) -> None:
    async with serving(b"") as storage:
        with pytest.raises(IntegrityError, match="empty"):
            await storage.save(tmp_path, call=Call("call_1", recording_url=storage.link, duration=60))
        assert (len(storage.asked), storage.fresh_links) == (2, 1)
    assert names(tmp_path) == []


@pytest.mark.parametrize("told", [N - 1, N + 1, 2**40])
async def test_e10_a_length_other_than_the_apis_is_not_believed(tmp_path: Path, told: int) -> None:
    async with serving() as storage:
        storage.link_fields = {"size_bytes": told}
        with pytest.raises(IntegrityError, match="where the API says"):
            await storage.save(tmp_path, call="call_1")
        assert (len(storage.asked), storage.fresh_links) == (2, 2)
    assert names(tmp_path) == []


async def test_e10_a_length_that_the_api_tells_under_way_counts_for_the_rest_as_well(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(cut(4000), status(403))
        storage.link_fields = {"size_bytes": 2 * N}
        with pytest.raises(IntegrityError):
            await storage.save(tmp_path)
    assert not (tmp_path / "call.mp3").exists()


LONG = recording(1000)  # 24 seconds


@pytest.mark.parametrize(
    ("data", "duration", "suspect"),
    [
        pytest.param(LONG, 24, None, id="as long as the call"),
        pytest.param(LONG, 25, None, id="within two seconds"),
        pytest.param(LONG, 60, "duration", id="far shorter"),
        pytest.param(LONG, 5, "duration", id="far longer"),
        pytest.param(LONG[: 192 * 500], 24, "duration", id="cut between two frames"),
        pytest.param(LONG, None, None, id="nobody says"),
    ],
)
async def test_e11_a_whole_recording_of_another_duration_is_kept_and_told(
    tmp_path: Path, data: bytes, duration: int | None, suspect: str | None
) -> None:
    async with serving(data) as storage:
        call = Call("call_1", recording_url=storage.link, duration=duration)
        assert (await storage.save(tmp_path, call=call)).suspect == suspect
        storage.link_fields = {"duration_seconds": duration}
        assert (await storage.save(tmp_path, call="call_1")).suspect == suspect
    assert (tmp_path / "call.mp3").read_bytes() == data


async def test_e11_a_recording_that_is_short_and_ends_inside_a_frame_is_not_believed(tmp_path: Path) -> None:
    async with serving(LONG[: 192 * 500 + 90]) as storage:
        with pytest.raises(IntegrityError, match="frame"):
            await storage.save(tmp_path, call=Call("call_1", recording_url=storage.link, duration=24))
    assert names(tmp_path) == []


FLIPPED = MP3[:3000] + bytes([MP3[3000] ^ 0x10]) + MP3[3001:]  # inside a frame's sound
SHA256 = b64encode(hashlib.sha256(MP3).digest()).decode()
SHA512 = b64encode(hashlib.sha512(MP3).digest()).decode()
MD5 = b64encode(hashlib.md5(MP3).digest()).decode()
DIGESTS = {
    "RFC 9530": ("Repr-Digest", f"sha-256=:{SHA256}:"),
    "RFC 9530, of the content": ("Content-Digest", f"sha-512=:{SHA512}:"),
    "RFC 9530, several": ("Repr-Digest", f"unixsum=:AA==:, sha-256=:{SHA256}:"),
    "RFC 3230": ("Digest", f"SHA-256={SHA256}"),
    "RFC 3230, several": ("Digest", f"md5={MD5},SHA-512={SHA512}"),
    "RFC 1864": ("Content-MD5", MD5),
    "S3": ("x-amz-checksum-sha256", SHA256),
}


@pytest.mark.parametrize("told", DIGESTS.values(), ids=DIGESTS)
async def test_e18_bytes_that_do_not_come_to_the_digest_that_storage_tells_become_no_file(
    tmp_path: Path, told: tuple[str, str]
) -> None:
    async with serving(FLIPPED) as storage:
        storage.more_headers = [told]
        with pytest.raises(IntegrityError, match="digest") as raised:
            await storage.save(tmp_path)
        assert raised.value.call_id == "call_1"
        assert names(tmp_path) == []
        storage.data = MP3
        assert (await storage.save(tmp_path)).sha256 == hashlib.sha256(MP3).hexdigest()
    assert (tmp_path / "call.mp3").read_bytes() == MP3


@pytest.mark.parametrize("flipped", ["before the cut", "after it"])
async def test_e18_a_digest_holds_for_all_the_bytes_however_many_answers_they_took(
    tmp_path: Path, flipped: str
) -> None:
    first, rest = (FLIPPED, MP3) if flipped == "before the cut" else (MP3, FLIPPED)
    at = 5000 if flipped == "before the cut" else 1000
    # The digest of a part's own content says nothing of the whole.
    of_the_part = ("Content-Digest", f"sha-256=:{b64encode(hashlib.sha256(rest[at:]).digest()).decode()}:")
    answered = part(f"bytes {at}-{N - 1}/{N}", rest[at:], of_the_part)
    async with serving(first) as storage:
        storage.more_headers = [("Content-MD5", MD5)]
        storage.plan(cut(at), answered)
        with pytest.raises(IntegrityError, match="digest"):
            await storage.save(tmp_path)
        assert storage.ranges == [None, f"bytes={at}-"]
        assert names(tmp_path) == []


async def test_e18_the_digest_of_a_recording_that_was_replaced_meanwhile_counts_no_more(tmp_path: Path) -> None:
    async with serving(FLIPPED) as storage:
        storage.more_headers = [("Content-MD5", MD5)]
        storage.plan(cut(5000), says(answer(200, FLIPPED, [("ETag", '"v2"')], content_type="audio/mpeg")))
        await storage.save(tmp_path)
    assert (tmp_path / "call.mp3").read_bytes() == FLIPPED


NO_DIGESTS = {
    "an ETag that looks like one": ("ETag", f'"{hashlib.md5(MP3).hexdigest()}"'),
    "one of a kind that is not known": ("Digest", "crc32c=AAAAAA=="),
    "one of S3's parts": ("x-amz-checksum-sha256", f"{SHA256}-3"),
    "hex digits": ("Digest", f"sha-256={hashlib.sha256(MP3).hexdigest()}"),
    "another length": ("Repr-Digest", f"sha-256=:{MD5}:"),
    "no base64": ("Content-MD5", "====\xe9"),
    "nothing": ("Repr-Digest", ""),
}


@pytest.mark.parametrize("told", NO_DIGESTS.values(), ids=NO_DIGESTS)
async def test_e18_what_is_no_digest_of_the_whole_condemns_no_recording(
    tmp_path: Path, told: tuple[str, str]
) -> None:
    async with serving(FLIPPED) as storage:
        storage.etag, storage.more_headers = (None if told[0] == "ETag" else TAG), [told]
        await storage.save(tmp_path)
    assert (tmp_path / "call.mp3").read_bytes() == FLIPPED
