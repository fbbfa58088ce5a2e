"""How fast and how much a client may ask: slots, spacing and a budget, shared by all that one client does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from krosai_calls.errors import RequestBudgetExceededError


class Pace:
    """Lets requests through: so many at once, so many a second, so many in all.

    Args:
        max_concurrency: Requests under way at once, to the API and to storage together.
        requests_per_second: API requests in any second, spaced evenly; None for no ceiling.
        max_requests: API requests in all, every attempt counted; None for no budget.
        clock: Seconds that never run backwards.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        *,
        max_concurrency: int,
        requests_per_second: float | None = None,
        max_requests: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._slots = asyncio.Semaphore(max_concurrency)
        self._seconds_between = 0.0 if requests_per_second is None else 1.0 / requests_per_second
        self._max_requests = max_requests
        self._clock = clock
        self._sleep = sleep
        self._next_start = 0.0
        self.api_requests = 0

    @asynccontextmanager
    async def api_request(self) -> AsyncIterator[None]:
        """Hold while one API request is under way.

        Raises:
            RequestBudgetExceededError: The budget is used up; nothing was sent.
        """
        async with self._slots:
            if self._max_requests is not None and self.api_requests >= self._max_requests:
                raise RequestBudgetExceededError(
                    f"the budget of {self._max_requests} API requests is used up: what was fetched is kept;"
                    " go on with a new client or a larger max_requests"
                )
            self.api_requests += 1
            await self._wait_for_turn()
            yield

    @asynccontextmanager
    async def storage_request(self) -> AsyncIterator[None]:
        """Hold while one request to storage is under way; storage is not rationed."""
        async with self._slots:
            yield

    async def _wait_for_turn(self) -> None:
        now = self._clock()
        start = max(now, self._next_start)
        self._next_start = start + self._seconds_between
        if start > now:
            await self._sleep(start - now)
