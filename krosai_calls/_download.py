"""One body to one file: a recording or a transcript, whole under its name or not there at all."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeAlias

from yarl import URL

from krosai_calls._attempts import Attempts
from krosai_calls._callbacks import tell
from krosai_calls._files import PartFile, make_folder, write_whole
from krosai_calls._hosts import is_public
from krosai_calls._mp3 import looks_like_mp3
from krosai_calls._resume import Verdict, judge, promised_length
from krosai_calls._retry import Failure, FailureKind
from krosai_calls._text import Secret, snippet, storable, visible
from krosai_calls._transport import StorageAnswer, Transport
from krosai_calls._wire import Answer, refusal
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

MOST_RENEWALS = 3
MOST_LINK_CHARS = 8 * 1024
BEGINNING_BYTES = 3


class RecordingStream:
    """A recording's bytes as they arrive: iterate it.

    Attributes:
        size_bytes: The length of the whole.
        content_type: What storage says it is, or None.
    """

    def __init__(self, answer: StorageAnswer, size_bytes: int) -> None:
        self._answer = answer
        self.size_bytes = size_bytes
        self.content_type: str | None = answer.headers.get("content-type")

    def __aiter__(self) -> RecordingStream:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes, however many arrived.

        Raises:
            StreamInterruptedError: The recording ended before all of it had come.
        """
        piece = await self._answer.read()
        received = self._answer.received
        if received > self.size_bytes:
            raise IntegrityError(f"storage sent more than the {self.size_bytes} bytes that it promised")
        if not piece and received < self.size_bytes:
            raise StreamInterruptedError(
                f"the recording ended after {received} of {self.size_bytes} bytes",
                received=received,
                expected=self.size_bytes,
            )
        if not piece:
            raise StopAsyncIteration
        return piece


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

    @asynccontextmanager
    async def stream(self, call: Call | str) -> AsyncIterator[RecordingStream]:
        """Open a recording; leaving the context lets go of the connection."""
        async with AsyncExitStack() as connection:
            yield await self._open(self._link(call), self._transport.new_attempts(), connection)

    async def save(self, call: Call | str, path: Path, progress: Progress | None) -> Download:
        """Save a recording; the file has its name only when it is whole."""
        link = self._link(call)
        attempts = self._transport.new_attempts()
        while True:
            async with AsyncExitStack() as connection:
                stream = await self._open(link, attempts, connection)
                try:
                    return await _write(stream, link.call_id, path, progress)
                except (StreamInterruptedError, RequestTimeoutError) as cut:
                    failure = Failure(FailureKind.LOST, cut)
            await attempts.wait_or_raise(failure)

    def _link(self, call: Call | str) -> _Link:
        return _Link(call, self._fresh_link, api_url=self._api_url)

    async def _open(self, link: _Link, attempts: Attempts, connection: AsyncExitStack) -> RecordingStream:
        while True:
            answer = await connection.enter_async_context(
                self._transport.storage(await link.current(), {}, attempt=attempts.count + 1)
            )
            outcome = answer if isinstance(answer, Failure) else _understood(answer, link)
            if isinstance(outcome, RecordingStream):
                return outcome
            # The connection is let go of before anything is waited for.
            await connection.aclose()
            if outcome is not None:
                await attempts.wait_or_raise(outcome)


class _Link:
    """The link to one recording: the call's own at first, and a fresh one whenever storage refuses it."""

    def __init__(
        self,
        call: Call | str,
        fresh_link: Callable[[str], Awaitable[RecordingLink]],
        *,
        api_url: URL,
    ) -> None:
        self.call_id = call if isinstance(call, str) else call.id
        self._url = None if isinstance(call, str) else call.recording_url
        self._fresh_link = fresh_link
        self._api_url = api_url
        self._renewals_left = MOST_RENEWALS
        self.size_bytes: int | None = None

    async def current(self) -> Secret:
        """The link to use now; its query is as good as a key for an hour."""
        if not self._url:
            fresh = await self._fresh_link(self.call_id)
            self._url, self.size_bytes = fresh.url, fresh.size_bytes
        problem = link_problem(self._url or "", api_url=self._api_url)
        if problem:
            raise DownloadError(
                f"the link to the recording of call {self.call_id} is refused: {problem}", call_id=self.call_id
            )
        return Secret(self._url or "")

    def renew(self) -> None:
        """Forget the link, so that a fresh one is asked for."""
        if self._renewals_left == 0:
            raise DownloadError(
                f"storage refuses every link to the recording of call {self.call_id}", call_id=self.call_id
            )
        self._renewals_left -= 1
        self._url = None


def link_problem(link: str, *, api_url: URL) -> str:
    """Why a link is not followed, or empty.

    Args:
        link: What the service gave.
        api_url: The API's address.
    """
    # The raw text is looked at first: a parser would drop line ends and turn odd digits into plain ones.
    if len(link) > MOST_LINK_CHARS or not link.isascii() or visible(link) != link or set(link) & set(' \\"<>'):
        return "it holds characters that no link has, or is far too long"
    try:
        url = URL(link, encoded=True)
        host, port, has_user = url.host, url.port, url.user is not None
    except ValueError:
        return "it is no address"
    if url.scheme not in ("https", "http") or not host or port == 0:
        return "it names no http(s) host"
    if has_user:
        return "it holds a user or password"
    if url.scheme == "http" and api_url.scheme == "https":
        return "it is plain http, although the API is https"
    if is_public(api_url.host or "") and not is_public(host):
        return "it leads into a private network, although the API is public"
    return ""


def _length(answer: StorageAnswer, link: _Link) -> int:
    length = promised_length(answer.headers, link.size_bytes)
    if length.size_bytes is None:
        raise IntegrityError(f"the recording of call {link.call_id}: {length.problem}", call_id=link.call_id)
    return length.size_bytes


def _understood(answer: StorageAnswer, link: _Link) -> RecordingStream | Failure | None:
    """What an answer comes to: a stream, a failure to get over, or None where a fresh link is to be asked for."""
    match judge(answer.status):
        case Verdict.TAKE:
            return RecordingStream(answer, _length(answer, link))
        case Verdict.RENEW_LINK:
            link.renew()
            return None
        case Verdict.GONE:
            raise RecordingGoneError(
                f"storage has no recording of call {link.call_id} any more", call_id=link.call_id
            )
        case Verdict.BUSY if error := refusal(Answer("GET", answer.url, answer.status, _of_time(answer.headers))):
            return Failure(FailureKind.REFUSED, error)
        case _:
            raise DownloadError(
                f"storage answered {answer.status} instead of the recording of call {link.call_id}",
                call_id=link.call_id,
            )


def _of_time(headers: Mapping[str, str]) -> dict[str, str]:
    """What storage's headers say of waiting; the others may repeat the signature that was sent."""
    return {name: headers[name] for name in ("retry-after", "date") if name in headers}


async def _write(stream: RecordingStream, call_id: str, path: Path, progress: Progress | None) -> Download:
    with local_errors(call_id, path):
        part = _begin(path)
        try:
            digest = await _copy(stream, part, call_id, progress)
            await run_to_the_end(part.publish)
        except BaseException:
            part.discard()
            raise
    return Download(path=path, size_bytes=stream.size_bytes, resumed_bytes=0, sha256=digest)


def _begin(path: Path) -> PartFile:
    make_folder(path.parent)
    return PartFile(path)


async def _copy(stream: RecordingStream, part: PartFile, call_id: str, progress: Progress | None) -> str:
    digest = hashlib.sha256()
    beginning = b""
    received = 0
    async for piece in stream:
        received += len(piece)
        if len(beginning) < BEGINNING_BYTES:
            beginning += piece[:BEGINNING_BYTES]
            if received >= min(BEGINNING_BYTES, stream.size_bytes) and not looks_like_mp3(beginning):
                raise IntegrityError(
                    f"what storage sent for call {call_id} is no MP3: it begins {snippet(piece)!r}",
                    call_id=call_id,
                )
        part.write(piece)
        digest.update(piece)
        tell(progress, received, stream.size_bytes)
    return digest.hexdigest()


def write_transcript(call_id: str, text: str, path: Path) -> None:
    """Write a transcript as a text file in UTF-8; it blocks for as long as the disk takes.

    Lone surrogates, which no file can hold, become U+FFFD.

    Raises:
        LocalFileError: The file cannot be written.
    """
    with local_errors(call_id, path):
        make_folder(path.parent)
        write_whole(path, storable(text).encode("utf-8"))


def is_transcript(path: Path, text: str) -> bool:
    """Whether a file can be this transcript: it is there and has its size."""
    try:
        return path.stat().st_size == len(storable(text).encode("utf-8"))
    except OSError:
        return False


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


async def run_to_the_end(function: Callable[[], object]) -> None:
    """Run a blocking function in a thread; a cancellation is delivered once it has ended, not in its middle."""
    work = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
