"""Exports of an archive: their columns, what spreadsheets would run, and where they go."""

from __future__ import annotations

import csv
import gzip
import io
import json
import stat
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from archive_maker import DAY, making

from krosai_calls import Archive, InvalidArgumentError, LocalFileError, SettingsError
from krosai_calls._exporting import defused

# Users' spreadsheets and programs are built on these names and this order.
COLUMNS = [
    "id", "from_number", "to_number", "direction", "status", "duration", "cost_cents", "endpoint_id",
    "phone_number_id", "recording_url", "transcript", "created_at", "answered_at", "completed_at", "hangup_cause",
    "metadata", "recording_state", "recording_path", "recording_sha256", "transcript_state", "transcript_path",
    "transcript_sha256",
]  # fmt: skip
FULL: dict[str, Any] = {
    "from_number": "+2348012345678",
    "to_number": "+254712345678",
    "direction": "inbound",
    "status": "completed",
    "duration": 61,
    "cost_cents": 12.5,
    "endpoint_id": "ep_1",
    "phone_number_id": "pn_1",
    "recording_url": "https://storage.test/call_1.mp3",
    "answered_at": "2025-01-10T12:00:05.000Z",
    "completed_at": "2025-01-10T12:01:06.000Z",
    "hangup_cause": "user_hangup",
    "metadata": {"order": 7, "=cmd": "é"},
}
FULL_ROW = {
    "id": "call_1",
    **FULL,
    "transcript": '[Caller]: one, "two"\nthree',
    "created_at": "2025-01-10T12:00:00.000Z",
    "recording_state": "saved",
    "recording_path": f"recordings/{DAY}/call_1.mp3",
    "transcript_state": "saved",
    "transcript_path": f"transcripts/{DAY}/call_1.txt",
}
EMPTY_ROW = {**dict.fromkeys(COLUMNS), "id": "call_2", "recording_state": "wanted"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with making(tmp_path) as maker:
        maker.call("call_1", said=[("Caller", 'one, "two"\nthree')], recording=b"an MP3", **FULL)
        maker.call("call_2", created_at=None)
        maker.insert(
            "artefacts",
            {
                "call_id": "call_2",
                "kind": "recording",
                "state": "wanted",
                "path": "recordings/x.mp3",
                "sha256": "x",
            },
        )
    return tmp_path


@pytest.fixture
def full_row(folder: Path) -> dict[str, Any]:
    """What coreutils say of the digests, for the row that has everything."""
    files = {"recording_sha256": FULL_ROW["recording_path"], "transcript_sha256": FULL_ROW["transcript_path"]}
    sums = {
        name: subprocess.run(
            ["sha256sum", str(path)], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.split()[0]
        for name, path in files.items()
    }
    return {**FULL_ROW, **sums}


def exported(folder: Path, file_format: Any, **filters: Any) -> bytes:
    into = io.BytesIO()
    Archive(folder).export(file_format, into, **filters)
    return into.getvalue()


def test_csv_has_a_column_for_each_field_and_file(folder: Path, full_row: dict[str, Any]) -> None:
    text = exported(folder, "csv").decode("utf-8")
    heading, *rows = list(csv.reader(io.StringIO(text, newline="")))
    assert heading == COLUMNS
    expected = {**full_row, "duration": "61", "cost_cents": "12.5", "metadata": json.dumps(FULL["metadata"])}
    assert [dict(zip(heading, row, strict=True)) for row in rows] == [
        expected,
        {name: value or "" for name, value in EMPTY_ROW.items()},
    ]


def test_json_lines_have_the_same_columns_with_their_types(folder: Path, full_row: dict[str, Any]) -> None:
    data = exported(folder, "jsonl")
    rows = [json.loads(line) for line in data.splitlines()]
    assert rows == [full_row, EMPTY_ROW]
    assert [list(row) for row in rows] == [COLUMNS, COLUMNS]
    assert (type(rows[0]["duration"]), data.isascii()) == (int, True)


def test_parquet_has_the_same_columns_with_their_types(folder: Path, full_row: dict[str, Any]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(exported(folder, "parquet")))
    moments = {
        "created_at": datetime(2025, 1, 10, 12, tzinfo=UTC),
        "answered_at": datetime(2025, 1, 10, 12, 0, 5, tzinfo=UTC),
        "completed_at": datetime(2025, 1, 10, 12, 1, 6, tzinfo=UTC),
    }
    assert table.column_names == COLUMNS
    assert table.to_pylist() == [{**full_row, **moments, "metadata": json.dumps(FULL["metadata"])}, EMPTY_ROW]


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_an_archive_without_calls_is_a_table_without_rows(tmp_path: Path, file_format: str) -> None:
    if file_format == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
    with making(tmp_path):
        pass
    data = exported(tmp_path, file_format)
    if file_format == "parquet":
        assert parquet.read_table(io.BytesIO(data)).num_rows == 0
    else:
        assert data.decode() == ("" if file_format == "jsonl" else ",".join(COLUMNS) + "\n")


def test_filters_choose_what_is_exported_and_the_number_is_told(folder: Path) -> None:
    archive = Archive(folder)
    assert archive.export("jsonl", io.BytesIO(), status="completed") == 1
    assert archive.export("jsonl", io.BytesIO(), from_date="2025-01-11") == 0
    with pytest.raises(InvalidArgumentError):
        archive.export("jsonl", io.BytesIO(), status="")


# ---- what a spreadsheet would run


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1+1", "-1", "@SUM(A1)", "\t=1", "\tx", "\rx", " =1", "\n=1", "\xa0=1", "=HYPERLINK(\"http://x\")",
        "+cmd|' /C calc'!A0", "+15550100+1", "+", "- hello", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x",
        "+1555010012345678", "+1\n", "+\u0661\u0662",
    ],
)  # fmt: skip
def test_what_looks_like_a_formula_gets_an_apostrophe(text: str) -> None:
    assert defused(text) == "'" + text


@pytest.mark.parametrize("text", ["+15550100", "+2348012345678", "", "a=b", "'", "1-2", "call_1", "[Agent]: =1"])
def test_what_does_not_stays_as_it_is(text: str) -> None:
    assert defused(text) == text


def test_formulas_are_defused_in_csv_alone(tmp_path: Path) -> None:
    with making(tmp_path) as maker:
        maker.call("=call", from_number="+15550100", duration=-3, status="@SUM(A1)")
    (row,) = csv.DictReader(io.StringIO(exported(tmp_path, "csv").decode(), newline=""))
    assert (row["id"], row["from_number"], row["duration"], row["status"]) == (
        "'=call",
        "+15550100",
        "-3",
        "'@SUM(A1)",
    )
    assert json.loads(exported(tmp_path, "jsonl"))["id"] == "=call"


# ---- where it goes


def test_a_path_gets_a_whole_file_for_its_owner_alone(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "calls.csv"
    target.write_text("of yesterday", encoding="utf-8")
    target.chmod(0o644)
    assert Archive(folder).export("csv", str(target)) == 2
    assert target.read_bytes() == exported(folder, "csv")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert not list(tmp_path.glob("calls.csv.*"))


def test_what_fails_on_the_way_leaves_yesterdays_file_and_nothing_beside_it(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "calls.csv"
    target.write_text("of yesterday", encoding="utf-8")
    archive = Archive(folder)
    (folder / "catalog.sqlite").write_bytes(b"no database " * 1000)
    with pytest.raises(Exception, match="damaged"):
        archive.export("csv", target)
    assert target.read_text(encoding="utf-8") == "of yesterday"
    assert not list(tmp_path.glob("calls.csv.*"))


@pytest.mark.parametrize("target", ["nowhere/calls.csv", "recordings"])
def test_a_path_that_cannot_be_written_is_told(folder: Path, target: str) -> None:
    with pytest.raises(LocalFileError, match="cannot be written") as caught:
        Archive(folder).export("csv", folder / target)
    assert caught.value.path == folder / target
    assert caught.value.errno


def test_files_open_for_text_or_bytes_are_written_and_stay_open(folder: Path, tmp_path: Path) -> None:
    expected = exported(folder, "csv")
    with open(tmp_path / "text", "w", encoding="utf-8", newline="") as text:
        Archive(folder).export("csv", text)
        assert not text.closed
    with gzip.open(tmp_path / "gz", "wb") as packed:
        Archive(folder).export("csv", packed)
    with open(tmp_path / "raw", "wb", buffering=0) as raw:
        Archive(folder).export("csv", raw)
    assert (tmp_path / "text").read_bytes() == expected
    assert gzip.decompress((tmp_path / "gz").read_bytes()) == expected
    assert (tmp_path / "raw").read_bytes() == expected


def test_a_file_that_takes_little_at_a_time_gets_everything(folder: Path) -> None:
    class Slow:
        taken = b""

        def write(self, data: memoryview) -> int:
            self.taken += bytes(data[:7])
            return min(7, len(data))

    slow = Slow()
    Archive(folder).export("jsonl", slow)
    assert slow.taken == exported(folder, "jsonl")


def test_parquet_does_not_go_into_a_text(folder: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="no text"):
        Archive(folder).export("parquet", io.StringIO())


def test_an_unknown_format_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="csv, jsonl and parquet"):
        Archive(folder).export("xlsx", io.BytesIO())  # type: ignore[arg-type]


def test_without_pyarrow_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "krosai_calls._parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SettingsError, match=r"pip install 'krosai-calls\[parquet\]'"):
        Archive(folder).export("parquet", io.BytesIO())


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
def test_memory_does_not_grow_with_the_archive(tmp_path: Path, file_format: Any) -> None:
    with making(tmp_path) as maker:
        maker.sql.execute("BEGIN")
        for number in range(6_000):
            maker.insert("calls", {"id": f"call_{number}", "raw": "{}", "transcript": "x" * 2_000})
        maker.sql.execute("COMMIT")

    class Nowhere:
        def write(self, data: memoryview) -> int:
            return len(data)

    tracemalloc.start()
    try:
        assert Archive(tmp_path).export(file_format, Nowhere()) == 6_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 11_000_000  # a thousand rows, in a few shapes; all of them are 12 MB in each
