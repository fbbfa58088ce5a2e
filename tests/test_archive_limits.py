"""How a run ends early, what it foresees, and what it reports."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from archive_folder import check_catalog, files_in, rows_in, states_in
from archive_world import DAY, HOUR, MINUTE, ArchiveWorld, serving
from raw_server import Answer, answer

from krosai_calls import ArchiveReport, RequestBudgetExceededError, RequestTimeoutError

NO_FILES: dict[str, Any] = {"recording_url": None, "transcript": None}


@pytest.fixture
async def world() -> AsyncIterator[ArchiveWorld]:
    async with serving() as made:
        yield made


# --- Ending early -------------------------------------------------------------------------------------------


async def test_a_budget_of_requests_ends_a_run_and_the_next_goes_on(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(350, age=3 * DAY, transcript=None)
    seen = []
    for _ in range(2):
        with pytest.raises(RequestBudgetExceededError) as raised:
            await world.archive(tmp_path, settings={"max_requests": 2})
        report = raised.value.report
        assert isinstance(report, ArchiveReport)
        assert report.requests <= 2
        assert report.recordings_left == 0
        seen.append(report.recordings_saved)
        assert len(files_in(tmp_path)) == sum(seen)
        assert report.recordings_present + report.recordings_saved == sum(seen)
    final = await world.archive(tmp_path)
    assert final.recordings_saved + sum(seen) == len(files_in(tmp_path)) == 350
    assert len(world.fetched) == 350


async def test_the_days_limit_ends_a_run_and_says_when_to_go_on(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(250, age=3 * DAY, transcript=None)
    world.quota = 1
    with pytest.raises(RequestBudgetExceededError, match=r"run again in 3[56]\d\d seconds") as raised:
        await world.archive(tmp_path)
    assert raised.value.retry_after == pytest.approx(3600, abs=5)
    assert raised.value.report.recordings_saved == len(files_in(tmp_path)) == 100
    outcomes = "SELECT outcome, json_extract(report, '$.recordings_saved') FROM runs"
    assert rows_in(tmp_path, outcomes) == [("ended early", 100)]


async def test_a_run_that_begins_on_a_day_that_is_over_costs_one_request(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    world.add_many(20)
    await world.archive(tmp_path)
    world.quota = 0
    world.forget()
    with pytest.raises(RequestBudgetExceededError) as raised:
        await world.archive(tmp_path)
    assert world.api_requests == 1
    assert raised.value.report.recordings_present == 20


async def test_after_so_many_bytes_nothing_more_is_begun(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(50, age=3 * DAY)
    size = len(world.body_of("call_0"))
    with pytest.raises(RequestBudgetExceededError, match="bytes that were allowed") as raised:
        await world.archive(tmp_path, max_bytes=5 * size, workers=2)
    report = raised.value.report
    assert 5 <= report.recordings_saved <= 6
    assert report.bytes_downloaded == report.recordings_saved * size
    assert report.recordings_left == 50 - report.recordings_saved
    world.forget()
    report = await world.archive(tmp_path, max_bytes=10**9)
    assert report.recordings_saved + 5 <= 50 <= report.recordings_saved + 6
    assert world.asked["list"] == 1


async def test_a_run_that_needs_no_more_bytes_than_allowed_is_done(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(3, age=3 * DAY)
    report = await world.archive(tmp_path, max_bytes=3 * len(world.body_of("call_0")), workers=1)
    assert report.recordings_saved == 3


async def test_after_so_many_bytes_nothing_more_is_listed(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(2500, age=3 * DAY, transcript=None, recording_url=None)
    for number in range(0, 2500, 5):
        world.rows[f"call_{number}"]["recording_url"] = True
    with pytest.raises(RequestBudgetExceededError):
        await world.archive(tmp_path, max_bytes=1, workers=1, settings={"max_concurrency": 1})
    assert world.api_requests < 15


async def test_after_so_many_seconds_a_run_ends(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(3, age=3 * DAY)
    world.storage_answers["call_1"] = Answer(then="hang")
    with pytest.raises(RequestBudgetExceededError, match=r"the 0\.3 s that were allowed") as raised:
        await world.archive(tmp_path, max_seconds=0.3)
    assert raised.value.report.recordings_saved == 2
    world.storage_answers.clear()
    assert (await world.archive(tmp_path, max_seconds=30)).recordings_saved == 1


@pytest.mark.parametrize("seconds", [None, 30.0])
async def test_a_request_that_takes_too_long_is_not_the_end_of_the_runs_time(
    world: ArchiveWorld, tmp_path: Path, seconds: float | None
) -> None:
    world.api_answers["/v1/calls"] = Answer(then="hang")
    with pytest.raises(RequestTimeoutError):
        await world.archive(tmp_path, max_seconds=seconds, settings={"timeout_seconds": 0.1})
    assert rows_in(tmp_path, "SELECT outcome FROM runs") == [("failed",)]


# --- Foreseeing ---------------------------------------------------------------------------------------------


async def test_a_dry_run_costs_a_request_and_writes_nothing(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(2500, age=3 * DAY, transcript=None)
    report = await world.archive(tmp_path / "calls", dry_run=True)
    assert report.plan is not None
    assert world.asked == {"list": 1}
    assert os.listdir(tmp_path) == []
    assert (report.plan.calls, report.plan.recordings) == (2500, 2500)
    assert report.plan.bytes == 2500 * 60 * 12_000
    assert 25 <= report.plan.requests <= 27
    assert report.plan.days == {"free": 1, "pro": 1, "business": 1}
    assert report.calls_total == 2500


async def test_a_dry_run_of_timelines_tells_the_days_they_take(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(2500, age=3 * DAY, **NO_FILES)
    report = await world.archive(tmp_path / "calls", dry_run=True, events=True)
    assert report.plan is not None
    assert (report.plan.recordings, report.plan.bytes) == (0, 0)
    assert report.plan.days == {"free": 3, "pro": 1, "business": 1}


async def test_a_dry_run_over_an_archive_tells_what_is_left(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(500, age=3 * DAY, transcript=None, recording_url=None)
    await world.archive(tmp_path)
    world.add_many(100, "new", transcript=None)
    before = files_in(tmp_path)
    runs = rows_in(tmp_path, "SELECT * FROM runs")
    world.forget()
    report = await world.archive(tmp_path, dry_run=True)
    assert report.plan is not None
    assert world.asked == {"list": 1}
    assert (report.plan.calls, report.plan.recordings) == (100, 100)
    assert report.plan.requests <= 3
    assert files_in(tmp_path) == before
    assert rows_in(tmp_path, "SELECT * FROM runs") == runs
    assert rows_in(tmp_path, "SELECT count(*) FROM calls") == [(500,)]


async def test_what_a_dry_run_foresees_comes_about(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(700, age=3 * DAY, transcript=None, recording_url=None)
    foreseen = (await world.archive(tmp_path, dry_run=True)).plan
    assert foreseen is not None
    report = await world.archive(tmp_path)
    assert abs(report.requests - foreseen.requests) <= 1
    assert report.calls_new == foreseen.calls


# --- Retention ----------------------------------------------------------------------------------------------


async def test_h7_what_will_soon_be_gone_comes_first_the_oldest_before_the_others(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    old = world.add_many(40, "old", age=84 * DAY, apart=2 * HOUR, transcript=None)
    world.add_many(60, "new", age=DAY, transcript=None)
    await world.archive(tmp_path, workers=1)
    assert [call_id for call_id in world.fetched if call_id in old] == old[::-1]
    assert len(set(world.fetched[:41]) & set(old)) == 40


async def test_h7_also_in_a_history_longer_than_what_may_wait(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(1500, "new", age=DAY, apart=30 * MINUTE, transcript=None)
    old = world.add_many(60, "old", age=84 * DAY, apart=2 * HOUR, transcript=None)
    with pytest.raises(RequestBudgetExceededError):
        await world.archive(tmp_path, workers=2, max_bytes=100 * len(world.body_of("old_0")))
    assert set(old) <= set(world.fetched)


async def test_recordings_that_will_soon_be_gone_are_told(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add("soon", age=85 * DAY)
    world.add("soon, too", age=89 * DAY)
    world.add("late", age=91 * DAY)
    world.add("young", age=80 * DAY)
    world.add("safe", age=86 * DAY)
    for call_id in ("soon", "soon, too", "late", "young"):
        world.storage_answers[call_id] = answer(500)
    report = await world.archive(tmp_path)
    assert (report.recordings_expiring, report.recordings_failed) == (2, 4)
    assert rows_in(tmp_path, "SELECT json_extract(report, '$.recordings_expiring') FROM runs") == [(2,)]
    world.storage_answers.clear()
    assert (await world.archive(tmp_path)).recordings_expiring == 0


# --- Reporting ----------------------------------------------------------------------------------------------


async def test_what_an_earlier_run_had_brought_of_a_recording_counts_as_resumed(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    world.frames = 3000
    world.add("call_1", age=3 * DAY)
    body = world.body_of("call_1")
    head = answer(200, body, [("ETag", '"0"')], content_type="audio/mpeg", cut=len(body) // 2, then="hang")
    world.storage_answers["call_1"] = head
    with pytest.raises(RequestBudgetExceededError):
        await world.archive(tmp_path, max_seconds=0.5)
    world.storage_answers.clear()
    world.forget()
    report = await world.archive(tmp_path)
    assert (report.recordings_saved, report.recordings_resumed) == (1, 1)
    assert world.sent_bytes < len(body)
    assert body in files_in(tmp_path).values()


async def test_the_numbers_of_several_runs_add_up(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(10, age=3 * DAY)
    world.add("bad", age=3 * DAY)
    world.storage_answers["bad"] = answer(500)
    world.add("gone", age=3 * DAY, recording_url=None)
    world.add_live("live")
    world.add("busy", status="busy", **NO_FILES)
    size = len(world.body_of("bad"))
    first = await world.archive(tmp_path)
    expected = ArchiveReport(
        calls_total=14,
        calls_seen=14,
        calls_new=14,
        recordings_saved=10,
        recordings_pending=1,
        recordings_gone=1,
        recordings_failed=1,
        transcripts_saved=12,
        transcripts_pending=1,
        bytes_downloaded=10 * size,
        requests=first.requests,
        seconds=first.seconds,
        failures=first.failures,
    )
    assert first == expected
    assert first.requests == world.api_requests
    world.storage_answers.clear()
    world.pass_time(timedelta(minutes=5))
    second = await world.archive(tmp_path)
    expected = attrs.evolve(
        expected,
        calls_new=0,
        recordings_saved=1,
        recordings_present=10,
        recordings_failed=0,
        transcripts_saved=0,
        transcripts_present=12,
        bytes_downloaded=size,
        requests=1,
        seconds=second.seconds,
        failures=(),
    )
    assert second == expected
    third = await world.archive(tmp_path)
    assert third == attrs.evolve(
        expected, recordings_saved=0, recordings_present=11, bytes_downloaded=0, seconds=third.seconds
    )
    assert set(states_in(tmp_path).values()) == {"saved", "gone", "pending"}
    check_catalog(tmp_path)


@pytest.mark.parametrize(("late_hours", "state"), [(24.0, "gone"), (48.0, "pending")])
async def test_late_hours_say_for_how_long_something_may_still_appear(
    world: ArchiveWorld, tmp_path: Path, late_hours: float, state: str
) -> None:
    world.add("late", age=30 * HOUR, recording_url=None, transcript=None)
    await world.archive(tmp_path, late_hours=late_hours)
    assert states_in(tmp_path)["late"] == states_in(tmp_path, "transcript")["late"] == state
