"""Reading a listing: requests several at a time, and what the caller gets of them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeAlias

import pytest

from krosai_calls._listing import CallIterator, PageIterator, PageSource, _UnderWay, walk
from krosai_calls._paging import Listing
from krosai_calls._seams import ListedPage, Row, Window
from krosai_calls.errors import ConnectionFailedError, DecodeError, KrosaiError, ListingInconsistentError
from krosai_calls.models import Call, Page

BAD = DecodeError("no id", reason="id")
RESET = ConnectionFailedError("reset")


Answered: TypeAlias = tuple[Page, tuple[Row, ...]]


def source_of(fetch: Callable[[Window], Awaitable[Answered]]) -> PageSource[Answered]:
    """Pages that can be read the moment they come."""

    async def never(window: Window, unreadable: DecodeError) -> Answered:
        raise unreadable

    return PageSource(fetch, lambda window, answered: answered, never)


class Service:
    """Serves a history of letters, an exclamation mark being a row that cannot be read."""

    def __init__(self, history: str, *, size: int = 4, ahead: int = 1, tells_total: bool = True) -> None:
        self.history = history
        self.asked: list[int] = []
        self.under_way = self.most_under_way = 0
        self.failures: dict[int, KrosaiError | Exception] = {}
        self.held_back: dict[int, asyncio.Event] = {}
        self.listing = Listing(size, most_at_once=ahead)
        self._tells_total = tells_total

    async def fetch(self, window: Window) -> tuple[Page, tuple[Row, ...]]:
        self.asked.append(window.offset)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if window.offset in self.held_back:
                await self.held_back[window.offset].wait()
            await asyncio.sleep(0)
            if window.offset in self.failures:
                raise self.failures[window.offset]
        finally:
            self.under_way -= 1
        letters = self.history[window.offset : window.offset + window.limit]
        rows = tuple(BAD if letter == "!" else Call(letter) for letter in letters)
        calls = tuple(row for row in rows if isinstance(row, Call))
        total = len(self.history) if self._tells_total else None
        return Page(calls, total, window.limit, window.offset, None), rows

    def walk(self, *, with_spare_rows: bool = False) -> AsyncGenerator[ListedPage, None]:
        return walk(self.listing, source_of(self.fetch), with_spare_rows=with_spare_rows)

    def pages(self, max_items: int | None = None) -> PageIterator:
        return PageIterator(self.walk, max_items)

    def calls(self, max_items: int | None = None) -> CallIterator:
        return CallIterator(self.pages(max_items))


def letters(calls: list[Call]) -> str:
    return "".join(call.id for call in calls)


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(30):
        await asyncio.sleep(0)


async def words(pages: PageIterator, seen: list[str] | None = None) -> list[str]:
    """The lists as words; what came before an error is in `seen`."""
    seen = [] if seen is None else seen
    async for calls in pages:
        seen += [letters(calls)]
    return seen


async def test_a_walk_gives_every_page_in_order_with_the_services_total() -> None:
    pages = [page async for page in Service("abcdefghi").walk()]
    assert [letters(page.calls) for page in pages] == ["abcd", "efg", "hi"]
    assert [page.total for page in pages] == [9, 9, 9]


async def test_pages_come_in_order_whatever_the_order_of_their_answers() -> None:
    service = Service("abcdefghijklmnop", ahead=16)
    service.held_back = {3: asyncio.Event()}
    pages = service.pages()
    assert letters(await anext(pages)) == "abcd"
    second = asyncio.create_task(anext(pages))
    await settle()
    assert not second.done()
    service.held_back[3].set()
    assert letters(await second) == "efg"
    assert await words(pages) == ["hij", "klm", "nop"]


async def test_no_more_is_under_way_at_once_than_is_allowed() -> None:
    service = Service("abcdefghijklmnopqrstuvwxyz", size=2, ahead=5)
    assert "".join(await words(service.pages())) == service.history
    assert 3 <= service.most_under_way <= 5


async def test_nothing_is_asked_before_the_first_step_nor_for_more_than_is_read() -> None:
    service = Service("abcdefghijklmnop", ahead=16)
    calls = service.calls()
    assert service.asked == []
    assert letters([await anext(calls) for _ in range(4)]) == "abcd"
    assert service.asked == [0]
    assert (await anext(calls)).id == "e"
    await calls.aclose()
    assert service.asked == [0, 3, 6, 9, 12]


async def test_an_iterator_that_is_not_read_on_asks_for_no_more() -> None:
    service = Service("abcdefghijklmnopqrstuvwxyz", size=2, ahead=3)
    async with aclosing(service.pages()) as pages:
        for _ in range(3):
            await anext(pages)
        await settle()
        assert len(service.asked) <= 3 + 3


@pytest.mark.parametrize("total", [True, False], ids=["a total", "no total"])
async def test_a_history_without_calls_has_no_lists(total: bool) -> None:
    service = Service("", tells_total=total)
    assert await words(service.pages()) == []
    assert service.asked == [0]


@pytest.mark.parametrize(
    ("history", "before", "after"),
    [
        pytest.param("ab!cd", ["ab"], ["c", "d"], id="a row in the middle"),
        pytest.param("!ab", [], ["ab"], id="the first row"),
        pytest.param("abc!", ["abc"], [], id="the last row"),
    ],
)
async def test_a_row_that_cannot_be_read_is_an_error_after_the_calls_before_it_and_is_passed_over_then(
    history: str, before: list[str], after: list[str]
) -> None:
    pages = Service(history).pages()
    seen: list[str] = []
    with pytest.raises(DecodeError) as caught:
        await words(pages, seen)
    assert caught.value is BAD
    assert seen == before
    assert await words(pages) == after


async def test_a_page_that_cannot_be_had_is_an_error_after_the_calls_before_it() -> None:
    service = Service("abcdefghijklmnop", ahead=16)
    service.failures = {6: RESET}
    seen: list[str] = []
    with pytest.raises(ConnectionFailedError, match="reset"):
        await words(service.pages(), seen)
    assert seen == ["abcd", "efg"]
    assert service.under_way == 0


async def test_after_an_error_the_iterator_goes_on_with_the_next_call() -> None:
    service = Service("abcdefghijklmnop", ahead=16)
    service.failures = {6: RESET}
    calls = service.calls()
    seen: list[str] = []

    async def read() -> None:
        async for call in calls:
            seen.extend(call.id)

    with pytest.raises(ConnectionFailedError):
        await read()
    service.failures.clear()
    await read()
    assert "".join(seen) == service.history
    # The failed page is asked for again; one whose answer was there is not.
    assert service.asked.count(6) == 2
    assert service.asked.count(3) == 1
    assert [call async for call in calls] == []


async def test_a_cancelled_step_gives_up_what_is_under_way_and_the_iterator_can_go_on() -> None:
    service = Service("abcdefghijklmnop", ahead=16)
    service.held_back = {3: asyncio.Event()}
    pages = service.pages()
    await anext(pages)
    step = asyncio.create_task(anext(pages))
    await settle()
    assert service.under_way == 1
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert service.under_way == 0
    service.held_back.clear()
    assert await words(pages) == ["efg", "hij", "klm", "nop"]


async def test_a_fault_of_our_own_in_a_request_is_not_swallowed() -> None:
    service = Service("abcdefghijklmnop", ahead=16)
    service.failures = {offset: ZeroDivisionError() for offset in (3, 6, 9)}
    with pytest.raises(ZeroDivisionError):
        await words(service.pages())
    assert service.under_way == 0


async def test_what_came_and_cannot_be_vouched_for_is_given_before_the_error_where_that_is_wanted() -> None:
    service = Service("abcdefghijklmnop", ahead=16)
    service.failures = {3: RESET}
    service.held_back = {3: asyncio.Event()}
    seen: list[str] = []

    async def read() -> None:
        async for page in service.walk(with_spare_rows=True):
            seen.extend([letters(page.calls)])

    reading = asyncio.create_task(read())
    await settle()
    assert (service.asked, service.under_way) == ([0, 3, 6, 9, 12], 1)
    service.held_back[3].set()
    with pytest.raises(ConnectionFailedError):
        await reading
    assert seen == ["abcd", "ghijklmnop"]


async def test_an_answer_that_cannot_be_read_is_asked_for_once_more_and_read_in_its_place() -> None:
    service = Service("abcdefghijklmnop", ahead=16)
    garbled = DecodeError("no JSON", reason="json")
    asked_again: list[int] = []

    def read(window: Window, answered: Answered) -> Answered:
        if window.offset == 6 and not asked_again:
            raise garbled
        return answered

    async def ask_again(window: Window, unreadable: DecodeError) -> Answered:
        assert unreadable is garbled
        asked_again.append(window.offset)
        return await service.fetch(window)

    pages = PageIterator(lambda: walk(service.listing, PageSource(service.fetch, read, ask_again)))
    assert "".join(await words(pages)) == service.history
    assert asked_again == [6]


async def test_a_service_that_ignores_the_offset_is_told_after_its_first_page() -> None:
    service = Service("abcd" * 9, ahead=16, size=4)

    async def fetch(window: Window) -> tuple[Page, tuple[Row, ...]]:
        service.asked.append(window.offset)
        return Page((), 36, 4, window.offset, None), tuple(map(Call, "abcd"))

    pages = PageIterator(lambda: walk(service.listing, source_of(fetch)))
    seen: list[str] = []
    with pytest.raises(ListingInconsistentError, match="same page"):
        await words(pages, seen)
    assert seen == ["abcd"]
    assert len(service.asked) <= 5


@pytest.mark.parametrize(
    ("max_items", "seen"),
    [
        pytest.param(None, ["abcd", "efg", "hi"], id="no bound"),
        pytest.param(0, [], id="none"),
        pytest.param(1, ["a"], id="one"),
        pytest.param(4, ["abcd"], id="exactly a page"),
        pytest.param(5, ["abcd", "e"], id="a page and one"),
        pytest.param(9, ["abcd", "efg", "hi"], id="exactly all"),
        pytest.param(99, ["abcd", "efg", "hi"], id="more than there are"),
    ],
)
async def test_there_are_so_many_calls_at_most(max_items: int | None, seen: list[str]) -> None:
    service = Service("abcdefghi")
    pages = service.pages(max_items)
    assert await words(pages) == seen
    assert await words(pages) == []


async def test_a_row_behind_the_last_call_wanted_is_no_error() -> None:
    assert await words(Service("ab!").pages(2)) == ["ab"]


async def test_closing_an_iterator_gives_up_what_is_under_way_and_drops_the_rest_of_the_list() -> None:
    service = Service("abcdefghijklmnop", ahead=16)
    service.held_back = {offset: asyncio.Event() for offset in (6, 9, 12)}
    calls = service.calls()
    assert letters([await anext(calls) for _ in range(5)]) == "abcde"
    assert service.under_way == 3
    await calls.aclose()
    await calls.aclose()
    assert service.under_way == 0
    with pytest.raises(StopAsyncIteration):
        await anext(calls)


async def test_requests_that_are_given_up_before_they_have_begun_leave_nothing_behind() -> None:
    service = Service("abcdefghijklmnop")
    under_way = _UnderWay(service.listing, source_of(service.fetch))
    under_way.ask()
    await under_way.aclose()
    gc.collect()  # a coroutine that was never awaited would warn here
    assert service.asked == []


async def test_an_iterator_can_be_closed_before_its_first_step() -> None:
    service = Service("ab")
    calls = service.calls()
    await calls.aclose()
    assert [call async for call in calls] == []
    assert service.asked == []


async def test_breaking_out_of_the_loop_gives_up_what_is_under_way() -> None:
    service = Service("abcdefghijklmnop", ahead=16)
    service.held_back = {offset: asyncio.Event() for offset in (6, 9, 12)}
    async for call in service.calls():
        if call.id == "e":
            break
    gc.collect()
    await settle()
    assert service.under_way == 0
