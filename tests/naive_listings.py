"""Listings that lose calls: what one would write first. Tests that do not find their losses find nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from krosai_calls._paging import next_offset
from krosai_calls._seams import ListedPage, Row, Window
from krosai_calls.errors import KrosaiError
from krosai_calls.models import Call


class _Naive:
    """Gives each call once, as it comes."""

    def __init__(self, page_size: int, *, most_at_once: int = 1) -> None:
        self.ready: deque[ListedPage] = deque()
        self.is_over = False
        self._page_size = page_size
        self._most_at_once = most_at_once
        self._todo = deque([Window(0, page_size)])
        self._under_way = 0
        self._seen: set[str] = set()
        self._error: KrosaiError | None = None

    def ask(self) -> Window | None:
        if not self._todo or self._under_way == self._most_at_once:
            return None
        self._under_way += 1
        return self._todo.popleft()

    def receive(self, window: Window, rows: Sequence[Row], *, total: int | None, most: int) -> None:
        self._under_way -= 1
        new = tuple(row for row in rows if isinstance(row, Call) and row.id not in self._seen)
        self._seen.update(call.id for call in new)
        if new:
            self.ready.append(ListedPage(new, total))
        self._plan(window, len(rows), total)
        self.is_over = not self._todo and not self._under_way

    def _plan(self, window: Window, rows: int, total: int | None) -> None:
        raise NotImplementedError

    def fail(self, window: Window, error: KrosaiError) -> None:
        self._error = error

    def dead_end(self) -> KrosaiError | None:
        return self._error

    def resume(self) -> None:
        """It cannot, and need not."""


class SideBySide(_Naive):
    """All pages side by side, by the total of the first one."""

    def _plan(self, window: Window, rows: int, total: int | None) -> None:
        if window.offset == 0:
            offsets = range(self._page_size, total or 0, self._page_size)
            self._todo += [Window(offset, self._page_size) for offset in offsets]


class OneByOne(_Naive):
    """A page after the other, each where the one before ended."""

    def _plan(self, window: Window, rows: int, total: int | None) -> None:
        following = next_offset(window.offset, rows, total)
        if following is not None:
            self._todo.append(Window(following, self._page_size))
