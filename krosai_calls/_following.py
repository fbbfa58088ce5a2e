"""Following a call that goes on: which of its events are new, what to ask next, and when it is over. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable
from enum import Enum, auto

from krosai_calls.errors import RequestTimeoutError
from krosai_calls.models import Call, CallEvent

# What tells that a call is over, said with or without "call." before it; its status tells the same.
_LAST_EVENTS = frozenset({"completed", "failed", "ended", "busy", "no_answer"})
# The names of events are no promise. So after so many looks without anything new the call itself is asked for.
QUIET_LOOKS = 5
# The list of events may lag behind the call: looks at it after a call has ended under our eyes.
_LOOKS_AFTER_THE_END = 2
# A call has a few dozen events. Where a service gives ever new ones, what it does not repeat is forgotten.
MOST_REMEMBERED = 100_000
_LAST_LOOK_SECONDS = 1.0
# Timers go off by another clock than the one that is read.
_CLOCK_SLACK_SECONDS = 0.05


class Step(Enum):
    """What comes next for whoever watches a call."""

    EVENTS = auto()  # ask for its events
    CALL = auto()  # ask how it stands
    WAIT = auto()  # then ask for its events
    OVER = auto()


class Following:
    """One call that is watched.

    Attributes:
        step: What comes next.
    """

    def __init__(self) -> None:
        self.step = Step.EVENTS
        self._seen: set[Hashable] = set()
        self._quiet_looks = 0
        self._was_seen_live = False
        self._looks_left: int | None = None  # None while the call goes on

    def take_events(self, events: Iterable[CallEvent]) -> list[CallEvent]:
        """Take in the call's events; gives those that were not there before."""
        named = _named(events)
        new = [event for name, event in named.items() if name not in self._seen]
        self._seen |= named.keys()
        if len(self._seen) > MOST_REMEMBERED:
            self._seen = set(named)
        self._quiet_looks = 0 if new else self._quiet_looks + 1
        self.step = self._after_events(is_told_over=any(map(_is_last, named.values())))
        return new

    def take_call(self, call: Call) -> None:
        """Take in how the call stands."""
        if not call.has_ended:
            self._was_seen_live, self._quiet_looks = True, 0
            self.step = Step.WAIT
            return
        # Its last events may have come since they were asked for.
        self._looks_left = _LOOKS_AFTER_THE_END if self._was_seen_live else 1
        self.step = Step.EVENTS

    def waited(self) -> None:
        """Take note that the wait is over."""
        self.step = Step.EVENTS

    def _after_events(self, *, is_told_over: bool) -> Step:
        if is_told_over:
            return Step.OVER
        if self._looks_left is not None:
            self._looks_left -= 1
            return Step.WAIT if self._looks_left else Step.OVER
        if not self._was_seen_live or self._quiet_looks >= QUIET_LOOKS:
            return Step.CALL
        return Step.WAIT


def _named(events: Iterable[CallEvent]) -> dict[Hashable, CallEvent]:
    """Each event by what makes it one: its id, or all that is said of it and how often it was said before."""
    named: dict[Hashable, CallEvent] = {}
    same: Counter[str] = Counter()
    for event in events:
        if event.id is not None:
            named.setdefault(event.id, event)
            continue
        said = json.dumps(event.to_dict(), sort_keys=True)
        same[said] += 1
        named[said, same[said]] = event
    return named


def _is_last(event: CallEvent) -> bool:
    return isinstance(event.type, str) and event.type.removeprefix("call.") in _LAST_EVENTS


def next_wait(poll_seconds: float, seconds_left: float) -> float:
    """How long to wait until the next look, or until the end where there is no time for one.

    The last look comes a little before the end: one that begins at it has no time for an answer.
    """
    for_an_answer = min(poll_seconds, _LAST_LOOK_SECONDS)
    if seconds_left <= for_an_answer:
        return max(0.0, seconds_left)
    return min(poll_seconds, seconds_left - for_an_answer)


def is_too_late(seconds_left: float) -> bool:
    """Whether an exchange that took too long did so for the end of the wait, and not for its own limit."""
    return seconds_left < _CLOCK_SLACK_SECONDS


def not_ended_in_time(call_id: str, timeout_seconds: float, seen: Call | None) -> RequestTimeoutError:
    """The error that says that a call goes on.

    Args:
        call_id: The call.
        timeout_seconds: How long was waited.
        seen: How it was last seen, if it was.
    """
    state = "no answer told how it stands" if seen is None else f"it is {seen.status or 'going on'}"
    return RequestTimeoutError(f"call {call_id} did not end within {timeout_seconds:g} s: {state}")
