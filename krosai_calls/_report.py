"""What an archive run tells: what it has done, and what it foresees."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs
from attrs import field, frozen

# API requests a day, by plan (the service's documents).
DAILY_REQUESTS: Final[Mapping[str, int]] = {"free": 1_000, "pro": 50_000, "business": 500_000}


@frozen
class ArchiveFailure:
    """One thing that a run could not do; the next run tries it again.

    Attributes:
        call_id: The call.
        kind: ``recording``, ``transcript``, ``events``, ``call`` or ``row``.
        reason: Why, in a sentence.
    """

    call_id: str
    kind: str
    reason: str


@frozen(kw_only=True)
class ArchivePlan:
    """What a run would do, estimated from one request and the catalogue.

    Attributes:
        calls: Calls that the catalogue does not have.
        recordings: Recordings to be fetched.
        bytes: Their size, about.
        requests: API requests that this takes, about.
        days: Days that this means on each plan, for its daily limit of requests.
    """

    calls: int
    recordings: int
    bytes: int
    requests: int
    days: Mapping[str, int] = field(init=False)

    @days.default
    def _reckon_days(self) -> Mapping[str, int]:
        return {plan: math.ceil(self.requests / most) for plan, most in DAILY_REQUESTS.items()}


@frozen(kw_only=True)
class ArchiveReport:
    """What a run has done.

    Attributes:
        calls_total: How many calls match in what was listed, as the service says; None where it does not.
        calls_seen: Calls that the service gave in this run: the new ones, and those that may have changed.
        calls_new: Of these, calls that the catalogue did not have.
        calls_updated: Of these, calls that the catalogue had otherwise.
        recordings_saved: Recordings fetched in this run.
        recordings_resumed: Of these, recordings of which an earlier run had brought a part.
        recordings_present: Recordings that were there already.
        recordings_left: Recordings still to be fetched, where the run ended early.
        recordings_pending: Recordings that may still appear: the call goes on, or has just ended.
        recordings_gone: Recordings past their retention, or never made.
        recordings_failed: Recordings that could not be fetched.
        recordings_expiring: Recordings that will be gone within a week, by the usual retention of 90 days, and
            are not saved.
        transcripts_saved: Transcripts written in this run.
        transcripts_present: Transcripts that were there already.
        transcripts_left: Transcripts still to be written, where the run ended early.
        transcripts_pending: Transcripts that may still appear.
        transcripts_missing: Connected calls that have no transcript and get none any more.
        transcripts_failed: Transcripts that could not be written.
        bytes_downloaded: Bytes of the recordings fetched in this run.
        requests: API requests made in this run.
        seconds: How long the run took.
        failures: What could not be done, and why.
        plan: What a dry run foresees; None for any other run.
    """

    calls_total: int | None = None
    calls_seen: int = 0
    calls_new: int = 0
    calls_updated: int = 0
    recordings_saved: int = 0
    recordings_resumed: int = 0
    recordings_present: int = 0
    recordings_left: int = 0
    recordings_pending: int = 0
    recordings_gone: int = 0
    recordings_failed: int = 0
    recordings_expiring: int = 0
    transcripts_saved: int = 0
    transcripts_present: int = 0
    transcripts_left: int = 0
    transcripts_pending: int = 0
    transcripts_missing: int = 0
    transcripts_failed: int = 0
    bytes_downloaded: int = 0
    requests: int = 0
    seconds: float = 0.0
    failures: tuple[ArchiveFailure, ...] = ()
    plan: ArchivePlan | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return attrs.asdict(self)


ArchiveProgress: TypeAlias = Callable[[ArchiveReport], object]
