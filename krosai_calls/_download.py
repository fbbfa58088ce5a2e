"""One body to one file: a recording or a transcript, whole under its name or not there at all."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeAlias

from yarl import URL

from krosai_calls._callbacks import tell
from krosai_calls._commits import Commits
from krosai_calls._files import make_folder, write_whole
from krosai_calls._links import Link
from krosai_calls._mp3 import Suspicion, could_be_mp3, is_surely_as_long, looks_like_mp3, suspicion
from krosai_calls._parts import CHECKPOINT_BYTES, CHECKPOINT_SECONDS, RecordingPart
from krosai_calls._resume import Held, Verdict
from krosai_calls._streams import RecordingStream, no_mp3
from krosai_calls._text import storable
from krosai_calls._threads import run_to_the_end
from krosai_calls._transfers import Opened, Transfer
from krosai_calls._transport import Transport
from krosai_calls.errors import (
    DownloadError,
    IntegrityError,
    KrosaiError,
    LocalFileError,
    RecordingGoneError,
    RequestTimeoutError,
    StreamInterruptedError,
)
from krosai_calls.models import Call, Download, RecordingLink

Progress: TypeAlias = Callable[[int, int | None], object]

PROGRESS_SECONDS = 0.1
BEGINNING_BYTES = 16
# Each has files open, and a link that grows old: the others wait for their turn with neither.
MOST_AT_ONCE = 100


class Recordings:
    """Brings recordings from storage.

    Args:
        transport: The way to the network.
        fresh_link: Asks the API for a link to a call's recording; raises RecordingNotReadyError or
            RecordingGoneError where there is none.
        api_url: The API's address. Where it is https, links are, too; where it is public, links lead to no
            private network.
    """

    def __init__(
        self,
        transport: Transport,
        fresh_link: Callable[[str], Awaitable[RecordingLink]],
        *,
        api_url: URL,
    ) -> None:
        self._transport = transport
        self._fresh_link = fresh_link
        self._api_url = api_url
        self._saving: dict[str, _Saving] = {}
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._commits = Commits()
        self._under_way = 0

    @asynccontextmanager
    async def stream(self, call: Call | str) -> AsyncIterator[RecordingStream]:
        """Open a recording; leaving the context lets go of the connection."""
        transfer = self._transfer(call)
        async with AsyncExitStack() as connection:
            opened = await transfer.open(Held(), connection)
            assert opened.body is not None
            yield RecordingStream(transfer, opened.body, connection)

    async def save(self, call: Call | str, path: Path, progress: Progress | None) -> Download:
        """Save a recording; the file has its name only when it is whole.

        Whoever asks for the same recording in the same place meanwhile waits for the one that does it.
        """
        key = _place(path)
        saving = self._saving.setdefault(key, _Saving())
        saving.interested += 1
        call_id = call if isinstance(call, str) else call.id
        try:
            async with saving.lock:
                if saving.call_id != call_id or saving.download is None:
                    async with self._places:
                        saving.download = await self._save(call, path, progress)
                    saving.call_id = call_id
            tell(progress, saving.download.size_bytes, saving.download.size_bytes)
            return saving.download
        except DownloadError as error:
            error.path = error.path or path
            raise
        finally:
            saving.interested -= 1
            if not saving.interested:
                del self._saving[key]

    async def _save(self, call: Call | str, path: Path, progress: Progress | None) -> Download:
        transfer = self._transfer(call)
        call_id = transfer.link.call_id
        with local_errors(call_id, path):
            part = await _open_part(path, call_id)
            incoming = _Incoming(part, call_id, progress, self._transport.clock)
            self._under_way += 1
            try:
                await self._receive(transfer, incoming)
                suspect = await incoming.examine(transfer.link.duration_seconds)
                await self._commits.publish(part, under_way=self._under_way)
            except BaseException as ended:
                if isinstance(ended, asyncio.CancelledError):
                    transfer.done()  # nobody knows whether the next attempt would have brought it
                part.discard() if _leaves_nothing_of_use(ended) else part.park()
                raise
            finally:
                self._under_way -= 1
                part.close()
        return incoming.download(path, suspect)

    async def _receive(self, transfer: Transfer, incoming: _Incoming) -> None:
        while True:
            cut: StreamInterruptedError | RequestTimeoutError | None = None
            doubt: IntegrityError | None = None
            async with AsyncExitStack() as connection:
                opened = await transfer.open(incoming.held, connection)
                try:
                    await incoming.take(opened)
                except (StreamInterruptedError, RequestTimeoutError) as broken:
                    cut = broken
                except IntegrityError as odd:
                    doubt = odd
            if incoming.held.is_whole and doubt is None:
                transfer.done()
                return
            if cut is not None:
                await transfer.lost(cut, incoming.received)
            elif doubt is not None:
                incoming.forget()
                await transfer.doubt(doubt)
            else:  # storage gives it in parts
                transfer.advanced(incoming.received)

    def _transfer(self, call: Call | str) -> Transfer:
        link = Link(call, self._fresh_link, api_url=self._api_url, sleep=self._transport.sleep)
        return Transfer(self._transport, link)


async def _open_part(path: Path, call_id: str) -> RecordingPart:
    try:
        return RecordingPart(path, call_id, is_new=True)
    except FileNotFoundError:
        make_folder(path.parent)
    except FileExistsError:
        pass
    # What is there has to be read.
    return await run_to_the_end(lambda: RecordingPart(path, call_id), undo=RecordingPart.close)


def _leaves_nothing_of_use(ended: BaseException) -> bool:
    """Whether what came is no part of the recording, or is gone with it, or may be lost to a disk that fails."""
    is_lost = isinstance(ended, OSError) and ended.errno == errno.EIO
    return is_lost or isinstance(ended, IntegrityError | RecordingGoneError)


def _place(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links


class _Saving:
    """One place that a recording is being saved to."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.interested = 0
        self.call_id: str | None = None
        self.download: Download | None = None


class _Incoming:
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

    async def take(self, opened: Opened) -> None:
        """Write down what an answer brings."""
        part, body, judgement = self._part, opened.body, opened.judgement
        if body is None:
            return
        if judgement.verdict is Verdict.TAKE:
            self._resumed_bytes, self._told_digest = 0, None
            part.begin(judgement.validator, judgement.size_bytes or 0)
        self._told_digest = judgement.digest or self._told_digest
        self._beginning = b"" if part.received == 0 else None
        while piece := await body.read(self._take_at_once):
            self._look_at_the_beginning(piece)
            now = self._clock()
            self._put(piece, now)
            if self._is_progress_due(now):
                self._told_at = now
                tell(self._progress, part.received, part.held.size_bytes)

    def _take_at_once(self, piece: memoryview) -> bool:
        """Write a piece down where it comes in, if that is all there is to do."""
        now = self._clock()
        if self._beginning is not None or self._is_progress_due(now):
            return False
        self._put(piece, now)
        return True

    def _put(self, piece: bytes | memoryview, now: float) -> None:
        part = self._part
        part.write(piece)
        unrecorded = part.unrecorded_bytes
        if unrecorded >= CHECKPOINT_BYTES or (unrecorded and now - self._recorded_at >= CHECKPOINT_SECONDS):
            part.checkpoint()
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


def write_transcript(call_id: str, text: str, path: Path) -> bytes:
    """Write a transcript as a text file in UTF-8; it blocks for as long as the disk takes.

    Lone surrogates, which no file can hold, become U+FFFD.

    Returns:
        What is in the file.

    Raises:
        LocalFileError: The file cannot be written.
    """
    data = storable(text).encode("utf-8")
    with local_errors(call_id, path):
        make_folder(path.parent)
        write_whole(path, data)
    return data


@contextmanager
def local_errors(call_id: str | None, path: Path) -> Iterator[None]:
    """Turns what the system says of a file into LocalFileError; errors of ours pass through."""
    try:
        yield
    except OSError as fault:
        if isinstance(fault, KrosaiError):
            raise
        error = LocalFileError(f"{path} cannot be written: {fault.strerror}", call_id=call_id, path=path)
        error.errno = fault.errno
        raise error from fault
