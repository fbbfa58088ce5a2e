"""The connections of a client: one session for the API, one for storage, and what holds for each request.

The key is added to each request to the API alone. Storage has a session of its own, which never knew a key and
takes nothing but the connector from a session that was lent.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import ssl
import threading
import urllib.request
import warnings
import weakref
from typing import TypedDict

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from krosai_calls._faults import PrivateAddressError, without_hidden_repeat
from krosai_calls._hosts import is_public
from krosai_calls._version import __version__
from krosai_calls._wire import Request
from krosai_calls.errors import ClientStateError
from krosai_calls.settings import ClientSettings, environment_proxy

_REMEMBERED_ORIGINS = 64
USER_AGENT = f"krosai-calls/{__version__}"


class Options(TypedDict):
    """What each request says for itself, because a lent session has defaults of its own."""

    allow_redirects: bool
    auto_decompress: bool
    middlewares: tuple[aiohttp.ClientMiddlewareType, ...]
    proxy: str | None
    raise_for_status: bool
    skip_auto_headers: tuple[str, ...]
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
        self._resolver: AbstractResolver | None = None
        # Held apart from this object, so that they outlive it until a word is said about it: else aiohttp would
        # complain of them, before or after. Made at once, because what is made last is first at the process's end.
        self._opened = _Opened()
        weakref.finalize(self, self._opened.forget)
        # Reading the environment costs about what a request costs, so it is read once for each address.
        self._environment_proxy = functools.lru_cache(maxsize=_REMEMBERED_ORIGINS)(environment_proxy)
        self._timeout = aiohttp.ClientTimeout(
            total=None,
            sock_connect=settings.connect_timeout_seconds,
            sock_read=settings.read_timeout_seconds,
        )

    def api(self) -> aiohttp.ClientSession:
        """The session for the API."""
        self._require_lent_open()
        if self._lent is not None:
            return self._lent
        if self._api is None:
            self._api = self._new_session()
        return self._api

    def storage(self) -> aiohttp.ClientSession:
        """The session for storage."""
        self._require_lent_open()
        if self._storage is None:
            lent = self._lent.connector if self._lent is not None else None
            self._resolver = self._storage_resolver()
            self._storage = self._new_session(lent, resolver=self._resolver)
        return self._storage

    def api_options(self, url: URL) -> Options:
        """What holds for every request to the API: the key goes with it, added when all else is said."""
        options = self.storage_options(url)
        options["middlewares"] = (without_hidden_repeat, self._with_key)
        return options

    def storage_options(self, url: URL) -> Options:
        """What holds for every request to storage."""
        return {
            "allow_redirects": False,
            "auto_decompress": False,
            "middlewares": (without_hidden_repeat,),
            "proxy": self._settings.proxy or self._environment_proxy(url.origin()),
            "raise_for_status": False,
            "skip_auto_headers": ("Content-Type",),
            "ssl": self._settings.ssl_context or True,
            "timeout": self._timeout,
        }

    def api_headers(self, request: Request) -> dict[str, str]:
        """The headers of a request to the API, but for the key."""
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": USER_AGENT,
            **self._settings.default_headers,
        }
        if self._settings.organization_id is not None:
            headers["x-organization-id"] = self._settings.organization_id
        if request.idempotency_key is not None:
            headers["Idempotency-Key"] = request.idempotency_key
        return headers

    async def _with_key(
        self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # The last moment before it goes out, and for no other address than the API's own.
        if request.url.origin() == self._settings.base_url.origin():
            key = self._settings.api_key
            if self._settings.auth_scheme == "bearer":
                request.headers["Authorization"] = f"Bearer {key.reveal()}"
            else:
                if not any(name.lower() == "authorization" for name in self._settings.default_headers):
                    # What a lent session found in a netrc is no business of the API's.
                    request.headers.popall("Authorization", None)
                request.headers["x-api-key"] = key.reveal()
        return await send(request)

    async def aclose(self) -> None:
        """Close what was opened here."""
        for session in self._opened.sessions:
            await session.close()
        self._opened.sessions.clear()
        if self._resolver is not None:
            await self._resolver.close()  # aiohttp closes only one of its own

    def _require_lent_open(self) -> None:
        if self._lent is None:
            return
        if self._lent.closed:
            raise ClientStateError("the session that was lent to the client is closed")
        # aiohttp has no public way to ask for it that does not warn.
        home = getattr(self._lent, "_loop", None)
        if home is not None and home is not asyncio.get_running_loop():
            raise ClientStateError("the session that was lent to the client belongs to another event loop")

    def _storage_resolver(self) -> AbstractResolver | None:
        """For links that a public service gives: names that lead into a private network are not followed.

        Behind a proxy it is the proxy that is looked up here, and the proxy that resolves the link.
        """
        if (
            not is_public(self._settings.base_url.host or "")
            or self._settings.proxy
            or urllib.request.getproxies()
        ):
            return None
        return PublicResolver(aiohttp.DefaultResolver())

    def _new_session(
        self, connector: aiohttp.BaseConnector | None = None, *, resolver: AbstractResolver | None = None
    ) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            # The pace bounds what is under way; a second bound here would only count as a timeout.
            connector=connector or _Connector(limit=0, resolver=resolver),
            connector_owner=connector is None,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._opened.add(session)
        return session


def most_connections(lent: aiohttp.ClientSession | None) -> int | None:
    """How many connections a lent session's connector allows; None for any number."""
    connector = lent.connector if lent is not None else None
    limits = [connector.limit, connector.limit_per_host] if connector is not None else []
    return min((limit for limit in limits if limit > 0), default=None)


class PublicResolver(AbstractResolver):
    """Looks names up, and knows only addresses that everybody can reach.

    The check is made on the very addresses that are connected to, so that a name cannot show one address to a
    check and another to the connection.

    Args:
        resolver: Does the looking up.
    """

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The public addresses of a host.

        Raises:
            OSError: It has none.
        """
        found = await self._resolver.resolve(host, port, family)
        public = [address for address in found if is_public(address["host"])]
        if not public:
            raise PrivateAddressError(None, "the name leads into a private network")
        return public

    async def close(self) -> None:
        """Let go of what the looking up holds."""
        await self._resolver.close()


class _Connector(aiohttp.TCPConnector):
    """A connector with two habits of its own."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Connect, but never over a connection that has spoken out of turn.

        The pool looks at a connection when it comes back. What a server sends after that would be taken for the
        answer to the next request.
        """
        connection = await super().connect(req, traces, timeout)
        while connection.protocol is not None and connection.protocol.should_close:
            connection.close()
            connection = await super().connect(req, traces, timeout)
        return connection

    def __del__(self, *_: object) -> None:
        # Its sessions' owner has said that it was left open. In a forked child nothing may be closed, either: that
        # would take the sockets out of the set of watched ones, which child and parent share.
        pass


class _Opened:
    """What one client has opened, and where; closed by it, or told of when it has been forgotten."""

    def __init__(self) -> None:
        self.sessions: list[aiohttp.ClientSession] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._closings: set[asyncio.Future[None]] = set()

    def add(self, session: aiohttp.ClientSession) -> None:
        self.sessions.append(session)
        self._loop, self._pid = asyncio.get_running_loop(), os.getpid()

    def forget(self) -> None:
        """Close what is still open, and say that it should have been closed."""
        left = [session for session in self.sessions if not session.closed]
        connectors = [session.connector for session in left if session.connector_owner]
        for session in left:
            session.detach()  # or aiohttp would complain of it as well
        if not left or self._pid != os.getpid():
            return  # in a forked child the connections are the parent's
        is_running = self._loop is not None and self._loop.is_running()
        if is_running and not threading.main_thread().is_alive():
            return  # the process ends while the client is at work: nobody has forgotten it
        if self._loop is not None and is_running:  # one that has ended has nobody left to close them
            with contextlib.suppress(RuntimeError):  # it ends at this very moment
                self._loop.call_soon_threadsafe(self._close, connectors)
        warnings.warn(
            "a client of krosai_calls was left open: use it in 'async with', or call 'await client.aclose()'",
            ResourceWarning,
            stacklevel=3,
        )

    def _close(self, connectors: list[aiohttp.BaseConnector | None]) -> None:
        for connector in connectors:
            if connector is not None:
                closing = asyncio.ensure_future(connector.close())
                self._closings.add(closing)  # or nothing would hold it
                closing.add_done_callback(self._closings.discard)
