"""A service of its own for tests of the archive: it shares no code with the sandbox, and counts what it is asked.

async with serving() as world:
    world.add("call_1", age=timedelta(hours=3))
    report = await world.archive(tmp_path)
    assert world.asked == {"list": 1, "storage": 1}
    world.pass_time(timedelta(days=1))

It begins at the real present and moves on only as a test says; the job is given the same clock.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from audio import recording
from raw_server import Answer, RawServer, Request, answer

from krosai_calls import ArchiveReport, AsyncCallsClient, RetryPolicy
from krosai_calls._arguments import filters_of
from krosai_calls.archive import ArchiveOrder, archive_calls

Row: TypeAlias = dict[str, Any]
Order: TypeAlias = Callable[[list[Row]], list[Row]]
Reading: TypeAlias = Callable[[datetime, datetime], bool]

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# What is remembered of a run's filters and what of its order.
_FILTERS = ("status", "direction", "phone_number_id", "endpoint_id", "from_date", "to_date")


def newest_first(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=_time_of, reverse=True)


def oldest_first(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=_time_of)


def last_ended_first(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["completed_at"] or _time_of(row), reverse=True)


def in_no_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: Random(row["id"]).random())


def _time_of(row: Row) -> str:
    return row["created_at"] or ""


# How a service may read the two ends of a window; what it does with calls that have no time is its own affair.
LOWER: Mapping[str, Reading] = {
    "inclusive": lambda created, bound: created >= bound,
    "exclusive": lambda created, bound: created > bound,
    "by day": lambda created, bound: created.date() >= bound.date(),
    "by later day": lambda created, bound: created.date() > bound.date(),
    "by another clock": lambda created, bound: created >= bound + 8 * HOUR,
    "ignored": lambda created, bound: True,
}
UPPER: Mapping[str, Reading] = {
    "inclusive": lambda created, bound: created <= bound,
    "exclusive": lambda created, bound: created < bound,
    "by day": lambda created, bound: created.date() <= bound.date(),
    "by earlier day": lambda created, bound: created.date() < bound.date(),
    "by another clock": lambda created, bound: created <= bound - 8 * HOUR,
    "ignored": lambda created, bound: True,
}


class ArchiveWorld:
    """A history of calls, their recordings, and the service that tells of them.

    Attributes:
        now: The present.
        rows: The calls as the service tells them, by id; a test may change them as it likes. A true
            ``recording_url`` stands for a link, which is another one each time.
        order: In which order they are listed.
        lower, upper: How ``from_date`` and ``to_date`` are read.
        quota: API requests that are still answered; None for no limit.
        api_answers: What is answered for a path of the API instead of the truth.
        storage_answers: What is answered for a call's recording instead of the truth.
        before: Called with each request before it is answered: what happens meanwhile.
        sent_bytes: How many bytes of recordings were sent.
    """

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.rows: dict[str, Row] = {}
        self.order: Order = newest_first
        self.lower = LOWER["inclusive"]
        self.upper = UPPER["inclusive"]
        self.quota: int | None = None
        self.api_answers: dict[str, Answer] = {}
        self.storage_answers: dict[str, Answer] = {}
        self.before: Callable[[Request], object] = lambda request: None
        self.frames = 3
        self.sent_bytes = 0
        self.server = RawServer(self._handle)
        self._ids: list[str] = []
        self._numbers: dict[str, int] = {}
        self._asked_before = 0

    # --- What there is ---------------------------------------------------------------------------------------

    def add(self, call_id: str, *, age: timedelta = HOUR, **fields: Any) -> Row:
        """A call that was created so long ago and took a minute."""
        created = self.now - age
        row = {
            "id": call_id,
            "status": "completed",
            "direction": "inbound",
            "endpoint_id": "ep_1",
            "created_at": text_of(created),
            "completed_at": text_of(created + MINUTE),
            "duration": 60,
            "recording_url": True,
            "transcript": f"[Agent]: This is {call_id}.",
        } | fields
        if call_id not in self._numbers:
            self._numbers[call_id] = len(self._ids)
            self._ids.append(call_id)
        self.rows[call_id] = row
        return row

    def add_many(
        self, count: int, name: str = "call", *, age: timedelta = HOUR, apart: timedelta = MINUTE, **fields: Any
    ) -> list[str]:
        """So many calls, the newest of them of this age."""
        ids = [f"{name}_{number}" for number in range(count)]
        for number, call_id in enumerate(ids):
            self.add(call_id, age=age + apart * number, **fields)
        return ids

    def add_live(self, call_id: str, *, age: timedelta = HOUR, **fields: Any) -> Row:
        """A call that goes on."""
        live: Row = {"status": "in_progress", "completed_at": None, "duration": None}
        return self.add(call_id, age=age, **(live | {"recording_url": None, "transcript": None} | fields))

    def end(self, call_id: str, **fields: Any) -> None:
        """A call ends now, and nothing has appeared of it yet."""
        self.rows[call_id] |= {"status": "completed", "completed_at": text_of(self.now), "duration": 60} | fields

    def age_of_end(self, call_id: str) -> timedelta:
        """How long ago a call ended."""
        return self.now - datetime.fromisoformat(self.rows[call_id]["completed_at"])

    def pass_time(self, time: timedelta) -> None:
        self.now += time

    def body_of(self, call_id: str) -> bytes:
        """A call's recording."""
        return recording(self.frames, voice=self._numbers[call_id])

    # --- What it is asked ------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[Request]:
        """The requests since the last ``forget``."""
        return self.server.requests[self._asked_before :]

    @property
    def asked(self) -> Counter[str]:
        """How many of them there were, by what they were for."""
        return Counter(map(kind_of, self.requests))

    @property
    def api_requests(self) -> int:
        """How many of them were for the API."""
        return sum(count for kind, count in self.asked.items() if kind != "storage")

    @property
    def fetched(self) -> list[str]:
        """The calls whose recordings were asked of storage, in order."""
        return [self.call_of(request) for request in self.requests if kind_of(request) == "storage"]

    def call_of(self, request: Request) -> str:
        """The call whose recording a request to storage is for."""
        number = int(request.path.removeprefix("/storage/").removesuffix(".mp3"))
        return self._ids[number]

    def forget(self) -> None:
        """Count from here on."""
        self._asked_before = len(self.server.requests)
        self.sent_bytes = 0

    async def archive(self, folder: Path, **options: Any) -> ArchiveReport:
        """A run of the job, with a client of its own.

        Args:
            folder: Where to.
            **options: Filters, and what else there is to order; ``settings`` for the client.
        """
        settings = options.pop("settings", {})
        async with self.client(**settings) as client:
            filters = {name: options.pop(name, None) for name in _FILTERS}
            order = ArchiveOrder(folder, clock=lambda: self.now, **options)
            return await archive_calls(client._service.source(filters_of(**filters)), order)

    def client(self, **settings: Any) -> AsyncCallsClient:
        """A client that loses no time."""
        settings = {"retry": RetryPolicy(max_attempts=2, base_delay_seconds=0.0), **settings}
        return AsyncCallsClient("kros_test_CANARYKEY", base_url=f"{self.server.url}/v1", **settings)

    # --- What it answers -------------------------------------------------------------------------------------

    def _handle(self, request: Request) -> Answer:
        self.before(request)
        if kind_of(request) == "storage":
            return self._recording(request)
        if self.quota is not None:
            if self.quota <= 0:
                return answer(429, b'{"error": "the day is over"}', [("Retry-After", "3600")])
            self.quota -= 1
        if request.path in self.api_answers:
            return self.api_answers[request.path]
        if request.path == "/v1/calls":
            return _json(self._page(dict(request.query)))
        _, _, call_id, verb = f"{request.path}/".removeprefix("/v1").split("/", 3)
        row = self.rows.get(call_id)
        match verb:
            case "" if row is not None:
                return _json(self._told(row))
            case "events/" if row is not None:
                return _json({"events": [{"id": f"{call_id}-1", "event": "call.ringing"}]})
            case "recording/" if row is not None and row["recording_url"]:
                return _json({"recording_url": self._told(row)["recording_url"]})
            case _:
                return answer(404, b'{"error": "there is none"}')

    def _page(self, query: Mapping[str, str]) -> Any:
        rows = self.order(self._matching(query))
        offset, limit = int(query["offset"]), int(query["limit"])
        told = [self._told(row) for row in rows[offset : offset + limit]]
        return {"calls": told, "total": len(rows), "limit": limit, "offset": offset}

    def _matching(self, query: Mapping[str, str]) -> list[Row]:
        wanted = [(name, query[name]) for name in _FILTERS[:4] if name in query]
        bounds = [
            (reads, datetime.fromisoformat(query[name]))
            for name, reads in (("from_date", self.lower), ("to_date", self.upper))
            if name in query
        ]

        def is_within(created_at: str | None) -> bool:
            if not bounds or created_at is None:
                return not bounds
            created = datetime.fromisoformat(created_at)
            return all(reads(created, bound) for reads, bound in bounds)

        rows = [row for row in self.rows.values() if all(row.get(name) == value for name, value in wanted)]
        return [row for row in rows if is_within(row["created_at"])]

    def _told(self, row: Row) -> Row:
        if not row["recording_url"]:
            return row
        place = f"{self.server.url}/storage/{self._numbers[row['id']]}.mp3"
        return row | {"recording_url": f"{place}?signature=CANARYSIG{len(self.server.requests)}"}

    def _recording(self, request: Request) -> Answer:
        call_id = self.call_of(request)
        if call_id in self.storage_answers:
            return self.storage_answers[call_id]
        body, tag = self.body_of(call_id), f'"{self._numbers[call_id]}"'
        found = re.fullmatch(r"bytes=(\d+)-", "".join(request.values("range")))
        start = int(found[1]) if found and request.values("if-range") in ([], [tag]) else 0
        self.sent_bytes += len(body) - start
        headers = [("ETag", tag), ("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")]
        status = 206 if start else 200
        return answer(status, body[start:], headers[: 1 + bool(start)], content_type="audio/mpeg")


def text_of(moment: datetime) -> str:
    """A time as the service writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def kind_of(request: Request) -> str:
    """What a request is for: ``list``, ``call``, ``events``, ``link`` or ``storage``."""
    if request.path.startswith("/storage/"):
        return "storage"
    for end, kind in (("/v1/calls", "list"), ("/events", "events"), ("/recording", "link")):
        if request.path.endswith(end):
            return kind
    return "call"


def _json(value: Any) -> Answer:
    return answer(200, json.dumps(value).encode())


@asynccontextmanager
async def serving() -> AsyncIterator[ArchiveWorld]:
    """A world whose server runs."""
    world = ArchiveWorld()
    async with world.server:
        yield world
