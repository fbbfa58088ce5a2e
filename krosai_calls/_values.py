"""What a JSON value means for a field of a record: itself, what it stands for, or None where it is odd.

Each function takes a second argument, the type, and passes it over: cattrs calls them with one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from krosai_calls._json import UnfitError

# Beyond 64 bits neither SQLite nor a data frame could hold an integer; it stays in to_dict().
INT64: Final = range(-(2**63), 2**63)


def identifier(value: Any, _: Any = None) -> str:
    """The id.

    Raises:
        UnfitError: It is none.
    """
    if type(value) is str and value:
        return value
    if type(value) is int:
        return str(value)
    raise UnfitError("id", "no id", "$.id")


def text(value: Any, _: Any = None) -> str | None:
    """A text, or None."""
    return value if type(value) is str else None


def integer(value: Any, _: Any = None) -> int | None:
    """An integer of 64 bits, or None."""
    return value if type(value) is int and value in INT64 else None


def number(value: Any, _: Any = None) -> float | None:
    """A number, or None."""
    return value if type(value) is float else integer(value)


def json_object(value: Any, _: Any = None) -> dict[str, Any] | None:
    """An object, or None."""
    return value if type(value) is dict else None


def moment(value: Any, _: Any = None) -> datetime | None:
    """The instant of an ISO 8601 text, in UTC, or None."""
    if type(value) is not str or "\0" in value:  # Python 3.11 reads over a NUL at the end
        return None
    try:
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is UTC:
            return instant
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def members_by_text(members: type[StrEnum]) -> Mapping[Any, StrEnum]:
    """The members of an open enum by what they are on the wire; whatever is not among them stays what it is."""
    return {member.value: member for member in members}
