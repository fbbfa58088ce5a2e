"""A verb's arguments to the request they mean, or to an InvalidArgumentError before any request. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any, TypeAlias, TypeGuard, TypeVar

from krosai_calls._text import visible
from krosai_calls._wire import Endpoint, Request
from krosai_calls.errors import InvalidArgumentError
from krosai_calls.models import Call

When: TypeAlias = datetime | date | str | None
WhenT = TypeVar("WhenT", bound=datetime | date | str)

MAX_PAGE_SIZE = 100
LEAST_POLL_SECONDS, MOST_POLL_SECONDS = 0.001, 3600.0

# An id is opaque, but one with a slash, a question mark or dots alone would ask for another path.
_CALL_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9._:-]{1,128}")


def call_request(endpoint: Endpoint, call_id: object, *, idempotency_key: str | None = None) -> Request:
    """The request for one call.

    Raises:
        InvalidArgumentError: The id would change the request's path.
    """
    if not isinstance(call_id, str) or not _CALL_ID.fullmatch(call_id):
        raise InvalidArgumentError(
            f"{_shown(call_id)} is not a call id: 1 to 128 letters, digits, '.', ':', '_' or '-' are"
        )
    if call_id == "stats" and endpoint is Endpoint.GET_CALL:
        raise InvalidArgumentError("'stats' is not a call id: GET /calls/stats is another endpoint")
    return Request(endpoint, endpoint.template.format(id=call_id), idempotency_key=idempotency_key)


def list_request(filters: Mapping[str, Any], *, limit: int, offset: int) -> Request:
    """The request for one page of the call history.

    Raises:
        InvalidArgumentError: The limit, the offset or a filter cannot be right.
    """
    place = {"limit": str(checked_limit(limit)), "offset": str(checked_offset(offset))}
    return Request(Endpoint.LIST_CALLS, Endpoint.LIST_CALLS.template, {**filter_query(filters), **place})


def stats_request(filters: Mapping[str, Any]) -> Request:
    """The request for the statistics."""
    return Request(Endpoint.GET_STATS, Endpoint.GET_STATS.template, filter_query(filters))


def checked_limit(limit: int, name: str = "limit") -> int:
    """The page size, if the service takes it."""
    if not _is_whole(limit) or not 1 <= limit <= MAX_PAGE_SIZE:
        raise InvalidArgumentError(f"{name} is {_shown(limit)}: it is a whole number from 1 to {MAX_PAGE_SIZE}")
    return limit


def checked_offset(offset: int) -> int:
    """The place in the history, if there can be one."""
    if not _is_whole(offset) or offset < 0:
        raise InvalidArgumentError(f"offset is {_shown(offset)}: it is a whole number from 0 on")
    return offset


def checked_max_items(max_items: int | None) -> int | None:
    """How many calls are wanted at most, if that can be a number of calls."""
    if max_items is not None and (not _is_whole(max_items) or max_items < 0):
        raise InvalidArgumentError(f"max_items is {_shown(max_items)}: it is a whole number from 0 on")
    return max_items


def checked_poll_seconds(poll_seconds: float) -> float:
    """The time between two looks, if there can be looks so often.

    The pace holds whatever it is; the least only keeps a mistake from becoming a loop without a rest.
    """
    if not _is_number(poll_seconds) or not LEAST_POLL_SECONDS <= poll_seconds <= MOST_POLL_SECONDS:
        raise InvalidArgumentError(
            f"poll_seconds is {_shown(poll_seconds)}: it is a number of seconds"
            f" from {LEAST_POLL_SECONDS:g} to {MOST_POLL_SECONDS:g}"
        )
    return poll_seconds


def checked_timeout(timeout_seconds: float | None) -> float | None:
    """How long is waited at most, if that can be a time; None for as long as it takes."""
    if timeout_seconds is not None and not (_is_number(timeout_seconds) and 0 < timeout_seconds < math.inf):
        raise InvalidArgumentError(
            f"timeout_seconds is {_shown(timeout_seconds)}: it is a number of seconds above 0,"
            " or None to wait for as long as it takes"
        )
    return timeout_seconds


def archive_limits(**limits: float | None) -> dict[str, Any]:
    """The limits of an archive run, by name, if they can be ones."""
    for name, most in limits.items():
        if most is not None and not (_is_number(most) and 0 < most < math.inf):
            raise InvalidArgumentError(f"{name} is {_shown(most)}: it is a number above 0")
    return limits


def checked_call(call: Call | str) -> Call | str:
    """The call, if it can be asked for; one that carries a link needs no id that could go into a path.

    Raises:
        InvalidArgumentError: The id would change the request's path.
    """
    if not isinstance(call, Call) or not call.recording_url:
        call_request(Endpoint.GET_RECORDING, call.id if isinstance(call, Call) else call)
    return call


def filters_of(
    status: str | None,
    direction: str | None,
    phone_number_id: str | None,
    endpoint_id: str | None,
    from_date: When,
    to_date: When,
) -> dict[str, Any]:
    """The filters of a listing by their names on the wire."""
    return {
        "status": status,
        "direction": direction,
        "phone_number_id": phone_number_id,
        "endpoint_id": endpoint_id,
        "from_date": from_date,
        "to_date": to_date,
    }


def filter_query(filters: Mapping[str, Any]) -> dict[str, str]:
    """The query for these filters; what is None is not sent.

    Raises:
        InvalidArgumentError: A filter is no text, or a date cannot be right.
    """
    query: dict[str, str] = {}
    instants: dict[str, datetime] = {}
    for name, value in filters.items():
        if value is None:
            continue
        if name in ("from_date", "to_date"):
            instants[name] = _instant(name, value)
            query[name] = instants[name].isoformat().replace("+00:00", "Z")
        else:
            query[name] = _text(name, value)
    if len(instants) == 2 and instants["from_date"] > instants["to_date"]:
        raise InvalidArgumentError("from_date is after to_date: no call can match")
    return query


def checked_date(value: WhenT) -> WhenT:
    """A date or time, if it can bound a listing.

    Raises:
        InvalidArgumentError: It is no ISO 8601 text, or names no instant.
    """
    _instant("the time", value)
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidArgumentError(f"{name} is {_shown(value)}: it is a text that is not empty")
    if visible(value) != value:
        raise InvalidArgumentError(f"{name} is {_shown(value)}: it holds control characters")
    return str(value)


def _instant(name: str, value: object) -> datetime:
    # Both ends are inclusive, so a day as the upper bound means its last moment.
    if isinstance(value, str):
        value = _parsed(name, value)
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise InvalidArgumentError(
                f"{name} is {value.isoformat()}, which names no instant without a zone:"
                " say datetime(…, tzinfo=timezone.utc) or add an offset"
            )
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise InvalidArgumentError(f"{name} is {value.isoformat()}: that lies outside of time") from None
    if isinstance(value, date):
        return datetime.combine(value, time.max if name == "to_date" else time.min, UTC)
    raise InvalidArgumentError(f"{name} is {_shown(value)}: it is a datetime, a date or an ISO 8601 text")


def _parsed(name: str, text: str) -> datetime | date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgumentError(
            f"{name} {_shown(text)} is no ISO 8601 time such as 2025-01-10 or 2025-01-10T12:00:00Z"
        ) from None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    return visible(repr(value))[:80]
