"""What a query string asks for, or why it cannot be right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from multidict import MultiMapping

from krosai_calls.sandbox.dialect import Dialect
from krosai_calls.sandbox.filters import Filters

_PARAMETERS = (
    "status",
    "direction",
    "phone_number_id",
    "endpoint_id",
    "from_date",
    "to_date",
    "limit",
    "offset",
)
DEFAULT_LIMIT = 50
LARGEST_LIMIT = 100
# Times are told to the millisecond: nothing lies between a bound and its neighbour.
_LEAST = timedelta(microseconds=1)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Refusal(Exception):  # noqa: N818 - not a failure of ours: an answer on its way out
    """A request is refused with a status and the contract's error body.

    Args:
        status: The HTTP status.
        code: The machine-readable code.
        message: What is wrong, and what to do about it.
        headers: Headers of the answer.
        **more: Further members of the body, such as ``details``.
    """

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body: dict[str, Any] = {"error": message, "code": code, **more}


def listing_filters(query: Mapping[str, str], dialect: Dialect) -> Filters:
    """Read the filters of ``GET /calls``. Unknown parameters are ignored, and so are empty names."""
    return Filters(
        status=query.get("status") or None,
        direction=query.get("direction") or None,
        phone_number_id=query.get("phone_number_id") or None,
        endpoint_id=query.get("endpoint_id") or None,
        from_date=_date(query, "from_date", timedelta() if dialect.from_is_inclusive else _LEAST),
        to_date=_last_moment(query, dialect),
    )


def stats_filters(query: Mapping[str, str], dialect: Dialect) -> Filters:
    """Read the filters of ``GET /calls/stats``, which knows neither status nor direction."""
    kept = {name: query[name] for name in query if name not in ("status", "direction")}
    return listing_filters(kept, dialect)


def page_of(query: Mapping[str, str]) -> tuple[int, int]:
    """Read which page is wanted: its limit and offset."""
    limit = _whole_number(query, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= LARGEST_LIMIT:
        raise _wrong("limit", f"limit must be between 1 and {LARGEST_LIMIT}")
    offset = _whole_number(query, "offset", 0)
    if offset < 0:
        raise _wrong("offset", "offset must not be negative")
    return limit, offset


def check_once(query: MultiMapping[str]) -> None:
    """Let a query pass that says everything once.

    Raises:
        Refusal: A parameter that means something is there twice.
    """
    for name in _PARAMETERS:
        if len(query.getall(name, [])) > 1:
            raise _wrong(name, f"{name} must be given once")


def _whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if re.fullmatch(r"-?[0-9]{1,12}", text) is None:
        raise _wrong(name, f"{name} must be a whole number")
    return int(text)


def _last_moment(query: Mapping[str, str], dialect: Dialect) -> datetime | None:
    if not dialect.to_is_inclusive:
        return _date(query, "to_date", -_LEAST)
    # A day that belongs to what it bounds is meant as a whole.
    is_day = _DAY.fullmatch(query.get("to_date", "")) is not None
    return _date(query, "to_date", timedelta(days=1) - _LEAST if is_day else timedelta())


def _date(query: Mapping[str, str], name: str, shift: timedelta) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment + shift).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _wrong(name, f"{name} must be an ISO 8601 date or time, such as 2025-01-10T12:00:00Z") from None


def _wrong(parameter: str, message: str) -> Refusal:
    return Refusal(400, "INVALID_PARAMETER", message, details={"parameter": parameter})
