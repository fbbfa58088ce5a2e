"""A command's coroutine on a loop, with a client; loaded only when a command runs."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from krosai_calls.cli.output import TerminatedError
from krosai_calls.client import AsyncCallsClient


def run_with_client(
    job: Callable[[AsyncCallsClient], Awaitable[int]],
    *,
    sandbox: bool,
    base_url: str | None,
    max_requests: int | None = None,
) -> int:
    """Run a job with a client, of the embedded sandbox or of a real service, and give its exit code.

    Raises:
        TerminatedError: The process was told to end (SIGTERM).
    """
    try:
        opening = _sandbox_client(max_requests) if sandbox else _client(base_url, max_requests)
        return asyncio.run(_run(job, opening))
    except asyncio.CancelledError:
        raise TerminatedError from None


async def _run(
    job: Callable[[AsyncCallsClient], Awaitable[int]], opening: AbstractAsyncContextManager[AsyncCallsClient]
) -> int:
    task = asyncio.current_task()
    assert task is not None
    # Not on Windows, and not off the main thread; there a SIGTERM ends the process as ever.
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with opening as client:
        return await job(client)


@asynccontextmanager
async def _client(base_url: str | None, max_requests: int | None) -> AsyncIterator[AsyncCallsClient]:
    async with AsyncCallsClient(base_url=base_url, max_requests=max_requests) as client:
        yield client


@asynccontextmanager
async def _sandbox_client(max_requests: int | None) -> AsyncIterator[AsyncCallsClient]:
    from krosai_calls.sandbox import Sandbox

    async with (
        Sandbox() as sandbox,
        AsyncCallsClient(sandbox.api_key, base_url=sandbox.base_url, max_requests=max_requests) as client,
    ):
        yield client
