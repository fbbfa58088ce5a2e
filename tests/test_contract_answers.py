"""Each verb reads every shape that the contract lets vary, and loses nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from contract_client import make_client, read, same
from contract_server import ContractServer, Manner, make_call

from krosai_calls import CallDirection, CallStatus, HangupCause

LINK = "https://storage.krosai.com/recordings/call_0001.mp3?signature=abc"
# Among the names nobody knows yet are some that a careless reader would trip over.
UNKNOWN = {"new": {"deep": [1, None, {"x": 1.5}]}, "extra": "mine", "raw": 1, "self": None, "class": True, "": ""}

DOCUMENTED = Manner()
CALL_MANNERS = {
    "documented": DOCUMENTED,
    "data": Manner(calls_under="data"),
    "no-total": Manner(tells_total=False),
    "no-place": Manner(tells_place=False),
    "milliseconds": Manner(times="milliseconds"),
    "offset": Manner(times="offset"),
    "missing-not-null": Manner(absent="missing"),
    "unknown-fields": Manner(unknown=UNKNOWN),
    "all-at-once": Manner(
        base="/api/v1",
        calls_under="data",
        tells_total=False,
        tells_place=False,
        times="offset",
        absent="missing",
        unknown=UNKNOWN,
    ),
}
every_call_manner = pytest.mark.parametrize("manner", CALL_MANNERS.values(), ids=CALL_MANNERS)


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def assert_reads(call: Any, sent: Mapping[str, Any]) -> None:
    """A call's every field is what was sent, in its type."""
    for name in ("created_at", "answered_at", "completed_at"):
        value = getattr(call, name)
        assert value == moment(sent.get(name))
        assert value is None or value.utcoffset() == timedelta(0)
    names = ["id", "from_number", "to_number", "direction", "status", "duration", "cost_cents", "endpoint_id"]
    names += ["phone_number_id", "recording_url", "transcript", "hangup_cause", "metadata"]
    read_back = {name: getattr(call, name) for name in names}
    assert read_back == {name: sent.get(name) for name in names}
    assert dict(call.extra) == {name: value for name, value in sent.items() if name in UNKNOWN}
    assert same(call.to_dict(), sent)


# Calls and their pages


@every_call_manner
async def test_a_call_is_read_in_full(manner: Manner) -> None:
    row = make_call(1, recording_url=LINK, cost_cents=12.5, endpoint_id=None, hangup_cause=None)
    async with ContractServer(manner, [row]) as server, make_client(server.base_url) as client:
        assert_reads(await client.get_call("call_0001"), server.manner.show(row))
        assert server.violations == []


@every_call_manner
async def test_a_page_is_read_with_its_place(manner: Manner) -> None:
    rows = [make_call(number) for number in range(1, 31)]
    async with ContractServer(manner, rows) as server, make_client(server.base_url) as client:
        page = await client.list_calls(limit=10, offset=5)
        assert server.violations == []
    for call, row in zip(page.calls, rows[5:15], strict=True):
        assert_reads(call, manner.show(row))
    assert (page.limit, page.offset, page.next_offset) == (10, 5, 15)
    assert page.total == (30 if manner.tells_total else None)


@every_call_manner
@pytest.mark.parametrize("count", [0, 1, 100, 230])
async def test_a_history_is_read_to_its_end_each_call_once(manner: Manner, count: int) -> None:
    rows = {row["id"]: row for row in (make_call(number) for number in range(1, count + 1))}
    async with ContractServer(manner, list(rows.values())) as server, make_client(server.base_url) as client:
        calls = [call async for call in client.iter_calls()]
        pages = [page async for page in client.iter_pages()]
        assert server.violations == []
    assert sorted(call.id for call in calls) == sorted(rows)
    assert sorted(call.id for page in pages for call in page) == sorted(rows)
    for call in calls:
        assert_reads(call, manner.show(rows[call.id]))


@pytest.mark.parametrize("under", ["calls", "data"])
async def test_an_envelope_keeps_what_nobody_named(under: str) -> None:
    body = {under: [{"id": "call_1"}], "total": 1, "limit": 50, "offset": 0, "has_more": False, "next": None}
    page = await read(lambda c: c.list_calls(), body)
    assert same(page.to_dict(), body)
    assert dict(page.extra) == {"has_more": False, "next": None}


async def test_a_null_list_reads_as_a_missing_one() -> None:
    page = await read(lambda c: c.list_calls(), {"calls": None, "data": [{"id": "call_1"}]})
    assert [call.id for call in page.calls] == ["call_1"]


@pytest.mark.parametrize(
    ("place", "rows", "following"),
    [
        ({"total": 4}, 2, None),
        ({"total": 9}, 2, 4),
        ({"total": 9}, 1, 3),
        ({}, 2, 4),
        ({}, 1, 3),
        ({}, 0, None),
        ({"total": None}, 2, 4),
    ],
    ids=["at-total", "full", "short-of-total", "full-no-total", "short-no-total", "empty", "null-total"],
)
async def test_a_page_tells_where_the_next_one_begins(
    place: dict[str, Any], rows: int, following: int | None
) -> None:
    body = {"calls": [{"id": f"call_{number}"} for number in range(rows)]} | place
    page = await read(lambda c: c.list_calls(limit=2, offset=2), body)
    assert (page.limit, page.offset, page.next_offset) == (2, 2, following)


@pytest.mark.parametrize("total", ["7", -1, 1.5, True, [], 2**70], ids=repr)
async def test_c10_an_odd_total_is_no_total_and_no_obstacle(total: Any) -> None:
    body = {"calls": [{"id": "call_1"}], "total": total}
    page = await read(lambda c: c.list_calls(), body)
    assert (page.total, [call.id for call in page.calls]) == (None, ["call_1"])
    assert same(page.to_dict(), body)


async def test_null_and_missing_read_the_same_and_are_given_back_as_they_were() -> None:
    sent = dict.fromkeys(make_call()) | {"id": "call_1"}
    nulls, missing = (
        await read(lambda c: c.get_call("call_1"), sent),
        await read(lambda c: c.get_call("call_1"), {"id": "call_1"}),
    )
    for name in sent:
        assert getattr(nulls, name) == getattr(missing, name) == ("call_1" if name == "id" else None)
    assert same(nulls.to_dict(), sent)
    assert same(missing.to_dict(), {"id": "call_1"})
    assert not nulls.has_ended
    assert not nulls.has_recording


async def test_a_call_is_frozen_and_what_it_gives_back_is_a_copy() -> None:
    sent = make_call(1, created_at=None, answered_at=None, completed_at=None)
    call: Any = await read(lambda c: c.get_call("call_0001"), sent)
    with pytest.raises(AttributeError):
        call.duration = 1
    call.to_dict()["duration"] = 1
    assert same(call.to_dict(), sent)


# Open enums


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        ("status", CallStatus, "initiated ringing in_progress completed failed busy no_answer answered queued"),
        ("direction", CallDirection, "inbound outbound"),
        (
            "hangup_cause",
            HangupCause,
            "normal_clearing user_hangup agent_hangup no_answer busy rejected network_error timeout",
        ),
    ],
)
async def test_a_known_value_equals_its_plain_string(name: str, kind: Callable[[str], Any], values: str) -> None:
    for value in values.split():
        call = await read(lambda c: c.get_call("call_1"), {"id": "call_1", name: value})
        assert getattr(call, name) == value == kind(value)
        assert {value: "found"}[getattr(call, name)] == "found"
        assert same(call.to_dict(), {"id": "call_1", name: value})


@pytest.mark.parametrize("name", ["status", "direction", "hangup_cause"])
@pytest.mark.parametrize("value", ["parked", "COMPLETED", "", " ", "in-progress", "\0", "😀"], ids=ascii)
async def test_d16_an_unknown_value_is_kept_as_it_came(name: str, value: str) -> None:
    call = await read(lambda c: c.get_call("call_1"), {"id": "call_1", name: value})
    assert getattr(call, name) == value
    assert same(call.to_dict(), {"id": "call_1", name: value})


@pytest.mark.parametrize(
    ("status", "ended"),
    [(status, True) for status in ("completed", "failed", "busy", "no_answer")]
    + [(status, False) for status in ("initiated", "ringing", "in_progress", "answered", "queued", "parked")],
)
async def test_the_last_four_statuses_are_final(status: str, ended: bool) -> None:
    call = await read(lambda c: c.get_call("call_1"), {"id": "call_1", "status": status})
    assert call.has_ended is ended
