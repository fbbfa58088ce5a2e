"""The archive's catalogue: one SQLite file that tells what the calls were and what is to be done.

SQLite blocks, so one connection lives on one thread of its own, and what it is asked there it does in order.
``_schema`` documents the tables.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar

from krosai_calls import _holdings, _scope
from krosai_calls._findings import Finding
from krosai_calls._holdings import Changes, Look, Outcome, Saved, as_text
from krosai_calls._increments import Span
from krosai_calls._json import encode_json
from krosai_calls._prospects import STILL_COMING
from krosai_calls._repairing import mark_wanted
from krosai_calls._schema import migrate
from krosai_calls._scope import Plan, Scope
from krosai_calls.errors import ArchiveError
from krosai_calls.models import Call, CallEvent

T = TypeVar("T")
P = ParamSpec("P")

FILE_NAME = "catalog.sqlite"
BUSY_SECONDS = 5.0


def present() -> datetime:
    """The present."""
    return datetime.now(UTC)


class Catalog:
    """An open catalogue.

    Args:
        directory: The archive's folder, which must be there.
        clock: Tells the present, aware.
    """

    def __init__(self, directory: Path, clock: Callable[[], datetime] = present) -> None:
        self._directory = directory
        self._clock = clock
        self._path = directory / FILE_NAME
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="krosai-catalog")
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Catalog:
        try:
            await self._run(self._open)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    def _open(self) -> None:
        self._connection = _open(self._path)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                await self._run(connection.close)
        finally:
            self._thread.shutdown()

    async def save_calls(
        self, calls: Sequence[Call], *, still_coming: timedelta = STILL_COMING, with_events: bool = False
    ) -> Saved:
        """Write calls, and what is wanted of them; one that is there already is updated where anything differs."""
        look = Look(self._clock(), still_coming, with_events)
        return await self._do(_holdings.save_calls, calls, self._directory, look)

    async def save_outcome(self, call_id: str, kind: str, outcome: Outcome, *, only_open: bool = False) -> Changes:
        """Write down what has become of an artefact."""
        return await self._do(_holdings.save_outcome, call_id, kind, outcome, self._clock(), only_open=only_open)

    async def mark_wanted(self, findings: Iterable[Finding]) -> None:
        """Have what a verification found missing or damaged fetched again."""
        await self._do(mark_wanted, findings)

    async def save_events(self, call_id: str, events: Sequence[CallEvent]) -> None:
        """Write a call's timeline in place of the one that is there."""
        await self._do(_holdings.save_events, call_id, events)

    async def plan(self, scope: Scope) -> Plan:
        """What a run has to ask for."""
        return await self._do(_scope.plan, scope)

    async def cover(self, scope: Scope, span: Span) -> None:
        """Write down that a stretch was listed."""
        await self._do(_scope.cover, scope, span)

    async def counts(self, scope: Scope) -> Changes:
        """How many artefacts there are, by kind and state."""
        return Counter(await self._do(_scope.counts, scope))

    async def count_calls(self, scope: Scope) -> int:
        """How many calls there are."""
        return await self._do(_scope.count_calls, scope)

    async def count_expiring(self, scope: Scope) -> int:
        """How many recordings will soon be past their retention and are not saved."""
        return await self._do(_scope.count_expiring, scope, self._clock())

    async def begin_run(self, filters: str) -> int:
        """Write down that a run begins; gives its number."""
        return await self._do(_begin_run, filters, self._clock())

    async def end_run(self, number: int, outcome: str, report: object) -> None:
        """Write down how a run has ended."""
        await self._do(_end_run, number, outcome, encode_json(report), self._clock())

    async def _do(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        connection = self._connection
        assert connection is not None, "the catalogue is not open"
        return await self._run(lambda: work(connection, *args, **kwargs))

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
                raise ArchiveError(meaning_of(fault, self._path)) from fault

        return guarded


def _open(path: Path) -> sqlite3.Connection:
    # Made here, because SQLite would make it readable for everybody; -wal and -shm take its mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last rows, never the file: the next run finds the files, or lists them again.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        if migrate(connection) == 1:
            _holdings.take_transcripts_apart(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _begin_run(connection: sqlite3.Connection, filters: str, now: datetime) -> int:
    with _holdings.transaction(connection):
        connection.execute("UPDATE runs SET outcome = 'killed' WHERE outcome = 'running'")
        cursor = connection.execute(
            "INSERT INTO runs (started_at, host, process_id, filters, outcome) VALUES (?, ?, ?, ?, 'running')",
            (as_text(now), socket.gethostname(), os.getpid(), filters),
        )
    return int(cursor.lastrowid or 0)


def _end_run(connection: sqlite3.Connection, number: int, outcome: str, report: str, now: datetime) -> None:
    with _holdings.transaction(connection):
        connection.execute(
            "UPDATE runs SET ended_at = ?, outcome = ?, report = ? WHERE id = ?",
            (as_text(now), outcome, report, number),
        )


def meaning_of(fault: Exception, path: Path) -> str:
    """What a fault of the catalogue means, and what to do about it."""
    words = str(fault)
    if isinstance(fault, OSError):
        return f"{path} cannot be opened: {fault.strerror}"
    if "locked" in words or "busy" in words:
        return f"{path} is in use by another program: wait for it, or stop it"
    if "full" in words:
        return f"the disk is full: {path} keeps what it has; make room and run again"
    if isinstance(fault, sqlite3.DatabaseError) and ("malformed" in words or "not a database" in words):
        return f"{path} is damaged ({words}): move it away, and the next run makes a new one; the files stay"
    return f"{path} cannot be used: {words}"
