"""Whether an archive's files are what its catalogue says."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from attrs import evolve, frozen

from krosai_calls._callbacks import tell
from krosai_calls._catalog_reading import place_of, reading
from krosai_calls._checksums import digest_of
from krosai_calls._files import NO_SURPRISES, PART_SUFFIX, digest_of_file
from krosai_calls._findings import Finding, Problem, VerifyReport
from krosai_calls._names import recording_name, transcript_name
from krosai_calls._repairing import DAMAGED_SUFFIX
from krosai_calls._text import storable
from krosai_calls._values import moment
from krosai_calls.catalog import FILE_NAME
from krosai_calls.errors import ArchiveError

_FOLDERS: Final = ("recordings", "transcripts")
_ROWS_AT_ONCE: Final = 1_000
_MOST_CATALOGUE_FAULTS: Final = 100

_PLACES: Final = {"recording": recording_name, "transcript": transcript_name}
_SAVED: Final = """
    SELECT call_id, kind, path, size_bytes, sha256,
        CASE WHEN kind = 'transcript' AND sha256 IS NULL
            THEN (SELECT transcript FROM calls WHERE calls.id = call_id) END
    FROM artefacts WHERE state = 'saved' AND kind IN ('recording', 'transcript')
"""


VerifyProgress: TypeAlias = Callable[[int, int], object]


@frozen
class _Saved:
    """A file as the catalogue has it; ``text`` is there where only the words are known, and no digest."""

    call_id: str
    kind: str
    path: str | None
    size_bytes: int | None
    sha256: str | None
    text: str | None


def verify(directory: Path, progress: VerifyProgress | None) -> VerifyReport:
    """Look at every file of an archive, and at its catalogue.

    Args:
        directory: The archive's folder.
        progress: Called with the number of files that were looked at, and of those to look at.

    Raises:
        ArchiveError: The catalogue cannot be opened.
    """
    findings = _faults_of_catalogue(directory)
    report = VerifyReport()
    try:
        total = _total(directory)
        for saved in _all_saved(directory):
            finding, size = _examined(directory, saved)
            findings += [finding] if finding else []
            counted = {f"{saved.kind}s": getattr(report, f"{saved.kind}s") + 1}
            report = evolve(report, bytes_read=report.bytes_read + size, **counted)
            tell(progress, report.recordings + report.transcripts, total)
        findings += _strangers(directory)
        findings = [finding for finding in findings if _still_holds(directory, finding)]
        findings = _without_strangers_that_were_taken_in(directory, findings)
    except ArchiveError:
        if not any(finding.problem is Problem.CATALOGUE for finding in findings):
            raise
        # A damaged catalogue reads as far as it reads: it is known not to be sound.
    return evolve(report, findings=tuple(findings))


def _faults_of_catalogue(directory: Path) -> list[Finding]:
    path = directory / FILE_NAME
    with reading(directory) as connection:
        try:
            faults = [
                *(words for (words,) in connection.execute(f"PRAGMA integrity_check({_MOST_CATALOGUE_FAULTS})")),
                *(
                    f"a row of {table} names a {other[:-1]} that is not there"
                    for table, _, other, _ in connection.execute("PRAGMA foreign_key_check").fetchmany(
                        _MOST_CATALOGUE_FAULTS
                    )
                ),
            ]
        except sqlite3.DatabaseError as fault:
            faults = [str(fault)]
    return [Finding(Problem.CATALOGUE, path, words) for words in faults if words != "ok"]


def _total(directory: Path) -> int:
    with reading(directory) as connection:
        return int(connection.execute(f"SELECT count(*) FROM ({_SAVED})").fetchone()[0])  # noqa: S608 - our words


def _all_saved(directory: Path) -> Iterator[_Saved]:
    # A page at a time, and closed in between: hashing takes hours, and a run may be writing.
    statement = f"{_SAVED} AND (call_id, kind) > (?, ?) ORDER BY call_id, kind LIMIT ?"
    place = ("", "")
    while True:
        with reading(directory) as connection:
            rows = connection.execute(statement, (*place, _ROWS_AT_ONCE)).fetchall()
        for row in rows:
            yield _Saved(*row)
        if len(rows) < _ROWS_AT_ONCE:
            return
        place = rows[-1][:2]


def _examined(directory: Path, saved: _Saved) -> tuple[Finding | None, int]:
    """What is wrong with a file, if anything is; and how many bytes were read."""
    path = place_of(directory, saved.path)
    if path is None:
        words = "the catalogue names no file of this folder for it"
        return Finding(Problem.MISSING, None, words, saved.call_id, saved.kind), 0
    problem, words, size = Problem.CHANGED, "", 0
    try:
        words, size = _difference(path, saved)
    except (FileNotFoundError, NotADirectoryError):
        problem, words = Problem.MISSING, "there is no such file"
    except PermissionError as fault:
        problem, words = Problem.UNREADABLE, f"it cannot be read: {fault.strerror}"
    except OSError as fault:  # a link, a socket, a bad sector
        words = f"it cannot be read as a file: {fault.strerror}"
    return (Finding(problem, path, words, saved.call_id, saved.kind) if words else None), size


def _difference(path: Path, saved: _Saved) -> tuple[str, int]:
    """In which way a file is not what was saved, if in any; and how many bytes were read to know."""
    size, digest = saved.size_bytes, saved.sha256
    if digest is None and saved.text is not None:
        size, digest = None, digest_of(saved.text)
    descriptor = os.open(path, os.O_RDONLY | NO_SURPRISES)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return "it is no file", 0
        if size is not None and found.st_size != size:
            return f"it has {found.st_size} bytes, and had {size}", 0
        if digest is None:
            return "", 0
        actual, read = digest_of_file(descriptor)
        return "" if actual == digest else "its SHA-256 digest is another than it was", read
    finally:
        os.close(descriptor)


# --- Files that the catalogue does not know ----------------------------------------------------------------


def _strangers(directory: Path) -> list[Finding]:
    with reading(directory) as connection:
        _note_known_places(connection)
        findings = []
        for name in _FOLDERS:
            for found in _found_below(directory / name):
                finding = found if isinstance(found, Finding) else _stranger(connection, directory, found)
                if finding is not None:
                    findings.append(finding)
    return findings


def _stranger(connection: sqlite3.Connection, directory: Path, path: Path) -> Finding | None:
    if path.name.endswith((PART_SUFFIX, f"{PART_SUFFIX}.log")):
        return Finding(Problem.PARTIAL, path, "the beginning of a recording; the next run goes on with it")
    if DAMAGED_SUFFIX in path.suffixes[-2:]:
        return Finding(Problem.SET_ASIDE, path, "a damaged file that a repair has put out of the way")
    return None if _is_known(connection, directory, path) else Finding(Problem.FOREIGN, path, "nothing names it")


def _is_known(connection: sqlite3.Connection, directory: Path, path: Path) -> bool:
    relative = storable(path.relative_to(directory).as_posix())
    return connection.execute("SELECT 1 FROM known WHERE path = ?", (relative,)).fetchone() is not None


def _note_known_places(connection: sqlite3.Connection) -> None:
    """Put every path that the catalogue has, or will have, into a table of this connection."""
    connection.execute("CREATE TEMP TABLE known (path TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.execute("BEGIN")
    connection.execute("INSERT OR IGNORE INTO known SELECT path FROM artefacts WHERE path IS NOT NULL")
    # Between a file's getting its name and the catalogue's saying so a run may be, or have been killed.
    coming = connection.execute(
        "SELECT call_id, kind, created_at FROM artefacts JOIN calls ON calls.id = call_id"
        " WHERE path IS NULL AND kind IN ('recording', 'transcript')"
    )
    connection.executemany(
        "INSERT OR IGNORE INTO known VALUES (?)",
        ((_PLACES[kind](call_id, moment(created_at)),) for call_id, kind, created_at in coming),
    )
    connection.execute("COMMIT")


def _found_below(folder: Path) -> Iterator[Path | Finding]:
    """Whatever is below a folder and is no folder, links not followed; a finding for a folder that is closed."""
    to_do = [folder]
    while to_do:
        here = to_do.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        to_do.append(Path(entry.path))
                    else:
                        yield Path(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            continue  # never made, or removed meanwhile
        except OSError as fault:
            yield Finding(Problem.UNREADABLE, here, f"the folder cannot be read: {fault.strerror}")


# --- A second look -----------------------------------------------------------------------------------------


def _still_holds(directory: Path, finding: Finding) -> bool:
    """Whether a finding about a saved file is true of the catalogue as it is now: a run may have been at work."""
    if finding.call_id is None:
        return True
    with reading(directory) as connection:
        row = connection.execute(
            f"{_SAVED} AND call_id = ? AND kind = ?", (finding.call_id, finding.kind)
        ).fetchone()
    return row is not None and _examined(directory, _Saved(*row))[0] is not None


def _without_strangers_that_were_taken_in(directory: Path, findings: list[Finding]) -> list[Finding]:
    if not any(finding.problem is Problem.FOREIGN for finding in findings):
        return findings
    with reading(directory) as connection:
        _note_known_places(connection)
        return [
            finding
            for finding in findings
            if finding.problem is not Problem.FOREIGN
            or finding.path is None
            or not _is_known(connection, directory, finding.path)
        ]
