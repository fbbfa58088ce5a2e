"""Which bytes of a file a request is to get: RFC 9110's conditions and ranges, decided without any I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

# No more digits than ``int`` reads; a longer number is as good as nonsense.
_SINGLE_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,4000})-([0-9]{0,4000})", re.IGNORECASE)
_MISPLACED_BYTES = 1000
_STRONG_TAG = re.compile(r'(?<!W/)"[^"]*"')
_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


@dataclass(frozen=True, slots=True)
class Portion:
    """What to answer with.

    Attributes:
        status: 200 for the whole, 206 for a part, 304, 412 or 416 for nothing.
        start: The first byte.
        stop: The byte after the last one.
    """

    status: int
    start: int = 0
    stop: int = 0


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one state of a file from another.

    Attributes:
        etag: The strong entity tag, with its quotes.
        modified: When it was last modified, in whole seconds.
        size: How many bytes it has.
    """

    etag: str
    modified: datetime
    size: int


def decide(method: str, headers: Mapping[str, str], version: Version) -> Portion:
    """Decide what a GET or HEAD with these headers gets.

    Args:
        method: The request's method; only a GET can ask for a part.
        headers: The request's headers, to be looked up without regard to case.
        version: The file as it is.
    """
    # In the order of RFC 9110, section 13.2.2.
    if not _is_as_expected(headers, version):
        return Portion(412)
    if _has_it_already(headers, version):
        return Portion(304)
    wanted = headers.get("Range") if method == "GET" else None
    if wanted is None or not _range_applies(headers.get("If-Range"), version):
        return Portion(200, 0, version.size)
    return single_range(wanted, version.size)


def single_range(wanted: str, size: int) -> Portion:
    """Decide a Range header alone. One that is malformed, or asks for several parts, is ignored."""
    match = _SINGLE_RANGE.fullmatch(wanted.strip())
    if match is None or not any(match.groups()):
        return Portion(200, 0, size)
    first, last = match.groups()
    if not first:
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), size
        if last:
            if int(last) < start:
                return Portion(200, 0, size)
            stop = min(int(last) + 1, size)
    return Portion(206, start, stop) if start < size else Portion(416)


def misplaced(portion: Portion) -> Portion:
    """Give another part than was asked for, as a careless server would: one that begins elsewhere."""
    if portion.status != 206:
        return portion
    start = max(portion.start - _MISPLACED_BYTES, 0) if portion.start else 1
    return Portion(206, start, max(portion.stop, start + 1))


def http_date(moment: datetime) -> str:
    """Write a date as HTTP does."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _is_as_expected(headers: Mapping[str, str], version: Version) -> bool:
    expected = headers.get("If-Match")
    if expected is not None:  # then the date is not looked at
        # A weak tag never matches here.
        return expected.strip() == "*" or version.etag in _STRONG_TAG.findall(expected)
    since = _date(headers.get("If-Unmodified-Since"))
    return since is None or version.modified <= since


def _has_it_already(headers: Mapping[str, str], version: Version) -> bool:
    known = headers.get("If-None-Match")
    if known is not None:  # then the date is not looked at
        return known.strip() == "*" or version.etag in _ENTITY_TAG.findall(known)
    since = _date(headers.get("If-Modified-Since"))
    return since is not None and version.modified <= since


def _range_applies(validator: str | None, version: Version) -> bool:
    if validator is None:
        return True
    validator = validator.strip()
    return validator == version.etag or _date(validator) == version.modified


def _date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
