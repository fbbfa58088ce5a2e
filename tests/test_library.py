"""``Archive``: opening a folder, counting its calls and reading them, beside a run and after damage."""

from __future__ import annotations

import gc
import json
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from archive_maker import making

from krosai_calls import Archive, ArchiveError, CallDirection, InvalidArgumentError


def ids(archive: Archive, **filters: Any) -> list[str]:
    return [call.id for call in archive.calls(**filters)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four calls on four days, put in in no order, and one without a time."""
    with making(tmp_path) as maker:
        maker.call("second", created_at="2025-01-02T12:00:00.000Z", direction="inbound", status="completed")
        maker.call("undated", created_at=None, endpoint_id="ep_1")
        maker.call("fourth", created_at="2025-01-04T12:00:00.500Z", direction="inbound", endpoint_id="ep_1")
        maker.call("first", created_at="2025-01-01T12:00:00.000Z", direction="outbound", phone_number_id="pn_1")
        maker.call("third", created_at="2025-01-03T23:59:59.999Z", direction="outbound", status="busy")
    return tmp_path


# ---- opening


def test_a_folder_without_a_catalogue_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"holds no archive.*krosai-calls archive"):
        Archive(tmp_path / "nowhere")


def test_looking_into_a_folder_makes_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError):
        Archive(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"no database at all, " * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_damaged_catalogue_is_told_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"is damaged .*move it away"):
        Archive(tmp_path)


@pytest.mark.parametrize(("version", "advice"), [(0, "once more"), (1, "once more"), (99, "Please update")])
def test_a_catalogue_of_another_version_is_told_with_what_to_do(folder: Path, version: int, advice: str) -> None:
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(ArchiveError, match=rf"of version {version},.*{advice}"):
        Archive(folder)


def test_another_database_of_the_same_version_is_told_apart(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(ArchiveError, match="no catalogue of this package"):
        Archive(tmp_path).count()


def test_a_folder_whose_name_means_something_in_an_address_opens(tmp_path: Path) -> None:
    with making(tmp_path / "50% of? it#all") as maker:
        maker.call("call_1")
    assert Archive(tmp_path / "50% of? it#all").count() == 1


def test_the_folder_may_be_given_as_a_text_and_relative(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    archive = Archive(folder.name)
    monkeypatch.chdir("/")
    assert (archive.directory, archive.count()) == (folder, 5)


def test_an_archive_is_read_while_a_run_writes_into_it(folder: Path) -> None:
    with making(folder) as run, Archive(folder) as archive:
        run.sql.execute("BEGIN IMMEDIATE")
        run.call("fifth", created_at="2025-01-05T12:00:00.000Z")
        assert archive.count() == 5
        run.sql.execute("COMMIT")
        assert archive.count() == 6


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere: run it as another user")
def test_an_archive_on_a_disk_that_takes_nothing_is_read(folder: Path) -> None:
    folder.chmod(0o500)
    try:
        assert Archive(folder).count() == 5
    finally:
        folder.chmod(0o700)


def test_the_catalogue_is_never_written_to(folder: Path) -> None:
    before = (folder / "catalog.sqlite").read_bytes()
    archive = Archive(folder)
    archive.search("nothing")
    archive.verify()
    ids(archive)
    assert (folder / "catalog.sqlite").read_bytes() == before


def test_an_archive_is_shared_between_threads(folder: Path) -> None:
    archive, counts = Archive(folder), []
    threads = [threading.Thread(target=lambda: counts.append(archive.count())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [5, 5, 5, 5]


def test_using_an_archive_loads_no_http_library(folder: Path) -> None:
    script = (
        "import sys; from krosai_calls import Archive\n"
        f"with Archive({str(folder)!r}) as archive: print(archive.count(), len(archive.search('x')))\n"
        "print({'aiohttp', 'yarl', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=25, check=True
    )
    assert (done.stdout, done.stderr) == ("5 0\nset()\n", "")


# ---- calls


def test_calls_come_newest_first_and_those_without_a_time_last(folder: Path) -> None:
    assert ids(Archive(folder)) == ["fourth", "third", "second", "first", "undated"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"direction": "inbound"}, ["fourth", "second"]),
        ({"direction": CallDirection.OUTBOUND}, ["third", "first"]),
        ({"status": "busy"}, ["third"]),
        ({"endpoint_id": "ep_1"}, ["fourth", "undated"]),
        ({"phone_number_id": "pn_1"}, ["first"]),
        ({"from_date": "2025-01-03"}, ["fourth", "third"]),
        ({"to_date": date(2025, 1, 3)}, ["third", "second", "first"]),
        ({"from_date": datetime(2025, 1, 4, 12, 0, 0, 500_000, UTC)}, ["fourth"]),
        ({"from_date": datetime(2025, 1, 4, 12, 0, 0, 501_000, UTC)}, []),
        ({"from_date": "2025-01-02T13:00:00+01:00", "to_date": "2025-01-02T13:00:00+01:00"}, ["second"]),
        ({"status": "'; DROP TABLE calls; --"}, []),
    ],
)
def test_filters_choose_calls_and_count_them(folder: Path, filters: dict[str, Any], found: list[str]) -> None:
    archive = Archive(folder)
    assert ids(archive, **filters) == found
    assert archive.count(**filters) == len(found)


@pytest.mark.parametrize(
    "filters", [{"status": ""}, {"from_date": "soon"}, {"from_date": "2025-02-01", "to_date": "2025-01-01"}]
)
def test_a_filter_that_cannot_be_right_is_refused_at_once(folder: Path, filters: dict[str, Any]) -> None:
    archive = Archive(folder)
    for verb in (archive.calls, archive.count):
        with pytest.raises(InvalidArgumentError):
            verb(**filters)


def test_a_call_is_what_the_service_sent(tmp_path: Path) -> None:
    sent = {"direction": "inbound", "duration": 61, "metadata": {"order": 7}, "sentiment": "fine", "status": [1]}
    with making(tmp_path) as maker:
        maker.call("call_1")
        maker.sql.execute("UPDATE calls SET raw = ?", (json.dumps({"id": "call_1", **sent}),))
    (call,) = Archive(tmp_path).calls()
    assert (call.direction, call.duration, call.metadata) == (CallDirection.INBOUND, 61, {"order": 7})
    assert call.extra == {"sentiment": "fine"}
    assert call.to_dict() == {"id": "call_1", **sent}


@pytest.mark.parametrize("created_at", ["2025-01-10T12:00:00.000Z", None])
def test_many_calls_of_one_moment_come_once_each(tmp_path: Path, created_at: str | None) -> None:
    with making(tmp_path) as maker:
        maker.sql.execute("BEGIN")
        for number in range(950):
            maker.call(f"call_{number:03}", created_at=created_at)
        maker.sql.execute("COMMIT")
    found = ids(Archive(tmp_path))
    assert found == [f"call_{number:03}" for number in range(949, -1, -1)]


def test_a_run_that_adds_calls_meanwhile_repeats_none(tmp_path: Path) -> None:
    with making(tmp_path) as maker:
        maker.sql.execute("BEGIN")
        for number in range(450):
            maker.call(f"call_{number:03}", created_at=f"2025-01-10T12:00:00.{number:03}Z")
        maker.sql.execute("COMMIT")
        calls = Archive(tmp_path).calls()
        found = [next(calls).id]
        maker.call("new", created_at="2025-01-11T12:00:00.000Z")
        found += [call.id for call in calls]
    assert found == [f"call_{number:03}" for number in range(449, -1, -1)]


def test_calls_that_are_not_read_to_their_end_leave_nothing_open(folder: Path) -> None:
    calls = Archive(folder).calls()
    next(calls)
    del calls
    gc.collect()  # an open connection would warn, and a warning is an error here


@pytest.mark.parametrize("raw", ["no JSON", "[]", "{}", 7])
def test_a_damaged_row_is_told_by_its_call(folder: Path, raw: Any) -> None:
    with making(folder) as maker:
        maker.sql.execute("UPDATE calls SET raw = ? WHERE id = 'third'", (raw,))
    calls = Archive(folder).calls()
    assert next(calls).id == "fourth"
    with pytest.raises(ArchiveError, match="call third is damaged"):
        next(calls)
