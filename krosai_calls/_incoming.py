"""A recording on its way into its part file: what is looked at while it comes in, and when all of it has come."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from krosai_calls._callbacks import tell
from krosai_calls._mp3 import Suspicion, could_be_mp3, is_surely_as_long, looks_like_mp3, suspicion
from krosai_calls._parts import CHECKPOINT_BYTES, CHECKPOINT_SECONDS, RecordingPart
from krosai_calls._resume import Held, Verdict
from krosai_calls._streams import no_mp3
from krosai_calls._threads import run_to_the_end
from krosai_calls._transfers import Opened
from krosai_calls.errors import IntegrityError
from krosai_calls.models import Download

Progress: TypeAlias = Callable[[int, int | None], object]

PROGRESS_SECONDS = 0.1
BEGINNING_BYTES = 16


class Incoming:
    """A recording on its way into its part file."""

    def __init__(
        self, part: RecordingPart, call_id: str, progress: Progress | None, clock: Callable[[], float]
    ) -> None:
        self._part = part
        self._call_id = call_id
        self._progress = progress
        self._clock = clock
        self._resumed_bytes = part.received
        self._told_digest: tuple[str, str] | None = None
        self._told_at = -math.inf
        self._recorded_at = clock()
        # What came first, until it is enough to see what it is; None from then on.
        self._beginning: bytes | None = None

    @property
    def held(self) -> Held:
        return self._part.held

    @property
    def received(self) -> int:
        return self._part.received

    def forget(self) -> None:
        """Let go of what is there: it cannot be the recording."""
        self._part.begin(None, 0)
        self._resumed_bytes, self._told_digest = 0, None

    async def receive(self, opened: Opened) -> None:
        """Write down what an answer brings."""
        part, body, judgement = self._part, opened.body, opened.judgement
        if body is None:
            return
        if judgement.verdict is Verdict.TAKE:
            self._resumed_bytes, self._told_digest = 0, None
            part.begin(judgement.validator, judgement.size_bytes or 0)
        self._told_digest = judgement.digest or self._told_digest
        self._beginning = b"" if part.received == 0 else None
        while piece := await body.read(self):
            self._look_at_the_beginning(piece)
            now = self._clock()
            part.write(piece)
            self._record(now)
            if self._is_progress_due(now):
                self._told_at = now
                tell(self._progress, part.received, part.held.size_bytes)

    def room(self, most: int) -> memoryview:
        """Where the next piece may be put, to be written down where it comes in."""
        return self._part.room(most)

    def take(self, piece: memoryview) -> bool:
        """Write a piece down where it comes in, if that is all there is to do."""
        now = self._clock()
        if self._beginning is not None or self._is_progress_due(now):
            return False
        self._part.take(piece)
        self._record(now)
        return True

    def _record(self, now: float) -> None:
        unrecorded = self._part.unrecorded_bytes
        if unrecorded >= CHECKPOINT_BYTES or (unrecorded and now - self._recorded_at >= CHECKPOINT_SECONDS):
            self._part.checkpoint()
            self._recorded_at = now

    def _is_progress_due(self, now: float) -> bool:
        is_wanted = self._progress is not None and not self.held.is_whole
        return is_wanted and now - self._told_at >= PROGRESS_SECONDS

    def _look_at_the_beginning(self, piece: bytes) -> None:
        if self._beginning is None:
            return
        self._beginning += piece[:BEGINNING_BYTES]
        if not could_be_mp3(self._beginning):
            raise no_mp3(self._call_id, self._beginning)
        if len(self._beginning) >= BEGINNING_BYTES:
            self._beginning = None

    async def examine(self, duration_seconds: float | None) -> str | None:
        """Check the whole: by its two ends where these say enough, else all of it, in a thread.

        Returns:
            Why it is suspect, or None.

        Raises:
            IntegrityError: It is not what storage said, no MP3, or cut.
        """
        part, told = self._part, self._told_digest
        if told is not None and told[0] == "sha256":
            await part.settled()
            self._require_digest(told, part.sha256())
            told = None
        if told is None and is_surely_as_long(*part.ends(), part.received, duration_seconds):
            return None
        return await run_to_the_end(lambda: self._look_through(told, duration_seconds))

    def _look_through(self, told: tuple[str, str] | None, duration_seconds: float | None) -> str | None:
        with self._part.content() as data:
            if told is not None:
                self._require_digest(told, hashlib.new(told[0], data, usedforsecurity=False).hexdigest())
            if not looks_like_mp3(data):
                raise no_mp3(self._call_id, bytes(data[:200]))
            found = suspicion(data, duration_seconds)
        if found is Suspicion.CUT:
            raise IntegrityError(
                f"the recording of call {self._call_id} ends in the middle of a frame", call_id=self._call_id
            )
        return "duration" if found is Suspicion.DURATION else None

    def _require_digest(self, told: tuple[str, str], found: str) -> None:
        name, wanted = told
        if found != wanted:
            raise IntegrityError(
                f"the recording of call {self._call_id} has another digest than storage told: {name} {found}",
                call_id=self._call_id,
            )

    def download(self, path: Path, suspect: str | None) -> Download:
        """What stands under its name now."""
        part = self._part
        return Download(
            path,
            size_bytes=part.received,
            resumed_bytes=self._resumed_bytes,
            sha256=part.sha256(),
            suspect=suspect,
        )
