"""Which pages to ask for. Pure: pages in, decisions out."""

from __future__ import annotations

from collections.abc import Iterable

from krosai_calls.errors import ListingInconsistentError
from krosai_calls.models import Call

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


class UnseenCalls:
    """Drops what the page before already had: a new call shifts its neighbours by a row."""

    def __init__(self) -> None:
        self._last_page: frozenset[str] = frozenset()
        self._repeats = 0

    def of(self, calls: Iterable[Call]) -> frozenset[str]:
        """The ids on the next page that were not on the last one.

        Raises:
            ListingInconsistentError: Two pages in a row had nothing new: the service ignores the offset.
        """
        page = frozenset(call.id for call in calls)
        unseen = page - self._last_page
        self._repeats = self._repeats + 1 if page and not unseen else 0
        if self._repeats == MOST_REPEATS:
            raise ListingInconsistentError(
                "the service gives the same page again and again, whatever offset is asked for"
            )
        self._last_page = page
        return unseen
