"""Rows as they are expected to calls, fast; an odd one is left to the careful way.

Written out field by field: a function call for each, as the careful way makes them, takes longer than parsing the
JSON. A test holds it against the fields of ``Call`` and against what the careful way makes of any row.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Final

from krosai_calls._json import NO_INTEGER
from krosai_calls._values import INT64, members_by_text, moment
from krosai_calls.models import Call, CallDirection, CallStatus, HangupCause

# In the order in which they are taken apart below.
TEXTS: Final = ("from_number", "to_number", "endpoint_id", "phone_number_id", "recording_url", "transcript")
CODED: Final = ("direction", "status", "hangup_cause", "created_at", "answered_at", "completed_at")
OTHERS: Final = ("id", "duration", "cost_cents", "metadata")
_texts_of, _coded_of, _others_of = itemgetter(*TEXTS), itemgetter(*CODED), itemgetter(*OTHERS)
_NULLS: Final = dict.fromkeys((*TEXTS, *CODED, *OTHERS))
_FIELDS: Final = len(_NULLS)
_LEAST, _MOST = INT64[0], INT64[-1]

_direction = members_by_text(CallDirection).get
_status = members_by_text(CallStatus).get
_cause = members_by_text(HangupCause).get

# Laid out like a call, but open: what was filled as the one may then become the other. The frozen class's own
# __init__ goes past its lock field by field, which takes three times as long.
_OpenCall: Final = type(
    "_OpenCall",
    Call.__bases__,
    {
        "__slots__": vars(Call)["__slots__"],
        "__setattr__": object.__setattr__,
        "__delattr__": object.__delattr__,
    },
)
_blank = object.__new__


def read_expected_call(row: Any, unseen: list[Any]) -> Call | None:
    """The call of a row, or None where anything about the row is odd.

    Args:
        row: A value from JSON.
        unseen: Gets what has not been looked at; all else of a call's row is exact, whatever parsed it.
    """
    if type(row) is not dict:
        return None
    try:
        texts, coded, others = _texts_of(row), _coded_of(row), _others_of(row)
        unseen.append(others[-1] if len(row) == _FIELDS else row)
    except KeyError:
        full = _NULLS | row
        texts, coded, others = _texts_of(full), _coded_of(full), _others_of(full)
        unseen.append(row)
    call_id, duration, cost_cents, metadata = others
    if type(call_id) is not str or not call_id or (type(metadata) is not dict and metadata is not None):
        return None
    for text in texts + coded:
        if type(text) is not str and text is not None:
            return None
    for number in (duration, cost_cents):
        is_integer = type(number) is int and _LEAST <= number <= _MOST
        if not (is_integer or number is None or (type(number) is float and -NO_INTEGER < number < NO_INTEGER)):
            return None
    new: Any = _blank(_OpenCall)
    new.id, new.duration, new.cost_cents, new.metadata = call_id, duration, cost_cents, metadata
    new.from_number, new.to_number, new.endpoint_id, new.phone_number_id, new.recording_url, new.transcript = texts
    direction, status, cause, created_at, answered_at, completed_at = coded
    new.direction = _direction(direction, direction)
    new.status = _status(status, status)
    new.hangup_cause = _cause(cause, cause)
    new.created_at = None if created_at is None else moment(created_at)
    new.answered_at = None if answered_at is None else moment(answered_at)
    new.completed_at = None if completed_at is None else moment(completed_at)
    new._raw = row  # noqa: SLF001 - of a call that is still being made
    new.__class__ = Call
    call: Call = new
    return call
