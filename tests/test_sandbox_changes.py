"""A sandbox whose calls a test changes: adding, ending, deleting, and being told of each request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sandbox_caller import NOW, Caller, calling

from krosai_calls.errors import ClientStateError, SettingsError
from krosai_calls.sandbox import Sandbox

HOUR = timedelta(hours=1)


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with calling(calls=30) as found:
        yield found


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:  # of another kind than the conftest's: on a thread of its own
    with Sandbox(calls=30, now=NOW) as running:
        yield running


# ---- adding


async def test_a_call_that_is_added_is_the_newest_and_the_api_tells_it_as_it_was_returned(caller: Caller) -> None:
    added = caller.sandbox.add_call()
    page = (await caller.ask("/calls")).json()
    assert page["calls"][0] == added
    assert page["total"] == 31
    assert (await caller.ask(f"/calls/{added['id']}")).json() == added
    assert added["status"] == "initiated"
    assert added["created_at"] == "2025-03-14T09:00:00.000Z"


def test_calls_that_are_added_stand_in_the_order_of_their_adding(sandbox: Sandbox) -> None:
    added = [sandbox.add_call(status=status)["id"] for status in ("completed", "ringing", "busy")]
    added.append(sandbox.add_call()["id"])
    assert [call["id"] for call in sandbox.calls[:4]] == added[::-1]
    moments = [datetime.fromisoformat(call["created_at"]) for call in sandbox.calls]
    assert all(newer >= older for newer, older in pairwise(moments))


def test_a_call_of_an_earlier_time_stands_where_its_time_is(sandbox: Sandbox) -> None:
    before, after = sandbox.calls[9], sandbox.calls[10]
    moment = datetime.fromisoformat(after["created_at"]) + timedelta(milliseconds=1)
    added = [sandbox.add_call(created_at=moment, status="completed")["id"] for _ in range(2)]
    ids = [call["id"] for call in sandbox.calls]
    assert ids[9:13] == [before["id"], *reversed(added), after["id"]]


def test_a_text_with_an_offset_is_a_time_too(sandbox: Sandbox) -> None:
    added = sandbox.add_call(created_at="2025-03-14T09:30:00+01:00", status="completed")
    assert added["created_at"] == "2025-03-14T08:30:00.000Z"


FIELDS: dict[str, Any] = {
    "id": "call_of-my.own",
    "status": "completed",
    "direction": "outbound",
    "from_number": "+14155550101",
    "to_number": "+2348035550102",
    "endpoint_id": "ep_mine",
    "phone_number_id": "pn_mine",
    "duration": 12,
    "cost_cents": 7.5,
    "hangup_cause": "user_hangup",
    "transcript": "[Agent]: Hello.\n[Caller]: Goodbye.",
    "metadata": {"order": [1, {"two": None}]},
}


async def test_what_is_said_of_a_call_is_what_the_api_tells(caller: Caller) -> None:
    added = caller.sandbox.add_call(**FIELDS)
    told = (await caller.ask("/calls/call_of-my.own")).json()
    assert {name: told[name] for name in FIELDS} == FIELDS == {name: added[name] for name in FIELDS}
    answered, completed = (datetime.fromisoformat(told[name]) for name in ("answered_at", "completed_at"))
    assert completed - answered == timedelta(seconds=12)
    assert datetime.fromisoformat(told["created_at"]) < answered < completed <= NOW


@pytest.mark.parametrize("name", ["direction", "endpoint_id", "phone_number_id", "status"])
async def test_a_call_that_is_added_is_found_by_what_was_said_of_it(caller: Caller, name: str) -> None:
    caller.sandbox.add_call(**FIELDS)
    others = [call["id"] for call in caller.sandbox.calls[1:] if call[name] == FIELDS[name]]
    page = (await caller.ask(f"/calls?limit=100&{name}={FIELDS[name]}")).json()
    assert [call["id"] for call in page["calls"]] == ["call_of-my.own", *others]


async def test_a_completed_call_has_its_recording_at_once_and_it_is_as_long_as_was_said(caller: Caller) -> None:
    added = caller.sandbox.add_call(status="completed", duration=3)
    recording = await caller.fetch(added["recording_url"])
    assert recording.status == 200
    assert len(recording.body) == 125 * 288  # 3 seconds in frames of 24 ms


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"recorded": False}, "recording_url"),
        ({"transcript": None}, "transcript"),
        ({"endpoint_id": None}, "endpoint_id"),
        ({"phone_number_id": None}, "phone_number_id"),
        ({"metadata": None}, "metadata"),
    ],
)
def test_what_a_call_is_to_lack_it_lacks(sandbox: Sandbox, fields: dict[str, Any], missing: str) -> None:
    added = sandbox.add_call(status="completed", **fields)
    assert added[missing] is None
    assert all(
        added[name] is not None for name in ("recording_url", "transcript", "phone_number_id") if name != missing
    )


@pytest.mark.parametrize("status", ["queued", "initiated", "ringing", "answered", "in_progress"])
def test_a_status_that_was_said_stays_whatever_time_passes(sandbox: Sandbox, status: str) -> None:
    added = sandbox.add_call(status=status)
    sandbox.advance(86_400)
    assert sandbox.calls[0] == added
    assert (added["status"], added["completed_at"], added["hangup_cause"]) == (status, None, None)
    assert (added["answered_at"] is None) == (status in ("queued", "initiated", "ringing"))


@pytest.mark.parametrize("status", ["failed", "busy", "no_answer"])
def test_a_call_that_came_to_nothing_lasts_and_costs_nothing(sandbox: Sandbox, status: str) -> None:
    added = sandbox.add_call(status=status)
    assert (added["duration"], added["cost_cents"], added["answered_at"]) == (0, 0, None)
    assert added["completed_at"] is not None
    assert added["recording_url"] is added["transcript"] is None


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"recording_url": "http://elsewhere"}, "recording_url"),
        ({"id": ""}, "id"),
        ({"id": "a/b"}, "id"),
        ({"id": "stats"}, "id"),
        ({"id": 5}, "id"),
        ({"created_at": datetime(2025, 1, 1)}, "created_at"),
        ({"created_at": NOW + HOUR}, "created_at"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"created_at": 5}, "created_at"),
        ({"status": "complete"}, "status"),
        ({"direction": "sideways"}, "direction"),
        ({"from_number": "0803 555 0101"}, "from_number"),
        ({"to_number": None}, "to_number"),
        ({"duration": -1}, "duration"),
        ({"duration": 2.5}, "duration"),
        ({"duration": 5, "status": "busy"}, "duration"),
        ({"duration": 5, "status": "ringing"}, "duration"),
        ({"transcript": "words", "status": "busy"}, "transcript"),
        ({"hangup_cause": "boredom"}, "hangup_cause"),
        ({"hangup_cause": "busy", "status": "ringing"}, "hangup_cause"),
        ({"cost_cents": float("nan")}, "cost_cents"),
        ({"metadata": ["a list"]}, "metadata"),
        ({"metadata": {"when": NOW}}, "metadata"),
        ({"recorded": "no"}, "recorded"),
        ({"endpoint_id": ""}, "endpoint_id"),
    ],
)
def test_a_field_that_cannot_be_right_is_refused_by_its_name_and_changes_nothing(
    sandbox: Sandbox, fields: dict[str, Any], named: str
) -> None:
    before = list(sandbox.calls)
    with pytest.raises(SettingsError, match=named):
        sandbox.add_call(**fields)
    assert [call["id"] for call in sandbox.calls] == [call["id"] for call in before]


def test_an_id_is_given_once(sandbox: Sandbox) -> None:
    sandbox.add_call(id="mine")
    for taken in ("mine", sandbox.calls[5]["id"]):
        with pytest.raises(SettingsError, match="taken"):
            sandbox.add_call(id=taken)
    sandbox.delete_call("mine")
    assert sandbox.add_call(id="mine")["id"] == "mine"


def test_what_a_test_does_with_a_call_it_added_does_not_change_it(sandbox: Sandbox) -> None:
    metadata = {"list": [1]}
    added = sandbox.add_call(metadata=metadata)
    metadata["list"].append(2)
    added["metadata"]["list"].append(3)
    assert sandbox.calls[0]["metadata"] == {"list": [1]}


# ---- ending and deleting


async def test_a_call_that_is_ended_has_ended_now(caller: Caller) -> None:
    live = next(call for call in caller.sandbox.calls if call["status"] == "in_progress")
    caller.sandbox.advance(3)
    ended = caller.sandbox.end_call(live["id"])
    assert (ended["status"], ended["hangup_cause"], ended["duration"]) == ("completed", "normal_clearing", 23)
    assert ended["recording_url"] is None
    assert (await caller.ask(f"/calls/{live['id']}")).json() == ended
    assert (await caller.ask(f"/calls/{live['id']}/hangup", method="POST")).status == 409


@pytest.mark.parametrize("fields", [{"status": "ringing"}, {}], ids=["one that stood still", "one that lived"])
def test_a_call_ends_as_the_test_says(sandbox: Sandbox, fields: dict[str, Any]) -> None:
    added = sandbox.add_call(**fields)
    ended = sandbox.end_call(added["id"], status="no_answer", hangup_cause="timeout")
    assert (ended["status"], ended["hangup_cause"], ended["duration"]) == ("no_answer", "timeout", 0)
    sandbox.advance(86_400)
    assert sandbox.calls[0] == ended


async def test_a_call_that_is_deleted_was_never_there(caller: Caller) -> None:
    gone = next(call for call in caller.sandbox.calls if call["recording_url"])
    caller.sandbox.delete_call(gone["id"])
    page = (await caller.ask("/calls?limit=100")).json()
    assert page["total"] == 29
    assert gone["id"] not in [call["id"] for call in page["calls"]]
    for path in ("", "/events", "/recording"):
        assert (await caller.ask(f"/calls/{gone['id']}{path}")).status == 404
    assert (await caller.fetch(gone["recording_url"])).status == 404
    assert (await caller.ask("/calls/stats")).json()["total_calls"] == 29


def test_calls_may_come_and_go_without_end(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("krosai_calls.sandbox.world.MOST_CHANGES", 10)
    for _ in range(30):
        sandbox.delete_call(sandbox.add_call()["id"])
    assert len(sandbox.calls) == 30


def test_more_changes_than_are_good_for_anybody_are_refused(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("krosai_calls.sandbox.world.MOST_CHANGES", 10)
    for _ in range(6):  # three live calls and one that is being processed are changes already
        sandbox.add_call()
    with pytest.raises(SettingsError, match="reset"):
        sandbox.add_call()
    sandbox.reset()
    sandbox.add_call()


def test_calls_that_are_not_there_and_calls_that_have_ended_cannot_be_ended(sandbox: Sandbox) -> None:
    ended = next(call["id"] for call in sandbox.calls if call["status"] == "completed")
    with pytest.raises(SettingsError, match="already ended"):
        sandbox.end_call(ended)
    with pytest.raises(SettingsError, match="no call"):
        sandbox.end_call("call_unheard_of")
    with pytest.raises(SettingsError, match="no call"):
        sandbox.delete_call("call_unheard_of")
    with pytest.raises(SettingsError, match="status"):
        sandbox.end_call(sandbox.add_call()["id"], status="ringing")


def test_reset_takes_back_every_change(sandbox: Sandbox) -> None:
    before = [{**call, "recording_url": None} for call in sandbox.calls]
    first = sandbox.add_call(id="mine")
    sandbox.delete_call(before[7]["id"])
    sandbox.advance(200)
    sandbox.on_request = print
    sandbox.reset()
    assert [{**call, "recording_url": None} for call in sandbox.calls] == before
    assert sandbox.on_request != print
    assert sandbox.add_call(id="mine") == first


def test_a_sandbox_that_has_not_been_started_has_nothing_to_be_changed() -> None:
    with pytest.raises(ClientStateError, match="with"):
        Sandbox().add_call()


@pytest.mark.parametrize("seconds", [0, 0.4, 4.9])
def test_the_times_of_a_call_that_is_ended_agree_with_its_duration(sandbox: Sandbox, seconds: float) -> None:
    for call_id in (sandbox.add_call(status="in_progress")["id"], sandbox.calls[3]["id"]):
        sandbox.advance(seconds)
        ended = sandbox.end_call(call_id)
        answered, completed = (datetime.fromisoformat(ended[name]) for name in ("answered_at", "completed_at"))
        assert (completed - answered).total_seconds() == ended["duration"] >= seconds - 1
        assert completed <= NOW + timedelta(seconds=2 * seconds)


def test_a_time_finer_than_what_is_told_is_understood() -> None:
    moment = datetime(2025, 3, 14, 9, 0, 0, 123_456, tzinfo=UTC)
    with Sandbox(calls=5, now=moment) as running:
        added = running.add_call()
        assert added["created_at"] == "2025-03-14T09:00:00.123Z"
        assert running.calls[0] == added
