"""When a hang-up is done, and when nobody knows. Pure."""

from __future__ import annotations

from krosai_calls._retry import UNTOUCHED_STATUSES
from krosai_calls.errors import ConnectionFailedError, DecodeError, HangupUncertainError, KrosaiError, ServerError
from krosai_calls.models import Call, HangupResult


def may_have_been_done(failed: KrosaiError) -> bool:
    """Whether a hang-up that failed like this may have ended the call all the same.

    Args:
        failed: The error of the last attempt.
    """
    match failed:
        case ConnectionFailedError():
            return failed.sent
        case ServerError():
            return failed.status not in UNTOUCHED_STATUSES
        case _:
            return isinstance(failed, DecodeError)  # an answer came, and it was a success


def result_after_doubt(call_id: str, call: Call | None) -> HangupResult:
    """What a hang-up came to whose answer was lost.

    Args:
        call_id: The call.
        call: How it stands now, or None where that could not be learnt either.

    Raises:
        HangupUncertainError: The call goes on as far as is known: the order may be lost, or still under way.
    """
    if call is None:
        raise HangupUncertainError(
            f"the hang-up of call {call_id} was sent, no answer came, and how the call stands could not be learnt:"
            " look with get_call before you repeat it",
            call_id=call_id,
        )
    if not call.has_ended:
        raise HangupUncertainError(
            f"the hang-up of call {call_id} was sent, no answer came, and the call still goes on ({call.status}):"
            " look again in a moment, or repeat it",
            call_id=call_id,
        )
    return HangupResult(call.id, call.status, call.hangup_cause)
