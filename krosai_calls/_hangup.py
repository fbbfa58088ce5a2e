"""When a hang-up is done, when to look how the call stands, and when nobody knows. Pure.

Ending a call twice changes nothing, but the answer to a repeat differs, and a blind repeat may hide a failure. So
whatever leaves it open whether the order was carried out is followed by a look at the call.
"""

from __future__ import annotations

from enum import Enum, auto

from krosai_calls._retry import UNTOUCHED_STATUSES
from krosai_calls.errors import (
    ApiError,
    BadRequestError,
    ClientStateError,
    ConflictError,
    ConnectionFailedError,
    DecodeError,
    HangupUncertainError,
    KrosaiError,
    NotFoundError,
    ServerError,
)
from krosai_calls.models import Call, HangupResult

# A caller who wants a call to end now is not helped by an answer a minute later.
DEADLINE_SECONDS = 15.0
MOST_ROUNDS = 3


class Step(Enum):
    """What follows a hang-up that was no plain success."""

    RAISE = auto()  # it was refused, and nothing was done
    LOOK = auto()  # the call tells what came of it
    REPEAT = auto()  # the call goes on: the order was lost


def step_after(failed: KrosaiError, *, in_doubt: bool) -> Step:
    """What follows a failed order.

    Args:
        failed: The error of the last attempt.
        in_doubt: Whether an order sent before this one may have been carried out.
    """
    match failed:
        case ConnectionFailedError():
            return Step.LOOK if failed.sent or in_doubt else Step.RAISE
        case ServerError():
            return Step.LOOK if in_doubt or failed.status not in UNTOUCHED_STATUSES else Step.RAISE
        case DecodeError():
            return Step.LOOK  # an answer came, and its status was a success
        case ConflictError():
            # The call has ended: by an earlier attempt of this very verb, or before it was asked for.
            return Step.LOOK if in_doubt or failed.attempts > 1 else Step.RAISE
        case BadRequestError() | NotFoundError():
            return Step.LOOK if in_doubt else Step.RAISE
        case ClientStateError():
            return Step.RAISE
        case ApiError(status=408):
            return Step.LOOK  # the service gave up in the middle
        case _:
            return Step.LOOK if in_doubt else Step.RAISE


def leaves_doubt(failed: KrosaiError) -> bool:
    """Whether the order may have been carried out, although nothing says so."""
    return step_after(failed, in_doubt=False) is Step.LOOK and not isinstance(failed, ConflictError)


def step_after_look(call_id: str, failed: KrosaiError, seen: Call | KrosaiError) -> Step | HangupResult:
    """What follows a look at the call.

    Args:
        call_id: The call.
        failed: What made it necessary.
        seen: How the call stands, or why that could not be learnt.
    """
    if isinstance(seen, Call) and seen.has_ended:
        return HangupResult(seen.id, seen.status, seen.hangup_cause)
    match failed:
        case ConflictError():
            # It says itself that the call has ended; the call's own record may lag behind.
            return HangupResult(call_id)
        case BadRequestError() | NotFoundError() if isinstance(seen, Call | NotFoundError):
            return Step.RAISE
        case _:
            return Step.REPEAT


def uncertain(call_id: str, last_seen: Call | KrosaiError | None, *, attempts: int = 0) -> HangupUncertainError:
    """The error that says that nobody knows.

    Args:
        call_id: The call.
        last_seen: How it was last seen, or why that could not be learnt.
        attempts: How many requests were made.
    """
    seen = "how the call stands could not be learnt"
    if isinstance(last_seen, Call):
        seen = f"the call still goes on ({last_seen.status})"
    error = HangupUncertainError(
        f"the hang-up of call {call_id} was sent, no answer tells what came of it, and {seen}:"
        " look with get_call before you repeat it",
        call_id=call_id,
    )
    error.attempts = attempts
    return error
