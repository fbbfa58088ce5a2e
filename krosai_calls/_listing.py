"""Reading a listing: the requests that ``_paging`` wants, several at a time, and what the caller gets of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeAlias

from krosai_calls._paging import Listing
from krosai_calls._seams import ListedPage, Row, Window
from krosai_calls.errors import DecodeError, KrosaiError
from krosai_calls.models import Call, Page

FetchPage: TypeAlias = Callable[[Window], Awaitable[tuple[Page, tuple[Row, ...]]]]
_Outcome: TypeAlias = tuple[Page, tuple[Row, ...]] | KrosaiError


async def walk(
    listing: Listing, fetch_page: FetchPage, *, with_spare_rows: bool = False
) -> AsyncGenerator[ListedPage, None]:
    """The pages of a history that can be vouched for, from where the listing stands.

    Requests are sent while the caller waits for a page, never while it has one in hand; those on their way go on.
    Leaving gives them up.

    Args:
        listing: What to ask for, and what may be given.
        fetch_page: Asks for a window.
        with_spare_rows: Whether what has come and cannot be vouched for is given before an error.

    Raises:
        ListingInconsistentError: Going on could lose calls.
    """
    listing.resume()
    under_way: dict[asyncio.Task[_Outcome], Window] = {}

    def ask() -> None:
        while (window := listing.ask()) is not None:
            under_way[asyncio.create_task(_outcome(fetch_page, window))] = window

    try:
        while True:
            ask()
            while not listing.ready and not listing.is_over:
                if (error := listing.dead_end()) is not None:
                    if with_spare_rows and (rows := listing.spare_rows()):
                        yield ListedPage(rows, None)
                    raise error
                arrived, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in arrived:
                    _take_in(listing, under_way.pop(task), task.result())
                if not listing.ready:
                    ask()
            if not listing.ready:
                return
            yield listing.ready.popleft()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _outcome(fetch_page: FetchPage, window: Window) -> _Outcome:
    # An error is a value here: it counts only when the listing has come to its place, or not at all.
    try:
        return await fetch_page(window)
    except KrosaiError as error:
        return error


def _take_in(listing: Listing, window: Window, outcome: _Outcome) -> None:
    if isinstance(outcome, KrosaiError):
        listing.fail(window, outcome)
    else:
        page, rows = outcome
        listing.receive(window, rows, total=page.total, most=page.limit)


class PageIterator(AsyncIterator[list[Call]]):
    """The calls of a listing, a list at a time: an async iterator that can be closed early.

    After an error it is not finished: iterating again goes on with the call after the last one given. A row that
    cannot be read is such an error, after the calls before it.

    Args:
        start: Walks the pages on from where the listing stands.
        max_items: How many calls are given at most; None for all.
    """

    def __init__(
        self, start: Callable[[], AsyncGenerator[ListedPage, None]], max_items: int | None = None
    ) -> None:
        self._start = start
        self._left = max_items
        self._pages: AsyncGenerator[ListedPage, None] | None = None
        self._rows: tuple[Row, ...] = ()
        self._is_over = False

    async def __anext__(self) -> list[Call]:
        """The next calls; never an empty list."""
        if self._left == 0:
            await self.aclose()
        while not self._rows:
            self._rows = (await self._next_page()).rows
        first, *_ = self._rows
        if isinstance(first, DecodeError):
            self._rows = self._rows[1:]
            raise first
        calls = list(_calls_before_a_bad_row(self._rows[: self._left]))
        self._rows = self._rows[len(calls) :]
        if self._left is not None:
            self._left -= len(calls)
        return calls

    async def _next_page(self) -> ListedPage:
        if self._is_over:
            raise StopAsyncIteration
        if self._pages is None:
            self._pages = self._start()
        try:
            return await anext(self._pages)
        except StopAsyncIteration:
            self._is_over = True
            raise
        except RuntimeError as mistake:
            if isinstance(mistake, KrosaiError):
                self._pages = None
            raise  # two steps at once, which is no end
        except BaseException:
            self._pages = None  # it has ended; the next step begins another where this one stood
            raise

    async def aclose(self) -> None:
        """End the listing; whatever was under way for it is given up."""
        self._is_over = True
        self._rows = ()
        if self._pages is not None:
            await self._pages.aclose()


def _calls_before_a_bad_row(rows: tuple[Row, ...]) -> Iterator[Call]:
    for row in rows:
        if isinstance(row, DecodeError):
            return
        yield row


class CallIterator(AsyncIterator[Call]):
    """The calls of a listing one by one: an async iterator that can be closed early, and goes on after an error.

    Attributes:
        pages: The same calls, a list at a time; for whoever pays for each step.
    """

    def __init__(self, pages: PageIterator) -> None:
        self.pages = pages
        self._page: Iterator[Call] = iter(())

    async def __anext__(self) -> Call:
        """The next call; a new page is asked for when the last one is used up."""
        while True:
            for call in self._page:
                return call
            self._page = iter(await anext(self.pages))

    async def aclose(self) -> None:
        """End the listing; whatever was under way for it is given up."""
        self._page = iter(())
        await self.pages.aclose()
