"""When a hang-up is done, and when nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from krosai_calls import errors
from krosai_calls._hangup import may_have_been_done, result_after_doubt
from krosai_calls.errors import HangupUncertainError, KrosaiError
from krosai_calls.models import Call, HangupResult


def not_connected() -> errors.ConnectionFailedError:
    error = errors.ConnectionFailedError("refused")
    error.sent = False
    return error


@pytest.mark.parametrize(
    ("failed", "doubtful"),
    [
        pytest.param(errors.ConnectionFailedError("reset"), True, id="the connection was lost"),
        pytest.param(errors.RequestTimeoutError("slow"), True, id="no answer in time"),
        pytest.param(not_connected(), False, id="no connection"),
        pytest.param(errors.ServerError(status=500), True, id="500"),
        pytest.param(errors.ServerError(status=502), True, id="502"),
        pytest.param(errors.ServerError(status=504), True, id="504"),
        pytest.param(errors.ServerError(status=503), False, id="503 did nothing"),
        pytest.param(errors.RateLimitedError(status=429), False, id="429 did nothing"),
        pytest.param(errors.DecodeError("HTML"), True, id="an answer that cannot be read"),
        pytest.param(errors.BadRequestError(status=400), False, id="400"),
        pytest.param(errors.AuthenticationError(status=401), False, id="401"),
        pytest.param(errors.NotFoundError(status=404), False, id="404"),
        pytest.param(errors.ConflictError(status=409), False, id="409"),
        pytest.param(errors.ClientStateError("closed"), False, id="a closed client"),
        pytest.param(errors.RequestBudgetExceededError("used up"), False, id="the budget is used up"),
    ],
)
def test_a_failed_hang_up_may_have_ended_the_call(failed: KrosaiError, doubtful: bool) -> None:
    assert may_have_been_done(failed) is doubtful


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(Call("call_1", status="completed", hangup_cause="agent_hangup"), id="completed"),
        pytest.param(Call("call_1", status="busy"), id="it never connected"),
        pytest.param(Call("call_1", status="moved", completed_at=datetime(2025, 1, 1, tzinfo=UTC)), id="unknown"),
    ],
)
def test_a_call_that_is_over_was_hung_up(call: Call) -> None:
    assert result_after_doubt("call_1", call) == HangupResult("call_1", call.status, call.hangup_cause)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        pytest.param(None, "could not be learnt", id="how it stands could not be learnt"),
        pytest.param(Call("call_1", status="in_progress"), r"still goes on \(in_progress\)", id="it goes on"),
        pytest.param(Call("call_1", status="parked"), r"still goes on \(parked\)", id="an unknown status"),
        pytest.param(Call("call_1"), "still goes on", id="no status"),
    ],
)
def test_otherwise_nobody_knows(call: Call | None, words: str) -> None:
    with pytest.raises(HangupUncertainError, match=words) as caught:
        result_after_doubt("call_1", call)
    assert caught.value.call_id == "call_1"
    assert "call call_1 " in str(caught.value)


def test_the_services_words_drive_no_terminal() -> None:
    with pytest.raises(HangupUncertainError) as caught:
        result_after_doubt("call_1", Call("call_1", status="\x1b]0;owned\x07\u202e"))
    assert not set(str(caught.value)) & {"\x1b", "\x07", "\u202e"}
