"""What a run asks for: only what can have changed, and all of that."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from archive_folder import files_in, found_in, rows_in, states_in
from archive_world import (
    DAY,
    HOUR,
    MINUTE,
    ArchiveWorld,
    Order,
    in_no_order,
    last_ended_first,
    newest_first,
    oldest_first,
    serving,
    text_of,
)
from raw_server import answer

from krosai_calls import RequestBudgetExceededError

SECOND = timedelta(seconds=1)


@pytest.fixture
async def world() -> AsyncIterator[ArchiveWorld]:
    async with serving() as made:
        yield made


async def settled(world: ArchiveWorld, folder: Path, calls: int = 300) -> None:
    """An archive of calls that left nothing behind, and of which nothing more is to come."""
    world.add_many(calls, "old", age=3 * DAY, apart=10 * MINUTE, recording_url=None, transcript=None)
    await world.archive(folder)
    world.forget()


def times_in(folder: Path) -> dict[str, int]:
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("catalog")]
    return {str(path): os.stat(path).st_mtime_ns for path in paths}


# --- What is new --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [newest_first, oldest_first, last_ended_first, in_no_order])
async def test_j9_a_run_with_nothing_new_costs_next_to_nothing(
    world: ArchiveWorld, tmp_path: Path, order: Order
) -> None:
    world.order = order
    await settled(world, tmp_path, 1500)
    world.add_many(20, "with", age=2 * DAY)
    await world.archive(tmp_path)
    world.forget()
    before = times_in(tmp_path)
    report = await world.archive(tmp_path)
    assert world.api_requests == report.requests <= 2
    assert world.asked["storage"] == 0
    assert times_in(tmp_path) == before
    assert (report.calls_new, report.calls_updated, report.recordings_present) == (0, 0, 20)


@pytest.mark.parametrize("order", [newest_first, oldest_first])
@pytest.mark.parametrize("new", [1, 99, 100, 101, 1000])
async def test_new_calls_cost_a_request_for_a_hundred(
    world: ArchiveWorld, tmp_path: Path, new: int, order: Order
) -> None:
    world.order = order
    await settled(world, tmp_path, 500)
    world.pass_time(DAY)
    world.add_many(new, "new", age=2 * HOUR, apart=SECOND, recording_url=None, transcript=None)
    report = await world.archive(tmp_path)
    assert world.api_requests <= new / 100 + 4
    assert (report.calls_new, report.recordings_pending) == (new, new)


@pytest.mark.parametrize("order", [newest_first, oldest_first, last_ended_first])
@pytest.mark.parametrize(("a_day", "most_days"), [(3, 7), (5, 3), (8, 2)])
async def test_a_first_walk_longer_than_a_days_quota_goes_on_where_it_stood(
    world: ArchiveWorld, tmp_path: Path, order: Order, a_day: int, most_days: int
) -> None:
    world.order = order
    ids = world.add_many(1050, age=3 * DAY, recording_url=None, transcript=None)
    for _ in range(most_days):
        world.quota = a_day
        with suppress(RequestBudgetExceededError):
            await world.archive(tmp_path)
    # Eleven pages, and on every later day a look at the top, and half a page that was known.
    assert {row[0] for row in rows_in(tmp_path, "SELECT id FROM calls")} == set(ids)
    world.quota = None
    world.forget()
    await world.archive(tmp_path)
    assert world.asked == {"list": 1}


async def test_a_walk_that_was_cut_goes_on_below_and_takes_what_is_new_above(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    world.add_many(600, "old", age=3 * DAY, recording_url=None, transcript=None)
    world.quota = 3
    with pytest.raises(RequestBudgetExceededError):
        await world.archive(tmp_path)
    world.pass_time(DAY)
    world.add_many(30, "new", recording_url=None, transcript=None)
    world.quota = None
    world.forget()
    await world.archive(tmp_path)
    assert len(states_in(tmp_path)) == 630
    assert world.api_requests <= 6


async def test_calls_of_one_instant_are_all_found(world: ArchiveWorld, tmp_path: Path) -> None:
    for number in range(250):
        world.add(f"old_{number}", age=3 * DAY, recording_url=None)
    world.quota = 2
    with pytest.raises(RequestBudgetExceededError):
        await world.archive(tmp_path)
    world.quota = None
    await world.archive(tmp_path)
    for number in range(50):
        world.add(f"late_{number}", age=3 * DAY, recording_url=None)
    report = await world.archive(tmp_path)
    assert report.calls_new == 50
    assert len(states_in(tmp_path, "transcript")) == 300


@pytest.mark.parametrize("order", [newest_first, oldest_first])
async def test_many_calls_within_a_minute_are_not_taken_for_listed(
    world: ArchiveWorld, tmp_path: Path, order: Order
) -> None:
    world.order = order
    world.add("first", age=10 * DAY)
    world.add_many(300, "burst", age=5 * DAY, apart=SECOND / 10, recording_url=None)
    await world.archive(tmp_path, from_date=world.now - HOUR)
    world.add("last", age=MINUTE)
    await world.archive(tmp_path, from_date=world.now - HOUR)  # so that there are known calls above
    world.quota = 1
    with pytest.raises(RequestBudgetExceededError):
        await world.archive(tmp_path)
    world.quota = None
    await world.archive(tmp_path)
    assert len(states_in(tmp_path, "transcript")) == 302


# --- What was not there yet ---------------------------------------------------------------------------------


async def test_a_live_call_that_has_ended_is_looked_at_again(world: ArchiveWorld, tmp_path: Path) -> None:
    await settled(world, tmp_path)
    world.add_live("live")
    await world.archive(tmp_path)
    assert states_in(tmp_path)["live"] == states_in(tmp_path, "transcript")["live"] == "pending"
    world.pass_time(HOUR)
    world.end("live", recording_url=True, transcript="[Caller]: goodbye")
    world.forget()
    report = await world.archive(tmp_path)
    assert (report.recordings_saved, report.calls_updated, report.recordings_pending) == (1, 1, 0)
    assert world.api_requests <= 2
    assert found_in(tmp_path, "goodbye") == {"live"}
    assert rows_in(tmp_path, "SELECT status, duration FROM calls WHERE id = 'live'") == [("completed", 60)]


async def test_the_words_of_a_live_call_are_taken_when_it_has_ended(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_live("live", age=3 * HOUR, recording_url=True, transcript="[Agent]: Hel")
    world.add_many(100, "above", age=HOUR, recording_url=None, transcript=None)
    await world.archive(tmp_path)
    world.pass_time(3 * DAY)
    world.add_many(200, "since", recording_url=None, transcript=None)
    world.end("live", transcript="[Agent]: Hello")
    await world.archive(tmp_path)
    assert states_in(tmp_path, "transcript")["live"] == "saved"
    assert rows_in(tmp_path, "SELECT status FROM calls WHERE id = 'live'") == [("completed",)]
    assert b"[Agent]: Hello" in files_in(tmp_path).values()


async def test_what_appears_late_is_picked_up(world: ArchiveWorld, tmp_path: Path) -> None:
    ids = world.add_many(40, "late", recording_url=None, transcript=None)
    await world.archive(tmp_path)
    world.pass_time(10 * HOUR)
    world.add_many(500, "since", apart=SECOND, recording_url=None, transcript=None)
    for call_id in ids[:30]:
        world.rows[call_id] |= {"recording_url": True, "transcript": "[Agent]: late"}
    world.forget()
    report = await world.archive(tmp_path)
    assert report.recordings_saved == 30
    assert found_in(tmp_path, "late") == set(ids[:30])
    assert world.api_requests <= 500 / 100 + 4


async def test_one_open_call_far_below_is_asked_for_singly(world: ArchiveWorld, tmp_path: Path) -> None:
    await settled(world, tmp_path, 2000)
    world.add_live("for ever", age=200 * DAY)
    world.rows["for.ever"] = world.rows.pop("for ever") | {"id": "for.ever"}
    shutil.rmtree(tmp_path)
    await world.archive(tmp_path)
    for _ in range(3):
        world.pass_time(DAY)
        world.forget()
        await world.archive(tmp_path)
        assert world.asked == {"list": 1, "call": 1}


async def test_open_calls_that_stand_close_together_are_listed_at_once(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    ids = world.add_many(80, "open", age=20 * DAY, recording_url=None, transcript=None)
    for call_id in ids:
        world.rows[call_id]["completed_at"] = text_of(world.now)
    world.add_many(1000, "above", age=2 * DAY, recording_url=None, transcript=None)
    await world.archive(tmp_path)
    world.forget()
    world.pass_time(HOUR)
    await world.archive(tmp_path)
    assert world.asked == {"list": 2}


async def test_h2_a_last_look_after_a_day_and_then_no_more(world: ArchiveWorld, tmp_path: Path) -> None:
    await settled(world, tmp_path)
    world.add("never", age=HOUR, recording_url=None, transcript=None)
    await world.archive(tmp_path)
    world.add_many(200, "above", age=MINUTE, apart=SECOND / 10, recording_url=None, transcript=None)
    world.pass_time(DAY)
    report = await world.archive(tmp_path)
    assert states_in(tmp_path)["never"] == states_in(tmp_path, "transcript")["never"] == "gone"
    assert (report.recordings_pending, report.transcripts_pending) == (0, 0)
    world.pass_time(DAY)
    await world.archive(tmp_path)
    world.forget()
    await world.archive(tmp_path)
    assert world.asked == {"list": 1} or world.asked == {"list": 2}


async def test_h3_a_link_that_leads_nowhere_is_followed_once(world: ArchiveWorld, tmp_path: Path) -> None:
    await settled(world, tmp_path, 10)
    world.add("dead", age=3 * DAY)
    world.storage_answers["dead"] = answer(404, b"<Code>NoSuchKey</Code>")
    report = await world.archive(tmp_path)
    assert report.recordings_gone == 11
    world.forget()
    report = await world.archive(tmp_path)
    assert world.asked == {"list": 1}
    assert states_in(tmp_path)["dead"] == "gone"
