"""The rules of the wire, without I/O: endpoints, statuses to errors, the headers that steer a client.

Everything here is a pure function or a value; the source of each rule is the service's Calls page and its
sister pages on errors and rate limits, or the RFC that is named.
"""

from __future__ import annotations

import email.utils
import math
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from attrs import field, frozen

from krosai_calls._json import UnfitError, load_json
from krosai_calls._text import Secret, redacted, redacted_json, visible
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
from krosai_calls.observing import RateLimit

_LONGEST_WORDS = 2000
_SHOWN_WORDS = 200


class Endpoint(Enum):
    """Every endpoint of the API: method and path below the base URL."""

    LIST_CALLS = ("GET", "/calls")
    GET_STATS = ("GET", "/calls/stats")
    GET_CALL = ("GET", "/calls/{id}")
    LIST_EVENTS = ("GET", "/calls/{id}/events")
    GET_RECORDING = ("GET", "/calls/{id}/recording")
    HANG_UP = ("POST", "/calls/{id}/hangup")

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.value[0]

    @property
    def template(self) -> str:
        """The path with ``{id}`` where the call's id goes."""
        return self.value[1]


@frozen
class Request:
    """One request to the API, ready to be sent as often as the retry policy wants.

    Attributes:
        endpoint: What is asked.
        path: The path below the base URL.
        query: Parameters that are set; the others are not sent.
        idempotency_key: Sent with a POST, the same for all attempts of one verb.
    """

    endpoint: Endpoint
    path: str
    query: Mapping[str, str] = field(factory=dict)
    idempotency_key: str | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it again cannot do anything twice (RFC 9110, 9.2.2)."""
        return self.endpoint.method == "GET"


@frozen
class Answer:
    """One answer of the API, read to its end.

    Attributes:
        method: The method of the request.
        url: Its address without the query.
        status: The HTTP status.
        headers: Names in lower case; a repeated header's values joined by a comma (RFC 9110, 5.3).
        body: The bytes, decompressed.
        attempt: Which of its verb's requests it answers; the first is 1.
        secret: The key that was sent; taken out of whatever is shown of the answer.
    """

    method: str
    url: str
    status: int
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    attempt: int = 1
    secret: Secret = field(factory=Secret, repr=False, eq=False)

    @property
    def is_success(self) -> bool:
        """Whether the service did what it was asked."""
        return 200 <= self.status < 300

    @property
    def request_id(self) -> str | None:
        """The service's name for the request, where it gave one, as it may be shown."""
        return self.shown(self.headers.get("x-request-id"))

    def shown(self, words: object) -> str | None:
        """Words of the answer as they may be shown: short, redacted, on one line; None for none."""
        if not isinstance(words, str) or not words:
            return None
        # Cut first: a body may be megabytes of words.
        return visible(redacted(words[:_LONGEST_WORDS], self.secret.reveal()))[:_SHOWN_WORDS]


ERROR_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: BadRequestError,
    429: RateLimitedError,
}


def refusal(answer: Answer) -> ApiError | None:
    """The error that an answer means, or None where it is a success.

    The class follows from the status alone: whatever the body holds cannot hide it.

    Args:
        answer: What the service said.
    """
    if answer.is_success:
        return None
    server_fault = ServerError if 500 <= answer.status < 600 else ApiError
    error_class = ERROR_BY_STATUS.get(answer.status, server_fault)
    said = _error_body(answer.body)
    message, code, details = said.get("error"), said.get("code"), said.get("details")
    message = answer.shown(message) or answer.shown(said.get("message"))
    code = answer.shown(code)
    words = message or _hint(answer)
    extras = [f"code {code}"] if code else []
    extras += [f"request id {answer.request_id}"] if answer.request_id else []
    summary = f"{answer.method} {answer.url} answered {answer.status}"
    summary += (f": {words}" if words else "") + (f" ({', '.join(extras)})" if extras else "")
    return error_class(
        summary,
        status=answer.status,
        code=code,
        message=message,
        details=redacted_json(details, answer.secret.reveal()) if isinstance(details, dict) else None,
        request_id=answer.request_id,
        retry_after=retry_after(answer.headers, said.get("retry_after")),
        method=answer.method,
        url=answer.url,
    )


def _error_body(body: bytes) -> dict[str, Any]:
    try:
        said = load_json(body)
    except UnfitError:
        return {}
    if not isinstance(said, dict):
        return {}
    inner = said.get("error")
    # Some gateways nest: {"error": {"message": …, "code": …}}.
    return {**said, **inner, "error": inner.get("message")} if isinstance(inner, dict) else said


def _hint(answer: Answer) -> str:
    if 300 <= answer.status < 400:
        return "a redirect, which is not followed: the key goes to no other address. Is the base URL right?"
    return {401: "is the API key right?", 404: "no such thing"}.get(answer.status, "")


_DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT", re.ASCII)
# Fractions are allowed by the service's rate limits page; float() would also take 'nan', '1_0' and '1e3'.
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,16}(\.[0-9]{1,9})?", re.ASCII)


def retry_after(headers: Mapping[str, str], in_body: object = None) -> float | None:
    """Seconds that the service asks to wait: the largest valid figure of the header and the body, or None.

    An HTTP date (RFC 9110, 10.2.3) is measured against the answer's own ``Date``: our clock may be wrong.

    Args:
        headers: The answer's headers, names in lower case.
        in_body: The body's ``retry_after``, whatever it is.
    """
    value, server_date = headers.get("retry-after", ""), headers.get("date", "")
    if not value and in_body is None:
        return None
    dates = [date for date in (value, *_DATE.findall(value)) if date]
    figures = [_date_seconds(date, server_date) for date in dates]
    figures += [_seconds(part) for part in _DATE.sub("", value).split(",")]
    if isinstance(in_body, str):
        figures += [_seconds(in_body)]
    elif isinstance(in_body, int | float) and not isinstance(in_body, bool):
        figures += [float(in_body) if 0 <= in_body < 1e9 else None]
    return max((figure for figure in figures if figure is not None), default=None)


def _seconds(text: str) -> float | None:
    text = text.strip(" \t")
    return float(text) if _SECONDS.fullmatch(text) else None


def _date_seconds(value: str, server_date: str) -> float | None:
    due, now = http_date(value), http_date(server_date) or datetime.now(UTC)
    return max(0.0, math.ceil((due - now).total_seconds())) if due else None


def http_date(text: str) -> datetime | None:
    """The instant of an HTTP date, or None where the text is none."""
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


@frozen
class RateHint:
    """What an answer says of the pace.

    Attributes:
        requests_per_second: How many the service allows, or None.
        pause_seconds: How long nothing more should be sent; 0 for not at all.
        is_refusal: Whether the request itself was too much.
        is_fault: Whether the service failed at it.
    """

    requests_per_second: float | None = None
    pause_seconds: float = 0.0
    is_refusal: bool = False
    is_fault: bool = False


# A pause longer than this is told to the caller, not waited for.
LONGEST_PAUSE_SECONDS = 60.0
# After a refusal that names no time: what its own caller waits at least, before the retry policy draws more.
LEAST_PAUSE_SECONDS = 0.5


def rate_hint(status: int, headers: Mapping[str, str], asked_to_wait: float | None, now: datetime) -> RateHint:
    """What an answer says of the pace (rate limits page: Limit is requests per second, Reset a Unix time).

    Args:
        status: The HTTP status.
        headers: The answer's headers, names in lower case.
        asked_to_wait: What ``retry_after`` makes of the answer.
        now: The present, aware.
    """
    limit = _seconds(headers.get("x-ratelimit-limit", "")) or None
    if status == 429 or (status == 503 and asked_to_wait is not None):
        pause = _until_reset(headers, now) or LEAST_PAUSE_SECONDS if asked_to_wait is None else asked_to_wait
        return RateHint(limit, pause, is_refusal=True)
    left = _seconds(headers.get("x-ratelimit-remaining", ""))
    pause = _until_reset(headers, now) if left is not None and left < 1 else 0.0
    return RateHint(limit, pause, is_fault=status >= 500)


def told_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """What an answer says of the pace, as a watcher is told it; None where it says nothing.

    Args:
        headers: The answer's headers, names in lower case.
    """
    limit = _seconds(headers.get("x-ratelimit-limit", "")) or None
    remaining = _seconds(headers.get("x-ratelimit-remaining", ""))
    return None if limit is None and remaining is None else RateLimit(limit, remaining)


def _until_reset(headers: Mapping[str, str], now: datetime) -> float:
    """Seconds until the service's window opens again; 0 where it does not say so believably."""
    text = headers.get("x-ratelimit-reset", "").strip()
    server_now = http_date(headers.get("date", ""))
    # Its Date tells whole seconds only: our own clock is finer, where it is right.
    if server_now is not None and abs((server_now - now).total_seconds()) > 2:
        now = server_now
    moment = http_date(text)
    if moment is not None:
        seconds = (moment - now).total_seconds()
    elif not _NUMBER.fullmatch(text):
        return 0.0
    elif (number := float(text)) < 1e7:  # some send seconds from now, and some milliseconds since 1970
        seconds = number
    else:
        seconds = (number if number < 1e11 else number / 1000) - now.timestamp()
    return seconds if 0 < seconds <= LONGEST_PAUSE_SECONDS else 0.0


class BodyEncodingError(Exception):
    """A body cannot be decompressed.

    Attributes:
        reason: As in ``DecodeError``: ``encoding`` or ``too large``.
        is_lasting: Whether it would be the same the next time.
    """

    def __init__(self, words: str, reason: str = "encoding", *, is_lasting: bool = False) -> None:
        super().__init__(words)
        self.reason = reason
        self.is_lasting = is_lasting


def decompressed(body: bytes, encoding: str, *, max_bytes: int) -> bytes:
    """A body as it was before the transport compressed it.

    Ours rather than the HTTP library's, which takes a truncated gzip stream for a whole one.

    Raises:
        BodyEncodingError: The encoding is unknown, the stream broken, cut, followed by something else, or
            larger than allowed.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise BodyEncodingError(f"the unknown content encoding {visible(encoding)[:40]!r}", is_lasting=True)
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16 if encoding == "gzip" else zlib.MAX_WBITS)
    try:
        plain = stream.decompress(body, max_bytes + 1)
    except zlib.error:
        raise BodyEncodingError(f"a broken {encoding} stream") from None
    if len(plain) > max_bytes:
        raise BodyEncodingError(f"more than {max_bytes} bytes", "too large", is_lasting=True)
    if not stream.eof or stream.unused_data:
        raise BodyEncodingError(f"a {encoding} stream that does not end where it should")
    return plain
