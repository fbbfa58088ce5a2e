"""Reading a listing: the requests that ``_paging`` wants, several at a time, and what the caller gets of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from functools import partial
from typing import Generic, TypeVar

from attrs import frozen

from krosai_calls._paging import Listing
from krosai_calls._seams import ListedPage, Row, Window
from krosai_calls.errors import DecodeError, KrosaiError
from krosai_calls.models import Call, Page

A = TypeVar("A")


@frozen
class PageSource(Generic[A]):
    """Where the pages of a listing come from.

    Attributes:
        ask: Asks for a window; what comes is not read yet.
        read: Reads it, or raises DecodeError.
        ask_again: Asks once more, for what came could not be read.
    """

    ask: Callable[[Window], Awaitable[A]]
    read: Callable[[Window, A], tuple[Page, tuple[Row, ...]]]
    ask_again: Callable[[Window, DecodeError], Awaitable[A]]


async def walk(
    listing: Listing, source: PageSource[A], *, with_spare_rows: bool = False
) -> AsyncGenerator[ListedPage, None]:
    """The pages of a history that can be vouched for, from where the listing stands.

    Requests are sent while the caller waits for a page, never while it has one in hand; those on their way go on.
    Leaving gives them up.

    Args:
        listing: What to ask for, and what may be given.
        source: Where it comes from.
        with_spare_rows: Whether what has come and cannot be vouched for is given before an error.

    Raises:
        ListingInconsistentError: Going on could lose calls.
    """
    listing.resume()
    async with aclosing(_UnderWay(listing, source)) as under_way:
        while True:
            under_way.ask()
            while not listing.ready and not listing.is_over:
                if (error := listing.dead_end()) is not None:
                    under_way.take_in_the_rest()
                    if with_spare_rows and (rows := listing.spare_rows()):
                        yield ListedPage(rows, None, is_vouched=False)
                    raise error
                await under_way.take_in_one()
                if not listing.ready:
                    under_way.ask()
            if not listing.ready:
                return
            yield listing.ready.popleft()


class _UnderWay(Generic[A]):
    """The requests of a walk, and what came of them and is not read yet.

    Reading a page takes a while, in which nothing else runs: so what has come makes room for other requests first,
    and these leave before it is read. Answers are read one by one, each when the one before has been used; so one
    page at a time is in memory as records.
    """

    def __init__(self, listing: Listing, source: PageSource[A]) -> None:
        self._listing = listing
        self._source = source
        self._tasks: dict[asyncio.Task[A | KrosaiError], Window] = {}
        self._came: list[tuple[Window, asyncio.Task[A | KrosaiError]]] = []
        self._has_come = asyncio.Event()

    def ask(self) -> None:
        """Ask for all that is wanted now."""
        while (window := self._listing.ask()) is not None:
            self._send(partial(self._source.ask, window), window)

    def _send(self, request: Callable[[], Awaitable[A]], window: Window) -> None:
        task = asyncio.create_task(_outcome(request))
        self._tasks[task] = window
        task.add_done_callback(self._note)

    def _note(self, task: asyncio.Task[A | KrosaiError]) -> None:
        window = self._tasks.pop(task)
        self._came.append((window, task))
        self._listing.note_arrival(window)
        self._has_come.set()

    async def take_in_one(self) -> None:
        """Wait until something has come, and take in what is due first."""
        if not self._came:
            self._has_come.clear()
            await self._has_come.wait()
        self.ask()
        await asyncio.sleep(0)
        self._came.sort(key=lambda came: -came[0].offset)
        window, task = self._came.pop()
        try:
            self._take_in(window, task.result())
        except DecodeError as unreadable:
            self._send(partial(self._source.ask_again, window, unreadable), window)

    def take_in_the_rest(self) -> None:
        """Take in what has come besides, as far as it can be read."""
        for window, task in self._came:
            with suppress(DecodeError):
                self._take_in(window, task.result())

    def _take_in(self, window: Window, outcome: A | KrosaiError) -> None:
        if isinstance(outcome, KrosaiError):
            self._listing.fail(window, outcome)
        else:
            page, rows = self._source.read(window, outcome)
            self._listing.receive(window, rows, total=page.total, most=page.limit)

    async def aclose(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _outcome(request: Callable[[], Awaitable[A]]) -> A | KrosaiError:
    # Called in here: a task that is given up before its first step would leave a coroutine that nobody awaits.
    # An error is a value: it counts only when the listing has come to its place, or not at all.
    try:
        return await request()
    except KrosaiError as error:
        return error


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
        first = self._rows[0]
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
