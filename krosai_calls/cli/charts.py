"""Bars made of letters. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from krosai_calls.cli.display import text_of

MOST_BAR_CELLS = 40
LEAST_BAR_CELLS = 4


@dataclass(frozen=True)
class Glyphs:
    """What bars are made of.

    Attributes:
        full: A cell of what is there.
        rest: A cell of what is missing.
    """

    full: str
    rest: str


DRAWN = Glyphs("━", "─")
PLAIN = Glyphs("#", ".")


def glyphs_for(encoding: str | None) -> Glyphs:
    """The glyphs that an encoding has."""
    try:
        (DRAWN.full + DRAWN.rest).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return DRAWN


def share_bar(share: float, cells: int, glyphs: Glyphs) -> str:
    """A bar that is full by a share from 0 to 1; something is never nothing, and less than all is never full."""
    full = round(min(max(share, 0.0), 1.0) * cells)
    if 0 < share < 1 and cells > 1:
        full = min(max(full, 1), cells - 1)
    return glyphs.full * full + glyphs.rest * (cells - full)


@dataclass(frozen=True)
class ChartRow:
    """One row of a bar chart.

    Attributes:
        label: What it is about; harmless text.
        bar: As long as its share of the largest; empty where it is no number, or there is no room.
        value: The number and its share of all.
    """

    label: str
    bar: str
    value: str


def chart(counts: Sequence[tuple[str, object]], room: int, glyphs: Glyphs) -> list[ChartRow]:
    """A bar chart of counts, in the order given.

    Args:
        counts: Labels and numbers, as a server sent them: some may be no numbers.
        room: How wide a row may be.
        glyphs: What to make it of.
    """
    numbers = [_number(value) for _, value in counts]
    total, largest = sum(filter(None, numbers)), max(filter(None, numbers), default=0.0)
    labels = [text_of(label) for label, _ in counts]
    values = [
        text_of(value) if number is None else f"{number:,.0f}"
        for (_, value), number in zip(counts, numbers, strict=True)
    ]
    width = max(map(len, values), default=0)
    values = [
        f"{value:>{width}}" + (f"  {number / total:4.0%}" if total and number is not None else "")
        for value, number in zip(values, numbers, strict=True)
    ]
    cells = min(MOST_BAR_CELLS, room - max(map(len, labels), default=0) - max(map(len, values), default=0) - 4)
    if cells < LEAST_BAR_CELLS:
        return [ChartRow(label, "", value) for label, value in zip(labels, values, strict=True)]
    bars = [_bar(number, largest, cells, glyphs) for number in numbers]
    return [ChartRow(*row) for row in zip(labels, bars, values, strict=True)]


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e15:
        return None
    return float(value)


def _bar(number: float | None, largest: float, cells: int, glyphs: Glyphs) -> str:
    if not number or not largest:
        return " " * cells
    return (glyphs.full * max(1, round(number / largest * cells))).ljust(cells)
