"""What an archive keeps: words that change, calls that vanish, files that are lost, odd ids, older catalogues."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from archive_folder import check_catalog, contents_of, files_in, found_in, rows_in, states_in
from archive_world import DAY, HOUR, MINUTE, ArchiveWorld, serving, text_of
from raw_server import answer

from krosai_calls import RequestBudgetExceededError
from krosai_calls._schema import _MIGRATIONS, VERSION

HOSTILE = [
    "../../etc/x",
    "/abs",
    "A",
    "a",
    "con",
    "x.mp3",
    "-rf",
    "\x1b[2J",
    "é",
    "é" * 300,
    "call\n1",
    ".",
    "..",
    "stats",
]
SURROGATES = ["\ud83d", "\ud83e", "x\ud83d", "\ufffd"]


@pytest.fixture
async def world() -> AsyncIterator[ArchiveWorld]:
    async with serving() as made:
        yield made


# --- Words --------------------------------------------------------------------------------------------------


async def test_a_corrected_transcript_takes_the_place_of_the_old_one_everywhere(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    world.add("call_1", transcript="[Agent]: herring\n[Caller]: yes")
    world.add("call_2", transcript="[Agent]: herring")
    await world.archive(tmp_path)
    assert found_in(tmp_path, "herring") == {"call_1", "call_2"}
    world.rows["call_1"] |= {"transcript": "[Agent]: mackerel", "status": "failed"}
    report = await world.archive(tmp_path)
    assert (report.calls_updated, report.transcripts_saved, report.transcripts_present) == (1, 1, 1)
    assert (found_in(tmp_path, "herring"), found_in(tmp_path, "mackerel")) == ({"call_2"}, {"call_1"})
    assert rows_in(tmp_path, "SELECT count(*) FROM turns WHERE call_id = 'call_1'") == [(1,)]
    assert rows_in(tmp_path, "SELECT status FROM calls WHERE id = 'call_1'") == [("failed",)]
    assert sorted(data for name, data in files_in(tmp_path).items() if name.endswith(".txt")) == [
        b"[Agent]: herring",
        b"[Agent]: mackerel",
    ]
    check_catalog(tmp_path)


@pytest.mark.parametrize("blank", [" \n", "[Agent]:"])
async def test_j9_a_transcript_without_words_is_written_once(
    world: ArchiveWorld, tmp_path: Path, blank: str
) -> None:
    world.add("call_1", transcript=blank)
    assert (await world.archive(tmp_path)).transcripts_saved == 1
    assert (await world.archive(tmp_path)).transcripts_saved == 0


# --- What the service deletes -------------------------------------------------------------------------------


async def test_h5_what_the_service_deletes_of_a_call_is_kept(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add("call_1", transcript="[Agent]: herring")
    await world.archive(tmp_path)
    before = files_in(tmp_path)
    world.pass_time(100 * DAY)
    world.rows["call_1"] |= {"recording_url": None, "transcript": None}
    world.forget()
    report = await world.archive(tmp_path)
    assert files_in(tmp_path) == before
    assert (report.recordings_present, report.transcripts_present) == (1, 1)
    assert found_in(tmp_path, "herring") == {"call_1"}
    assert rows_in(tmp_path, "SELECT transcript FROM calls") == [("[Agent]: herring",)]
    assert world.asked == {"list": 1}


async def test_h6_a_call_that_vanishes_is_kept(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(30, age=3 * DAY)
    await world.archive(tmp_path)
    before = contents_of(tmp_path)
    for number in range(10):
        del world.rows[f"call_{number}"]
    world.forget()
    await world.archive(tmp_path)
    assert contents_of(tmp_path) == before
    assert world.asked == {"list": 1}


async def test_an_open_call_that_vanishes_is_asked_for_once(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(30, age=3 * DAY)
    world.add_live("live", transcript="[Agent]: Hel")
    world.add_live("silent")
    await world.archive(tmp_path, recordings=False)
    del world.rows["live"], world.rows["silent"]
    world.forget()
    await world.archive(tmp_path, recordings=False)
    assert world.asked["call"] == 2
    world.forget()
    await world.archive(tmp_path)
    assert world.asked["call"] == 0
    assert (states_in(tmp_path)["live"], states_in(tmp_path, "transcript")["live"]) == ("gone", "gone")


async def test_a_recording_that_was_gone_and_comes_again_is_fetched(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add("call_1", age=3 * DAY, recording_url=None)
    await world.archive(tmp_path)
    assert states_in(tmp_path) == {"call_1": "gone"}
    world.rows["call_1"]["recording_url"] = True
    assert (await world.archive(tmp_path)).recordings_saved == 1


# --- What is lost here --------------------------------------------------------------------------------------


async def test_the_catalogue_is_made_again_from_the_service_and_the_files(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    world.add_many(120, age=3 * DAY)
    world.add("gone", age=3 * DAY, recording_url=None)
    await world.archive(tmp_path)
    before = contents_of(tmp_path)
    (tmp_path / "catalog.sqlite").unlink()
    world.forget()
    report = await world.archive(tmp_path)
    assert world.asked == {"list": 2}
    assert contents_of(tmp_path) == before
    assert (report.recordings_saved, report.recordings_present) == (0, 120)


async def test_a_file_that_was_deleted_is_fetched_again_when_its_call_is_listed(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    world.add_many(3, age=3 * DAY)
    await world.archive(tmp_path)
    before = files_in(tmp_path)
    for name in before:
        if name.endswith(("call_1.mp3", "call_2.txt")):
            (tmp_path / name).unlink()
    report = await world.archive(tmp_path)
    assert (report.recordings_saved, report.transcripts_saved) == (1, 1)
    assert files_in(tmp_path) == before


async def test_n3_only_what_failed_is_tried_again(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(100, age=3 * DAY)
    bad = ["call_3", "call_50", "call_97"]
    for call_id in bad:
        world.storage_answers[call_id] = answer(500)
    report = await world.archive(tmp_path)
    assert (report.recordings_saved, report.recordings_failed) == (97, 3)
    assert [failure.call_id for failure in report.failures] == bad
    attempts = "SELECT call_id, attempts, last_error <> '' FROM artefacts WHERE state = 'failed' ORDER BY call_id"
    assert rows_in(tmp_path, attempts) == [("call_3", 1, 1), ("call_50", 1, 1), ("call_97", 1, 1)]
    world.add_many(200, "since", age=MINUTE, apart=MINUTE / 60, recording_url=None, transcript=None)
    world.storage_answers.clear()
    world.forget()
    report = await world.archive(tmp_path)
    assert sorted(world.fetched) == bad
    assert world.asked["list"] <= 4
    assert (report.recordings_saved, report.recordings_failed, report.recordings_present) == (3, 0, 97)
    assert rows_in(tmp_path, "SELECT count(*) FROM artefacts WHERE last_error IS NOT NULL") == [(0,)]


# --- Odd ids ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [HOSTILE, SURROGATES], ids=["hostile", "surrogates"])
async def test_m9_calls_with_odd_ids_are_archived_like_others_run_after_run(
    world: ArchiveWorld, tmp_path: Path, ids: list[str]
) -> None:
    folder = tmp_path / "deep" / "calls"
    for number, call_id in enumerate(ids):
        world.add_live(call_id, age=HOUR + number * MINUTE)
    await world.archive(folder)
    world.pass_time(HOUR)
    for call_id in ids:
        world.end(call_id)
    await world.archive(folder)
    world.add_many(150, "since", age=MINUTE, apart=MINUTE / 60, status="busy", recording_url=None, transcript=None)
    world.pass_time(HOUR)
    for call_id in ids:
        world.rows[call_id] |= {"recording_url": True, "transcript": f"[Agent]: {len(call_id)}"}
    report = await world.archive(folder)
    names = {name.lower() for name in files_in(folder) if name.endswith(".mp3")}
    assert (report.recordings_saved, report.failures) == (len(ids), ())
    assert len(names) == len(ids)
    assert os.listdir(tmp_path) == ["deep"]
    assert os.listdir(tmp_path / "deep") == ["calls"]
    assert len(rows_in(folder, "SELECT id FROM calls WHERE id NOT LIKE 'since%'")) == len(ids)
    world.forget()
    await world.archive(folder)
    assert world.asked == {"list": 1}
    check_catalog(folder)


async def test_an_open_call_whose_id_is_part_of_no_path_is_listed(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_live("../x", age=5 * DAY)
    world.add_many(300, age=DAY, recording_url=None, transcript=None)
    await world.archive(tmp_path)
    world.pass_time(HOUR)
    world.end("../x", recording_url=True)
    world.forget()
    report = await world.archive(tmp_path)
    assert (report.recordings_saved, report.failures) == (1, ())
    assert world.asked["call"] == 0


# --- Timelines ----------------------------------------------------------------------------------------------


async def test_timelines_are_fetched_once_and_again_while_a_call_goes_on(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    world.add_many(80, age=3 * DAY, recording_url=None, transcript=None)
    world.add_live("live")
    await world.archive(tmp_path)
    world.forget()
    await world.archive(tmp_path, events=True)
    assert world.asked["events"] == 81
    assert len(rows_in(tmp_path, "SELECT * FROM events")) == 81
    world.forget()
    await world.archive(tmp_path, events=True)
    assert world.asked["events"] == 1
    world.end("live", recording_url=True)
    await world.archive(tmp_path, events=True)
    world.forget()
    await world.archive(tmp_path, events=True)
    assert world.asked == {"list": 1}


async def test_timelines_that_a_quota_left_out_come_the_next_day(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(20, age=3 * DAY)
    world.quota = 8
    with pytest.raises(RequestBudgetExceededError):
        await world.archive(tmp_path, events=True, settings={"max_concurrency": 2})
    world.quota = None
    await world.archive(tmp_path, events=True)
    assert len(rows_in(tmp_path, "SELECT * FROM events")) == 20
    assert set(states_in(tmp_path, "events").values()) == {"saved"}
    assert set(states_in(tmp_path).values()) == {"saved"}


# --- Older catalogues ---------------------------------------------------------------------------------------


async def test_j11_a_catalogue_of_the_first_version_is_brought_up(world: ArchiveWorld, tmp_path: Path) -> None:
    world.add_many(20, age=3 * DAY)
    await world.archive(tmp_path / "new")
    shutil.copytree(tmp_path / "new", tmp_path / "old", ignore=shutil.ignore_patterns("catalog*"))
    connection = sqlite3.connect(tmp_path / "old" / "catalog.sqlite")
    connection.executescript(f"{_MIGRATIONS[0]} PRAGMA user_version = 1;")
    connection.execute("ATTACH ? AS new", (str(tmp_path / "new" / "catalog.sqlite"),))
    connection.execute("INSERT INTO calls SELECT * FROM new.calls")
    vanished = ("vanished", "[Agent]: herring", text_of(world.now - 400 * DAY))
    connection.execute("INSERT INTO calls (id, transcript, created_at, raw) VALUES (?, ?, ?, '{}')", vanished)
    connection.commit()
    connection.close()
    world.forget()
    report = await world.archive(tmp_path / "old")
    assert rows_in(tmp_path / "old", "PRAGMA user_version") == [(VERSION,)]
    assert world.asked == {"list": 1}
    assert (report.recordings_saved, report.recordings_present, report.calls_new) == (0, 20, 0)
    assert found_in(tmp_path / "old", "herring") == {"vanished"}
    assert found_in(tmp_path / "old", "call_7") == {"call_7"}
    check_catalog(tmp_path / "old")
    world.forget()
    await world.archive(tmp_path / "old")
    assert world.asked == {"list": 1}
