"""Bodies that are no JSON object or list where one is due: a `DecodeError` that tells what came, and no secret.

The numbers are those of the fault catalogue (group D).
"""

from __future__ import annotations

import asyncio
import codecs
import json
import threading
from typing import Any

import pytest
from contract_client import everything_in, fail_to_read, make_client
from contract_server import KEY
from raw_server import Answer, Headers, RawServer, answer

CALL = {"id": "call_1", "transcript": "Grüße"}
BODY = json.dumps(CALL, ensure_ascii=False).encode()


async def read_call(body: bytes, headers: Headers = (), content_type: str | None = "application/json") -> Any:
    async with RawServer() as server, make_client(server.url) as client:
        server.script(answer(200, body, headers, content_type=content_type))
        return (await client.get_call("call_1")).to_dict()


# D1: HTML where JSON is due


HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Guest network</body></html>"
GETS = ["get_call", "list_calls", "get_stats", "list_events", "get_recording"]


@pytest.mark.parametrize("verb", GETS)
@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/json", None])
async def test_d01_a_page_for_people_is_named_as_such(verb: str, content_type: str | None) -> None:
    error = await fail_to_read(answer(200, HTML, content_type=content_type), verb)
    assert (error.reason, error.status, error.content_type) == ("html", 200, content_type)
    assert "<title>Sign in" in error.snippet


@pytest.mark.parametrize("body", [b"\n\t <html></html>", b"<HTML>", b"\xef\xbb\xbf<!doctype HTML>"], ids=repr)
async def test_d01_html_is_known_by_its_bytes(body: bytes) -> None:
    assert (await fail_to_read(answer(200, body))).reason == "html"


# D2, D10: the label does not matter, the bytes do


LABELS = [None, "text/plain", "application/problem+json", ";;;", "text/html", "", "application/octet-stream"]
LABELS += [
    f"application/json; charset={name}" for name in ("hex", "idna", "utf-7", "foo", "latin-1", "utf-16", '"')
]


@pytest.mark.parametrize("content_type", LABELS)
async def test_d02_d10_the_bytes_decide_and_not_their_label(content_type: str | None) -> None:
    assert await read_call(BODY, content_type=content_type) == CALL


async def test_d10_a_byte_order_mark_is_survived() -> None:
    assert await read_call(codecs.BOM_UTF8 + BODY) == CALL


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("labelled", [False, True])
async def test_d10_another_encoding_than_utf8_is_unreadable(encoding: str, labelled: bool) -> None:
    label = f"application/json; charset={encoding}" if labelled else "application/json"
    error = await fail_to_read(answer(200, json.dumps({"id": "call_1"}).encode(encoding), content_type=label))
    assert error.reason in {"utf8", "json", "encoding"}


# D3, A18: no JSON


@pytest.mark.parametrize(
    "body",
    [
        BODY[:-1],
        BODY[:20],
        BODY + b"}",
        BODY + BODY,
        BODY + b" x",
        b")]}'\n" + BODY,
        b"// note\n" + BODY,
        b'{"id": "call_1", /* note */ "duration": 1}',
        b"{'id': 'call_1'}",
        b'{"id": "call_1",}',
        b'{"id": "call_\n1"}',
        b"id",
        b"\0",
        BODY + b"\0",
    ],
    ids=repr,
)
async def test_d03_what_is_no_json_is_unreadable(body: bytes) -> None:
    assert (await fail_to_read(answer(200, body))).reason == "json"


async def test_d03_white_space_around_an_answer_is_nothing() -> None:
    assert await read_call(b"\r\n\t " + BODY + b"\n\n") == CALL


@pytest.mark.parametrize("verb", GETS)
@pytest.mark.parametrize("reply", [answer(200), answer(200, b" \r\n"), answer(204)], ids=["", "space", "204"])
async def test_a18_an_empty_answer_where_an_object_is_due_is_unreadable(verb: str, reply: Answer) -> None:
    assert (await fail_to_read(reply, verb)).reason == "empty"


async def test_d10_a_byte_order_mark_alone_is_unreadable() -> None:
    assert (await fail_to_read(answer(200, codecs.BOM_UTF8))).reason in {"empty", "json"}


# D4, D7: numbers that are none


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("place", ['"duration": %s', '"new": %s', '"metadata": {"deep": [%s]}'])
async def test_d04_what_is_no_finite_number_is_unreadable(number: str, place: str) -> None:
    body = f'{{"id": "call_1", {place % number}}}'.encode()
    assert (await fail_to_read(answer(200, body))).reason == "number"


@pytest.mark.parametrize("sign", ["", "-"])
async def test_d07_an_integer_of_5000_digits_is_unreadable(sign: str) -> None:
    body = f'{{"id": "call_1", "new": {sign}{"7" * 5000}}}'.encode()
    assert (await fail_to_read(answer(200, body))).reason == "number"


# D6: depth


DEEP = 200_000
ABYSSES = {
    "lists": b"[" * DEEP + b"]" * DEEP,
    "objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "inside-a-call": b'{"id": "call_1", "metadata": ' + b"[" * DEEP + b"]" * DEEP + b"}",
}


@pytest.mark.parametrize("body", ABYSSES.values(), ids=ABYSSES)
async def test_d06_200_000_levels_are_unreadable(body: bytes) -> None:
    error = await fail_to_read(answer(200, body))
    assert error.reason == "depth"
    assert len(str(error)) < 1000


async def test_d06_990_levels_of_nothing_are_unreadable() -> None:
    assert (await fail_to_read(answer(200, b"[" * 990 + b"]" * 990))).reason in {"depth", "shape"}


def test_d06_depth_is_survived_on_a_small_stack() -> None:
    reasons: list[str] = []

    def in_a_thread() -> None:
        reasons.extend(asyncio.run(fail_to_read(answer(200, body))).reason for body in ABYSSES.values())

    before = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=in_a_thread)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert reasons == ["depth"] * len(ABYSSES)


# D9: not UTF-8


@pytest.mark.parametrize(
    "text",
    [
        b"\xff",
        b"\xe9t\xe9",
        b"\xc3",
        b"\xed\xa0\xbd\xed\xb8\x80",
        b"\xed\xa0\xbd",
        b"\xc0\x80",
        b"\xf5\x80\x80\x80",
    ],
    ids=["ff", "latin-1", "cut", "cesu-8", "surrogate", "overlong", "beyond"],
)
async def test_d09_what_is_not_utf8_is_unreadable(text: bytes) -> None:
    body = b'{"id": "call_1", "transcript": "' + text + b'"}'
    assert (await fail_to_read(answer(200, body))).reason == "utf8"


# D18: JSON of another shape


SHAPES = [b"[]", b'[{"id": "call_1"}]', b'"call_1"', b"null", b"5", b"true"]


@pytest.mark.parametrize("verb", ["get_call", "list_calls", "get_stats", "get_recording"])
@pytest.mark.parametrize("body", SHAPES, ids=repr)
async def test_d18_another_shape_than_an_object_is_unreadable(verb: str, body: bytes) -> None:
    error = await fail_to_read(answer(200, body), verb)
    assert (error.reason, error.path) == ("shape", "$")


@pytest.mark.parametrize("body", [b'"x"', b"null", b"5", b"true"], ids=repr)
async def test_d18_events_are_an_object_or_a_list(body: bytes) -> None:
    error = await fail_to_read(answer(200, body), "list_events")
    assert (error.reason, error.path) == ("shape", "$")


@pytest.mark.parametrize(
    "value", [{}, {"calls": None}, {"calls": {}}, {"data": "x"}, {"calls": 5, "total": 0}], ids=repr
)
async def test_d18_a_page_without_a_list_is_unreadable(value: dict[str, Any]) -> None:
    assert (await fail_to_read(answer(200, json.dumps(value).encode()), "list_calls")).reason == "shape"


@pytest.mark.parametrize("value", [{}, {"events": {}}, {"data": 5}], ids=repr)
async def test_d18_an_event_answer_without_a_list_is_unreadable(value: dict[str, Any]) -> None:
    assert (await fail_to_read(answer(200, json.dumps(value).encode()), "list_events")).reason == "shape"


@pytest.mark.parametrize(
    ("verb", "under"), [("list_calls", "calls"), ("list_calls", "data"), ("list_events", "events")]
)
@pytest.mark.parametrize("row", [5, "x", None, []], ids=repr)
async def test_d18_a_row_that_is_no_object_is_named_by_its_place(verb: str, under: str, row: Any) -> None:
    error = await fail_to_read(answer(200, json.dumps({under: [{"id": "a"}, row]}).encode()), verb)
    assert error.path.startswith(f"$.{under}[1]")


# What the error tells, and what it does not


async def test_the_error_names_address_status_label_and_beginning_of_the_body() -> None:
    headers = [("X-Request-Id", "req_7")]
    error = await fail_to_read(
        answer(203, b"<html>\x1b[31mred" + b"x" * 100_000, headers, content_type="text/html; charset=x"),
        default_query={"token": "CANARY_QUERY"},
    )
    assert error.url.endswith("/v1/calls/call_1")
    assert (error.status, error.content_type, error.request_id) == (203, "text/html; charset=x", "req_7")
    assert error.snippet.startswith("<html>")
    assert len(error.snippet) <= 1000
    assert "\x1b" not in error.snippet + str(error)
    for part in (error.url, "203", "text/html", "<html>"):
        assert part in str(error)
    assert "CANARY" not in everything_in(error)


@pytest.mark.parametrize(
    "secret",
    [
        f'"key": "{KEY}"',
        f'"note": "x-api-key: {KEY}"',
        '"recording_url": "https://s.krosai.com/1.mp3?signature=CANARY_SIG&x=1"',
        '"recording_url": "https://s.krosai.com/1.mp3?X-Amz-Expires=3600&X-Amz-Signature=CANARY_SIG"',
        '"recording_url": "https:\\/\\/s.krosai.com\\/1.mp3?signature=CANARY_SIG"',
    ],
)
async def test_no_key_and_no_signature_of_the_body_gets_into_the_error(secret: str) -> None:
    error = await fail_to_read(answer(200, f'{{"id": "call_1", {secret}'.encode()))
    assert error.reason == "json"
    assert '"id"' in error.snippet
    assert "CANARY" not in everything_in(error)
