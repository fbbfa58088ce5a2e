"""What a test may say of a call that it adds, and the life that follows from it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypedDict

from krosai_calls.errors import SettingsError
from krosai_calls.sandbox import checks
from krosai_calls.sandbox.lives import ANSWERED_AFTER, FINAL_STATUSES, RECORDED_AFTER, RINGS_AFTER, Life
from krosai_calls.sandbox.places import PLACES, Place
from krosai_calls.sandbox.timeline import DRAWN, Call, Timeline, transcribed_after

LONGEST_CALL_SECONDS = 3600
LONGEST_TRANSCRIPT = 1_000_000
USUAL_TALK_SECONDS = 20
HANGUP_CAUSES = (
    "normal_clearing",
    "user_hangup",
    "agent_hangup",
    "no_answer",
    "busy",
    "rejected",
    "network_error",
    "timeout",
)
STATUSES = ("queued", "initiated", "ringing", "answered", "in_progress", *FINAL_STATUSES)
_NOT_ANSWERED_AFTER = timedelta(seconds=10)
_NUMBER = re.compile(r"\+[1-9][0-9]{1,14}")
_Course: TypeAlias = tuple[timedelta | None, timedelta | None, timedelta | None]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:+-]{0,127}")


class CallFields(TypedDict, total=False):
    """What may be said of a call that is added; whatever is not said is drawn from the seed.

    Attributes:
        id: Its id: up to 128 letters, digits and ``._~:+-``; else one of the sandbox's own.
        created_at: When it began, with a time zone and not later than now; else so late that the call is the
            newest.
        status: How it stands, from now on and for good: whatever time passes, only ``end_call`` and a hang-up
            change it. Without one the call begins to live: it rings after 1 second, is answered after 5, and its
            recording is ready 30 seconds after its end, its transcript 9 seconds later.
        direction: ``inbound`` or ``outbound``; else ``inbound``.
        from_number: Who calls, E.164.
        to_number: Who is called, E.164.
        endpoint_id: The agent that speaks, or None.
        phone_number_id: The service's name for the business's number, or None.
        duration: How many seconds a completed call was talked to; else 20.
        cost_cents: What it costs in the end; else every started minute counts.
        hangup_cause: Why it ended.
        transcript: What is said, or None for a call that gets no transcript.
        recorded: Whether a recording is made; else yes.
        metadata: The caller's own, a JSON object or None; else None.
    """

    id: str
    created_at: datetime | str
    status: str
    direction: str
    from_number: str
    to_number: str
    endpoint_id: str | None
    phone_number_id: str | None
    duration: int
    cost_cents: float
    hangup_cause: str
    transcript: str | None
    recorded: bool
    metadata: Mapping[str, Any] | None


def check(fields: CallFields) -> None:
    """Let fields pass that can be right, each by itself and together.

    Raises:
        SettingsError: One of them cannot; it is named.
    """
    for name, value in fields.items():
        if name not in _CHECKS:
            raise SettingsError(f"a call has no {name!r}: it has {', '.join(_CHECKS)}")
        _CHECKS[name](name, value)
    status = fields.get("status", "completed")
    for name in ("transcript", "recorded", "cost_cents"):
        if name in fields and status in FINAL_STATUSES and status != "completed":
            raise SettingsError(f"{name} does not go with {status}: such a call was never talked to")
    if "duration" in fields and status != "completed":
        raise SettingsError(f"duration goes with a call that is completed, not with {status}")
    if "hangup_cause" in fields and status not in FINAL_STATUSES:
        raise SettingsError(f"hangup_cause goes with a call that has ended, not with {status}")


def life_of(fields: CallFields, number: int, timeline: Timeline, *, now: datetime, newest: datetime) -> Life:
    """Make the life of a call that is added.

    Args:
        fields: What is said of it, checked.
        number: Its number.
        timeline: What draws the rest.
        now: What time it is in the history.
        newest: When the newest call so far was created.

    Raises:
        SettingsError: It would begin in the future.
    """
    status, talk = fields.get("status"), _talk_seconds(fields, timeline)
    course = _course(status, timedelta(seconds=talk))
    created_at = _created_at(fields, course if status else (), now, newest)
    ringing_at, answered_at, completed_at = (None if step is None else created_at + step for step in course)
    drawn = _parties(timeline.drawn(number, created_at, "fraction"), fields)
    whole = replace(
        drawn,
        id=fields.get("id", drawn.id),
        status=status or "completed",
        hangup_cause=fields.get("hangup_cause", FINAL_STATUSES.get(status or "completed")),
        ringing_at=ringing_at,
        answered_at=answered_at,
        completed_at=completed_at,
        duration=talk if status in (None, "completed") else 0,
        metadata=json.loads(json.dumps(fields.get("metadata"))),
        price_cents=fields.get("cost_cents", DRAWN),
    )
    return Life(_processed(whole, fields), stands_still=status is not None)


def _processed(call: Call, fields: CallFields) -> Call:
    """Say what the call leaves behind, and when."""
    is_recorded = fields.get("recorded", True)
    words = "none" if "transcript" in fields and fields["transcript"] is None else "labelled"
    processed_at = transcribed_at = None
    if call.status == "completed":
        assert call.completed_at is not None
        processed_at = call.completed_at + RECORDED_AFTER
        transcribed_at = transcribed_after(processed_at, words)
        if "status" in fields:  # told to stand so: then nothing is to come
            processed_at = call.completed_at
            transcribed_at = processed_at if transcribed_at else None
    return replace(
        call,
        words=words,
        transcript=fields.get("transcript") or DRAWN,
        is_recorded=is_recorded,
        recorded_at=processed_at if is_recorded else None,
        transcribed_at=transcribed_at,
    )


def _talk_seconds(fields: CallFields, timeline: Timeline) -> int:
    return fields.get("duration", min(USUAL_TALK_SECONDS, timeline.longest_call_seconds))


def _created_at(fields: CallFields, course: _Course | tuple[()], now: datetime, newest: datetime) -> datetime:
    if "created_at" not in fields:
        # What has come so far has an earlier beginning, as long as the call is the newest all the same.
        so_far = max((step for step in course if step is not None), default=timedelta())
        return _to_the_millisecond(max(now - so_far, newest))
    created_at = _moment(fields["created_at"])
    if created_at > now:
        raise SettingsError(f"created_at must not be later than the sandbox's own time, {now.isoformat()}")
    return _to_the_millisecond(created_at)


def _to_the_millisecond(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)  # as it will be written


def _course(status: str | None, talk: timedelta) -> _Course:
    """Tell how long after its beginning a call rings, is answered and has ended."""
    match status:
        case None | "completed":
            return RINGS_AFTER, ANSWERED_AFTER, ANSWERED_AFTER + talk
        case "answered" | "in_progress":
            return RINGS_AFTER, ANSWERED_AFTER, None
        case "ringing":
            return RINGS_AFTER, None, None
        case "queued" | "initiated":
            return None, None, None
        case _:
            return RINGS_AFTER, None, _NOT_ANSWERED_AFTER


def _parties(drawn: Call, fields: CallFields) -> Call:
    """Say who talks to whom, and through which of the business's numbers."""
    direction = fields.get("direction", "inbound")
    ours, theirs = ("to_number", "from_number") if direction == "inbound" else ("from_number", "to_number")
    given: Mapping[str, Any] = fields
    place = drawn.place
    if "phone_number_id" in fields:
        place = _place_of(fields["phone_number_id"], place)
    if ours in given:
        place = replace(place, number=given[ours])
    return replace(
        drawn,
        place=place,
        direction=direction,
        customer_number=given.get(theirs, drawn.customer_number),
        endpoint_id=fields.get("endpoint_id", drawn.endpoint_id),
    )


def _place_of(phone_number_id: str | None, otherwise: Place) -> Place:
    known = {place.phone_number_id: place for place in PLACES}
    return known.get(phone_number_id) or replace(otherwise, phone_number_id=phone_number_id)


def _moment(given: datetime | str) -> datetime:
    moment = given if isinstance(given, datetime) else datetime.fromisoformat(given)
    return moment.astimezone(UTC)


def _check_moment(name: str, value: Any) -> None:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        fits = moment.tzinfo is not None and moment.astimezone(UTC).year > 1
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        raise SettingsError(f"{name} must be a datetime or an ISO 8601 text, with a time zone: {value!r}")


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[str, Any], None]:
    def check_text(name: str, value: Any) -> None:
        if not isinstance(value, str) or pattern.fullmatch(value) is None or value == "stats":
            raise SettingsError(f"{name} must be {what}: {value!r}")

    return check_text


def _check_metadata(name: str, value: Any) -> None:
    try:
        fits = value is None or (isinstance(value, Mapping) and bool(json.dumps(dict(value), allow_nan=False)))
    except (TypeError, ValueError, RecursionError):
        fits = False
    if not fits:
        raise SettingsError(f"{name} must be a mapping that JSON can hold, or None: {value!r}")


def _text_or_none(longest: int) -> Callable[[str, Any], None]:
    def check_text(name: str, value: Any) -> None:
        if value is not None and not (isinstance(value, str) and 0 < len(value) <= longest):
            raise SettingsError(f"{name} must be a text of 1 to {longest:,} characters, or None")

    return check_text


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "id": _matching(_ID, "1 to 128 letters, digits and ._~:+-, and not 'stats'"),
    "created_at": _check_moment,
    "status": lambda name, value: checks.one_of(name, value, STATUSES),
    "direction": lambda name, value: checks.one_of(name, value, ("inbound", "outbound")),
    "from_number": _matching(_NUMBER, "an E.164 number such as +2348035550101"),
    "to_number": _matching(_NUMBER, "an E.164 number such as +2348035550101"),
    "endpoint_id": _text_or_none(200),
    "phone_number_id": _text_or_none(200),
    "duration": lambda name, value: checks.whole(name, value, 0, LONGEST_CALL_SECONDS),
    "cost_cents": lambda name, value: checks.number(name, value, 0, 1e9),
    "hangup_cause": lambda name, value: checks.one_of(name, value, HANGUP_CAUSES),
    "transcript": _text_or_none(LONGEST_TRANSCRIPT),
    "recorded": checks.flag,
    "metadata": _check_metadata,
}
