"""Which pages to ask for. Pure: pages in, decisions out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from krosai_calls.errors import DecodeError, ListingInconsistentError
from krosai_calls.models import Call

Row: TypeAlias = Call | DecodeError

MOST_REPEATS = 2


def next_offset(offset: int, rows: int, total: int | None) -> int | None:
    """Where the page after this one begins, or None where this one ends the history.

    A short page alone proves nothing: a service may cap pages below what was asked. The end is where the page
    reaches the total or, without a total, a page that is empty.

    Args:
        offset: Where the page begins.
        rows: How many rows it has.
        total: How many rows the service says there are, or None.
    """
    if rows == 0 or (total is not None and offset + rows >= total):
        return None
    return offset + rows


class NewRows:
    """Drops what the page before already had, and what stands twice: a new call shifts its neighbours by a row."""

    def __init__(self) -> None:
        self._last_page: frozenset[str] = frozenset()
        self._repeats = 0

    def of(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        """The rows of the next page that are new, in order; one that is no call is always new.

        Raises:
            ListingInconsistentError: Pages in a row had no new call: the service ignores the offset.
        """
        calls = {row.id: row for row in reversed(rows) if isinstance(row, Call)}
        new = calls.keys() - self._last_page
        self._repeats = 0 if new or not rows else self._repeats + 1
        if self._repeats == MOST_REPEATS:
            raise ListingInconsistentError(
                "the service gives the same page again and again, whatever offset is asked for"
            )
        self._last_page = frozenset(calls)
        return tuple(row for row in rows if not isinstance(row, Call) or (row.id in new and row is calls[row.id]))
