"""The records that the service's answers become: frozen, open to what the service adds, losing nothing.

This module knows shapes and claims about them, and no JSON, HTTP or files. A field that the service left out,
sent as null or sent with an unexpected type is None here, and in ``to_dict()`` as it came.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from datetime import datetime
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, ClassVar

import attrs
from attrs import field, frozen

from krosai_calls._text import without_query
from krosai_calls.transcripts import Turn, parse_transcript


class CallDirection(StrEnum):
    """Who called whom, seen from the account."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class CallStatus(StrEnum):
    """How a call stands. The service may send others; they are kept as plain strings."""

    INITIATED = "initiated"
    QUEUED = "queued"
    RINGING = "ringing"
    ANSWERED = "answered"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    BUSY = "busy"
    NO_ANSWER = "no_answer"


class HangupCause(StrEnum):
    """Why a call ended. The service may send others; they are kept as plain strings."""

    NORMAL_CLEARING = "normal_clearing"
    USER_HANGUP = "user_hangup"
    AGENT_HANGUP = "agent_hangup"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    REJECTED = "rejected"
    NETWORK_ERROR = "network_error"
    TIMEOUT = "timeout"


FINAL_STATUSES = frozenset({CallStatus.COMPLETED, CallStatus.FAILED, CallStatus.BUSY, CallStatus.NO_ANSWER})
_LIVE_STATUSES = frozenset(CallStatus) - FINAL_STATUSES


def _repr_link(link: str | None) -> str:
    # The query of a presigned link is as good as a key for an hour: it does not belong into logs.
    return repr(link and without_query(link))


@frozen
class Record:
    """What every record can do: give back what the service sent, named here or not."""

    # Names on the wire that feed a field of another name.
    _wire_names: ClassVar[frozenset[str]] = frozenset()

    _raw: dict[str, Any] | None = field(default=None, init=False, repr=False, eq=False)

    @property
    def extra(self) -> dict[str, Any]:
        """What the service sent beyond the named fields, as it came."""
        known = self._wire_names.union(attribute.name for attribute in attrs.fields(type(self)))
        return {name: copy.deepcopy(value) for name, value in (self._raw or {}).items() if name not in known}

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON has it: exactly what the service sent, or the fields of one made by hand."""
        return copy.deepcopy(self.as_sent())

    def as_sent(self) -> dict[str, Any]:
        """The same without a copy: not to be changed."""
        if self._raw is not None:
            return self._raw
        return attrs.asdict(
            self,
            filter=lambda attribute, _: not attribute.name.startswith("_"),
            value_serializer=lambda _, __, value: _plain(value),
        )


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case Enum():
            return value.value
        case _:
            return value


@frozen
class Call(Record):
    """One call.

    A row of a list may lack any field but the id; ``get_call`` gives the call in full.

    Attributes:
        id: The service's name for the call; opaque.
        from_number: Who called, E.164.
        to_number: Who was called, E.164.
        direction: ``inbound`` or ``outbound``.
        status: How the call stands; a status unknown here is kept as it came.
        duration: Length in seconds.
        cost_cents: Price in hundredths of the account's currency.
        endpoint_id: The agent or endpoint that handled the call.
        phone_number_id: The account's number that was used.
        recording_url: Presigned link to the MP3, good for an hour; None until processed and after retention.
        transcript: Plain text with speaker labels; None until processed.
        created_at: When the call was set up, UTC.
        answered_at: When it was answered, UTC.
        completed_at: When it ended, UTC.
        hangup_cause: Why it ended; a cause unknown here is kept as it came.
        metadata: The caller's own JSON object.
    """

    id: str
    from_number: str | None = None
    to_number: str | None = None
    direction: CallDirection | str | None = None
    status: CallStatus | str | None = None
    duration: float | None = None
    cost_cents: float | None = None
    endpoint_id: str | None = None
    phone_number_id: str | None = None
    recording_url: str | None = field(default=None, repr=_repr_link)
    transcript: str | None = field(default=None, repr=False)
    created_at: datetime | None = None
    answered_at: datetime | None = None
    completed_at: datetime | None = None
    hangup_cause: HangupCause | str | None = None
    metadata: dict[str, Any] | None = None

    def __hash__(self) -> int:
        # What the service sent as a status may be a list; the id is always there, and enough.
        return hash(self.id)

    @property
    def has_ended(self) -> bool:
        """Whether the call is over. A status unknown here counts as over once ``completed_at`` is set."""
        if has_status(self, FINAL_STATUSES):
            return True
        return not has_status(self, _LIVE_STATUSES) and self.completed_at is not None

    @property
    def has_recording(self) -> bool:
        """Whether the service offers a recording now; it may appear some time after the call has ended."""
        return bool(self.recording_url)

    @property
    def turns(self) -> list[Turn]:
        """The transcript, turn by turn; empty where there is none."""
        return parse_transcript(self.transcript)


def has_status(call: Call, statuses: Collection[str]) -> bool:
    """Whether a call stands in one of these ways; what the service sent as its status may be no text at all."""
    return isinstance(call.status, str) and call.status in statuses


@frozen
class Page(Record):
    """One page of a call history.

    Attributes:
        calls: The calls, in the service's order.
        total: How many calls match in all, or None where the service does not say.
        limit: How many calls a page holds at most, as the service sees it.
        offset: Where the page begins in the history.
        next_offset: Where the next page begins, or None at the end of the history.
    """

    _wire_names: ClassVar[frozenset[str]] = frozenset({"data"})

    calls: tuple[Call, ...]
    total: int | None
    limit: int
    offset: int
    next_offset: int | None


@frozen
class CallEvent(Record):
    """One entry in the timeline of a call.

    Attributes:
        id: The service's name for the event.
        type: What happened, such as ``call.answered``; kept as it came, some services leave ``call.`` out.
        timestamp: When, UTC.
        data: What came with it.
    """

    _wire_names: ClassVar[frozenset[str]] = frozenset({"event", "created_at"})

    id: str | None = None
    type: str | None = None
    timestamp: datetime | None = None
    data: dict[str, Any] | None = field(default=None, hash=False)


@frozen
class CallStats(Record):
    """Aggregated figures over the calls that match. Any of them may be missing.

    Attributes:
        total_calls: Calls in all.
        completed_calls: Calls that ended normally.
        failed_calls: Calls that did not connect.
        inbound_calls: Calls to the account.
        outbound_calls: Calls by the account.
        total_duration: Seconds of all calls together.
        average_duration: Mean seconds a call.
        total_cost_cents: Price of all calls together, in cents.
        by_status: Number of calls by status.
    """

    total_calls: int | None = None
    completed_calls: int | None = None
    failed_calls: int | None = None
    inbound_calls: int | None = None
    outbound_calls: int | None = None
    total_duration: float | None = None
    average_duration: float | None = None
    total_cost_cents: float | None = None
    by_status: dict[str, Any] | None = field(default=None, hash=False)


@frozen
class HangupResult(Record):
    """How a call stands after a hang-up.

    Attributes:
        id: The call.
        status: Its status as the service tells it; None where the answer does not say.
        hangup_cause: Why it ended, where the answer says so.
    """

    id: str
    status: CallStatus | str | None = None
    hangup_cause: HangupCause | str | None = None

    def __hash__(self) -> int:
        return hash(self.id)


@frozen
class RecordingLink(Record):
    """A presigned link to a recording.

    Attributes:
        url: Where the MP3 is, to be sent byte for byte; None where the service gave none.
        expires_at: When the link stops working, UTC.
        duration_seconds: Length of the recording.
        format: ``mp3``.
        size_bytes: Size of the file.
    """

    _wire_names: ClassVar[frozenset[str]] = frozenset({"recording_url"})

    url: str | None = field(default=None, repr=_repr_link)
    expires_at: datetime | None = None
    duration_seconds: float | None = None
    format: str | None = None
    size_bytes: int | None = None


@frozen
class Download:
    """A recording that stands whole under its name.

    Attributes:
        path: The file.
        size_bytes: Its size.
        resumed_bytes: How many of its bytes an earlier attempt had brought.
        sha256: Hexadecimal digest of the file.
        suspect: None, or in a word what is odd about a whole file: ``duration``.
    """

    path: Path
    size_bytes: int
    resumed_bytes: int
    sha256: str
    suspect: str | None = None
