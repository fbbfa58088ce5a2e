"""Pieces of MP3 files for tests: frames of any kind, indexes, tags, and what LAME makes of a noise."""

from __future__ import annotations

import importlib
import importlib.util
import io
import random
import struct
from array import array
from typing import Any

import pytest
from mutagen.mp3 import MP3

from krosai_calls._mp3 import Walk

needs_lame = pytest.mark.skipif(importlib.util.find_spec("lameenc") is None, reason="lameenc is not installed")

# By version: its bits in a header, its sampling rates in the order of theirs, samples in a frame, and bit rates.
RATES = {1: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 2.5: (11_025, 12_000, 8_000)}
SAMPLES = {1: 1152, 2: 576, 2.5: 576}
KBPS = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    2.5: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_VERSION_BITS = {1: 0xFA, 2: 0xF2, 2.5: 0xE2}


def frame(
    kbps: int = 64,
    *,
    version: float = 1,
    rate: int = 48_000,
    stereo: bool = False,
    checksum: bool = False,
    padding: bool = False,
    private: bool = False,
    content: bytes = b"",
) -> bytes:
    """One frame, of zeros but for the content at its beginning."""
    number = KBPS[version].index(kbps) + 1
    header = bytes(
        (
            0xFF,
            _VERSION_BITS[version] | (not checksum),
            number << 4 | RATES[version].index(rate) << 2 | padding << 1 | private,
            0x44 if stereo else 0xC4,
        )
    )
    size = SAMPLES[version] // 8 * kbps * 1000 // rate + padding
    return (header + content).ljust(size, b"\0")[:size]


FRAME = frame(content=bytes(range(250)))  # 24 ms in 192 bytes
LONG = FRAME * 1000  # 24 s
JUNK = random.Random(1).randbytes(5000).replace(b"\xff", b"\xfe")
FALSE_HEADERS = b"\x01\xff\xfb\x54\x01" * 10  # none stands where another one says


def indexed(
    frames: int | None, size: int | None, *, name: bytes = b"Info", version: float = 1, stereo: bool = False
) -> bytes:
    """A first frame with an index, which may leave out either count; numbers that count nothing follow."""
    side = (32 if stereo else 17) if version == 1 else (17 if stereo else 9)
    counts = [count for count in (frames, size) if count is not None]
    flags = (frames is not None) | (size is not None) << 1
    index = struct.pack(f">4sI{len(counts)}I", name, flags, *counts)
    return frame(
        version=version,
        rate=RATES[version][1],
        stereo=stereo,
        content=bytes(side) + index + struct.pack(">2I", len(LONG), len(LONG)),
    )


def indexed_by_fraunhofer(frames: int, size: int) -> bytes:
    """A first frame with an index of the other kind."""
    return frame(content=bytes(32) + struct.pack(">4sHHHII", b"VBRI", 1, 0, 75, size, frames))


def id3v2(content: bytes, *, claims: int | None = None, footer: bool = False, version: int = 4) -> bytes:
    """A tag for the beginning of a file, which may claim to be of another size than it is."""
    size = len(content) if claims is None else claims
    rest = struct.pack("BBB4B", version, 0, 0x10 * footer, *(size >> shift & 127 for shift in (21, 14, 7, 0)))
    return b"ID3" + rest + content + (b"3DI" + rest) * footer


def ape(content: bytes, *, header: bool = True) -> bytes:
    """An APE tag for the end of a file."""
    lines = struct.pack("<8sIIII8x", b"APETAGEX", 2000, len(content) + 32, 1, header << 31)
    return lines * header + content + lines


ID3V1 = b"TAG" + b"\xff\xfb\x54" * 41 + b"\0\xff"
ID3V1_ENHANCED = b"TAG+".ljust(227, b"\x01")
_LYRICS = b"LYRICSBEGININD0000200LYR00005la la"
LYRICS3 = _LYRICS + b"%06dLYRICS200" % len(_LYRICS)


def encoded(kbps: int | None, *, rate: int = 44_100, seconds: int = 3, channels: int = 1) -> bytes:
    """What LAME makes of noise and silence by turns: at a bit rate, or where there is none at a variable one."""
    encoder: Any = importlib.import_module("lameenc").Encoder()
    encoder.silence()
    encoder.set_quality(7)
    encoder.set_channels(channels)
    encoder.set_in_sample_rate(rate)
    encoder.set_out_sample_rate(rate)
    if kbps is None:
        encoder.set_vbr(4)
        encoder.set_vbr_quality(4)
    else:
        encoder.set_bit_rate(kbps)
    dice = random.Random(rate)
    turn = rate * channels // 5
    noise = array(
        "h", (dice.randint(-9000, 9000) if place // turn % 2 else 0 for place in range(turn * 5 * seconds))
    )
    return bytes(encoder.encode(noise.tobytes())) + bytes(encoder.flush())


def about(frames: int, seconds: float, *, is_whole: bool = True) -> Walk:
    nearly: Any = pytest.approx(seconds)
    return Walk(frames, nearly, is_whole)


def judged_by_mutagen(data: bytes) -> float:
    reader: Any = MP3  # which has no types
    return float(reader(io.BytesIO(data)).info.length)
