"""What the service's documents leave open or tell in two ways: how this sandbox does it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_type_hints

from krosai_calls.errors import SettingsError

_OTHER_EVENT_NAMES = {
    "call.initiated": "call.started",
    "call.completed": "call.ended",
    "call.failed": "call.ended",
    "recording.ready": "call.recording.completed",
    "transcript.ready": "transcription.completed",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the sandbox speaks where the documents are silent or disagree. The defaults are what is most likely.

    Attributes:
        order: In which order calls are listed.
        date_bounds: Whether ``from_date`` and ``to_date`` belong to what they bound: both (``inclusive``), neither
            (``exclusive``), or the first alone (``half_open``). A ``to_date`` without a time means the end of the
            day where it belongs to it, and else its beginning.
        envelope: Under which name a page's calls stand.
        total: Whether a page tells how many calls there are in all.
        events_envelope: Under which name a call's events stand; ``list`` for a bare list.
        event_names: How events are called: ``documented`` as in ``call.completed`` and ``recording.ready``;
            ``unprefixed`` as in ``completed``; ``other_pages`` as in ``call.ended``.
        event_name_key: Under which name an event's name stands.
        event_time_key: Under which name its time stands.
        hangup_answer: What a hang-up is answered with: the whole ``call``; its id, status and cause (``brief``);
            ``{"success": true, …}``; or nothing, with a 204 (``empty``).
        ended_call_status: How the hang-up of a call that has ended is refused.
        expired_link_status: How a link that has expired is refused.

    Raises:
        SettingsError: A value is none of those that are possible.
    """

    order: Literal["newest_first", "oldest_first"] = "newest_first"
    date_bounds: Literal["inclusive", "exclusive", "half_open"] = "inclusive"
    envelope: Literal["calls", "data"] = "calls"
    total: bool = True
    events_envelope: Literal["events", "data", "list"] = "events"
    event_names: Literal["documented", "unprefixed", "other_pages"] = "documented"
    event_name_key: Literal["event", "type"] = "event"
    event_time_key: Literal["timestamp", "created_at"] = "timestamp"
    hangup_answer: Literal["call", "brief", "success", "empty"] = "call"
    ended_call_status: Literal[400, 404, 409] = 409
    expired_link_status: Literal[401, 403, 410] = 403

    def __post_init__(self) -> None:
        hints = get_type_hints(Dialect)
        for field in fields(self):
            value = getattr(self, field.name)
            possible: tuple[Any, ...] = get_args(hints[field.name]) or (True, False)
            if type(value) is not type(possible[0]) or value not in possible:
                raise SettingsError(f"{field.name} must be one of {', '.join(map(repr, possible))}: {value!r}")

    @property
    def from_is_inclusive(self) -> bool:
        """Whether ``from_date`` itself belongs to what it bounds."""
        return self.date_bounds != "exclusive"

    @property
    def to_is_inclusive(self) -> bool:
        """Whether ``to_date`` itself belongs to what it bounds."""
        return self.date_bounds == "inclusive"

    def event_name(self, documented: str) -> str:
        """Give an event's name as it is told here."""
        if self.event_names == "unprefixed":
            return documented.removeprefix("call.")
        return _OTHER_EVENT_NAMES.get(documented, documented) if self.event_names == "other_pages" else documented

    def page(self, calls: list[dict[str, Any]], total: int, limit: int, offset: int) -> dict[str, Any]:
        """Wrap up a page of calls."""
        told = {"total": total} if self.total else {}
        return {self.envelope: calls, **told, "limit": limit, "offset": offset}

    def events(self, events: list[dict[str, Any]]) -> Any:
        """Wrap up a call's events."""
        return events if self.events_envelope == "list" else {self.events_envelope: events}

    def hung_up(self, call: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        """Give the status and body of the answer to a hang-up."""
        match self.hangup_answer:
            case "call":
                return 200, call
            case "brief":
                return 200, {name: call[name] for name in ("id", "status", "hangup_cause")}
            case "success":
                return 200, {"success": True, "message": "The call has been ended."}
            case "empty":
                return 204, None
