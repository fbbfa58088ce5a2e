"""One body to one file: a recording or a transcript, whole under its name or not there at all."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from yarl import URL

from krosai_calls._callbacks import tell
from krosai_calls._commits import Commits
from krosai_calls._files import make_folder, write_whole
from krosai_calls._hashing import Hashing
from krosai_calls._incoming import Incoming, Progress
from krosai_calls._links import Link
from krosai_calls._parts import RecordingPart
from krosai_calls._resume import Held
from krosai_calls._streams import RecordingStream
from krosai_calls._text import storable
from krosai_calls._threads import run_to_the_end
from krosai_calls._transfers import Transfer
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
        self._hashing = Hashing()
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
            part = await _open_part(path, call_id, self._hashing)
            incoming = Incoming(part, call_id, progress, self._transport.clock)
            self._under_way += 1
            try:
                await self._receive(transfer, incoming)
                suspect = await incoming.examine(transfer.link.duration_seconds)
                await self._commits.publish(part, under_way=self._under_way)
                await part.settled()
            except BaseException as ended:
                if isinstance(ended, asyncio.CancelledError):
                    transfer.done()  # nobody knows whether the next attempt would have brought it
                part.discard() if _leaves_nothing_of_use(ended) else part.park()
                raise
            finally:
                self._under_way -= 1
                part.close()
        return incoming.download(path, suspect)

    async def _receive(self, transfer: Transfer, incoming: Incoming) -> None:
        while True:
            cut: StreamInterruptedError | RequestTimeoutError | None = None
            doubt: IntegrityError | None = None
            async with AsyncExitStack() as connection:
                opened = await transfer.open(incoming.held, connection)
                try:
                    await incoming.receive(opened)
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

    def close(self) -> None:
        """Let go of the thread that hashes."""
        self._hashing.close()

    def _transfer(self, call: Call | str) -> Transfer:
        link = Link(call, self._fresh_link, api_url=self._api_url, sleep=self._transport.sleep)
        return Transfer(self._transport, link)


async def _open_part(path: Path, call_id: str, hashing: Hashing) -> RecordingPart:
    try:
        return RecordingPart(path, call_id, hashing, is_new=True)
    except FileNotFoundError:
        make_folder(path.parent)
    except FileExistsError:
        pass
    # What is there has to be read.
    return await run_to_the_end(lambda: RecordingPart(path, call_id, hashing), undo=RecordingPart.close)


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
