"""What storage's answer means for a recording: take it, ask again, ask for another link, or give up. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from attrs import frozen

from krosai_calls._retry import RETRIED_STATUSES

MOST_DIGITS = 19


class Verdict(Enum):
    """What to do with an answer of storage."""

    TAKE = auto()  # the body is the recording
    RENEW_LINK = auto()  # the link does not open it any more: a fresh one may
    GONE = auto()  # there is nothing behind the link
    BUSY = auto()  # not now: the retry policy knows when to ask again
    WRONG = auto()  # nothing that a storage host has to say, such as a redirect


def judge(status: int) -> Verdict:
    """What an answer's status means.

    Storage answers an expired link with 401, 403 or 410, depending on who built it.

    Args:
        status: The HTTP status.
    """
    match status:
        case 200:
            return Verdict.TAKE
        case 401 | 403 | 410:
            return Verdict.RENEW_LINK
        case 404:
            return Verdict.GONE
        case _:
            return Verdict.BUSY if status in RETRIED_STATUSES else Verdict.WRONG


@frozen
class Length:
    """How long a recording is, as far as anybody says.

    Attributes:
        size_bytes: The length; None where nobody says.
        problem: Why the lengths that were told cannot be believed, or empty.
    """

    size_bytes: int | None
    problem: str = ""


def promised_length(headers: Mapping[str, str], size_in_link: int | None) -> Length:
    """The length that a whole recording has.

    Args:
        headers: The answer's, names in lower case.
        size_in_link: The ``size_bytes`` that the API told with the link, or None.
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        return Length(None, f"storage sent it compressed ({encoding[:20]!r}), although nobody asked for that")
    text = headers.get("content-length", "")
    on_the_wire = int(text) if text.isascii() and text.isdigit() and len(text) < MOST_DIGITS else None
    told = size_in_link if size_in_link is not None and size_in_link >= 0 else None
    if on_the_wire is not None and told is not None and on_the_wire != told:
        return Length(None, f"storage sends {on_the_wire} bytes where the API says {told}")
    length = told if on_the_wire is None else on_the_wire
    if length is None:
        return Length(None, "nobody says how long it is, so that a cut could not be told from an end")
    if length == 0:
        return Length(None, "it is empty")
    return Length(length)
