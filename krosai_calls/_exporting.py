"""The calls of an archive as a table: CSV, JSON lines or Parquet, in pieces of bounded size."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

from attrs import fields, frozen

from krosai_calls._catalog_reading import Conditions, pages_of_rows
from krosai_calls._files import PartFile, require_a_place
from krosai_calls._json import encode_json
from krosai_calls.errors import InvalidArgumentError, LocalFileError, SettingsError
from krosai_calls.models import Call

ExportFormat: TypeAlias = Literal["csv", "jsonl", "parquet"]
FORMATS: Final[tuple[ExportFormat, ...]] = ("csv", "jsonl", "parquet")

_ROWS_AT_ONCE: Final = 1_000
_ROWS_IN_A_GROUP: Final = 10_000  # of Parquet, which is compressed group by group


class Writable(Protocol):
    """A file that is open for writing, or whatever can be written into like one."""

    def write(self, data: Any, /) -> Any:
        """Take bytes, or text where it has an ``encoding``."""


Row: TypeAlias = Sequence[Any]
# Some of the bytes, and how many rows they finish.
Piece: TypeAlias = tuple[bytes, int]
Writer: TypeAlias = Callable[[Iterable[list[Row]]], Iterator[Piece]]


@frozen
class ExportColumn:
    """A column of an export.

    Attributes:
        name: Its heading.
        kind: ``text``, ``number``, ``time`` (ISO 8601, UTC) or ``json``.
        sql: Where it comes from.
    """

    name: str
    kind: Literal["text", "number", "time", "json"]
    sql: str


_NUMBERS: Final = frozenset({"duration", "cost_cents"})
_TIMES: Final = frozenset({"created_at", "answered_at", "completed_at"})


def _call_column(name: str) -> ExportColumn:
    if name == "metadata":
        return ExportColumn(name, "json", "calls.metadata")
    return ExportColumn(
        name, "number" if name in _NUMBERS else "time" if name in _TIMES else "text", f"calls.{name}"
    )


def _artefact_columns(kind: str) -> tuple[ExportColumn, ...]:
    # A path is given where there is a file, and not where there is to be one.
    return (
        ExportColumn(f"{kind}_state", "text", f"{kind}.state"),
        ExportColumn(f"{kind}_path", "text", f"iif({kind}.state = 'saved', {kind}.path, NULL)"),
        ExportColumn(f"{kind}_sha256", "text", f"iif({kind}.state = 'saved', {kind}.sha256, NULL)"),
    )


COLUMNS: Final = (
    *(_call_column(field.name) for field in fields(Call) if field.init),
    *_artefact_columns("recording"),
    *_artefact_columns("transcript"),
)

_SELECT: Final = f"""
    SELECT calls.id, calls.created_at, {", ".join(column.sql for column in COLUMNS)}
    FROM calls
    LEFT JOIN artefacts AS recording ON recording.call_id = calls.id AND recording.kind = 'recording'
    LEFT JOIN artefacts AS transcript ON transcript.call_id = calls.id AND transcript.kind = 'transcript'
"""  # noqa: S608 - our words


def export_pieces(file_format: ExportFormat, directory: Path, conditions: Conditions) -> Iterator[Piece]:
    """The bytes of an export, piece by piece.

    Raises:
        InvalidArgumentError: There is no such format.
        SettingsError: The format needs a library that is not installed.
    """
    if file_format not in FORMATS:
        raise InvalidArgumentError(f"{file_format!r:.80} is no format: csv, jsonl and parquet are")
    writer = _parquet_writer() if file_format == "parquet" else _TEXT_WRITERS[file_format]
    return writer(_pages(directory, conditions))


def _pages(directory: Path, conditions: Conditions) -> Iterator[list[Row]]:
    for rows in pages_of_rows(directory, _SELECT, conditions, page_size=_ROWS_AT_ONCE):
        yield [[_value(column, cell) for column, cell in zip(COLUMNS, row[2:], strict=True)] for row in rows]


def _value(column: ExportColumn, cell: Any) -> Any:
    # The catalogue's numbers are floats; one that is whole is written as such.
    return int(cell) if column.kind == "number" and isinstance(cell, float) and cell.is_integer() else cell


# --- CSV ---------------------------------------------------------------------------------------------------

# What spreadsheets take for the beginning of a formula, also behind spaces and in full width.
_FORMULA: Final = re.compile(r"[\t\r]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
_PHONE_NUMBER: Final = re.compile(r"\+[0-9]{1,15}", re.ASCII)


def defused(text: str) -> str:
    """A text that no spreadsheet runs as a formula: with an apostrophe before it, where it looks like one.

    A phone number in E.164 stays as it is: a plus and digits can do nothing.
    """
    return f"'{text}" if _FORMULA.match(text) and not _PHONE_NUMBER.fullmatch(text) else text


def _csv_pieces(pages: Iterable[list[Row]]) -> Iterator[Piece]:
    yield _csv_lines([[column.name for column in COLUMNS]]), 0
    for rows in pages:
        harmless = [[defused(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
        yield _csv_lines(harmless), len(rows)


def _csv_lines(rows: Iterable[Row]) -> bytes:
    lines = io.StringIO(newline="")
    csv.writer(lines, lineterminator="\n").writerows(rows)
    return lines.getvalue().encode("utf-8")


# --- JSON lines --------------------------------------------------------------------------------------------


def _jsonl_pieces(pages: Iterable[list[Row]]) -> Iterator[Piece]:
    for rows in pages:
        yield "".join(encode_json(_object(row)) + "\n" for row in rows).encode("ascii"), len(rows)


def _object(row: Row) -> dict[str, Any]:
    return {
        column.name: _parsed(cell) if column.kind == "json" else cell
        for column, cell in zip(COLUMNS, row, strict=True)
    }


def _parsed(cell: Any) -> Any:
    try:
        return json.loads(cell) if isinstance(cell, str) else cell
    except ValueError:  # somebody wrote into the catalogue by hand
        return cell


# --- Parquet -----------------------------------------------------------------------------------------------


def _parquet_writer() -> Writer:
    try:
        from krosai_calls._parquet import parquet_pieces  # heavy, and not for everybody
    except ImportError as missing:
        raise SettingsError(
            f"Parquet needs pyarrow ({missing}): install it with  pip install 'krosai-calls[parquet]'"
        ) from missing
    kinds = [(column.name, column.kind) for column in COLUMNS]
    return lambda pages: parquet_pieces(kinds, _groups(pages))


def _groups(pages: Iterable[list[Row]]) -> Iterator[list[Row]]:
    group: list[Row] = []
    for rows in pages:
        group += rows
        if len(group) >= _ROWS_IN_A_GROUP:
            yield group
            group = []
    if group:
        yield group


_TEXT_WRITERS: Final[dict[str, Writer]] = {"csv": _csv_pieces, "jsonl": _jsonl_pieces}


# --- Where it goes -----------------------------------------------------------------------------------------


def require_fitting(file_format: str, destination: object) -> None:
    """Whether a file can take a format; a path can take any.

    Raises:
        InvalidArgumentError: It is open for text, and the format is none.
    """
    if file_format == "parquet" and _takes_text(destination):
        raise InvalidArgumentError("Parquet is no text: open the file for bytes, or give a path")


def _takes_text(file: object) -> bool:
    return hasattr(file, "encoding")  # as files of text have, and no others


def write_pieces(pieces: Iterable[Piece], destination: Path | str | Writable) -> int:
    """Write an export, and count its rows.

    Args:
        pieces: What to write.
        destination: A path, whose file appears when it is whole, for its owner alone; or an open file.

    Raises:
        LocalFileError: The path cannot be written.
    """
    if isinstance(destination, Path | str):
        return _write_file(pieces, Path(destination))
    written = 0
    for data, rows in pieces:
        _write_all(destination, data)
        written += rows
    return written


def _write_all(file: Any, data: bytes) -> None:
    if _takes_text(file):
        file.write(data.decode("utf-8"))
        return
    view = memoryview(data)
    while view:  # a file without a buffer may take a part
        taken = file.write(view)
        view = view[len(view) if taken is None else taken :]


def _write_file(pieces: Iterable[Piece], target: Path) -> int:
    written = 0
    try:
        require_a_place(target)
        part = PartFile(target)
        try:
            for data, rows in pieces:
                part.write(data)
                written += rows
            part.publish()
        except BaseException:
            part.discard()
            raise
    except OSError as fault:
        error = LocalFileError(f"{target} cannot be written: {fault.strerror}", path=target)
        error.errno = fault.errno
        raise error from fault
    return written
