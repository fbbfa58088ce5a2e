"""``search``, ``verify`` and ``export`` as a person and as a script see them."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from archive_maker import DAY, making
from cli_process import PROGRAM, SECONDS, environment, on_terminal, run

from krosai_calls.cli import main
from krosai_calls.cli.display import excerpt_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with making(tmp_path / "calls") as maker:
        maker.call(
            "call_0123456789abcdef",
            said=[("Agent", "Good morning."), ("Caller", "I want a refund, " + "and soon, " * 30 + "please")],
            recording=b"an MP3",
            from_number="+15550100",
            to_number="+15550101",
            direction="inbound",
            status="completed",
        )
        maker.call("call_2", said=[("Caller", "A refund\x1b[2J\nwas promised")], created_at=None)
    return tmp_path / "calls"


# ---- search


def test_search_writes_a_json_line_for_each_turn_without_a_key(folder: Path) -> None:
    done = run(["search", str(folder), "refund"])
    assert (done.returncode, done.stderr) == (0, "")
    hits = {hit["call_id"]: hit for hit in map(json.loads, done.stdout.splitlines())}
    assert len(hits) == 2
    hit = hits["call_0123456789abcdef"]
    assert hit["created_at"] == "2025-01-10T12:00:00Z"
    assert (hit["from_number"], hit["to_number"], hit["direction"]) == ("+15550100", "+15550101", "inbound")
    assert (hit["speaker"], hit["position"]) == ("Caller", 1)
    assert hit["snippet"].startswith("I want a refund, and soon")
    assert hit["recording_path"] == str(folder / f"recordings/{DAY}/call_0123456789abcdef.mp3")
    assert hits["call_2"]["recording_path"] is None


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_search_shows_a_table_that_fits_with_a_row_a_turn(folder: Path, columns: int) -> None:
    screen = on_terminal(["search", str(folder), "refund"], columns=columns)
    assert screen.code == 0
    heading, *rows = screen.lines
    assert (heading.split()[-1], len(rows)) == ("id", 2)
    assert {row.split()[-1] for row in rows} == {"call_0123456789abcdef", "call_2"}
    assert all("*refund*" in row for row in rows)
    assert max(map(len, screen.lines)) <= columns


def test_what_was_said_cannot_drive_the_terminal(folder: Path) -> None:
    for words in (["search", str(folder), "promised"], ["export", str(folder), "--format", "csv"]):
        screen = on_terminal(words, columns=120)
        assert "\x1b[2J" not in screen.raw
        assert "\\x1b[2J" in screen.raw


def test_search_takes_filters_and_a_limit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", str(folder), "refund", "--from", "2025-01-01", "--speaker", "Caller"]) == 0
    assert json.loads(capsys.readouterr().out)["call_id"] == "call_0123456789abcdef"
    assert main(["search", str(folder), "refund", "--max-items", "1"]) == 0
    out, err = capsys.readouterr()
    assert (len(out.splitlines()), "there may be more" in err) == (1, True)


def test_a_search_that_finds_nothing_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", str(folder), "nothing"]) == 0
    assert capsys.readouterr() == ("", "No turn matches.\n")


@pytest.mark.parametrize("query", ["it's about \"order", "AND", "", "*"])
def test_a_query_that_cannot_be_read_ends_with_2(
    folder: Path, query: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(folder), query]) == 2
    out, err = capsys.readouterr()
    assert (out, "query" in err, "Traceback" in err) == ("", True, False)


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("short", 10, "short"),
        ("two\nlines", 10, "two lines"),
        ("one two three four", 10, "one two t…"),
        ("one two three *four* five six", 15, "…ree *four* fi…"),
        ("one two three *four*", 10, "…ee *four*"),
        ("a\x1bb", 10, "a\\x1bb"),
    ],
)
def test_an_excerpt_is_short_and_holds_the_mark(text: str, width: int, expected: str) -> None:
    excerpt = excerpt_of(text, width, around="*")
    assert excerpt == expected
    assert len(excerpt) <= width


# ---- verify


def test_a_sound_archive_verifies_with_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(folder)]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (report["is_sound"], report["recordings"], report["transcripts"]) == (True, 1, 2)
    assert "1 recording and 2 transcripts looked at" in err
    assert "all is well" in err


def test_a_damaged_archive_verifies_with_8_and_tells_each_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / f"recordings/{DAY}/call_0123456789abcdef.mp3").write_bytes(b"an mp3")
    (folder / f"transcripts/{DAY}/call_2.txt").unlink()
    (folder / "recordings/notes\x1b.txt").touch()
    assert main(["verify", str(folder)]) == 8
    out, err = capsys.readouterr()
    findings = {finding["problem"]: finding for finding in json.loads(out)["findings"]}
    assert findings["changed"]["call_id"] == "call_0123456789abcdef"
    assert findings["missing"]["path"] == str(folder / f"transcripts/{DAY}/call_2.txt")
    assert findings["foreign"]["path"] == str(folder / "recordings/notes\x1b.txt")
    assert "1 changed, 1 foreign, 1 missing" in err
    screen = on_terminal(["verify", str(folder)], columns=160)
    assert screen.code == 8
    assert f"recordings/{DAY}/call_0123456789abcdef.mp3" in screen.text
    assert "notes\\x1b.txt" in screen.text


# ---- export


def test_export_writes_to_a_pipe_and_tells_how_many(folder: Path) -> None:
    done = run(["export", str(folder), "--format", "csv"])
    assert (done.returncode, done.stderr) == (0, "2 calls exported\n")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["id"] for row in rows] == ["call_0123456789abcdef", "call_2"]
    done = run(["export", str(folder), "--format", "jsonl", "--status", "completed"])
    assert [json.loads(line)["from_number"] for line in done.stdout.splitlines()] == ["+15550100"]


def test_export_writes_a_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "calls.jsonl"
    assert main(["export", str(folder), "--format", "jsonl", "--output", str(target)]) == 0
    assert len(target.read_text(encoding="ascii").splitlines()) == 2
    assert capsys.readouterr() == ("", f"2 calls exported to {target}\n")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="coreutils are not installed")
def test_export_writes_the_list_for_sha256sum(folder: Path) -> None:
    assert run(["export", str(folder), "--sums"]).stderr.startswith("3 files in ")
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=False).returncode == 0


def test_parquet_is_not_written_on_a_terminal(folder: Path) -> None:
    screen = on_terminal(["export", str(folder), "--format", "parquet"])
    assert screen.code == 2
    assert "--output FILE" in screen.text


# ---- endings


@pytest.mark.parametrize(
    "command", [["search", "refund"], ["verify"], ["export", "--format", "csv"]], ids=" ".join
)
def test_a_folder_without_an_archive_ends_with_9(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    name, *rest = command
    assert main([name, str(tmp_path / "nowhere"), *rest]) == 9
    out, err = capsys.readouterr()
    assert (out, "krosai-calls archive" in err, "Traceback" in err) == ("", True, False)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["search"],
        ["search", "DIR"],
        ["search", "DIR", "x", "--max-items", "0"],
        ["search", "FILE", "x"],
        ["verify"],
        ["verify", "FILE"],
        ["export", "DIR"],
        ["export", "DIR", "--format", "xlsx"],
        ["export", "DIR", "--format", "csv", "--sums"],
        ["export", "DIR", "--format", "csv", "--from", "soon"],
        ["export", "DIR", "--format", "csv", "--output", "DIR"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_ends_with_2(
    folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"DIR": str(folder), "FILE": str(folder / "catalog.sqlite")}
    assert main([places.get(word, word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert (out, bool(err)) == ("", True)


def test_an_export_that_cannot_be_written_ends_with_9(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(folder), "--format", "csv", "--output", str(folder / "nowhere" / "x.csv")]) == 9
    assert "cannot be written" in capsys.readouterr().err


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive that no pipe takes at once; it is only read."""
    folder = tmp_path_factory.mktemp("large")
    with making(folder) as maker:
        maker.sql.execute("BEGIN")
        for number in range(3000):
            maker.call(f"call_{number}", said=[("Agent", "this call " + "is long " * 50)])
        maker.sql.execute("COMMIT")
    return folder


COMMANDS_THAT_SAY_MUCH = [["search", "call", "--max-items", "3000"], ["export", "--format", "jsonl"]]


def started(folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    name, *rest = command
    words = [*PROGRAM, name, str(folder), *rest]
    return subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("command", COMMANDS_THAT_SAY_MUCH, ids=" ".join)
def test_a_reader_that_has_had_enough_ends_it_in_silence(large: Path, command: list[str]) -> None:
    with started(large, command) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        said = process.stderr.read()
        assert (process.wait(SECONDS), said) == (0, b"")


def test_an_export_that_is_told_to_end_ends_with_143(large: Path) -> None:
    with started(large, ["export", "--format", "jsonl"]) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=SECONDS)
        assert (process.returncode, b"told to end" in said, b"Traceback" in said) == (143, True, False)
