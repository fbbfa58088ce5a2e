"""The rules of the wire: refusals, Retry-After, content encodings."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest

from krosai_calls import errors
from krosai_calls._text import Secret
from krosai_calls._wire import Answer, BodyEncodingError, Endpoint, Request, decompressed, refusal, retry_after
from krosai_calls.errors import ApiError

KEY = "kros_live_CANARYKEY"
OWN = "CANARY/own.key"
DATE = "Fri, 10 Jan 2025 12:00:00 GMT"
PLAIN = b'{"calls": []}' * 50


def refused(status: int, body: Any = None, headers: dict[str, str] | None = None, secret: str = "") -> ApiError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    error = refusal(Answer("GET", "https://api.test/v1/calls", status, headers or {}, raw, secret=Secret(secret)))
    assert error is not None
    return error


@pytest.mark.parametrize(
    ("endpoint", "method", "template"),
    [
        (Endpoint.LIST_CALLS, "GET", "/calls"),
        (Endpoint.GET_STATS, "GET", "/calls/stats"),
        (Endpoint.GET_CALL, "GET", "/calls/{id}"),
        (Endpoint.LIST_EVENTS, "GET", "/calls/{id}/events"),
        (Endpoint.GET_RECORDING, "GET", "/calls/{id}/recording"),
        (Endpoint.HANG_UP, "POST", "/calls/{id}/hangup"),
    ],
    ids=lambda value: value.name if isinstance(value, Endpoint) else "",
)
def test_endpoints_are_those_of_the_contract(endpoint: Endpoint, method: str, template: str) -> None:
    assert (endpoint.method, endpoint.template) == (method, template)
    assert Request(endpoint, template).is_repeatable is (method == "GET")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_a_success_is_no_refusal(status: int) -> None:
    assert refusal(Answer("GET", "https://api.test/v1/calls", status, body=b'{"error": "not really"}')) is None


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (400, errors.BadRequestError),
        (401, errors.AuthenticationError),
        (402, errors.PaymentRequiredError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (422, errors.BadRequestError),
        (429, errors.RateLimitedError),
        (500, errors.ServerError),
        (501, errors.ServerError),
        (503, errors.ServerError),
        (599, errors.ServerError),
        (199, ApiError),
        (300, ApiError),
        (302, ApiError),
        (405, ApiError),
        (408, ApiError),
        (418, ApiError),
        (600, ApiError),
        (999, ApiError),
    ],
)
@pytest.mark.parametrize(
    "body", [pytest.param(b"<html>", id="html"), pytest.param(b'{"id": "call_1"}', id="call"), b"[" * 100_000]
)
def test_the_status_alone_makes_the_class(status: int, error_class: type[ApiError], body: bytes) -> None:
    error = refused(status, body)
    assert type(error) is error_class
    assert error.status == status


@pytest.mark.parametrize(
    ("body", "message", "code", "details"),
    [
        pytest.param(
            {"error": "No funds", "code": "INSUFFICIENT_BALANCE", "details": {"a": 1}},
            "No funds",
            "INSUFFICIENT_BALANCE",
            {"a": 1},
            id="documented",
        ),
        pytest.param({"error": "No funds"}, "No funds", None, None, id="code and details missing"),
        pytest.param({"message": "No funds"}, "No funds", None, None, id="message instead of error"),
        pytest.param(
            {"error": {"message": "No funds", "code": "X", "details": {"b": 2}}},
            "No funds",
            "X",
            {"b": 2},
            id="nested",
        ),
        pytest.param({"error": {"code": "X"}, "message": "No funds"}, "No funds", "X", None, id="half nested"),
        pytest.param({"error": {}}, None, None, None, id="nested and empty"),
        pytest.param({"error": ["No funds"], "code": 7, "details": "x"}, None, None, None, id="odd types"),
        pytest.param({"error": "", "message": "No funds"}, "No funds", None, None, id="an empty error"),
        pytest.param({"error": None, "code": None}, None, None, None, id="nulls"),
        pytest.param(["No funds"], None, None, None, id="a list"),
        pytest.param("No funds", None, None, None, id="a text"),
        pytest.param(b"<html>502</html>", None, None, None, id="HTML"),
        pytest.param(b"\xff\xfe", None, None, None, id="no UTF-8"),
        pytest.param(b'{"error": NaN}', None, None, None, id="NaN"),
        pytest.param(b"", None, None, None, id="empty"),
    ],
)
def test_the_service_is_quoted_as_far_as_it_said_anything(
    body: Any, message: str | None, code: str | None, details: dict[str, Any] | None
) -> None:
    error = refused(402, body)
    assert (error.message, error.code, error.details) == (message, code, details)


def test_the_text_says_what_was_asked_what_came_and_what_support_will_want() -> None:
    error = refused(402, {"error": "No funds", "code": "INSUFFICIENT_BALANCE"}, {"x-request-id": "req_1"})
    assert str(error) == (
        "GET https://api.test/v1/calls answered 402: No funds (code INSUFFICIENT_BALANCE, request id req_1)"
    )
    assert (error.method, error.url, error.request_id) == ("GET", "https://api.test/v1/calls", "req_1")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_says_that_it_is_not_followed(status: int) -> None:
    error = refused(status, b"", {"location": "https://elsewhere.test/?token=CANARY"})
    assert "redirect, which is not followed" in str(error)
    assert "CANARY" not in str(error)


def test_long_words_are_cut() -> None:
    error = refused(400, {"error": "x" * 5000, "code": "y" * 5000})
    assert error.message == "x" * 200
    assert len(str(error)) < 600


SAID = f"{OWN} {KEY} \x1b[31m https://h/a?signature=CANARY"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param({"error": SAID}, {}, id="error"),
        pytest.param({"message": SAID}, {}, id="message"),
        pytest.param({"error": {"message": SAID, "code": SAID}}, {}, id="nested"),
        pytest.param({"error": "bad", "code": SAID}, {}, id="code"),
        pytest.param({}, {"x-request-id": SAID}, id="request id"),
        pytest.param({"error": "bad", "details": {"key": OWN, "header": KEY}}, {}, id="details"),
    ],
)
def test_no_error_holds_a_key_a_signature_or_an_escape_sequence(body: Any, headers: dict[str, str]) -> None:
    error = refused(400, body, headers, secret=OWN)
    for shown in (str(error), repr(error), repr(vars(error))):
        assert "CANARY" not in shown
        assert "\x1b" not in shown


NOT_ASKED: float | None = None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("7", 7.0, id="whole"),
        pytest.param("1.5", 1.5, id="a fraction"),
        pytest.param("0", 0.0, id="zero"),
        pytest.param(" 3\t", 3.0, id="blanks around it"),
        pytest.param("3600", 3600.0, id="an hour is told, not cut"),
        pytest.param("999999999.999999999", 999999999.999999999, id="the longest"),
        pytest.param("1, 5", 5.0, id="two headers"),
        pytest.param("5, 1", 5.0, id="two headers, the larger first"),
        pytest.param("soon, 5", 5.0, id="two headers, one of them odd"),
        pytest.param("Fri, 10 Jan 2025 12:00:30 GMT", 30.0, id="a date"),
        pytest.param("Friday, 10-Jan-25 12:00:30 GMT", 30.0, id="an RFC 850 date"),
        pytest.param("Fri Jan 10 12:00:30 2025", 30.0, id="an asctime date"),
        pytest.param("Fri, 10 Jan 2025 13:00:30 +0100", 30.0, id="a date with an offset"),
        pytest.param("Fri, 10 Jan 2025 11:00:00 GMT", 0.0, id="a past date"),
        pytest.param(
            "Fri, 10 Jan 2025 12:00:10 GMT, Fri, 10 Jan 2025 12:00:30 GMT", 30.0, id="two headers, both dates"
        ),
        pytest.param("5, Fri, 10 Jan 2025 12:00:30 GMT", 30.0, id="two headers, seconds and a date"),
        pytest.param("nan", NOT_ASKED, id="nan"),
        pytest.param("inf", NOT_ASKED, id="inf"),
        pytest.param("-1", NOT_ASKED, id="negative"),
        pytest.param("+1", NOT_ASKED, id="a plus sign"),
        pytest.param("1_0", NOT_ASKED, id="an underscore"),
        pytest.param("1e3", NOT_ASKED, id="an exponent"),
        pytest.param("0x10", NOT_ASKED, id="hexadecimal"),
        pytest.param(".5", NOT_ASKED, id="no digit before the point"),
        pytest.param("5.", NOT_ASKED, id="no digit after the point"),
        pytest.param("٣", NOT_ASKED, id="an Arabic digit"),
        pytest.param("5\n", NOT_ASKED, id="a line end"),
        pytest.param("", NOT_ASKED, id="empty"),
        pytest.param("soon", NOT_ASKED, id="a word"),
        pytest.param("9" * 400, NOT_ASKED, id="400 digits"),
        pytest.param("Fri, 10 Jan 100000 12:00:00 GMT", NOT_ASKED, id="the year 100000"),
        pytest.param("Fri, 10 Jan 2025 12:00:00 +9999", NOT_ASKED, id="an impossible zone"),
        pytest.param("2025-01-10T12:00:30Z", NOT_ASKED, id="an ISO time"),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_nothing_else(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value, "date": DATE}) == seconds


@pytest.mark.parametrize("headers", [{}, {"date": "today"}], ids=["no Date", "a Date that is none"])
def test_without_the_services_clock_ours_measures_a_date(headers: dict[str, str]) -> None:
    assert retry_after({"retry-after": "Sat, 01 Jan 2000 00:00:00 GMT", **headers}) == 0
    far = retry_after({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT", **headers})
    assert far is not None
    assert far > 1e9


@pytest.mark.parametrize(
    ("header", "in_body", "seconds"),
    [
        pytest.param(None, 2, 2.0, id="the body alone"),
        pytest.param(None, 1.5, 1.5, id="a fraction in the body"),
        pytest.param(None, "2.5", 2.5, id="a text in the body"),
        pytest.param("1", 5, 5.0, id="the body asks for more"),
        pytest.param("5", 1, 5.0, id="the header asks for more"),
        pytest.param("5", "soon", 5.0, id="an odd body"),
        pytest.param("soon", 5, 5.0, id="an odd header"),
        pytest.param(None, -1, None, id="negative"),
        pytest.param(None, True, None, id="a boolean"),
        pytest.param(None, [5], None, id="a list"),
        pytest.param(None, 10**400, None, id="too large for a float"),
        pytest.param(None, float("inf"), None, id="infinite"),
        pytest.param(None, None, None, id="neither"),
    ],
)
def test_of_header_and_body_the_larger_valid_figure_counts(
    header: str | None, in_body: object, seconds: float | None
) -> None:
    assert retry_after({} if header is None else {"retry-after": header}, in_body) == seconds


@pytest.mark.parametrize(
    "body", [{"error": "slow", "retry_after": 4.5}, {"error": {"message": "slow", "retry_after": 4.5}}]
)
def test_a_refusal_carries_what_its_body_asks(body: dict[str, Any]) -> None:
    assert refused(429, body, {"retry-after": "1"}).retry_after == 4.5


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("", PLAIN, id="none"),
        pytest.param("identity", PLAIN, id="identity"),
        pytest.param("gzip", gzip.compress(PLAIN), id="gzip"),
        pytest.param(" GZIP ", gzip.compress(PLAIN), id="gzip, spelt otherwise"),
        pytest.param("deflate", zlib.compress(PLAIN), id="deflate"),
    ],
)
def test_a_whole_body_comes_back_as_it_was(encoding: str, body: bytes) -> None:
    assert decompressed(body, encoding, max_bytes=10_000) == PLAIN


GZIPPED, DEFLATED = gzip.compress(PLAIN), zlib.compress(PLAIN)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        *(pytest.param("gzip", GZIPPED[:end], id=f"gzip cut at {end}") for end in range(1, len(GZIPPED))),
        *(pytest.param("deflate", DEFLATED[:end], id=f"deflate cut at {end}") for end in range(1, len(DEFLATED))),
        pytest.param("gzip", GZIPPED + b"x", id="something after gzip"),
        pytest.param("gzip", GZIPPED + GZIPPED, id="two gzip members"),
        pytest.param("deflate", DEFLATED + b"x", id="something after deflate"),
        pytest.param("gzip", GZIPPED[:-8] + bytes(8), id="a wrong checksum"),
        pytest.param("gzip", PLAIN, id="not compressed at all"),
        pytest.param("gzip", DEFLATED, id="deflate that says gzip"),
        pytest.param("br", PLAIN, id="an unknown encoding"),
        pytest.param("gzip, gzip", gzip.compress(GZIPPED), id="two encodings"),
        pytest.param("\x1b[31m" + "x" * 1000, PLAIN, id="an encoding that is no name"),
    ],
)
def test_a_body_that_is_not_whole_is_refused(encoding: str, body: bytes) -> None:
    with pytest.raises(BodyEncodingError) as caught:
        decompressed(body, encoding, max_bytes=10_000)
    assert caught.value.reason == "encoding"
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_refused_at_the_cap_and_not_below(encoding: str) -> None:
    packed = gzip.compress(bytes(1000)) if encoding == "gzip" else zlib.compress(bytes(1000))
    assert decompressed(packed, encoding, max_bytes=1000) == bytes(1000)
    with pytest.raises(BodyEncodingError) as caught:
        decompressed(packed, encoding, max_bytes=999)
    assert caught.value.reason == "too large"


def test_a_bomb_that_goes_on_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(50 * 2**20), 1)
    with pytest.raises(BodyEncodingError, match="more than 1024 bytes"):
        decompressed(bomb, "gzip", max_bytes=1024)
