"""What the global options mean."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import click

from krosai_calls.cli.exits import EndedError
from krosai_calls.cli.output import Output

if TYPE_CHECKING:
    from krosai_calls.client import AsyncCallsClient
    from krosai_calls.observing import Event

Job: TypeAlias = "Callable[[AsyncCallsClient], Awaitable[int]]"

# Said when a signal ends a command that can be taken up again.
TO_GO_ON = "what came is kept. To go on:  {command}"


@dataclass(frozen=True)
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

    def run(
        self,
        job: Job,
        *,
        max_requests: int | None = None,
        on_event: Callable[[Event], object] | None = None,
        when_ended: str = "",
    ) -> int:
        """Run a command's coroutine with a client, and give its exit code.

        Args:
            job: The coroutine function.
            max_requests: How many API requests it may make; None for no limit.
            on_event: Is told what goes over the wire.
            when_ended: What is said where a signal ends it; ``{command}`` in it stands for the command line.
        """
        if self.sandbox and self.base_url is not None:
            raise click.UsageError("--sandbox brings its own address: leave --base-url out")
        from krosai_calls.cli.running import run_with_client

        try:
            return run_with_client(
                job, sandbox=self.sandbox, base_url=self.base_url, max_requests=max_requests, on_event=on_event
            )
        except EndedError as ended:
            ended.advice = when_ended
            raise
