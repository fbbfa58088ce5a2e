"""What the sandbox's recordings are, as files and to the ear."""

from __future__ import annotations

import importlib.util
import io
import math
import sys
import threading
from itertools import pairwise
from typing import Any

import pytest
from mutagen.mp3 import MP3

from krosai_calls.sandbox import audio
from krosai_calls.sandbox.audio import Recorder, compose, encode_with_lame, join_ready_made
from krosai_calls.sandbox.frames import FRAME_BYTES, ready_made

needs_lame = pytest.mark.skipif(importlib.util.find_spec("lameenc") is None, reason="lameenc is not installed")
each_encoder = pytest.mark.parametrize(
    "encode", [join_ready_made, pytest.param(encode_with_lame, marks=needs_lame)]
)


def read_as_mp3(data: bytes) -> Any:
    reader: Any = MP3  # which has no types
    return reader(io.BytesIO(data)).info


@each_encoder
@pytest.mark.parametrize("seconds", [4, 7, 30])
def test_a_recording_is_mono_at_48_khz_and_96_kbit_and_as_long_as_its_call(
    encode: audio.Encode, seconds: int
) -> None:
    data = Recorder(encode).make("call_a", seconds).data
    info = read_as_mp3(data)
    assert (info.sample_rate, info.channels, info.bitrate, info.sketchy) == (48_000, 1, 96_000, False)
    assert info.length == pytest.approx(seconds, abs=0.1)


@each_encoder
def test_a_file_is_whole_frames_from_its_first_byte_to_its_last(encode: audio.Encode) -> None:
    data = encode(compose("call_a", 10))
    assert len(data) % FRAME_BYTES == 0
    assert {data[place : place + 2] for place in range(0, len(data), FRAME_BYTES)} == {b"\xff\xfb"}


@each_encoder
def test_the_same_call_always_sounds_the_same_and_another_call_different(encode: audio.Encode) -> None:
    first, second = (Recorder(encode).make("call_a", 9) for _ in "ab")
    other = Recorder(encode).make("call_b", 9)
    assert first == second
    assert other.data != first.data
    assert other.etag != first.etag


def test_a_call_rings_and_then_two_voices_take_turns() -> None:
    score = compose("call_a", 30)
    assert score[0][0] == "ring"
    voices = [sound.partition("-")[0] for sound, _ in score]
    turns = [voice for voice in voices if voice in audio.VOICES]
    changes = sum(before != after for before, after in pairwise(turns))
    assert set(turns) == {"low", "high"}
    assert changes >= 4


def test_two_calls_hum_different_melodies() -> None:
    melodies = {tuple(sound for sound, _ in compose(f"call_{number}", 20)) for number in range(50)}
    assert len(melodies) == 50


def test_the_low_voice_is_lower_than_the_high_one() -> None:
    def crossings(sound: str) -> int:
        frame = audio.oscillation(sound)
        return sum((before < 0) != (after < 0) for before, after in pairwise(frame))

    assert crossings("low-7") < crossings("high-8")
    assert max(audio.oscillation("rest")) == 0


@pytest.mark.parametrize("sound", sorted(ready_made()))
def test_a_repeated_sound_has_no_seam(sound: str) -> None:
    frame = audio.oscillation(sound)
    steepest = max(abs(after - before) for before, after in pairwise(frame))
    assert abs(frame[0] - frame[-1]) <= steepest
    assert max(map(abs, frame)) < 32_767


def test_ready_made_frames_stand_alone_and_cover_every_sound() -> None:
    needed = {sound for number in range(40) for sound, _ in compose(f"call_{number}", 30)}
    frames = ready_made()
    assert needed == set(frames)
    for frame in frames.values():
        header, main_data_begin = frame[:4], frame[4] << 1 | frame[5] >> 7
        assert len(frame) == FRAME_BYTES
        assert header[:2] == b"\xff\xfb"
        assert main_data_begin == 0  # else it would need bytes of the frame before


def test_without_lame_the_ready_made_frames_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lameenc", None)
    assert Recorder().make("call_a", 5).data == join_ready_made(compose("call_a", 5))


@needs_lame
def test_with_lame_the_recording_is_encoded() -> None:
    assert Recorder().make("call_a", 5).data == encode_with_lame(compose("call_a", 5))


def test_a_recording_is_made_once_and_forgotten_when_there_are_too_many() -> None:
    made: list[int] = []

    def encode(score: audio.Score) -> bytes:
        made.append(sum(length for _, length in score))
        return bytes(audio.CACHE_BYTES // 4)

    recorder = Recorder(encode)
    for name in ("a", "a", "b", "a"):
        recorder.make(name, 5)
    assert len(made) == 2
    for number in range(10):
        recorder.make(f"other {number}", 5)
    assert recorder.remembered("a", 5) is None
    assert recorder.remembered("other 9", 5) is not None


def test_one_recorder_may_be_used_from_several_threads() -> None:
    recorder = Recorder(join_ready_made)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(recorder.make("call_a", 20).etag)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 8


def test_frames_fill_a_call_to_the_nearest_24_milliseconds() -> None:
    for seconds in range(4, 60):
        frames = sum(length for _, length in compose("call_a", seconds))
        assert math.isclose(frames * audio.FRAME_SECONDS, seconds, abs_tol=audio.FRAME_SECONDS / 2)
