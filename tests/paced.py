"""A transport and its pace on one fake clock, and callers who ask it all at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fake_clock import FakeClock

from krosai_calls import KrosaiError, RetryPolicy
from krosai_calls._pace import Pace
from krosai_calls._transport import Transport
from krosai_calls._wire import Endpoint, Request
from krosai_calls.settings import ClientSettings

CALL = b'{"id": "call_1"}'
REQUEST = Request(Endpoint.GET_CALL, "/calls/call_1")


@asynccontextmanager
async def paced(
    url: str,
    clock: FakeClock,
    *,
    max_attempts: int = 5,
    max_concurrency: int = 16,
    requests_per_second: float | None = None,
    max_requests: int | None = None,
) -> AsyncIterator[Transport]:
    """A transport to the API at `url`; every draw is 0.5."""
    settings = ClientSettings.resolve(
        "kros_test_key", base_url=f"{url}/v1", environment={}, retry=RetryPolicy(max_attempts=max_attempts)
    )
    pace = Pace(
        max_concurrency=max_concurrency,
        requests_per_second=requests_per_second,
        max_requests=max_requests,
        clock=clock.read,
        sleep=clock.sleep,
    )
    transport = Transport(settings, pace, sleep=clock.sleep, random=lambda: 0.5, clock=clock.read)
    try:
        yield transport
    finally:
        await transport.aclose()


async def fetch(transport: Transport) -> bytes:
    """Ask for one call; its body as it came."""
    return await transport.fetch(REQUEST, lambda got: got.body)


class Callers:
    """Many who ask for the same at once."""

    def __init__(self, transport: Transport, count: int) -> None:
        self.tasks = [asyncio.create_task(fetch(transport)) for _ in range(count)]

    async def outcomes(self) -> list[bytes | KrosaiError]:
        """What each got: a body, or an error of ours."""
        outcomes: list[bytes | KrosaiError] = []
        for outcome in await asyncio.gather(*self.tasks, return_exceptions=True):
            assert isinstance(outcome, bytes | KrosaiError)
            outcomes.append(outcome)
        return outcomes

    @staticmethod
    async def go_as_far_as_they_can() -> None:
        """Give what is let through the time that a socket on loopback needs."""
        await asyncio.sleep(0.03)


@asynccontextmanager
async def asking(transport: Transport, *, count: int) -> AsyncIterator[Callers]:
    """So many callers; who still waits at the end of the block gives up."""
    callers = Callers(transport, count)
    try:
        yield callers
    finally:
        for task in callers.tasks:
            task.cancel()
        await asyncio.gather(*callers.tasks, return_exceptions=True)
