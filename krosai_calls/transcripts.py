"""Transcripts: plain text with speaker labels to turns, and back. No word is lost on either way."""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import frozen

# A label opens a line: [Agent]: … ; it may be any words. Without the brackets ("Note: call back") a colon is
# just a colon, and what it stands in stays part of the turn.
_LABEL = re.compile(r"^[ \t]*\[(?P<speaker>[^\[\]\r\n]*[^\[\]\s][^\[\]\r\n]*)\][ \t]*:[ \t]?", re.MULTILINE)


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
    if not labels:
        return [Turn(None, text.strip())]
    before = text[: labels[0].start()]
    turns = [Turn(None, before.strip())] if before.strip() else []
    for label, next_label in zip(labels, [*labels[1:], None], strict=True):
        end = len(text) if next_label is None else next_label.start()
        turns.append(Turn(label["speaker"].strip(), text[label.end() : end].strip()))
    return turns


def format_transcript(turns: Iterable[Turn]) -> str:
    """Turns as a text, each on a line of its own; what ``parse_transcript`` gave, it reads as the same turns."""
    return "\n".join(f"[{turn.speaker}]: {turn.text}" if turn.speaker else turn.text for turn in turns)
