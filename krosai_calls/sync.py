"""``CallsClient``: the verbs of ``AsyncCallsClient`` for callers that block. It decides nothing itself."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from krosai_calls._arguments import When
from krosai_calls._blocking import BlockingCallIterator, BlockingPageIterator, BlockingRecordingStream
from krosai_calls._findings import VerifyReport
from krosai_calls._incoming import Progress
from krosai_calls._portal import Portal
from krosai_calls._retry import RetryPolicy
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

C = TypeVar("C")


def _documented_by(twin: type) -> Callable[[type[C]], type[C]]:
    """Give each verb its twin's words, for ``help`` and notebooks; in the source, the first line is enough."""

    def document(client: type[C]) -> type[C]:
        for name, verb in vars(client).items():
            words = getattr(twin, name).__doc__ if hasattr(twin, name) else None
            if words and not name.startswith("_"):
                verb.__doc__ = words.replace("contextlib.aclosing", "contextlib.closing")
        return client

    return document


@_documented_by(AsyncCallsClient)
class CallsClient:
    """KrosAI's Calls API, for scripts and notebooks.

    Each verb runs the very coroutine of ``AsyncCallsClient``, which documents it, on an event loop in a thread of
    its own; so it works inside a running loop too, and from any thread. ``progress`` and ``on_event`` are called
    on the loop's thread: they hold everything up while they run, and must not call the client.

    The thread starts with the first call and ends with ``close``, with the client or with the process. Where one
    thread closes the client, what others wait for ends with ``ClientStateError``. Ctrl-C cancels the call that is
    waited for, gives it up to five seconds to tidy up, and is raised.

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
        return BlockingCallIterator(BlockingPageIterator(self._portal, calls.pages))

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
    ) -> BlockingPageIterator:
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
        return BlockingPageIterator(self._portal, pages)

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

    def stream_recording(self, call: Call | str) -> AbstractContextManager[BlockingRecordingStream]:
        """A recording's bytes as they arrive, for passing them on."""
        wrap = partial(BlockingRecordingStream, self._portal)
        return self._portal.enter(self._client.stream_recording(call), wrap)

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
        late_hours: float = 24.0,
        dry_run: bool = False,
        repair: VerifyReport | None = None,
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
            late_hours=late_hours,
            dry_run=dry_run,
            repair=repair,
        )
