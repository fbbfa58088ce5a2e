"""An archive's run is killed, cancelled, or not the only one: what was saved is kept, and the next run goes on.

`python tests/archive_torture.py --kills --seeds 20` kills more often than these tests.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import filelock
import pytest
from archive_folder import check_catalog, contents_of, files_in, rows_in, states_in
from archive_torture import killed, run_program
from archive_world import DAY, ArchiveWorld, serving
from raw_server import Answer

from krosai_calls import ArchiveError, ArchiveReport, catalog

kills = pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks, and kills by SIGKILL: Linux and macOS")


@pytest.fixture
async def world() -> AsyncIterator[ArchiveWorld]:
    async with serving() as made:
        yield made


# --- Killed, cancelled --------------------------------------------------------------------------------------


@kills
@pytest.mark.timeout(90)
@pytest.mark.parametrize("seed", [1])
async def test_j01_ten_kills_break_nothing_and_repeat_nothing(tmp_path: Path, seed: int) -> None:
    story = await killed(seed, tmp_path)
    assert not story.problems, str(story)
    assert story.runs == ["9"] * 10 + ["0"], "the exit codes are those of SIGKILL, and of the last run"
    assert story.ratio <= 1.15, str(story)
    assert story.requests <= 10 * 8


async def test_a_run_that_is_cancelled_again_and_again_comes_to_its_end(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    world.add_many(120, age=3 * DAY)
    await world.archive(tmp_path / "undisturbed")
    for step in (1, 3, 30, 60, 90):
        run = asyncio.ensure_future(world.archive(tmp_path / "calls"))
        arrival = asyncio.ensure_future(world.server.received(len(world.server.requests) + step))
        await asyncio.wait([run, arrival], return_when=asyncio.FIRST_COMPLETED)
        arrival.cancel()
        run.cancel()
        await asyncio.wait([run, arrival])
    outcomes = rows_in(tmp_path / "calls", "SELECT outcome, ended_at IS NOT NULL FROM runs")
    assert ("interrupted", 1) in outcomes
    await world.archive(tmp_path / "calls")
    assert contents_of(tmp_path / "calls") == contents_of(tmp_path / "undisturbed")
    check_catalog(tmp_path / "calls")


async def test_j12_what_a_killed_run_left_beside_its_catalogue_is_taken_in(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    world.add_many(20, age=3 * DAY)
    world.storage_answers["call_7"] = Answer(then="hang")
    are_saved = asyncio.Event()

    def look(report: ArchiveReport) -> None:
        if report.recordings_saved == 19 and report.transcripts_saved == 20:
            are_saved.set()

    run = asyncio.ensure_future(world.archive(tmp_path / "calls", progress=look))
    await are_saved.wait()
    shutil.copytree(tmp_path / "calls", tmp_path / "left behind")
    run.cancel()
    await asyncio.wait([run])
    assert os.stat(tmp_path / "left behind" / "catalog.sqlite-wal").st_size > 0
    world.storage_answers.clear()
    world.forget()
    report = await world.archive(tmp_path / "left behind")
    assert (report.recordings_saved, report.recordings_present) == (1, 19)
    assert world.fetched == ["call_7"]
    outcomes = rows_in(tmp_path / "left behind", "SELECT outcome FROM runs")
    assert outcomes == [("killed",), ("done",)]


# --- Held by another ----------------------------------------------------------------------------------------


@kills
async def test_j6_a_second_run_is_told_who_holds_the_folder_and_a_kill_lets_it_go(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    world.add("call_1", age=3 * DAY, transcript=None)
    world.storage_answers["call_1"] = Answer(then="hang")
    first = await run_program(world, "archive", str(tmp_path / "calls"))
    await world.server.received(2)
    before = contents_of(tmp_path / "calls")
    holder = f"process {first.pid} on {socket.gethostname()}, since 20"
    with pytest.raises(ArchiveError, match=holder):
        await world.archive(tmp_path / "calls")
    second = await run_program(world, "archive", str(tmp_path / "calls"))
    _, said = await second.communicate()
    assert second.returncode == 9
    assert holder in said.decode()
    assert contents_of(tmp_path / "calls") == before
    assert len(world.server.requests) == 2
    first.kill()
    await first.communicate()
    world.storage_answers.clear()
    assert (await world.archive(tmp_path / "calls")).recordings_saved == 1


@pytest.mark.parametrize(
    "fault", [NotImplementedError("no flock here"), OSError(errno.ENOLCK, "No locks available")], ids=repr
)
async def test_where_nothing_can_be_locked_an_archive_is_made_all_the_same(
    world: ArchiveWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def acquire(self: object) -> None:
        raise fault

    monkeypatch.setattr(filelock.FileLock, "_acquire", acquire)
    world.add_many(30, age=3 * DAY)
    one, other = await asyncio.gather(world.archive(tmp_path), world.archive(tmp_path), return_exceptions=True)
    await world.archive(tmp_path)
    assert set(states_in(tmp_path).values()) == {"saved"}
    assert {data for name, data in files_in(tmp_path).items() if name.endswith(".mp3")} == {
        world.body_of(call_id) for call_id in world.rows
    }
    assert not [name for name in files_in(tmp_path) if ".part" in name], (one, other)
    check_catalog(tmp_path)


async def test_j10_a_catalogue_that_another_program_writes_to_is_told(
    world: ArchiveWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add("call_1", age=3 * DAY)
    await world.archive(tmp_path)
    monkeypatch.setattr(catalog, "BUSY_SECONDS", 0.05)
    other = sqlite3.connect(tmp_path / "catalog.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ArchiveError, match="in use by another program"):
        await world.archive(tmp_path)
    other.execute("ROLLBACK")
    other.execute("BEGIN")
    other.execute("SELECT * FROM calls").fetchone()
    world.add("call_2", age=2 * DAY)
    assert (await world.archive(tmp_path)).calls_new == 1  # whoever only reads is in nobody's way
    other.close()
