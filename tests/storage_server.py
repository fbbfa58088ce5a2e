"""A recording behind links, and the API that gives them: honest unless told otherwise, and everything on record.

async with serving() as storage:
    storage.plan(cut(5000), status(403))        # one for each request to storage, in order; then it is honest
    await storage.client.download_recording(storage.call, tmp_path / "call.mp3")
    assert storage.ranges == [None, "bytes=5000-", "bytes=5000-"]
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from audio import recording
from fake_clock import FakeClock
from fault_client import TimelessClient, client_of
from raw_server import Answer, RawServer, Request, Then, answer

from krosai_calls import Call, Download, RetryPolicy

MP3 = recording()
OTHER = recording(voice=1)
PATH = "/recordings/call_1.mp3"
FRESH = "/v1/calls/call_1/recording"
CALL = "/v1/calls/call_1"
TAG = '"v1"'

Turn = Callable[["Storage", Request], Answer]


class Storage:
    """One recording, what was asked of it, and a client whose waits take no time.

    Attributes:
        data: The recording as it is now.
        etag: Its ETag, or None.
        more_headers: What each honest answer has besides.
        link_fields: What the API tells with a link.
        api: Answers of the API other than an honest one, by path.
        sent_bytes: How many bytes of bodies were sent.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.etag: str | None = TAG
        self.more_headers: list[tuple[str, str]] = []
        self.link_fields: dict[str, Any] = {}
        self.api: dict[str, Answer] = {}
        self.sent_bytes = 0
        self.server = RawServer(self._handle)
        self.client: TimelessClient
        self._plan: deque[Turn] = deque()
        self._links = 0

    def plan(self, *turns: Turn) -> None:
        """Set what the next requests to storage get."""
        self._plan = deque(turns)

    @property
    def link(self) -> str:
        """The link that the call carries."""
        return f"{self.server.url}{PATH}?signature=%2Fa%2fb%7E~%41"

    @property
    def call(self) -> Call:
        """The call."""
        return Call("call_1", recording_url=self.link)

    @property
    def asked(self) -> list[Request]:
        """The requests to storage."""
        return [request for request in self.server.requests if not request.path.startswith("/v1/")]

    @property
    def ranges(self) -> list[str | None]:
        """The range that each request to storage was for, or None."""
        return [next(iter(request.values("range")), None) for request in self.asked]

    @property
    def conditions(self) -> list[str | None]:
        """The If-Range of each request to storage, or None."""
        return [next(iter(request.values("if-range")), None) for request in self.asked]

    @property
    def fresh_links(self) -> int:
        """How often the API was asked for a link."""
        return sum(request.path == FRESH for request in self.server.requests)

    async def save(self, folder: Path, **more: Any) -> Download:
        """Save the recording as call.mp3."""
        return await self.client.download_recording(more.pop("call", self.call), folder / "call.mp3", **more)

    def honest(
        self, request: Request, *, cut: int | None = None, then: Then | None = None, ignore_range: bool = False
    ) -> Answer:
        """What the request deserves: the recording, or the rest of it."""
        start = self._start(request)
        body = self.data if start is None or ignore_range else self.data[start:]
        headers = list(self.more_headers)
        if self.etag is not None:
            headers.append(("ETag", self.etag))
        if start is None or ignore_range:
            return self.sending(200, body, headers, cut=cut, then=then)
        if not body:
            return answer(416, headers=[*headers, ("Content-Range", f"bytes */{len(self.data)}")])
        headers.append(("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"))
        return self.sending(206, body, headers, cut=cut, then=then)

    def sending(
        self,
        status: int,
        body: bytes,
        headers: Sequence[tuple[str, str]] = (),
        *,
        cut: int | None = None,
        then: Then | None = None,
    ) -> Answer:
        """An answer with a body, counted."""
        self.sent_bytes += len(body[:cut])
        return answer(status, body, headers, content_type="audio/mpeg", cut=cut, then=then)

    def _start(self, request: Request) -> int | None:
        asked = re.fullmatch(r"bytes=(\d+)-", "".join(request.values("range")))
        versions = [self.etag, *(value for name, value in self.more_headers if name == "Last-Modified")]
        is_same = request.values("if-range") in ([], *([version] for version in versions))
        return int(asked[1]) if asked is not None and is_same else None

    def _handle(self, request: Request) -> Answer:
        if request.path in self.api:
            return self.api[request.path]
        if request.path == FRESH:
            self._links += 1
            fields = {"recording_url": f"{self.server.url}{PATH}?signature=fresh{self._links}", **self.link_fields}
            return answer(200, json.dumps(fields).encode())
        if request.path.startswith("/v1/"):
            return answer(404)
        return self._plan.popleft()(self, request) if self._plan else self.honest(request)


@asynccontextmanager
async def serving(
    data: bytes = MP3, *, clock: FakeClock | None = None, max_attempts: int = 3, **settings: Any
) -> AsyncIterator[Storage]:
    """A recording and a client of it."""
    storage = Storage(data)
    async with storage.server as server:
        retry = RetryPolicy(max_attempts=max_attempts)
        storage.client = client_of(server.url, clock=clock, retry=retry, **settings)
        async with storage.client:
            yield storage


def cut(at: int, then: Then = "close") -> Turn:
    """The first bytes of what the request deserves, and no more."""
    return lambda storage, request: storage.honest(request, cut=at, then=then)


def whole(at: int | None = None) -> Turn:
    """The recording from its first byte, whatever range was asked for."""
    return lambda storage, request: storage.honest(request, cut=at, ignore_range=True)


def status(number: int, *headers: tuple[str, str], body: bytes = b"") -> Turn:
    """A status."""
    return lambda storage, request: answer(number, body, headers, content_type="application/xml")


def says(given: Answer) -> Turn:
    """These very bytes."""
    return lambda storage, request: given


def part(content_range: str | None, body: bytes, *headers: tuple[str, str], etag: str | None = TAG) -> Turn:
    """A 206 that says whatever it says."""
    named = [("ETag", etag)] if etag is not None else []
    placed = [("Content-Range", content_range)] if content_range is not None else []
    return lambda storage, request: storage.sending(206, body, [*named, *placed, *headers])


def paced(size: int, seconds: float, ends: Then = "hang") -> Turn:
    """What the request deserves, in pieces of one size, each so many seconds after the one before."""

    def turn(storage: Storage, request: Request) -> Answer:
        head, _, body = storage.honest(request).wire.partition(b"\r\n\r\n")

        def pieces() -> Iterator[bytes]:
            for place in range(0, len(body), size):
                storage.client.clock.now += seconds
                yield body[place : place + size]

        return Answer(head + b"\r\n\r\n", ends, more=pieces())

    return turn


def then(first: Callable[[Storage], object], turn: Turn) -> Turn:
    """Do something first: replace the recording, move the clock."""

    def both(storage: Storage, request: Request) -> Answer:
        first(storage)
        return turn(storage, request)

    return both


def replaced(data: bytes, etag: str | None) -> Callable[[Storage], object]:
    """Put another recording in the place of this one."""

    def replace(storage: Storage) -> None:
        storage.data, storage.etag = data, etag

    return replace


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())
