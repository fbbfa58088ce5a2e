"""Rows as they are expected to records, fast; an odd one is left to the careful way.

What reads them is written out from the fields of the record class, as attrs writes its ``__init__``: a function
call for each field, as the careful way makes them, takes longer than parsing the JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from operator import itemgetter
from typing import Any, Final, TypeVar, get_type_hints

import attrs
from attrs import field, frozen

from krosai_calls._json import NO_INTEGER
from krosai_calls._values import INT64, members_by_text, moment
from krosai_calls.models import CallDirection, CallStatus, HangupCause, Record

RecordT = TypeVar("RecordT", bound=Record)


@frozen
class _Expectation:
    """What is expected of a field, in Python; ``{0}`` is the value that the row has for it, or None.

    Attributes:
        is_met: Whether nothing is odd about the value.
        reading: What the field then holds.
        names: What the two refer to.
        is_proof: Whether it leaves nothing of the value unseen.
    """

    is_met: str
    reading: str = "{0}"
    names: Mapping[str, Any] = field(factory=dict)
    is_proof: bool = True


_IS_TEXT: Final = "type({0}) is str or {0} is None"
_IS_INTEGER: Final = "type({0}) is int and LEAST <= {0} <= MOST"
_IS_FRACTION: Final = "type({0}) is float and -NO_INTEGER < {0} < NO_INTEGER"


def _open_enum(members: type[StrEnum]) -> _Expectation:
    name = members.__name__
    return _Expectation(_IS_TEXT, f"{name}.get({{0}}, {{0}})", {name: members_by_text(members)})


_EXPECTED: Final[Mapping[Any, _Expectation]] = {
    str: _Expectation("type({0}) is str and {0}"),
    str | None: _Expectation(_IS_TEXT),
    float | None: _Expectation(
        f"{_IS_INTEGER} or {_IS_FRACTION} or {{0}} is None",
        names={"LEAST": INT64[0], "MOST": INT64[-1], "NO_INTEGER": NO_INTEGER},
    ),
    datetime | None: _Expectation(_IS_TEXT, "None if {0} is None else moment({0})", {"moment": moment}),
    dict[str, Any] | None: _Expectation("type({0}) is dict or {0} is None", is_proof=False),
    CallDirection | str | None: _open_enum(CallDirection),
    CallStatus | str | None: _open_enum(CallStatus),
    HangupCause | str | None: _open_enum(HangupCause),
}


def reader_of_expected(record_class: type[RecordT]) -> Callable[[Any, list[Any]], RecordT | None]:
    """A function that makes a record of a row, or gives None for a row that is in any way odd.

    It adds to the list what it has not looked at; all else of a record's row is exact, whatever parsed it.

    Args:
        record_class: A frozen class with slots; its fields have the names that they have in a row.

    Raises:
        TypeError: The class has a field that cannot be read this way.
    """
    expected = _expectations(record_class)
    values = {name: f"its_{name}" for name in expected}
    unseen = "".join(f"{values[name]}, " for name, it in expected.items() if not it.is_proof)
    lines = [
        "def read(row, unseen):",
        "    if type(row) is not dict: return None",
        "    try:",
        f"        {', '.join(values.values())} = fetch(row)",
        f"        unseen += ({unseen}) if len(row) == {len(values)} else (row,)",
        "    except KeyError:",
        f"        {', '.join(values.values())} = fetch({{**NULLS, **row}})",
        "        unseen += (row,)",
        *(f"    if not ({it.is_met.format(values[name])}): return None" for name, it in expected.items()),
        "    record = new(Open)",
        *(f"    record.{name} = {it.reading.format(values[name])}" for name, it in expected.items()),
        "    record._raw = row",
        "    record.__class__ = Locked",
        "    return record",
    ]
    names: dict[str, Any] = {
        "fetch": itemgetter(*expected),
        "NULLS": dict.fromkeys(expected),
        "new": object.__new__,
        "Open": _unlocked(record_class),
        "Locked": record_class,
    }
    for it in expected.values():
        names |= it.names
    code = compile("\n".join(lines), f"<reader of {record_class.__name__}>", "exec")
    exec(code, names)  # noqa: S102 - made of nothing but the names and types above
    read: Callable[[Any, list[Any]], RecordT | None] = names["read"]
    return read


def _expectations(record_class: type[Record]) -> dict[str, _Expectation]:
    """What is expected of each field of a class, by its name."""
    hints = get_type_hints(record_class)
    expected: dict[str, _Expectation] = {}
    for attribute in attrs.fields(record_class):
        if attribute.name == "_raw":
            continue
        is_plain = attribute.default in (None, attrs.NOTHING) and not (attribute.converter or attribute.validator)
        if not is_plain or hints[attribute.name] not in _EXPECTED:
            raise TypeError(f"no row can be read into {record_class.__name__}.{attribute.name}")
        expected[attribute.name] = _EXPECTED[hints[attribute.name]]
    return expected


def _unlocked(record_class: type[Record]) -> type:
    """A class laid out like a frozen one, but open: what is filled as the one may then become the other.

    The frozen class's own ``__init__`` fills each field past its own lock, which takes three times as long.
    """
    return type(
        f"Open{record_class.__name__}",
        record_class.__bases__,
        {
            "__slots__": vars(record_class)["__slots__"],
            "__setattr__": object.__setattr__,
            "__delattr__": object.__delattr__,
        },
    )
