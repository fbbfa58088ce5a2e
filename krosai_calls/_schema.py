"""The catalogue's tables, and the steps that bring an older one up to them.

================ ===========================================================================================
``calls``        One row a call: a column for each field, times as UTC ISO text of one width (so that they
                 sort), and in ``raw`` the row as the service sent it, save that its link is kept without
                 its query, which is a signature.
``events``       The timelines, where they were asked for.
``turns``        Who said what: the transcripts, taken apart. ``turns_fts`` is its full-text index.
``artefacts``    What each call leaves behind (``recording``, ``transcript``, ``events``) and how it stands:
                 ``wanted`` until it is ``saved``; ``pending`` while it may still come; ``gone``; ``failed``,
                 with the last error. ``path`` is relative to the folder. Nothing else says what is to be done.
``runs``         Each run: when, by which process, with which filters, how it ended, and its report.
``covered``      Which stretches of the history are listed, for which filters.
================ ===========================================================================================

The views ``calls_by_day``, ``calls_by_endpoint`` and ``open_artefacts`` answer what people ask first.
"""

from __future__ import annotations

import sqlite3

from krosai_calls.errors import ArchiveError

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
    """
    CREATE TABLE turns (
        id INTEGER PRIMARY KEY,
        call_id TEXT NOT NULL REFERENCES calls (id),
        position INTEGER NOT NULL,
        speaker TEXT,
        text TEXT NOT NULL,
        UNIQUE (call_id, position)
    );
    CREATE VIRTUAL TABLE turns_fts USING fts5 (
        text, content = 'turns', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TABLE artefacts (
        call_id TEXT NOT NULL REFERENCES calls (id),
        kind TEXT NOT NULL CHECK (kind IN ('recording', 'transcript', 'events')),
        state TEXT NOT NULL CHECK (state IN ('wanted', 'saved', 'pending', 'gone', 'failed')),
        path TEXT,
        size_bytes INTEGER,
        sha256 TEXT,
        suspect TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        last_error TEXT,
        checked_at TEXT,
        saved_at TEXT,
        PRIMARY KEY (call_id, kind)
    ) WITHOUT ROWID;
    CREATE INDEX artefacts_to_do ON artefacts (kind, call_id) WHERE state IN ('wanted', 'pending', 'failed');
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        started_at TEXT NOT NULL,
        ended_at TEXT,
        host TEXT,
        process_id INTEGER,
        filters TEXT NOT NULL,
        outcome TEXT NOT NULL,
        report TEXT
    );
    CREATE TABLE covered (
        scope TEXT NOT NULL,
        from_time TEXT NOT NULL,
        to_time TEXT NOT NULL,
        PRIMARY KEY (scope, from_time)
    ) WITHOUT ROWID;
    CREATE VIEW calls_by_day AS
        SELECT substr(created_at, 1, 10) AS day, count(*) AS calls, sum(status = 'completed') AS completed,
            round(sum(duration) / 60.0, 1) AS minutes, round(sum(cost_cents) / 100.0, 2) AS cost
        FROM calls GROUP BY day ORDER BY day DESC;
    CREATE VIEW calls_by_endpoint AS
        SELECT endpoint_id, count(*) AS calls, sum(status = 'completed') AS completed,
            round(sum(duration) / 60.0, 1) AS minutes, round(sum(cost_cents) / 100.0, 2) AS cost,
            min(created_at) AS first_call, max(created_at) AS last_call
        FROM calls GROUP BY endpoint_id ORDER BY calls DESC;
    CREATE VIEW open_artefacts AS
        SELECT artefacts.kind, artefacts.state, artefacts.attempts, artefacts.last_error, calls.id AS call_id,
            calls.created_at, calls.status
        FROM artefacts JOIN calls ON calls.id = artefacts.call_id
        WHERE state IN ('wanted', 'pending', 'failed') ORDER BY calls.created_at;
    """,
)

VERSION = len(_MIGRATIONS)


def migrate(connection: sqlite3.Connection) -> int:
    """Bring a catalogue up to date, each step in one transaction.

    Returns:
        The version that it had; 0 for a new one.

    Raises:
        ArchiveError: A newer version of this package made it.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise too_new("the catalogue", version)
    for number, step in enumerate(_MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;")
    return version


def too_new(what: str, version: int) -> ArchiveError:
    """The error that tells that a newer version of this package made a catalogue."""
    return ArchiveError(
        f"{what} is of version {version}, which a newer krosai_calls made: this one knows up to {VERSION}."
        " Please update."
    )
