"""Reading an archive's catalogue beside whoever writes it: opened anew for each question, and never written to.

A connection lives for one question or one page of rows, so that nobody who reads slowly keeps a run from tidying
up its log, and nothing is left open.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from attrs import frozen

from krosai_calls import _schema
from krosai_calls._arguments import filter_query
from krosai_calls._holdings import as_text
from krosai_calls._text import visible
from krosai_calls.catalog import FILE_NAME
from krosai_calls.errors import ArchiveError

# Greater than any text that a column holds: where walking down a column begins.
_ABOVE_ALL: Final = "\U0010ffff"

_CONDITION_OF: Final = {
    "status": "calls.status = ?",
    "direction": "calls.direction = ?",
    "phone_number_id": "calls.phone_number_id = ?",
    "endpoint_id": "calls.endpoint_id = ?",
    "from_date": "calls.created_at >= ?",
    "to_date": "calls.created_at <= ?",
    "speaker": "turns.speaker = ?",
}


@frozen
class Conditions:
    """What rows have to meet.

    Attributes:
        sql: An expression over ``calls`` (and ``turns``) with a question mark for each value.
        values: The values.
    """

    sql: str
    values: tuple[str, ...]


def conditions_of(filters: Mapping[str, Any]) -> Conditions:
    """The filters of a listing, and a speaker, as a condition; what is None asks for nothing.

    Raises:
        InvalidArgumentError: A filter is no text, or a date cannot be right.
    """
    query = filter_query(filters)
    for name in ("from_date", "to_date"):
        if name in query:
            query[name] = as_text(datetime.fromisoformat(query[name]))
    return Conditions(" AND ".join([_CONDITION_OF[name] for name in query]) or "true", tuple(query.values()))


def place_of(directory: Path, path: str | None) -> Path | None:
    """Where a file of the archive stands; None where the catalogue names none, or one outside of the folder.

    Args:
        directory: The archive's folder.
        path: What the catalogue has; it is text that anybody may have changed.
    """
    if not path or "\\" in path or visible(path) != path:
        return None
    parts = PurePosixPath(path).parts
    is_inside = parts[0] != "/" and ".." not in parts and ":" not in parts[0]
    return directory.joinpath(*parts) if is_inside and PurePosixPath(path).name else None


@contextmanager
def reading(directory: Path) -> Iterator[sqlite3.Connection]:
    """An archive's catalogue, open for reading; closed on the way out.

    Raises:
        ArchiveError: There is none, or it cannot be used.
    """
    path = directory / FILE_NAME
    try:
        with closing(_open(directory, path)) as connection:
            yield connection
    except sqlite3.Error as fault:
        raise ArchiveError(_meaning(path, str(fault))) from fault


def _open(directory: Path, path: Path) -> sqlite3.Connection:
    try:
        is_there = path.is_file()
    except OSError as fault:
        raise ArchiveError(f"{path} cannot be read: {fault.strerror}") from fault
    if not is_there:
        raise ArchiveError(
            f"{directory} holds no archive: there is no {FILE_NAME} in it."
            f" Make one with  krosai-calls archive {directory}"
        )
    address = f"{path.absolute().as_uri()}?mode=ro"
    # SQLite wants to put a file beside the catalogue, even to read it, unless it is told that nobody writes.
    if not os.access(directory, os.W_OK) and not path.with_name(f"{FILE_NAME}-wal").exists():
        address += "&immutable=1"
    # Another thread may be the one that asks next, or that drops what was never read to its end.
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    try:
        _require_readable(path, int(connection.execute("PRAGMA user_version").fetchone()[0]))
    except BaseException:
        connection.close()
        raise
    return connection


def _require_readable(path: Path, version: int) -> None:
    if version > _schema.VERSION:
        raise _schema.too_new(str(path), version)
    if version < _schema.VERSION:
        raise ArchiveError(
            f"{path} is of version {version}, and reading it takes version {_schema.VERSION}: archive into this"
            " folder once more, and the catalogue is brought up to date"
        )


def _meaning(path: Path, words: str) -> str:
    if "malformed" in words or "not a database" in words:
        return (
            f"{path} is damaged ({words}): move it away, archive into this folder again, and a new one is made;"
            " the files stay"
        )
    if "locked" in words or "busy" in words:
        return f"{path} is in use by another program: wait for it, or stop it"
    if "no such table" in words or "no such column" in words:
        return f"{path} is no catalogue of this package ({words})"
    return f"{path} cannot be read: {words}"


def pages_of_rows(
    directory: Path, select: str, conditions: Conditions, *, page_size: int
) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of calls, newest first and those without a time last, a page at a time.

    The catalogue is open only while a page is read; each call comes once at most, also while a run adds others.

    Args:
        directory: The archive's folder.
        select: The statement up to its WHERE; its first two columns are the call's id and ``created_at``.
        conditions: Which calls.
        page_size: How many rows a page has at most.
    """
    steps = (
        ("(calls.created_at, calls.id) < (?, ?)", (_ABOVE_ALL, _ABOVE_ALL)),
        ("calls.created_at IS NULL AND coalesce(?, calls.id) < ?", (None, _ABOVE_ALL)),
    )
    for step, place in steps:
        statement = (
            f"{select} WHERE {conditions.sql} AND {step} ORDER BY calls.created_at DESC, calls.id DESC LIMIT ?"
        )
        while True:
            with reading(directory) as connection:
                rows = connection.execute(statement, (*conditions.values, *place, page_size)).fetchall()
            if rows:
                yield rows
            if len(rows) < page_size:
                break
            place = (rows[-1][1], rows[-1][0])
