"""Answers that cannot be read: what they are called, and how often they are asked for again (D of the faults)."""

from __future__ import annotations

import gzip
import itertools
import zlib

import pytest
from fault_client import CALL, client_of
from raw_server import Answer, RawServer, answer

from krosai_calls import DecodeError

LOGIN = b"<!DOCTYPE html><html><body>Please log in to the hotel's network</body></html>"
PACKED = gzip.compress(CALL)


def encoded(body: bytes, encoding: str) -> Answer:
    return answer(200, body, [("Content-Encoding", encoding)])


ONCE_MORE = {
    "D1 a login page": (answer(200, LOGIN, content_type="text/html"), "html"),
    "D1 a login page that calls itself JSON": (answer(200, LOGIN), "html"),
    "D3 cut": (answer(200, CALL[:-1]), "json"),
    "D3 something behind it": (answer(200, CALL + CALL), "json"),
    "D3 a guard before it": (answer(200, b")]}'\n" + CALL), "json"),
    "D3 a comment": (answer(200, b"/* a call */" + CALL), "json"),
    "D11 rubbish": (encoded(b"rubbish", "gzip"), "encoding"),
    "D11 wrong checksum": (encoded(PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "gzip"), "encoding"),
    "D11 something behind it": (encoded(PACKED + b"more", "gzip"), "encoding"),
    "D11 cut in the stream": (encoded(PACKED[:-12], "gzip"), "encoding"),
    "D11 cut in the checksum": (encoded(PACKED[:-3], "gzip"), "encoding"),
    "D11 empty": (encoded(b"", "gzip"), "encoding"),
    "D11 deflate, cut": (encoded(zlib.compress(CALL)[:-2], "deflate"), "encoding"),
    "D18 a list": (answer(200, b"[]"), "shape"),
    "D18 a text": (answer(200, b'"call_1"'), "shape"),
    "D18 nothing": (answer(200, b"null"), "shape"),
    "D18 a number": (answer(200, b"1"), "shape"),
}


@pytest.mark.parametrize(("unreadable", "reason"), ONCE_MORE.values(), ids=ONCE_MORE)
async def test_what_may_be_a_bad_moment_is_asked_for_once_more(unreadable: Answer, reason: str) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(unreadable)
        with pytest.raises(DecodeError) as raised:
            await client.get_call("call_1")
        assert (raised.value.reason, raised.value.path, raised.value.status) == (reason, "$", 200)
        assert raised.value.attempts == len(server.requests) == 2


@pytest.mark.parametrize(("unreadable", "reason"), ONCE_MORE.values(), ids=ONCE_MORE)
async def test_the_answer_that_can_be_read_counts(unreadable: Answer, reason: str) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(unreadable, encoded(PACKED, "gzip"))
        assert (await client.get_call("call_1")).id == "call_1"
        assert len(server.requests) == 2


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(b" " * 1_000_000)
NEVER = {
    **{
        f"D12 {encoding}": (encoded(PACKED, encoding), "encoding")
        for encoding in ("br", "zstd", "x-gzip", "gzip, gzip", "foo")
    },
    "D13 a bomb": (encoded(BOMB, "gzip"), "too large"),
    "D14 without an end": (
        Answer(CHUNKED, "close", itertools.repeat(b"400\r\n" + b" " * 1024 + b"\r\n")),
        "too large",
    ),
    "D14 longer than allowed": (answer(200, b" " * 100_000), "too large"),
}


@pytest.mark.parametrize(("unreadable", "reason"), NEVER.values(), ids=NEVER)
async def test_what_will_be_the_same_again_is_not_asked_for_again(unreadable: Answer, reason: str) -> None:
    async with RawServer() as server, client_of(server.url, max_response_bytes=50_000) as client:
        server.script(unreadable)
        with pytest.raises(DecodeError) as raised:
            await client.get_call("call_1")
        assert raised.value.reason == reason
        assert raised.value.attempts == len(server.requests) == 1
