"""Rows to Parquet: the only user of pyarrow, imported only where Parquet is asked for."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import pyarrow
from pyarrow.parquet import ParquetWriter

from krosai_calls._values import moment

_TYPES: Final = {
    "text": pyarrow.string(),
    "json": pyarrow.string(),
    "number": pyarrow.float64(),
    "time": pyarrow.timestamp("ms", tz="UTC"),
}


class _Drain(io.RawIOBase):
    """What a writer writes into, emptied from the other end; it never holds more than one group of rows."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._place += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._place

    def drained(self) -> bytes:
        """What has come since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def parquet_pieces(
    fields: Sequence[tuple[str, str]], groups: Iterable[Sequence[Sequence[Any]]]
) -> Iterator[tuple[bytes, int]]:
    """A Parquet file, piece by piece, and how many rows each piece finishes.

    Args:
        fields: Name and kind (``text``, ``json``, ``number`` or ``time``) of each column.
        groups: The rows, as many at a time as a row group is to have.
    """
    schema = pyarrow.schema([(name, _TYPES[kind]) for name, kind in fields])
    drain = _Drain()
    with ParquetWriter(drain, schema) as writer:
        for rows in groups:
            columns = zip(fields, zip(*rows, strict=True), strict=True)
            arrays = [pyarrow.array(_cells(kind, cells), _TYPES[kind]) for (_, kind), cells in columns]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
            yield drain.drained(), len(rows)
    yield drain.drained(), 0


def _cells(kind: str, cells: Sequence[Any]) -> list[Any]:
    match kind:
        case "time":
            return [moment(cell) for cell in cells]
        case "number":
            return [cell if cell is None else float(cell) for cell in cells]
        case _:
            return [cell if cell is None else str(cell) for cell in cells]
