"""The history behind every world: one call in each slot of an endless timeline, made from the slot's number.

A world only cuts a piece out of it, so that a call is the same call in every world of the same seed: run the
sandbox again tomorrow, and it shows yesterday's calls and a few new ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Literal

from krosai_calls.sandbox.dice import Dice, scramble, unscramble
from krosai_calls.sandbox.places import PLACES, Place

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
SHORTEST_CALL_SECONDS = 4

# Sixteen completed of twenty; the others in the proportions of a busy line.
_STATUSES = ("completed",) * 16 + ("failed", "busy", "no_answer", "no_answer")
_CAUSES = {
    "completed": ("normal_clearing",) * 5 + ("user_hangup",) * 4 + ("agent_hangup",) * 2,
    "failed": ("network_error", "network_error", "rejected", "timeout"),
    "busy": ("busy",),
    "no_answer": ("no_answer", "no_answer", "no_answer", "timeout"),
}
_ENDPOINTS = ("ep_shop", "ep_shop", "ep_shop", "ep_clinic", "ep_wallet", "ep_wallet", "ep_stays")
_STAMPS = ("plain",) * 8 + ("fraction", "fraction", "offset")
# How a call's words are kept: with speakers, without, or not at all.
_WORDS = ("labelled",) * 85 + ("unlabelled",) * 8 + ("none",) * 7
_TRANSCRIBING = timedelta(seconds=9)


class Drawn(Enum):
    """Stands where nobody told what it is to be, so that it is made from the call's id."""

    DRAWN = "drawn"


DRAWN: Literal[Drawn.DRAWN] = Drawn.DRAWN


@dataclass(frozen=True, slots=True)
class Call:
    """What there is to know of a call without looking at its words or its sound.

    Attributes:
        id: The service's name for it.
        slot: Its number: its place on the timeline, or a larger one if somebody added it.
        place: Where the business's number is.
        customer_number: The number of the other party, E.164.
        direction: ``inbound`` or ``outbound``, as the business sees it.
        endpoint_id: The agent that spoke, or None.
        status: How it stands or how it ended.
        hangup_cause: Why it ended, or None while it has not.
        created_at: When it began.
        ringing_at: When the other side began to ring, or None before that.
        answered_at: When it was answered, or None.
        completed_at: When it ended, or None.
        duration: Seconds from answer to end.
        stamp: How its times are written: ``plain``, ``fraction`` or ``offset``.
        words: How its transcript is kept: ``labelled``, ``unlabelled`` or ``none``.
        recorded_at: When its recording was ready, or None as long as there is none.
        transcribed_at: When its transcript was ready, or None as long as there is none.
        retained: Whether the recording is still kept.
        transcript: What was said, where somebody told.
        metadata: The caller's own, where somebody told.
        price_cents: What it costs in the end, where somebody told.
        is_recorded: Whether a recording is made, should it be talked to.
    """

    id: str
    slot: int
    place: Place
    customer_number: str
    direction: str
    endpoint_id: str | None
    status: str
    hangup_cause: str | None
    created_at: datetime
    ringing_at: datetime | None
    answered_at: datetime | None
    completed_at: datetime | None
    duration: int
    stamp: str
    words: str
    recorded_at: datetime | None = None
    transcribed_at: datetime | None = None
    retained: bool = True
    transcript: str | Drawn = DRAWN
    metadata: Any = field(default=DRAWN, hash=False)
    price_cents: float | Drawn = DRAWN
    is_recorded: bool = True

    @property
    def has_recording(self) -> bool:
        """Whether there is a recording to be had."""
        return self.recorded_at is not None and self.retained

    @property
    def has_transcript(self) -> bool:
        """Whether the words were written down; they outlive the recording."""
        return self.transcribed_at is not None

    @property
    def cost_cents(self) -> float:
        """The price, once the call has ended: every started minute counts, unless it was told."""
        if self.price_cents is not DRAWN:
            return self.price_cents if self.completed_at is not None else 0
        return -(-self.duration // 60) * self.place.cents_per_minute


def transcribed_after(recorded_at: datetime | None, words: str) -> datetime | None:
    """Tell when a transcript is ready: some seconds after the recording, where there is to be one."""
    return None if recorded_at is None or words == "none" else recorded_at + _TRANSCRIBING


@dataclass(frozen=True, slots=True)
class Timeline:
    """The endless history of one seed.

    Args:
        seed: What everything hangs on.
        spacing: The mean time from one call to the next, in whole seconds and at least two.
        longest_call_seconds: The longest that anyone talks.
    """

    seed: int
    spacing: timedelta
    longest_call_seconds: int

    def begins(self, slot: int) -> datetime:
        """Tell when a slot's call begins: somewhere in the slot, so that no two begin at once."""
        return self._opening(slot)[0]

    def slot_before(self, moment: datetime) -> int:
        """Find the last slot whose call begins before a moment."""
        slot = (moment - EPOCH) // self.spacing
        return slot if self.begins(slot) < moment else slot - 1

    def slot_of(self, call_id: str) -> int | None:
        """Find the slot behind an id; None for what is no id of this timeline."""
        prefix, _, word = call_id.partition("_")
        return unscramble(word, str(self.seed)) if prefix == "call" else None

    def call(self, slot: int) -> Call:
        """Make the slot's call, as it stands when all is over."""
        return self.drawn(slot, *self._opening(slot))

    def drawn(self, slot: int, created_at: datetime, stamp: str) -> Call:
        """Make the call of a number, as it stands when all is over, should it begin at that moment."""
        dice = Dice(self.seed, slot, "call")
        place = dice.pick(PLACES)
        status = dice.pick(_STATUSES)
        ringing_at = created_at + timedelta(seconds=1)
        answered_at = recorded_at = None
        duration = 0
        if status == "completed":
            answered_at = ringing_at + timedelta(seconds=dice.between(2, 14))
            duration = self._duration(dice)
            completed_at = answered_at + timedelta(seconds=duration)
            recorded_at = completed_at + timedelta(seconds=20 + slot % 40)
        else:
            wait = 30 if status == "no_answer" else dice.between(2, 9)
            completed_at = ringing_at + timedelta(seconds=wait)
        # In this order: each draw hangs on those before it.
        customer_number = place.customer_number(dice)
        direction = "inbound" if dice.chance(62) else "outbound"
        endpoint_id = None if dice.chance(4) else dice.pick(_ENDPOINTS)
        hangup_cause, words = dice.pick(_CAUSES[status]), dice.pick(_WORDS)
        return Call(
            id=f"call_{scramble(slot, str(self.seed))}",
            slot=slot,
            place=place,
            customer_number=customer_number,
            direction=direction,
            endpoint_id=endpoint_id,
            status=status,
            hangup_cause=hangup_cause,
            created_at=created_at,
            ringing_at=ringing_at,
            answered_at=answered_at,
            completed_at=completed_at,
            duration=duration,
            stamp=stamp,
            words=words,
            recorded_at=recorded_at,
            transcribed_at=transcribed_after(recorded_at, words),
        )

    def _opening(self, slot: int) -> tuple[datetime, str]:
        dice = Dice(self.seed, slot, "opening")
        stamp = dice.pick(_STAMPS)
        late_ms = dice.below(self.spacing // timedelta(milliseconds=1) - 1000)
        if stamp != "fraction":
            late_ms -= late_ms % 1000  # what is written without a fraction has none
        return EPOCH + slot * self.spacing + timedelta(milliseconds=late_ms), stamp

    def _duration(self, dice: Dice) -> int:
        # The longer of two draws: most calls have something to say, some are over at once.
        span = self.longest_call_seconds - SHORTEST_CALL_SECONDS + 1
        return SHORTEST_CALL_SECONDS + max(dice.below(span), dice.below(span))
