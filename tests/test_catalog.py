"""The catalogue: what it holds, that it opens anywhere, and what it says when it cannot be used."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from krosai_calls import ArchiveError, Call, CallEvent
from krosai_calls._codec import decode_page
from krosai_calls._wire import Answer
from krosai_calls.catalog import FILE_NAME, Catalog

FULL = {
    "id": "call_1",
    "from_number": "+2348012345678",
    "to_number": "+254712345678",
    "direction": "inbound",
    "status": "completed",
    "duration": 61,
    "cost_cents": 12.5,
    "endpoint_id": "ep_1",
    "phone_number_id": None,
    "recording_url": "https://storage.test/recordings/call_1.mp3?signature=CANARYSIG",
    "transcript": "[Agent]: Hi",
    "created_at": "2025-01-10T13:00:00.5+01:00",
    "answered_at": "2025-01-10T12:00:05Z",
    "completed_at": None,
    "hangup_cause": "alien_abduction",
    "metadata": {"order": 7},
    "sentiment": "fine",
}


def calls_of(*rows: dict[str, Any]) -> tuple[Call, ...]:
    """The calls that these rows of a page are read as."""
    body = json.dumps({"calls": rows}).encode()
    page, seen = decode_page(Answer("GET", "http://x", 200, {}, body), limit=100, offset=0)
    assert page.calls == seen
    return page.calls


def rows_of(folder: Path, question: str) -> list[Any]:
    """What another program reads in the catalogue."""
    connection = sqlite3.connect(folder / FILE_NAME)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(question)]
    finally:
        connection.close()


async def test_a_call_becomes_a_row_with_a_column_for_each_field(tmp_path: Path) -> None:
    async with Catalog(tmp_path) as catalog:
        await catalog.save_calls(calls_of(FULL))
    (row,) = rows_of(tmp_path, "SELECT * FROM calls")
    raw = json.loads(row.pop("raw"))
    assert raw == FULL | {"recording_url": "https://storage.test/recordings/call_1.mp3"}
    assert row == {
        **{name: FULL[name] for name in row},
        "recording_url": "https://storage.test/recordings/call_1.mp3",
        "created_at": "2025-01-10T12:00:00.500Z",
        "answered_at": "2025-01-10T12:00:05.000Z",
        "metadata": '{"order":7}',
    }


async def test_no_signature_reaches_the_disk(tmp_path: Path) -> None:
    async with Catalog(tmp_path) as catalog:
        await catalog.save_calls(calls_of(FULL))
        assert not [path for path in tmp_path.iterdir() if b"CANARY" in path.read_bytes()]  # noqa: ASYNC240
    assert b"CANARY" not in (tmp_path / FILE_NAME).read_bytes()


async def test_saving_again_counts_what_is_new_and_what_differs(tmp_path: Path) -> None:
    first, changed = {"id": "call_1", "status": "in_progress"}, {"id": "call_1", "status": "completed"}
    async with Catalog(tmp_path) as catalog:
        saved = [await catalog.save_calls(calls_of(*rows)) for rows in ([first], [first], [changed, {"id": "b"}])]
    assert [(step.new, step.updated) for step in saved] == [(1, 0), (0, 0), (1, 1)]
    assert rows_of(tmp_path, "SELECT id, status FROM calls ORDER BY id") == [
        {"id": "b", "status": None},
        {"id": "call_1", "status": "completed"},
    ]


async def test_a_link_with_a_new_signature_is_no_change(tmp_path: Path) -> None:
    again = FULL | {"recording_url": "https://storage.test/recordings/call_1.mp3?signature=another"}
    async with Catalog(tmp_path) as catalog:
        await catalog.save_calls(calls_of(FULL))
        saved = await catalog.save_calls(calls_of(again))
    assert (saved.new, saved.updated) == (0, 0)


ODD = {
    "a lone surrogate": {"id": "\ud83d", "transcript": "x\ud83dy", "metadata": {"\udead": "\ud83d"}},
    "NUL": {"id": "a\0b", "transcript": "x\0y"},
    "M18 SQL": {"id": "'); DROP TABLE calls; --"},
    "a status of another type": {"id": "a", "status": ["x"], "hangup_cause": {"y": 1}, "direction": True},
    "numbers beyond 64 bits": {"id": "a", "duration": 2**70, "metadata": {"n": 2**70}},
}


@pytest.mark.parametrize("row", ODD.values(), ids=ODD)
async def test_odd_values_are_stored_and_come_back_unchanged_in_raw(tmp_path: Path, row: dict[str, Any]) -> None:
    async with Catalog(tmp_path) as catalog:
        await catalog.save_calls(calls_of(row))
    (stored,) = rows_of(tmp_path, "SELECT raw FROM calls")
    assert json.loads(stored["raw"]) == row


async def test_events_take_the_place_of_those_that_were_there(tmp_path: Path) -> None:
    early, late = datetime(2025, 1, 10, tzinfo=UTC), datetime(2025, 1, 11, tzinfo=UTC)
    async with Catalog(tmp_path) as catalog:
        await catalog.save_calls([Call("call_1")])
        await catalog.save_events("call_1", [CallEvent("e1", "call.ringing", early)])
        await catalog.save_events(
            "call_1", [CallEvent("e1", "call.ringing", early), CallEvent("e2", "call.completed", late)]
        )
    assert rows_of(tmp_path, "SELECT position, id, type, timestamp FROM events ORDER BY position") == [
        {"position": 0, "id": "e1", "type": "call.ringing", "timestamp": "2025-01-10T00:00:00.000Z"},
        {"position": 1, "id": "e2", "type": "call.completed", "timestamp": "2025-01-11T00:00:00.000Z"},
    ]


async def test_a_batch_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    async with Catalog(tmp_path) as catalog:
        with pytest.raises(ArchiveError):
            await catalog.save_events("nobody", [CallEvent("e1")])
        await catalog.save_calls([Call("call_1")])
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM events") == [{"n": 0}]
    assert rows_of(tmp_path, "SELECT count(*) AS n FROM calls") == [{"n": 1}]


async def test_m11_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with Catalog(tmp_path) as catalog:
            await catalog.save_calls([Call("call_1")])
            modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in os.scandir(tmp_path)}
    finally:
        os.umask(before)
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}


async def test_a_file_that_is_no_catalogue_is_left_alone_and_told(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"my diary" * 200)
    with pytest.raises(ArchiveError, match="damaged"):
        await Catalog(tmp_path).__aenter__()
    assert (tmp_path / FILE_NAME).read_bytes() == b"my diary" * 200


async def test_a_catalogue_of_a_newer_version_is_left_alone_and_told(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ArchiveError, match="update"):
        await Catalog(tmp_path).__aenter__()


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="cannot be opened"):
        await Catalog(tmp_path / "nowhere").__aenter__()


async def test_the_views_answer_what_people_ask_first(tmp_path: Path) -> None:
    day = {"created_at": "2025-01-10T12:00:00Z", "completed_at": "2025-01-10T12:05:00Z", "endpoint_id": "ep_1"}
    async with Catalog(tmp_path) as catalog:
        await catalog.save_calls(
            calls_of(
                {"id": "a", "status": "completed", "duration": 60, "cost_cents": 50} | day,
                {"id": "b", "status": "busy", "duration": 0, "cost_cents": 0} | day,
                {
                    "id": "c",
                    "status": "completed",
                    "duration": 120,
                    "cost_cents": 25,
                    "created_at": "2025-01-09T23:59:59Z",
                },
            )
        )
    assert rows_of(tmp_path, "SELECT * FROM calls_by_day") == [
        {"day": "2025-01-10", "calls": 2, "completed": 1, "minutes": 1.0, "cost": 0.5},
        {"day": "2025-01-09", "calls": 1, "completed": 1, "minutes": 2.0, "cost": 0.25},
    ]
    by_endpoint = "SELECT endpoint_id, calls, completed, minutes, cost FROM calls_by_endpoint"
    assert rows_of(tmp_path, by_endpoint) == [
        {"endpoint_id": "ep_1", "calls": 2, "completed": 1, "minutes": 1.0, "cost": 0.5},
        {"endpoint_id": None, "calls": 1, "completed": 1, "minutes": 2.0, "cost": 0.25},
    ]
    assert [row["call_id"] for row in rows_of(tmp_path, "SELECT call_id FROM open_artefacts")] == []
