"""Bodies packed wrongly, bodies too large, and damage of the protocol below them.

The numbers are those of the fault catalogue (groups A and D).
"""

from __future__ import annotations

import gzip
import itertools
import json
import tracemalloc
import zlib
from typing import Any

import pytest
from contract_client import everything_in, fail_to_read, make_client
from raw_server import Answer, Headers, RawServer, answer

from krosai_calls.errors import ConnectionFailedError, DecodeError

CALL = {"id": "call_1", "transcript": "Grüße"}
BODY = json.dumps(CALL, ensure_ascii=False).encode()


async def read_call(body: bytes, headers: Headers = (), content_type: str | None = "application/json") -> Any:
    async with RawServer() as server, make_client(server.url) as client:
        server.script(answer(200, body, headers, content_type=content_type))
        return (await client.get_call("call_1")).to_dict()


# D11, D12: content encodings


PACKED = gzip.compress(BODY)
DAMAGED = {
    "garbage": b"\x1f\x8b" + b"garbage" * 10,
    "no-gzip": BODY,
    "bad-crc": PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:],
    "bad-length": PACKED[:-4] + b"\0\0\0\1",
    "trailing": PACKED + b"trailing",
    "cut-in-half": PACKED[: len(PACKED) // 2],
    "cut-header": PACKED[:5],
    "cut-trailer": PACKED[:-8],
    "cut-by-one": PACKED[:-1],
    "empty": b"",
}


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED)
async def test_d11_damaged_gzip_is_unreadable(body: bytes) -> None:
    error = await fail_to_read(answer(200, body, [("Content-Encoding", "gzip")]))
    assert error.reason == "encoding"


async def test_d11_whole_gzip_is_read() -> None:
    assert await read_call(PACKED, [("Content-Encoding", "gzip")]) == CALL


@pytest.mark.parametrize("name", ["br", "zstd", "x-gzip", "gzip, gzip", "foo"])
@pytest.mark.parametrize("body", [BODY, PACKED], ids=["plain", "packed"])
async def test_d12_an_encoding_nobody_asked_for_is_unreadable(name: str, body: bytes) -> None:
    error = await fail_to_read(answer(200, body, [("Content-Encoding", name)]))
    assert error.reason == "encoding"


async def test_d12_only_what_can_be_read_whole_is_asked_for() -> None:
    async with RawServer() as server, make_client(server.url) as client:
        server.script(answer(200, BODY))
        await client.get_call("call_1")
        (value,) = server.requests[0].values("accept-encoding")
    assert {name.partition(";")[0].strip() for name in value.split(",")} <= {"gzip", "identity"}


# D13, D14: too large


async def test_d13_m12_a_bomb_is_unreadable_at_the_cap() -> None:
    packer, cap = zlib.compressobj(9, wbits=31), 2**20
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(64)) + packer.flush()
    tracemalloc.start()
    try:
        error = await fail_to_read(answer(200, bomb, [("Content-Encoding", "gzip")]), max_response_bytes=cap)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.reason == "too large"
    assert peak < 4 * cap


@pytest.mark.parametrize("framing", ["length", "chunked", "none"])
async def test_d13_a_long_body_is_unreadable_at_the_cap(framing: Any) -> None:
    body = b'{"id": "call_1", "transcript": "' + b"x" * 100_000 + b'"}'
    error = await fail_to_read(answer(200, body, framing=framing), max_response_bytes=65_536)
    assert error.reason == "too large"
    assert len(error.snippet) < 1000


async def test_d13_a_body_below_the_cap_is_read() -> None:
    text = "x" * 65_000
    body = json.dumps({"id": "call_1", "transcript": text}).encode()
    async with RawServer() as server, make_client(server.url, max_response_bytes=65_536) as client:
        server.script(answer(200, body))
        assert (await client.get_call("call_1")).transcript == text


@pytest.mark.parametrize(
    ("head", "piece"),
    [(b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b" " * 1024 + b"\r\n"), (b"\r\n", b" " * 1024)],
    ids=["chunked", "unframed"],
)
async def test_d14_an_endless_body_is_unreadable_and_its_connection_closed(head: bytes, piece: bytes) -> None:
    endless = Answer(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + head, more=itertools.repeat(piece))
    async with RawServer() as server, make_client(server.url, max_response_bytes=65_536) as client:
        server.script(endless)
        with pytest.raises(DecodeError) as raised:
            await client.get_call("call_1")
        await server.disconnected()
        assert (raised.value.reason, len(server.requests) <= 2) == ("too large", True)


# Damage below HTTP's level is a lost connection and no answer at all


DAMAGE = {
    "no-http": Answer(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "close"),
    "bad-status": Answer(b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\n{}", "close"),
    "header-without-colon": Answer(b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\n{}", "close"),
    "long-header": answer(200, BODY, [("X-Long", "x" * 20_000)]),
    "bad-chunk-size": Answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", "close"
    ),
    "short-though-valid": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + BODY, "close"),
    "short-and-reset": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + BODY, "reset"),
    "chunked-without-end": Answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(BODY), BODY), "close"
    ),
    "no-answer": Answer(b"", "close"),
    "reset": Answer(b"", "reset"),
}


@pytest.mark.parametrize("reply", DAMAGE.values(), ids=DAMAGE)
async def test_a12_a14_damage_of_the_protocol_is_a_failed_connection(reply: Answer) -> None:
    async with RawServer() as server, make_client(server.url) as client:
        server.script(reply)
        with pytest.raises(ConnectionFailedError) as raised:
            await client.get_call("call_1")
        assert 1 <= len(server.requests) <= 5
    assert "CANARY" not in everything_in(raised.value)
