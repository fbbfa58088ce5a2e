"""Requests on the wire: the only user of the aiohttp client.

Two sessions: one for the API, which adds the key to each request for the API's own address; one for storage,
which knows no key. Neither follows redirects, keeps cookies or reads a netrc. Whatever goes wrong leaves here as
an error of ours that holds no object of aiohttp: a fault is classified inside ``except`` and raised outside of
it, because even ``raise … from None`` would keep the original, and with it the headers and the key.
"""

from __future__ import annotations

import asyncio
import os
import random as random_module
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypedDict, TypeVar

import aiohttp
from attrs import evolve
from yarl import URL

from krosai_calls._attempts import Attempts
from krosai_calls._codec import undecodable
from krosai_calls._pace import Pace
from krosai_calls._retry import Failure, FailureKind
from krosai_calls._text import without_query
from krosai_calls._version import __version__
from krosai_calls._wire import Answer, BodyEncodingError, Request, decompressed, refusal
from krosai_calls.errors import (
    ClientStateError,
    ConnectionFailedError,
    DecodeError,
    RequestTimeoutError,
    StreamInterruptedError,
)
from krosai_calls.settings import ClientSettings, environment_proxy

T = TypeVar("T")

_USER_AGENT = f"krosai-calls/{__version__}"


class _ConnectionLost(Exception):  # noqa: N818 - a signal from the middleware to _failure, never raised out
    """Stands for the two faults at which aiohttp would repeat a GET by itself."""

    def __init__(self, number: int | None) -> None:
        super().__init__()
        self.errno = number


_FAULTS = (aiohttp.ClientError, OSError, _ConnectionLost)


class StorageAnswer:
    """What storage answered, its body still to be read.

    Attributes:
        url: The address without its query.
        status: The HTTP status.
        headers: Names in lower case.
        received: Bytes of the body that have come so far.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.url = without_query(str(response.url))
        self.status = response.status
        self.headers = _plain_headers(response)
        self.received = 0

    async def read(self) -> bytes:
        """The next piece of the body, in whatever size it arrived; empty at the end.

        Raises:
            StreamInterruptedError: The body was cut off.
            RequestTimeoutError: Nothing came for too long.
        """
        try:
            piece = await self._response.content.readany()
        except _FAULTS as fault:
            failure = _failure(fault, f"GET {self.url}")
        else:
            self.received += len(piece)
            return piece
        if failure.kind is FailureKind.TIMED_OUT:
            raise failure.error
        raise StreamInterruptedError(
            str(failure.error), received=self.received, expected=self._response.content_length
        )


class Transport:
    """One client's way to the network.

    Args:
        settings: What the client is set to.
        pace: Lets the requests through.
        session: A session of the caller's, never closed here; None for one of our own.
        sleep: Waits for seconds between attempts.
        random: Gives numbers from 0 up to 1 for the jitter.
    """

    def __init__(
        self,
        settings: ClientSettings,
        pace: Pace,
        *,
        session: aiohttp.ClientSession | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._settings = settings
        self._pace = pace
        self._sleep = sleep
        self._random = random
        self._lent_session = session
        self._api_session: aiohttp.ClientSession | None = None
        self._storage_session: aiohttp.ClientSession | None = None
        self._closed = False

    async def fetch(self, request: Request, decode: Callable[[Answer], T]) -> T:
        """Send a request as often as the policy wants, and decode its answer.

        Args:
            request: What to ask.
            decode: Makes the answer's value, or raises DecodeError.

        Raises:
            KrosaiError: The last attempt's error; its ``attempts`` says how many there were.
        """
        attempts = self.new_attempts(is_repeatable=request.is_repeatable)
        while True:
            outcome = await self._attempt(request, decode, attempts.count + 1)
            if not isinstance(outcome, Failure):
                return outcome
            await attempts.wait_or_raise(outcome)

    def count_requests(self) -> int:
        """How many API requests there have been, every attempt counted."""
        return self._pace.api_requests

    def new_attempts(self, *, is_repeatable: bool = True) -> Attempts:
        """The attempts of one verb, to be counted from now on."""
        return Attempts(self._settings.retry, self._sleep, self._random, is_repeatable=is_repeatable)

    @asynccontextmanager
    async def storage(self, link: str, headers: Mapping[str, str]) -> AsyncIterator[StorageAnswer | Failure]:
        """Ask storage once for what stands behind a link; where no answer came, say why.

        Args:
            link: A presigned link; it goes out byte for byte, for its signature covers every one of them.
            headers: What to send besides; nothing of the API's ever goes to storage.
        """
        async with self._pace.storage_request():
            response = await self._ask_storage(URL(link, encoded=True), headers)
            if isinstance(response, Failure):
                yield response
                return
            async with response:
                yield StorageAnswer(response)

    async def _ask_storage(self, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse | Failure:
        try:
            return await self._open_storage_session().get(
                url,
                headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity", **headers},
                **self._options(url),
            )
        except _FAULTS as fault:
            return _failure(fault, f"GET {without_query(str(url))}")

    async def aclose(self) -> None:
        """Close what was opened here; a second call does nothing."""
        self._closed = True
        for session in (self._api_session, self._storage_session):
            if session is not None and session is not self._lent_session:
                await session.close()

    async def _attempt(self, request: Request, decode: Callable[[Answer], T], number: int) -> T | Failure:
        settings = self._settings
        try:
            async with self._pace.api_request(), asyncio.timeout(settings.timeout_seconds):
                answer = await self._exchange(request, number)
            error = refusal(answer, secret=settings.api_key.reveal())
            return decode(answer) if error is None else Failure(FailureKind.REFUSED, error)
        except DecodeError as unreadable:
            return Failure(FailureKind.GARBLED, unreadable)
        except _FAULTS as fault:
            return _failure(fault, f"{request.endpoint.method} {settings.base_url}{request.path}")

    async def _exchange(self, request: Request, number: int) -> Answer:
        url = URL(f"{self._settings.base_url}{request.path}", encoded=True)
        session = self._open_api_session()
        async with session.request(
            request.endpoint.method,
            url.with_query({**self._settings.default_query, **request.query}),
            headers=self._api_headers(request),
            **self._options(url),
        ) as response:
            headers = _plain_headers(response)
            answer = Answer(request.endpoint.method, str(url), response.status, headers, attempt=number)
            return await self._with_body(answer, response)

    async def _with_body(self, answer: Answer, response: aiohttp.ClientResponse) -> Answer:
        most = self._settings.max_response_bytes
        body = bytearray()
        try:
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > most:
                    response.close()
                    raise BodyEncodingError(f"more than {most} bytes", "too large")
            encoding = answer.headers.get("content-encoding", "")
            return evolve(answer, body=decompressed(bytes(body), encoding, max_bytes=most))
        except BodyEncodingError as fault:
            if not answer.is_success:
                return answer  # its status says enough
            raise undecodable(answer, fault.reason, str(fault)) from None

    def _api_headers(self, request: Request) -> dict[str, str]:
        settings = self._settings
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": _USER_AGENT,
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

    def _open_api_session(self) -> aiohttp.ClientSession:
        self._require_open()
        if self._api_session is None:
            self._api_session = self._lent_session or self._new_session()
        return self._api_session

    def _open_storage_session(self) -> aiohttp.ClientSession:
        self._require_open()
        if self._storage_session is None:
            lent = self._lent_session
            self._storage_session = self._new_session(connector=lent.connector if lent else None)
        return self._storage_session

    @staticmethod
    def _new_session(connector: aiohttp.BaseConnector | None = None) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            # The pace bounds what is under way; a second bound here would only count as a timeout.
            connector=connector or aiohttp.TCPConnector(limit=0),
            connector_owner=connector is None,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def _options(self, url: URL) -> _Options:
        """What holds for every request, spelt out because a lent session has defaults of its own."""
        return {
            "allow_redirects": False,
            "auto_decompress": False,
            "middlewares": (_without_hidden_repeat,),
            "proxy": self._settings.proxy or environment_proxy(url),
            "ssl": self._settings.ssl_context or True,
            "timeout": aiohttp.ClientTimeout(
                total=None,
                sock_connect=self._settings.connect_timeout_seconds,
                sock_read=self._settings.read_timeout_seconds,
            ),
        }

    def _require_open(self) -> None:
        if self._closed:
            raise ClientStateError("the client is closed: make a new one")


class _Options(TypedDict):
    allow_redirects: bool
    auto_decompress: bool
    middlewares: tuple[aiohttp.ClientMiddlewareType, ...]
    proxy: str | None
    ssl: ssl.SSLContext | bool
    timeout: aiohttp.ClientTimeout


async def _without_hidden_repeat(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # At these two faults aiohttp sends a GET once more by itself; an attempt is to be one request on the wire.
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as lost:
        number = lost.errno if isinstance(lost, OSError) else None
    raise _ConnectionLost(number)


def _failure(fault: Exception, where: str) -> Failure:
    """What a fault of aiohttp or of the system means, in our words; the fault itself is left behind."""
    kind, words = _meaning(fault)
    error_class = RequestTimeoutError if kind is FailureKind.TIMED_OUT else ConnectionFailedError
    if isinstance(fault, aiohttp.ConnectionTimeoutError):
        error_class = RequestTimeoutError
    error = error_class(f"{where}: {words}")
    error.sent = kind not in (FailureKind.NEVER_SENT, FailureKind.UNTRUSTED)
    number = getattr(fault, "errno", None)
    if isinstance(number, int):
        error.errno = number
    return Failure(kind, error)


def _meaning(fault: Exception) -> tuple[FailureKind, str]:
    match fault:  # the order matters: a bad certificate is a connector error too
        case aiohttp.ClientConnectorCertificateError():
            return FailureKind.UNTRUSTED, "the server's certificate is not trusted"
        case aiohttp.ClientConnectorDNSError():
            return FailureKind.NEVER_SENT, "the host's name does not resolve; is the base URL right?"
        case aiohttp.ConnectionTimeoutError():
            return FailureKind.NEVER_SENT, "no connection came about in time"
        case aiohttp.ClientHttpProxyError():
            return FailureKind.UNTRUSTED, f"the proxy answered {fault.status}"
        case aiohttp.ClientConnectorError():
            return FailureKind.NEVER_SENT, f"no connection: {_system_words(fault)}"
        case TimeoutError():
            return FailureKind.TIMED_OUT, "no complete answer in time"
        case aiohttp.ClientPayloadError():
            return FailureKind.LOST, "the answer was cut short"
        case aiohttp.ClientResponseError():
            # Whatever its status says: that is aiohttp's, for an answer that its parser did not take.
            return FailureKind.GARBLED, "the answer is no valid HTTP"
        case _:
            return FailureKind.LOST, f"the connection was lost: {_system_words(fault)}"


def _system_words(fault: Exception) -> str:
    number = getattr(fault, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else "closed without an answer"


def _plain_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
