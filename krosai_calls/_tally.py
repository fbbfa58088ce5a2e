"""What an archive run is told, and the counts that it keeps."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from krosai_calls._arguments import MAX_PAGE_SIZE
from krosai_calls._callbacks import tell
from krosai_calls._findings import VerifyReport
from krosai_calls._holdings import EVENTS, RECORDING, TRANSCRIPT, Changes, Saved
from krosai_calls._prospects import State
from krosai_calls._report import ArchiveFailure, ArchivePlan, ArchiveProgress, ArchiveReport
from krosai_calls._scope import Scope
from krosai_calls._seams import ListedPage, Row
from krosai_calls.catalog import Catalog, present
from krosai_calls.errors import KrosaiError, RequestBudgetExceededError
from krosai_calls.models import Call, CallEvent, Download, Page

# What recordings of the service take: 96 kbit/s.
BYTES_PER_SECOND = 12_000


@frozen
class CallSource:
    """Where an archive's calls come from: all that the job knows of a client.

    Attributes:
        query: The filters, as they are sent.
        pages: Starts a listing between two moments (``from_date``, ``to_date``; where one is missing, the bound of
            the filters holds).
        first_page: Gives the first page of all that matches, and its rows.
        get_call: Gives one call in full.
        save_recording: Brings one recording to its file.
        list_events: Gives one call's timeline.
        count_requests: Tells how many API requests there have been.
    """

    query: Mapping[str, str]
    pages: Callable[[Mapping[str, datetime]], AsyncGenerator[ListedPage, None]]
    first_page: Callable[[], Awaitable[tuple[Page, tuple[Row, ...]]]]
    get_call: Callable[[str], Awaitable[Call]]
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
        max_bytes: Bytes of recordings after which no further one is begun; None for no limit.
        max_seconds: Seconds after which the run ends; None for no limit.
        late_hours: For how long after a call its recording and transcript may still appear.
        dry_run: Whether it is only foreseen what a run would do.
        repair: What a verification has found: only what is missing or damaged is fetched, and what was left.
        clock: Tells the present, aware.
    """

    directory: Path
    recordings: bool = True
    transcripts: bool = True
    events: bool = False
    workers: int = 16
    progress: ArchiveProgress | None = None
    max_bytes: int | None = None
    max_seconds: float | None = None
    late_hours: float = 24.0
    dry_run: bool = False
    repair: VerifyReport | None = None
    clock: Callable[[], datetime] = present

    @property
    def kinds(self) -> frozenset[str]:
        """Which artefacts are made."""
        ordered = {RECORDING: self.recordings, TRANSCRIPT: self.transcripts, EVENTS: self.events}
        return frozenset(kind for kind, is_ordered in ordered.items() if is_ordered)


class Tally:
    """The counts of a run, from which its report is made.

    Args:
        source: Counts the requests.
        order: What the run is to do.

    Attributes:
        stopped: Why the run is to end early, if it is.
    """

    def __init__(self, source: CallSource, order: ArchiveOrder) -> None:
        self.stopped: RequestBudgetExceededError | None = None
        self._source = source
        self._order = order
        self._counts: Counter[str] = Counter()
        self._states: Changes = Counter()
        self._total: int | None = None
        self._failures: list[ArchiveFailure] = []
        self._started_at = time.monotonic()
        self._requests_before = source.count_requests()

    def begin(self, states: Changes) -> None:
        """Take in what the archive has."""
        self._states = Counter(states)

    def report(self) -> ArchiveReport:
        """What has been done so far."""
        counts: dict[str, Any] = {
            **self._counts,
            "recordings_present": self._state(RECORDING, State.SAVED) - self._counts["recordings_saved"],
            "recordings_left": self._state(RECORDING, State.WANTED),
            "recordings_pending": self._state(RECORDING, State.PENDING),
            "recordings_gone": self._state(RECORDING, State.GONE),
            "transcripts_present": self._state(TRANSCRIPT, State.SAVED) - self._counts["transcripts_saved"],
            "transcripts_left": self._state(TRANSCRIPT, State.WANTED),
            "transcripts_pending": self._state(TRANSCRIPT, State.PENDING),
            "transcripts_missing": self._state(TRANSCRIPT, State.GONE),
        }
        return ArchiveReport(
            **counts,
            calls_total=self._total,
            requests=self._source.count_requests() - self._requests_before,
            seconds=time.monotonic() - self._started_at,
            failures=tuple(self._failures),
        )

    def _state(self, kind: str, state: State) -> int:
        # A call that has left the scope since is taken away from what it never was part of.
        return max(0, self._states[kind, state.value]) if kind in self._order.kinds else 0

    def saw(self, page: ListedPage, saved: Saved) -> None:
        """Count a page that is in the catalogue."""
        if page.total is not None:
            self._total = max(self._total or 0, page.total)
        for bad_row in page.bad_rows:
            self._failures.append(ArchiveFailure(bad_row.path, "row", str(bad_row)))
        self._states.update(saved.changes)
        self._count(calls_seen=len(page.calls), calls_new=saved.new, calls_updated=saved.updated)

    def changed(self, changes: Changes) -> None:
        """Count what has become of an artefact."""
        self._states.update(changes)
        self._count()

    def saved_recording(self, download: Download) -> None:
        """Count a recording that was fetched, and end the run where that was enough."""
        self._count(
            recordings_saved=1,
            recordings_resumed=int(download.resumed_bytes > 0),
            bytes_downloaded=download.size_bytes,
        )
        most = self._order.max_bytes
        if most is not None and self._counts["bytes_downloaded"] >= most:
            self.stop(f"the {most} bytes that were allowed are downloaded")

    def saved_transcript(self) -> None:
        """Count a transcript that was written."""
        self._count(transcripts_saved=1)

    def fail(self, kind: str, call_id: str, fault: KrosaiError) -> None:
        """Count what could not be done."""
        self._failures.append(ArchiveFailure(call_id, kind, str(fault)))
        self._count(**({f"{kind}s_failed": 1} if kind in (RECORDING, TRANSCRIPT) else {}))

    def note_expiring(self, recordings: int) -> None:
        """Take in how many recordings will soon be gone."""
        self._counts["recordings_expiring"] = recordings if self._order.recordings else 0

    def stop(self, why: str) -> None:
        """Have the run end early: nothing new is begun."""
        if self.stopped is None:
            self.stopped = RequestBudgetExceededError(
                f"{why}: what was fetched is kept; run again to go on, as soon as you like"
            )

    def _count(self, **more: int) -> None:
        self._counts.update(more)
        if self._order.progress is not None:
            tell(self._order.progress, self.report())


async def foresee(source: CallSource, order: ArchiveOrder, scope: Scope, catalog: Catalog | None) -> ArchiveReport:
    """What a run would do, from one request and the catalogue."""
    tally = Tally(source, order)
    page, _ = await source.first_page()
    total = page.total if page.total is not None else len(page.calls)
    known = 0 if catalog is None else await catalog.count_calls(scope)
    states: Changes = Counter() if catalog is None else await catalog.counts(scope)
    plan = None if catalog is None else await catalog.plan(scope)
    calls = max(0, total - known)
    with_recording = [call for call in page.calls if call.has_recording]
    share = len(with_recording) / len(page.calls) if page.calls else 0.0
    seconds = [call.duration for call in with_recording if call.duration is not None]
    to_do = sum(states[RECORDING, state.value] for state in (State.WANTED, State.FAILED))
    recordings = to_do + round(calls * share) if order.recordings else 0
    mean = sum(seconds) / len(seconds) if seconds else 0.0
    walks, alone = (1, 0) if plan is None else (len(plan.walks), len(plan.alone))
    requests = max(walks, math.ceil(calls / (MAX_PAGE_SIZE - 1))) + alone + (calls if order.events else 0)
    tally.begin(states)
    size = round(recordings * mean * BYTES_PER_SECOND)
    foreseen = ArchivePlan(calls=calls, recordings=recordings, bytes=size, requests=requests)
    return evolve(tally.report(), plan=foreseen, calls_total=total)
