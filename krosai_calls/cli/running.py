"""A command's coroutine on a loop, with a client; loaded only when a command runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from krosai_calls.cli.exits import EndedError
from krosai_calls.cli.interrupting import Interruptions, exit_of
from krosai_calls.client import AsyncCallsClient
from krosai_calls.errors import KrosaiError
from krosai_calls.observing import Event

OnEvent = Callable[[Event], object]


def run_with_client(
    job: Callable[[AsyncCallsClient], Awaitable[int]],
    *,
    sandbox: bool,
    base_url: str | None,
    max_requests: int | None = None,
    on_event: OnEvent | None = None,
) -> int:
    """Run a job with a client, of the embedded sandbox or of a real service, and give its exit code.

    Raises:
        EndedError: A signal came (Ctrl-C, SIGTERM, SIGHUP), and the job has tidied up.
    """
    opening = _sandbox_client(max_requests, on_event) if sandbox else _client(base_url, max_requests, on_event)
    with Interruptions() as interruptions:
        try:
            return asyncio.run(_run(job, opening, interruptions))
        except (asyncio.CancelledError, KrosaiError, OSError):  # a terminal that has gone cannot be written to
            if interruptions.number is None:
                raise
            code = exit_of(interruptions.number)
    raise EndedError(code)


async def _run(
    job: Callable[[AsyncCallsClient], Awaitable[int]],
    opening: AbstractAsyncContextManager[AsyncCallsClient],
    interruptions: Interruptions,
) -> int:
    task = asyncio.current_task()
    assert task is not None
    interruptions.end_with(task)
    async with opening as client:
        return await job(client)


@asynccontextmanager
async def _client(
    base_url: str | None, max_requests: int | None, on_event: OnEvent | None
) -> AsyncIterator[AsyncCallsClient]:
    async with AsyncCallsClient(base_url=base_url, max_requests=max_requests, on_event=on_event) as client:
        yield client


@asynccontextmanager
async def _sandbox_client(max_requests: int | None, on_event: OnEvent | None) -> AsyncIterator[AsyncCallsClient]:
    from krosai_calls.sandbox import Sandbox

    async with (
        Sandbox(real_time=True) as sandbox,  # or a call that goes on would never end
        AsyncCallsClient(
            sandbox.api_key, base_url=sandbox.base_url, max_requests=max_requests, on_event=on_event
        ) as client,
    ):
        yield client
