"""What an MP3 holds besides its sound, before it and after it; and what is no MP3 at all. Pure, like ``_mp3``."""

from __future__ import annotations

import struct

_MOST_TAGS = 16
# So much of a file's end shows whether a tag ends there.
_TRAILER_BYTES = 256

# What stands before a page's first sign: white space, zeros, and the byte-order marks.
_BLANK = b" \t\r\n\0\xef\xbb\xbf\xfe\xff"
_PAGE = (b"<", b"{", b"[")
_OTHER_FILES = (
    b"PK", b"RIFF", b"RIFX", b"RF64", b"FORM", b"OggS", b"fLaC", b"\x1f\x8b", b"\x1a\x45\xdf\xa3",
)  # fmt: skip
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_SURELY_TEXT = 8


def is_something_else(view: memoryview, start: int) -> bool:
    """Whether what follows the tags is a page, a text, or a file of another kind."""
    head = bytes(view[start : start + 1024])
    text = head.lstrip(_BLANK)
    is_text = len(text) >= _SURELY_TEXT and not text[:_SURELY_TEXT].strip(_PRINTABLE)
    return is_text or text.startswith(_PAGE) or head.startswith(_OTHER_FILES) or head[4:8] == b"ftyp"


def after_tags(view: memoryview, size: int) -> int:
    """Where the ID3v2 tags end that a file begins with. One that claims more than the file has is none.

    Args:
        view: The file, or its beginning.
        size: How many bytes the file has.
    """
    place = 0
    for _ in range(_MOST_TAGS):
        header = bytes(view[place : place + 10])
        if len(header) < 10 or header[:3] != b"ID3" or header[3] not in (2, 3, 4) or max(header[6:]) > 127:
            break
        end = place + 10 + _syncsafe(header[6:]) + (10 if header[5] & 0x10 else 0)
        if end > size:
            break
        place = end
    return place


def _syncsafe(four: bytes) -> int:
    return four[0] << 21 | four[1] << 14 | four[2] << 7 | four[3]


def ends_of_sound(view: memoryview, start: int) -> tuple[int, int]:
    """Where the tags begin that a file ends with, and where zeros begin that fill up the rest before them.

    Args:
        view: The file, or its end.
        start: Neither begins before that.
    """
    end = _before_trailers(view, start)
    return end, _before_zeros(view, start, end)


def may_begin_before(tail: memoryview, end: int, solid: int) -> bool:
    """Whether what ``ends_of_sound`` found at the end of a file may go on before the piece that was seen."""
    return end < _TRAILER_BYTES or not solid or _trailer_size(bytes(tail[end - _TRAILER_BYTES : end])) > 0


def _before_trailers(view: memoryview, start: int) -> int:
    """Where the tags begin that a file ends with; none begins before ``start``."""
    end = len(view)
    for _ in range(_MOST_TAGS):
        size = _trailer_size(bytes(view[max(start, end - _TRAILER_BYTES) : end]))
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
    """Where zeros begin that fill up the rest before ``end``."""
    while end > start:
        piece = bytes(view[max(start, end - 65_536) : end])
        solid = piece.rstrip(b"\0")
        end -= len(piece) - len(solid)
        if solid:
            break
    return end
