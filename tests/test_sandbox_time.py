"""The sandbox's own clock: what becomes of calls, links, recordings and limits as time passes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sandbox_caller import NOW, Caller, Clock, calling

from krosai_calls.errors import SettingsError

DAY = 86_400


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with calling(calls=30, clock=Clock()) as found:
        yield found


async def get(caller: Caller, call_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await caller.ask(f"/calls/{call_id}")).json()
    return found


async def events_of(caller: Caller, call_id: str) -> list[str]:
    return [event["event"] for event in (await caller.ask(f"/calls/{call_id}/events")).json()["events"]]


# What there is of a call that is added and left alone, by the seconds since.
LIFE: list[tuple[float, str, set[str], int]] = [
    (0, "initiated", set(), 1),
    (0.999, "initiated", set(), 1),
    (1, "ringing", set(), 2),
    (5, "in_progress", {"answered_at"}, 3),
    (24.999, "in_progress", {"answered_at"}, 3),
    (25, "completed", {"answered_at", "completed_at", "hangup_cause"}, 4),
    (55, "completed", {"answered_at", "completed_at", "hangup_cause", "recording_url"}, 5),
    (64, "completed", {"answered_at", "completed_at", "hangup_cause", "recording_url", "transcript"}, 6),
]
COURSE = [
    "call.initiated",
    "call.ringing",
    "call.answered",
    "call.completed",
    "recording.ready",
    "transcript.ready",
]


@pytest.mark.parametrize(("seconds", "status", "there", "events"), LIFE)
async def test_a_call_rings_is_answered_talks_and_ends_and_leaves_something_behind(
    caller: Caller, seconds: float, status: str, there: set[str], events: int
) -> None:
    added = caller.sandbox.add_call()
    caller.sandbox.advance(seconds)
    call = await get(caller, added["id"])
    turning = ("answered_at", "completed_at", "hangup_cause", "recording_url", "transcript")
    assert call["status"] == status
    assert {name for name in turning if call[name] is not None} == there
    assert call["duration"] == (20 if status == "completed" else 0)
    assert await events_of(caller, added["id"]) == COURSE[:events]
    listed = (await caller.ask(f"/calls?status={status}&limit=100")).json()["calls"]
    assert added["id"] in [row["id"] for row in listed]


async def test_a_listing_by_status_follows_the_calls_as_they_live(caller: Caller) -> None:
    added = caller.sandbox.add_call(duration=60)
    for status in ("initiated", "ringing", "in_progress"):
        rows = (await caller.ask(f"/calls?status={status}")).json()["calls"]
        assert rows[0]["id"] == added["id"]
        caller.sandbox.advance(4)


async def test_the_calls_that_are_live_at_first_end_too(caller: Caller) -> None:
    live = [call["id"] for call in caller.sandbox.calls[:3]]
    caller.sandbox.advance(120)
    for call_id in live:
        call = await get(caller, call_id)
        assert call["status"] == "completed"
        assert call["recording_url"] is not None
        answered, completed = (datetime.fromisoformat(call[name]) for name in ("answered_at", "completed_at"))
        assert (completed - answered).total_seconds() == call["duration"] > 0


async def test_the_newest_completed_call_is_processed_half_a_minute_later(caller: Caller) -> None:
    waiting = next(call for call in caller.sandbox.calls if call["status"] == "completed")
    assert (await caller.ask(f"/calls/{waiting['id']}/recording")).status == 404
    caller.sandbox.advance(30)
    link = (await caller.ask(f"/calls/{waiting['id']}/recording")).json()
    recording = await caller.fetch(link["recording_url"])
    assert recording.status == 200
    assert recording.headers["Last-Modified"] == "Fri, 14 Mar 2025 09:00:30 GMT"


async def test_what_is_hung_up_is_recorded_half_a_minute_later(caller: Caller) -> None:
    live = next(call for call in caller.sandbox.calls if call["status"] == "in_progress")
    await caller.ask(f"/calls/{live['id']}/hangup", method="POST")
    caller.sandbox.advance(29)
    assert (await get(caller, live["id"]))["recording_url"] is None
    caller.sandbox.advance(1)
    assert (await get(caller, live["id"]))["recording_url"] is not None


async def test_without_a_word_from_the_test_no_call_changes_however_late_it_gets() -> None:
    clock = Clock()
    async with calling(calls=30, clock=clock) as caller:
        before = [call["status"] for call in caller.sandbox.calls]
        clock.advance(3000)
        assert [call["status"] for call in caller.sandbox.calls] == before


async def test_in_real_time_calls_live_as_the_clock_goes() -> None:
    clock = Clock()
    async with calling(calls=30, clock=clock, real_time=True) as caller:
        added = caller.sandbox.add_call()
        clock.advance(3)
        assert (await get(caller, added["id"]))["status"] == "ringing"
        caller.sandbox.advance(3)
        assert (await get(caller, added["id"]))["status"] == "in_progress"


async def test_links_expire(caller: Caller) -> None:
    url = await caller.url_of_a_recording()
    caller.sandbox.advance(3599)
    assert (await caller.fetch(url)).status == 200
    caller.sandbox.advance(1)
    assert (await caller.fetch(url)).status == 403
    assert (await caller.fetch(await caller.url_of_a_recording())).status == 200


async def test_after_ninety_days_a_recording_is_gone_and_the_words_are_not(caller: Caller) -> None:
    added = caller.sandbox.add_call(status="completed", created_at=NOW - timedelta(days=1))
    caller.sandbox.advance(89 * DAY)
    kept = await get(caller, added["id"])
    caller.sandbox.advance(1)
    gone = await get(caller, added["id"])
    assert (kept["recording_url"] is None, gone["recording_url"]) == (False, None)
    assert gone["transcript"] == kept["transcript"]
    assert (await caller.ask(f"/calls/{added['id']}/recording")).status == 404


async def test_the_seconds_window_and_the_day_turn() -> None:
    async with calling(calls=5, clock=Clock(), plan="free") as caller:
        for _ in range(100):
            for _ in range(10):
                assert (await caller.ask("/calls?limit=1")).status == 200
            caller.sandbox.advance(1)
        refused = await caller.ask("/calls?limit=1")
        assert (refused.status, refused.json()["details"]) == (429, {"window": "day"})
        caller.sandbox.advance(float(refused.headers["Retry-After"]))
        assert (await caller.ask("/calls?limit=1")).status == 200


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "5", True, 11 * 366 * DAY])
async def test_time_goes_forward_and_not_beyond_ten_years(caller: Caller, seconds: Any) -> None:
    with pytest.raises(SettingsError, match="seconds"):
        caller.sandbox.advance(seconds)


async def test_many_years_one_by_one_are_refused_too(caller: Caller) -> None:
    for _ in range(10):
        caller.sandbox.advance(366 * DAY)
    with pytest.raises(SettingsError, match="reset"):
        caller.sandbox.advance(1)
