"""Transcripts to turns and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krosai_calls.transcripts import Turn, format_transcript, parse_transcript

word = st.text("abcXYZ019äß中[]:.-", min_size=1, max_size=8)
words = st.lists(word, min_size=1, max_size=6).map(" ".join)
speaker = st.text("abcXYZ 019ä中:.-", min_size=1, max_size=12).map(str.strip).filter(bool)
# Lines that are no label of their own.
line = words.filter(lambda text: not re.match(r"\s*\[[^\[\]]+\]\s*:", text))
several_lines = st.lists(line, min_size=1, max_size=3).map("\n".join)
labelled = st.builds(Turn, speaker=speaker, text=several_lines | st.just(""))
conversation = st.builds(
    lambda before, turns: [*before, *turns],
    st.lists(st.builds(Turn, speaker=st.none(), text=several_lines), max_size=1),
    st.lists(labelled, max_size=5),
)
pieces = st.sampled_from(
    [
        "[Agent]: ",
        "[Caller]:",
        " [Third person]:  ",
        "[A]",
        ": ",
        "\n",
        "\r\n",
        "hello",
        "there [x] : y",
        "\t",
        "bye",
    ]
)


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        pytest.param(
            "[Agent]: Good morning.\n[Caller]: Hi, it's about my order.",
            [Turn("Agent", "Good morning."), Turn("Caller", "Hi, it's about my order.")],
            id="the documented form",
        ),
        pytest.param("[Speaker 2 (Köln)]: Ja", [Turn("Speaker 2 (Köln)", "Ja")], id="a label of any words"),
        pytest.param("  [ Agent ] :  Hi", [Turn("Agent", "Hi")], id="blanks around the label"),
        pytest.param("[Agent]:Hi", [Turn("Agent", "Hi")], id="no blank after the colon"),
        pytest.param("[A]:\n[B]: x", [Turn("A", ""), Turn("B", "x")], id="a turn without words"),
        pytest.param("[A]: one\ntwo\n\nthree", [Turn("A", "one\ntwo\n\nthree")], id="a turn of several lines"),
        pytest.param("[A]:\none", [Turn("A", "one")], id="words on the line after the label"),
        pytest.param(
            "Recorded on Monday\n[A]: x", [Turn(None, "Recorded on Monday"), Turn("A", "x")], id="text before it"
        ),
        pytest.param("\n\n[A]: x\n\n", [Turn("A", "x")], id="blank lines around it"),
        pytest.param("[A]: x\r\ny\r\n[B]: z\r\n", [Turn("A", "x\r\ny"), Turn("B", "z")], id="CRLF"),
        pytest.param("[A]: call back: 5:30", [Turn("A", "call back: 5:30")], id="colons inside a turn"),
        pytest.param("[A]: so [laughs]: well", [Turn("A", "so [laughs]: well")], id="brackets inside a line"),
        pytest.param("[A]: x\n[noise] y", [Turn("A", "x\n[noise] y")], id="brackets without a colon"),
        pytest.param("[A]: x\nNote: y", [Turn("A", "x\nNote: y")], id="a colon without brackets"),
        pytest.param("[A]: x\n[]: y", [Turn("A", "x\n[]: y")], id="empty brackets"),
        pytest.param("Just words.", [Turn(None, "Just words.")], id="no labels at all"),
        pytest.param(" a\nb ", [Turn(None, "a\nb")], id="no labels, several lines"),
        pytest.param("Agent: hi", [Turn(None, "Agent: hi")], id="names without brackets are no labels"),
        pytest.param("", [], id="empty"),
        pytest.param(" \r\n\t ", [], id="blank"),
        pytest.param(None, [], id="none"),
    ],
)
def test_a_transcript_is_its_turns(text: str | None, turns: list[Turn]) -> None:
    assert parse_transcript(text) == turns


def test_turns_are_written_one_a_line() -> None:
    turns = [Turn(None, "Monday"), Turn("Agent", "Hi."), Turn("Caller", "")]
    assert format_transcript(turns) == "Monday\n[Agent]: Hi.\n[Caller]: "


def test_no_turns_are_an_empty_text() -> None:
    assert format_transcript([]) == ""


@settings(max_examples=100, deadline=None)
@given(conversation)
def test_what_is_written_is_read_as_the_same_turns(turns: list[Turn]) -> None:
    assert parse_transcript(format_transcript(turns)) == turns


@settings(max_examples=100, deadline=None)
@given(st.lists(pieces, max_size=12).map("".join))
def test_turns_that_were_read_are_written_and_read_as_themselves(text: str) -> None:
    turns = parse_transcript(text)
    assert parse_transcript(format_transcript(turns)) == turns


def test_a_blank_label_is_written_and_read_as_itself() -> None:
    turns = parse_transcript("[A]: x\n[ ]: y")
    assert parse_transcript(format_transcript(turns)) == turns


@settings(max_examples=200, deadline=None)
@given(st.lists(pieces | word, max_size=12).map("".join) | st.text())
def test_no_word_is_lost(text: str) -> None:
    turns = parse_transcript(text)
    said = "".join(f"{turn.speaker or ''} {turn.text}" for turn in turns)

    def letters(of: str) -> list[str]:
        # The brackets and the colon of a label are its dress, and no words.
        return [character for character in of if not character.isspace() and character not in "[]:"]

    assert letters(said) == letters(text)
