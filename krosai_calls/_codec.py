"""JSON bytes to records and back: the only user of cattrs.

Strict about nothing that the contract lets vary. Only three things are errors: bytes that are no JSON, JSON
that is no object or list where one is due, and a call without an id. A known field with a value of an
unexpected type becomes None and stays in the record's ``to_dict()``; an enum keeps the value as it came.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from cattrs import Converter
from cattrs.gen import make_dict_structure_fn

from krosai_calls._json import UnfitError, is_surely_exact, load_json, load_json_carefully, load_json_swiftly
from krosai_calls._paging import next_offset
from krosai_calls._rows import read_expected_call
from krosai_calls._seams import Row
from krosai_calls._text import snippet
from krosai_calls._values import identifier, integer, json_object, members_by_text, moment, number, text
from krosai_calls._wire import Answer
from krosai_calls.errors import DecodeError
from krosai_calls.models import (
    Call,
    CallDirection,
    CallEvent,
    CallStats,
    CallStatus,
    HangupCause,
    HangupResult,
    Page,
    Record,
    RecordingLink,
)

T = TypeVar("T")
RecordT = TypeVar("RecordT", bound=Record)
IdentifiedT = TypeVar("IdentifiedT", Call, HangupResult)


def _open_enum(members: type[StrEnum]) -> Callable[[Any, Any], Any]:
    known = members_by_text(members)
    return lambda value, _: known.get(value, value) if type(value) is str else value


# --- Records ---------------------------------------------------------------------------------------------


def _record_hook(
    converter: Converter, record_class: type[RecordT], **wire_names: tuple[str, ...]
) -> Callable[[Any, Any], RecordT]:
    """Builds the records of one class, the object they came as kept.

    Args:
        converter: Has the hooks for the fields' types.
        record_class: The class.
        wire_names: For a field that the service may call otherwise: the names, the preferred one first.
    """
    build = make_dict_structure_fn(record_class, converter, _cattrs_detailed_validation=False)

    def structure(raw: Any, _: Any = None) -> RecordT:
        if type(raw) is not dict:
            raise UnfitError("shape", f"{_kind(raw)} where an object is due")
        named = raw
        for name, candidates in wire_names.items():
            found = next((candidate for candidate in candidates if raw.get(candidate) is not None), name)
            if found != name:
                named = {**named, name: raw[found]}
        try:
            record = build(named, record_class)
        except KeyError:  # the id is the only field without a default
            raise UnfitError("id", "no id", "$.id") from None
        return _with_raw(record, raw)

    return structure


def _with_raw(record: RecordT, raw: dict[str, Any]) -> RecordT:
    object.__setattr__(record, "_raw", raw)  # frozen for users; here it is still being made
    return record


def _make_converter() -> Converter:
    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(str, identifier)
    for hint, hook in {
        str | None: text,
        int | None: integer,
        float | None: number,
        datetime | None: moment,
        dict[str, Any] | None: json_object,
        CallStatus | str | None: _open_enum(CallStatus),
        CallDirection | str | None: _open_enum(CallDirection),
        HangupCause | str | None: _open_enum(HangupCause),
    }.items():
        converter.register_structure_hook(hint, hook)
    for record_class in (Call, CallStats, HangupResult):
        converter.register_structure_hook(record_class, _record_hook(converter, record_class))
    converter.register_structure_hook(
        CallEvent,
        _record_hook(converter, CallEvent, type=("event", "type"), timestamp=("timestamp", "created_at")),
    )
    converter.register_structure_hook(
        RecordingLink, _record_hook(converter, RecordingLink, url=("recording_url", "url"))
    )
    return converter


_CONVERTER = _make_converter()


def _call(raw: Any) -> Call:
    return read_expected_call(raw, []) or _CONVERTER.structure(raw, Call)


def read_call(body: bytes) -> Call:
    """The call of a row that was kept as JSON.

    Raises:
        UnfitError: It is no call.
    """
    return _call(load_json(body))


# --- Answers ---------------------------------------------------------------------------------------------


def decode_page(answer: Answer, *, limit: int, offset: int) -> tuple[Page, tuple[Row, ...]]:
    """A page of calls, and its rows in order: each a call, or the error that tells why it is none.

    Args:
        answer: The service's answer.
        limit: The page size that was asked for.
        offset: The place that was asked for.

    Raises:
        DecodeError: The answer is no page.
    """

    def read() -> tuple[Page, tuple[Row, ...]]:
        body, name, calls = _page_of_calls(answer.body)
        rows = [
            call or _careful_row(answer, body[name][index], f"$.{name}[{index}]")
            for index, call in enumerate(calls)
        ]
        total, echoed_limit = integer(body.get("total")), integer(body.get("limit"))
        total = None if total is None or total < 0 else total
        page = Page(
            calls=tuple([row for row in rows if isinstance(row, Call)]),
            total=total,
            limit=echoed_limit if echoed_limit and echoed_limit > 0 else limit,
            offset=offset,
            next_offset=next_offset(offset, len(rows), total),
        )
        return _with_raw(page, body), tuple(rows)

    return _unless_unfit(answer, read)


def _page_of_calls(body: bytes) -> tuple[dict[str, Any], str, list[Call | None]]:
    """A page, the name of its rows, and a call for each row that is as expected."""
    page = load_json_swiftly(body)
    if page is not None:
        with contextlib.suppress(UnfitError):
            name, rows = _rows(page, "calls", "data")
            unseen = [{**page, name: None}]
            calls = [read_expected_call(row, unseen) for row in rows]
            # What has made calls needs no second look: on a usual page, that is nearly everything.
            if is_surely_exact(unseen if all(calls) else page):
                return page, name, calls
    page = load_json_carefully(body)
    name, rows = _rows(page, "calls", "data")
    return page, name, [read_expected_call(row, []) for row in rows]


def _careful_row(answer: Answer, raw: Any, place: str) -> Row:
    try:
        call: Call = _CONVERTER.structure(raw, Call)
    except UnfitError as unfit:
        return _error(answer, unfit, place)
    return call


def decode_call(answer: Answer, call_id: str) -> Call:
    """The call that was asked for.

    Raises:
        DecodeError: The answer is no call, or another one.
    """
    return _decoded(answer, lambda body: _about(call_id, _call(body)))


def decode_stats(answer: Answer) -> CallStats:
    """The statistics.

    Raises:
        DecodeError: The answer is no object.
    """
    return _decoded(answer, lambda body: _CONVERTER.structure(body, CallStats))


def decode_events(answer: Answer) -> list[CallEvent]:
    """The events of a call, oldest first.

    Raises:
        DecodeError: The answer is no list of events.
    """

    def read(body: Any) -> list[CallEvent]:
        name, rows = ("", body) if type(body) is list else _rows(body, "events", "data")
        place = f"$.{name}" if name else "$"
        return _oldest_first(_event(row, f"{place}[{index}]") for index, row in enumerate(rows))

    return _decoded(answer, read)


def decode_recording(answer: Answer) -> RecordingLink:
    """A fresh link to a recording.

    Raises:
        DecodeError: The answer holds no link.
    """

    def read(body: Any) -> RecordingLink:
        link: RecordingLink = _CONVERTER.structure(body, RecordingLink)
        if not link.url:
            raise UnfitError("shape", "no recording_url", "$.recording_url")
        return link

    return _decoded(answer, read)


def decode_hang_up(answer: Answer, call_id: str) -> HangupResult:
    """How the call stands after a hang-up; an answer that names no call, or nothing, means the one asked for.

    Raises:
        DecodeError: The answer is no object, or speaks of another call.
    """
    if not answer.body.strip():
        return _with_raw(HangupResult(call_id), {})

    def read(body: Any) -> HangupResult:
        named = {**body, "id": call_id} if type(body) is dict and body.get("id") is None else body
        return _with_raw(_about(call_id, _CONVERTER.structure(named, HangupResult)), body)

    return _decoded(answer, read)


def _decoded(answer: Answer, read: Callable[[Any], T]) -> T:
    return _unless_unfit(answer, lambda: read(load_json(answer.body)))


def _unless_unfit(answer: Answer, read: Callable[[], T]) -> T:
    try:
        return read()
    except UnfitError as unfit:
        error = _error(answer, unfit)
    raise error  # out here, so that no cause keeps the body


def _oldest_first(events: Iterable[CallEvent]) -> list[CallEvent]:
    # An event without a time stays behind the one it came after.
    placed: list[tuple[datetime, CallEvent]] = []
    latest = datetime.min.replace(tzinfo=UTC)
    for event in events:
        latest = event.timestamp or latest
        placed.append((latest, event))
    return [event for _, event in sorted(placed, key=lambda pair: pair[0])]


def _about(call_id: str, record: IdentifiedT) -> IdentifiedT:
    if record.id != call_id:
        raise UnfitError("id", "another call than the one asked for", "$.id")
    return record


def _event(raw: Any, place: str) -> CallEvent:
    try:
        event: CallEvent = _CONVERTER.structure(raw, CallEvent)
    except UnfitError as unfit:
        raise UnfitError(unfit.reason, str(unfit), place + unfit.path[1:]) from None
    return event


def _rows(body: Any, *names: str) -> tuple[str, list[Any]]:
    """The list of an answer, and the name it stands under."""
    if type(body) is not dict:
        raise UnfitError("shape", f"{_kind(body)} where an object is due")
    for name in names:
        if type(body.get(name)) is list:
            return name, body[name]
    raise UnfitError("shape", f"no list under '{names[0]}'", f"$.{names[0]}")


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


# --- Errors ----------------------------------------------------------------------------------------------


def undecodable(answer: Answer, reason: str, words: str) -> DecodeError:
    """The error for an answer whose bytes cannot even be had: too large, or badly compressed."""
    return _error(answer, UnfitError(reason, words))


def _error(answer: Answer, unfit: UnfitError, place: str = "$") -> DecodeError:
    path = place + unfit.path[1:]
    content_type = answer.shown(answer.headers.get("content-type"))
    beginning = snippet(answer.body, answer.secret.reveal())
    error = DecodeError(
        f"{answer.method} {answer.url} answered {answer.status} ({content_type or 'no content type'}) with"
        f" {answer.shown(str(unfit))} at {path}; it begins {beginning!r}",
        reason=unfit.reason,
        path=path,
        url=answer.url,
        status=answer.status,
        content_type=content_type,
        snippet=beginning,
        request_id=answer.request_id,
    )
    error.attempts = answer.attempt
    return error
