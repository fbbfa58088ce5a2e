"""When a hang-up is done, when to look how the call stands, and when nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from krosai_calls import errors
from krosai_calls._hangup import Step, leaves_doubt, step_after, step_after_look, uncertain
from krosai_calls.errors import KrosaiError
from krosai_calls.models import Call, HangupResult

NOT_LEARNT = errors.ServerError(status=500)
LIVE = Call("call_1", status="in_progress")
ENDED = Call("call_1", status="completed", hangup_cause="agent_hangup")


def not_connected() -> errors.ConnectionFailedError:
    error = errors.ConnectionFailedError("refused")
    error.sent = False
    return error


def conflict(*, attempts: int) -> errors.ConflictError:
    error = errors.ConflictError(status=409)
    error.attempts = attempts
    return error


@pytest.mark.parametrize(
    ("failed", "first", "in_doubt"),
    [
        pytest.param(errors.ConnectionFailedError("reset"), Step.LOOK, Step.LOOK, id="the connection was lost"),
        pytest.param(errors.RequestTimeoutError("slow"), Step.LOOK, Step.LOOK, id="no answer in time"),
        pytest.param(not_connected(), Step.RAISE, Step.LOOK, id="no connection"),
        pytest.param(errors.ServerError(status=500), Step.LOOK, Step.LOOK, id="500"),
        pytest.param(errors.ServerError(status=502), Step.LOOK, Step.LOOK, id="502"),
        pytest.param(errors.ServerError(status=504), Step.LOOK, Step.LOOK, id="504"),
        pytest.param(errors.ApiError(status=408), Step.LOOK, Step.LOOK, id="408"),
        pytest.param(errors.ServerError(status=503), Step.RAISE, Step.LOOK, id="503 did nothing"),
        pytest.param(errors.RateLimitedError(status=429), Step.RAISE, Step.LOOK, id="429 did nothing"),
        pytest.param(errors.DecodeError("HTML"), Step.LOOK, Step.LOOK, id="an answer that cannot be read"),
        pytest.param(errors.BadRequestError(status=400), Step.RAISE, Step.LOOK, id="400"),
        pytest.param(errors.NotFoundError(status=404), Step.RAISE, Step.LOOK, id="404"),
        pytest.param(conflict(attempts=1), Step.RAISE, Step.LOOK, id="409"),
        pytest.param(conflict(attempts=2), Step.LOOK, Step.LOOK, id="409 after an attempt that was refused"),
        pytest.param(errors.ClientStateError("closed"), Step.RAISE, Step.RAISE, id="a closed client"),
    ],
)
def test_what_follows_a_failed_order_depends_on_whether_one_may_have_been_carried_out(
    failed: KrosaiError, first: Step, in_doubt: Step
) -> None:
    assert step_after(failed, in_doubt=False) is first
    assert step_after(failed, in_doubt=True) is in_doubt


@pytest.mark.parametrize(
    "failed",
    [
        pytest.param(errors.ConnectionFailedError("reset"), id="the connection was lost"),
        pytest.param(errors.RequestTimeoutError("slow"), id="no answer in time"),
        pytest.param(errors.ServerError(status=500), id="500"),
        pytest.param(errors.DecodeError("HTML"), id="an answer that cannot be read"),
    ],
)
def test_an_order_that_was_sent_and_lost_leaves_doubt(failed: KrosaiError) -> None:
    assert leaves_doubt(failed)


@pytest.mark.parametrize(
    "failed",
    [
        pytest.param(not_connected(), id="no connection"),
        pytest.param(errors.ServerError(status=503), id="503"),
        pytest.param(errors.RateLimitedError(status=429), id="429"),
        pytest.param(errors.AuthenticationError(status=401), id="401"),
        pytest.param(errors.NotFoundError(status=404), id="404"),
        pytest.param(conflict(attempts=1), id="409"),
        pytest.param(conflict(attempts=2), id="409 after another attempt"),
    ],
)
def test_an_order_that_was_refused_or_never_sent_leaves_none(failed: KrosaiError) -> None:
    assert not leaves_doubt(failed)


FAILED = [
    pytest.param(errors.ConnectionFailedError("reset"), id="the connection was lost"),
    pytest.param(errors.ServerError(status=500), id="500"),
    pytest.param(errors.NotFoundError(status=404), id="404"),
    pytest.param(conflict(attempts=2), id="409"),
]


@pytest.mark.parametrize("failed", FAILED)
@pytest.mark.parametrize(
    "call",
    [
        pytest.param(ENDED, id="completed"),
        pytest.param(Call("call_1", status="busy"), id="it never connected"),
        pytest.param(Call("call_1", status="moved", completed_at=datetime(2025, 1, 1, tzinfo=UTC)), id="unknown"),
    ],
)
def test_a_call_that_is_over_was_hung_up(failed: KrosaiError, call: Call) -> None:
    assert step_after_look("call_1", failed, call) == HangupResult("call_1", call.status, call.hangup_cause)


@pytest.mark.parametrize("failed", [errors.ConnectionFailedError("reset"), errors.ServerError(status=500)])
@pytest.mark.parametrize("seen", [NOT_LEARNT, LIVE, Call("call_1", status="parked"), Call("call_1")])
def test_an_order_that_was_lost_is_repeated(failed: KrosaiError, seen: Call | KrosaiError) -> None:
    assert step_after_look("call_1", failed, seen) is Step.REPEAT


@pytest.mark.parametrize("failed", [errors.BadRequestError(status=400), errors.NotFoundError(status=404)])
def test_a_refusal_is_told_only_where_the_look_confirms_it(failed: KrosaiError) -> None:
    assert step_after_look("call_1", failed, errors.NotFoundError(status=404)) is Step.RAISE
    assert step_after_look("call_1", failed, NOT_LEARNT) is Step.REPEAT


@pytest.mark.parametrize("failed", [errors.BadRequestError(status=400), errors.NotFoundError(status=404)])
def test_a_refusal_of_a_call_that_goes_on_is_told(failed: KrosaiError) -> None:
    assert step_after_look("call_1", failed, LIVE) is Step.RAISE


@pytest.mark.parametrize("seen", [NOT_LEARNT, LIVE])
def test_a_conflict_after_an_earlier_attempt_says_itself_that_the_call_has_ended(seen: Call | KrosaiError) -> None:
    assert step_after_look("call_1", conflict(attempts=2), seen) == HangupResult("call_1")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        pytest.param(None, "could not be learnt", id="how it stands could not be learnt"),
        pytest.param(LIVE, r"still goes on \(in_progress\)", id="it goes on"),
        pytest.param(Call("call_1", status="parked"), r"still goes on \(parked\)", id="an unknown status"),
        pytest.param(Call("call_1"), "still goes on", id="no status"),
    ],
)
def test_otherwise_nobody_knows(call: Call | None, words: str) -> None:
    error = uncertain("call_1", call)
    with pytest.raises(errors.HangupUncertainError, match=words):
        raise error
    assert error.call_id == "call_1"
    assert "call call_1 " in str(error)


def test_the_services_words_drive_no_terminal() -> None:
    error = uncertain("call_1", Call("call_1", status="\x1b]0;owned\x07\u202e"))
    assert not set(str(error)) & {"\x1b", "\x07", "\u202e"}
