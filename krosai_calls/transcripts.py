"""Transcripts: plain text with speaker labels to turns, and back. No word is lost on either way."""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import frozen

# A label opens a line: [Agent]: … ; it may be any words. Without the brackets ("Note: call back") a colon is
# just a colon, and what it stands in stays part of the turn.
_LABEL = re.compile(r"^[ \t]*\[(?P<speaker>[^\[\]\r\n]+)\][ \t]*:[ \t]?", re.MULTILINE)


@frozen
class Turn:
    """What one speaker said in one go.

    Attributes:
        speaker: The label, such as ``Agent`` or ``Caller``; None where the text has none.
        text: The words; line breaks inside a turn are kept.
    """

    speaker: str | None
    text: str


def parse_transcript(text: str | None) -> list[Turn]:
    """The turns of a transcript, in order.

    Text before the first label, and a text without labels, is a turn without a speaker. A turn may run over
    several lines.

    Args:
        text: A transcript as the service gives it, or None.

    Returns:
        The turns; none where the text is empty or blank.
    """
    if not text or text.isspace():
        return []
    labels = list(_LABEL.finditer(text))
    before = text[: labels[0].start()] if labels else text
    turns = [Turn(None, before.strip())] if before.strip() else []
    ends = [label.start() for label in labels[1:]] + [len(text)]
    for label, end in zip(labels, ends, strict=True):
        turns.append(Turn(label["speaker"].strip(), text[label.end() : end].strip()))
    return turns


def format_transcript(turns: Iterable[Turn]) -> str:
    """The text that ``parse_transcript`` reads as these turns, one turn a line."""
    return "\n".join(f"[{turn.speaker}]: {turn.text}" if turn.speaker else turn.text for turn in turns)
