"""The records and the claims about them."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from krosai_calls._codec import decode_call
from krosai_calls._wire import Answer
from krosai_calls.models import (
    Call,
    CallDirection,
    CallEvent,
    CallStats,
    CallStatus,
    Download,
    HangupCause,
    HangupResult,
    Page,
    Record,
    RecordingLink,
)
from krosai_calls.transcripts import Turn

NOON = datetime(2025, 1, 10, 12, tzinfo=UTC)
LINK = "https://storage.krosai.com/recordings/call_1.mp3?signature=CANARY-SIGNATURE"
SENT = {"id": "call_1", "status": "completed", "metadata": {"tags": ["vip"]}, "queue": {"name": "sales"}}
RECORDS = [
    pytest.param(Call("call_1"), id="Call"),
    pytest.param(Page(calls=(), total=0, limit=50, offset=0, next_offset=None), id="Page"),
    pytest.param(CallEvent("evt_1"), id="CallEvent"),
    pytest.param(CallStats(total_calls=1), id="CallStats"),
    pytest.param(HangupResult("call_1"), id="HangupResult"),
    pytest.param(RecordingLink(LINK), id="RecordingLink"),
]


def as_sent(row: dict[str, Any]) -> Call:
    return decode_call(Answer("GET", "https://api/calls/x", 200, body=json.dumps(row).encode()), row["id"])


@pytest.mark.parametrize(
    ("status", "completed_at", "ended"),
    [
        pytest.param("completed", None, True, id="completed"),
        pytest.param("failed", None, True, id="failed"),
        pytest.param("busy", None, True, id="busy"),
        pytest.param("no_answer", None, True, id="no answer"),
        pytest.param("initiated", None, False, id="initiated"),
        pytest.param("queued", None, False, id="queued"),
        pytest.param("ringing", None, False, id="ringing"),
        pytest.param("answered", None, False, id="answered"),
        pytest.param("in_progress", None, False, id="in progress"),
        pytest.param("in_progress", NOON, False, id="in progress, whatever the times say"),
        pytest.param("completed", NOON, True, id="completed, with its time"),
        pytest.param("parked", None, False, id="unknown"),
        pytest.param("parked", NOON, True, id="unknown, with the end's time"),
        pytest.param("Completed", None, False, id="another spelling is unknown"),
        pytest.param(None, None, False, id="no status"),
        pytest.param(None, NOON, True, id="no status, with the end's time"),
        pytest.param(["completed"], None, False, id="no text"),
        pytest.param({"now": "over"}, NOON, True, id="no text, with the end's time"),
    ],
)
def test_a_call_has_ended(status: Any, completed_at: datetime | None, ended: bool) -> None:
    assert Call("call_1", status=status, completed_at=completed_at).has_ended is ended


def test_every_known_status_is_told_as_ended_or_going_on_without_a_time() -> None:
    ended = {status.value for status in CallStatus if Call("call_1", status=status).has_ended}
    assert ended == {"completed", "failed", "busy", "no_answer"}


@pytest.mark.parametrize(
    ("url", "has"),
    [
        pytest.param(LINK, True, id="a link"),
        pytest.param("", False, id="empty"),
        pytest.param(None, False, id="none"),
    ],
)
def test_a_call_has_a_recording_where_there_is_a_link(url: str | None, has: bool) -> None:
    assert Call("call_1", recording_url=url).has_recording is has


def test_the_turns_are_those_of_the_transcript() -> None:
    assert Call("call_1", transcript="[Agent]: Hi\n[Caller]: Yes?").turns == [
        Turn("Agent", "Hi"),
        Turn("Caller", "Yes?"),
    ]


def test_a_call_without_a_transcript_has_no_turns() -> None:
    assert Call("call_1").turns == []


@pytest.mark.parametrize("record", [*RECORDS, pytest.param(Turn("A", "x"), id="Turn")])
def test_a_record_is_frozen(record: Any) -> None:
    name = attrs.fields(type(record))[-1].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(record, name, None)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(Call("call_1", recording_url=LINK, transcript="CANARY-WORDS"), id="a call"),
        pytest.param(RecordingLink(LINK), id="a link"),
        pytest.param(Page((Call("a", recording_url=LINK),), 1, 50, 0, None), id="a page"),
        pytest.param(as_sent({"id": "a", "recording_url": LINK, "other": LINK}), id="a call as it was sent"),
    ],
)
def test_no_repr_shows_a_signature_or_what_was_said(record: Record) -> None:
    assert "CANARY" not in repr(record)
    assert "CANARY" not in str(record)


def test_a_repr_shows_where_a_recording_is() -> None:
    assert "https://storage.krosai.com/recordings/call_1.mp3" in repr(RecordingLink(LINK))


def test_a_record_gives_back_what_was_sent() -> None:
    assert as_sent(SENT).to_dict() == SENT


def test_what_has_no_name_here_is_extra() -> None:
    assert as_sent(SENT).extra == {"queue": {"name": "sales"}}


def test_changing_what_a_record_gives_out_does_not_change_it() -> None:
    call = as_sent(SENT)
    call.to_dict()["metadata"]["tags"].append("x")
    call.extra["queue"]["name"] = "x"
    assert call.to_dict() == SENT
    assert call.extra == {"queue": {"name": "sales"}}


def test_a_record_made_by_hand_gives_its_fields_as_json_has_them() -> None:
    made = HangupResult("call_1", CallStatus.COMPLETED, "moved_on").to_dict()
    assert made == {"id": "call_1", "status": "completed", "hangup_cause": "moved_on"}
    assert type(made["status"]) is str


def test_a_time_of_a_record_made_by_hand_is_written_as_the_service_writes_it() -> None:
    made = Call("call_1", created_at=NOON, metadata={"tags": ["vip"]}).to_dict()
    assert made["created_at"] == "2025-01-10T12:00:00Z"
    assert made["answered_at"] is None
    assert json.loads(json.dumps(made)) == made


def test_a_record_made_by_hand_has_nothing_extra_and_gives_copies() -> None:
    call = Call("call_1", metadata={"tags": ["vip"]})
    call.to_dict()["metadata"]["tags"].append("x")
    assert call.extra == {}
    assert call.metadata == {"tags": ["vip"]}


def test_a_page_made_by_hand_gives_its_calls_too() -> None:
    page = Page(calls=(Call("call_1"),), total=1, limit=50, offset=0, next_offset=None)
    assert [row["id"] for row in page.to_dict()["calls"]] == ["call_1"]


def test_records_with_the_same_fields_are_equal_and_hash_alike() -> None:
    made, other = Call("call_1", status="completed", metadata={"a": 1}), Call("call_1", status="completed")
    assert made == Call("call_1", status=CallStatus.COMPLETED, metadata={"a": 1})
    assert made != other
    assert len({Call("call_1", metadata={"a": [1]}), Call("call_1", metadata={"a": [1]})}) == 1


def test_a_call_whose_status_is_no_text_can_stand_in_a_set() -> None:
    odd = cast("str", ["completed"])
    assert len({Call("call_1", status=odd), Call("call_1", status=odd)}) == 1


def test_what_has_no_name_here_makes_no_difference_between_records() -> None:
    assert as_sent({"id": "a", "new": [1]}) == Call("a")
    assert hash(as_sent({"id": "a", "new": [1]})) == hash(Call("a"))


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(CallEvent("evt_1", data={"a": []}), id="an event"),
        pytest.param(CallStats(by_status={"completed": 1}), id="statistics"),
    ],
)
def test_a_record_that_holds_an_object_can_stand_in_a_set(record: Record) -> None:
    assert record in {record}


def test_records_of_different_kinds_are_not_equal() -> None:
    call, result = cast("object", Call("call_1")), cast("object", HangupResult("call_1"))
    assert call != result


@pytest.mark.parametrize("record", [*RECORDS, pytest.param(as_sent(SENT), id="a call as it was sent")])
@pytest.mark.parametrize(
    "through",
    [
        pytest.param(lambda record: pickle.loads(pickle.dumps(record)), id="pickle"),
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
    ],
)
def test_a_record_travels_whole(record: Record, through: Any) -> None:
    arrived = through(record)
    assert arrived == record
    assert arrived.to_dict() == record.to_dict()
    assert arrived.extra == record.extra


@pytest.mark.parametrize(
    ("member", "text"),
    [
        pytest.param(CallStatus.NO_ANSWER, "no_answer", id="status"),
        pytest.param(CallDirection.INBOUND, "inbound", id="direction"),
        pytest.param(HangupCause.NETWORK_ERROR, "network_error", id="hangup cause"),
    ],
)
def test_an_enum_member_is_its_plain_text(member: str, text: str) -> None:
    assert member == text
    assert hash(member) == hash(text)
    assert f"{member}" == text
    assert json.dumps([member]) == f'["{text}"]'


def test_a_download_tells_nothing_suspect_unless_told() -> None:
    assert Download(Path("a.mp3"), 1, 0, "00").suspect is None
