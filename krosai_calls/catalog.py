"""The archive's catalogue: one SQLite file that tells what the calls were.

Table ``calls`` has one row a call: a column for each named field, times as UTC ISO text of one width (so that
they sort), and in ``raw`` the row as the service sent it, save that its link is kept without its query, which is
a signature. Table ``events`` has the timelines, where they were asked for.

SQLite blocks, so one connection lives on one thread of its own, and what it is asked there it does in order.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import attrs
from attrs import frozen

from krosai_calls._json import encode_json
from krosai_calls._text import storable, without_query
from krosai_calls.errors import ArchiveError
from krosai_calls.models import Call, CallEvent

T = TypeVar("T")

FILE_NAME = "catalog.sqlite"

# Each step brings a catalogue one version on; PRAGMA user_version counts the steps taken.
_MIGRATIONS = (
    """
    CREATE TABLE calls (
        id TEXT PRIMARY KEY,
        from_number TEXT,
        to_number TEXT,
        direction TEXT,
        status TEXT,
        duration REAL,
        cost_cents REAL,
        endpoint_id TEXT,
        phone_number_id TEXT,
        recording_url TEXT,
        transcript TEXT,
        created_at TEXT,
        answered_at TEXT,
        completed_at TEXT,
        hangup_cause TEXT,
        metadata TEXT,
        raw TEXT NOT NULL
    );
    CREATE INDEX calls_by_time ON calls (created_at);
    CREATE TABLE events (
        call_id TEXT NOT NULL REFERENCES calls (id),
        position INTEGER NOT NULL,
        id TEXT,
        type TEXT,
        timestamp TEXT,
        raw TEXT NOT NULL,
        PRIMARY KEY (call_id, position)
    ) WITHOUT ROWID;
    """,
)

_COLUMNS = (*(attribute.name for attribute in attrs.fields(Call) if attribute.init), "raw")
_UPSERT = (
    f"INSERT INTO calls ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - our names
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])}"
    " WHERE raw <> excluded.raw"
)


@frozen
class Saved:
    """What a batch changed in the catalogue."""

    new: int
    updated: int


class Catalog:
    """An open catalogue.

    Args:
        directory: The archive's folder, which must be there.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="krosai-catalog")
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Catalog:
        try:
            self._connection = await self._run(lambda: _open(self._path))
        except BaseException:
            self._thread.shutdown()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._run(connection.close)
        self._thread.shutdown()

    async def save_calls(self, calls: Sequence[Call]) -> Saved:
        """Write calls in one transaction; a call that is there already is updated where anything differs."""
        return await self._with_connection(lambda connection: _save_calls(connection, calls))

    async def save_events(self, call_id: str, events: Sequence[CallEvent]) -> None:
        """Write a call's timeline in place of the one that is there."""
        await self._with_connection(lambda connection: _save_events(connection, call_id, events))

    async def _with_connection(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        assert connection is not None, "the catalogue is not open"
        return await self._run(lambda: work(connection))

    async def _run(self, work: Callable[[], T]) -> T:
        """Run work on the catalogue's thread, to its end even where the caller is cancelled meanwhile."""
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._guarded(work))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise

    def _guarded(self, work: Callable[[], T]) -> Callable[[], T]:
        def guarded() -> T:
            try:
                return work()
            except (sqlite3.Error, OSError) as fault:
                raise ArchiveError(_meaning(self._path, fault)) from fault

        return guarded


def _open(path: Path) -> sqlite3.Connection:
    # Made here, because SQLite would make it readable for everybody; -wal and -shm take its mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(_MIGRATIONS):
        raise ArchiveError(
            f"the catalogue is of version {version}, which a newer krosai_calls made: this one knows up to"
            f" {len(_MIGRATIONS)}. Please update."
        )
    for number, step in enumerate(_MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN; {step} PRAGMA user_version = {number}; COMMIT;")


def _save_calls(connection: sqlite3.Connection, calls: Sequence[Call]) -> Saved:
    rows = [_row(call) for call in calls]
    before = connection.total_changes
    with _transaction(connection):
        known = _count_known(connection, [row[0] for row in rows])
        connection.executemany(_UPSERT, rows)
    new = len({row[0] for row in rows}) - known
    return Saved(new=new, updated=connection.total_changes - before - new)


def _count_known(connection: sqlite3.Connection, ids: Iterable[str]) -> int:
    question = "SELECT count(DISTINCT id) FROM calls WHERE id IN (SELECT value FROM json_each(?))"
    return int(connection.execute(question, (encode_json(list(ids)),)).fetchone()[0])


def _save_events(connection: sqlite3.Connection, call_id: str, events: Sequence[CallEvent]) -> None:
    owner = storable(call_id)
    with _transaction(connection):
        connection.execute("DELETE FROM events WHERE call_id = ?", (owner,))
        connection.executemany(
            "INSERT INTO events (call_id, position, id, type, timestamp, raw) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (owner, position, *map(_cell, (event.id, event.type, event.timestamp, event.to_dict())))
                for position, event in enumerate(events)
            ],
        )


class _transaction:  # noqa: N801 - reads as a statement
    """All or nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def _row(call: Call) -> tuple[Any, ...]:
    raw = call.to_dict()
    if isinstance(raw.get("recording_url"), str):
        raw["recording_url"] = without_query(raw["recording_url"])
    values = {name: getattr(call, name) for name in _COLUMNS[:-1]}
    values["recording_url"] = call.recording_url and without_query(call.recording_url)
    return (*map(_cell, values.values()), encode_json(raw))


def _cell(value: Any) -> Any:
    """A value as a column holds it: times as text of one width, so that they sort; what has no column as JSON."""
    match value:
        case None | float():
            return value
        case datetime():
            return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case Enum():
            return value.value
        case str():
            return storable(value)
        case int() if not isinstance(value, bool):
            return value
        case _:
            return encode_json(value)


def _meaning(path: Path, fault: Exception) -> str:
    words = str(fault)
    if isinstance(fault, OSError):
        return f"{path} cannot be opened: {fault.strerror}"
    if "locked" in words or "busy" in words:
        return f"{path} is in use by another run: wait for it, or stop it"
    if "full" in words:
        return f"the disk is full: {path} keeps what it has; make room and run again"
    if isinstance(fault, sqlite3.DatabaseError) and ("malformed" in words or "not a database" in words):
        return f"{path} is damaged ({words}): move it away, and the next run makes a new one; the files stay"
    return f"{path} cannot be used: {words}"
