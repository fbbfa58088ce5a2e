"""The attempts of one verb: what is waited, told, counted and paid for."""

from __future__ import annotations

import math

import pytest
from fake_clock import FakeClock

from krosai_calls._attempts import Attempts, Retrying
from krosai_calls._retry import Failure, FailureKind, RetryBudget, RetryPolicy
from krosai_calls.errors import ConnectionFailedError, KrosaiError, RateLimitedError
from krosai_calls.observing import Event, RequestRetried

LOST = FailureKind.LOST


def lost(words: str = "cut") -> Failure:
    return Failure(LOST, ConnectionFailedError(words))


def too_many(seconds: float) -> Failure:
    return Failure(FailureKind.REFUSED, RateLimitedError("too many", status=429, retry_after=seconds))


class Client:
    """What all attempts of a client share, with its ears open."""

    def __init__(self, **policy: float) -> None:
        self.clock = FakeClock()
        self.budget = RetryBudget()
        self.told: list[Event] = []
        self.retrying = Retrying(
            RetryPolicy(max_attempts=int(policy.pop("max_attempts", 5)), **policy),
            self.budget,
            self.clock.sleep,
            lambda: 0.5,
            self.clock.read,
            self.told.append,
        )

    def verb(self, *, is_repeatable: bool = True, deadline: float | None = None) -> Attempts:
        return Attempts(self.retrying, is_repeatable=is_repeatable, deadline=deadline)


async def failed_at_last(attempts: Attempts, failure: Failure) -> KrosaiError:
    for _ in range(1000):
        try:
            await attempts.wait_or_raise(failure)
        except KrosaiError as error:
            return error
    raise AssertionError("it is tried for ever")


async def test_each_attempt_is_waited_for_and_told_and_the_last_error_counts_them() -> None:
    client = Client()
    attempts, failure = client.verb(), lost()
    error = await failed_at_last(attempts, failure)
    assert error is failure.error
    assert error.attempts == attempts.count == 5
    assert client.clock.slept == [0.25, 0.5, 1.0, 2.0]
    assert client.told == [
        RequestRetried(1, 0.25, "cut"),
        RequestRetried(2, 0.5, "cut"),
        RequestRetried(3, 1.0, "cut"),
        RequestRetried(4, 2.0, "cut"),
    ]


async def test_what_must_not_be_sent_twice_is_told_at_once() -> None:
    client = Client()
    error = await failed_at_last(client.verb(is_repeatable=False), lost())
    assert (error.attempts, client.clock.slept, client.told) == (1, [], [])


@pytest.mark.parametrize(("left", "attempts"), [(0.0, 1), (1.0, 1), (1.5, 2), (2.001, 3), (3.5, 4)])
async def test_b05_a_wait_that_does_not_fit_the_deadline_is_not_begun(left: float, attempts: int) -> None:
    client = Client()
    deadline = client.clock.now + left
    error = await failed_at_last(client.verb(deadline=deadline), too_many(1.0))
    assert isinstance(error, RateLimitedError)
    assert (error.attempts, error.retry_after) == (attempts, 1.0)
    assert client.clock.now < max(deadline, 100.001)


async def test_b05_a_pause_of_more_than_a_minute_is_told_and_costs_nothing() -> None:
    client = Client()
    error = await failed_at_last(client.verb(), too_many(3600.0))
    assert isinstance(error, RateLimitedError)
    assert (error.retry_after, error.attempts, client.clock.slept) == (3600.0, 1, [])
    assert client.budget.tokens == 100


def test_the_time_left_runs_down_to_nothing_and_no_further() -> None:
    client = Client()
    limited, free = client.verb(deadline=client.clock.now + 10), client.verb()
    client.clock.now += 4
    assert (limited.seconds_left(), free.seconds_left()) == (6.0, math.inf)
    client.clock.now += 40
    assert (limited.seconds_left(), free.seconds_left()) == (0.0, math.inf)


async def test_b10_where_everything_fails_a_clients_verbs_stop_repeating() -> None:
    client = Client()
    counts = [(await failed_at_last(client.verb(), lost())).attempts for _ in range(200)]
    assert counts == [5] * 5 + [1] * 195
    assert client.budget.tokens == 0


async def test_b10_successes_bring_the_retries_back() -> None:
    client = Client()
    for _ in range(5):
        await failed_at_last(client.verb(), lost())
    for _ in range(5):
        client.verb().succeeded()
    assert (await failed_at_last(client.verb(), lost())).attempts == 2


async def test_a_verb_that_succeeds_in_the_end_gets_back_what_it_paid() -> None:
    client = Client()
    attempts = client.verb()
    await attempts.wait_or_raise(lost())
    await attempts.wait_or_raise(too_many(1.0))
    assert client.budget.tokens == 94
    attempts.succeeded()
    assert client.budget.tokens == 100
