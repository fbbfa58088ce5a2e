"""A client for the sandbox's tests that knows nothing of ours but the contract, and a clock to wind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from yarl import URL

from krosai_calls.sandbox import Sandbox

NOW = datetime(2025, 3, 14, 9, tzinfo=UTC)


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Answer:
    """What came back."""

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = body

    def json(self) -> Any:
        assert self.headers["Content-Type"].startswith("application/json")
        return json.loads(self.body)


class Caller:
    """Asks one sandbox, with its key where the API is asked and without where the storage is."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        self.key = {"x-api-key": sandbox.api_key}

    async def ask(self, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        sent = {**self.key, **(headers or {})}
        async with self.session.request(method, self.sandbox.base_url + path, headers=sent) as response:
            return Answer(response, await response.read())

    async def fetch(self, url: str, *, method: str = "GET", **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, URL(url, encoded=True), headers=sent) as response:
            return Answer(response, await response.read())

    async def url_of_a_recording(self) -> str:
        rows = (await self.ask("/calls?limit=20")).json()["calls"]
        return next(str(row["recording_url"]) for row in rows if row["recording_url"])


@asynccontextmanager
async def calling(**settings: Any) -> AsyncIterator[Caller]:
    """Start a sandbox at ``NOW`` and a client for it."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        Sandbox(**{"calls": 250, "now": NOW, **settings}) as sandbox,
    ):
        yield Caller(sandbox, session)
