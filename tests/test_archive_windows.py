"""Different filters and times in one folder, and services that read them otherwise than we do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from archive_folder import rows_in, states_in
from archive_world import DAY, HOUR, LOWER, MINUTE, UPPER, ArchiveWorld, serving
from raw_server import answer

from krosai_calls import ArchiveReport

NO_FILES: dict[str, Any] = {"recording_url": None, "transcript": None}


@pytest.fixture
async def world() -> AsyncIterator[ArchiveWorld]:
    async with serving() as made:
        yield made


def ids_in(folder: Path) -> set[str]:
    return {row[0] for row in rows_in(folder, "SELECT id FROM calls")}


async def test_one_direction_and_then_all(world: ArchiveWorld, tmp_path: Path) -> None:
    for number in range(60):
        world.add(f"call_{number}", age=3 * DAY + MINUTE * number, direction=("inbound", "outbound")[number % 2])
    first = await world.archive(tmp_path, direction="inbound")
    world.forget()
    second = await world.archive(tmp_path)
    assert (first.recordings_saved, second.recordings_saved, second.recordings_present) == (30, 30, 30)
    assert world.asked == {"list": 1, "storage": 30}


async def test_all_and_then_one_direction(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(500, age=3 * DAY, **NO_FILES)
    await world.archive(tmp_path)
    world.pass_time(DAY)
    world.add("out", direction="outbound")
    world.add("in")
    world.forget()
    report = await world.archive(tmp_path, direction="inbound")
    assert (report.calls_new, report.recordings_saved) == (1, 1)
    assert world.api_requests == 1
    report = await world.archive(tmp_path)
    assert (report.calls_new, report.recordings_saved, report.recordings_present) == (1, 1, 1)


async def test_a_call_that_completes_later_comes_to_those_that_have(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(300, "old", age=3 * DAY, **NO_FILES)
    world.add_live("live", age=2 * HOUR)
    world.add("newer", age=HOUR)
    await world.archive(tmp_path, status="completed")
    assert "live" not in ids_in(tmp_path)
    world.pass_time(10 * HOUR)
    world.end("live", recording_url=True)
    report = await world.archive(tmp_path, status="completed")
    assert (report.calls_new, report.recordings_saved, report.recordings_present) == (1, 1, 1)


async def test_the_counts_hold_when_a_call_comes_into_the_scope(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_live("live")
    await world.archive(tmp_path)
    world.pass_time(HOUR)
    world.end("live", recording_url=True, transcript="[Agent]: hi")
    world.add("just ended", age=MINUTE, **NO_FILES)
    report = await world.archive(tmp_path, status="completed")
    assert (report.recordings_saved, report.recordings_present, report.recordings_pending) == (1, 0, 1)
    assert (report.transcripts_saved, report.transcripts_present, report.transcripts_pending) == (1, 0, 1)


async def test_no_count_is_below_nothing_where_a_service_gives_more_than_was_asked_for(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    world.lower = LOWER["ignored"]
    world.add_live("live", age=2 * HOUR)
    await world.archive(tmp_path)
    world.end("live", recording_url=True)
    report = await world.archive(tmp_path, from_date=world.now - HOUR)
    assert report.recordings_pending == 0


async def test_open_calls_are_not_listed_once_more_where_they_were_shown(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    world.lower, world.upper = LOWER["ignored"], UPPER["ignored"]
    world.add_many(300, age=DAY, **NO_FILES)
    for number in range(3):
        world.add_live(f"live_{number}", age=9 * DAY)
    await world.archive(tmp_path)
    world.forget()
    await world.archive(tmp_path)
    assert world.api_requests <= 4


async def test_what_two_walks_show_is_fetched_and_counted_once(world: ArchiveWorld, tmp_path: Path) -> None:
    world.lower = LOWER["by another clock"]
    world.add_many(20, age=2 * HOUR, **NO_FILES)
    await world.archive(tmp_path)
    world.pass_time(DAY)
    world.forget()
    world.add("new", transcript=None)
    is_shown_again = asyncio.Event()
    world.storage_answers["new"] = answer(
        200, world.body_of("new"), content_type="audio/mpeg", gate=is_shown_again
    )

    def look(report: ArchiveReport) -> None:
        if report.calls_seen > 20:
            asyncio.get_running_loop().call_soon(is_shown_again.set)

    report = await world.archive(tmp_path, progress=look)
    assert world.asked == {"list": 2, "storage": 1}
    assert (report.recordings_saved, report.recordings_present) == (1, 0)


WINDOWS = {
    "disjoint": ((10, 8), (4, 2)),
    "overlapping": ((10, 5), (7, 2)),
    "overlapping, the later first": ((7, 2), (10, 5)),
    "the second inside the first": ((10, 2), (7, 5)),
    "the first inside the second": ((7, 5), (10, 2)),
    "side by side": ((10, 6), (6, 2)),
}


@pytest.mark.parametrize("windows", WINDOWS.values(), ids=WINDOWS)
async def test_windows_add_up(
    world: ArchiveWorld, tmp_path: Path, windows: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    ages = {f"call_{number}": number * HOUR for number in range(12 * 24)}
    for call_id, age in ages.items():
        world.add(call_id, age=age, **NO_FILES)
    expected: set[str] = set()
    for first, last in windows:
        expected |= {call_id for call_id, age in ages.items() if last * DAY <= age <= first * DAY}
        report = await world.archive(tmp_path, from_date=world.now - first * DAY, to_date=world.now - last * DAY)
        assert ids_in(tmp_path) >= expected
        assert len(ids_in(tmp_path)) <= len(expected) + 4  # a second beyond the ends
    world.forget()
    report = await world.archive(tmp_path)
    assert ids_in(tmp_path) == set(ages)
    assert report.calls_new == len(ages) - len(expected)


async def test_a_window_inside_what_was_listed_costs_nothing(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(500, age=3 * DAY, apart=HOUR, **NO_FILES)
    await world.archive(tmp_path)
    world.forget()
    await world.archive(tmp_path, from_date=world.now - 10 * DAY, to_date=world.now - 5 * DAY)
    assert world.api_requests == 0


async def test_a_span_of_thirty_days_moves_on_for_next_to_nothing(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(2000, "old", age=2 * HOUR, apart=HOUR / 2, **NO_FILES)
    await world.archive(tmp_path, from_date=world.now - 30 * DAY)
    world.pass_time(DAY)
    await world.archive(tmp_path, from_date=world.now - 30 * DAY)
    for night in range(5):
        world.pass_time(DAY)
        world.add_many(40, f"night {night}", apart=MINUTE, **NO_FILES)
        world.forget()
        report = await world.archive(tmp_path, from_date=world.now - 30 * DAY)
        assert report.calls_new == 40
        assert world.api_requests <= 3


READINGS = [(lower, "inclusive") for lower in LOWER] + [
    ("inclusive", upper) for upper in UPPER if upper != "inclusive"
]


@pytest.mark.parametrize(("lower", "upper"), [*READINGS, ("ignored", "ignored"), ("by day", "by earlier day")])
async def test_however_a_service_reads_the_bounds_nothing_is_lost(
    world: ArchiveWorld, tmp_path: Path, lower: str, upper: str
) -> None:
    world.lower, world.upper = LOWER[lower], UPPER[upper]
    world.add_many(130, "old", age=8 * DAY, apart=HOUR / 3, **NO_FILES)
    window: dict[str, Any] = {"from_date": world.now - 9 * DAY, "to_date": world.now - 8.5 * DAY}
    await world.archive(tmp_path, **window)
    await world.archive(tmp_path)
    expected = set(world.rows)
    assert ids_in(tmp_path) == expected
    for night in range(3):
        world.pass_time(3 * HOUR)
        world.add_many(60, f"night {night}", age=MINUTE, **NO_FILES)
        world.add_live(f"live.{night}", age=2 * HOUR)
        await world.archive(tmp_path)
        assert ids_in(tmp_path) == set(world.rows)
    for night in range(3):
        world.end(f"live.{night}", recording_url=True)
    await world.archive(tmp_path)
    assert [states_in(tmp_path)[f"live.{night}"] for night in range(3)] == ["saved"] * 3


@pytest.mark.parametrize("times", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", None])
async def test_calls_without_a_time_that_can_be_true_hide_none(
    world: ArchiveWorld, tmp_path: Path, times: str | None
) -> None:
    for number in range(60):
        world.add(f"odd_{number}", created_at=times, completed_at=None)
    world.add_live("odd.live", created_at=times)
    world.add_many(60, "old", age=3 * DAY)
    await world.archive(tmp_path)
    assert ids_in(tmp_path) == set(world.rows)
    for night in range(3):
        world.pass_time(DAY)
        world.add_many(60, f"night {night}")
        await world.archive(tmp_path)
        assert ids_in(tmp_path) == set(world.rows)
    world.end("odd.live", recording_url=True)
    await world.archive(tmp_path)
    assert set(states_in(tmp_path).values()) == {"saved"}


async def test_a_clock_that_was_ahead_hides_no_call(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(80, "ahead", age=-3 * DAY, apart=MINUTE, **NO_FILES)
    await world.archive(tmp_path)
    world.pass_time(HOUR)
    world.add_many(30, "true", age=MINUTE, apart=timedelta(seconds=1), **NO_FILES)
    await world.archive(tmp_path)
    assert ids_in(tmp_path) == set(world.rows)


async def test_a_window_in_plain_dates_is_read_as_a_listings(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add("early", created_at="2025-01-09T23:59:59Z")
    world.add("in", created_at="2025-01-10T00:00:00Z")
    world.add("in, too", created_at="2025-01-11T23:59:59.9Z")
    world.add("late", created_at="2025-01-12T00:00:00Z")
    await world.archive(tmp_path, from_date="2025-01-10", to_date=datetime(2025, 1, 11).date())
    assert ids_in(tmp_path) == {"in", "in, too"}
