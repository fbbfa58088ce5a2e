"""What is in an archive's folder, as other programs read it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file of an archive but the catalogue."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    kept = [path for path in paths if not path.name.startswith("catalog.sqlite")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def rows_in(folder: Path, question: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
    """What another program reads in the catalogue."""
    connection = sqlite3.connect(folder / "catalog.sqlite")
    try:
        return connection.execute(question, tuple(values)).fetchall()
    finally:
        connection.close()


def states_in(folder: Path, kind: str = "recording") -> dict[str, str]:
    """How the calls' recordings stand, or what else they leave behind."""
    return dict(rows_in(folder, "SELECT call_id, state FROM artefacts WHERE kind = ?", [kind]))


def found_in(folder: Path, words: str) -> set[str]:
    """The calls in which the full-text index finds these words."""
    question = "SELECT call_id FROM turns_fts JOIN turns ON turns.id = turns_fts.rowid WHERE turns_fts MATCH ?"
    return {row[0] for row in rows_in(folder, question, [words])}


def contents_of(folder: Path) -> dict[str, Any]:
    """What two archives of the same history have in common, whenever and however they were made."""
    artefacts = "SELECT call_id, kind, state, path, size_bytes, sha256 FROM artefacts ORDER BY call_id, kind"
    turns = "SELECT call_id, position, speaker, text FROM turns ORDER BY call_id, position"
    return {
        "files": files_in(folder),
        "calls": rows_in(folder, "SELECT * FROM calls ORDER BY id"),
        "artefacts": rows_in(folder, artefacts),
        "turns": rows_in(folder, turns),
        "events": rows_in(folder, "SELECT call_id, position, id FROM events ORDER BY call_id, position"),
    }


def check_catalog(folder: Path) -> None:
    """Have SQLite look for anything broken, the full-text index with it."""
    connection = sqlite3.connect(folder / "catalog.sqlite")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.execute("INSERT INTO turns_fts (turns_fts, rank) VALUES ('integrity-check', 1)")
    finally:
        connection.close()
