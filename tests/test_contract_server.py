"""The stand-ins themselves: that they say what was written down, and notice what is against the contract."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest
from contract_server import KEY, ContractServer, Manner, make_call
from raw_server import Answer, RawServer, answer


async def say(url: str, *requests: bytes) -> list[bytes]:
    """What one connection answers to each request; the last answer is read to the end of the connection."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answers = []
    try:
        for request in requests[:-1]:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            answers.append(head + await reader.readexactly(length))
        writer.write(requests[-1])
        writer.write_eof()
        answers.append(await reader.read())
    finally:
        writer.close()
    return answers


def get(target: str, *headers: str, method: str = "GET", body: str = "") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: x", *headers]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


async def test_a_script_is_followed_by_path_and_its_last_answer_repeats() -> None:
    async with RawServer() as server:
        server.script(answer(200, b"one"), answer(201, b"two"))
        server.script(answer(202, b"three"), path="/x y")
        answers = await say(server.url, get("/"), get("/x%20y?q=1"), get("/a"), get("/b", "A: 1", "a: 2"))
    assert [one.rpartition(b"\r\n\r\n")[2] for one in answers] == [b"one", b"three", b"two", b"two"]
    assert [(request.connection, request.index) for request in server.requests] == [(1, 0), (1, 1), (1, 2), (1, 3)]
    assert server.requests[1].query == [("q", "1")]
    assert server.requests[3].values("a") == ["1", "2"]


async def test_a_cut_answer_promises_more_than_it_sends() -> None:
    async with RawServer() as server:
        server.script(answer(200, b"0123456789", cut=4))
        (one,) = await say(server.url, get("/"))
    assert b"Content-Length: 10\r\n" in one
    assert one.endswith(b"\r\n\r\n0123")


@pytest.mark.parametrize("wire", [b"", b"HTTP/1.1 200 OK\r\n"])
async def test_a_reset_is_no_orderly_end(wire: bytes) -> None:
    async with RawServer() as server:
        server.script(Answer(wire, "reset"))
        with pytest.raises(ConnectionResetError):
            await say(server.url, get("/"))


async def test_a_gate_holds_an_answer_back() -> None:
    gate = asyncio.Event()
    async with RawServer() as server:
        server.script(answer(200, b"late", gate=gate))
        asking = asyncio.ensure_future(say(server.url, get("/")))
        await server.received(1)
        assert not asking.done()
        gate.set()
        assert (await asking)[0].endswith(b"late")


@pytest.mark.parametrize("reply", [Answer(b"", "hang"), Answer(b"", more=itertools.repeat(b" "))])
async def test_leaving_ends_what_would_never_end(reply: Answer) -> None:
    async with RawServer() as server:
        server.script(reply)
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(get("/"))
        await server.received(1)
        assert not writer.is_closing()
    with contextlib.suppress(ConnectionResetError):
        await reader.read()
    writer.close()
    assert reader.at_eof() or reader.exception() is not None


AGAINST_THE_CONTRACT = {
    "no-key": get("/v1/calls"),
    "other-scheme": get("/v1/calls", f"Authorization: Bearer {KEY}"),
    "both-schemes": get("/v1/calls", f"x-api-key: {KEY}", f"Authorization: Bearer {KEY}"),
    "unknown-parameter": get("/v1/calls?page=2", f"x-api-key: {KEY}"),
    "limit": get("/v1/calls?limit=101", f"x-api-key: {KEY}"),
    "naive": get("/v1/calls?from_date=2025-01-10T12:00:00", f"x-api-key: {KEY}"),
    "twice": get("/v1/calls?limit=1&limit=2", f"x-api-key: {KEY}"),
    "plus-unencoded": get("/v1/calls?from_date=2025-01-10T12:00:00+02:00", f"x-api-key: {KEY}"),
    "unset-but-sent": get("/v1/calls?endpoint_id=", f"x-api-key: {KEY}"),
    "other-base": get("/calls", f"x-api-key: {KEY}"),
    "no-endpoint": get("/v1/call", f"x-api-key: {KEY}"),
    "wrong-method": get("/v1/calls/call_0001/hangup", f"x-api-key: {KEY}"),
    "no-idempotency-key": get("/v1/calls/call_0001/hangup", f"x-api-key: {KEY}", method="POST"),
    "body": get("/v1/calls/a/hangup", f"x-api-key: {KEY}", "Idempotency-Key: 1", method="POST", body="{}"),
    "cookie": get("/v1/calls", f"x-api-key: {KEY}", "Cookie: session=1"),
    "slash": get("/v1/calls/", f"x-api-key: {KEY}"),
}


@pytest.mark.parametrize("request_", AGAINST_THE_CONTRACT.values(), ids=AGAINST_THE_CONTRACT)
async def test_what_is_against_the_contract_is_noted(request_: bytes) -> None:
    async with ContractServer(rows=[make_call(1)]) as server:
        (one,) = await say(server.base_url.removesuffix("/v1"), request_)
    assert one.split(b" ")[1] in {b"400", b"404"}
    assert len(server.violations) >= 1


async def test_what_the_contract_allows_is_no_violation() -> None:
    rows = [make_call(1), make_call(2, status="ringing")]
    key = f"x-api-key: {KEY}"
    async with ContractServer(Manner(), rows) as server:
        answers = await say(
            server.base_url.removesuffix("/v1"),
            get("/v1/calls?status=completed&limit=1&from_date=2025-01-10T00:00:00%2B00:00", key),
            get("/v1/calls/stats", key),
            get("/v1/calls/call_0001/events", key),
            get("/v1/calls/nobody", key),
            get("/v1/calls/call_0002/hangup", key, "Idempotency-Key: 1", method="POST"),
        )
    assert [one.split(b" ")[1] for one in answers] == [b"200", b"200", b"200", b"404", b"200"]
    assert server.violations == []
