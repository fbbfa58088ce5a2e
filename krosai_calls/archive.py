"""A history of calls to a folder: recordings, transcripts and a catalogue.

The job knows calls, paths and counts; where calls and recordings come from is behind ``CallSource``. What is
wanted of a call is in the catalogue with its row, before any of it is asked for, and a file under its final name
is whole: a run may be killed at any moment, and the next one does the rest. What a run lists is only what can have
changed (``_increments``).
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from pathlib import Path

from attrs import frozen

from krosai_calls._archive_lock import held
from krosai_calls._download import local_errors, write_transcript
from krosai_calls._files import digest_of_file, make_folder
from krosai_calls._holdings import EVENTS, RECORDING, TRANSCRIPT, Outcome, Saved, key_of
from krosai_calls._increments import BEGINNING, END, Progress, Span, Walk, look_ahead
from krosai_calls._json import encode_json
from krosai_calls._names import recording_name, transcript_name
from krosai_calls._prospects import State, urgency
from krosai_calls._report import ArchiveFailure, ArchivePlan, ArchiveProgress, ArchiveReport
from krosai_calls._scope import Scope, threatened
from krosai_calls._seams import ListedPage
from krosai_calls._tally import ArchiveOrder, CallSource, Tally, foresee
from krosai_calls._threads import run_to_the_end
from krosai_calls._workers import run_workers
from krosai_calls.catalog import FILE_NAME, Catalog
from krosai_calls.errors import (
    ArchiveError,
    AuthenticationError,
    ClientStateError,
    KrosaiError,
    LocalFileError,
    NotFoundError,
    RateLimitedError,
    RecordingGoneError,
    RecordingNotReadyError,
    RequestBudgetExceededError,
)
from krosai_calls.models import Call

__all__ = [
    "ArchiveFailure",
    "ArchiveOrder",
    "ArchivePlan",
    "ArchiveProgress",
    "ArchiveReport",
    "CallSource",
    "archive_calls",
]

# More of the same would follow from every further file.
_DISK_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
_FATAL = (ArchiveError, AuthenticationError, ClientStateError, RequestBudgetExceededError)
# Jobs that wait for a worker, so that those that cannot wait come first.
MOST_JOBS_WAITING = 1000


async def archive_calls(source: CallSource, order: ArchiveOrder) -> ArchiveReport:
    """Bring a folder up to what the source has.

    Args:
        source: Where the calls come from.
        order: What to do.

    Returns:
        What was done; one call's failure stands in it and stops nothing.

    Raises:
        RequestBudgetExceededError: A limit is reached; what was fetched is whole, ``report`` tells it.
        AuthenticationError: The key is refused.
        ArchiveError: The folder or its catalogue cannot be used, or the disk is full.
    """
    scope = Scope.of(source.query, order.kinds)
    if order.dry_run and not (order.directory / FILE_NAME).exists():
        return await foresee(source, order, scope, None)
    try:
        make_folder(order.directory)
    except OSError as fault:
        raise ArchiveError(f"{order.directory} cannot be used: {fault.strerror}") from fault
    with held(order.directory):
        async with Catalog(order.directory, order.clock) as catalog:
            if order.dry_run:
                return await foresee(source, order, scope, catalog)
            if order.repair is not None:
                await catalog.mark_wanted(order.repair.findings)
            return await _Run(source, order, scope, catalog).run()


@frozen
class _Job:
    """One file to be made, one timeline to be fetched, or one call to be looked at again.

    Attributes:
        kind: ``recording``, ``transcript``, ``events`` or ``call``.
        call_id: Whose.
        call: The call; None where it is still to be asked for.
    """

    kind: str
    call_id: str
    call: Call | None = None


class _Run:
    """One run: what it asks for, and what becomes of it."""

    def __init__(self, source: CallSource, order: ArchiveOrder, scope: Scope, catalog: Catalog) -> None:
        self._source = source
        self._order = order
        self._scope = scope
        self._catalog = catalog
        self._tally = Tally(source, order)
        self._left_out = False
        # What waits or is in work: where two walks show a call, it is done once.
        self._jobs: set[tuple[str, str]] = set()

    async def run(self) -> ArchiveReport:
        """Do all that is to be done, and write down how it ended."""
        catalog = self._catalog
        number = await catalog.begin_run(encode_json(dict(self._source.query)))
        outcome, used_up = "failed", None
        try:
            self._tally.begin(await catalog.counts(self._scope))
            await self._work()
            outcome = "done"
        except RequestBudgetExceededError as early:
            outcome, used_up = "ended early", early
        except asyncio.CancelledError:
            outcome = "interrupted"
            raise
        finally:
            with suppress(ArchiveError):
                self._tally.note_expiring(await catalog.count_expiring(self._scope))
                await catalog.end_run(number, outcome, self._tally.report().to_dict())
        report = self._tally.report()
        if used_up is not None:
            used_up.report = report
            raise used_up
        return report

    async def _work(self) -> None:
        order, deadline = self._order, asyncio.timeout(self._order.max_seconds)
        try:
            async with deadline:
                await run_workers(
                    self._feed(), self._do, count=order.workers, waiting=MOST_JOBS_WAITING, place=self._place
                )
        except TimeoutError:
            if not deadline.expired():  # one of ours is a TimeoutError, too
                raise
            self._tally.stop(f"the {order.max_seconds:g} s that were allowed are over")
            self._left_out = True
        if self._tally.stopped is not None and self._left_out:
            raise self._tally.stopped

    def _has_to_stop(self) -> bool:
        """Whether nothing new is to be begun; whoever asks would have begun something."""
        has_to = self._tally.stopped is not None
        self._left_out = self._left_out or has_to
        return has_to

    # --- What there is to do -------------------------------------------------------------------------------

    async def _feed(self) -> AsyncGenerator[_Job, None]:
        try:
            plan = await self._catalog.plan(self._scope)
            unseen = set(plan.open_ids)
            for walk in plan.walks:
                if self._has_to_stop():
                    return
                if walk.gap is not None and self._order.repair is not None:
                    continue  # nothing new is asked for
                if walk.gap is None and not unseen.intersection(*walk.anchors):
                    continue  # other walks have shown them
                async with aclosing(self._walk(walk, unseen)) as jobs:
                    async for job in jobs:
                        yield job
            for call_id in sorted(unseen & plan.addresses):
                yield _Job("call", call_id)
        except RateLimitedError as refused:
            raise _used_up(refused) from refused

    async def _walk(self, walk: Walk, unseen: set[str]) -> AsyncGenerator[_Job, None]:
        progress = Progress(walk, self._order.clock(), self._scope.shows_all)
        urgent = look_ahead(walk, threatened(self._order.clock())) if self._order.recordings else None
        async with aclosing(self._source.pages(_bounds(walk.span))) as pages:
            async for page in pages:
                if self._has_to_stop() or not walk.leads_on(call.created_at for call in page.calls):
                    return
                async for job in self._take_in(page, progress):
                    yield job
                if urgent is not None and (page.total or 0) > MOST_JOBS_WAITING:
                    async for job in self._walk(urgent, unseen):
                        yield job
                urgent = None
                unseen.difference_update(key_of(call.id) for call in page.calls)
        if walk.gap is not None and progress.is_out_of_bounds:
            # The service reads the bounds otherwise, or all those calls have vanished.
            without_bounds = Walk(self._scope.wanted, Span(self._scope.wanted.start, walk.gap.end))
            async for job in self._walk(without_bounds, unseen):
                yield job
        elif (span := progress.covered(is_complete=True)) is not None:
            await self._catalog.cover(self._scope, span)

    async def _take_in(self, page: ListedPage, progress: Progress) -> AsyncGenerator[_Job, None]:
        saved = await self._save(page.calls)
        self._tally.saw(page, saved)
        if page.is_vouched:
            progress.note((key_of(call.id), call.created_at) for call in page.calls)
            if (span := progress.covered(is_complete=False)) is not None:
                await self._catalog.cover(self._scope, span)
        for call in page.calls:
            for job in self._jobs_for(call, saved):
                if (job.kind, job.call_id) not in self._jobs:
                    self._jobs.add((job.kind, job.call_id))
                    yield job

    def _jobs_for(self, call: Call, saved: Saved) -> list[_Job]:
        kinds = saved.to_do.get(key_of(call.id), frozenset()) & self._scope.kinds
        return [_Job(kind, call.id, call) for kind in sorted(kinds)]

    def _place(self, job: _Job) -> float:
        return urgency(job.call, self._order.clock()) if job.call and job.kind == RECORDING else math.inf

    async def _save(self, calls: Sequence[Call]) -> Saved:
        still_coming = timedelta(hours=self._order.late_hours)
        return await self._catalog.save_calls(calls, still_coming=still_coming, with_events=self._order.events)

    # --- Doing it ------------------------------------------------------------------------------------------

    async def _do(self, job: _Job) -> None:
        """Do one job; what goes wrong with it alone goes into the report."""
        if job.kind != TRANSCRIPT and self._has_to_stop():  # a transcript is here already
            return
        try:
            await self._work_of(job)
        except _FATAL:
            raise
        except RateLimitedError as refused:
            raise _used_up(refused) from refused
        except LocalFileError as fault:
            if fault.errno in _DISK_FAULTS:
                raise ArchiveError(f"{fault}: what was saved is kept; make room and run again") from fault
            await self._fail(job, fault)
        except KrosaiError as fault:
            await self._fail(job, fault)
        finally:
            self._jobs.discard((job.kind, job.call_id))

    async def _work_of(self, job: _Job) -> None:
        if job.call is None:
            await self._look_again(job.call_id)
        elif job.kind == RECORDING:
            await self._save_recording(job.call)
        elif job.kind == TRANSCRIPT:
            await self._save_transcript(job.call)
        else:
            await self._catalog.save_events(job.call_id, await self._source.list_events(job.call_id))
            if job.call.has_ended:  # else more is to come
                await self._note(job.call_id, EVENTS, Outcome(state=State.SAVED))

    async def _look_again(self, call_id: str) -> None:
        try:
            call = await self._source.get_call(call_id)
        except NotFoundError:
            for kind in (RECORDING, TRANSCRIPT, EVENTS):
                await self._note(call_id, kind, Outcome(state=State.GONE), only_open=True)
            return
        saved = await self._save([call])
        self._tally.saw(ListedPage((call,), None), saved)
        for job in self._jobs_for(call, saved):
            await self._do(job)

    async def _save_recording(self, call: Call) -> None:
        path = self._order.directory / recording_name(call.id, call.created_at)
        if path.is_file():  # its name says that it is whole; a run was killed before it could say so
            with local_errors(call.id, path):
                sha256, size = await run_to_the_end(lambda: _digest_of(path))
            await self._note(call.id, RECORDING, Outcome(state=State.SAVED, size_bytes=size, sha256=sha256))
            return
        try:
            download = await self._source.save_recording(call, path)
        except RecordingGoneError:
            await self._note(call.id, RECORDING, Outcome(state=State.GONE))
        except RecordingNotReadyError:
            await self._note(call.id, RECORDING, Outcome(state=State.PENDING))
        else:
            outcome = Outcome(
                state=State.SAVED,
                size_bytes=download.size_bytes,
                sha256=download.sha256,
                suspect=download.suspect,
            )
            await self._note(call.id, RECORDING, outcome)
            self._tally.saved_recording(download)

    async def _save_transcript(self, call: Call) -> None:
        path = self._order.directory / transcript_name(call.id, call.created_at)
        text = call.transcript or ""
        data = await run_to_the_end(lambda: write_transcript(call.id, text, path))
        outcome = Outcome(state=State.SAVED, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        await self._note(call.id, TRANSCRIPT, outcome)
        self._tally.saved_transcript()

    async def _note(self, call_id: str, kind: str, outcome: Outcome, *, only_open: bool = False) -> None:
        changes = await self._catalog.save_outcome(call_id, kind, outcome, only_open=only_open)
        self._tally.changed(changes)

    async def _fail(self, job: _Job, fault: KrosaiError) -> None:
        self._tally.fail(job.kind, job.call_id, fault)
        if job.call is not None:
            await self._note(job.call_id, job.kind, Outcome(state=State.FAILED, error=str(fault)))


def _digest_of(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return digest_of_file(file.fileno())


def _bounds(span: Span) -> Mapping[str, datetime]:
    bounds = {}
    if span.start > BEGINNING:
        bounds["from_date"] = span.start
    if span.end < END:
        bounds["to_date"] = span.end
    return bounds


def _used_up(refused: RateLimitedError) -> RequestBudgetExceededError:
    when = "later" if refused.retry_after is None else f"in {refused.retry_after:.0f} seconds"
    return RequestBudgetExceededError(
        f"the service takes no more requests for now: what was fetched is kept; run again {when}",
        retry_after=refused.retry_after,
    )
