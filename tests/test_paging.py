"""Which pages to ask for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krosai_calls._paging import NewRows, Row, next_offset
from krosai_calls.errors import DecodeError, ListingInconsistentError
from krosai_calls.models import Call


def page(*ids: str) -> list[Call]:
    return [Call(call_id) for call_id in ids]


def ids(rows: tuple[Row, ...]) -> str:
    return "".join(row.id for row in rows if isinstance(row, Call))


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
    ("pages", "new"),
    [
        pytest.param(["ab", "cd"], ["ab", "cd"], id="nothing moved"),
        pytest.param(["ab", "bc"], ["ab", "c"], id="one new call shifts a row"),
        pytest.param(["ab", "abc"], ["ab", "c"], id="two new calls"),
        pytest.param(["aba", "cc"], ["ab", "c"], id="a call that stands twice on a page"),
        pytest.param(["a", "", "b"], ["a", "", "b"], id="an empty page"),
        pytest.param(["a", "a", "b"], ["a", "", "b"], id="the same page once proves nothing"),
        pytest.param(["", "", ""], ["", "", ""], id="empty pages repeat nothing"),
        pytest.param(
            ["a", "a", "b", "b", "c"], ["a", "", "b", "", "c"], id="the count begins anew with every new call"
        ),
    ],
)
def test_what_the_page_before_had_is_not_new(pages: list[str], new: list[str]) -> None:
    new_rows = NewRows()
    assert [ids(new_rows.of(page(*letters))) for letters in pages] == new


def test_a_row_that_is_no_call_is_always_new_and_keeps_its_place() -> None:
    new_rows = NewRows()
    bad = DecodeError("no id")
    rows: list[Row] = [Call("a"), bad, Call("b")]
    assert new_rows.of(rows) == tuple(rows)
    assert new_rows.of([Call("b"), bad, Call("c")]) == (bad, Call("c"))


@pytest.mark.parametrize("again", [["b", "a"], ["a", "b"]])
def test_a_service_that_repeats_a_page_for_ever_is_told(again: list[str]) -> None:
    new_rows = NewRows()
    assert ids(new_rows.of(page("a", "b"))) == "ab"
    assert new_rows.of(page("a", "b")) == ()
    with pytest.raises(ListingInconsistentError, match="the same page again and again"):
        new_rows.of(page(*again))


def test_pages_without_a_single_call_do_not_go_on_for_ever() -> None:
    new_rows = NewRows()
    new_rows.of([DecodeError("no id")])
    with pytest.raises(ListingInconsistentError):
        new_rows.of([DecodeError("no id")])
