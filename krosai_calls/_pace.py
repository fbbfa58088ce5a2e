"""How fast and how much a client may ask, shared by all that it does: each origin's ration, slots and a budget."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from krosai_calls._ration import Ration
from krosai_calls._wire import LONGEST_PAUSE_SECONDS, RateHint
from krosai_calls.errors import RequestBudgetExceededError


class PausedError(Exception):
    """The server asked for a pause that lasts longer than anybody wants to wait.

    Attributes:
        seconds: How long it still lasts.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class Gate:
    """Lets the requests to one origin through, in the order they came.

    Args:
        ration: Decides.
        slots: A place for each request that is under way.
        clock: Seconds that never run backwards.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        ration: Ration,
        slots: asyncio.Semaphore,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ration = ration
        self._slots = slots
        self._clock = clock
        self._sleep = sleep
        # Whoever is first in the queue looks at the ration; the others wait behind, and nobody overtakes.
        self._first_in_queue = asyncio.Lock()
        self._answered = asyncio.Event()

    @asynccontextmanager
    async def passage(self, *, patience: float = LONGEST_PAUSE_SECONDS) -> AsyncIterator[None]:
        """Hold while one request is under way.

        Args:
            patience: How long a pause that the server asked for is waited out.

        Raises:
            PausedError: The pause lasts longer; nothing was let through.
        """
        async with self._first_in_queue:
            while True:
                await self._turn(patience)
                # A slot comes last: what waits for its turn must not keep one from the other origin.
                await self._slots.acquire()
                if self._ration.wait(self._clock()) == 0.0:
                    break
                self._slots.release()
            self._ration.start(self._clock())
        try:
            yield
        finally:
            self._ration.end(self._clock())
            self._slots.release()
            self._answered.set()

    def note(self, hint: RateHint) -> float:
        """Learn from an answer; gives the seconds for which nothing more is let through because of it."""
        pause, now = hint.pause_seconds, self._clock()
        if hint.is_refusal:
            self._ration.refused(now, pause)
        else:
            self._ration.learn(hint.requests_per_second, is_well=not hint.is_fault)
            if pause and not self._ration.exhausted(now, pause):
                pause = 0.0
        self._answered.set()
        return pause

    async def _turn(self, patience: float) -> None:
        while (wait := self._ration.wait(self._clock())) != 0.0:
            pause = self._ration.closed_for(self._clock())
            if pause > patience:
                raise PausedError(pause)
            if wait is None:
                self._answered.clear()
                await self._answered.wait()
            else:
                await self._sleep(wait)


class Pace:
    """The gates of one client, and its budget.

    Args:
        max_concurrency: Requests under way at once. Storage leaves one place to the API, so that long recordings
            never hold it up; each has one at least.
        requests_per_second: API requests in any second; None for what the service allows.
        max_requests: API requests in all, every attempt counted; None for no budget.
        most_connections: Connections in all, where they come from a connector that bounds them by itself; waiting
            there would count as a timeout.
        clock: Seconds that never run backwards.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        *,
        max_concurrency: int,
        requests_per_second: float | None = None,
        max_requests: int | None = None,
        most_connections: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        places = max(2, max_concurrency)
        if most_connections is not None:
            max_concurrency, places = min(max_concurrency, most_connections), min(places, most_connections)
        for_storage = max(1, max_concurrency - 1)
        slots = asyncio.Semaphore(places)
        self.api = Gate(
            Ration(most_at_once=max_concurrency, ceiling=requests_per_second), slots, clock=clock, sleep=sleep
        )
        self.storage = Gate(Ration(most_at_once=for_storage, is_known=True), slots, clock=clock, sleep=sleep)
        self._max_requests = max_requests
        self.api_requests = 0

    def spend_request(self) -> None:
        """Take one API request from the budget.

        Raises:
            RequestBudgetExceededError: Nothing is left of it; nothing was sent.
        """
        self.require_budget()
        self.api_requests += 1

    def require_budget(self) -> None:
        """Make sure that there is something left to spend.

        Raises:
            RequestBudgetExceededError: Nothing is.
        """
        if self._max_requests is not None and self.api_requests >= self._max_requests:
            raise RequestBudgetExceededError(
                f"the budget of {self._max_requests} API requests is used up: what was fetched is kept;"
                " go on with a new client or a larger max_requests"
            )
