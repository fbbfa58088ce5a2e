"""Odd values inside readable answers: they are kept, never coerced, and never stop an object from being read.

The numbers are those of the fault catalogue (group D). Where it asks for an error on an odd value (D5, D15, D16,
D22), the contract's leniency holds instead; only an id must be one.
"""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contract_client import make_client, read, same
from contract_server import make_call
from raw_server import RawServer, answer

from krosai_calls.errors import DecodeError, HangupUncertainError

STRINGS = ["from_number", "to_number", "endpoint_id", "phone_number_id", "recording_url", "transcript"]
TIMES = ["created_at", "answered_at", "completed_at"]
ENUMS = ["status", "direction", "hangup_cause"]
NUMBERS = ["duration", "cost_cents"]
NOON = datetime(2025, 1, 10, 12, tzinfo=UTC)


async def read_call(**fields: Any) -> Any:
    """A call with these fields, read; and given back as it was sent."""
    sent = {"id": "call_1"} | fields
    call = await read(lambda c: c.get_call("call_1"), sent)
    assert same(call.to_dict(), sent)
    assert call.id == "call_1"
    return call


# D5, D7, D8, D20: whatever JSON can say


async def test_d05_of_a_doubled_key_one_value_is_kept() -> None:
    body = b'{"id": "call_1", "duration": 1, "duration": 2, "new": "a", "new": "b"}'
    call = await read(lambda c: c.get_call("call_1"), body)
    assert call.duration in {1, 2}
    assert call.to_dict()["duration"] == call.duration
    assert call.extra["new"] in {"a", "b"}


@pytest.mark.parametrize("value", [2**70, -(2**70), 10**30], ids=["2**70", "-2**70", "10**30"])
async def test_d07_an_integer_beyond_64_bits_leaves_the_field_empty_and_is_kept(value: int) -> None:
    call = await read_call(duration=value, cost_cents=value, metadata={"n": value}, new=value)
    assert (call.duration, call.cost_cents, call.metadata, call.extra["new"]) == (None, None, {"n": value}, value)
    body = {"recording_url": "https://s/1.mp3", "size_bytes": value, "duration_seconds": value}
    link = await read(lambda c: c.get_recording("call_1"), body)
    assert (link.size_bytes, link.duration_seconds, link.url) == (None, None, "https://s/1.mp3")
    assert same(link.to_dict(), body)


async def test_d07_the_largest_64_bit_integer_is_exact() -> None:
    call = await read_call(duration=2**63 - 1, cost_cents=-(2**63))
    assert (call.duration, call.cost_cents) == (2**63 - 1, -(2**63))


@pytest.mark.parametrize("text", ["\ud83d x", "x \udc00", "\udc00\ud800"], ids=ascii)
async def test_d08_a_lone_surrogate_is_kept_as_received(text: str) -> None:
    call = await read_call(transcript=text, new=text, metadata={text: [text]})
    assert (call.transcript, call.extra["new"], call.metadata) == (text, text, {text: [text]})


async def test_d20_nul_and_control_characters_are_kept() -> None:
    text = "a\0b\x1b[31m\r\n\x7f\u202e"
    call = await read_call(transcript=text, from_number=text, status=text, new=text)
    assert (call.transcript, call.from_number, call.status, call.extra["new"]) == (text, text, text, text)


# D15, D16: types and names that nobody expected


ODD_FOR = (
    [(name, value) for name in STRINGS for value in (5, 1.5, True, ["x"], {"a": 1})]
    + [(name, value) for name in NUMBERS for value in ("7", "", "nan", True, False, [1], {"n": 1})]
    + [(name, value) for name in TIMES for value in (True, ["2025-01-10T12:00:00Z"], {"at": 1}, 1736510400, 1.5)]
)


@pytest.mark.parametrize(("name", "value"), ODD_FOR, ids=repr)
async def test_d15_a_value_of_another_type_leaves_the_field_empty_and_is_kept(name: str, value: Any) -> None:
    call = await read_call(**{name: value, "new": 1, "direction": "inbound"})
    assert getattr(call, name) is None
    assert (call.direction, call.extra["new"]) == ("inbound", 1)


@pytest.mark.parametrize("name", ENUMS)
@pytest.mark.parametrize("value", [5, 1.5, True, ["x"], {"a": 1}], ids=repr)
async def test_d15_an_enum_of_another_type_is_the_raw_value(name: str, value: Any) -> None:
    call = await read_call(**{name: value})
    assert same(getattr(call, name), value)
    assert call.has_ended is False


@pytest.mark.parametrize("value", ["x", 5, True, [1, {"a": None}]], ids=repr)
async def test_d15_metadata_that_is_no_object_is_kept(value: Any) -> None:
    call = await read_call(metadata=value)
    assert call.metadata is None or same(call.metadata, value)


@pytest.mark.parametrize("value", [1.9, -0.5], ids=repr)
async def test_d15_a_fraction_is_never_rounded(value: float) -> None:
    call = await read_call(duration=value, cost_cents=value)
    assert call.duration in (None, value)
    assert call.cost_cents == value


@pytest.mark.parametrize("name", STRINGS)
async def test_d15_an_empty_string_is_a_string(name: str) -> None:
    assert getattr(await read_call(**{name: ""}), name) == ""


async def test_d15_a_call_of_which_only_the_id_is_usable_is_still_a_call() -> None:
    odd = {name: {"odd": [True]} for name in STRINGS + TIMES + NUMBERS + ENUMS} | {"metadata": "odd"}
    call = await read_call(**odd, new=None)
    assert [getattr(call, name) for name in STRINGS + TIMES + NUMBERS] == [None] * 11
    assert call.has_ended is False
    assert call.has_recording is False


async def test_d15_one_odd_row_leaves_its_neighbours_alone() -> None:
    rows = [make_call(number, created_at=None, answered_at=None, completed_at=None) for number in (1, 2, 3)]
    rows[1] |= {"duration": "long", "status": 7, "created_at": [], "metadata": 1}
    page = await read(lambda c: c.list_calls(), {"calls": rows, "total": 3})
    assert [call.duration for call in page.calls] == [180, None, 180]
    assert same([call.to_dict() for call in page.calls], rows)


async def test_d15_odd_figures_events_and_links_are_kept() -> None:
    figures = {
        "total_calls": "7",
        "average_duration": [],
        "total_duration": True,
        "by_status": [1],
        "failed_calls": 2,
    }
    stats = await read(lambda c: c.get_stats(), figures)
    assert (stats.total_calls, stats.average_duration, stats.total_duration) == (None, None, None)
    assert (stats.failed_calls, same(stats.to_dict(), figures)) == (2, True)

    sent = {"id": ["x"], "event": 5, "timestamp": {}, "data": "x", "new": 1}
    (event,) = await read(lambda c: c.list_events("call_1"), {"events": [sent]})
    assert (event.timestamp, event.extra["new"], same(event.to_dict(), sent)) == (None, 1, True)

    odd = {
        "recording_url": "https://s/1.mp3",
        "expires_at": 5,
        "format": 5,
        "duration_seconds": "x",
        "size_bytes": [],
    }
    link = await read(lambda c: c.get_recording("call_1"), odd)
    assert (link.expires_at, link.format, link.duration_seconds, link.size_bytes) == (None, None, None, None)
    assert same(link.to_dict(), odd)


async def test_d15_an_odd_hang_up_answer_is_kept() -> None:
    odd = {"id": "call_1", "status": 5, "hangup_cause": ["x"], "new": None}
    result: Any = await read(lambda c: c.hang_up("call_1"), odd)
    assert (result.id, result.status, result.hangup_cause) == ("call_1", 5, ["x"])
    assert same(result.to_dict(), odd)


async def test_d16_fields_nobody_named_are_kept_in_extra() -> None:
    unknown: dict[str, Any] = {"a": None, "b": [1, 2.5, {"c": "d"}], "to_dict": 1, "extra": {}, "__class__": "x"}
    assert dict((await read_call(**unknown)).extra) == unknown


# D15, D21: the id


ODD_IDS: list[Any] = [None, "", True, 1.5, [], ["x"], {}]
NO_IDS = [pytest.param({"id": value}, id=f"id={value!r}") for value in ODD_IDS]
NO_IDS += [pytest.param({"duration": 7}, id="missing")]


@pytest.mark.parametrize("row", NO_IDS)
async def test_d15_a_call_without_an_id_is_unreadable(row: dict[str, Any]) -> None:
    with pytest.raises(DecodeError) as raised:
        await read(lambda c: c.get_call("call_1"), row)
    assert (raised.value.reason, raised.value.path, raised.value.status) == ("id", "$.id", 200)


@pytest.mark.parametrize("under", ["calls", "data"])
@pytest.mark.parametrize("row", NO_IDS)
async def test_d15_a_row_without_an_id_is_named_by_its_place(row: dict[str, Any], under: str) -> None:
    rows = [{"id": "call_0"}, {"id": "call_1"}, {"id": "call_2"}, row, {"id": "call_4"}]
    with pytest.raises(DecodeError) as raised:
        await read(lambda c: c.list_calls(), {under: rows, "total": 5})
    assert (raised.value.reason, raised.value.path) == ("id", f"$.{under}[3].id")


@pytest.mark.parametrize("row", NO_IDS)
async def test_d15_iterating_gives_the_rows_before_the_one_without_an_id(row: dict[str, Any]) -> None:
    body = {"calls": [{"id": "call_0"}, {"id": "call_1"}, row, {"id": "call_3"}], "total": 4}
    async with RawServer() as server, make_client(server.url) as client:
        server.script(answer(200, json.dumps(body).encode()))
        calls = client.iter_calls()
        assert [(await anext(calls)).id for _ in range(2)] == ["call_0", "call_1"]
        with pytest.raises(DecodeError) as raised:
            await anext(calls)
        assert (raised.value.reason, raised.value.path) == ("id", "$.calls[2].id")
        assert len(server.requests) <= 2


@pytest.mark.parametrize(("sent", "text"), [(5, "5"), (0, "0"), (9007199254740993, "9007199254740993")])
async def test_d15_an_integer_id_is_read_as_its_decimal_text(sent: int, text: str) -> None:
    page = await read(lambda c: c.list_calls(), {"calls": [{"id": sent}], "total": 1})
    assert page.calls[0].id == text
    assert same(page.calls[0].to_dict(), {"id": sent})
    assert (await read(lambda c: c.get_call(text), {"id": sent})).id == text


@pytest.mark.parametrize("call_id", ["..", "a/b", "x?y", "\n", "CON", "x" * 5000, "\ud83d", "stats"], ids=ascii)
async def test_an_opaque_id_of_a_row_is_read_whatever_it_is(call_id: str) -> None:
    page = await read(lambda c: c.list_calls(), {"calls": [{"id": call_id}], "total": 1})
    assert [call.id for call in page.calls] == [call_id]


async def test_d21_an_answer_for_another_call_is_unreadable() -> None:
    body = {"id": "call_2", "status": "completed"}
    with pytest.raises(DecodeError) as raised:
        await read(lambda c: c.get_call("call_1"), body)
    assert raised.value.reason == "id"


async def test_d21_m24_a_hang_up_answered_for_another_call_is_no_success() -> None:
    with pytest.raises((DecodeError, HangupUncertainError)):
        await read(lambda c: c.hang_up("call_1"), {"id": "call_2", "status": "completed"})


# D17: times


TIMES_READ = {
    "2025-01-10T12:00:00Z": NOON,
    "2025-01-10T12:00:00+00:00": NOON,
    "2025-01-10T14:00:00+02:00": NOON,
    "2025-01-10T06:30:00-05:30": NOON,
    "2025-01-10T12:00:00.5Z": NOON + timedelta(milliseconds=500),
    "2025-01-10T12:00:00.123Z": NOON + timedelta(milliseconds=123),
    "2025-01-10T12:00:00.123456Z": NOON + timedelta(microseconds=123_456),
    "2025-01-10T12:00:00.1234567Z": NOON + timedelta(microseconds=123_456),
    "2025-01-10T12:00:00.123456789Z": NOON + timedelta(microseconds=123_456),
    "2025-01-10T14:00:00.999999999+02:00": NOON + timedelta(microseconds=999_999),
    "2025-01-10T12:00Z": NOON,
}
UNREADABLE_TIMES = [
    "", "soon", "2025-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "2025-01-10T12:00:00+25:00",
    "2025-13-01T00:00:00Z", "2025-01-10T25:00:00Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "10000-01-01T00:00:00Z", "2025-01-10T12:00:00Zulu",
    "٢٠٢٥-01-10T12:00:00Z", "2025-01-10T12:00:00Z\0", "12:00:00Z", "1736510400",
]  # fmt: skip
# Valid ISO 8601 by some editions: read right or not at all.
EITHER = {
    "2025-01-10": datetime(2025, 1, 10, tzinfo=UTC),
    "2025-01-10T24:00:00Z": datetime(2025, 1, 11, tzinfo=UTC),
    "2025-01-10T11:59:60Z": NOON,
}


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("text", TIMES_READ)
async def test_d17_a_time_is_read_in_utc_to_the_microsecond(name: str, text: str) -> None:
    value = getattr(await read_call(**{name: text}), name)
    assert (value, value.utcoffset()) == (TIMES_READ[text], timedelta(0))


@pytest.mark.parametrize("text", UNREADABLE_TIMES, ids=ascii)
async def test_d17_an_unreadable_time_leaves_the_field_empty_and_is_kept(text: str) -> None:
    call = await read_call(created_at=text, completed_at="2025-01-10T12:00:00Z")
    assert (call.created_at, call.completed_at) == (None, NOON)


@pytest.mark.parametrize("text", EITHER)
async def test_d17_a_rare_form_is_read_right_or_not_at_all(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert (await read_call(created_at=text)).created_at in {None, EITHER[text]}


async def test_d17_a_time_without_a_zone_is_utc_and_warned_of_once_at_most() -> None:
    body = json.dumps({"id": "call_1", "created_at": "2025-01-10T12:00:00", "answered_at": "2025-01-10T12:00:00"})
    async with RawServer() as server, make_client(server.url) as client:
        server.script(answer(200, body.encode()))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            calls = [await client.get_call("call_1") for _ in range(2)]
    assert [call.created_at for call in calls] == [call.answered_at for call in calls] == [NOON, NOON]
    assert len(caught) <= 1


# D22: a link's figures


@pytest.mark.parametrize("name", ["size_bytes", "duration_seconds"])
@pytest.mark.parametrize("value", [-1, 1.5, 0], ids=repr)
async def test_d22_an_odd_figure_of_a_link_is_never_made_another(name: str, value: Any) -> None:
    body = {"recording_url": "https://s/1.mp3", name: value}
    link = await read(lambda c: c.get_recording("call_1"), body)
    assert getattr(link, name) in ({0} if value == 0 else {None, value})
    assert (link.url, same(link.to_dict(), body)) == ("https://s/1.mp3", True)


@pytest.mark.parametrize("name", ["size_bytes", "duration_seconds"])
@pytest.mark.parametrize("value", ["7", True, [7]], ids=repr)
async def test_d22_a_figure_of_another_type_leaves_the_field_empty_and_is_kept(name: str, value: Any) -> None:
    body = {"recording_url": "https://s/1.mp3", name: value}
    link = await read(lambda c: c.get_recording("call_1"), body)
    assert (getattr(link, name), same(link.to_dict(), body)) == (None, True)
