"""What can be told about an MP3 from its bytes."""

from __future__ import annotations

import pytest

from krosai_calls._mp3 import looks_like_mp3

PAGE = "<!DOCTYPE html><html>Access denied</html>"


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"ID3\x04\x00\x00", id="an ID3 tag"),
        pytest.param(b"ID3", id="just enough of a tag"),
        pytest.param(b"\xff\xfb\x90\x64", id="MPEG 1, layer III"),
        pytest.param(b"\xff\xfa\x90\x64", id="with a checksum"),
        pytest.param(b"\xff\xf3\x40\xc4", id="MPEG 2"),
        pytest.param(b"\xff\xe3\x18\xc4", id="MPEG 2.5"),
        pytest.param(b"\xff\xfb", id="just enough of a frame"),
    ],
)
def test_an_mp3_is_one(beginning: bytes) -> None:
    assert looks_like_mp3(beginning)


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"ID", id="too little of a tag"),
        pytest.param(b"\xff", id="too little of a frame"),
        pytest.param(PAGE.encode(), id="an error page"),
        pytest.param(PAGE.encode("utf-8-sig"), id="an error page with a byte-order mark"),
        pytest.param(PAGE.encode("utf-16"), id="an error page in UTF-16"),
        pytest.param(b'{"error": "expired"}', id="an error in JSON"),
        pytest.param(b"<?xml version='1.0'?><Error>", id="an error in XML"),
        pytest.param(b"\xff\xd8\xff\xe0", id="a JPEG"),
        pytest.param(b"\x1f\x8b\x08", id="gzip"),
        pytest.param(b"RIFF\x24\x08\x00\x00WAVE", id="a WAV"),
        pytest.param(b"OggS", id="an Ogg"),
        pytest.param(b"\x00\xff\xfb\x90", id="a frame that begins late"),
        pytest.param(b"\xff\x00", id="eight bits of eleven"),
        pytest.param(b"\xff\xdf", id="ten bits of eleven"),
        pytest.param(bytes(16), id="zeros"),
    ],
)
def test_what_is_no_mp3_is_not_taken_for_one(beginning: bytes) -> None:
    assert not looks_like_mp3(beginning)
