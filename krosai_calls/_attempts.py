"""The attempts of one verb: the policy's decisions, carried out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from krosai_calls._retry import Failure, RetryPolicy


class Attempts:
    """Counts the failed attempts of one verb and waits between them, as the policy wants it.

    Args:
        policy: Decides.
        sleep: Waits for seconds.
        random: Gives numbers from 0 up to 1 for the jitter.
        is_repeatable: Whether sending the request twice is harmless.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
        *,
        is_repeatable: bool,
    ) -> None:
        self._policy = policy
        self._sleep = sleep
        self._random = random
        self._is_repeatable = is_repeatable
        self.count = 0

    async def wait_or_raise(self, failure: Failure) -> None:
        """Wait until the next attempt is due.

        Raises:
            KrosaiError: The failure's own error, where there is to be no further attempt.
        """
        self.count += 1
        delay = self._policy.delay_after(
            failure, attempt=self.count, is_repeatable=self._is_repeatable, random=self._random
        )
        if delay is None:
            failure.error.attempts = self.count
            raise failure.error
        await self._sleep(delay)
