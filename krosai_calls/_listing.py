"""Walking a history page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import TypeAlias

from attrs import frozen

from krosai_calls._paging import NewRows, Row
from krosai_calls.errors import DecodeError
from krosai_calls.models import Call, Page

FetchPage: TypeAlias = Callable[[int], Awaitable[tuple[Page, tuple[Row, ...]]]]


@frozen
class ListedPage:
    """One page of a walk.

    Attributes:
        rows: Its rows in order, but for the calls of the page before: each a call, or why it is none.
        total: How many calls match, as the service says.
    """

    rows: tuple[Row, ...]
    total: int | None

    @property
    def calls(self) -> list[Call]:
        """The rows that can be read."""
        return [row for row in self.rows if isinstance(row, Call)]

    @property
    def bad_rows(self) -> list[DecodeError]:
        """Why the other rows cannot."""
        return [row for row in self.rows if isinstance(row, DecodeError)]


async def walk(fetch_page: FetchPage) -> AsyncGenerator[ListedPage, None]:
    """The pages of a history, each asked for when the one before has been used.

    Args:
        fetch_page: Asks for the page that begins at an offset.

    Raises:
        ListingInconsistentError: The service repeats itself.
    """
    offset: int | None = 0
    new_rows = NewRows()
    while offset is not None:
        page, rows = await fetch_page(offset)
        yield ListedPage(new_rows.of(rows), page.total)
        offset = page.next_offset


async def readable(pages: AsyncGenerator[ListedPage, None]) -> AsyncGenerator[list[Call], None]:
    """The calls of a walk, a list at a time; a row that cannot be read is an error, after the calls before it."""
    async with aclosing(pages):
        async for page in pages:
            calls: list[Call] = []
            for row in page.rows:
                if isinstance(row, DecodeError):
                    if calls:
                        yield calls
                    raise row
                calls.append(row)
            if calls:
                yield calls


class CallIterator(AsyncIterator[Call]):
    """The calls of a walk one by one: an async iterator that can be closed early.

    Attributes:
        pages: The same calls, a list at a time; for whoever pays for each step.
    """

    def __init__(self, pages: AsyncGenerator[list[Call], None]) -> None:
        self.pages = pages
        self._page: Iterator[Call] = iter(())

    async def __anext__(self) -> Call:
        """The next call; a new page is asked for when the last one is used up."""
        while True:
            for call in self._page:
                return call
            self._page = iter(await anext(self.pages))

    async def aclose(self) -> None:
        """End the walk; whatever was under way for it is given up."""
        self._page = iter(())
        await self.pages.aclose()


async def at_most(
    pages: AsyncGenerator[list[Call], None], max_items: int | None
) -> AsyncGenerator[list[Call], None]:
    """The pages, cut so that they hold so many calls in all."""
    left = max_items
    async with aclosing(pages):
        while left is None or left > 0:
            calls = await anext(pages, None)
            if calls is None:
                return
            yield calls[:left]
            left = left and left - len(calls)
