"""Which pages to ask for, told as stories of a history of letters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krosai_calls._paging import MOST_OVERLAP, QUIET_SEAMS, Listing, next_offset
from krosai_calls._seams import Row, Window
from krosai_calls.errors import (
    BadRequestError,
    ConnectionFailedError,
    DecodeError,
    KrosaiError,
    ListingInconsistentError,
)
from krosai_calls.models import Call

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
BAD = DecodeError("no id", reason="id")


class Reader:
    """Drives a listing over a history that a test may change between two requests."""

    def __init__(
        self, history: str, size: int = 4, *, ahead: int = 1, wanted: int | None = None, tells_total: bool = True
    ) -> None:
        self.history = history
        self.listing = Listing(size, most_at_once=ahead, wanted=wanted)
        self.total: Callable[[], int | None] = lambda: len(self.history) if tells_total else None
        self.asked: list[int] = []
        self.under_way: list[Window] = []
        self.given = ""

    def ask(self) -> list[int]:
        """Ask for all that the listing wants now; where the new windows begin."""
        before = len(self.asked)
        while (window := self.listing.ask()) is not None:
            self.asked.append(window.offset)
            self.under_way.append(window)
        return self.asked[before:]

    def answer(self, offset: int) -> str:
        """Answer one of the windows from the history as it is now; what may be given then."""
        window = next(window for window in self.under_way if window.offset == offset)
        self.under_way.remove(window)
        letters = self.history[offset : offset + window.limit]
        rows: list[Row] = [BAD if letter == "!" else Call(letter) for letter in letters]
        self.listing.receive(window, rows, total=self.total(), most=window.limit)
        return self.take()

    def fail(self, offset: int, error: KrosaiError) -> None:
        window = next(window for window in self.under_way if window.offset == offset)
        self.under_way.remove(window)
        self.listing.fail(window, error)

    def take(self) -> str:
        new = ""
        while self.listing.ready:
            new += "".join(row.id if isinstance(row, Call) else "!" for row in self.listing.ready.popleft().rows)
        self.given += new
        return new

    def step(self) -> None:
        """One request and its answer."""
        self.ask()
        self.answer(self.under_way[0].offset)

    def read_on(self) -> str:
        """Read to the end; all that was given."""
        while not self.listing.is_over:
            self.ask()
            if (error := self.listing.dead_end()) is not None:
                raise error
            self.answer(self.under_way[0].offset)
        return self.given


@pytest.mark.parametrize(
    ("offset", "rows", "total", "following"),
    [
        pytest.param(0, 100, 156, 100, id="more to come"),
        pytest.param(100, 56, 156, None, id="the total is reached"),
        pytest.param(0, 100, 100, None, id="exactly a page"),
        pytest.param(100, 100, 150, None, id="the total has shrunk"),
        pytest.param(0, 20, 156, 20, id="a short page is no end where the total says more"),
        pytest.param(0, 0, 0, None, id="no calls at all"),
        pytest.param(100, 0, 156, None, id="an empty page ends it, whatever the total says"),
        pytest.param(0, 100, None, 100, id="no total: ask once more"),
        pytest.param(100, 56, None, 156, id="no total, a short page: ask once more"),
        pytest.param(156, 0, None, None, id="no total, an empty page"),
    ],
)
def test_the_next_page_begins_where_this_one_ends(
    offset: int, rows: int, total: int | None, following: int | None
) -> None:
    assert next_offset(offset, rows, total) == following


@settings(max_examples=100, deadline=None)
@given(size=st.integers(0, 300), cap=st.integers(1, 100), tells_total=st.booleans())
def test_following_the_offsets_asks_for_every_row_once(size: int, cap: int, tells_total: bool) -> None:
    asked: list[int] = []
    offset: int | None = 0
    while offset is not None:
        rows = range(size)[offset : offset + cap]
        asked += rows
        offset = next_offset(offset, len(rows), size if tells_total else None)
    assert asked == list(range(size))


@pytest.mark.parametrize(
    ("history", "asked"),
    [
        pytest.param("", [0], id="no calls"),
        pytest.param("abc", [0], id="less than a page"),
        pytest.param("abcd", [0, 3], id="a full page proves no end"),
        pytest.param(ALPHABET[:9], [0, 3, 6], id="each window begins with the last call of the one before"),
    ],
)
def test_windows_overlap_by_a_call(history: str, asked: list[int]) -> None:
    reader = Reader(history)
    assert reader.read_on() == history
    assert reader.asked == asked


def test_windows_grow_in_number_with_the_pages_that_were_used() -> None:
    reader = Reader(ALPHABET * 1, size=2, ahead=16)
    assert reader.ask() == [0]
    assert reader.answer(0) == "ab"
    assert reader.ask() == [1, 2, 3, 4]
    assert reader.answer(1) == "c"
    assert reader.ask() == [5, 6, 7, 8, 9]


def test_answers_out_of_order_wait_for_the_one_before_them() -> None:
    reader = Reader(ALPHABET, ahead=3)
    reader.step()
    assert reader.ask() == [3, 6, 9]
    assert reader.answer(9) == reader.answer(6) == ""
    assert reader.ask() == []
    assert reader.answer(3) == "efghijklm"


def test_what_is_wanted_bounds_what_is_asked_for() -> None:
    reader = Reader(ALPHABET, ahead=16, wanted=9)
    reader.step()
    assert reader.ask() == [3, 6]
    assert [window.limit for window in reader.under_way] == [4, 3]


@pytest.mark.parametrize("wanted", [1, 2, 4])
def test_what_fits_into_the_first_page_takes_one_request(wanted: int) -> None:
    reader = Reader(ALPHABET, size=wanted, ahead=16, wanted=wanted)
    reader.step()
    assert (len(reader.given), reader.asked) == (wanted, [0])


def test_calls_deleted_above_are_noticed_and_the_seam_is_read_again() -> None:
    reader = Reader(ALPHABET)
    reader.step()
    reader.history = reader.history[2:]
    assert reader.read_on() == ALPHABET
    assert reader.asked[:3] == [0, 3, 0]


def test_a_total_that_shrank_tells_how_far_to_go_back() -> None:
    reader = Reader(ALPHABET, size=5)
    for _ in range(4):
        reader.step()
    reader.history = reader.history[9:]
    assert reader.read_on() == ALPHABET
    assert reader.asked[4:6] == [16, 6]


def test_calls_created_above_only_make_windows_meet_later() -> None:
    reader = Reader(ALPHABET)
    reader.step()
    reader.history = "0123456" + reader.history
    assert reader.read_on() == ALPHABET
    assert reader.asked[:3] == [0, 3, 9]


def test_a_repair_widens_the_overlap_and_quiet_seams_narrow_it() -> None:
    history = "".join(chr(0x4E00 + number) for number in range(100 * QUIET_SEAMS))
    reader = Reader(history, size=20)
    for overlap in range(1, MOST_OVERLAP):
        reader.step()
        reader.history = reader.history[overlap:]
        reader.step()
        reader.step()
    steps = [later - earlier for earlier, later in zip(reader.asked, reader.asked[1:], strict=False)]
    reader.read_on()
    later_steps = [later - earlier for earlier, later in zip(reader.asked, reader.asked[1:], strict=False)]
    assert min(later_steps[len(steps) :]) == 20 - MOST_OVERLAP
    assert later_steps[-2] == 19


@pytest.mark.parametrize(
    ("total", "more"),
    [
        pytest.param(3, [7], id="too small: a look over the last call"),
        pytest.param(0, [7], id="none at all: likewise"),
        pytest.param(30, [7, 8, 5], id="too large: and one behind it, and one whether all has stayed in place"),
    ],
)
def test_a_wrong_total_costs_another_look(total: int, more: list[int]) -> None:
    reader = Reader(ALPHABET[:8])
    reader.total = lambda: total
    assert reader.read_on() == ALPHABET[:8]
    assert reader.asked == [0, 3, 6, *more]


def test_a_page_that_was_cut_short_is_no_end_while_the_total_says_more() -> None:
    reader = Reader(ALPHABET[:9], 5)
    reader.step()
    reader.ask()
    window = reader.under_way.pop()
    reader.listing.receive(window, [Call("e")], total=9, most=5)
    assert reader.read_on() == ALPHABET[:9]


@pytest.mark.parametrize("length", range(9))
def test_without_a_total_there_is_a_look_behind_the_last_call_and_nothing_is_asked_ahead(length: int) -> None:
    reader = Reader(ALPHABET[:length], ahead=16, tells_total=False)
    assert reader.read_on() == ALPHABET[:length]
    assert len(reader.asked) <= length // 3 + 2


def test_an_empty_history_is_looked_at_twice_where_the_total_speaks_of_calls() -> None:
    reader = Reader("")
    reader.total = lambda: 7
    assert reader.read_on() == ""
    assert reader.asked == [0, 0]


def test_a_page_that_fails_matters_when_the_listing_has_come_there() -> None:
    reader = Reader(ALPHABET, ahead=3)
    reader.step()
    reader.ask()
    reader.fail(6, ConnectionFailedError("reset"))
    assert reader.listing.dead_end() is None
    assert reader.ask() == []
    assert reader.answer(3) == "efg"
    assert isinstance(reader.listing.dead_end(), ConnectionFailedError)


@pytest.mark.parametrize("order", [(6, 9), (9, 6)])
def test_of_two_pages_that_fail_the_first_in_the_history_counts(order: tuple[int, int]) -> None:
    reader = Reader(ALPHABET, ahead=3)
    reader.step()
    reader.ask()
    for offset in order:
        reader.fail(offset, ConnectionFailedError(f"page {offset}"))
    assert reader.answer(3) == "efg"
    assert str(reader.listing.dead_end()) == "page 6"


def test_after_an_error_it_goes_on_where_it_stood_and_asks_for_nothing_that_it_has() -> None:
    reader = Reader(ALPHABET, ahead=4)
    reader.step()
    reader.ask()
    reader.answer(9)
    reader.fail(3, ConnectionFailedError("reset"))
    assert isinstance(reader.listing.dead_end(), ConnectionFailedError)
    reader.listing.resume()
    reader.under_way.clear()
    assert reader.ask() == [3, 6, 12]
    assert reader.read_on() == ALPHABET


def test_an_offset_that_is_refused_is_told_as_the_services_limit() -> None:
    reader = Reader(ALPHABET)
    reader.step()
    reader.ask()
    refused = BadRequestError("offset too large", status=400)
    reader.fail(3, refused)
    error = reader.listing.dead_end()
    assert isinstance(error, ListingInconsistentError)
    assert "offset of 3" in str(error)
    assert error.__cause__ is refused


def test_a_first_page_that_is_refused_is_told_as_it_came() -> None:
    reader = Reader(ALPHABET)
    reader.ask()
    reader.fail(0, BadRequestError("status unknown", status=400))
    assert isinstance(reader.listing.dead_end(), BadRequestError)


def test_what_came_and_cannot_be_vouched_for_is_kept() -> None:
    reader = Reader(ALPHABET, ahead=4)
    reader.step()
    reader.ask()
    reader.answer(9)
    reader.fail(3, ConnectionFailedError("reset"))
    assert [row.id for row in reader.listing.spare_rows() if isinstance(row, Call)] == list("jklm")


def test_a_page_of_rows_without_an_id_ends_the_listing_after_what_came() -> None:
    reader = Reader("abc" + "!" * 150 + "d")
    with pytest.raises(ListingInconsistentError, match="without an id"):
        reader.read_on()
    assert reader.given.startswith("abc" + "!" * 99)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_windows_are_made_longer_to_get_over_rows_without_an_id(size: int) -> None:
    reader = Reader("abc!!!!!!!!d", size)
    assert reader.read_on() == "abc!!!!!!!!d"


def test_rows_without_an_id_at_a_seam_come_once() -> None:
    reader = Reader("abc!de!f!!gh")
    assert reader.read_on() == "abc!de!f!!gh"
