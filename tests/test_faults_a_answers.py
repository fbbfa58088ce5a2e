"""Answers that are no HTTP, more than HTTP, or not what was asked for (A14 to A18, A30)."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from fault_client import CALL, client_of
from raw_server import Answer, RawServer, answer

from krosai_calls import ApiError, Call, ConnectionFailedError, DecodeError, KrosaiError
from krosai_calls.models import HangupResult

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(CALL)

MALFORMED = {
    "A14 another protocol": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "A14 no version": b"200 OK\r\n\r\n",
    "A14 status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "A14 status of two digits": b"HTTP/1.1 99 Odd\r\nContent-Length: 0\r\n\r\n",
    "A14 header without a colon": OK + b"no colon\r\n" + LENGTH + b"\r\n" + CALL,
    "A14 NUL in a header": OK + b"X-Odd: a\0b\r\n" + LENGTH + b"\r\n" + CALL,
    "A14 blank in a header's name": OK + b"X Odd: a\r\n" + LENGTH + b"\r\n" + CALL,
    "A14 long header": OK + b"X-Long: " + b"x" * 9000 + b"\r\n" + LENGTH + b"\r\n" + CALL,
    "A14 many headers": OK + b"X-Many: 1\r\n" * 200 + LENGTH + b"\r\n" + CALL,
    "A14 chunk size of letters": OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + CALL,
    "A14 negative length": OK + b"Content-Length: -1\r\n\r\n" + CALL,
    "A14 length of letters": OK + b"Content-Length: many\r\n\r\n" + CALL,
}


@pytest.mark.parametrize("wire", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_http_is_never_the_services_word(wire: bytes) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(Answer(wire, "close"))
        with pytest.raises(KrosaiError) as raised:
            await client.get_call("call_1")
        # Not a BadRequestError, whatever status aiohttp gives such a fault of its own.
        assert isinstance(raised.value, ConnectionFailedError)
        assert len(server.requests) == raised.value.attempts == 2


@pytest.mark.parametrize("wire", MALFORMED.values(), ids=MALFORMED)
async def test_after_what_is_no_http_the_next_attempt_has_a_connection_of_its_own(wire: bytes) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(Answer(wire, "hang"), answer(200, CALL))
        assert (await client.get_call("call_1")).id == "call_1"
        assert [request.connection for request in server.requests] == [1, 2]


def named(call_id: bytes) -> Answer:
    return answer(200, b'{"id": "%s"}' % call_id)


async def test_a15_bytes_after_the_body_are_nobodys_answer() -> None:
    async with RawServer() as server, client_of(server.url) as client:
        first, stray = named(b"call_1"), named(b"call_9")
        server.script(Answer(first.wire + stray.wire), named(b"call_1"), path="/v1/calls/call_1")
        server.script(named(b"call_2"), path="/v1/calls/call_2")
        assert (await client.get_call("call_1")).id == "call_1"
        assert (await client.get_call("call_2")).id == "call_2"
        assert len(server.requests) <= 3


async def test_a15_bytes_that_come_after_the_answer_are_nobodys_answer() -> None:
    async with RawServer() as server, client_of(server.url) as client:
        # Twenty turns of the loop later: the answer has been read, and the connection is idle.
        stray = itertools.chain(itertools.repeat(b"", 20), [answer(200, b'{"calls": [], "total": 999}').wire])
        server.script(Answer(named(b"call_1").wire, more=stray), path="/v1/calls/call_1")
        server.script(answer(200, b'{"calls": [], "total": 0}'), path="/v1/calls")
        assert (await client.get_call("call_1")).id == "call_1"
        for _ in range(60):
            await asyncio.sleep(0)
        assert (await client.list_calls()).total == 0


AMBIGUOUS = {
    "A16 two lengths, the shorter first": OK + b"Content-Length: 5\r\n" + LENGTH + b"\r\n" + CALL,
    "A16 two lengths, the longer first": OK + LENGTH + b"Content-Length: 5\r\n\r\n" + CALL,
    "A16 a length and chunks": OK
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(CALL), CALL),
    "A16 a length beyond 64 bits": OK + b"Content-Length: 99999999999999999999\r\n\r\n" + CALL,
}


@pytest.mark.parametrize("wire", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_an_answer_of_two_lengths_is_whole_or_an_error_and_never_the_next_calls(wire: bytes) -> None:
    async with RawServer() as server, client_of(server.url, timeout_seconds=0.2) as client:
        server.script(Answer(wire), path="/v1/calls/call_1")
        server.script(named(b"call_2"), path="/v1/calls/call_2")
        (outcome,) = await asyncio.gather(client.get_call("call_1"), return_exceptions=True)
        if isinstance(outcome, Call):  # aiohttp's parser in Python takes some of these
            assert (outcome.id, outcome.status) == ("call_1", "in_progress")
        else:
            assert isinstance(outcome, ConnectionFailedError | DecodeError)
        assert (await client.get_call("call_2")).id == "call_2"


@pytest.mark.parametrize("status", [b"100 Continue", b"103 Early Hints", b"102 Processing"], ids="A17 {}".format)
async def test_an_interim_answer_is_passed_over(status: bytes) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        interim = b"HTTP/1.1 %b\r\nLink: </a>\r\n\r\n" % status
        server.script(Answer(interim + answer(200, CALL).wire))
        assert (await client.get_call("call_1")).id == "call_1"
        assert len(server.requests) == 1


async def test_a17_a_switch_of_protocols_that_nobody_asked_for_is_told() -> None:
    async with RawServer() as server, client_of(server.url) as client:
        switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        server.script(Answer(switch), answer(200, CALL))
        with pytest.raises(ApiError) as raised:
            await client.get_call("call_1")
        assert (raised.value.status, raised.value.attempts) == (101, 1)
        await client.get_call("call_1")
        assert [request.connection for request in server.requests] == [1, 2]


EMPTY = {
    "A18 empty": answer(200),
    "A18 blank": answer(200, b" \r\n\t "),
    "A18 202 and empty": answer(202),
    "A18 204": answer(204),
}


@pytest.mark.parametrize("empty", EMPTY.values(), ids=EMPTY)
async def test_an_empty_success_where_an_object_is_due_is_asked_for_once_more(empty: Answer) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(empty)
        with pytest.raises(DecodeError) as raised:
            await client.get_call("call_1")
        assert raised.value.reason == "empty"
        assert raised.value.attempts == len(server.requests) == 2


@pytest.mark.parametrize("empty", EMPTY.values(), ids=EMPTY)
async def test_an_empty_success_of_a_hang_up_is_a_success(empty: Answer) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(empty)
        assert await client.hang_up("call_1") == HangupResult("call_1")
        assert [request.method for request in server.requests] == ["POST"]


@pytest.mark.parametrize("status", [600, 799, 999], ids="A30 {}".format)
async def test_a_status_beyond_all_classes_is_told_once(status: int) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(answer(status, CALL))
        with pytest.raises(ApiError) as raised:
            await client.get_call("call_1")
        assert (type(raised.value), raised.value.status, len(server.requests)) == (ApiError, status, 1)


async def test_a30_a_status_of_leading_noughts_is_no_success() -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(Answer(b"HTTP/1.1 020 Odd\r\n" + LENGTH + b"\r\n" + CALL))
        with pytest.raises(KrosaiError) as raised:
            await client.get_call("call_1")
        assert isinstance(raised.value, ApiError | ConnectionFailedError)
