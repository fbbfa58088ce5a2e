"""How a call lives: it rings, is answered, talks and ends, and later its recording and transcript appear. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from krosai_calls.sandbox.timeline import Call, Timeline, transcribed_after

RETENTION = timedelta(days=90)
# How the newest calls stand at first, from the very newest on.
LIVE_STATUSES = ("initiated", "ringing", "in_progress")
# How a call ends, and what is told of the cause where nobody says another.
FINAL_STATUSES = {
    "completed": "normal_clearing",
    "failed": "network_error",
    "busy": "busy",
    "no_answer": "no_answer",
}

RINGS_AFTER = timedelta(seconds=1)
ANSWERED_AFTER = timedelta(seconds=5)
RECORDED_AFTER = timedelta(seconds=30)
_TALKED_ALREADY = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Life:
    """A call that does not stand as the timeline has it.

    Attributes:
        whole: The call as it stands when all is over, or for ever.
        stands_still: Whether that is how it stands at any moment, whatever its times say.
    """

    whole: Call
    stands_still: bool = False

    def at(self, moment: datetime) -> Call:
        """Give the call as it stands at a moment."""
        return self.whole if self.stands_still else as_it_stands(self.whole, moment)

    def turn_after(self, moment: datetime) -> datetime | None:
        """Tell when it will next stand otherwise; None for never."""
        if self.stands_still:
            return None
        call = self.whole
        turns = (call.ringing_at, call.answered_at, call.completed_at, call.recorded_at, call.transcribed_at)
        return min((turn for turn in turns if turn is not None and turn > moment), default=None)


def as_it_stands(whole: Call, moment: datetime) -> Call:
    """Give a call as it stands at a moment of its life: what is still to come is not told yet."""
    assert whole.completed_at is not None

    def reached(turn: datetime | None) -> datetime | None:
        return turn if turn is not None and turn <= moment else None

    if whole.completed_at <= moment:
        recorded_at, transcribed_at = reached(whole.recorded_at), reached(whole.transcribed_at)
        return replace(whole, recorded_at=recorded_at, transcribed_at=transcribed_at)
    ringing_at, answered_at = reached(whole.ringing_at), reached(whole.answered_at)
    status = "initiated" if ringing_at is None else "ringing" if answered_at is None else "in_progress"
    return replace(
        whole,
        status=status,
        hangup_cause=None,
        ringing_at=ringing_at,
        answered_at=answered_at,
        completed_at=None,
        duration=0,
        recorded_at=None,
        transcribed_at=None,
    )


def retained(call: Call, moment: datetime) -> Call:
    """Give a call with or without its recording, as retention has it."""
    return call if moment - call.created_at <= RETENTION else replace(call, retained=False)


def ended(call: Call, at: datetime, status: str, hangup_cause: str) -> Life:
    """End a live call. What it leaves behind is ready some time later."""
    since = call.answered_at or max(at, call.created_at)
    # In whole seconds, so that the times agree with the duration.
    talked = max(at - since, timedelta()) // timedelta(seconds=1)
    ended_at = since + timedelta(seconds=talked)
    processed_at = ended_at + RECORDED_AFTER if status == "completed" and call.answered_at is not None else None
    return Life(
        replace(
            call,
            status=status,
            hangup_cause=hangup_cause,
            completed_at=ended_at,
            duration=talked,
            recorded_at=processed_at if call.is_recorded else None,
            transcribed_at=transcribed_after(processed_at, call.words),
        )
    )


def live_at_first(timeline: Timeline, slot: int, status: str, now: datetime) -> Life:
    """Make a live call of a slot: it stands like this at first, and goes on like any other."""
    call = timeline.call(slot)
    now = now.replace(microsecond=0)
    ringing_at = now + RINGS_AFTER if status == "initiated" else call.ringing_at
    # Talked to for seconds only, wherever in its slot it began: hanging up gives a duration as calls have it.
    answered_at = now - _TALKED_ALREADY if status == "in_progress" else now + ANSWERED_AFTER
    longest = timedelta(seconds=timeline.longest_call_seconds)
    completed_at = max(answered_at + longest, now + ANSWERED_AFTER)
    recorded_at = completed_at + RECORDED_AFTER
    return Life(
        replace(
            call,
            status="completed",
            hangup_cause=FINAL_STATUSES["completed"],
            ringing_at=ringing_at,
            answered_at=answered_at,
            completed_at=completed_at,
            duration=(completed_at - answered_at) // timedelta(seconds=1),
            recorded_at=recorded_at,
            transcribed_at=transcribed_after(recorded_at, call.words),
        )
    )


def unprocessed_at_first(timeline: Timeline, slot: int, now: datetime) -> Life:
    """Make a call of a slot that has ended, and whose recording and transcript are to come."""
    call = timeline.call(slot)
    recorded_at = now.replace(microsecond=0) + RECORDED_AFTER
    return Life(replace(call, recorded_at=recorded_at, transcribed_at=transcribed_after(recorded_at, call.words)))
