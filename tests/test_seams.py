"""Whether two answers meet, and what the later one adds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from krosai_calls import _seams
from krosai_calls._seams import Reply, Row, Trail, Window
from krosai_calls.errors import DecodeError
from krosai_calls.models import Call

BAD = DecodeError("no id", reason="id")


def reply(letters: str, offset: int = 0, *, same_instant: bool = False) -> Reply:
    """An answer from a word: each letter a call, an exclamation mark a row that cannot be read."""
    at = datetime(2026, 1, 1, tzinfo=UTC) if same_instant else None
    rows: tuple[Row, ...] = tuple(BAD if letter == "!" else Call(letter, created_at=at) for letter in letters)
    return Reply(Window(offset, 100), rows, None, 100)


def word(rows: tuple[Row, ...]) -> str:
    return "".join(row.id if isinstance(row, Call) else "!" for row in rows)


def trail_of(*words: str) -> Trail:
    trail, offset = Trail(), 0
    for letters in words:
        trail.extend(reply(letters, offset))
        offset += len(letters)
    return trail


@pytest.mark.parametrize(
    ("later", "meets"),
    [
        pytest.param("cd", True, id="a shared call"),
        pytest.param("abc", True, id="nothing new"),
        pytest.param("bcd", True, id="more than one shared call"),
        pytest.param("de", False, id="side by side: between them a call may have been deleted"),
        pytest.param("xcd", True, id="a new call above the shared one"),
        pytest.param("", False, id="nothing"),
        pytest.param("!d", False, id="no call above the new ones that is known"),
        pytest.param("!cd", True, id="a row without an id above the shared one"),
    ],
)
def test_answers_meet_where_they_share_a_call(later: str, meets: bool) -> None:
    assert trail_of("abc").meets(reply(later, 2)) is meets


def test_the_top_of_the_history_meets_any_trail_that_is_known_from_its_beginning() -> None:
    assert Trail().meets(reply("ab"))
    assert trail_of("ab").meets(reply("xy"))


def test_a_tie_at_the_seam_is_looked_at_from_further_up() -> None:
    # Of two calls of the same instant the one above the known one may have stood below it when that was read.
    trail = Trail()
    trail.extend(reply("abc", same_instant=True))
    assert not trail.meets(reply("xcd", 2, same_instant=True))
    assert trail.meets(reply("bxcd", 1, same_instant=True))
    rows, _ = trail.extend(reply("bxcd", 1, same_instant=True))
    assert word(rows) == "xd"


@pytest.mark.parametrize(
    ("later", "new", "deeper"),
    [
        pytest.param("cde", "de", True, id="the calls behind the shared one"),
        pytest.param("bxcd", "d", True, id="a call that came into being above the shared one is passed over"),
        pytest.param("bc", "", False, id="nothing new"),
        pytest.param("bxy", "xy", True, id="the last call has vanished"),
        pytest.param("cdcd", "d", True, id="a call that stands twice comes once"),
        pytest.param("c!d", "!d", True, id="a row without an id keeps its place"),
        pytest.param("b!c", "", False, id="a row without an id above the shared call is passed over"),
        pytest.param("c!", "!", False, id="a row without an id alone reaches no deeper"),
    ],
)
def test_what_an_answer_adds(later: str, new: str, deeper: bool) -> None:
    rows, goes_deeper = trail_of("abc").extend(reply(later, 2))
    assert (word(rows), goes_deeper) == (new, deeper)


def test_rows_without_an_id_at_the_end_of_the_trail_come_once() -> None:
    trail = trail_of("ab!")
    assert trail.bad_at_end == 1
    assert word(trail.extend(reply("b!!c", 1))[0]) == "!c"
    assert trail.bad_at_end == 0


def test_a_call_that_was_passed_over_is_known_from_then_on() -> None:
    trail = trail_of("abc")
    trail.extend(reply("bxcd", 1))
    assert trail.meets(reply("xd", 2))
    assert word(trail.extend(reply("xcd", 2))[0]) == ""


@pytest.mark.parametrize(
    ("later", "offset", "end"),
    [
        pytest.param("bc", 1, 3, id="nothing has moved"),
        pytest.param("bc", 5, 7, id="four calls have come above"),
        pytest.param("ab", 5, 8, id="its last call is behind the answer"),
        pytest.param("xy", 5, None, id="no call in common"),
    ],
)
def test_where_the_trail_ends_now_shows_in_a_later_answer(later: str, offset: int, end: int | None) -> None:
    assert trail_of("abc").end_seen_from(reply(later, offset)) == end


def test_when_the_deepest_calls_have_vanished_the_trail_ends_above_them() -> None:
    trail = trail_of("abc")
    trail.end_with(reply("b", 1))
    assert trail.last_id == "b"
    assert trail.end_seen_from(reply("ab")) == 2


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        pytest.param("abc", "bcd", False, id="the same order"),
        pytest.param("abc", "axc", False, id="a call came and one went"),
        pytest.param("abc", "acb", True, id="neighbours changed places"),
        pytest.param("abcd", "xdya", True, id="distant ones changed places"),
        pytest.param("abc", "xyz", False, id="nothing in common"),
        pytest.param("ab", "b", False, id="one call has no order"),
    ],
)
def test_two_answers_contradict_each_other_where_calls_changed_places(
    one: str, other: str, contradict: bool
) -> None:
    assert reply(one).contradicts(reply(other).places) is contradict
    assert reply(other).contradicts(reply(one).places) is contradict


def test_what_has_come_and_is_not_known_is_told_once_each() -> None:
    assert word(trail_of("abc").unknown([reply("ce!", 4), reply("ef", 6)])) == "ef!"


def test_old_calls_are_forgotten_and_the_last_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_seams, "REMEMBERED", 3)
    trail = trail_of("abcdef", "fg")
    assert trail.meets(reply("efg", 4))
    assert not trail.meets(reply("cx", 2))
    # The top of the history says nothing any more: what is unknown there may have been given long ago.
    assert not trail.meets(reply("ab", 0))
