"""Walking a history page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from krosai_calls._listing import CallIterator, ListedPage, at_most, readable, walk
from krosai_calls._paging import Row
from krosai_calls.errors import ConnectionFailedError, DecodeError, KrosaiError, ListingInconsistentError
from krosai_calls.models import Call, Page

BAD = DecodeError("no id", reason="id")


class Service:
    """Gives scripted pages by their offset, and remembers which were asked for."""

    def __init__(self, *pages: str | KrosaiError, total: int | None = None, step: int = 2) -> None:
        # A page is a word: each letter a call, an exclamation mark a row that cannot be read.
        self._pages = pages
        self._total = total
        self._step = step
        self.asked: list[int] = []

    async def fetch(self, offset: int) -> tuple[Page, tuple[Row, ...]]:
        self.asked.append(offset)
        number = offset // self._step
        page = self._pages[number]
        if isinstance(page, KrosaiError):
            raise page
        rows: tuple[Row, ...] = tuple(BAD if letter == "!" else Call(letter) for letter in page)
        following = offset + self._step if number + 1 < len(self._pages) else None
        calls = tuple(row for row in rows if isinstance(row, Call))
        return Page(calls, self._total, self._step, offset, following), rows

    def calls(self) -> AsyncGenerator[list[Call], None]:
        return readable(walk(self.fetch))


def letters(calls: list[Call]) -> str:
    return "".join(call.id for call in calls)


async def words(pages: AsyncGenerator[list[Call], None], seen: list[str] | None = None) -> list[str]:
    """The pages as words; what came before an error is in `seen`."""
    seen = [] if seen is None else seen
    async for calls in pages:
        seen += [letters(calls)]
    return seen


async def test_a_walk_gives_every_page_in_order_with_the_services_total() -> None:
    service = Service("ab", "cd", "e", total=5)
    pages = [page async for page in walk(service.fetch)]
    assert [letters(page.calls) for page in pages] == ["ab", "cd", "e"]
    assert [page.total for page in pages] == [5, 5, 5]
    assert service.asked == [0, 2, 4]


async def test_a_call_that_a_new_one_shifted_onto_the_next_page_comes_once() -> None:
    assert await words(Service("ab", "bc", "d").calls()) == ["ab", "c", "d"]


async def test_a_call_that_stands_twice_on_a_page_comes_once() -> None:
    assert "".join(await words(Service("aba", "cd").calls())) == "abcd"


async def test_a_page_without_anything_new_is_passed_over() -> None:
    assert await words(Service("ab", "ab", "", "c").calls()) == ["ab", "c"]


async def test_a_service_that_ignores_the_offset_is_told_after_its_first_page() -> None:
    service = Service(*["ab"] * 50)
    seen: list[str] = []
    with pytest.raises(ListingInconsistentError):
        await words(service.calls(), seen)
    assert seen == ["ab"]
    assert service.asked == [0, 2, 4]


async def test_a_listed_page_keeps_its_rows_in_order() -> None:
    page = ListedPage((Call("a"), BAD, Call("b")), None)
    assert letters(page.calls) == "ab"
    assert page.bad_rows == [BAD]


async def test_a_walk_passes_rows_that_cannot_be_read_on_and_goes_on() -> None:
    pages = [page async for page in walk(Service("a!b", "!", "c").fetch)]
    assert [(letters(page.calls), len(page.bad_rows)) for page in pages] == [("ab", 1), ("", 1), ("c", 0)]


@pytest.mark.parametrize(
    ("service", "before"),
    [
        pytest.param(Service("ab", "c!d", "e"), ["ab", "c"], id="a row in the middle"),
        pytest.param(Service("ab", "!", "e"), ["ab"], id="a row alone"),
        pytest.param(Service("!a"), [], id="the first row"),
        pytest.param(Service("ab!"), ["ab"], id="the last row"),
    ],
)
async def test_a_row_that_cannot_be_read_is_an_error_after_the_calls_before_it(
    service: Service, before: list[str]
) -> None:
    seen: list[str] = []
    with pytest.raises(DecodeError) as caught:
        await words(service.calls(), seen)
    assert caught.value is BAD
    assert seen == before


async def test_a_page_that_cannot_be_had_is_an_error_after_the_pages_before_it() -> None:
    iterator = CallIterator(Service("ab", ConnectionFailedError("reset"), "c").calls())
    assert [(await anext(iterator)).id for _ in range(2)] == ["a", "b"]
    with pytest.raises(ConnectionFailedError, match="reset"):
        await anext(iterator)
    with pytest.raises(StopAsyncIteration):
        await anext(iterator)


async def test_nothing_is_asked_before_the_first_step_and_no_page_before_it_is_needed() -> None:
    service = Service("ab", "cd", "ef")
    iterator = CallIterator(at_most(service.calls(), None))
    assert service.asked == []
    assert [(await anext(iterator)).id for _ in range(2)] == ["a", "b"]
    assert service.asked == [0]
    assert (await anext(iterator)).id == "c"
    assert service.asked == [0, 2]
    await iterator.aclose()


@pytest.mark.parametrize(
    ("max_items", "seen", "asked"),
    [
        pytest.param(None, ["ab", "cd", "e"], [0, 2, 4], id="no bound"),
        pytest.param(0, [], [], id="none"),
        pytest.param(1, ["a"], [0], id="one"),
        pytest.param(2, ["ab"], [0], id="exactly a page"),
        pytest.param(3, ["ab", "c"], [0, 2], id="a page and one"),
        pytest.param(5, ["ab", "cd", "e"], [0, 2, 4], id="exactly all"),
        pytest.param(99, ["ab", "cd", "e"], [0, 2, 4], id="more than there are"),
    ],
)
async def test_there_are_so_many_calls_at_most_and_no_page_is_asked_for_in_vain(
    max_items: int | None, seen: list[str], asked: list[int]
) -> None:
    service = Service("ab", "cd", "e")
    assert await words(at_most(service.calls(), max_items)) == seen
    assert service.asked == asked


async def test_a_row_behind_the_last_call_wanted_is_no_error() -> None:
    assert await words(at_most(Service("ab!").calls(), 2)) == ["ab"]


async def test_the_iterator_gives_the_calls_one_by_one_and_then_stops() -> None:
    iterator = CallIterator(Service("ab", "", "c").calls())
    assert [call.id async for call in iterator] == ["a", "b", "c"]
    with pytest.raises(StopAsyncIteration):
        await anext(iterator)


async def test_an_empty_history_has_no_calls() -> None:
    service = Service("")
    assert [call async for call in CallIterator(service.calls())] == []
    assert service.asked == [0]


class Tap:
    """Passes pages on and notes whether the generator they come from was closed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.closed = False

    async def pages(self) -> AsyncGenerator[ListedPage, None]:
        try:
            async with aclosing(walk(self._service.fetch)) as pages:
                async for page in pages:
                    yield page
        finally:
            self.closed = True


async def test_closing_an_iterator_ends_the_walk_and_drops_what_is_left_of_the_page() -> None:
    service = Service("ab", "cd")
    tap = Tap(service)
    iterator = CallIterator(at_most(readable(tap.pages()), None))
    assert (await anext(iterator)).id == "a"
    await iterator.aclose()
    assert tap.closed
    with pytest.raises(StopAsyncIteration):
        await anext(iterator)
    assert service.asked == [0]


async def test_an_iterator_can_be_closed_before_its_first_step_and_twice() -> None:
    service = Service("ab")
    iterator = CallIterator(at_most(service.calls(), None))
    await iterator.aclose()
    await iterator.aclose()
    assert [call async for call in iterator] == []
    assert service.asked == []


@pytest.mark.parametrize("max_items", [1, 2], ids=["inside a page", "at its end"])
async def test_reaching_the_bound_ends_the_walk(max_items: int) -> None:
    tap = Tap(Service("ab", "cd"))
    await words(at_most(readable(tap.pages()), max_items))
    assert tap.closed


async def test_an_error_ends_the_walk() -> None:
    tap = Tap(Service("a!", "cd"))
    with pytest.raises(DecodeError):
        await words(readable(tap.pages()))
    assert tap.closed
