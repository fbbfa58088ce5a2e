"""Whether a call's recording or transcript is there, may still come, or never will. Pure."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto

from krosai_calls.errors import DownloadError, RecordingGoneError, RecordingNotReadyError
from krosai_calls.models import FINAL_STATUSES, Call, CallStatus, has_status

# Recordings and transcripts appear some time after a call has ended; what is not there after a day is not coming.
STILL_COMING = timedelta(hours=24)
# How long recordings are kept unless the account says otherwise (the service's documents).
RETENTION = timedelta(days=90)
RETENTION_WARNING = timedelta(days=7)
_LIVE = frozenset(CallStatus) - FINAL_STATUSES
_NEVER_CONNECTED = frozenset({CallStatus.FAILED, CallStatus.BUSY, CallStatus.NO_ANSWER})


class Prospect(Enum):
    """What can be expected of something that a call may leave behind."""

    READY = auto()  # it is there
    PENDING = auto()  # it may still come
    GONE = auto()  # it was there, or could have been, and is no more
    NEVER = auto()  # the call did not connect: there is nothing to be had


class State(StrEnum):
    """How something that a call leaves behind stands in an archive."""

    WANTED = auto()  # to be fetched
    SAVED = auto()
    PENDING = auto()  # it may still appear
    GONE = auto()  # it was there, or could have been, and is no more
    FAILED = auto()  # to be fetched again


def next_state(prospect: Prospect, was: State | None, *, is_old: bool = False) -> State | None:
    """How something stands after another look at its call; None for what there is nothing of.

    Args:
        prospect: What can be expected of it now.
        was: How it stood before; None for not at all.
        is_old: Whether what is known of it is out of date: what was saved has changed or is not there any more,
            what was gone has come again.
    """
    if was is State.SAVED and (not is_old or prospect is not Prospect.READY):
        return was  # an archive keeps what the service has deleted
    if was is State.GONE and prospect is Prospect.READY and not is_old:
        return was  # a link may outlive what it led to
    match prospect:
        case Prospect.READY:
            return State.FAILED if was is State.FAILED and not is_old else State.WANTED
        case Prospect.PENDING:
            return State.PENDING
        case Prospect.GONE:
            return State.GONE
        case _:
            return None


def recording_prospect(call: Call, now: datetime, still_coming: timedelta = STILL_COMING) -> Prospect:
    """What can be expected of a call's recording.

    Args:
        call: The call as last seen.
        now: The present, aware.
        still_coming: For how long after the call it may still appear.
    """
    return Prospect.READY if call.has_recording else _prospect(call, now, still_coming)


def transcript_prospect(call: Call, now: datetime, still_coming: timedelta = STILL_COMING) -> Prospect:
    """What can be expected of a call's transcript; while the call goes on it may still grow.

    Args:
        call: The call as last seen.
        now: The present, aware.
        still_coming: For how long after the call it may still appear.
    """
    is_there = call.transcript and not has_status(call, _LIVE)
    return Prospect.READY if is_there else _prospect(call, now, still_coming)


def _prospect(call: Call, now: datetime, still_coming: timedelta = STILL_COMING) -> Prospect:
    if not call.has_ended:
        return Prospect.PENDING
    if has_status(call, _NEVER_CONNECTED):
        return Prospect.NEVER
    ended = call.completed_at or call.created_at
    return Prospect.PENDING if ended is None or now - ended < still_coming else Prospect.GONE


def urgency(call: Call, now: datetime) -> float:
    """What is the lower the sooner a call's recording will be gone; infinite for those that have time.

    Args:
        call: The call as last seen.
        now: The present, aware.
    """
    if call.created_at is None:
        return math.inf
    left = RETENTION - (now - call.created_at)
    return left.total_seconds() if left <= RETENTION_WARNING else math.inf


def no_recording(call: Call, now: datetime) -> DownloadError:
    """The error that tells why there is no recording of a call.

    Args:
        call: The call as last seen, without a link.
        now: The present, aware.
    """
    match _prospect(call, now):
        case Prospect.PENDING if not call.has_ended:
            return RecordingNotReadyError(
                f"call {call.id} is still going on: it has no recording yet", call_id=call.id
            )
        case Prospect.PENDING:
            return RecordingNotReadyError(
                f"call {call.id} has just ended: its recording may still appear", call_id=call.id
            )
        case Prospect.NEVER:
            return RecordingGoneError(
                f"call {call.id} did not connect ({call.status}): it has no recording", call_id=call.id
            )
        case _:
            return RecordingGoneError(
                f"the recording of call {call.id} is past its retention, or there never was one", call_id=call.id
            )
