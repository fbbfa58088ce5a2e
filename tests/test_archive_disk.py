"""An archive is short of room or damaged, or others may look: what was saved is kept, and the next run goes on."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from archive_folder import check_catalog, contents_of, files_in, rows_in, states_in
from archive_torture import run_program
from archive_world import DAY, ArchiveWorld, serving
from audio import recording
from raw_server import answer

from krosai_calls import ArchiveError, ArchiveReport, RequestBudgetExceededError, _files, _schema, catalog


@pytest.fixture
async def world() -> AsyncIterator[ArchiveWorld]:
    async with serving() as made:
        yield made


# --- Short of room ------------------------------------------------------------------------------------------


async def test_a_full_disk_ends_a_run_at_once_and_everything_is_kept(
    world: ArchiveWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add_many(60, age=3 * DAY)
    left, write_all = 10, _files.write_all

    def write(descriptor: int, data: bytes) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_all(descriptor, data)

    with monkeypatch.context() as patched:
        patched.setattr("krosai_calls._parts.write_all", write)
        with pytest.raises(ArchiveError, match="make room and run again"):
            await world.archive(tmp_path, workers=3)
    assert sum(state == "saved" for state in states_in(tmp_path).values()) in range(5, 11)
    assert len(world.fetched) < 20
    world.forget()
    await world.archive(tmp_path)
    assert set(states_in(tmp_path).values()) == {"saved"}
    assert len(world.fetched) <= 55
    assert not [name for name in files_in(tmp_path) if ".part" in name]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(words, capture_output=True, check=False)
    except OSError:
        pytest.skip("nothing can be mounted here")
    if done.returncode:
        pytest.skip("nothing may be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_i1_a_disk_that_is_really_full_is_told_and_a_larger_one_goes_on(
    world: ArchiveWorld, tmp_path: Path, small_disk: Path
) -> None:
    world.frames = 800
    world.add_many(40, age=3 * DAY)
    process = await run_program(world, "archive", str(small_disk / "calls"))
    _, said = await process.communicate()
    assert process.returncode == 9, said
    assert b"full" in said or b"No space left" in said
    saved = [data for name, data in files_in(small_disk / "calls").items() if name.endswith(".mp3")]
    assert len(saved) > 3
    shutil.copytree(small_disk / "calls", tmp_path / "calls")
    world.forget()
    await world.archive(tmp_path / "calls")
    assert set(states_in(tmp_path / "calls").values()) == {"saved"}
    assert len(world.fetched) <= 40 - len(saved)
    check_catalog(tmp_path / "calls")


@pytest.mark.parametrize("pages_more", [1, 10])
async def test_i2_a_catalogue_that_cannot_grow_is_told_as_a_full_disk(
    world: ArchiveWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages_more: int
) -> None:
    opened = catalog._open

    def open_with_little_room(path: Path) -> sqlite3.Connection:
        connection = opened(path)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + pages_more}")
        return connection

    world.add_many(200, age=3 * DAY, transcript="[Agent]: " + "words " * 200)
    with monkeypatch.context() as patched:
        patched.setattr(catalog, "_open", open_with_little_room)
        with pytest.raises(ArchiveError, match="the disk is full"):
            await world.archive(tmp_path)
    check_catalog(tmp_path)
    await world.archive(tmp_path)
    assert set(states_in(tmp_path).values()) == {"saved"}
    check_catalog(tmp_path)


# --- Damaged ------------------------------------------------------------------------------------------------


def scribble(path: Path, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(data)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"my diary" * 1000, "damaged", id="garbage"),
        pytest.param(b"SQLite format 3\0" + b"\xff" * 5000, "damaged", id="nearly a database"),
    ],
)
async def test_j5_a_catalogue_that_is_none_is_told_and_left_alone(
    world: ArchiveWorld, tmp_path: Path, content: bytes, words: str
) -> None:
    world.add("call_1", age=3 * DAY)
    (tmp_path / "catalog.sqlite").write_bytes(content)
    with pytest.raises(ArchiveError, match=words):
        await world.archive(tmp_path)
    assert (tmp_path / "catalog.sqlite").read_bytes() == content
    assert world.requests == []


async def test_j5_a_catalogue_with_a_broken_page_is_told_and_the_files_make_a_new_one(
    world: ArchiveWorld, tmp_path: Path
) -> None:
    world.add_many(50, age=3 * DAY)
    await world.archive(tmp_path)
    before = contents_of(tmp_path)
    scribble(tmp_path / "catalog.sqlite", b"\xff" * 4096 * 6)
    with pytest.raises(ArchiveError, match="move it away, and the next run makes a new one"):
        await world.archive(tmp_path)
    assert files_in(tmp_path) == before["files"]
    (tmp_path / "catalog.sqlite").rename(tmp_path / "catalog.sqlite.broken")
    world.forget()
    await world.archive(tmp_path)
    assert world.asked == {"list": 1}
    assert contents_of(tmp_path) == before


async def test_j5_an_empty_file_is_a_new_catalogue(world: ArchiveWorld, tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"")
    world.add("call_1", age=3 * DAY)
    assert (await world.archive(tmp_path)).recordings_saved == 1


async def test_j11_a_step_of_the_schema_that_breaks_off_leaves_nothing_of_itself(
    world: ArchiveWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _schema._MIGRATIONS
    world.add("call_1", age=3 * DAY)
    with monkeypatch.context() as patched:
        patched.setattr(_schema, "_MIGRATIONS", (first, f"{second} INSERT INTO nowhere VALUES (1);"))
        with pytest.raises(ArchiveError):
            await world.archive(tmp_path)
    assert rows_in(tmp_path, "PRAGMA user_version") == [(1,)]
    assert rows_in(tmp_path, "SELECT name FROM sqlite_master WHERE name = 'turns'") == []
    assert (await world.archive(tmp_path)).recordings_saved == 1


# --- For its owner alone ------------------------------------------------------------------------------------


def modes_in(folder: Path) -> dict[str, str]:
    entries = [folder, *folder.rglob("*")]
    return {str(entry.relative_to(folder)): stat.filemode(entry.lstat().st_mode) for entry in entries}


async def test_m11_everything_is_for_its_owner_alone(world: ArchiveWorld, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        world.add_many(3, age=3 * DAY)
        world.frames = 2000
        world.add("cut", age=3 * DAY)
        body = world.body_of("cut")
        world.storage_answers["cut"] = answer(
            200, body, [("ETag", '"x"')], content_type="audio/mpeg", cut=len(body) // 2, then="hang"
        )
        during: dict[str, str] = {}

        def look(report: ArchiveReport) -> None:
            during.update(modes_in(tmp_path / "calls"))

        with pytest.raises(RequestBudgetExceededError):
            await world.archive(tmp_path / "calls", max_seconds=0.6, progress=look)
        after = modes_in(tmp_path / "calls")
    finally:
        os.umask(before)
    assert {"catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm", "catalog.sqlite.lock"} <= during.keys()
    assert [name for name in after if name.endswith((".part", ".part.log"))]
    for modes in (during, after):
        assert set(modes.values()) <= {"drwx------", "-rw-------"}, modes


async def test_m19_no_signature_and_no_key_is_in_any_file(world: ArchiveWorld, tmp_path: Path) -> None:
    faults: dict[str, Any] = {
        "refused": answer(500, b"<Error>signature=CANARYSIG</Error>"),
        "html": answer(200, b"<html>?signature=CANARYSIG", content_type="text/html"),
        "elsewhere": answer(302, headers=[("Location", f"{world.server.url}/storage/0.mp3?signature=CANARYSIG")]),
        "cut": answer(200, recording(100), [("ETag", '"x"')], cut=3000),
    }
    world.add("call_1", age=3 * DAY)
    for call_id, fault in faults.items():
        world.add(call_id, age=3 * DAY)
        world.storage_answers[call_id] = fault
    await world.archive(tmp_path, events=True)
    world.rows["call_1"]["extra"] = "noted"
    await world.archive(tmp_path, events=True)
    contents = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}  # noqa: ASYNC240
    assert len(contents) > 5
    assert [name for name, data in contents.items() if b"CANARYSIG" in data] == []
    assert [name for name, data in contents.items() if b"CANARYKEY" in data] == []
