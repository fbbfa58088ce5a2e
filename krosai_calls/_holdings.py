"""What the catalogue holds: plain functions over its connection, for the thread that it lives on.

One function is one transaction. Times are text of one width, so that they sort.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import attrs
from attrs import field, frozen

from krosai_calls._json import encode_json
from krosai_calls._names import recording_name, safe_name, transcript_name
from krosai_calls._prospects import (
    STILL_COMING,
    Prospect,
    State,
    next_state,
    recording_prospect,
    transcript_prospect,
)
from krosai_calls._text import storable, without_query
from krosai_calls.models import Call, CallEvent
from krosai_calls.transcripts import parse_transcript

_COLUMNS = (*(attribute.name for attribute in attrs.fields(Call) if attribute.init), "raw")
# What was said stays, also where the service has deleted it.
_NEW_VALUES = {name: f"excluded.{name}" for name in _COLUMNS[1:]} | {
    "transcript": "coalesce(nullif(excluded.transcript, ''), transcript)"
}
_UPSERT = (
    f"INSERT INTO calls ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - our names
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = {value}' for name, value in _NEW_VALUES.items())}"
    " WHERE raw <> excluded.raw"
)
_KNOWN = """
    SELECT id, raw, recording_url, transcript, EXISTS (SELECT 1 FROM turns WHERE call_id = calls.id) FROM calls
    WHERE id IN (SELECT value FROM json_each(?))
"""
_STATES = "SELECT call_id, kind, state FROM artefacts WHERE call_id IN (SELECT value FROM json_each(?))"
_SET_STATE = """
    INSERT INTO artefacts (call_id, kind, state, path, checked_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (call_id, kind) DO UPDATE SET state = excluded.state, path = excluded.path,
        checked_at = excluded.checked_at
"""

RECORDING, TRANSCRIPT, EVENTS = "recording", "transcript", "events"
Changes: TypeAlias = Counter[tuple[str, str]]


@frozen
class Saved:
    """What a batch has changed in the catalogue.

    Attributes:
        new: Calls that it did not have.
        updated: Calls that it had otherwise.
        to_do: Which artefacts of which calls are to be made now, by ``key_of`` the call's id.
        changes: By kind and state, how many artefacts more, or fewer, there are.
    """

    new: int
    updated: int
    to_do: Mapping[str, frozenset[str]] = field(factory=dict)
    changes: Changes = field(factory=Counter)


@frozen
class Look:
    """A look at calls.

    Attributes:
        now: When it is, aware.
        still_coming: For how long after a call what it leaves behind may still appear.
        with_events: Whether timelines are wanted, too.
    """

    now: datetime
    still_coming: timedelta = STILL_COMING
    with_events: bool = False


def key_of(call_id: str) -> str:
    """A call's id as the catalogue has it: one that no database can hold in a rendering that is its own."""
    return call_id if storable(call_id) == call_id else safe_name(call_id)


def save_calls(
    connection: sqlite3.Connection,
    calls: Iterable[Call],
    directory: Path,
    look: Look,
) -> Saved:
    """Write calls down, and what is wanted of them, before anything of it is asked for.

    Args:
        connection: The catalogue.
        calls: The calls; of those with the same id the last one counts.
        directory: The archive's folder: what is said to be saved and is not there is wanted again.
        look: When they were looked at, and for what.
    """
    by_id = {key_of(call.id): call for call in calls}
    rows = {call_id: _row(call_id, call) for call_id, call in by_id.items()}
    ids = encode_json(list(rows))
    with transaction(connection):
        known = {row[0]: row[1:] for row in connection.execute(_KNOWN, (ids,))}
        connection.executemany(_UPSERT, rows.values())
        # What is new to the catalogue: a call's link, and its words.
        news = {
            (call_id, kind)
            for call_id, call in by_id.items()
            for kind in _news_of(call, rows[call_id], *known.get(call_id, (None,) * 4)[1:])
        }
        retold = {call_id: by_id[call_id] for call_id, kind in news if kind == TRANSCRIPT}
        _save_turns(connection, retold, known.keys())
        to_do, changes = _save_states(connection, by_id, news, directory, look)
    updated = sum(known[call_id][0] != row[-1] for call_id, row in rows.items() if call_id in known)
    return Saved(len(rows) - len(known), updated, to_do, changes)


def _news_of(
    call: Call, row: tuple[Any, ...], link: str | None, transcript: str | None, has_turns: int | None
) -> Iterator[str]:
    if row[_COLUMNS.index("recording_url")] != link:
        yield RECORDING
    if (text := call.transcript) and (storable(text) != transcript or (text.strip() and not has_turns)):
        yield TRANSCRIPT


def take_transcripts_apart(connection: sqlite3.Connection) -> None:
    """Fill ``turns`` for a catalogue that did not have them yet."""
    found = connection.execute("SELECT id, transcript FROM calls WHERE transcript <> ''")
    with transaction(connection):
        while rows := found.fetchmany(1000):
            _save_turns(connection, {call_id: Call(call_id, transcript=text) for call_id, text in rows}, ())


def _save_turns(connection: sqlite3.Connection, calls: Mapping[str, Call], known: Iterable[str]) -> None:
    again = encode_json(sorted(calls.keys() & set(known)))
    of_these = "FROM turns WHERE call_id IN (SELECT value FROM json_each(?))"
    connection.execute(
        f"INSERT INTO turns_fts (turns_fts, rowid, text) SELECT 'delete', id, text {of_these}",
        (again,),
    )
    connection.execute(f"DELETE {of_these}", (again,))
    last = connection.execute("SELECT coalesce(max(id), 0) FROM turns").fetchone()[0]
    connection.executemany(
        "INSERT INTO turns (call_id, position, speaker, text) VALUES (?, ?, ?, ?)",
        [
            (call_id, position, turn.speaker and storable(turn.speaker), storable(turn.text))
            for call_id, call in calls.items()
            for position, turn in enumerate(parse_transcript(call.transcript))
        ],
    )
    # By trigger, row by row, this takes 2.7 times as long.
    connection.execute("INSERT INTO turns_fts (rowid, text) SELECT id, text FROM turns WHERE id > ?", (last,))


def _save_states(
    connection: sqlite3.Connection,
    calls: Mapping[str, Call],
    news: set[tuple[str, str]],
    directory: Path,
    look: Look,
) -> tuple[dict[str, frozenset[str]], Changes]:
    before: dict[tuple[str, str], State] = {
        (call_id, kind): State(state)
        for call_id, kind, state in connection.execute(_STATES, (encode_json(list(calls)),))
    }
    changes: Changes = Counter()
    to_do: dict[str, frozenset[str]] = {}
    written: list[tuple[str, str, str, str | None, str]] = []
    dropped: list[tuple[str, str]] = []
    for call_id, call in calls.items():
        kinds = set()
        for kind, path, prospect in _expected(call, look):
            was = before.get((call_id, kind))
            is_lost = was is State.SAVED and path is not None and not (directory / path).is_file()
            # A recording is kept as it was first heard; a transcript may be corrected.
            is_renewed = (call_id, kind) in news and (kind == TRANSCRIPT or was is State.GONE)
            state = next_state(prospect, was, is_old=is_lost or is_renewed)
            if state is not None:
                written.append((call_id, kind, state.value, path, as_text(look.now)))
            elif was is not None:
                dropped.append((call_id, kind))
            if state in (State.WANTED, State.FAILED):
                kinds.add(kind)
            _count_change(changes, kind, was, state)
        to_do[call_id] = frozenset(kinds)
    connection.executemany(_SET_STATE, written)
    connection.executemany("DELETE FROM artefacts WHERE call_id = ? AND kind = ?", dropped)
    return to_do, changes


def _expected(call: Call, look: Look) -> Iterator[tuple[str, str | None, Prospect]]:
    """What a call leaves behind: its kind, its place in the folder, and what can be expected of it."""
    times = look.now, look.still_coming
    yield RECORDING, recording_name(call.id, call.created_at), recording_prospect(call, *times)
    yield TRANSCRIPT, transcript_name(call.id, call.created_at), transcript_prospect(call, *times)
    if look.with_events:
        yield EVENTS, None, Prospect.READY


def _count_change(changes: Changes, kind: str, was: State | None, state: State | None) -> None:
    if was is not None:
        changes[kind, was.value] -= 1
    if state is not None:
        changes[kind, state.value] += 1


@frozen(kw_only=True)
class Outcome:
    """What has become of an artefact.

    Attributes:
        state: How it stands now.
        size_bytes, sha256, suspect: Of a file that is saved.
        error: Why it failed.
    """

    state: State
    size_bytes: int | None = None
    sha256: str | None = None
    suspect: str | None = None
    error: str | None = None


def save_outcome(
    connection: sqlite3.Connection,
    call_id: str,
    kind: str,
    outcome: Outcome,
    now: datetime,
    *,
    only_open: bool = False,
) -> Changes:
    """Write down what has become of an artefact.

    Args:
        connection: The catalogue.
        call_id: Whose it is.
        kind: Which one.
        outcome: What has become of it.
        now: The present, aware.
        only_open: Whether one that is settled stays as it is.
    """
    changes: Changes = Counter()
    state, owner = outcome.state, key_of(call_id)
    is_tried = state in (State.SAVED, State.FAILED)
    saved_at = as_text(now) if state is State.SAVED else None
    error = outcome.error and storable(outcome.error)
    facts = (state.value, outcome.size_bytes, outcome.sha256, outcome.suspect, int(is_tried), error)
    with transaction(connection):
        found = connection.execute(
            "SELECT state FROM artefacts WHERE call_id = ? AND kind = ?", (owner, kind)
        ).fetchone()
        if found is None or (only_open and State(found[0]) in (State.SAVED, State.GONE)):
            return changes
        connection.execute(
            "UPDATE artefacts SET state = ?, size_bytes = ?, sha256 = ?, suspect = ?, attempts = attempts + ?,"
            " last_error = ?, checked_at = ?, saved_at = ? WHERE call_id = ? AND kind = ?",
            (*facts, as_text(now), saved_at, owner, kind),
        )
    _count_change(changes, kind, State(found[0]), state)
    return changes


def save_events(connection: sqlite3.Connection, call_id: str, events: Sequence[CallEvent]) -> None:
    """Write a call's timeline in place of the one that is there."""
    owner = key_of(call_id)
    with transaction(connection):
        connection.execute("DELETE FROM events WHERE call_id = ?", (owner,))
        connection.executemany(
            "INSERT INTO events (call_id, position, id, type, timestamp, raw) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (owner, position, *map(_cell, (event.id, event.type, event.timestamp, event.as_sent())))
                for position, event in enumerate(events)
            ],
        )


class transaction:  # noqa: N801 - reads as a statement
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
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:  # on a full disk SQLite has ended it by itself
                self._connection.execute("ROLLBACK")


def _row(call_id: str, call: Call) -> tuple[Any, ...]:
    raw = call.as_sent()
    if isinstance(raw.get("recording_url"), str):
        raw = {**raw, "recording_url": without_query(raw["recording_url"])}
    values = {name: getattr(call, name) for name in _COLUMNS[1:-1]}
    values["recording_url"] = call.recording_url and without_query(call.recording_url)
    return (call_id, *map(_cell, values.values()), encode_json(raw))


def as_text(moment: datetime) -> str:
    """A moment as a column holds it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cell(value: Any) -> Any:
    """A value as a column holds it; what has no column as JSON."""
    match value:
        case None | float():
            return value
        case datetime():
            return as_text(value)
        case Enum():
            return value.value
        case str():
            return storable(value)
        case int() if not isinstance(value, bool):
            return value
        case _:
            return encode_json(value)
