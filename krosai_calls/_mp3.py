"""What can be told about an MP3 from its bytes. Pure: it takes the bytes of a file, or a memory map of it.

Only headers are read, never sound. A header of layer III is 24 bits of interest: eleven that are all set, the
version of MPEG, the layer, then bit rate, sampling rate and padding, which together give the frame's size. One
header may stand anywhere by chance; three in a row, each where the one before it says, do not.

Nothing here raises, whatever the bytes are, and the time it takes grows with their number and no faster.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from enum import Enum, auto
from itertools import product
from mmap import mmap
from typing import TypeAlias

from attrs import frozen

from krosai_calls._mp3_tags import after_tags, ends_of_sound, is_something_else, may_begin_before

Data: TypeAlias = bytes | bytearray | memoryview | mmap

# Where the first frame has to begin, counted from the end of the tags before it.
SEARCH_BYTES = 64 * 1024
CHAIN = 3

# A duration fits where it is no further off than the larger of these.
TOLERATED_SECONDS = 2.0
TOLERATED_SHARE = 0.02

# How far an index may be off: not all encoders count the frame that carries it.
_LARGEST_FRAME = 1441
# How many first frames tell whether the bit rate is constant.
_SAMPLED_FRAMES = 64
# So far behind the first frame its successors are looked at.
_SAMPLED_BYTES = _SAMPLED_FRAMES * _LARGEST_FRAME + 4
# How many places that look like a header are tried in one file. Noise has one in 11,000 bytes.
_MOST_LOOKS = 10_000

_MAYBE_HEADER = re.compile(b"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
# Of a header's 24 bits those that all frames of a file share: sync, version, layer, and sampling rate.
_KIND_BITS = 0xFFFE0C
_FOUR_BYTES = struct.Struct(">I")
_KBPS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


@frozen
class Walk:
    """What going through all frames shows.

    Attributes:
        frames: How many whole frames of sound there are.
        seconds: How long they last.
        is_whole: Whether the last frame has all its bytes. What follows it may be anything but a frame.
    """

    frames: int
    seconds: float
    is_whole: bool


class Suspicion(Enum):
    """What a recording's duration says about its bytes."""

    NONE = auto()  # as long as the call was, or nobody says how long that is
    DURATION = auto()  # longer or shorter than the call, and whole to the last frame
    CUT = auto()  # longer or shorter than the call, and broken off inside a frame; or there is no frame


@frozen
class _Kind:
    """What frames of one version and one sampling rate have in common.

    Attributes:
        frame_seconds: How long each lasts.
        kbps: The bit rates by their number in a header, from 1 on.
        sizes: Every valid header's 24 bits, with the frame's size. Free format tells none and is not here.
    """

    frame_seconds: float
    kbps: tuple[int, ...]
    sizes: Mapping[int, int]


def _kind(bits: int, samples: int, rate: int, kbps: tuple[int, ...]) -> _Kind:
    sizes = {
        bits | checksum << 8 | number << 4 | padding << 1 | private: samples * rate_kbps * 125 // rate + padding
        for number, rate_kbps in enumerate(kbps, start=1)
        for checksum, padding, private in product((0, 1), repeat=3)
    }
    return _Kind(samples / rate, kbps, sizes)


# Versions 1, 2 and 2.5, as a header's bits name them, each with three sampling rates.
_KINDS: Mapping[int, _Kind] = {
    bits: _kind(bits, samples, rate // divisor, kbps)
    for version, divisor, samples, kbps in ((3, 1, 1152, _KBPS_1), (2, 2, 576, _KBPS_2), (0, 4, 576, _KBPS_2))
    for number, rate in enumerate((44_100, 48_000, 32_000))
    for bits in [0xFFE200 | version << 11 | number << 2]
}
_NO_KIND = _Kind(0.0, (), {})


def could_be_mp3(beginning: Data) -> bool:
    """Whether a file that begins like this may yet turn out to be an MP3.

    A page, a text, or another kind of file may not: its beginning settles that ``looks_like_mp3`` is false for the
    whole, too. The more bytes there are, the surer it is; nothing is refused for being short.
    """
    with memoryview(beginning) as view:
        return not is_something_else(view, after_tags(view, len(view)))


def looks_like_mp3(data: Data) -> bool:
    """Whether this is an MP3: tags, if any, and soon after them three frames, or all that there are.

    The beginning of a file will do, where it holds the first frames.
    """
    with memoryview(data) as view:
        audio = _Audio.of(view)
        return audio.first is not None and not is_something_else(view, audio.start)


def is_surely_as_long(head: bytes, tail: bytes, size: int, expected_seconds: float | None) -> bool:
    """Whether a file's two ends show that it is an MP3, and as long as its call was.

    Where they do not, the whole has to be looked at: ``looks_like_mp3`` and ``suspicion`` would say yes and NONE
    to every file for which this is true, and to others, too.

    Args:
        head: The file's first bytes; a few more than 92 KB will do, or all of it.
        tail: Its last bytes; a few hundred will do, or all of it.
        size: How many it has.
        expected_seconds: How long the call was; None where nobody says.
    """
    with memoryview(head) as view, memoryview(tail) as last:
        start, tail_at = after_tags(view, size), size - len(tail)
        end, solid = ends_of_sound(last, 0 if tail_at else start)
        if (tail_at and may_begin_before(last, end, solid)) or is_something_else(view, start):
            return False
        stop = size if len(head) == size else len(head) - _SAMPLED_BYTES
        audio = _Audio(view, start, tail_at + end, tail_at + solid, stop)
        return audio.first is not None and _is_expected(audio.implied_duration(), expected_seconds)


def implied_duration(data: Data) -> float | None:
    """How many seconds the size implies, or None where only a walk can tell.

    The frame count in an index (Xing, Info, VBRI) is taken where its byte count is the file's; without an index
    the size is divided by the bit rate, where the first frames have one and the same.
    """
    with memoryview(data) as view:
        return _Audio.of(view).implied_duration()


def walk(data: Data) -> Walk:
    """Go through all frames from header to header, and over what is no frame to the next three in a row."""
    with memoryview(data) as view:
        audio = _Audio.of(view)
        place, total, seconds, is_cut = audio.first, 0, 0.0, False
        while place is not None:
            frame_seconds = audio.kind(place).frame_seconds
            # The frame that carries an index has no sound.
            silent = int(_read_index(view, place) is not None)
            frames, end, is_cut = audio.run(place)
            total += frames - silent
            seconds += (frames - silent) * frame_seconds
            place = None if is_cut else audio.find(end, audio.solid)
        return Walk(total, seconds, is_whole=audio.first is not None and not is_cut)


def suspicion(data: Data, expected_seconds: float | None) -> Suspicion:
    """Compare an MP3 with the duration of its call: first by its size, and where that does not fit by a walk.

    Args:
        data: The whole file, an MP3.
        expected_seconds: How long the call was; None where nobody says.
    """
    if _is_expected(implied_duration(data), expected_seconds):
        return Suspicion.NONE
    walked = walk(data)
    if walked.frames and _is_expected(walked.seconds, expected_seconds):
        return Suspicion.NONE
    return Suspicion.DURATION if walked.is_whole else Suspicion.CUT


def _is_expected(seconds: float | None, expected: float | None) -> bool:
    if seconds is None or expected is None:
        return expected is None
    return abs(seconds - expected) <= max(TOLERATED_SECONDS, TOLERATED_SHARE * expected)


class _Audio:
    """The part of a file between its tags, and the ways to find frames in it.

    Args:
        view: The file, or as much of its beginning as is looked at.
        start: Where the tags before the sound end.
        end: Where the tags after it begin.
        solid: Where zeros begin that fill up the rest before ``end``; a last frame may end anywhere in them.
        stop: No first frame is looked for from there on.

    Attributes:
        first: Where the first frame begins, or None.
    """

    def __init__(self, view: memoryview, start: int, end: int, solid: int, stop: int) -> None:
        self._view = view
        self._looks = _MOST_LOOKS
        self.start = start
        self.end = end
        self.solid = solid
        self.first = self.find(start, min(start + SEARCH_BYTES, solid, stop))

    @classmethod
    def of(cls, view: memoryview) -> _Audio:
        """The sound of a whole file."""
        start = after_tags(view, len(view))
        end, solid = ends_of_sound(view, start)
        return cls(view, start, end, solid, len(view))

    def word(self, place: int) -> int:
        """The 24 bits at a place."""
        return int.from_bytes(self._view[place : place + 3], "big")

    def kind(self, place: int) -> _Kind:
        """What a header at a place says of its frame, or nothing where there is no header."""
        return _KINDS.get(self.word(place) & _KIND_BITS, _NO_KIND)

    def find(self, place: int, stop: int) -> int | None:
        """Where the next three frames in a row begin, from a place on and before another."""
        while place < stop and self._looks > 0:
            if self._is_chain(place):
                return place
            self._looks -= 1
            found = _MAYBE_HEADER.search(self._view, place + 1, min(stop + 1, self.end))
            if found is None:
                return None
            place = found.start()
        return None

    def _is_chain(self, place: int) -> bool:
        sizes, is_opening = self.kind(place).sizes, place == self.start
        for _ in range(CHAIN):
            # Only a file that has no more than one or two frames is believed to have these.
            if is_opening and self.solid <= place <= self.end:
                return True
            size = sizes.get(self.word(place))
            if size is None:
                return False
            place += size
        return True

    def run(self, place: int) -> tuple[int, int, bool]:
        """Follow frames of one kind.

        Returns:
            How many are whole, where these end, and whether another one begins there and is cut short.
        """
        view, end, sizes, unpack = self._view, self.end, self.kind(place).sizes, _FOUR_BYTES.unpack_from
        frames, last = 0, place
        while place + 4 <= end and (size := sizes.get(unpack(view, place)[0] >> 8)):
            last = place
            place += size
            frames += 1
        if place > end:
            return frames - 1, last, True
        # A cut may leave less than a header.
        rest = bytes(view[place : min(place + 3, end)])
        is_cut = rest != b"" and any(word.to_bytes(3, "big").startswith(rest) for word in sizes)
        return frames, place, is_cut

    def implied_duration(self) -> float | None:
        """How many seconds the size implies, or None where only a walk can tell."""
        if self.first is None:
            return None
        size = self.solid - self.first
        index = _read_index(self._view, self.first)
        if index is None:
            kbps = self._constant_kbps(self.first)
            return None if kbps is None else size / (kbps * 125)
        frames, indexed = index
        # An index that was written for more bytes, or for fewer, is of no use: the file was cut or added to.
        if not frames or abs(indexed - size) > _LARGEST_FRAME:
            return None
        return frames * self.kind(self.first).frame_seconds

    def _constant_kbps(self, place: int) -> int | None:
        """The bit rate that the first frames share, or None."""
        kind, view, unpack = self.kind(place), self._view, _FOUR_BYTES.unpack_from
        sizes, end, numbers = kind.sizes, len(view) - 4, set()
        for _ in range(_SAMPLED_FRAMES):
            if place > end or (size := sizes.get(word := unpack(view, place)[0] >> 8)) is None:
                break
            numbers.add(word >> 4 & 15)
            place += size
        return kind.kbps[numbers.pop() - 1] if len(numbers) == 1 else None


def _read_index(view: memoryview, place: int) -> tuple[int, int] | None:
    """How many frames and bytes a frame's index counts, 0 where it does not say; None where there is no index."""
    is_mpeg1, is_mono = view[place + 1] & 0x18 == 0x18, view[place + 3] >> 6 == 3
    # The index stands behind the frame's side information, the size of which depends on the kind of frame.
    xing = place + 4 + ((17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17))
    name, flags, *counts = struct.unpack(">4s3I", bytes(view[xing : xing + 16]).ljust(16, b"\0"))
    if name in (b"Xing", b"Info"):
        frames = counts.pop(0) if flags & 1 else 0
        return frames, counts[0] if flags & 2 else 0
    vbri = place + 36
    name, size, frames = struct.unpack(">4s6x2I", bytes(view[vbri : vbri + 18]).ljust(18, b"\0"))
    return (frames, size) if name == b"VBRI" else None
