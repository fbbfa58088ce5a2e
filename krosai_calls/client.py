"""``AsyncCallsClient``: the whole public surface, for callers inside an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import attrs

from krosai_calls import _arguments, _listing
from krosai_calls._arguments import When
from krosai_calls._findings import VerifyReport
from krosai_calls._incoming import Progress
from krosai_calls._lifetime import ClientLifetime
from krosai_calls._streams import RecordingStream
from krosai_calls.archive import ArchiveOrder, ArchiveProgress, ArchiveReport, archive_calls
from krosai_calls.errors import DecodeError
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


class AsyncCallsClient(ClientLifetime):
    """KrosAI's Calls API, for callers inside an event loop.

    Making a client does no I/O; connections are opened by the first verb and closed by ``aclose`` or by leaving
    ``async with``. Every verb may raise, besides what it documents: ``ConnectionFailedError`` where no usable
    answer came, ``ApiError`` and its subclasses where the service refused, ``DecodeError`` where the answer is
    not what the contract says, ``RequestBudgetExceededError`` where ``max_requests`` is used up,
    ``InvalidArgumentError`` before any request, and ``ClientStateError`` once the client is closed.
    """

    async def list_calls(
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
        """One page of the call history.

        Args:
            status: Only calls that stand like this.
            direction: Only inbound or only outbound calls.
            phone_number_id: Only calls over this number of the account.
            endpoint_id: Only calls that this endpoint handled.
            from_date: Only calls created then or later; an aware datetime, a date (its first moment, UTC) or an
                ISO 8601 text.
            to_date: Only calls created then or earlier; a date means its last moment, UTC.
            limit: Calls on the page at most, 1 to 100.
            offset: Calls to pass over.

        Raises:
            DecodeError: The answer is no page, or one of its rows has no id.
        """
        filters = _arguments.filters_of(status, direction, phone_number_id, endpoint_id, from_date, to_date)
        page, rows = await self._service.get_page(_arguments.list_request(filters, limit=limit, offset=offset))
        for row in rows:
            if isinstance(row, DecodeError):
                raise row
        return page

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
    ) -> _listing.CallIterator:
        """Every call that matches, each once and in the service's order.

        Pages are asked for several at a time, and only as far as the iterator is read: nothing before the first
        step, and never more than ``max_concurrency`` pages ahead. Leave it early with ``contextlib.aclosing`` to
        be sure that what is under way ends then and there.

        A call that matches all the while is given exactly once, whatever is created, deleted or changed meanwhile;
        one that comes or goes meanwhile may be given or not, a little out of its place. An error comes after
        the calls before it, and does not finish the iterator: iterating it again goes on with the next call.

        Args:
            status, direction, phone_number_id, endpoint_id, from_date, to_date: As in ``list_calls``.
            max_items: Stop after so many calls; None for all.
            page_size: Calls asked for at once, 1 to 100. Each page but the first repeats a call of the one before.

        Raises:
            DecodeError: A row has no id; going on passes it over.
            ListingInconsistentError: The listing cannot be vouched for any more: the service keeps to no order,
                ignores the offset, or calls come and go faster than they can be listed.
        """
        filters = _arguments.filters_of(status, direction, phone_number_id, endpoint_id, from_date, to_date)
        return _listing.CallIterator(self._service.iterate(filters, page_size, max_items))

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
    ) -> _listing.PageIterator:
        """The same calls as ``iter_calls`` gives, a list at a time, as the pages come; no list is empty.

        Args:
            status, direction, phone_number_id, endpoint_id, from_date, to_date: As in ``list_calls``.
            page_size: Calls asked for at once, 1 to 100, and the longest that a list can be.

        Raises:
            DecodeError: A row has no id; going on passes it over.
            ListingInconsistentError: The listing cannot be vouched for any more.
        """
        filters = _arguments.filters_of(status, direction, phone_number_id, endpoint_id, from_date, to_date)
        return self._service.iterate(filters, page_size)

    async def get_call(self, call_id: str) -> Call:
        """One call in full.

        Args:
            call_id: The call.

        Raises:
            NotFoundError: There is no such call.
        """
        return await self._service.get_call(call_id)

    async def get_stats(
        self,
        *,
        phone_number_id: str | None = None,
        endpoint_id: str | None = None,
        from_date: When = None,
        to_date: When = None,
    ) -> CallStats:
        """Aggregated figures over the calls that match.

        Args:
            phone_number_id, endpoint_id, from_date, to_date: As in ``list_calls``.
        """
        filters = _arguments.filters_of(None, None, phone_number_id, endpoint_id, from_date, to_date)
        return await self._service.get_stats(filters)

    async def list_events(self, call_id: str) -> list[CallEvent]:
        """The timeline of a call, oldest first.

        Args:
            call_id: The call.

        Raises:
            NotFoundError: There is no such call.
        """
        return await self._service.list_events(call_id)

    def watch_events(self, call_id: str, *, poll_seconds: float = 1.0) -> AsyncGenerator[CallEvent, None]:
        """Each event of a call once, as it appears, until the call has ended and its last ones were given.

        What had happened already comes first. A look is one request, for an ended call often the only one; what is
        made of a call after its end, such as its recording, is not waited for. Leave it early with
        ``contextlib.aclosing``.

        Args:
            call_id: The call.
            poll_seconds: The time between two looks, 0.001 to 3600.

        Raises:
            NotFoundError: There is no such call.
        """
        return self._service.watch_events(call_id, poll_seconds)

    async def wait_until_ended(
        self, call_id: str, *, timeout_seconds: float | None = None, poll_seconds: float = 1.0
    ) -> Call:
        """The call as it stands once it has ended, however that was.

        Args:
            call_id: The call.
            timeout_seconds: How long to wait at most, retries and all; None for as long as it takes.
            poll_seconds: The time between two looks, 0.001 to 3600; a look is one request.

        Raises:
            RequestTimeoutError: It goes on after that time; it is a TimeoutError, too.
            NotFoundError: There is no such call.
        """
        return await self._service.wait_until_ended(call_id, timeout_seconds, poll_seconds)

    async def hang_up(self, call_id: str) -> HangupResult:
        """End a call that is going on.

        Where the answer is lost, the call is looked at: one that has ended is a success, and for one that goes on
        the order is repeated. All told it takes about 15 seconds at most.

        Args:
            call_id: The call.

        Raises:
            ConflictError: The call has ended already.
            NotFoundError: There is no such call.
            HangupUncertainError: The order was sent, and nothing tells whether the call has ended.
        """
        return await self._service.hang_up(call_id)

    async def get_recording(self, call_id: str) -> RecordingLink:
        """A fresh link to a call's recording, good for an hour.

        Args:
            call_id: The call.

        Raises:
            NotFoundError: The call has no recording (yet, or any more), or there is no such call.
        """
        return await self._service.get_recording(call_id)

    def stream_recording(self, call: Call | str) -> AbstractAsyncContextManager[RecordingStream]:
        """A recording's bytes as they arrive, for passing them on.

        A connection that breaks is replaced, and an expired link renewed, while the recording is still the same.

        Args:
            call: The call, or its id; a call that carries a link costs no API request.

        Returns:
            A context manager of the stream; iterate it. It raises StreamInterruptedError where it ends short, and
            IntegrityError where what comes is no MP3.

        Raises:
            RecordingNotReadyError: The call has none yet.
            RecordingGoneError: It is past retention, or the call never had one.
            IntegrityError: Nobody says how long it is, or storage and the API disagree.
        """
        return self._service.recordings.stream(_arguments.checked_call(call))

    async def download_recording(
        self, call: Call | str, path: str | Path, *, progress: Progress | None = None
    ) -> Download:
        """Save a call's recording; the file has its name only when it is whole.

        While it comes in it is called ``<path>.part``. Where it is broken off, by whatever, the part stays with a
        record of its version, and the next call for the same recording and path asks only for the rest. A file
        that stands under the path is replaced when the new one is whole.

        Args:
            call: The call, or its id; a call that carries a link costs no API request.
            path: Where to put the MP3; folders that are missing are made.
            progress: Called with (bytes received, bytes in all) as they come, on the loop's thread, ten times a
                second at most; it falls back only where the recording has to be begun again.

        Returns:
            What stands there now: path, size, digest, how much an earlier call had brought, and in ``suspect``
            whether its duration is not the call's.

        Raises:
            RecordingNotReadyError: The call has none yet.
            RecordingGoneError: It is past retention, or the call never had one.
            IntegrityError: What storage sends is not a whole recording, or no MP3.
            StreamInterruptedError: It broke off again and again without anything new; what came is kept.
            LocalFileError: The file cannot be written, or another download to it is under way.
        """
        return await self._service.recordings.save(_arguments.checked_call(call), Path(path), progress)

    async def download_transcript(self, call: Call | str, path: str | Path) -> Path:
        """Save a call's transcript as a text file in UTF-8.

        Args:
            call: The call, or its id; a call that carries its transcript costs no API request.
            path: Where to put it; folders that are missing are made.

        Returns:
            The path written.

        Raises:
            TranscriptUnavailableError: The call has no transcript, or none yet.
            LocalFileError: The file cannot be written.
        """
        return await self._service.save_transcript(call, Path(path))

    async def archive(
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
        """Bring a folder up to the call history: recordings, transcripts and ``catalog.sqlite``.

        It costs a request for a hundred calls; a later run asks for what can have changed, and for what is left.

        Args:
            directory: The folder; it is made where it is missing. The filters are those of ``list_calls``.
            recordings, transcripts, events: Whether they are saved; events are one more request for each call.
            progress: Called with the report so far, on the loop's thread.
            max_bytes, max_seconds: Bytes of recordings after which none is begun; seconds after which it ends.
            late_hours: For how long after a call its recording and transcript may still appear.
            dry_run: Whether it is only foreseen what a run would do: in ``report.plan``, for one request.
            repair: What ``Archive.verify`` has found: only that is fetched again, and what was left.

        Returns:
            What was done, with each call's failure, which stops nothing.

        Raises:
            RequestBudgetExceededError: A limit is reached; ``report`` tells what was done.
            ArchiveError: The folder cannot be used, another run holds it, or the disk is full.
        """
        filters = _arguments.filters_of(status, direction, phone_number_id, endpoint_id, from_date, to_date)
        limits = _arguments.archive_limits(max_bytes=max_bytes, max_seconds=max_seconds, late_hours=late_hours)
        order = ArchiveOrder(Path(directory), recordings, transcripts, events, self._settings.max_concurrency)
        order = attrs.evolve(order, progress=progress, dry_run=dry_run, repair=repair, **limits)
        return await archive_calls(self._service.source(filters), order)
