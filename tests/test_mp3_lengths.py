"""How long an MP3 is by its size, by its index and by its frames; and that no bytes do harm."""

from __future__ import annotations

import mmap
import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mp3_pieces import (
    FALSE_HEADERS,
    FRAME,
    ID3V1,
    JUNK,
    KBPS,
    LONG,
    LYRICS3,
    RATES,
    SAMPLES,
    about,
    ape,
    encoded,
    frame,
    id3v2,
    indexed,
    indexed_by_fraunhofer,
    judged_by_mutagen,
    needs_lame,
)

from krosai_calls._mp3 import (
    Suspicion,
    could_be_mp3,
    implied_duration,
    is_surely_as_long,
    looks_like_mp3,
    suspicion,
    walk,
)
from krosai_calls.sandbox.audio import Recorder, join_ready_made


@pytest.mark.parametrize("stereo", [False, True])
@pytest.mark.parametrize("version", [1, 2, 2.5])
@pytest.mark.parametrize("name", [b"Info", b"Xing"])
def test_an_index_is_believed_and_its_frame_not_counted(name: bytes, version: float, stereo: bool) -> None:
    frames = [frame(KBPS[version][number % 3], version=version, rate=RATES[version][1]) for number in range(90)]
    sound = b"".join(frames)
    data = indexed(90, len(sound), name=name, version=version, stereo=stereo) + sound
    length = 90 * SAMPLES[version] / RATES[version][1]
    assert implied_duration(data) == pytest.approx(length)
    assert implied_duration(id3v2(JUNK) + data + ID3V1) == pytest.approx(length)
    assert walk(data) == about(90, length)
    assert judged_by_mutagen(data) == pytest.approx(length)


def test_the_other_index_is_believed_too() -> None:
    sound = b"".join(frame(kbps) for kbps in KBPS[1] * 10)
    data = indexed_by_fraunhofer(140, len(sound)) + sound
    assert implied_duration(data) == pytest.approx(140 * 0.024)
    assert walk(data).frames == 140
    assert implied_duration(data[:-2000]) is None


@pytest.mark.parametrize(
    ("frames", "size"),
    [(None, None), (1000, None), (None, len(LONG)), (0, len(LONG)), (1000, 2 * len(LONG)), (1000, 9)],
)
def test_an_index_that_does_not_agree_with_the_file_tells_nothing(frames: int | None, size: int | None) -> None:
    data = indexed(frames, size) + LONG
    assert implied_duration(data) is None
    assert suspicion(data, 24.0) is Suspicion.NONE


def test_an_index_counts_its_own_frame_or_does_not() -> None:
    for size in (len(LONG), len(LONG) + len(FRAME)):
        assert implied_duration(indexed(1000, size) + LONG) == pytest.approx(24.0)


def test_a_variable_bit_rate_without_an_index_implies_nothing() -> None:
    data = frame(32) * 30 + frame(320) * 200
    assert implied_duration(data) is None
    assert walk(data).seconds == pytest.approx(230 * 0.024)
    assert suspicion(data, 230 * 0.024 + 1.9) is Suspicion.NONE


@needs_lame
@pytest.mark.parametrize(
    ("kbps", "rate", "channels"),
    [(8, 8000, 1), (24, 16_000, 1), (64, 24_000, 2), (64, 48_000, 1), (128, 44_100, 2), (320, 32_000, 2)],
)
def test_of_what_lame_makes_the_size_a_walk_and_mutagen_tell_the_same(kbps: int, rate: int, channels: int) -> None:
    data = encoded(kbps, rate=rate, channels=channels)
    walked = walk(data)
    assert looks_like_mp3(data)
    assert walked.is_whole
    assert walked.seconds == pytest.approx(3.0, abs=0.25)
    assert walked.seconds == pytest.approx(judged_by_mutagen(data), abs=0.1)
    assert implied_duration(data) == pytest.approx(walked.seconds, abs=0.1)


@needs_lame
@pytest.mark.parametrize(("version", "rate"), [(1, 48_000), (2, 24_000)])
def test_of_a_variable_bit_rate_a_walk_tells_the_length(version: float, rate: int) -> None:
    data = encoded(None, rate=rate)
    assert implied_duration(data) is None
    assert walk(data).seconds == pytest.approx(3.0, abs=0.25)
    index = indexed(walk(data).frames, len(data), version=version)
    assert judged_by_mutagen(index + data) == pytest.approx(walk(data).seconds)


@pytest.mark.parametrize("encode", [join_ready_made, pytest.param(None, marks=needs_lame)])
def test_a_recording_of_the_sandbox_is_as_long_as_its_call(encode: Any) -> None:
    data = Recorder(encode).make("call_a", 60).data
    assert looks_like_mp3(data)
    assert implied_duration(data) == pytest.approx(60.0, abs=0.1)
    assert walk(data).is_whole
    assert suspicion(data, 60.0) is Suspicion.NONE
    assert suspicion(data[: len(data) // 2 + 1], 60.0) is Suspicion.CUT


@pytest.mark.parametrize(
    ("data", "expected", "told"),
    [
        pytest.param(LONG, 24.0, Suspicion.NONE, id="as long as the call"),
        pytest.param(LONG, None, Suspicion.NONE, id="nobody says how long it was"),
        pytest.param(LONG[:-1], None, Suspicion.NONE, id="cut, and nobody says how long it was"),
        pytest.param(LONG, 25.99, Suspicion.NONE, id="two seconds shorter"),
        pytest.param(LONG, 22.01, Suspicion.NONE, id="two seconds longer"),
        pytest.param(LONG, 26.01, Suspicion.DURATION, id="more than two seconds shorter"),
        pytest.param(LONG, 21.99, Suspicion.DURATION, id="more than two seconds longer"),
        pytest.param(LONG * 10, 244.8, Suspicion.NONE, id="two percent shorter"),
        pytest.param(LONG * 10, 245.0, Suspicion.DURATION, id="more than two percent shorter"),
        pytest.param(LONG, 0.0, Suspicion.DURATION, id="a call without a duration"),
        pytest.param(LONG[:-192], 48.0, Suspicion.DURATION, id="cut between two frames"),
        pytest.param(LONG[:-1], 48.0, Suspicion.CUT, id="cut inside a frame"),
        pytest.param(LONG[:-190], 48.0, Suspicion.CUT, id="cut inside a header"),
        pytest.param(LONG[:-1], 24.0, Suspicion.NONE, id="cut, but as long as the call"),
        pytest.param(LONG + bytes(len(LONG)), 48.0, Suspicion.DURATION, id="filled up with zeros"),
        pytest.param(LONG + b"\x01" * len(LONG), 24.0, Suspicion.NONE, id="something else after the sound"),
        pytest.param(
            indexed(2000, 2 * len(LONG)) + LONG, 48.0, Suspicion.DURATION, id="half of what its index says"
        ),
        pytest.param(indexed(2000, 2 * len(LONG)) + LONG[:-1], 48.0, Suspicion.CUT, id="and cut inside a frame"),
        pytest.param(indexed(1000, len(LONG)) + LONG * 2, 48.0, Suspicion.NONE, id="two files in one"),
        pytest.param(LONG + b"\x01" * len(LONG), 48.0, Suspicion.NONE, id="as long as the call by its size"),
        pytest.param(LONG, float("nan"), Suspicion.DURATION, id="a duration that is no number"),
    ],
)
def test_a_duration_raises_suspicion_or_does_not(data: bytes, expected: float | None, told: Suspicion) -> None:
    assert suspicion(data, expected) is told


def ends_show(data: bytes, expected: float | None, *, head: int = 98_304, tail: int = 4096) -> bool:
    return is_surely_as_long(data[:head], data[-tail:], len(data), expected)


ORDINARY = {
    "a constant bit rate": LONG,
    "an index": indexed(1000, len(LONG)) + LONG,
    "tags before and after": id3v2(JUNK) + LONG + ape(JUNK[:900]) + ID3V1,
    "junk before the first frame": FRAME[1:] + LONG,
    "zeros after the last one": LONG + bytes(4000),
    "the largest frames": frame(320, rate=32_000, padding=True) * 667,
}


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in ORDINARY.items()])
def test_of_an_ordinary_recording_the_ends_show_that_it_is_as_long_as_its_call(data: bytes) -> None:
    assert len(data) > 98_304
    assert ends_show(data, 24.0)
    assert ends_show(data, None)
    assert not ends_show(data, 30.0)
    assert ends_show(data[:60_000], None)  # of a small one they are the whole


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(id3v2(bytes(10_000)) + LONG, id="a large tag before the sound"),
        pytest.param(id3v2(FRAME * 600) + LONG, id="sound in a tag before it"),
        pytest.param(LONG + ape(JUNK * 10), id="a large tag after it"),
        pytest.param(LONG + ape(JUNK)[: -len(ID3V1)] + ID3V1, id="half a tag after it"),
        pytest.param(LONG + bytes(50_000), id="many zeros after it"),
        pytest.param(LONG + bytes(50_000) + ID3V1, id="many zeros and a tag after it"),
        pytest.param(LONG + ape(JUNK * 10) + bytes(400), id="a large tag and zeros after it"),
        pytest.param(LONG + ape(JUNK * 10) + ID3V1 * 30, id="a large tag and many after it"),
        pytest.param(frame(32) * 1500 + frame(320) * 200, id="a bit rate that varies late"),
        pytest.param(frame(32) * 30 + frame(320) * 200, id="a bit rate that varies early"),
        pytest.param(JUNK * 20 + LONG, id="junk before it"),
        pytest.param(bytes(98_304) + LONG, id="zeros before it"),
        pytest.param(b"<html>" + LONG, id="a page before it"),
    ],
)
@pytest.mark.parametrize("head", [1, 2000, 93_000, 98_304, 120_000, 1_000_000])
@pytest.mark.parametrize("tail", [1, 255, 257, 4096, 1_000_000])
def test_the_ends_never_promise_what_the_whole_does_not_hold(data: bytes, head: int, tail: int) -> None:
    by_size_alone = [len(data) / (kbps * 125) for kbps in (32, 64)]
    for expected in (None, implied_duration(data), walk(data).seconds, *by_size_alone, 24.0, 48.0):
        if ends_show(data, expected, head=head, tail=tail):
            assert looks_like_mp3(data)
            assert suspicion(data, expected) is Suspicion.NONE


SOUND = [FRAME, FRAME * 4, frame(8, version=2, rate=24_000), frame(stereo=True, padding=True), indexed(5, 960)]
TAGS = [id3v2(b"\0" * 20), id3v2(b"", claims=500), ID3V1, ape(b"abc"), LYRICS3, FALSE_HEADERS, bytes(50)]
SCRAPS = [
    b"ID3",
    b"TAG",
    b"APETAGEX",
    b"LYRICS200",
    b"\xff",
    b"\xff\xfb\x54",
    b"<html>",
    b"{",
    b"RIFF",
    b"plain text",
]
PIECES = st.sampled_from([*SOUND, *TAGS, *SCRAPS])


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=40), max_size=12), st.integers(0, 300), st.floats() | st.none())
def test_no_bytes_make_it_raise_or_contradict_itself(
    pieces: list[bytes], cut: int, expected: float | None
) -> None:
    data = b"".join(pieces)
    data = data[: max(0, len(data) - cut)]
    walked, implied = walk(data), implied_duration(data)
    suspicion(data, expected)
    assert walked.frames >= 0
    assert walked.seconds >= -1e-9
    assert walked.frames * 24 <= len(data)
    assert implied is None or implied >= 0
    is_surely_as_long = ends_show(data, expected)
    assert not is_surely_as_long or (looks_like_mp3(data) and suspicion(data, expected) is Suspicion.NONE)
    if looks_like_mp3(data):
        assert all(could_be_mp3(data[:length]) for length in range(len(data)))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(PIECES, max_size=4),
    st.lists(st.sampled_from([FRAME * 600, frame(8, version=2, rate=24_000) * 4000, bytes(3000)]), max_size=2),
    st.lists(PIECES, max_size=4),
    st.integers(1, 300),
    st.integers(0, 3000),
)
def test_whatever_stands_between_the_ends_promise_nothing_that_is_not_so(
    before: list[bytes], sound: list[bytes], after: list[bytes], tail: int, room: int
) -> None:
    data = b"".join(before + sound + after)
    for expected in (None, implied_duration(data), walk(data).seconds):
        if ends_show(data, expected, head=92_300 + room, tail=tail):
            assert looks_like_mp3(data)
            assert suspicion(data, expected) is Suspicion.NONE


def repeated(piece: bytes) -> bytes:
    return piece * (5_000_000 // len(piece))


TINY = frame(8, version=2, rate=24_000)
HOSTILE: dict[str, Callable[[], bytes]] = {
    "nothing but ones": lambda: repeated(b"\xff"),
    "nothing but zeros": lambda: repeated(b"\0"),
    "headers": lambda: FRAME * 3 + repeated(b"\xff\xfb\x14\xff\xfb\x14\0"),
    "the smallest frames": lambda: repeated(TINY),
    "two frames in a row, over and over": lambda: FRAME * 3 + repeated(TINY * 2 + b"\0"),
    "three frames in a row, over and over": lambda: repeated(TINY * 3 + b"\0"),
    "tags at the beginning": lambda: repeated(id3v2(b"")),
    "tags at the end": lambda: FRAME * 3 + repeated(ape(b"")),
    "zeros with a one here and there": lambda: FRAME * 3 + repeated(bytes(999) + b"\xff"),
    "noise": lambda: FRAME * 3 + random.Random(1).randbytes(5_000_000),
}


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in HOSTILE.items()])
def test_hostile_bytes_take_no_longer_than_others(make: Callable[[], bytes]) -> None:
    data = make()
    begun = time.process_time()
    looks_like_mp3(data)
    could_be_mp3(data)
    ends_show(data, 10_000.0)
    suspicion(data, 10_000.0)
    # A few dozen milliseconds; what grows with the square of the size takes minutes.
    assert time.process_time() - begun < 3


def test_a_memory_map_is_read_without_a_copy_and_can_be_closed_then(tmp_path: Path) -> None:
    path = tmp_path / "long.mp3"
    path.write_bytes(id3v2(JUNK) + LONG * 10 + ID3V1)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        tracemalloc.start()
        try:
            assert looks_like_mp3(mapped)
            assert could_be_mp3(mapped)
            assert suspicion(mapped, 99.0) is Suspicion.DURATION
            assert tracemalloc.get_traced_memory()[1] < len(mapped) / 10
        finally:
            tracemalloc.stop()


def test_every_kind_of_bytes_will_do() -> None:
    for data in (LONG, bytearray(LONG), memoryview(LONG)):
        assert walk(data) == about(1000, 24.0)
