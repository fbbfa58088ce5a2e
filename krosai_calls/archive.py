"""A history of calls to a folder: recordings, transcripts and a catalogue.

The job knows calls, paths and counts; where calls and recordings come from is behind ``CallSource``. A page is
in the catalogue before any of its recordings is asked for, and a file under its final name is whole, so that a
run may be killed at any moment: the next one skips what is there and does the rest.
"""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import attrs
from attrs import frozen

from krosai_calls._callbacks import tell
from krosai_calls._download import is_transcript, run_to_the_end, write_transcript
from krosai_calls._files import make_folder
from krosai_calls._names import recording_path, transcript_path
from krosai_calls._prospects import Prospect, recording_prospect, transcript_prospect
from krosai_calls._seams import ListedPage
from krosai_calls._workers import run_workers
from krosai_calls.catalog import Catalog
from krosai_calls.errors import (
    ArchiveError,
    AuthenticationError,
    ClientStateError,
    KrosaiError,
    LocalFileError,
    RateLimitedError,
    RecordingGoneError,
    RecordingNotReadyError,
    RequestBudgetExceededError,
)
from krosai_calls.models import Call, CallEvent, Download

_RECORDING_COUNTS = {Prospect.PENDING: "recordings_pending", Prospect.GONE: "recordings_gone"}
_TRANSCRIPT_COUNTS = {Prospect.PENDING: "transcripts_pending", Prospect.GONE: "transcripts_missing"}

# More of the same would follow from every further file.
_DISK_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


@frozen
class ArchiveFailure:
    """One thing that a run could not do; the next run tries it again.

    Attributes:
        call_id: The call.
        kind: ``recording``, ``transcript``, ``events`` or ``row``.
        reason: Why, in a sentence.
    """

    call_id: str
    kind: str
    reason: str


@frozen(kw_only=True)
class ArchiveReport:
    """What a run has done.

    Attributes:
        calls_total: How many calls match, as the service says; None where it does not.
        calls_seen: Calls that the listing gave.
        calls_new: Of these, calls that the catalogue did not have.
        calls_updated: Of these, calls that the catalogue had otherwise.
        recordings_saved: Recordings fetched in this run.
        recordings_present: Recordings that were there already.
        recordings_pending: Recordings that may still appear: the call goes on, or has just ended.
        recordings_gone: Recordings past their retention.
        recordings_failed: Recordings that could not be fetched.
        transcripts_saved: Transcripts written in this run.
        transcripts_present: Transcripts that were there already.
        transcripts_pending: Transcripts that may still appear.
        transcripts_missing: Connected calls that have no transcript and get none any more.
        transcripts_failed: Transcripts that could not be written.
        bytes_downloaded: Bytes of the recordings fetched in this run.
        requests: API requests made in this run.
        seconds: How long the run took.
        failures: What could not be done, and why.
    """

    calls_total: int | None = None
    calls_seen: int = 0
    calls_new: int = 0
    calls_updated: int = 0
    recordings_saved: int = 0
    recordings_present: int = 0
    recordings_pending: int = 0
    recordings_gone: int = 0
    recordings_failed: int = 0
    transcripts_saved: int = 0
    transcripts_present: int = 0
    transcripts_pending: int = 0
    transcripts_missing: int = 0
    transcripts_failed: int = 0
    bytes_downloaded: int = 0
    requests: int = 0
    seconds: float = 0.0
    failures: tuple[ArchiveFailure, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return attrs.asdict(self)


ArchiveProgress: TypeAlias = Callable[[ArchiveReport], object]


@frozen
class CallSource:
    """Where an archive's calls come from: all that the job knows of a client.

    Attributes:
        pages: Starts the listing.
        save_recording: Brings one recording to its file.
        list_events: Gives one call's timeline.
        count_requests: Tells how many API requests there have been.
    """

    pages: Callable[[], AsyncGenerator[ListedPage, None]]
    save_recording: Callable[[Call, Path], Awaitable[Download]]
    list_events: Callable[[str], Awaitable[list[CallEvent]]]
    count_requests: Callable[[], int]


@frozen
class ArchiveOrder:
    """What a run is to do.

    Attributes:
        directory: The archive's folder.
        recordings: Whether recordings are fetched.
        transcripts: Whether transcripts are written.
        events: Whether timelines are fetched; that is one request a call.
        workers: How many files are in work at once.
        progress: Called with the report so far whenever it has changed, on the loop's thread.
    """

    directory: Path
    recordings: bool = True
    transcripts: bool = True
    events: bool = False
    workers: int = 16
    progress: ArchiveProgress | None = None


async def archive_calls(source: CallSource, order: ArchiveOrder) -> ArchiveReport:
    """Bring a folder up to what the source has.

    Args:
        source: Where the calls come from.
        order: What to do.

    Returns:
        What was done; one call's failure stands in it and stops nothing.

    Raises:
        RequestBudgetExceededError: The requests are used up; what was fetched is whole, ``report`` tells it.
        AuthenticationError: The key is refused.
        ArchiveError: The folder or its catalogue cannot be used, or the disk is full.
    """
    try:
        make_folder(order.directory)
    except OSError as fault:
        raise ArchiveError(f"{order.directory} cannot be used: {fault.strerror}") from fault
    run = _Run(source, order)
    async with Catalog(order.directory) as catalog:
        try:
            await run_workers(run.feed(catalog), run.do, count=order.workers)
        except RequestBudgetExceededError as used_up:
            used_up.report = run.report()
            raise
    return run.report()


@frozen
class _Job:
    """One file to be made, or one timeline to be fetched."""

    kind: str
    call: Call
    path: Path
    catalog: Catalog


class _Run:
    """One run: the tally, and the steps that change it."""

    def __init__(self, source: CallSource, order: ArchiveOrder) -> None:
        self._source = source
        self._order = order
        self._tally: Counter[str] = Counter()
        self._total: int | None = None
        self._failures: list[ArchiveFailure] = []
        self._started_at = time.monotonic()
        self._requests_before = source.count_requests()

    def report(self) -> ArchiveReport:
        """What has been done so far."""
        return ArchiveReport(
            **self._tally,
            calls_total=self._total,
            requests=self._source.count_requests() - self._requests_before,
            seconds=time.monotonic() - self._started_at,
            failures=tuple(self._failures),
        )

    async def feed(self, catalog: Catalog) -> AsyncGenerator[_Job, None]:
        """Walk the listing: each page goes into the catalogue first, and then its jobs come out."""
        try:
            async with aclosing(self._source.pages()) as pages:
                async for page in pages:
                    await self._catalogue(page, catalog)
                    for call in page.calls:
                        for job in self._jobs(call, catalog):
                            yield job
        except RateLimitedError as refused:
            raise _used_up(refused) from refused

    async def _catalogue(self, page: ListedPage, catalog: Catalog) -> None:
        saved = await catalog.save_calls(page.calls)
        self._total = page.total
        self._count(calls_seen=len(page.calls), calls_new=saved.new, calls_updated=saved.updated)
        for bad_row in page.bad_rows:
            self._fail("row", bad_row.path, bad_row)

    def _jobs(self, call: Call, catalog: Catalog) -> Iterator[_Job]:
        order, now = self._order, datetime.now(UTC)
        if order.recordings:
            path = order.directory / recording_path(call.id, call.created_at)
            prospect = recording_prospect(call, now)
            if path.is_file():  # its name says that it is whole
                self._count(recordings_present=1)
            elif prospect is Prospect.READY:
                yield _Job("recording", call, path, catalog)
            elif prospect in _RECORDING_COUNTS:
                self._count(**{_RECORDING_COUNTS[prospect]: 1})
        if order.transcripts:
            path = order.directory / transcript_path(call.id, call.created_at)
            prospect = transcript_prospect(call, now)
            if prospect is Prospect.READY and not is_transcript(path, call.transcript or ""):
                yield _Job("transcript", call, path, catalog)
            elif prospect is Prospect.READY:
                self._count(transcripts_present=1)
            elif prospect in _TRANSCRIPT_COUNTS:
                self._count(**{_TRANSCRIPT_COUNTS[prospect]: 1})
        if order.events:
            yield _Job("events", call, order.directory, catalog)

    async def do(self, job: _Job) -> None:
        """Do one job; what goes wrong with it alone goes into the report."""
        try:
            await self._work_of(job)
        except (ArchiveError, AuthenticationError, ClientStateError, RequestBudgetExceededError):
            raise
        except RateLimitedError as refused:
            raise _used_up(refused) from refused
        except LocalFileError as fault:
            if fault.errno in _DISK_FAULTS:
                raise ArchiveError(f"{fault}: what was saved is kept; make room and run again") from fault
            self._fail(job.kind, job.call.id, fault)
        except KrosaiError as fault:
            self._fail(job.kind, job.call.id, fault)

    async def _work_of(self, job: _Job) -> None:
        match job.kind:
            case "recording":
                await self._save_recording(job)
            case "transcript":
                text = job.call.transcript or ""
                await run_to_the_end(lambda: write_transcript(job.call.id, text, job.path))
                self._count(transcripts_saved=1)
            case _:
                await job.catalog.save_events(job.call.id, await self._source.list_events(job.call.id))

    async def _save_recording(self, job: _Job) -> None:
        try:
            download = await self._source.save_recording(job.call, job.path)
        except RecordingGoneError:
            self._count(recordings_gone=1)
        except RecordingNotReadyError:
            self._count(recordings_pending=1)
        else:
            self._count(recordings_saved=1, bytes_downloaded=download.size_bytes)

    def _fail(self, kind: str, call_id: str, fault: KrosaiError) -> None:
        self._failures.append(ArchiveFailure(call_id, kind, str(fault)))
        self._count(**({f"{kind}s_failed": 1} if kind in ("recording", "transcript") else {}))

    def _count(self, **more: int) -> None:
        self._tally.update(more)
        if self._order.progress is not None:
            tell(self._order.progress, self.report())


def _used_up(refused: RateLimitedError) -> RequestBudgetExceededError:
    when = "later" if refused.retry_after is None else f"in {refused.retry_after:.0f} seconds"
    return RequestBudgetExceededError(
        f"the service takes no more requests for now: what was fetched is kept; run again {when}",
        retry_after=refused.retry_after,
    )
