"""A client from its settings to its end; the verbs are in ``client.py``."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from krosai_calls._pace import Pace
from krosai_calls._retry import RetryPolicy
from krosai_calls._service import CallsService
from krosai_calls._sessions import most_connections
from krosai_calls._text import Secret
from krosai_calls._transport import Transport
from krosai_calls.observing import Event
from krosai_calls.settings import ClientSettings

if TYPE_CHECKING:
    import aiohttp


class ClientLifetime:
    """What a client is made of, and how it is closed.

    Args:
        api_key: The key; else the environment's ``KROSAI_API_KEY``.
        base_url: The API's address; else ``KROSAI_BASE_URL``, else the service's own.
        auth_scheme: How the key is sent: ``x-api-key`` or ``bearer``.
        organization_id: Sent as ``x-organization-id``.
        timeout_seconds: The longest that one API exchange may take, all told.
        connect_timeout_seconds: The longest that a connection may take to come about.
        read_timeout_seconds: The longest silence inside a recording; a recording as a whole has no limit.
        retry: How often and how patiently a request is repeated.
        max_concurrency: Requests under way at once, pages and recordings together.
        requests_per_second: A ceiling of your own on API requests; they are spaced, not sent in bursts.
        max_requests: A budget of API requests for this client's life; each attempt counts, storage does not.
        max_response_bytes: The largest JSON body that is read.
        allow_insecure_http: Whether plain http to a public host is allowed; it shows the key on the way.
        default_headers: Added to every API request, never to storage.
        default_query: Added to every API request, never to storage.
        on_event: Called with small records of ``krosai_calls.observing`` as things happen, for metrics and traces.
        session: A session of yours for the API, never closed here; storage uses its connector alone.
        proxy: A proxy's address; else the environment's.
        ssl_context: What certificates to trust; else the system's.

    Raises:
        SettingsError: A setting is missing or cannot work.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        auth_scheme: str = "x-api-key",
        organization_id: str | None = None,
        timeout_seconds: float = 30.0,
        connect_timeout_seconds: float = 10.0,
        read_timeout_seconds: float = 30.0,
        retry: RetryPolicy | None = None,
        max_concurrency: int = 16,
        requests_per_second: float | None = None,
        max_requests: int | None = None,
        max_response_bytes: int = 16 * 2**20,
        allow_insecure_http: bool = False,
        on_event: Callable[[Event], object] | None = None,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, str] | None = None,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        # First of all, while there are no locals but the arguments: each goes to the setting of its name.
        given = {name: value for name, value in locals().items() if name not in ("self", "session", "on_event")}
        given["api_key"] = Secret.of(api_key)
        del api_key  # whatever is raised from here on, its traceback is not to show it
        self._settings = ClientSettings.resolve(**given)
        self._pace = Pace(
            max_concurrency=max_concurrency,
            requests_per_second=requests_per_second,
            max_requests=max_requests,
            most_connections=most_connections(session),
        )
        self._transport = Transport(self._settings, self._pace, session=session, on_event=on_event)
        self._service = CallsService(
            self._transport, api_url=self._settings.base_url, most_at_once=max_concurrency
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what the client has opened; a second call does nothing."""
        await self._transport.aclose()
        self._service.recordings.close()
