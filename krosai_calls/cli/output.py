"""Where a command's words go: data to stdout, as tables for people or JSON lines for programs; notes to stderr."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from krosai_calls._text import visible
from krosai_calls.cli.display import STATUS_STYLES, text_of

_GAP = 2
_USUAL_COLUMNS = 80


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


def columns_of(stream: TextIO) -> int:
    """How many columns the terminal behind a stream has; those of COLUMNS where that says so."""
    said = os.environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and int(said[:6]) > 0:
        return int(said[:6])
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_COLUMNS
    return _USUAL_COLUMNS


class Output:
    """What one command says.

    Args:
        as_json: Whether data is written as JSON lines even on a terminal.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json or not sys.stdout.isatty()

    def data(self, record: Mapping[str, Any]) -> None:
        """One record as a JSON line; plain ASCII, which every pipe, file and terminal takes."""
        import json  # not for help, which needs none

        self.write(json.dumps(record, ensure_ascii=True) + "\n")

    def file(self) -> io.RawIOBase:
        """Stdout as a file for bytes, as an export writes them; on a terminal they are shown as harmless text."""
        return _Stdout()

    def line(self, text: str = "") -> None:
        """One line of data for people."""
        self.write(_encodable(visible(text), sys.stdout) + "\n")

    def styled(self, *pieces: tuple[str, str], is_prose: bool = False) -> None:
        """One line of data for people, of pieces each with its style, such as ``green`` or ``bold``.

        Args:
            *pieces: Texts and their styles.
            is_prose: Whether it is broken between words where it does not fit.
        """
        from rich.text import Text

        line = Text.assemble(*((visible(text), style) for text, style in pieces))
        self.draw(line, width=columns_of(sys.stdout) if is_prose else None)

    def facts_or_json(self, facts: Mapping[str, Any]) -> None:
        """Names and values: one record as JSON, or one a line for people."""
        if self.as_json:
            self.data(facts)
        else:
            self.facts(facts)

    def facts(self, facts: Mapping[str, object]) -> None:
        """Names and values, one a line; what is a status in its colour."""
        width = max(map(len, facts))
        for name, value in facts.items():
            text = text_of(value)
            self.styled((f"{name:<{width}}  ", "dim"), (text, STATUS_STYLES.get(text, "")))

    def flush(self) -> None:
        """Let what was said be seen now, also by the reader of a pipe."""
        self.write("", flush=True)

    def note(self, text: str) -> None:
        """A word to the person at the keyboard, beside the data."""
        try:
            sys.stderr.write(_encodable(visible(text), sys.stderr) + "\n")
            sys.stderr.flush()
        except OSError:  # nobody listens, and there is nobody to tell
            give_up(sys.stderr)

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
        """Rows for people, as wide as the terminal allows; an id is never cut."""
        Table(self, columns).add(rows)

    def draw(self, drawing: Any, *, width: int | None = None) -> None:
        """Something that rich can draw, in the terminal's colours; its texts must be harmless already.

        Args:
            drawing: What to draw.
            width: How wide it is at most; where None, it goes on beyond the terminal's edge.
        """
        from rich.console import Console

        # The height is of no use here, but without it rich takes a dumb terminal for one of 80 columns.
        console = Console(file=sys.stdout, highlight=False, width=width or columns_of(sys.stdout), height=25)
        with console.capture() as drawn:
            console.print(drawing, soft_wrap=width is None)
        self.write(_encodable(drawn.get(), sys.stdout))

    @staticmethod
    def write(text: str, *, flush: bool = False) -> None:
        """Text that is known to be harmless.

        Raises:
            ReaderGoneError: Nobody reads any more.
        """
        try:
            sys.stdout.write(text)
            if flush:
                sys.stdout.flush()
        except BrokenPipeError:
            raise ReaderGoneError from None


class Table:
    """A table that grows: what a row shows is decided by the first ones.

    Args:
        out: Where it goes.
        columns: Its columns.
        at_least: Cells as wide as those that are expected, where they are; none where nobody knows.
    """

    def __init__(self, out: Output, columns: Sequence[Column], *, at_least: Sequence[str] = ()) -> None:
        self._out = out
        self._columns = columns
        self._widths = [len(column.title) for column in columns]
        self._widths = [max(pair) for pair in zip(self._widths, map(len, at_least), strict=False)] or self._widths
        self._kept: list[int] | None = None

    def add(self, rows: Iterable[Sequence[object]]) -> None:
        """Write rows, under the headings where they are the first."""
        from rich.cells import cell_len
        from rich.table import Table as Drawing
        from rich.text import Text

        cells = [[text_of(value) for value in row] for row in rows]
        for row in cells:
            self._widths = [max(width, cell_len(cell)) for width, cell in zip(self._widths, row, strict=True)]
        is_first, room = self._kept is None, columns_of(sys.stdout)
        kept = self._kept = fitting(self._columns, self._widths, room) if self._kept is None else self._kept
        drawing = Drawing(
            box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold", show_header=is_first
        )
        for index in kept:
            column = self._columns[index]
            drawing.add_column(
                column.title,
                no_wrap=column.rank == 0,
                overflow="fold",
                justify="right" if column.is_number else "left",
                min_width=min(self._widths[index], room),
            )
        for row in cells:
            drawing.add_row(*(Text(row[index], style=STATUS_STYLES.get(row[index], "")) for index in kept))
        # Where even the columns that stay are wider than the terminal, it wraps them; nothing is cut.
        self._out.draw(drawing, width=max(room, sum(self._widths[index] + _GAP for index in kept)))


def has_room(stream: TextIO) -> bool:
    """Whether a stream took all that was written to it."""
    try:
        stream.flush()
    except (OSError, ValueError):
        return False
    return True


class _Stdout(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        content = bytes(data)
        try:
            if sys.stdout.isatty():
                text = content.decode("utf-8", "backslashreplace")
                sys.stdout.write(_encodable("\n".join(map(visible, text.split("\n"))), sys.stdout))
            else:
                sys.stdout.flush()
                sys.stdout.buffer.write(content)
        except BrokenPipeError:
            raise ReaderGoneError from None
        return len(content)


def give_up(stream: TextIO) -> None:
    """Let what is still to be written go nowhere: Python flushes once more at exit, and would complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _encodable(text: str, stream: Any) -> str:
    """The text as the stream's encoding can hold it: the C locale knows ASCII alone."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
