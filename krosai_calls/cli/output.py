"""Where a command's words go: data to stdout, as tables for people or JSON lines for programs; notes to stderr."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from krosai_calls._text import visible
from krosai_calls.cli.display import STATUS_STYLES, text_of

_GAP = 2


class ReaderGoneError(Exception):
    """Whoever read the output has had enough: the command is to end in silence."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: Its heading.
        rank: How dispensable it is: where a table does not fit, the highest rank goes first; 0 never goes.
        is_number: Whether it is set flush right.
    """

    title: str
    rank: int = 0
    is_number: bool = False


def fitting(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """Which columns a table shows in so much room: all, or all but the most dispensable. Pure.

    Args:
        columns: The table's columns.
        widths: How wide each is at its widest.
        room: How wide the table may be.

    Returns:
        The indexes of the columns that stay, in order.
    """
    kept = list(range(len(columns)))
    while sum(widths[index] + _GAP for index in kept) - _GAP > room:
        spare = max(kept, key=lambda index: columns[index].rank)
        if columns[spare].rank == 0:
            break
        kept.remove(spare)
    return kept


class Output:
    """What one command says.

    Args:
        as_json: Whether data is written as JSON lines even on a terminal.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json or not sys.stdout.isatty()

    def data(self, record: Mapping[str, Any]) -> None:
        """One record as a JSON line; plain ASCII, which every pipe, file and terminal takes."""
        self._write(json.dumps(record, ensure_ascii=True) + "\n")

    def line(self, text: str = "") -> None:
        """One line of data for people."""
        self._write(_encodable(visible(text), sys.stdout) + "\n")

    def flush(self) -> None:
        """Let what was said be seen now, also by the reader of a pipe."""
        self._write("", flush=True)

    def note(self, text: str) -> None:
        """A word to the person at the keyboard, beside the data."""
        try:
            sys.stderr.write(_encodable(visible(text), sys.stderr) + "\n")
            sys.stderr.flush()
        except OSError:  # nobody listens, and there is nobody to tell
            give_up(sys.stderr)

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
        """Rows for people, as wide as the terminal allows; an id is never cut."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        cells = [[text_of(value) for value in row] for row in rows]
        widths = [
            max([len(column.title), *(len(row[index]) for row in cells)]) for index, column in enumerate(columns)
        ]
        room = shutil.get_terminal_size().columns
        kept = fitting(columns, widths, room)
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        for index in kept:
            table.add_column(
                columns[index].title,
                no_wrap=columns[index].rank == 0,
                overflow="fold",
                justify="right" if columns[index].is_number else "left",
            )
        for row in cells:
            table.add_row(*(Text(row[index], style=STATUS_STYLES.get(row[index], "")) for index in kept))
        # Where even the columns that stay are wider than the terminal, it wraps them; nothing is cut.
        width = max(room, sum(widths[index] + _GAP for index in kept))
        # The height is of no use here, but without it rich takes a dumb terminal for one of 80 columns.
        console = Console(file=sys.stdout, highlight=False, width=width, height=25)
        with console.capture() as drawn:
            console.print(table)
        self._write(_encodable(drawn.get(), sys.stdout))

    @staticmethod
    def _write(text: str, *, flush: bool = False) -> None:
        try:
            sys.stdout.write(text)
            if flush:
                sys.stdout.flush()
        except BrokenPipeError:
            raise ReaderGoneError from None


def give_up(stream: TextIO) -> None:
    """Let what is still to be written go nowhere: Python flushes once more at exit, and would complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _encodable(text: str, stream: Any) -> str:
    """The text as the stream's encoding can hold it: the C locale knows ASCII alone."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
