"""Servers, sessions and clients for tests of how a network is crossed."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult
from audio import recording
from raw_server import RawServer, answer

from krosai_calls import AsyncCallsClient, Call, RetryPolicy

KEY = "canary-key"
CALL = b'{"id": "call_1"}'
OK = answer(200, CALL)
MP3 = answer(200, recording(1))
AUTHORITY = trustme.CA()
BASIC = "Basic dXNlcjpwYXNzd29yZA=="  # user:password


def client_of(url: str, **settings: Any) -> AsyncCallsClient:
    settings.setdefault("retry", RetryPolicy(max_attempts=1))
    return AsyncCallsClient(KEY, base_url=f"{url}/v1", **settings)


def tls_server(*names: str) -> RawServer:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert(*names).configure_cert(context)
    return RawServer(tls=context)


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


async def stream(client: AsyncCallsClient, url: str) -> bytes:
    async with client.stream_recording(Call(id="call_1", recording_url=url)) as recording:
        return b"".join([piece async for piece in recording])


class Hosts(AbstractResolver):
    """Finds every name at this machine; the port is the one that was asked for."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def session_of_all_hosts(**settings: Any) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(resolver=Hosts())
    async with aiohttp.ClientSession(connector=connector, **settings) as session:
        yield session
