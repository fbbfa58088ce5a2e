"""Recordings for tests: frames of MPEG-1 layer III at 64 kbit/s, 48 kHz, mono; valid, if not to be heard."""

from __future__ import annotations

import random

FRAME_BYTES = 192
FRAME_SECONDS = 0.024
_HEADER = b"\xff\xfb\x54\xc4"


def recording(frames: int = 54, *, voice: int = 0) -> bytes:
    """A recording of so many frames; another voice differs in every frame."""
    dice = random.Random(voice)
    # No byte of 255: nothing inside a frame can be taken for the beginning of one.
    return b"".join(_HEADER + bytes(dice.choices(range(255), k=FRAME_BYTES - len(_HEADER))) for _ in range(frames))


def seconds_of(data: bytes) -> float:
    """How long a recording lasts."""
    return len(data) / FRAME_BYTES * FRAME_SECONDS
