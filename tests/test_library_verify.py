"""Verifying an archive, having what is damaged fetched again, and the list for ``sha256sum``."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from archive_maker import DAY, making

from krosai_calls import Archive, LocalFileError, _verifying
from krosai_calls._repairing import mark_wanted
from krosai_calls.library import Finding, Problem

MP3 = b"an MP3 " * 400_000  # more than one piece
RECORDING = f"recordings/{DAY}/call_1.mp3"
TRANSCRIPT = f"transcripts/{DAY}/call_1.txt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with making(tmp_path) as maker:
        maker.call("call_1", said=[("Caller", "a refund, please")], recording=MP3)
        maker.call("call_2", recording=b"")
        maker.call("call_3")
        for kind, state in (("recording", "gone"), ("transcript", "pending"), ("events", "saved")):
            maker.insert("artefacts", {"call_id": "call_3", "kind": kind, "state": state})
    return tmp_path


def problems(folder: Path) -> list[tuple[str, str]]:
    report = Archive(folder).verify()
    assert report.is_sound == (not {finding.problem for finding in report.findings} - {"partial", "set aside"})
    return sorted((str(finding.problem), relative(folder, finding.path)) for finding in report.findings)


def relative(folder: Path, path: Path | None) -> str:
    assert path is not None
    return path.relative_to(folder).as_posix()


def test_an_archive_as_a_run_left_it_is_sound(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    report = Archive(folder).verify(progress=lambda done, total: told.append((done, total)))
    assert (report.is_sound, report.findings) == (True, ())
    assert (report.recordings, report.transcripts) == (2, 1)
    assert report.bytes_read == len(MP3) + len("[Caller]: a refund, please")
    assert told == [(1, 3), (2, 3), (3, 3)]


def remove(path: Path) -> None:
    path.unlink()


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parents[2])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def make_folder_of(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_link_of(path: Path) -> None:
    path.rename(path.parents[4] / "elsewhere")
    path.symlink_to(path.parents[4] / "elsewhere")


def make_fifo_of(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("file", [RECORDING, TRANSCRIPT])
@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (remove, "missing"),
        (cut, "changed"),
        (flip, "changed"),
        (make_folder_of, "changed"),
        (make_link_of, "changed"),
        (make_fifo_of, "changed"),
    ],
)
def test_what_happened_to_a_file_is_found(
    folder: Path, damage: Callable[[Path], None], problem: str, file: str
) -> None:
    damage(folder / file)
    assert problems(folder) == [(problem, file)]
    (finding,) = Archive(folder).verify().findings
    assert (finding.call_id, finding.kind) == ("call_1", file.partition("s/")[0])


def test_a_whole_folder_that_is_gone_is_found(folder: Path) -> None:
    remove_folder(folder / RECORDING)
    assert problems(folder) == [
        ("missing", f"recordings/{DAY}/call_1.mp3"),
        ("missing", f"recordings/{DAY}/call_2.mp3"),
    ]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read anything: run it as another user")
def test_what_may_not_be_read_is_told_apart(folder: Path) -> None:
    (folder / RECORDING).chmod(0)
    assert problems(folder) == [("unreadable", RECORDING)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("[Caller]: a refund, please", []), ("[Caller]: a refund, pleasE", [("changed", TRANSCRIPT)])],
)
def test_a_transcript_without_a_digest_is_held_against_the_words_in_the_catalogue(
    folder: Path, words: str, expected: list[tuple[str, str]]
) -> None:
    with making(folder) as maker:
        maker.sql.execute("UPDATE artefacts SET sha256 = NULL, size_bytes = NULL WHERE kind = 'transcript'")
    (folder / TRANSCRIPT).write_text(words, encoding="utf-8")
    assert problems(folder) == expected


@pytest.mark.parametrize(
    "path", ["../outside.mp3", "/etc/passwd", "recordings/../../x.mp3", "a\\b.mp3", "a\nb", None]
)
def test_a_path_that_leads_out_of_the_folder_is_not_followed(folder: Path, path: str | None) -> None:
    with making(folder) as maker:
        maker.sql.execute("UPDATE artefacts SET path = ? WHERE call_id = 'call_1' AND kind = 'recording'", (path,))
    missing = [finding for finding in Archive(folder).verify().findings if finding.problem is Problem.MISSING]
    assert [(finding.call_id, finding.path) for finding in missing] == [("call_1", None)]


# ---- what the catalogue does not know


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("recordings/notes.txt", "foreign"),
        (f"recordings/{DAY}/call_9.mp3", "foreign"),
        (f"transcripts/{DAY}/deep/er/.hidden", "foreign"),
        (f"recordings/{DAY}/call_9.mp3.part", "partial"),
        (f"recordings/{DAY}/call_9.mp3.part.log", "partial"),
        (f"recordings/{DAY}/call_1.mp3.damaged", "set aside"),
        (f"recordings/{DAY}/call_1.mp3.damaged.2", "set aside"),
        ("recordings/caf\udce9.mp3", "foreign"),
    ],
)
def test_files_that_nothing_names_are_told(folder: Path, file: str, problem: str) -> None:
    with making(folder) as maker:
        maker.file(file)
    assert problems(folder) == [(problem, file)]


def test_a_link_among_the_recordings_is_told_and_not_followed(folder: Path) -> None:
    (folder / "recordings" / "all").symlink_to("/")
    assert problems(folder) == [("foreign", "recordings/all")]


def test_files_beside_the_recordings_are_nobodys_business(folder: Path) -> None:
    (folder / "notes.txt").touch()
    assert problems(folder) == []


def test_recordings_on_another_disk_are_found_through_a_link(folder: Path) -> None:
    (folder / "recordings").rename(folder / "other disk")
    (folder / "recordings").symlink_to("other disk")
    (folder / "recordings" / "notes.txt").touch()
    assert problems(folder) == [("foreign", "recordings/notes.txt")]


@pytest.mark.parametrize("state", ["wanted", "failed"])
def test_a_file_that_got_its_name_before_the_catalogue_knew_is_not_foreign(folder: Path, state: str) -> None:
    with making(folder) as maker:
        maker.sql.execute("UPDATE artefacts SET state = ?, path = NULL WHERE kind = 'recording'", (state,))
    assert problems(folder) == []


# ---- beside a run, and with a damaged catalogue


def test_what_a_run_changes_meanwhile_is_looked_at_again(folder: Path) -> None:
    def run(done: int, _: int) -> None:
        if done != 1:
            return
        with making(folder) as maker:
            maker.call("call_9", recording=b"new")
            maker.file(TRANSCRIPT, b"other words")
            digest = hashlib.sha256(b"other words").hexdigest()
            maker.sql.execute(
                "UPDATE artefacts SET sha256 = ?, size_bytes = 11 WHERE kind = 'transcript'", (digest,)
            )
            maker.sql.execute("UPDATE artefacts SET state = 'wanted' WHERE call_id = 'call_2'")
            (folder / f"recordings/{DAY}/call_2.mp3").unlink()

    assert Archive(folder).verify(progress=run).findings == ()


def test_what_a_run_saves_while_the_folders_are_walked_is_not_foreign(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = _verifying._found_below

    def walk_beside_a_run(below: Path) -> Iterator[Path | Finding]:
        with making(folder) as maker:
            maker.call(f"new_{below.name}", recording=b"new")
            maker.file("recordings/notes.txt")
        yield from walk(below)

    monkeypatch.setattr(_verifying, "_found_below", walk_beside_a_run)
    assert problems(folder) == [("foreign", "recordings/notes.txt")]


def test_a_recording_whose_digest_nobody_took_is_held_against_its_size(folder: Path) -> None:
    with making(folder) as maker:
        maker.sql.execute("UPDATE artefacts SET sha256 = NULL")
    flip(folder / RECORDING)
    assert problems(folder) == []
    cut(folder / RECORDING)
    (finding,) = Archive(folder).verify().findings
    assert finding.detail == f"it has {len(MP3) - 1} bytes, and had {len(MP3)}"


def test_a_file_that_goes_meanwhile_is_missing_all_the_same(folder: Path) -> None:
    gone = folder / f"recordings/{DAY}/call_2.mp3"
    report = Archive(folder).verify(progress=lambda done, _: gone.unlink(missing_ok=True))
    assert [(finding.problem, finding.path) for finding in report.findings] == [(Problem.MISSING, gone)]


def test_a_row_that_belongs_to_no_call_is_a_fault_of_the_catalogue(folder: Path) -> None:
    with making(folder) as maker:
        maker.sql.execute("DELETE FROM calls WHERE id = 'call_3'")
    report = Archive(folder).verify()
    assert not report.is_sound
    assert {finding.problem for finding in report.findings} == {Problem.CATALOGUE}
    assert "artefacts" in report.findings[0].detail


@pytest.mark.parametrize("page_of", ["calls_by_time", "artefacts"])
def test_a_catalogue_with_a_damaged_page_is_not_sound(folder: Path, page_of: str) -> None:
    path = folder / "catalog.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (page_of,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : page * size] = b"\xff" * size
    path.write_bytes(bytes(content))
    report = Archive(folder).verify()
    assert not report.is_sound
    assert {(finding.problem, finding.path) for finding in report.findings} == {(Problem.CATALOGUE, path)}
    assert report.recordings == (2 if page_of == "calls_by_time" else 0)


# ---- repair


def states(folder: Path) -> dict[tuple[str, str], str]:
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
        rows = connection.execute("SELECT call_id, kind, state FROM artefacts").fetchall()
    return {(call_id, kind): state for call_id, kind, state in rows}


def repair(folder: Path) -> int:
    findings = Archive(folder).verify().findings
    with making(folder) as maker:
        return mark_wanted(maker.sql, findings)


def test_what_is_missing_or_changed_is_wanted_again_and_nothing_else(folder: Path) -> None:
    before = states(folder)
    (folder / TRANSCRIPT).unlink()
    flip(folder / RECORDING)
    damaged = (folder / RECORDING).read_bytes()
    with making(folder) as maker:
        maker.file("recordings/notes.txt", b"mine")
        maker.file(f"recordings/{DAY}/call_9.mp3.part", b"half")
    assert repair(folder) == 2
    assert states(folder) == before | {("call_1", "recording"): "wanted", ("call_1", "transcript"): "wanted"}
    assert not (folder / RECORDING).exists()
    assert (folder / f"{RECORDING}.damaged").read_bytes() == damaged
    assert (folder / "recordings/notes.txt").read_bytes() == b"mine"
    assert (folder / f"recordings/{DAY}/call_9.mp3.part").read_bytes() == b"half"


def test_damage_that_comes_back_loses_no_earlier_copy(folder: Path) -> None:
    for content in (b"one", b"two", b"three"):
        with making(folder) as maker:
            maker.file(RECORDING, content)
            maker.sql.execute(
                "UPDATE artefacts SET state = 'saved', sha256 = 'x' WHERE call_id = 'call_1' AND path = ?",
                (RECORDING,),
            )
        assert repair(folder) == 1
    aside = [folder / f"{RECORDING}.damaged{number}" for number in ("", ".2", ".3")]
    assert [path.read_bytes() for path in aside] == [b"one", b"two", b"three"]
    assert problems(folder) == [("set aside", path.relative_to(folder).as_posix()) for path in aside]


def test_a_path_that_leads_out_of_the_folder_is_forgotten_and_its_file_left_alone(folder: Path) -> None:
    outside = folder.parent / f"{folder.name}-outside.mp3"
    outside.write_bytes(b"somebody's")
    with making(folder) as maker:
        maker.sql.execute("UPDATE artefacts SET path = ? WHERE call_id = 'call_2'", (f"../{outside.name}",))
    repair(folder)
    assert outside.read_bytes() == b"somebody's"
    with making(folder) as maker:
        row = maker.sql.execute("SELECT state, path FROM artefacts WHERE call_id = 'call_2'").fetchone()
    assert row == ("wanted", None)


def test_what_a_run_has_changed_since_the_finding_stays_as_it_is(folder: Path) -> None:
    finding = Finding(Problem.MISSING, folder / RECORDING, "there is no such file", "call_3", "recording")
    with making(folder) as maker:
        assert mark_wanted(maker.sql, [finding]) == 0
    assert states(folder)["call_3", "recording"] == "gone"


# ---- SHA256SUMS


def sha256sum(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="coreutils are not installed")
def test_sha256sum_accepts_the_list_and_notices_a_changed_file(folder: Path) -> None:
    assert Archive(folder).write_checksums() == 3
    done = sha256sum(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"recordings/{DAY}/call_1.mp3: OK",
        f"recordings/{DAY}/call_2.mp3: OK",
        f"transcripts/{DAY}/call_1.txt: OK",
    ]
    flip(folder / RECORDING)
    assert sha256sum(folder).returncode == 1


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="coreutils are not installed")
def test_what_has_no_digest_in_the_catalogue_gets_one(folder: Path) -> None:
    with making(folder) as maker:
        maker.sql.execute("UPDATE artefacts SET sha256 = NULL")
    assert Archive(folder).write_checksums() == 3
    assert sha256sum(folder).returncode == 0


def test_the_list_is_for_the_owner_alone_and_names_nothing_outside(folder: Path) -> None:
    with making(folder) as maker:
        maker.sql.execute("UPDATE artefacts SET path = '../x' WHERE call_id = 'call_2'")
    assert Archive(folder).write_checksums() == 2
    assert stat.S_IMODE((folder / "SHA256SUMS").stat().st_mode) == 0o600
    assert ".." not in (folder / "SHA256SUMS").read_text(encoding="utf-8")


def test_a_list_that_cannot_be_written_is_told(folder: Path) -> None:
    (folder / "SHA256SUMS").mkdir()
    with pytest.raises(LocalFileError, match="SHA256SUMS cannot be written"):
        Archive(folder).write_checksums()
