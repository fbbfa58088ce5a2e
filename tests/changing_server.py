"""A service whose history changes while it is listed, over a real socket.

    async with ChangingServer(100, after_each=lambda history, answers: history.insert(0)) as server:
        seen = [call.id async for call in client_of(server).iter_calls(page_size=10)]
        server.history.check(seen)

It knows the listing alone. What it is asked for it remembers, and how much of that was under way at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import threaded_client
from raw_server import Answer, RawServer, Request, answer

from krosai_calls import AsyncCallsClient, CallsClient, RetryPolicy

KEY = "kros_test_CANARYKEY"
LONGEST_WAIT_SECONDS = 10
HANG = Answer(then="hang")


def ids_of(rows: Sequence[Any]) -> list[str]:
    """The ids of those rows that have one."""
    ids = [row.get("id") for row in rows if isinstance(row, dict)]
    return [call_id for call_id in ids if call_id and isinstance(call_id, str)]


class History:
    """Calls as they stand, newest first; a test moves them about.

    Attributes:
        rows: What the service gives, as JSON; a row need not be a call.
    """

    def __init__(self, calls: int = 0) -> None:
        self._numbers = itertools.count()
        self.rows: list[Any] = [self._make() for _ in range(calls)]
        self._first = self.ids()

    def _make(self) -> dict[str, Any]:
        number = next(self._numbers)
        moment = datetime(2025, 1, 10, tzinfo=UTC) - timedelta(minutes=number)
        return {"id": f"call_{number:05d}", "status": "completed", "created_at": moment.isoformat()}

    def ids(self) -> list[str]:
        """The calls there are, in order."""
        return ids_of(self.rows)

    def always(self) -> list[str]:
        """The calls that have been there all the time, in order."""
        left = set(self.ids())
        return [call_id for call_id in self._first if call_id in left]

    def insert(self, place: int, count: int = 1) -> None:
        """New calls, where somebody would not look for them as well as at the head."""
        self.rows[place:place] = [self._make() for _ in range(count)]

    def delete(self, place: int, count: int = 1) -> None:
        del self.rows[place : place + count]

    def check(self, seen: Sequence[str]) -> None:
        """A listing gave this: each call once at most, and those that have always been there, in order."""
        assert len(set(seen)) == len(seen)
        always = self.always()
        wanted = set(always)
        assert [call_id for call_id in seen if call_id in wanted] == always


@dataclass(frozen=True)
class Asked:
    """A page that was asked for."""

    offset: int
    limit: int
    status: str | None = None


Change: TypeAlias = Callable[[History, int], None]
Twist: TypeAlias = Callable[[Asked, dict[str, Any]], dict[str, Any]]
Instead: TypeAlias = Callable[[Asked], Answer | None]


class ChangingServer(RawServer):
    """The service; `async with` gives it, listening.

    Args:
        calls: How many there are at first.
        after_each: Changes the history after an answer; told how many there have been.
        twist: Makes another body of a page.
        instead: Gives another answer than a page, or None for the page.

    Attributes:
        history: The calls.
        asked: The pages that were asked for, in order.
        served: The ids of the calls that went out.
        hold: While this is set to an event, pages wait for it.
        most_under_way: How many requests there were at once that had no answer yet.
    """

    def __init__(
        self,
        calls: int = 0,
        *,
        after_each: Change | None = None,
        twist: Twist | None = None,
        instead: Instead | None = None,
    ) -> None:
        super().__init__(self._answer)
        self.history = History(calls)
        self.after_each = after_each
        self.twist = twist
        self.instead = instead
        self.hold: asyncio.Event | None = None
        self.asked: list[Asked] = []
        self.served: set[str] = set()
        self.most_under_way = 0
        self._under_way = 0
        self._answers = 0
        self._closed = asyncio.Event()

    @property
    def offsets(self) -> list[int]:
        return [asked.offset for asked in self.asked]

    async def keeps_open(self, count: int) -> None:
        """Wait until so many connections are left."""
        async with asyncio.timeout(LONGEST_WAIT_SECONDS):
            while len(self._tasks) > count:
                await self._closed.wait()
                self._closed.clear()

    async def is_asked(self, count: int) -> None:
        """Wait until so many pages were asked for."""
        async with asyncio.timeout(LONGEST_WAIT_SECONDS):
            await self.received(count)

    async def settles(self) -> None:
        """Let whoever has something to send here send it: others come and go over the same loop meanwhile."""
        host, port = self.url.removeprefix("http://").split(":")
        for _ in range(5):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /fence HTTP/1.1\r\nConnection: close\r\n\r\n")
            await reader.read()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _ended(self, task: asyncio.Task[None]) -> None:
        super()._ended(task)
        self._closed.set()

    def _answer(self, request: Request) -> Answer:
        if request.path == "/fence":
            self.requests.remove(request)
            return answer(204, then="close")
        query = dict(request.query)
        asked = Asked(int(query["offset"]), int(query["limit"]), query.get("status"))
        self.asked.append(asked)
        self._under_way += 1
        self.most_under_way = max(self.most_under_way, self._under_way)
        given = self._given(asked)
        return Answer(given.wire, given.then, more=self._when_sent(given.more), gate=self.hold)

    def _when_sent(self, more: Any) -> Iterator[bytes]:
        self._under_way -= 1
        yield from more

    def _given(self, asked: Asked) -> Answer:
        given = self.instead(asked) if self.instead is not None else None
        if given is None:
            rows = [row for row in self.history.rows if asked.status is None or row["status"] == asked.status]
            page = rows[asked.offset : asked.offset + asked.limit]
            body: dict[str, Any] = {
                "calls": page,
                "total": len(rows),
                "limit": asked.limit,
                "offset": asked.offset,
            }
            body = body if self.twist is None else self.twist(asked, body)
            self.served.update(ids_of(body["calls"]))
            given = answer(200, json.dumps(body).encode())
        self._answers += 1
        if self.after_each is not None:
            self.after_each(self.history, self._answers)
        return given


# --- What may become of a history of a hundred calls, read by tens -----------------------------------------

PAGE = 10
CALLS = 100


def for_a_while(change: Change) -> Change:
    """After the answers 2 to 7 only: what never rests cannot be listed by anybody."""
    return lambda history, answers: change(history, answers) if 2 <= answers <= 7 else None


def once(change: Change) -> Change:
    return lambda history, answers: change(history, answers) if answers == 3 else None


def swap_head_for_tail(history: History, answers: int) -> None:
    history.insert(0)
    history.delete(len(history.rows) - 1)


def swap_head_for_middle(history: History, answers: int) -> None:
    history.insert(0)
    history.delete(5)


def swap_tail_for_head(history: History, answers: int) -> None:
    history.delete(0)
    history.insert(len(history.rows))


def delete_every_second(history: History, answers: int) -> None:
    del history.rows[::2]


def come(count: int) -> Change:
    return for_a_while(lambda history, _: history.insert(0, count))


CHANGES = {
    **{f"C1 {count} new calls at the head": come(count) for count in (1, PAGE - 1, PAGE, 3 * PAGE)},
    "C1 new calls in the middle": for_a_while(lambda history, _: history.insert(30, 3)),
    "C1 a new call after each answer, without end": lambda history, _: history.insert(0),
    "C2 a call is deleted at the head": for_a_while(lambda history, _: history.delete(0)),
    "C2 a page is deleted at the head": once(lambda history, _: history.delete(0, PAGE)),
    "C2 calls are deleted where the page ends": for_a_while(lambda history, _: history.delete(2 * PAGE - 4, 3)),
    "C2 what the pages share is deleted": lambda history, answers: (
        history.delete(PAGE - 1) if answers == 1 else None
    ),
    "C2 calls are deleted behind": for_a_while(lambda history, _: history.delete(60, 3)),
    "C2 calls are deleted at the very end": for_a_while(
        lambda history, _: history.delete(len(history.rows) - 3, 3)
    ),
    "C3 one comes, the oldest goes": for_a_while(swap_head_for_tail),
    "C3 one comes, a listed one goes": for_a_while(swap_head_for_middle),
    "C3 the newest goes, an old one comes": for_a_while(swap_tail_for_head),
    "C4 the first half vanishes": once(lambda history, _: history.delete(0, CALLS // 2)),
    "C4 the second half vanishes": once(lambda history, _: history.delete(CALLS // 2, CALLS)),
    "C4 every second vanishes": once(delete_every_second),
    "C4 all but three vanish": once(lambda history, _: history.delete(3, CALLS)),
    "C4 all vanish": once(lambda history, _: history.delete(0, CALLS)),
    "C5 old calls come at the end": for_a_while(lambda history, _: history.insert(len(history.rows), PAGE)),
}


# --- Clients -----------------------------------------------------------------------------------------------


def settings_for(server: ChangingServer, **settings: Any) -> dict[str, Any]:
    retry = RetryPolicy(max_attempts=2, base_delay_seconds=0.0)
    return {"api_key": KEY, "base_url": f"{server.url}/v1", "retry": retry} | settings


def client_of(server: ChangingServer, **settings: Any) -> AsyncCallsClient:
    """A client of the server that retries once, without waiting."""
    return threaded_client.either(AsyncCallsClient(**settings_for(server, **settings)))


def blocking_client_of(server: ChangingServer, **settings: Any) -> CallsClient:
    """The same, for callers that block; they need a thread of their own."""
    return CallsClient(**settings_for(server, **settings))


async def ids_from(
    server: ChangingServer, *, page_size: int = 10, seen: list[str] | None = None, **settings: Any
) -> list[str]:
    """What a whole listing gives; what came before an error is in `seen`."""
    seen = [] if seen is None else seen
    async with client_of(server, **settings) as client:
        blocking: CallsClient | None = getattr(client, "blocking", None)
        if blocking is None:
            async for call in client.iter_calls(page_size=page_size):
                seen.append(call.id)
        else:
            # All in one thread, as who blocks does it: a hop for each call would take longer than the listing.
            await asyncio.to_thread(_listed_into, seen, blocking, page_size)
    return seen


def _listed_into(seen: list[str], client: CallsClient, page_size: int) -> None:
    seen.extend(call.id for call in client.iter_calls(page_size=page_size))  # what came before an error stays
