"""Archives for tests: a folder, files in it, and a catalogue that plain SQL has filled.

with making(folder) as maker:
    maker.call("call_1", said=[("Caller", "a refund, please")], recording=b"an MP3")
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from krosai_calls import _schema

NOON = "2025-01-10T12:00:00.000Z"
DAY = "2025/01/10"


class ArchiveMaker:
    """Fills one folder.

    Args:
        folder: The folder.
        connection: Its catalogue, open.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self._folder = folder
        self.sql = connection

    def call(
        self,
        call_id: str,
        *,
        said: Sequence[tuple[str | None, str]] = (),
        recording: bytes | None = None,
        created_at: str | None = NOON,
        **fields: Any,
    ) -> None:
        """A call as a run leaves it: its row, its turns in the index, its recording and its transcript saved."""
        transcript = "\n".join(f"[{speaker}]: {text}" if speaker else text for speaker, text in said) or None
        row = {"id": call_id, "created_at": created_at, "transcript": transcript, **fields}
        columns = {name: json.dumps(value) if type(value) is dict else value for name, value in row.items()}
        columns["raw"] = json.dumps({name: value for name, value in row.items() if value is not None})
        self.insert("calls", columns)
        for position, (speaker, text) in enumerate(said):
            self.insert("turns", {"call_id": call_id, "position": position, "speaker": speaker, "text": text})
        self.sql.execute(
            "INSERT INTO turns_fts (rowid, text) SELECT id, text FROM turns WHERE call_id = ?", (call_id,)
        )
        if recording is not None:
            self.artefact(call_id, "recording", f"recordings/{DAY}/{call_id}.mp3", recording)
        if transcript is not None:
            self.artefact(call_id, "transcript", f"transcripts/{DAY}/{call_id}.txt", transcript.encode())

    def artefact(self, call_id: str, kind: str, path: str, content: bytes) -> None:
        """A file, and the row that says that it is saved."""
        self.file(path, content)
        self.insert(
            "artefacts",
            {
                "call_id": call_id,
                "kind": kind,
                "state": "saved",
                "path": path,
                "size_bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "saved_at": NOON,
            },
        )

    def file(self, path: str, content: bytes = b"") -> Path:
        """A file in the folder."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def insert(self, table: str, columns: dict[str, Any]) -> None:
        """A row."""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        self.sql.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values()))


@contextmanager
def making(folder: Path) -> Iterator[ArchiveMaker]:
    """An archive to fill, or to change; its catalogue is closed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        _schema.migrate(connection)
        yield ArchiveMaker(folder, connection)
