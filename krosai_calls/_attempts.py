"""The attempts of one verb: the policy's decisions, carried out."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from attrs import frozen

from krosai_calls._retry import Failure, RetryBudget, RetryPolicy
from krosai_calls.observing import Event, RequestRetried


@frozen
class Retrying:
    """What all attempts of a client share.

    Attributes:
        policy: Decides.
        budget: Bounds what a broken service can make us repeat.
        sleep: Waits for seconds.
        random: Gives numbers from 0 up to 1 for the jitter.
        clock: Seconds that never run backwards.
        tell: Is told of each retry.
    """

    policy: RetryPolicy
    budget: RetryBudget
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]
    clock: Callable[[], float]
    tell: Callable[[Event], object]


class Attempts:
    """Counts the failed attempts of one verb, and waits between them.

    Args:
        retrying: What all attempts of the client share.
        is_repeatable: Whether sending the request twice is harmless.
        deadline: When the verb has to be done, on the clock; None for no deadline.
    """

    def __init__(self, retrying: Retrying, *, is_repeatable: bool = True, deadline: float | None = None) -> None:
        self._retrying = retrying
        self._is_repeatable = is_repeatable
        self._deadline = deadline
        self._spent = 0
        self.count = 0

    async def wait_or_raise(self, failure: Failure) -> None:
        """Wait until the next attempt is due.

        Raises:
            KrosaiError: The failure's own error, where there is to be no further attempt.
        """
        self.count += 1
        delay = self._delay_after(failure)
        if delay is None:
            failure.error.attempts = self.count
            raise failure.error
        self._retrying.tell(RequestRetried(self.count, delay, str(failure.error)))
        await self._retrying.sleep(delay)

    def succeeded(self) -> None:
        """Take note that an attempt was a success: a service that recovers may be asked again as often."""
        self._retrying.budget.refund(self._spent)

    def seconds_left(self) -> float:
        """How long the verb may still take; infinite where it has no deadline."""
        return math.inf if self._deadline is None else max(0.0, self._deadline - self._retrying.clock())

    def _delay_after(self, failure: Failure) -> float | None:
        retrying = self._retrying
        delay = retrying.policy.delay_after(
            failure,
            attempt=self.count,
            is_repeatable=self._is_repeatable,
            time_left=self.seconds_left(),
            random=retrying.random,
        )
        if delay is None:
            return None
        cost = RetryBudget.cost_of(failure)
        if not retrying.budget.spend(cost):
            return None
        self._spent += cost
        return delay
