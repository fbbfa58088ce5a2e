"""What can be told about an MP3 from its bytes. Pure."""

from __future__ import annotations


def looks_like_mp3(beginning: bytes) -> bool:
    """Whether bytes begin like an MP3: with an ID3 tag, or with the twelve bits that open a frame of layer III.

    An error page does not, whatever status and content type it came with.
    """
    if beginning[:3] == b"ID3":
        return True
    return len(beginning) >= 2 and beginning[0] == 0xFF and beginning[1] & 0xE6 == 0xE2
