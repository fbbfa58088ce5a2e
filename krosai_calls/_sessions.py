"""The connections of a client: one session for the API, one for storage, and what holds for each request.

The key is added to each request to the API alone. Storage has a session of its own, which never knew a key and
takes nothing but the connector from a session that was lent.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import warnings
from typing import TypedDict

import aiohttp
from yarl import URL

from krosai_calls._faults import without_hidden_repeat
from krosai_calls._version import __version__
from krosai_calls._wire import Request
from krosai_calls.errors import ClientStateError
from krosai_calls.settings import ClientSettings, environment_proxy

USER_AGENT = f"krosai-calls/{__version__}"


class Options(TypedDict):
    """What each request says for itself, because a lent session has defaults of its own."""

    allow_redirects: bool
    auto_decompress: bool
    middlewares: tuple[aiohttp.ClientMiddlewareType, ...]
    proxy: str | None
    ssl: ssl.SSLContext | bool
    timeout: aiohttp.ClientTimeout


class Sessions:
    """The sessions of one client, each made when it is first needed.

    Args:
        settings: What the client is set to.
        lent: A session of the caller's for the API, never closed here; None for one of our own.
    """

    def __init__(self, settings: ClientSettings, lent: aiohttp.ClientSession | None) -> None:
        self._settings = settings
        self._lent = lent
        self._api: aiohttp.ClientSession | None = None
        self._storage: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    def api(self) -> aiohttp.ClientSession:
        """The session for the API."""
        if self._lent is not None:
            if self._lent.closed:
                raise ClientStateError("the session that was lent to the client is closed")
            return self._lent
        if self._api is None:
            self._api = self._new_session()
        return self._api

    def storage(self) -> aiohttp.ClientSession:
        """The session for storage."""
        if self._storage is None:
            self._storage = self._new_session(self._lent.connector if self._lent is not None else None)
        return self._storage

    def options(self, url: URL) -> Options:
        """What holds for every request to an address."""
        return {
            "allow_redirects": False,
            "auto_decompress": False,
            "middlewares": (without_hidden_repeat,),
            "proxy": self._settings.proxy or environment_proxy(url),
            "ssl": self._settings.ssl_context or True,
            "timeout": aiohttp.ClientTimeout(
                total=None,
                sock_connect=self._settings.connect_timeout_seconds,
                sock_read=self._settings.read_timeout_seconds,
            ),
        }

    def api_headers(self, request: Request) -> dict[str, str]:
        """The headers of a request to the API, the key among them: not to be kept in a variable."""
        settings = self._settings
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": USER_AGENT,
            **settings.default_headers,
        }
        if settings.organization_id is not None:
            headers["x-organization-id"] = settings.organization_id
        if request.idempotency_key is not None:
            headers["Idempotency-Key"] = request.idempotency_key
        if settings.auth_scheme == "bearer":
            headers["Authorization"] = f"Bearer {settings.api_key.reveal()}"
        else:
            headers["x-api-key"] = settings.api_key.reveal()
        return headers

    async def aclose(self) -> None:
        """Close what was opened here."""
        for session in self._opened():
            await session.close()

    def __del__(self) -> None:
        opened = self._opened() if hasattr(self, "_storage") else []
        if not opened or self._pid != os.getpid():
            return  # in a forked child the connections are the parent's
        warnings.warn(
            "a client of krosai_calls was left open: use it in 'async with', or call 'await client.aclose()'",
            ResourceWarning,
            stacklevel=2,
            source=self,
        )
        for session in opened:
            _close_late(session, self._loop)

    def _opened(self) -> list[aiohttp.ClientSession]:
        return [session for session in (self._api, self._storage) if session is not None and not session.closed]

    def _new_session(self, connector: aiohttp.BaseConnector | None = None) -> aiohttp.ClientSession:
        self._loop, self._pid = asyncio.get_running_loop(), os.getpid()
        return aiohttp.ClientSession(
            # The pace bounds what is under way; a second bound here would only count as a timeout.
            connector=connector or aiohttp.TCPConnector(limit=0),
            connector_owner=connector is None,
            cookie_jar=aiohttp.DummyCookieJar(),
        )


def _close_late(session: aiohttp.ClientSession, loop: asyncio.AbstractEventLoop | None) -> None:
    """Close a session that nobody closed in time, without aiohttp warning of it once more."""
    if loop is not None and loop.is_running():
        closing = session.close()
        try:
            asyncio.run_coroutine_threadsafe(closing, loop)
        except RuntimeError:  # the loop ends at this very moment
            closing.close()
        return
    connector = session.connector if session.connector_owner else None
    session.detach()
    if connector is not None:
        with warnings.catch_warnings():
            # There is no loop to wait on any more; closing itself happens at once.
            warnings.simplefilter("ignore")
            connector.close()
