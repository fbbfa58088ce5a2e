"""Having what is missing or damaged fetched again; nothing is ever removed to that end."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from krosai_calls._findings import REPAIRABLE, Finding, Problem

# A damaged file keeps its name and gets this one behind it: it may be the only one there is.
DAMAGED_SUFFIX: Final = ".damaged"


def mark_wanted(connection: sqlite3.Connection, findings: Iterable[Finding]) -> int:
    """Have missing and changed files fetched again by the next run.

    A changed file is put aside, never removed: where the service does not have the recording any more, it is all
    there is. Foreign and partial files, and what this user may not read, stay as they are.

    Args:
        connection: The catalogue, open for writing and in no transaction, by whoever holds the archive.
        findings: What a verification has found.

    Returns:
        How many files are wanted again.

    Raises:
        OSError: A damaged file cannot be put aside; what was marked until then stays marked.
    """
    marked = 0
    for finding in findings:
        if finding.problem not in REPAIRABLE:
            continue
        # The file first: one that keeps its name while the catalogue wants it would be taken for whole.
        if finding.problem is Problem.CHANGED and finding.path is not None:
            _put_aside(finding.path)
        marked += connection.execute(
            "UPDATE artefacts SET state = 'wanted', size_bytes = NULL, sha256 = NULL, suspect = NULL,"
            " attempts = 0, saved_at = NULL, last_error = ?, path = iif(?, path, NULL)"
            " WHERE call_id = ? AND kind = ? AND state = 'saved'",
            (f"verify: {finding.detail}", finding.path is not None, finding.call_id, finding.kind),
        ).rowcount
    return marked


def _put_aside(path: Path) -> None:
    for number in range(1, 1000):
        aside = path.with_name(f"{path.name}{DAMAGED_SUFFIX}" + (f".{number}" if number > 1 else ""))
        if not os.path.lexists(aside):
            with suppress(FileNotFoundError):
                path.rename(aside)
            return
    raise FileExistsError(f"{path} was damaged a thousand times: look into it, and remove the old ones")
