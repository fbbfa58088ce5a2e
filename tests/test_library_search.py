"""Searching an archive: what is found, in which order, and what is said of a query that cannot be read."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from archive_maker import DAY, making
from hypothesis import given
from hypothesis import strategies as st

from krosai_calls import Archive, CallDirection, InvalidArgumentError, _schema, _searching
from krosai_calls._searching import TOKENIZER, spans


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with making(tmp_path) as maker:
        maker.call(
            "call_1",
            said=[
                ("Agent", "Good morning, Café Zürich."),
                ("Caller", "I want a refund for my order, a full refund"),
            ],
            recording=b"an MP3",
            created_at="2025-01-10T12:00:00.500Z",
            from_number="+15550100",
            to_number="+15550101",
            direction="inbound",
            endpoint_id="ep_1",
        )
        maker.call(
            "call_2",
            said=[("Agent", "The refund is on its way, as I said, and it takes a day or two as ever")],
            created_at="2025-01-12T12:00:00.000Z",
            direction="sideways",
        )
        maker.call("call_3", said=[(None, "no label, no money back")], created_at=None)
    return tmp_path


def found(archive: Archive, query: str, **filters: Any) -> list[tuple[str, int]]:
    return [(hit.call_id, hit.position) for hit in archive.search(query, **filters)]


def test_a_hit_tells_the_call_the_words_and_where_the_files_are(folder: Path) -> None:
    hit, _ = Archive(folder).search("refund")
    assert (hit.call_id, hit.position, hit.speaker, hit.rank) == ("call_1", 1, "Caller", 1)
    assert hit.created_at == datetime(2025, 1, 10, 12, 0, 0, 500_000, UTC)
    assert (hit.from_number, hit.to_number, hit.direction) == ("+15550100", "+15550101", CallDirection.INBOUND)
    assert hit.snippet == "I want a refund for my order, a full refund"
    assert hit.recording_path == folder / f"recordings/{DAY}/call_1.mp3"
    assert hit.recording_path.read_bytes() == b"an MP3"
    assert hit.transcript_path == folder / f"transcripts/{DAY}/call_1.txt"


def test_what_is_not_there_is_none_and_an_unknown_direction_is_kept(folder: Path) -> None:
    _, hit = Archive(folder).search("refund")
    assert (hit.call_id, hit.from_number, hit.recording_path) == ("call_2", None, None)
    assert hit.direction == "sideways"
    (other,) = Archive(folder).search("label")
    assert (other.created_at, other.speaker) == (None, None)


def test_a_file_that_is_not_saved_or_lies_elsewhere_has_no_path(folder: Path) -> None:
    with making(folder) as maker:
        maker.sql.execute("UPDATE artefacts SET state = 'wanted' WHERE kind = 'recording'")
        maker.sql.execute("UPDATE artefacts SET path = '../../etc/passwd' WHERE kind = 'transcript'")
    hit, _ = Archive(folder).search("refund")
    assert (hit.recording_path, hit.transcript_path) == (None, None)


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("refund", [("call_1", 1), ("call_2", 0)]),
        ("REFUND order", [("call_1", 1)]),
        ("cafe zurich", [("call_1", 0)]),
        ('"full refund"', [("call_1", 1)]),
        ('"refund full"', []),
        ("mone*", [("call_3", 0)]),
        ("refund NOT order", [("call_2", 0)]),
        ("label OR morning", [("call_1", 0), ("call_3", 0)]),
        ("NEAR(refund order, 2)", [("call_1", 1)]),
        ("text : money", [("call_3", 0)]),
        ('"..."', []),
        ("nothing", []),
    ],
)
def test_a_query_has_the_syntax_of_fts5(folder: Path, query: str, hits: list[tuple[str, int]]) -> None:
    assert sorted(found(Archive(folder), query)) == hits


@pytest.mark.parametrize(
    "query",
    [
        "it's about \"order", "AND", "OR", "a AND", "(", ")", '"', "*", "a + ", "it: foo", "-order", "order?",
        "50%", "NEAR(a b", "^", "{", "a.b", "*reads", "'", "((((((((((",
        " ( ".join(["a"] * 5000), "\\", "x -- y", ";",
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_read_is_told_with_how_to_quote_it(folder: Path, query: str) -> None:
    archive = Archive(folder)
    with pytest.raises(InvalidArgumentError) as caught:
        archive.search(query)
    message = str(caught.value)
    assert "double quotes" in message
    literally = message.partition("doubled: ")[2]
    archive.search(literally)


@given(query=st.text())
def test_no_query_whatever_ends_in_another_error(tmp_path_factory: pytest.TempPathFactory, query: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-query"
    if not folder.exists():
        with making(folder) as maker:
            maker.call("call_1", said=[("Agent", "a b c")])
    with suppress(InvalidArgumentError):
        Archive(folder).search(query)


@pytest.mark.parametrize(
    "arguments",
    [
        {"query": ""},
        {"query": "  "},
        {"query": "a\0b"},
        {"query": "\ud800"},
        {"query": 7},
        {"query": "a", "limit": 0},
        {"query": "a", "limit": True},
        {"query": "a", "limit": 1.5},
        {"query": "a", "markers": "<b>"},
        {"query": "a", "markers": ("<b>",)},
        {"query": "a", "speaker": ""},
        {"query": "a", "from_date": "soon"},
    ],
)
def test_an_argument_that_cannot_be_right_is_refused(folder: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        Archive(folder).search(**arguments)


@pytest.mark.parametrize("most_ranked", [2_000, 1, 0])
@pytest.mark.parametrize(
    ("filters", "hits"),
    [
        ({}, [("call_1", 1), ("call_2", 0)]),
        ({"speaker": "Caller"}, [("call_1", 1)]),
        ({"direction": "inbound"}, [("call_1", 1)]),
        ({"endpoint_id": "ep_2"}, []),
        ({"from_date": "2025-01-11"}, [("call_2", 0)]),
        ({"to_date": "2025-01-11"}, [("call_1", 1)]),
    ],
)
def test_filters_narrow_a_search_however_many_match(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    most_ranked: int,
    filters: dict[str, Any],
    hits: list[tuple[str, int]],
) -> None:
    monkeypatch.setattr(_searching, "RANKED_MATCHES", most_ranked)
    assert sorted(found(Archive(folder), "refund", **filters)) == hits


def test_the_markers_stand_around_what_matches_and_long_turns_are_cut(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(100)]
    with making(tmp_path) as maker:
        maker.call("call_1", said=[("Agent", " ".join(words))])
    (hit,) = Archive(tmp_path).search("word50", markers=("<b>", "</b>"))
    assert "<b>word50</b>" in hit.snippet
    assert (hit.snippet[0], hit.snippet[-1]) == ("…", "…")
    assert 20 <= len(hit.snippet.split()) <= 30


# ---- order


def test_the_best_come_first_and_of_equals_the_newest(tmp_path: Path) -> None:
    with making(tmp_path) as maker:
        for day, text in enumerate(["refund refund refund", "refund and much else besides", "refund one day"], 1):
            maker.call(f"day_{day}", said=[("Caller", text)], created_at=f"2025-01-0{day}T12:00:00.000Z")
        maker.call("day_9", said=[("Caller", "refund one day")], created_at="2025-01-09T12:00:00.000Z")
    hits = Archive(tmp_path).search("refund")
    assert [hit.call_id for hit in hits] == ["day_1", "day_9", "day_3", "day_2"]
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    assert found(Archive(tmp_path), "refund", limit=2) == [("day_1", 0), ("day_9", 0)]


@pytest.fixture
def crowded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """60 calls, in the order of a first walk and then by nights, in all of which somebody says hello twice."""
    monkeypatch.setattr(_searching, "RANKED_MATCHES", 50)
    monkeypatch.setattr(_searching, "_FIRST_STEP", 3)
    monkeypatch.setattr(_searching, "_SMALL_GAP", 1)
    order = [*range(39, -1, -1), *range(49, 39, -1), *range(59, 49, -1)]
    with making(tmp_path) as maker:
        for number in order:
            said = [("Agent", "hello there"), ("Caller", "old times" if number < 5 else "hello you")]
            maker.call(f"call_{number:02}", said=said, created_at=f"2025-01-10T12:{number:02}:00.000Z")
    return tmp_path


def test_where_more_match_than_are_ranked_the_newest_come_first(crowded: Path) -> None:
    hits = Archive(crowded).search("hello", limit=5)
    assert [(hit.call_id, hit.position) for hit in hits] == [
        ("call_59", 0), ("call_59", 1), ("call_58", 0), ("call_58", 1), ("call_57", 0),
    ]  # fmt: skip
    assert {hit.rank for hit in hits} == {None}


def test_all_that_match_are_given_where_so_many_are_asked_for(crowded: Path) -> None:
    hits = found(Archive(crowded), "hello", limit=1000)
    calls = [int(call_id[5:]) for call_id, _ in hits]
    assert (len(hits), calls) == (115, sorted(calls, reverse=True))


@pytest.mark.parametrize("walked", [3, 30, 10_000])
def test_what_was_said_only_long_ago_is_found_however_far_the_walk_goes(
    crowded: Path, monkeypatch: pytest.MonkeyPatch, walked: int
) -> None:
    monkeypatch.setattr(_searching, "_WALKED_TURNS", walked)
    monkeypatch.setattr(_searching, "RANKED_MATCHES", 1)
    assert found(Archive(crowded), "old times", limit=3) == [("call_04", 1), ("call_03", 1), ("call_02", 1)]


@given(st.sets(st.integers(min_value=1, max_value=10_000)))
def test_spans_hold_every_number_and_only_small_gaps(numbers: set[int]) -> None:
    stretches = spans(numbers)
    inside = {number for first, last in stretches for number in numbers if first <= number <= last}
    assert inside == numbers
    assert all(later[0] - earlier[1] > 1000 for earlier, later in pairwise(stretches))


def test_walking_back_in_time_sorts_nothing(crowded: Path) -> None:
    walk = (
        "EXPLAIN QUERY PLAN SELECT turns.id FROM calls JOIN turns ON turns.call_id = calls.id"
        f" WHERE true {_searching._NEWEST_FIRST}"
    )
    with closing(sqlite3.connect(crowded / "catalog.sqlite")) as connection:
        plan = " / ".join(str(row[-1]) for row in connection.execute(walk))
    assert "calls_by_time" in plan
    assert "TEMP B-TREE" not in plan


def test_the_small_index_takes_words_apart_like_the_large_one() -> None:
    (tokenizer,) = re.findall(r"tokenize = '([^']+)'", "".join(_schema._MIGRATIONS))
    assert tokenizer == TOKENIZER
