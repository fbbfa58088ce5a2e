"""What the service refuses with, and the error it becomes: by its status alone, with every field it came with."""

from __future__ import annotations

import gzip
import json
import pickle
from typing import Any

import pytest
from contract_client import make_client
from contract_server import KEY
from raw_server import Answer, RawServer, answer

from krosai_calls.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
)

CLASSES: dict[int, type[ApiError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: BadRequestError,
    429: RateLimitedError,
}
CLASSES |= dict.fromkeys((405, 406, 408, 410, 415, 418, 421, 425, 451, 499), ApiError)
CLASSES |= dict.fromkeys((500, 501, 502, 503, 504, 505, 511, 520, 524, 529, 599), ServerError)
# By the policy of retries (3.1): repeating these cannot help.
FINAL = {400, 401, 402, 403, 404, 405, 406, 409, 410, 415, 422, 451, 501, 505, 511}

CODES = {
    "INVALID_PHONE_NUMBERS": 400,
    "MISSING_FIELDS": 400,
    "INVALID_API_KEY": 401,
    "MISSING_API_KEY": 401,
    "KEY_EXPIRED": 401,
    "INSUFFICIENT_BALANCE": 402,
    "INSUFFICIENT_SCOPE": 403,
    "IP_NOT_ALLOWED": 403,
    "RATE_LIMIT_EXCEEDED": 429,
    "CONCURRENT_LIMIT_EXCEEDED": 429,
    "SOMETHING_NEW": 400,
}


async def refuse(reply: Answer, *, attempts: int = 1, **settings: Any) -> tuple[ApiError, int]:
    """The error that an answer becomes, and how many requests it took."""
    async with RawServer() as server, make_client(server.url + "/v1", attempts=attempts, **settings) as client:
        server.script(reply)
        with pytest.raises(ApiError) as raised:
            await client.get_call("call_1")
        return raised.value, len(server.requests)


@pytest.mark.parametrize("status", CLASSES)
async def test_a_status_is_its_class_of_error(status: int) -> None:
    error, _ = await refuse(answer(status, b'{"error": "No.", "code": "X"}'))
    assert type(error) is CLASSES[status]
    assert (error.status, error.code, error.message) == (status, "X", "No.")


@pytest.mark.parametrize("status", sorted(FINAL))
async def test_what_cannot_help_is_not_repeated(status: int) -> None:
    error, hits = await refuse(answer(status, b'{"error": "No."}'), attempts=3)
    assert (error.status, hits, error.attempts) == (status, 1, 1)


@pytest.mark.parametrize("code", CODES)
async def test_every_field_of_an_error_is_read(code: str) -> None:
    details = {"fields": ["to"], "limit": 10, "nested": {"a": None}}
    body = {"error": "human-readable", "code": code, "details": details}
    headers = [("X-Request-Id", "req_42")]
    error, _ = await refuse(
        answer(CODES[code], json.dumps(body).encode(), headers), default_query={"token": "CANARY_QUERY"}
    )
    assert (error.status, error.code, error.message) == (CODES[code], code, "human-readable")
    assert error.details == details
    assert (error.request_id, error.method, error.attempts) == ("req_42", "GET", 1)
    assert error.url.startswith("http://127.0.0.1:")
    assert error.url.endswith("/v1/calls/call_1")
    assert "human-readable" in str(error)
    assert str(CODES[code]) in str(error)
    assert "CANARY" not in f"{error!r} {error} {vars(error)} {error.__cause__!r} {error.__context__!r}"


async def test_code_details_and_request_id_may_be_missing() -> None:
    error, _ = await refuse(answer(404, b'{"error": "no such call"}'))
    assert (error.message, error.code, error.details, error.request_id) == ("no such call", None, None, None)
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        ("0.5", {}, 0.5),
        ("1.5", {"retry_after": 1.5}, 1.5),
        ("3", {"retry_after": 3}, 3.0),
        (None, {"retry_after": 0.25}, 0.25),
        ("3600", {"retry_after": 3600}, 3600.0),
        ("1", {"retry_after": 5}, 5.0),
        ("soon", {}, None),
        (None, {"retry_after": "soon"}, None),
        (None, {"retry_after": -1}, None),
        (None, {"retry_after": True}, None),
        ("nan", {}, None),
        (None, {}, None),
    ],
)
async def test_a_rate_limit_says_when_to_come_back(
    header: str | None, body: dict[str, Any], seconds: float | None
) -> None:
    headers = [] if header is None else [("Retry-After", header)]
    body = {"error": "slow down", "code": "RATE_LIMIT_EXCEEDED"} | body
    error, hits = await refuse(answer(429, json.dumps(body).encode(), headers))
    assert isinstance(error, RateLimitedError)
    assert (error.retry_after, hits) == (seconds, 1)


async def test_an_error_travels_between_processes() -> None:
    body = b'{"error": "No.", "code": "KEY_EXPIRED", "details": {"a": 1}}'
    error, _ = await refuse(answer(401, body, [("X-Request-Id", "req_42")]))
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), vars(copy), str(copy)) == (type(error), vars(error), str(error))


# D19: error bodies of every other kind


LARGE = 5_000_000
ODD_BODIES = {
    "nested": b'{"error": {"reason": "odd"}}',
    "list": b"[]",
    "list-of-errors": b'[{"error": "x"}]',
    "string": b'"x"',
    "number": b"5",
    "null": b"null",
    "empty-object": b"{}",
    "odd-types": b'{"error": 5, "code": 7, "details": "x", "retry_after": []}',
    "null-fields": b'{"error": null, "code": null, "details": null}',
    "html": b"<html><body>502 Bad Gateway</body></html>",
    "empty": b"",
    "cut": b'{"error": "No.", "co',
    "not-utf8": b'{"error": "\xff"}',
    "mark-only": b"\xef\xbb\xbf",
    "nan": b'{"details": NaN}',
    "digits": b'{"details": ' + b"7" * 5000 + b"}",
    "deep": b"[" * 200_000,
    "large-html": b"<html>" + b"x" * LARGE,
    "large-json": b'{"new": "' + b"x" * LARGE + b'"}',
    "control-characters": b"\x1b[2J\x07\0",
}


@pytest.mark.parametrize("status", [400, 404, 429, 502])
@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES)
async def test_d19_an_odd_error_body_never_hides_the_status(body: bytes, status: int) -> None:
    content_type = "text/html" if b"<html" in body else "application/json"
    error, hits = await refuse(answer(status, body, content_type=content_type))
    assert (type(error), error.status, error.code, hits) == (CLASSES[status], status, None, 1)
    assert error.details is None
    assert error.message is None or isinstance(error.message, str)
    assert len(str(error)) < 1000
    assert not {"\x1b", "\x07", "\0"} & set(str(error))


@pytest.mark.parametrize("encoding", ["gzip", "br", "foo", "gzip, gzip"])
@pytest.mark.parametrize("body", [b"garbage", gzip.compress(b'{"code": "X"}')[:-4]], ids=["garbage", "cut"])
async def test_d19_a_damaged_encoding_never_hides_the_status(encoding: str, body: bytes) -> None:
    error, _ = await refuse(answer(403, body, [("Content-Encoding", encoding)]))
    assert (type(error), error.status, error.code) == (PermissionDeniedError, 403, None)


async def test_d19_an_error_larger_than_any_answer_is_still_its_status() -> None:
    body = b'{"error": "' + b"x" * 100_000 + b'"}'
    error, _ = await refuse(answer(409, body), max_response_bytes=4096)
    assert (type(error), error.status) == (ConflictError, 409)


async def test_d19_a_byte_order_mark_before_an_error_is_survived() -> None:
    error, _ = await refuse(answer(400, b'\xef\xbb\xbf{"error": "No.", "code": "X"}'))
    assert (error.message, error.code) == ("No.", "X")


async def test_no_key_that_an_error_repeats_gets_into_what_is_logged() -> None:
    error, _ = await refuse(answer(401, json.dumps({"error": f"the key {KEY} is wrong"}).encode()))
    assert isinstance(error, AuthenticationError)
    assert KEY not in f"{error!r} {error} {vars(error)}"
