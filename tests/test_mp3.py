"""What is an MP3, and what going through its frames tells."""

from __future__ import annotations

import pytest
from mp3_pieces import (
    FALSE_HEADERS,
    FRAME,
    ID3V1,
    ID3V1_ENHANCED,
    JUNK,
    KBPS,
    LONG,
    LYRICS3,
    RATES,
    SAMPLES,
    about,
    ape,
    frame,
    id3v2,
    indexed,
    judged_by_mutagen,
)

from krosai_calls._mp3 import Suspicion, Walk, could_be_mp3, implied_duration, looks_like_mp3, suspicion, walk

each_kind = pytest.mark.parametrize(
    ("version", "rate"),
    [pytest.param(version, rate, id=f"MPEG {version}, {rate} Hz") for version in RATES for rate in RATES[version]],
)


PAGES = {
    "a page": b"<!DOCTYPE html><html>Access denied</html>",
    "a page behind white space": b"\r\n\t <html>",
    "a page that is not in English": "\n\t<é>".encode(),
    "a page with a byte-order mark": "<html>".encode("utf-8-sig"),
    "a page in UTF-16": "<html>".encode("utf-16"),
    "an error in XML": b"<?xml version='1.0'?><Error>",
    "an error in JSON": b'{"error": "expired"}',
    "an error in JSON that is not in English": '{"é": 1}'.encode(),
    "a list in JSON that is not in English": '["é"]'.encode(),
    "a list in JSON": b'[{"error": "expired"}]',
    "plain text": b"Access denied",
    "a PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
    "a ZIP": b"PK\x03\x04\x14\0\0\0",
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0",
    "a WAV": b"RIFF\x24\x08\0\0WAVEfmt ",
    "an Ogg": b"OggS\0\x02\0\0",
    "a FLAC": b"fLaC\0\0\0\x22",
    "an MP4": b"\0\0\0\x1cftypM4A \0\0\0\0",
    "a WebM": b"\x1a\x45\xdf\xa3\x01\0\0\0",
}
each_page = pytest.mark.parametrize("page", [pytest.param(page, id=name) for name, page in PAGES.items()])


@each_kind
def test_frames_of_every_kind_and_bit_rate_are_an_mp3_of_their_length(version: float, rate: int) -> None:
    for kbps in KBPS[version]:
        data = frame(kbps, version=version, rate=rate) * 30
        length = 30 * SAMPLES[version] / rate
        assert looks_like_mp3(data)
        assert walk(data) == about(30, length)
        assert implied_duration(data) == pytest.approx(length, rel=0.05)
        assert judged_by_mutagen(data) == pytest.approx(length, rel=0.05)


@each_kind
def test_stereo_checksums_padding_and_private_bits_change_nothing(version: float, rate: int) -> None:
    kbps = KBPS[version][3]
    data = b"".join(
        frame(
            kbps,
            version=version,
            rate=rate,
            stereo=bool(number & 1),
            checksum=bool(number & 2),
            padding=bool(number & 4),
            private=bool(number & 8),
        )
        for number in range(16)
    )
    assert walk(data) == about(16, 16 * SAMPLES[version] / rate)


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param(b"", id="none"),
        pytest.param(id3v2(b""), id="an empty one"),
        pytest.param(id3v2(b"\xff\xfb\x54" * 30_000), id="a picture that is full of false headers"),
        pytest.param(id3v2(bytes(100_000), version=2), id="of version 2, and longer than the search"),
        pytest.param(id3v2(JUNK, footer=True), id="with a footer"),
        pytest.param(id3v2(JUNK) + id3v2(JUNK, footer=True) + id3v2(LONG), id="three in a row"),
        pytest.param(id3v2(JUNK) + bytes(3000), id="with padding that it does not count"),
        pytest.param(id3v2(b"", claims=2**28 - 1), id="that claims more than the file has"),
        pytest.param(b"ID3\x04\0\0\0\0\0\xff", id="whose size is none"),
        pytest.param(bytes(3000), id="zeros"),
        pytest.param(FRAME[1:], id="the rest of a frame"),
        pytest.param(FALSE_HEADERS, id="false headers"),
        pytest.param(FRAME + b"\0", id="two frames that are none in a row"),
        pytest.param(id3v2(bytes(2**21 + 1)), id="of two MiB"),
        pytest.param(JUNK, id="noise"),
    ],
)
def test_what_stands_before_the_first_frame_is_skipped(tags: bytes) -> None:
    data = tags + LONG
    frames = walk(data).frames
    assert looks_like_mp3(data)
    assert could_be_mp3(data)
    assert (frames, walk(data).is_whole) == (1000, True)
    assert implied_duration(data) == pytest.approx(24.0)


@each_kind
@pytest.mark.parametrize("checksum", [False, True])
def test_frames_of_every_kind_are_found_behind_something_else(version: float, rate: int, checksum: bool) -> None:
    data = JUNK + frame(32, version=version, rate=rate, checksum=checksum) * 10
    assert looks_like_mp3(data)
    assert walk(data).frames == 10


def test_three_frames_have_to_begin_within_64_kib() -> None:
    assert looks_like_mp3(id3v2(JUNK) + bytes(65_535) + LONG)
    late = id3v2(JUNK) + bytes(65_536) + LONG
    assert not looks_like_mp3(late)
    assert (implied_duration(late), walk(late)) == (None, Walk(0, 0.0, is_whole=False))


@pytest.mark.parametrize("after", [b"", bytes(500), ID3V1])
@pytest.mark.parametrize("frames", [1, 2])
def test_fewer_frames_will_do_where_there_are_no_more(frames: int, after: bytes) -> None:
    data = FRAME * frames
    assert looks_like_mp3(data + after)
    assert walk(data + after) == about(frames, frames * 0.024)
    assert not looks_like_mp3(data[:-1])
    assert not looks_like_mp3(data + JUNK + after)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xff\xfb",
        b"\xff\xfb\x54",
        FRAME[:4],
        b"ID3",
        id3v2(JUNK),
        id3v2(JUNK)[:2000],
        ID3V1,
        bytes(100_000),
        b"\xff" * 100_000,
        b"\xff\xfb" * 50_000,
        JUNK * 20,
    ],
    ids=lambda data: f"{len(data)} bytes, {data[:4].hex()}",
)
def test_without_a_frame_it_is_no_mp3(data: bytes) -> None:
    assert not looks_like_mp3(data)
    assert (implied_duration(data), walk(data)) == (None, Walk(0, 0.0, is_whole=False))
    assert suspicion(data, 10.0) is Suspicion.CUT
    assert suspicion(data, 1.0) is Suspicion.CUT


@pytest.mark.parametrize(
    ("mask", "bits"),
    [
        pytest.param(0x00F000 >> 8, 0x0000, id="free format"),
        pytest.param(0x00F0, 0x00F0, id="the forbidden bit rate"),
        pytest.param(0x000C, 0x000C, id="the reserved sampling rate"),
        pytest.param(0x1800, 0x0800, id="the reserved version"),
        pytest.param(0x0600, 0x0600, id="layer I"),
        pytest.param(0x0600, 0x0400, id="layer II"),
        pytest.param(0x0600, 0x0000, id="AAC"),
        pytest.param(0x2000, 0x0000, id="a bit of the eleven missing"),
    ],
)
def test_frames_of_anything_but_layer_iii_are_none(mask: int, bits: int) -> None:
    second_and_third = int.from_bytes(FRAME[1:3], "big") & ~mask | bits
    data = (b"\xff" + second_and_third.to_bytes(2, "big") + FRAME[3:]) * 100
    assert not looks_like_mp3(data)


def test_frames_that_share_no_sampling_rate_are_no_chain() -> None:
    data = (frame() + frame(rate=32_000)) * 100
    assert not looks_like_mp3(data)


@each_page
def test_no_page_and_no_other_kind_of_file_is_taken_for_an_mp3_even_if_it_holds_one(page: bytes) -> None:
    assert not looks_like_mp3(page)
    assert not looks_like_mp3(page + LONG)
    assert not looks_like_mp3(id3v2(b"title") + page + LONG)


@each_page
def test_sixteen_bytes_are_enough_to_refuse_it(page: bytes) -> None:
    assert not could_be_mp3(page[:16])
    assert not could_be_mp3(id3v2(b"title") + page[:16])


@pytest.mark.parametrize(
    "data",
    [
        LONG,
        id3v2(JUNK) + LONG,
        id3v2(JUNK, footer=True) + id3v2(b"{") + bytes(100) + LONG,
        id3v2(b"", claims=2**28 - 1) + LONG,
        FRAME[1:] + LONG,
    ],
)
def test_no_beginning_of_an_mp3_is_refused_however_short_it_is(data: bytes) -> None:
    assert looks_like_mp3(data)
    assert all(could_be_mp3(data[:length]) for length in range(6000))


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(ID3V1, id="ID3v1"),
        pytest.param(ID3V1_ENHANCED + ID3V1, id="its enhancement"),
        pytest.param(ape(JUNK), id="APE"),
        pytest.param(ape(JUNK, header=False), id="APE without a header"),
        pytest.param(LYRICS3, id="Lyrics3"),
        pytest.param(ape(JUNK) + LYRICS3 + ID3V1, id="several"),
        pytest.param(id3v2(b"\xff" * 3000, footer=True), id="ID3v2 at the end"),
        pytest.param(bytes(100_000), id="zeros"),
        pytest.param(bytes(100_000) + ID3V1, id="zeros and a tag"),
    ],
)
def test_what_stands_after_the_last_frame_has_no_length_and_is_no_cut(after: bytes) -> None:
    assert implied_duration(LONG + after) == pytest.approx(24.0)
    assert walk(LONG + after) == about(1000, 24.0)
    assert walk(LONG[:-1] + after).is_whole is (after[:1] == b"\0")  # nobody can tell a zero from a missing one


@pytest.mark.parametrize(
    "after",
    [
        b"999999LYRICS200",
        b"3DI\4\0\0\xff\xff\xff\xff",
        JUNK,
        FALSE_HEADERS,
        b"</html>",
        ID3V1[:-1],
        b"\xff\xff\xff\xff",
        b"\xfe",
    ],
)
def test_what_nobody_knows_after_the_last_frame_is_no_cut_either(after: bytes) -> None:
    assert walk(LONG + after) == about(1000, 24.0)


@pytest.mark.parametrize("tag", [b"", id3v2(JUNK)])
def test_a_cut_is_told_from_an_end_at_every_byte(tag: bytes) -> None:
    sizes = [len(frame(kbps)) for kbps in KBPS[1]]
    data = tag + FRAME * 5 + b"".join(frame(kbps, content=b"\1" * 999) for kbps in KBPS[1])
    ends = {len(tag) + 192 * number for number in range(1, 6)} | {
        len(tag) + 192 * 5 + sum(sizes[:number]) for number in range(len(sizes) + 1)
    }
    for length in range(len(tag) + 2 * 192 + 4, len(data) + 1):
        assert walk(data[:length]).is_whole is (length in ends), length
        assert walk(data[:length]).frames == sum(end <= length for end in ends)


@pytest.mark.parametrize(
    "between",
    [
        pytest.param(JUNK, id="noise"),
        pytest.param(FALSE_HEADERS, id="false headers"),
        pytest.param(bytes(1_000_000), id="a hole"),
        pytest.param(ID3V1 + id3v2(b"\xff\xfb\x50" * 3000), id="the tags of two files"),
        pytest.param(FRAME[:100], id="a part of a frame"),
    ],
)
def test_between_frames_whatever_is_none_is_passed_over(between: bytes) -> None:
    data = LONG + between + LONG
    assert walk(data) == about(2000, 48.0)
    assert walk(data[:-1]) == about(1999, 48.0 - 0.024, is_whole=False)


def test_where_thousands_of_false_headers_stand_between_frames_it_gives_up() -> None:
    assert walk(LONG + FALSE_HEADERS * 900 + LONG).frames == 2000
    assert walk(LONG + FALSE_HEADERS * 1001 + LONG) == about(1000, 24.0)


def test_of_files_one_behind_the_other_no_index_is_counted() -> None:
    file = id3v2(JUNK) + indexed(1000, len(LONG)) + LONG
    assert walk(file + file) == about(2000, 48.0)


def test_a_damaged_header_costs_one_frame() -> None:
    assert walk(LONG + b"\0" + FRAME[1:] + LONG) == about(2000, 48.0)


def test_frames_of_another_kind_last_as_long_as_they_do() -> None:
    data = LONG + frame(version=2, rate=16_000, stereo=True) * 100
    assert walk(data) == about(1100, 24.0 + 3.6)
    assert not walk(data[:-1]).is_whole
