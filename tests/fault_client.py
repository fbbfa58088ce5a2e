"""A client on a clock of its own, for tests of what becomes of faults: it waits for nothing and remembers all."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import threaded_client
from aiohttp.abc import AbstractResolver, ResolveResult
from fake_clock import FakeClock

from krosai_calls import AsyncCallsClient, RetryPolicy
from krosai_calls._bypass import WORTH_BYTES
from krosai_calls._pace import Pace
from krosai_calls._service import CallsService
from krosai_calls._sessions import most_connections
from krosai_calls._transport import Transport

KEY = "kros_test_CANARYKEY"
CALL = b'{"id": "call_1", "status": "in_progress"}'
ENDED = b'{"id": "call_1", "status": "completed", "hangup_cause": "agent_hangup"}'
ONCE = RetryPolicy(max_attempts=1)
# From which size on bodies are led past aiohttp; the fixture `both_ways` has stories told of small ones, too.
bypass_bytes = WORTH_BYTES


class TimelessClient(AsyncCallsClient):
    """A client whose waits take no time, and whose dice always show a half.

    Attributes:
        clock: Its clock; it remembers the waits.
        transport: What it asks with.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: FakeClock | None = None,
        session: aiohttp.ClientSession | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(KEY, base_url=url, session=session, **settings)
        self.clock = clock = clock or FakeClock()
        self._pace = Pace(
            max_concurrency=self._settings.max_concurrency,
            requests_per_second=self._settings.requests_per_second,
            max_requests=self._settings.max_requests,
            most_connections=most_connections(session),
            clock=clock.read,
            sleep=clock.sleep,
        )
        self.transport = self._transport = Transport(
            self._settings,
            self._pace,
            session=session,
            sleep=clock.sleep,
            random=lambda: 0.5,
            clock=clock.read,
            bypass_bytes=bypass_bytes,
        )
        self._service = CallsService(self._transport, api_url=self._settings.base_url, most_at_once=1)


def client_of(url: str, **settings: Any) -> TimelessClient:
    """A client of a server; the base URL's path is the service's own."""
    return threaded_client.either(TimelessClient(f"{url}/v1", **settings))


class Directory(AbstractResolver):
    """Knows the addresses of names, each list given out in turn; an empty list means that nothing resolves."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not addresses:
            raise OSError("no such name")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def session_with(directory: Directory) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(resolver=directory, use_dns_cache=False)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session
