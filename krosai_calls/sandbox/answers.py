"""The JSON of the API, built by hand from its contract: what is said of a call, its events and many calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from krosai_calls.sandbox import conversations
from krosai_calls.sandbox.dialect import Dialect
from krosai_calls.sandbox.dice import Dice, token
from krosai_calls.sandbox.timeline import DRAWN, Call

_CAMPAIGNS = ("spring-renewals", "welcome-calls", "delivery-feedback", "payday-offers", "appointment-reminders")
_LANGUAGES = ("en", "en", "en", "pcm", "sw", "fr", "ar")


def call_body(call: Call) -> dict[str, Any]:
    """Say all there is to say of a call, but for its link, which is signed afresh each time."""
    business, customer = call.place.number, call.customer_number
    inbound = call.direction == "inbound"
    return {
        "id": call.id,
        "from_number": customer if inbound else business,
        "to_number": business if inbound else customer,
        "direction": call.direction,
        "status": call.status,
        "duration": call.duration,
        "cost_cents": call.cost_cents,
        "endpoint_id": call.endpoint_id,
        "phone_number_id": call.place.phone_number_id,
        "recording_url": None,
        "transcript": conversations.transcript(call) if call.has_transcript else None,
        "created_at": _written(call, call.created_at),
        "answered_at": _written(call, call.answered_at),
        "completed_at": _written(call, call.completed_at),
        "hangup_cause": call.hangup_cause,
        "metadata": _metadata(call) if call.metadata is DRAWN else call.metadata,
    }


def events_body(call: Call, dialect: Dialect) -> Any:
    """Tell how a call went, oldest first."""
    return dialect.events(
        [
            {
                "id": f"evt_{token(12, call.id, name)}",
                dialect.event_name_key: dialect.event_name(name),
                dialect.event_time_key: _written(call, moment),
                "data": {"call_id": call.id},
            }
            for name, moment in _events(call)
        ]
    )


def stats_body(calls: Iterable[Call]) -> dict[str, Any]:
    """Sum up many calls."""
    by_status: Counter[str] = Counter()
    inbound = duration = 0
    cost_cents: float = 0
    for call in calls:
        by_status[call.status] += 1
        inbound += call.direction == "inbound"
        duration += call.duration
        cost_cents += call.cost_cents
    total = by_status.total()
    return {
        "total_calls": total,
        "completed_calls": by_status["completed"],
        "failed_calls": by_status["failed"],
        "inbound_calls": inbound,
        "outbound_calls": total - inbound,
        "total_duration": duration,
        "average_duration": round(duration / total, 2) if total else 0.0,
        "total_cost_cents": cost_cents,
        "by_status": {status: count for status, count in by_status.most_common() if count},
    }


def _events(call: Call) -> list[tuple[str, datetime]]:
    ending = "call.completed" if call.status == "completed" else "call.failed"
    steps: list[tuple[str, datetime | None]] = [
        ("call.initiated", call.created_at),
        ("call.ringing", call.ringing_at),
        ("call.answered", call.answered_at),
        (ending, call.completed_at),
        ("recording.ready", call.recorded_at),
        ("transcript.ready", call.transcribed_at),
    ]
    return [(name, moment) for name, moment in steps if moment is not None]


def _metadata(call: Call) -> dict[str, Any] | None:
    dice = Dice(call.id, "metadata")
    if dice.chance(55):
        return None
    found: dict[str, Any] = {"order_id": conversations.order_number(call)}
    if call.direction == "outbound":
        found["campaign"] = dice.pick(_CAMPAIGNS)
    if dice.chance(30):
        found["customer"] = {"language": dice.pick(_LANGUAGES), "returning": dice.chance(60)}
    return found


def _written(call: Call, moment: datetime | None) -> str | None:
    if moment is None:
        return None
    if call.stamp == "offset":
        local = timezone(timedelta(hours=call.place.utc_offset_hours))
        return moment.astimezone(local).isoformat(timespec="seconds")
    timespec = "milliseconds" if call.stamp == "fraction" else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"
