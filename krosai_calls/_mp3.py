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

Data: TypeAlias = bytes | bytearray | memoryview | mmap

# Where the first frame has to begin, counted from the end of the tags before it.
SEARCH_BYTES = 64 * 1024
CHAIN = 3

# A duration fits where it is no further off than the larger of these.
TOLERATED_SECONDS = 2.0
TOLERATED_SHARE = 0.02

# How far an index may be off: not all encoders count the frame that carries it.
_LARGEST_FRAME = 1441
_MOST_TAGS = 16
# How many first frames tell whether the bit rate is constant.
_SAMPLED_FRAMES = 64
# How many places that look like a header are tried in one file. Noise has one in 11,000 bytes.
_MOST_LOOKS = 10_000

_MAYBE_HEADER = re.compile(b"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
# Of a header's 24 bits those that all frames of a file share: sync, version, layer, and sampling rate.
_KIND_BITS = 0xFFFE0C
_FOUR_BYTES = struct.Struct(">I")
_KBPS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)

# What stands before a page's first sign: white space, zeros, and the byte-order marks.
_BLANK = b" \t\r\n\0\xef\xbb\xbf\xfe\xff"
_PAGE = (b"<", b"{", b"[")
_OTHER_FILES = (
    b"PK", b"RIFF", b"RIFX", b"RF64", b"FORM", b"OggS", b"fLaC", b"\x1f\x8b", b"\x1a\x45\xdf\xa3",
)  # fmt: skip
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_SURELY_TEXT = 8


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
        return not _is_something_else(view, _after_tags(view))


def looks_like_mp3(data: Data) -> bool:
    """Whether this is an MP3: tags, if any, and soon after them three frames, or all that there are.

    The beginning of a file will do, where it holds the first frames.
    """
    with memoryview(data) as view:
        audio = _Audio(view)
        return audio.first is not None and not _is_something_else(view, audio.start)


def implied_duration(data: Data) -> float | None:
    """How many seconds the size implies, or None where only a walk can tell.

    The frame count in an index (Xing, Info, VBRI) is taken where its byte count is the file's; without an index
    the size is divided by the bit rate, where the first frames have one and the same.
    """
    with memoryview(data) as view:
        audio = _Audio(view)
        if audio.first is None:
            return None
        size = audio.solid - audio.first
        index = _read_index(view, audio.first)
        if index is None:
            kbps = audio.constant_kbps(audio.first)
            return None if kbps is None else size / (kbps * 125)
        frames, indexed = index
        # An index that was written for more bytes, or for fewer, is of no use: the file was cut or added to.
        if not frames or abs(indexed - size) > _LARGEST_FRAME:
            return None
        return frames * audio.kind(audio.first).frame_seconds


def walk(data: Data) -> Walk:
    """Go through all frames from header to header, and over what is no frame to the next three in a row."""
    with memoryview(data) as view:
        audio = _Audio(view)
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
    if expected_seconds is None or _fits(implied_duration(data), expected_seconds):
        return Suspicion.NONE
    walked = walk(data)
    if walked.frames and _fits(walked.seconds, expected_seconds):
        return Suspicion.NONE
    return Suspicion.DURATION if walked.is_whole else Suspicion.CUT


def _fits(seconds: float | None, expected: float) -> bool:
    return seconds is not None and abs(seconds - expected) <= max(TOLERATED_SECONDS, TOLERATED_SHARE * expected)


class _Audio:
    """The part of a file between its tags, and the ways to find frames in it.

    Attributes:
        start: Where the tags before the sound end.
        end: Where the tags after it begin.
        solid: Where zeros begin that fill up the rest before ``end``; a last frame may end anywhere in them.
        first: Where the first frame begins, or None.
    """

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._looks = _MOST_LOOKS
        self.start = _after_tags(view)
        self.end = _before_trailers(view, self.start)
        self.solid = _before_zeros(view, self.start, self.end)
        self.first = self.find(self.start, min(self.start + SEARCH_BYTES, self.solid))

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

    def constant_kbps(self, place: int) -> int | None:
        """The bit rate that the first frames share, or None."""
        kind, numbers = self.kind(place), set()
        for _ in range(_SAMPLED_FRAMES):
            word = self.word(place)
            if word not in kind.sizes:
                break
            numbers.add(word >> 4 & 15)
            place += kind.sizes[word]
        return kind.kbps[numbers.pop() - 1] if len(numbers) == 1 else None


def _is_something_else(view: memoryview, start: int) -> bool:
    head = bytes(view[start : start + 1024])
    text = head.lstrip(_BLANK)
    is_text = len(text) >= _SURELY_TEXT and not text[:_SURELY_TEXT].strip(_PRINTABLE)
    return is_text or text.startswith(_PAGE) or head.startswith(_OTHER_FILES) or head[4:8] == b"ftyp"


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


def _after_tags(view: memoryview) -> int:
    """Where the ID3v2 tags end that a file begins with. One that claims more than the file has is none."""
    place = 0
    for _ in range(_MOST_TAGS):
        header = bytes(view[place : place + 10])
        if len(header) < 10 or header[:3] != b"ID3" or header[3] not in (2, 3, 4) or max(header[6:]) > 127:
            break
        end = place + 10 + _syncsafe(header[6:]) + (10 if header[5] & 0x10 else 0)
        if end > len(view):
            break
        place = end
    return place


def _syncsafe(four: bytes) -> int:
    return four[0] << 21 | four[1] << 14 | four[2] << 7 | four[3]


def _before_trailers(view: memoryview, start: int) -> int:
    end = len(view)
    for _ in range(_MOST_TAGS):
        size = _trailer_size(bytes(view[max(start, end - 256) : end]))
        if size == 0 or end - size < start:
            break
        end -= size
    return end


def _trailer_size(tail: bytes) -> int:
    """How long the tag is that ends here: ID3v1 and its enhancement, APE, Lyrics3, or ID3v2 at the end."""
    if tail[-128:-125] == b"TAG":
        return 128
    if tail[-227:-223] == b"TAG+":
        return 227
    if tail[-32:-24] == b"APETAGEX":
        size, flags = struct.unpack("<I4xI", tail[-20:-8])
        return int(size) + (32 if flags >> 31 else 0)
    if tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
        return int(tail[-15:-9]) + 15
    if tail[-10:-7] == b"3DI":
        return _syncsafe(tail[-4:]) + 20
    return 0


def _before_zeros(view: memoryview, start: int, end: int) -> int:
    while end > start:
        piece = bytes(view[max(start, end - 65_536) : end])
        solid = piece.rstrip(b"\0")
        end -= len(piece) - len(solid)
        if solid:
            break
    return end
