"""Which failure is worth another attempt, and after how long."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krosai_calls._retry import Failure, FailureKind, RetryBudget, RetryPolicy
from krosai_calls.errors import ApiError, ConnectionFailedError, DecodeError, RateLimitedError, SettingsError

POLICY = RetryPolicy(max_attempts=5, base_delay_seconds=0.5, max_delay_seconds=30.0)


def failed(kind: FailureKind) -> Failure:
    return Failure(kind, ConnectionFailedError("no answer"))


def refused(status: int, retry_after: float | None = None) -> Failure:
    error_class = RateLimitedError if status == 429 else ApiError
    return Failure(FailureKind.REFUSED, error_class(status=status, retry_after=retry_after))


def no_dice() -> float:
    raise AssertionError("nothing is drawn")


def delay(
    failure: Failure,
    *,
    policy: RetryPolicy = POLICY,
    attempt: int = 1,
    is_repeatable: bool = True,
    random: Callable[[], float] = lambda: 0.5,
    time_left: float = math.inf,
) -> float | None:
    return policy.delay_after(
        failure, attempt=attempt, is_repeatable=is_repeatable, random=random, time_left=time_left
    )


@pytest.mark.parametrize(
    ("kind", "repeats_get", "repeats_post"),
    [
        pytest.param(FailureKind.NEVER_SENT, True, True, id="never sent"),
        pytest.param(FailureKind.UNTRUSTED, False, False, id="untrusted"),
        pytest.param(FailureKind.DROPPED, True, False, id="dropped"),
        pytest.param(FailureKind.LOST, True, False, id="lost"),
        pytest.param(FailureKind.TIMED_OUT, True, False, id="timed out"),
        pytest.param(FailureKind.GARBLED, True, False, id="garbled"),
    ],
)
def test_what_may_have_been_done_is_repeated_only_where_that_is_harmless(
    kind: FailureKind, repeats_get: bool, repeats_post: bool
) -> None:
    assert (delay(failed(kind), is_repeatable=True) is not None) is repeats_get
    assert (delay(failed(kind), is_repeatable=False) is not None) is repeats_post


def test_what_is_garbled_is_asked_for_once_more_and_no_oftener() -> None:
    garbled = Failure(FailureKind.GARBLED, DecodeError("no JSON"))
    assert delay(garbled, attempt=1) is not None
    assert delay(garbled, attempt=2) is None


@pytest.mark.parametrize(
    ("status", "repeats_get", "repeats_post"),
    [
        *((status, False, False) for status in (302, 400, 401, 402, 403, 404, 409, 410, 422, 501, 505, 999)),
        *((status, True, False) for status in (408, 425, 500, 502, 504)),
        *((status, True, True) for status in (429, 503)),
    ],
)
def test_a_status_says_whether_asking_again_can_help(status: int, repeats_get: bool, repeats_post: bool) -> None:
    assert (delay(refused(status), is_repeatable=True) is not None) is repeats_get
    assert (delay(refused(status), is_repeatable=False) is not None) is repeats_post


def test_a_refusal_without_a_status_is_told() -> None:
    assert delay(Failure(FailureKind.REFUSED, ConnectionFailedError("odd"))) is None


@pytest.mark.parametrize("max_attempts", [1, 2, 5])
def test_there_are_so_many_attempts_and_no_more(max_attempts: int) -> None:
    policy = RetryPolicy(max_attempts=max_attempts)
    waits = [delay(failed(FailureKind.LOST), policy=policy, attempt=attempt) for attempt in range(1, 8)]
    assert [wait is not None for wait in waits] == [attempt < max_attempts for attempt in range(1, 8)]


@pytest.mark.parametrize("seconds", [0.0, 0.25, 1.5, 59.999, 60.0])
@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_is_honoured_exactly_whatever_the_policy_would_draw(status: int, seconds: float) -> None:
    policy = RetryPolicy(base_delay_seconds=0.001, max_delay_seconds=0.001)
    assert delay(refused(status, seconds), policy=policy, random=no_dice) == seconds
    assert delay(refused(status, seconds), policy=policy, is_repeatable=False, random=no_dice) == seconds


@pytest.mark.parametrize("seconds", [60.001, 3600.0, 999999999.0])
def test_a_retry_after_of_more_than_a_minute_is_told_and_not_slept(seconds: float) -> None:
    assert delay(refused(429, seconds)) is None


def test_a_retry_after_makes_nothing_worth_repeating_that_is_not() -> None:
    assert delay(refused(404, 1.0)) is None
    assert delay(refused(500, 1.0), is_repeatable=False) is None
    assert delay(refused(429, 1.0), attempt=5) is None


@pytest.mark.parametrize(
    ("attempt", "ceiling"),
    [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (7, 30.0), (8, 30.0)],
)
def test_the_longest_wait_doubles_with_each_attempt_up_to_its_limit(attempt: int, ceiling: float) -> None:
    policy = RetryPolicy(max_attempts=100, base_delay_seconds=0.5, max_delay_seconds=30.0)
    waits = [
        delay(failed(FailureKind.LOST), policy=policy, attempt=attempt, random=iter([drawn]).__next__)
        for drawn in (0.0, 0.25, 1.0)
    ]
    assert waits == [0, 0.25 * ceiling, ceiling]


@settings(max_examples=200, deadline=None)
@given(
    base=st.floats(0, 86_400),
    most=st.floats(0, 86_400),
    attempt=st.integers(1, 10**9),
    drawn=st.floats(0, 1, exclude_max=True),
)
def test_every_wait_is_drawn_between_nothing_and_the_policys_longest(
    base: float, most: float, attempt: int, drawn: float
) -> None:
    policy = RetryPolicy(10**9 + 1, base, most)
    waited = delay(failed(FailureKind.LOST), policy=policy, attempt=attempt, random=lambda: drawn)
    assert waited is not None
    assert math.isfinite(waited)
    assert 0 <= waited <= most
    if attempt == 1:
        assert waited <= base


def test_a_connection_that_was_dropped_is_replaced_at_once_and_later_waited_for() -> None:
    dropped = failed(FailureKind.DROPPED)
    assert delay(dropped, attempt=1, random=no_dice) == 0
    assert delay(dropped, attempt=2) == 0.5


@pytest.mark.parametrize(
    ("attempt", "shortest", "longest"),
    [(1, 0.5, 1.0), (2, 1.0, 2.0), (3, 2.0, 4.0), (4, 4.0, 8.0), (6, 15.0, 30.0), (99, 15.0, 30.0)],
)
def test_b06_too_many_without_a_time_waits_for_half_of_its_longest_wait_at_least(
    attempt: int, shortest: float, longest: float
) -> None:
    policy = RetryPolicy(max_attempts=100, base_delay_seconds=0.5, max_delay_seconds=30.0)
    waits = [
        delay(refused(429), policy=policy, attempt=attempt, random=iter([drawn]).__next__)
        for drawn in (0.0, 0.5, 1.0)
    ]
    assert waits == [shortest, (shortest + longest) / 2, longest]


@pytest.mark.parametrize(
    ("failure", "wait"),
    [
        pytest.param(refused(429, 3.0), 3.0, id="B5 a Retry-After"),
        pytest.param(refused(503, 3.0), 3.0, id="B13 a Retry-After of a 503"),
        pytest.param(failed(FailureKind.LOST), 0.25, id="A27 a wait that was drawn"),
    ],
)
def test_a_wait_that_does_not_fit_the_time_left_is_not_begun(failure: Failure, wait: float) -> None:
    assert delay(failure, time_left=wait + 0.001) == wait
    assert delay(failure, time_left=wait) is None
    assert delay(failure, time_left=0.0) is None


def test_with_no_time_left_nothing_is_tried_again_even_without_a_wait() -> None:
    assert delay(failed(FailureKind.DROPPED), time_left=0.0) is None


def test_a_policy_without_delays_does_not_wait() -> None:
    assert delay(failed(FailureKind.LOST), policy=RetryPolicy(3, 0, 0)) == 0


def test_the_defaults_are_the_documented_ones() -> None:
    policy = RetryPolicy()
    assert (policy.max_attempts, policy.base_delay_seconds, policy.max_delay_seconds) == (5, 0.5, 30.0)


@pytest.mark.parametrize("max_attempts", [0, -1, 1.5, "3", None, True, math.inf])
def test_a_number_of_attempts_that_cannot_be_is_refused(max_attempts: Any) -> None:
    with pytest.raises(SettingsError, match=r"^max_attempts is "):
        RetryPolicy(max_attempts=max_attempts)


@pytest.mark.parametrize("seconds", [-0.1, math.nan, math.inf, "1", None, True])
@pytest.mark.parametrize("name", ["base_delay_seconds", "max_delay_seconds"])
def test_a_delay_that_cannot_be_is_refused(name: str, seconds: Any) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is "):
        RetryPolicy(**{name: seconds})


@pytest.mark.parametrize(
    ("failure", "cost"),
    [
        pytest.param(refused(429), 1, id="too many"),
        pytest.param(refused(429, 1.0), 1, id="too many, with a time"),
        pytest.param(refused(503, 1.0), 5, id="B13 a 503 with a time"),
        pytest.param(refused(500), 5, id="a server's fault"),
        pytest.param(failed(FailureKind.LOST), 5, id="lost"),
        pytest.param(failed(FailureKind.TIMED_OUT), 10, id="timed out"),
    ],
)
def test_b13_what_presses_the_service_more_costs_more(failure: Failure, cost: int) -> None:
    assert RetryBudget.cost_of(failure) == cost


def test_b10_a_budget_that_is_empty_pays_for_nothing_until_something_succeeds() -> None:
    budget = RetryBudget()
    assert [budget.spend(5) for _ in range(21)] == [True] * 20 + [False]
    assert not budget.spend(1)
    budget.refund(0)
    assert not budget.spend(5)
    assert budget.spend(1)


def test_what_a_success_had_cost_comes_back_and_one_more() -> None:
    budget = RetryBudget()
    assert budget.spend(30)
    budget.refund(10)
    assert budget.tokens == 81
    budget.refund(1000)
    assert budget.tokens == 100


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["verb", "fails", "succeeds"]), st.integers(0, 30)), max_size=200))
def test_the_tokens_stay_between_none_and_all_however_verbs_mix(steps: Sequence[tuple[str, int]]) -> None:
    budget = RetryBudget()
    spent_by_verb: list[int] = []
    for step, number in steps:
        before = budget.tokens
        if step == "verb" or not spent_by_verb:
            spent_by_verb.append(0)
        elif step == "fails":
            was_paid = budget.spend(number)
            assert was_paid is (number <= before)
            assert budget.tokens == before - number * was_paid
            spent_by_verb[number % len(spent_by_verb)] += number * was_paid
        else:
            budget.refund(spent_by_verb.pop(number % len(spent_by_verb)))
            assert budget.tokens > before or before == 100
        assert 0 <= budget.tokens <= 100
