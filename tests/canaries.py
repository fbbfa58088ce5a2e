"""A key and a signature that must show up nowhere, and where to look for them.

A `World` is an API, a storage host, and a host that nobody has any business with, each a raw server. Whatever a
client of it says, raises or logs is searched by `searched`; what it sent, by `World.check_wire`.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from raw_server import RawServer, Request

from krosai_calls import AsyncCallsClient, Call, RetryPolicy

# Of no shape that a redaction could know: only whoever holds the key can take it out.
KEY = "canary+key/of-no-known=shape"
SIGNATURE = "canarysignature"
CANARIES = (KEY, SIGNATURE)
QUERY = f"X-Amz-Date=20260101T000000Z&X-Amz-Signature={SIGNATURE}"
ID = "call_1"

_TESTS = str(Path(__file__).parent)
_OF_STORAGE = frozenset({"host", "accept", "accept-encoding", "user-agent", "range", "if-range"})
_CREDENTIALS = ("x-api-key", "authorization", "proxy-authorization", "cookie")


def family(error: BaseException) -> Iterator[BaseException]:
    """An error, and all its causes, contexts and members."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        left += [one.__cause__, one.__context__]
        left += one.exceptions if isinstance(one, BaseExceptionGroup) else ()


def told(error: BaseException) -> Iterator[tuple[str, str]]:
    """What an error shows, each with where it was found: its texts, its fields, and the locals on its way.

    The locals are those that a crash reporter sends home; the tests' own frames are left out.
    """
    for one in family(error):
        name = type(one).__name__
        yield f"{name} itself", repr(one) + str(one) + repr(one.args) + repr(vars(one))
        stack = traceback.TracebackException.from_exception(one, capture_locals=True).stack
        for frame in stack:
            if not frame.filename.startswith(_TESTS):
                for variable, value in (frame.locals or {}).items():
                    yield f"{name}, local {variable} of {frame.name} in {Path(frame.filename).name}", value


def logged(records: list[logging.LogRecord]) -> Iterator[tuple[str, str]]:
    """What log records show, formatted and not."""
    for record in records:
        yield f"a line of {record.name}", record.getMessage() + repr(record.args) + repr(record.__dict__)


def searched(*places: Iterator[tuple[str, str]]) -> list[str]:
    """Where a canary was found."""
    return [
        f"{canary} in {where}"
        for place in places
        for where, text in place
        for canary in CANARIES
        if canary in text
    ]


class World:
    """The API, storage, and a host that nobody asked to be asked.

    Attributes:
        api: Answers for the API.
        storage: Answers for storage.
        elsewhere: Is where redirects point.
        events: What the clients' watchers were told.
    """

    def __init__(self) -> None:
        self.api = RawServer()
        self.storage = RawServer()
        self.elsewhere = RawServer()
        self.events: list[object] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for server in (self.api, self.storage, self.elsewhere):
            await self._stack.enter_async_context(server)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @property
    def call(self) -> Call:
        """A call that carries its link."""
        return Call(id=ID, recording_url=f"{self.storage.url}/{ID}.mp3?{QUERY}")

    def client(self, **settings: Any) -> AsyncCallsClient:
        """A client with the canary for a key, which never retries."""
        settings.setdefault("retry", RetryPolicy(max_attempts=1))
        return AsyncCallsClient(KEY, base_url=f"{self.api.url}/v1", on_event=self.events.append, **settings)

    def told(self) -> Iterator[tuple[str, str]]:
        """What the watchers were told."""
        for event in self.events:
            yield "an event", repr(event)

    def check_wire(self) -> None:
        """Make sure that the key went to the API alone, and the signature to storage alone."""
        for request in self.api.requests:
            assert not any(canary in elsewhere_than_credentials(request) for canary in CANARIES), request
            assert request.values("cookie") == []
        for request in self.storage.requests:
            assert KEY not in repr(request)
            assert SIGNATURE not in repr((request.method, request.headers, request.body))
            assert [name for name in _CREDENTIALS if request.values(name)] == []
        for request in self.elsewhere.requests:  # a redirect of storage's is followed: with nothing of ours
            assert request.target == f"/?{QUERY}", "a place that storage did not name"
            assert KEY not in repr(request)
            assert {name.lower() for name, _ in request.headers} <= _OF_STORAGE


def elsewhere_than_credentials(request: Request) -> str:
    """A request without the two headers in which a key may stand."""
    others = [
        (name, value) for name, value in request.headers if name.lower() not in ("x-api-key", "authorization")
    ]
    return repr((request.method, request.target, others, request.body))
