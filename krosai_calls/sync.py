"""``CallsClient``: the verbs of ``AsyncCallsClient`` for callers that block. It decides nothing itself."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType

from krosai_calls._arguments import When
from krosai_calls._download import Progress
from krosai_calls._portal import Portal, PortalIterator
from krosai_calls._retry import RetryPolicy
from krosai_calls._streams import RecordingStream
from krosai_calls._text import Secret
from krosai_calls.archive import ArchiveProgress, ArchiveReport
from krosai_calls.client import AsyncCallsClient
from krosai_calls.models import (
    Call,
    CallDirection,
    CallEvent,
    CallStats,
    CallStatus,
    Download,
    HangupResult,
    Page,
    RecordingLink,
)
from krosai_calls.observing import Event


class CallsClient:
    """KrosAI's Calls API, for scripts and notebooks.

    Each verb runs the very coroutine of ``AsyncCallsClient``, which documents it, on an event loop in a thread of
    its own; so it works inside a running loop too, and from any thread. Callbacks run on the loop's thread and
    must not call the client.

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
        on_event: Called with small records of ``krosai_calls.observing`` as things happen, for metrics and traces.
        default_headers: Added to every API request, never to storage.
        default_query: Added to every API request, never to storage.
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
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        # First of all, while there are no locals but the arguments.
        given = {name: value for name, value in locals().items() if name != "self"}
        given["api_key"] = Secret.of(api_key)
        del api_key  # whatever is raised from here on, its traceback is not to show it
        self._client = AsyncCallsClient(**given)
        self._portal = Portal(last=self._client.aclose)

    def __enter__(self) -> CallsClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what the client has opened; a second call does nothing."""
        self._portal.close()

    def list_calls(
        self,
        *,
        status: CallStatus | str | None = None,
        direction: CallDirection | str | None = None,
        phone_number_id: str | None = None,
        endpoint_id: str | None = None,
        from_date: When = None,
        to_date: When = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Page:
        """One page of the call history."""
        return self._portal.run(
            self._client.list_calls,
            status=status,
            direction=direction,
            phone_number_id=phone_number_id,
            endpoint_id=endpoint_id,
            from_date=from_date,
            to_date=to_date,
            limit=limit,
            offset=offset,
        )

    def iter_calls(
        self,
        *,
        status: CallStatus | str | None = None,
        direction: CallDirection | str | None = None,
        phone_number_id: str | None = None,
        endpoint_id: str | None = None,
        from_date: When = None,
        to_date: When = None,
        max_items: int | None = None,
        page_size: int = 100,
    ) -> BlockingCallIterator:
        """Every call that matches, each once and in the service's order."""
        calls = self._client.iter_calls(
            status=status,
            direction=direction,
            phone_number_id=phone_number_id,
            endpoint_id=endpoint_id,
            from_date=from_date,
            to_date=to_date,
            max_items=max_items,
            page_size=page_size,
        )
        return BlockingCallIterator(self._portal.iterate(calls.pages))

    def iter_pages(
        self,
        *,
        status: CallStatus | str | None = None,
        direction: CallDirection | str | None = None,
        phone_number_id: str | None = None,
        endpoint_id: str | None = None,
        from_date: When = None,
        to_date: When = None,
        page_size: int = 100,
    ) -> PortalIterator[list[Call]]:
        """The same calls as ``iter_calls`` gives, a list at a time, as the pages come; no list is empty."""
        pages = self._client.iter_pages(
            status=status,
            direction=direction,
            phone_number_id=phone_number_id,
            endpoint_id=endpoint_id,
            from_date=from_date,
            to_date=to_date,
            page_size=page_size,
        )
        return self._portal.iterate(pages)

    def get_call(self, call_id: str) -> Call:
        """One call in full."""
        return self._portal.run(self._client.get_call, call_id)

    def get_stats(
        self,
        *,
        phone_number_id: str | None = None,
        endpoint_id: str | None = None,
        from_date: When = None,
        to_date: When = None,
    ) -> CallStats:
        """Aggregated figures over the calls that match."""
        return self._portal.run(
            self._client.get_stats,
            phone_number_id=phone_number_id,
            endpoint_id=endpoint_id,
            from_date=from_date,
            to_date=to_date,
        )

    def list_events(self, call_id: str) -> list[CallEvent]:
        """The timeline of a call, oldest first."""
        return self._portal.run(self._client.list_events, call_id)

    def watch_events(self, call_id: str, *, poll_seconds: float = 1.0) -> Iterator[CallEvent]:
        """Each event of a call once, as it appears, until the call has ended and its last ones were given."""
        return self._portal.iterate(self._client.watch_events(call_id, poll_seconds=poll_seconds))

    def wait_until_ended(
        self, call_id: str, *, timeout_seconds: float | None = None, poll_seconds: float = 1.0
    ) -> Call:
        """The call as it stands once it has ended, however that was."""
        waits = self._client.wait_until_ended
        return self._portal.run(waits, call_id, timeout_seconds=timeout_seconds, poll_seconds=poll_seconds)

    def hang_up(self, call_id: str) -> HangupResult:
        """End a call that is going on."""
        return self._portal.run(self._client.hang_up, call_id)

    def get_recording(self, call_id: str) -> RecordingLink:
        """A fresh link to a call's recording, good for an hour."""
        return self._portal.run(self._client.get_recording, call_id)

    def stream_recording(self, call: Call | str) -> BlockingRecordingStream:
        """A recording's bytes as they arrive, for passing them on."""
        return BlockingRecordingStream(self._portal, self._client.stream_recording(call))

    def download_recording(
        self, call: Call | str, path: str | Path, *, progress: Progress | None = None
    ) -> Download:
        """Save a call's recording; the file has its name only when it is whole."""
        return self._portal.run(self._client.download_recording, call, path, progress=progress)

    def download_transcript(self, call: Call | str, path: str | Path) -> Path:
        """Save a call's transcript as a text file in UTF-8."""
        return self._portal.run(self._client.download_transcript, call, path)

    def archive(
        self,
        directory: str | Path,
        *,
        status: CallStatus | str | None = None,
        direction: CallDirection | str | None = None,
        phone_number_id: str | None = None,
        endpoint_id: str | None = None,
        from_date: When = None,
        to_date: When = None,
        recordings: bool = True,
        transcripts: bool = True,
        events: bool = False,
        progress: ArchiveProgress | None = None,
        max_bytes: int | None = None,
        max_seconds: float | None = None,
        dry_run: bool = False,
    ) -> ArchiveReport:
        """Bring a folder up to the call history: recordings, transcripts and ``catalog.sqlite``."""
        return self._portal.run(
            self._client.archive,
            directory,
            status=status,
            direction=direction,
            phone_number_id=phone_number_id,
            endpoint_id=endpoint_id,
            from_date=from_date,
            to_date=to_date,
            recordings=recordings,
            transcripts=transcripts,
            events=events,
            progress=progress,
            max_bytes=max_bytes,
            max_seconds=max_seconds,
            dry_run=dry_run,
        )


class BlockingCallIterator(Iterator[Call]):
    """The calls of a listing one by one; ``close`` ends it early, and after an error it goes on."""

    def __init__(self, pages: PortalIterator[list[Call]]) -> None:
        # Not itertools.chain: an error would finish it.
        self._pages = pages
        self._page: Iterator[Call] = iter(())

    def __next__(self) -> Call:
        """The next call."""
        while True:
            for call in self._page:
                return call
            self._page = iter(next(self._pages))

    def close(self) -> None:
        """End the listing; whatever was under way for it is given up."""
        self._page = iter(())
        self._pages.close()


class BlockingRecordingStream:
    """A recording's bytes as they arrive: open it with ``with``, and iterate it.

    Attributes:
        size_bytes: The length of the whole.
        content_type: What storage says it is, or None.
    """

    size_bytes: int
    content_type: str | None

    def __init__(self, portal: Portal, opening: AbstractAsyncContextManager[RecordingStream]) -> None:
        self._portal = portal
        self._opening = opening
        self._pieces: Iterator[bytes] = iter(())

    def __enter__(self) -> BlockingRecordingStream:
        stream = self._portal.run(self._enter)
        self.size_bytes, self.content_type = stream.size_bytes, stream.content_type
        self._pieces = self._portal.iterate(_pieces(stream))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._portal.run(self._exit)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    async def _enter(self) -> RecordingStream:
        return await self._opening.__aenter__()

    async def _exit(self) -> None:
        await self._opening.__aexit__(None, None, None)


async def _pieces(stream: RecordingStream) -> AsyncGenerator[bytes, None]:
    async for piece in stream:
        yield piece
