"""Children of the torture: started, watched from outside, and killed at a moment that a seed has drawn."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import torture_child
from torture_child import Job, Said
from torture_server import LyingServer

LONGEST_SECONDS = 20.0


@dataclass(frozen=True)
class Moment:
    """When a child is killed: after a time, after so many bytes have gone out, or at a step of its own."""

    seconds: float
    sent: int | None = None
    step: int | None = None

    @staticmethod
    def drawn(random: Random) -> Moment:
        """Any of the three, with a time as a limit."""
        match random.choice(["seconds", "sent", "step"]):
            case "seconds":
                return Moment(random.uniform(0.02, 1.2))
            case "sent":
                return Moment(1.2, sent=random.randint(1, 4_000_000))
            case _:
                return Moment(1.2, step=random.randint(1, 250))


@dataclass(frozen=True)
class Ending:
    """How a child ended: its exit code, and what it said, if only why it failed."""

    code: int
    text: str

    @property
    def was_killed(self) -> bool:
        """Whether it did not end by itself."""
        return self.code == -signal.SIGKILL

    @property
    def said(self) -> Said:
        """What it saved."""
        if self.code == 0:
            said: Said = json.loads(self.text)
            return said
        return Said(saved={}, resumed_bytes=0, failed={"all": f"ended with {self.code}: {self.text}"})


class Lane:
    """A process that forks a child for each job; its own group, so that none of it is left."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @staticmethod
    @asynccontextmanager
    async def opened() -> AsyncIterator[Lane]:
        """Start the process; leaving ends it, and its child with it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            torture_child.__file__,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
        try:
            yield Lane(process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def run(self, job: Job, server: LyingServer, moment: Moment | None = None) -> Ending:
        """Run a child to its end, or to the moment at which it is killed."""
        await self._tell(json.dumps(job))
        await self._line()
        end = asyncio.ensure_future(self._line())
        if moment is None:
            await asyncio.wait([end], timeout=LONGEST_SECONDS)
        else:
            await first_of(end, moment, server)
        if not end.done():
            await self._tell(torture_child.KILL)
        ended = json.loads(await end)
        return Ending(ended["code"], ended["said"])

    async def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()


async def first_of(work: asyncio.Future[Any], moment: Moment, server: LyingServer) -> None:
    """Wait until some work is done or a moment has come."""
    goal = asyncio.ensure_future(_come(moment, server))
    await asyncio.wait([work, goal], return_when=asyncio.FIRST_COMPLETED)
    goal.cancel()
    await asyncio.wait([goal])


async def _come(moment: Moment, server: LyingServer) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(moment.seconds):
            await server.has_sent(float("inf") if moment.sent is None else server.sent + moment.sent)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "PYTHONPATH": ":".join(filter(None, sys.path))}
