"""Rows as expected are read fast, and to exactly what the careful way makes of them."""

from __future__ import annotations

import json
import pickle
import weakref
from datetime import datetime
from typing import Any, get_type_hints

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krosai_calls import _codec, _rows
from krosai_calls._codec import decode_call, decode_page
from krosai_calls._json import UnfitError
from krosai_calls._rows import read_expected_call
from krosai_calls._wire import Answer
from krosai_calls.errors import DecodeError
from krosai_calls.models import Call, CallDirection, CallStatus, HangupCause

FULL: dict[str, Any] = {
    "id": "call_1",
    "from_number": "+15551230001",
    "to_number": "+15551230002",
    "direction": "inbound",
    "status": "completed",
    "duration": 180,
    "cost_cents": 12.5,
    "endpoint_id": "ep_1",
    "phone_number_id": "pn_1",
    "recording_url": "https://storage.krosai.com/recordings/call_1.mp3?signature=x",
    "transcript": "[Agent]: Grüße.",
    "created_at": "2025-01-10T12:00:00Z",
    "answered_at": "2025-01-10T14:00:04.123456+02:00",
    "completed_at": "2025-01-10T12:03:04",
    "hangup_cause": "moved_on",
    "metadata": {"tags": ["vip"]},
    "queue": {"name": "sales"},
}
NAMES = [attribute.name for attribute in attrs.fields(Call) if attribute.name != "_raw"]
TIMES = [
    *("2025-01-10T12:00:00Z", "2025-01-10 12:00", "2025-01-10", "20250110T120000Z", "2025-W02-5", "12:00"),
    *("2025-01-10T12:00:00.123456789Z", "2025-01-10T12:00:00+05:30", "2025-01-10T12:00:00-00:00"),
    *("2025-01-10T12:00:60Z", "2025-01-10T24:00:00Z", "2025-02-30T12:00:00Z", "2025-01-10T12:00:00+25:00"),
    *(
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2025-01-10T12:00:00Z\0",
        "2025-01-10T12:00\ud800",
    ),
]
WORDS = ["", "x", "\0", "\ud800", "completed", "Completed", "inbound", "no_answer", "normal_clearing", "+1555"]
NUMBERS = [0, 1, -1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**70, 0.0, -0.0, 1.5, 1e300, True, False]
anything = st.sampled_from([None, *TIMES, *WORDS, *NUMBERS, [], ["completed"], {}, {"a": [1]}])
wild_rows = st.dictionaries(st.sampled_from([*NAMES, "new", "_raw", "raw"]), anything).flatmap(
    lambda row: st.sampled_from([row, {"id": "call_1"} | row, FULL | row])
)
not_even_rows = st.sampled_from([None, 5, "call_1", [], [FULL], True])


def carefully(row: Any) -> Call:
    call: Call = _codec._CONVERTER.structure(row, Call)
    return call


def read_fast(row: Any) -> Call | None:
    return read_expected_call(row, [])


def told(call: Call) -> list[Any]:
    """All that can be seen of a call, types included."""
    fields = [(name, type(getattr(call, name)), repr(getattr(call, name))) for name in NAMES]
    return [type(call), fields, repr(call), repr(call.to_dict()), repr(call.extra), hash(call)]


def told_of_page(body: bytes) -> list[Any]:
    """All that can be seen of a page and its rows, or of the error that it is."""
    try:
        page, rows = decode_page(Answer("GET", "https://api/calls", 200, body=body), limit=50, offset=0)
    except DecodeError as error:
        return [str(error), error.path, error.reason]
    assert list(page.calls) == [row for row in rows if isinstance(row, Call)]
    told_of_rows = [told(row) if isinstance(row, Call) else (str(row), row.path, row.reason) for row in rows]
    return [page.total, page.limit, page.next_offset, json.dumps(page.to_dict()), *told_of_rows]


def assert_read_as_the_careful_way_alone_reads_it(body: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_codec, "load_json_swiftly", lambda _: None)
        without_orjson = told_of_page(body)
        patch.setattr(_codec, "read_expected_call", lambda *_: None)
        expected = told_of_page(body)
    assert told_of_page(body) == expected
    assert without_orjson == expected


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(FULL, id="in full"),
        pytest.param(dict.fromkeys(NAMES) | {"id": "call_1"}, id="nothing but nulls"),
        pytest.param({"id": "call_1"}, id="nothing but an id"),
        pytest.param(FULL | {"duration": 1.5, "cost_cents": -(2**63)}, id="numbers of all kinds"),
        pytest.param(FULL | {"status": "busy", "hangup_cause": "user_hangup"}, id="words known here"),
        pytest.param(FULL | {"status": "parked", "direction": ""}, id="words unknown here"),
        pytest.param(FULL | {"created_at": "yesterday"}, id="a time that is none"),
    ],
)
def test_a_row_as_expected_is_read_fast_and_as_the_careful_way_reads_it(row: dict[str, Any]) -> None:
    call = read_fast(row)
    assert call is not None
    assert call == carefully(row)
    assert told(call) == told(carefully(row))


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 5},
        {"id": ""},
        {"id": None},
        {"from_number": 1},
        {"status": ["completed"]},
        {"duration": 2**63},
        {"duration": True},
        {"cost_cents": "7"},
        {"created_at": 1736510400},
        {"metadata": []},
    ],
    ids=repr,
)
def test_an_odd_row_is_left_to_the_careful_way(odd: dict[str, Any]) -> None:
    assert read_fast(FULL | odd) is None


@settings(max_examples=500, deadline=None)
@given(wild_rows | not_even_rows)
def test_whatever_is_read_fast_is_what_the_careful_way_makes_of_it(row: Any) -> None:
    call = read_fast(row)
    if call is None:
        return
    assert call == carefully(row)
    assert told(call) == told(carefully(row))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(wild_rows | not_even_rows, max_size=5),
    st.dictionaries(st.sampled_from(["calls", "data", "total", "limit", "new"]), anything),
)
def test_a_page_of_any_rows_is_what_the_careful_way_alone_makes_of_it(rows: list[Any], page: Any) -> None:
    assert_read_as_the_careful_way_alone_reads_it(json.dumps({"calls": rows} | page).encode())
    assert_read_as_the_careful_way_alone_reads_it(json.dumps({"data": rows} | page).encode())


BEYOND = [2**64, -(2**63) - 1, 10**30, 1e300, -1e300, [[2**70]], {"a": {"b": 2**70}}, {"a": [1.5, None, "x"]}]
SHORT = {"id": "call_2"}


@pytest.mark.parametrize("value", BEYOND, ids=repr)
@pytest.mark.parametrize("name", [*NAMES, "new"])
def test_a_number_that_only_the_careful_way_reads_is_found_anywhere_in_a_row(name: str, value: Any) -> None:
    for row in (FULL, {known: FULL[known] for known in NAMES}, SHORT):
        page = {"calls": [SHORT, row | {name: value}, FULL], "total": 3}
        assert_read_as_the_careful_way_alone_reads_it(json.dumps(page).encode())
    row_with_another_name = {known: FULL[known] for known in NAMES if known != "status"} | {"new": value}
    assert_read_as_the_careful_way_alone_reads_it(json.dumps({"calls": [row_with_another_name]}).encode())


@pytest.mark.parametrize("value", BEYOND, ids=repr)
@pytest.mark.parametrize("name", ["total", "limit", "offset", "new", "data"])
def test_a_number_that_only_the_careful_way_reads_is_found_beside_the_rows(name: str, value: Any) -> None:
    page = {"calls": [FULL], "total": 1} | {name: value}
    assert_read_as_the_careful_way_alone_reads_it(json.dumps(page).encode())


def outline(body: bytes) -> Any:
    """A page as far as it can be told without going as deep as it goes."""
    try:
        page, name, calls = _codec._page_of_calls(body)
    except UnfitError as unfit:
        return unfit.reason
    return list(page), name, len(calls)


@pytest.mark.parametrize("depth", [1, 90, *range(95, 105), 400, *range(494, 503), 600, 1010, 2000])
@pytest.mark.parametrize("where", ["metadata", "new", "status", "the page"])
def test_nesting_is_read_or_refused_with_orjson_as_without(where: str, depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    row = {name: FULL[name] for name in NAMES} | {where: "DEEP"}
    page = {"calls": [SHORT, row]} if where != "the page" else "DEEP"
    body = json.dumps(page).replace('"DEEP"', deep).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_codec, "load_json_swiftly", lambda _: None)
        expected = outline(body)
    assert outline(body) == expected


def test_a_page_of_rows_as_expected_and_a_call_need_no_careful_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    page = json.dumps({"calls": [FULL, SHORT, FULL]}).encode()
    expected, expected_call = told_of_page(page), told(carefully(FULL))
    monkeypatch.setattr(_codec, "_CONVERTER", None)
    with monkeypatch.context() as patch:
        patch.setattr(_codec, "load_json_swiftly", lambda _: None)
        assert told_of_page(page) == expected
    monkeypatch.setattr(_codec, "load_json_carefully", None)
    assert told_of_page(page) == expected
    call = decode_call(Answer("GET", "https://api/calls/call_1", 200, body=json.dumps(FULL).encode()), "call_1")
    assert told(call) == expected_call


def test_of_a_row_in_full_only_its_object_is_left_to_look_at() -> None:
    known = {name: FULL[name] for name in NAMES}
    for row, left in ((known, FULL["metadata"]), (FULL, FULL), (SHORT, SHORT)):
        unseen: list[Any] = []
        assert read_expected_call(row, unseen) is not None
        assert unseen == [left]


def test_a_call_read_fast_is_a_frozen_record_like_any_other() -> None:
    call = read_fast(FULL)
    assert call is not None
    assert type(call) is Call
    assert weakref.ref(call)() is call
    assert pickle.loads(pickle.dumps(call)).to_dict() == FULL
    assert attrs.evolve(call, status="busy").status == "busy"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        call.id = "x"  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del call.id
    with pytest.raises(AttributeError):
        object.__setattr__(call, "new", 1)


def test_every_field_of_a_call_is_read_fast() -> None:
    assert sorted((*_rows.TEXTS, *_rows.CODED, *_rows.OTHERS)) == sorted(NAMES)
    hints = get_type_hints(Call)
    expected: list[Any] = [str, str | None, float | None, datetime | None, dict[str, Any] | None]
    expected += [CallDirection | str | None, CallStatus | str | None, HangupCause | str | None]
    assert {hints[name] for name in NAMES} == set(expected)
    for attribute in attrs.fields(Call):
        assert attribute.default is (attrs.NOTHING if attribute.name == "id" else None)
        assert attribute.converter is None
        assert attribute.validator is None


def test_a_row_without_an_id_is_refused_alike() -> None:
    with pytest.raises(UnfitError) as caught:
        carefully({"status": "busy"})
    assert caught.value.path == "$.id"
    body = json.dumps({"calls": [FULL, {"status": "busy"}]}).encode()
    assert told_of_page(body)[-1][1:] == ("$.calls[1].id", "id")
