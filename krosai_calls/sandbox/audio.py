"""What a call sounds like: a ring, then a low and a high voice that take turns to hum a melody of the call's own.

A score is decided first, in frames of 24 ms; an encoder turns it into MP3. LAME does, where the extra ``sandbox``
has installed it, and otherwise ready-made frames are put one after the other. Either way the file is 48 kHz mono
at a constant 96 kbit/s, as the service's are, and the same call always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib
import math
import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from krosai_calls.sandbox.dice import Dice
from krosai_calls.sandbox.frames import ready_made

SAMPLE_RATE = 48_000
BITRATE_KBPS = 96
SAMPLES_PER_FRAME = 1152
FRAME_SECONDS = SAMPLES_PER_FRAME / SAMPLE_RATE
CACHE_BYTES = 64 * 2**20

# Frequencies are whole multiples of one oscillation per frame, so that a repeated frame has no seam.
BASE_HERTZ = SAMPLE_RATE / SAMPLES_PER_FRAME
VOICES = {"low": (3, 4, 5, 6, 7), "high": (8, 9, 10, 12, 14)}
# How loud each overtone is: what makes the one voice dark and the other bright.
_OVERTONES = {
    "low": (0.30, 0.22, 0.13, 0.06, 0.03),
    "high": (0.34, 0.05, 0.16, 0.02, 0.05),
    "ring": (0.0,) * 9 + (0.25, 0.25),
}

Score = Sequence[tuple[str, int]]
Encode = Callable[[Score], bytes]


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording's bytes.

    Attributes:
        data: The MP3 file.
        etag: Its strong entity tag, made from the content.
    """

    data: bytes
    etag: str


class Recorder:
    """Makes recordings when they are asked for, and remembers the latest. May be used from several threads.

    Args:
        encode: Turns a score into MP3; otherwise LAME where it is installed, else ready-made frames.
    """

    def __init__(self, encode: Encode | None = None) -> None:
        self._encode = encode
        self._made: OrderedDict[tuple[str, int], Recording] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def remembered(self, name: str, seconds: int) -> Recording | None:
        """Give a recording that was made lately, or None."""
        with self._lock:
            found = self._made.get((name, seconds))
            if found is not None:
                self._made.move_to_end((name, seconds))
            return found

    def make(self, name: str, seconds: int) -> Recording:
        """Give the recording of a name, so many seconds long. This takes a while: keep it off an event loop."""
        if (found := self.remembered(name, seconds)) is not None:
            return found
        if self._encode is None:
            self._encode = best_encoder()
        data = self._encode(compose(name, seconds))
        made = Recording(data, f'"{hashlib.sha256(data).hexdigest()[:32]}"')
        with self._lock:
            if (name, seconds) not in self._made:
                self._bytes += len(data)
            self._made[name, seconds] = made
            while self._bytes > CACHE_BYTES and len(self._made) > 1:
                self._bytes -= len(self._made.popitem(last=False)[1].data)
        return made


def compose(name: str, seconds: int) -> Score:
    """Write the score of a call: pairs of a sound and how many frames it lasts."""
    dice = Dice(name, "melody")
    frames = round(seconds / FRAME_SECONDS)
    score = [("ring", 15), ("rest", 8), ("ring", 15), ("rest", 20)]
    played = sum(length for _, length in score)
    speaker = dice.pick(("low", "high"))
    while played < frames:
        turn = _turn(dice, speaker)
        score += turn
        played += sum(length for _, length in turn)
        speaker = "high" if speaker == "low" else "low"
    return _cut(score, frames)


def best_encoder() -> Encode:
    """Choose LAME where it can be imported, else the ready-made frames."""
    try:
        importlib.import_module("lameenc")
    except ImportError:
        return join_ready_made
    return encode_with_lame


def join_ready_made(score: Score) -> bytes:
    """Put ready-made frames one after the other: the exact length, at no cost, a little rougher to the ear."""
    frames = ready_made()
    return b"".join(frames[sound] * length for sound, length in score)


def encode_with_lame(score: Score) -> bytes:
    """Synthesize a score with soft beginnings and ends, and encode it with LAME."""
    encoder: Any = importlib.import_module("lameenc").Encoder()
    encoder.silence()
    encoder.set_bit_rate(BITRATE_KBPS)
    encoder.set_in_sample_rate(SAMPLE_RATE)
    encoder.set_out_sample_rate(SAMPLE_RATE)
    encoder.set_channels(1)
    encoder.set_quality(7)
    samples = b"".join(_note(sound, length) for sound, length in score)
    # The encoder's own delay adds a frame at the end.
    samples = samples[: -2 * SAMPLES_PER_FRAME]
    return bytes(encoder.encode(samples)) + bytes(encoder.flush())


def oscillation(sound: str) -> array[int]:
    """Synthesize one frame of a steady sound, such as ``ring``, ``rest`` or ``low-4``."""
    timbre, _, pitch = sound.partition("-")
    step = int(pitch or 1)
    loudness = _OVERTONES.get(timbre, ())
    frame = array("h", bytes(2 * SAMPLES_PER_FRAME))
    for place in range(SAMPLES_PER_FRAME):
        angle = 2 * math.pi * place * step / SAMPLES_PER_FRAME
        value = sum(share * math.sin(angle * (tone + 1)) for tone, share in enumerate(loudness) if share)
        frame[place] = round(20_000 * value)
    return frame


def _turn(dice: Dice, speaker: str) -> list[tuple[str, int]]:
    pitches = VOICES[speaker]
    place = dice.below(len(pitches))
    turn: list[tuple[str, int]] = []
    for _ in range(dice.between(4, 11)):
        place = min(max(place + dice.between(-2, 2), 0), len(pitches) - 1)
        turn += [(f"{speaker}-{pitches[place]}", dice.between(4, 10)), ("rest", dice.between(1, 3))]
    return [*turn, ("rest", dice.between(8, 18))]


def _cut(score: list[tuple[str, int]], frames: int) -> Score:
    kept: list[tuple[str, int]] = []
    left = frames - 1  # a last moment of silence ends every call
    for sound, length in score:
        if left > 0:
            kept.append((sound, min(length, left)))
        left -= length
    return [*kept, ("rest", 1)]


def _note(sound: str, length: int) -> bytes:
    rising, steady, falling = _pieces(sound)
    return (rising + steady * (length - 2) + falling)[: 2 * SAMPLES_PER_FRAME * length]


@cache
def _pieces(sound: str) -> tuple[bytes, bytes, bytes]:
    frame = oscillation(sound)
    last = SAMPLES_PER_FRAME - 1
    rising = array("h", (value * place // last for place, value in enumerate(frame)))
    falling = array("h", (value * (last - place) // last for place, value in enumerate(frame)))
    return rising.tobytes(), frame.tobytes(), falling.tobytes()
