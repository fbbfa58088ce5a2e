"""What the global options mean, and the loop that a command's coroutine runs on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import click
from attrs import frozen

from krosai_calls.cli.output import Output

if TYPE_CHECKING:
    from krosai_calls.client import AsyncCallsClient

Job: TypeAlias = "Callable[[AsyncCallsClient], Awaitable[int]]"


@frozen
class Setup:
    """The global options of one run.

    Attributes:
        sandbox: Whether to run against the embedded stand-in.
        base_url: The API's address, or None for the environment's or the default.
        out: Where words go.
    """

    sandbox: bool
    base_url: str | None
    out: Output

    def run(self, job: Job) -> int:
        """Run a command's coroutine with a client, and give its exit code.

        Raises:
            asyncio.CancelledError: The process was told to end (SIGTERM).
        """
        return asyncio.run(self._run(job))

    async def _run(self, job: Job) -> int:
        task = asyncio.current_task()
        assert task is not None
        # Not on Windows, and not off the main thread; there a SIGTERM ends the process as ever.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with self._client() as client:
            return await job(client)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[AsyncCallsClient]:
        from krosai_calls.client import AsyncCallsClient

        if not self.sandbox:
            async with AsyncCallsClient(base_url=self.base_url) as client:
                yield client
            return
        if self.base_url is not None:
            raise click.UsageError("--sandbox brings its own address: leave --base-url out")
        from krosai_calls.sandbox import Sandbox

        async with (
            Sandbox() as sandbox,
            AsyncCallsClient(sandbox.api_key, base_url=sandbox.base_url) as client,
        ):
            yield client
