"""What a client's watcher and its log are told, in which order and with which numbers."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from raw_server import Answer, RawServer, Request, answer

from krosai_calls import AsyncCallsClient, ConnectionFailedError, KrosaiError, NotFoundError, RetryPolicy
from krosai_calls._bodies import StorageAnswer
from krosai_calls._pace import Pace
from krosai_calls._text import Secret
from krosai_calls._transport import Transport
from krosai_calls._wire import Endpoint
from krosai_calls._wire import Request as ApiRequest
from krosai_calls.observing import (
    Event,
    RateLimit,
    RequestAnswered,
    RequestRetried,
    RequestsPaused,
    RequestStarted,
)
from krosai_calls.settings import ClientSettings

CALL = b'{"id": "call_1"}'
REQUEST = ApiRequest(Endpoint.GET_CALL, "/calls/call_1")
NAMED = [("X-Request-Id", "req_7")]


class Watched:
    """A transport to a server, on a clock that only waiting and the server move.

    Attributes:
        now: What the clock says.
        events: What its watcher was told.
        server: Takes a quarter of a second for each answer.
    """

    def __init__(self, *answers: Answer) -> None:
        self.now = 1000.0
        self.events: list[Event] = []
        self.server = RawServer(self._handle)
        self._answers = list(answers)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    @asynccontextmanager
    async def transport(
        self, on_event: Callable[[Event], object] | None = None, **settings: Any
    ) -> AsyncIterator[Transport]:
        async with self.server:
            resolved = ClientSettings.resolve("key", base_url=f"{self.server.url}/v1", environment={}, **settings)
            transport = Transport(
                resolved,
                Pace(max_concurrency=4, clock=self.clock, sleep=self.sleep),
                on_event=on_event or self.events.append,
                clock=self.clock,
                sleep=self.sleep,
                random=lambda: 0.5,
            )
            try:
                yield transport
            finally:
                await transport.aclose()

    async def fetch(self, request: ApiRequest = REQUEST, **settings: Any) -> bytes:
        async with self.transport(**settings) as transport:
            return await transport.fetch(request, lambda got: got.body)

    def _handle(self, request: Request) -> Answer:
        self.now += 0.25
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def started(attempt: int = 1) -> RequestStarted:
    return RequestStarted("api", "GET", "/calls/{id}", "/calls/call_1", attempt)


async def test_a_success_is_a_start_and_an_end() -> None:
    watched = Watched(answer(200, CALL, NAMED))
    await watched.fetch()
    assert watched.events == [started(), RequestAnswered(started(), 200, 0.25, "req_7", None)]
    assert watched.events[0] is watched.events[1].request  # type: ignore[union-attr]  # what the line above says


async def test_a_hang_up_tells_its_method_and_its_template() -> None:
    watched = Watched(answer(200, CALL))
    await watched.fetch(ApiRequest(Endpoint.HANG_UP, "/calls/call_1/hangup", idempotency_key="k"))
    assert watched.events[0] == RequestStarted("api", "POST", "/calls/{id}/hangup", "/calls/call_1/hangup", 1)


async def test_a_refusal_is_an_answer_with_its_status() -> None:
    watched = Watched(answer(404, b"{}", NAMED))
    with pytest.raises(NotFoundError):
        await watched.fetch()
    assert watched.events == [started(), RequestAnswered(started(), 404, 0.25, "req_7", None)]


async def test_a_retry_is_told_with_its_delay_between_two_numbered_requests() -> None:
    watched = Watched(answer(500), answer(200, CALL))
    await watched.fetch()
    words = f"GET {watched.server.url}/v1/calls/call_1 answered 500"
    assert watched.events == [
        started(1),
        RequestAnswered(started(1), 500, 0.25, None, None),
        RequestRetried(1, 0.25, words),
        started(2),
        RequestAnswered(started(2), 200, 0.25, None, None),
    ]


async def test_a_refusal_for_too_much_is_a_pause_and_a_retry() -> None:
    watched = Watched(answer(429, headers=[("Retry-After", "1.5")]), answer(200, CALL))
    await watched.fetch()
    kinds = [type(event) for event in watched.events]
    assert kinds == [
        RequestStarted,
        RequestAnswered,
        RequestsPaused,
        RequestRetried,
        RequestStarted,
        RequestAnswered,
    ]
    assert watched.events[2] == RequestsPaused("api", 1.5)
    retried = watched.events[3]
    assert isinstance(retried, RequestRetried)
    assert (retried.attempt, retried.delay_seconds) == (1, 1.5)


async def test_a_fault_is_an_end_without_a_status_in_a_sentence() -> None:
    watched = Watched(Answer(then="reset"))
    with pytest.raises(ConnectionFailedError):
        await watched.fetch(retry=RetryPolicy(max_attempts=1))
    end = watched.events[-1]
    assert isinstance(end, RequestAnswered)
    assert (end.request, end.status, end.seconds, end.request_id) == (started(), None, 0.25, None)
    assert end.error is not None
    assert "the connection was lost" in end.error


async def test_an_answer_that_cannot_be_read_keeps_its_status() -> None:
    watched = Watched(answer(200, CALL, [("Content-Encoding", "gzip"), *NAMED]))
    with pytest.raises(KrosaiError):
        await watched.fetch(retry=RetryPolicy(max_attempts=1))
    end = watched.events[-1]
    assert isinstance(end, RequestAnswered)
    assert (end.status, end.error is None) == (None, False)


async def test_storage_is_told_apart_and_without_its_query() -> None:
    watched = Watched(answer(200, b"ID3", NAMED))
    async with (
        watched.transport() as transport,
        transport.storage(Secret(f"{watched.server.url}/a/r.mp3?sig=secret"), {}, attempt=3) as got,
    ):
        assert isinstance(got, StorageAnswer)
    start = watched.events[0]
    assert isinstance(start, RequestStarted)
    assert (start.origin, start.method, start.path, start.attempt) == ("storage", "GET", "/a/r.mp3", 3)
    assert watched.events[1:] == [RequestAnswered(start, 200, 0.25, None, None)]


async def test_a_pause_of_storage_is_told_as_storages() -> None:
    watched = Watched(answer(503, headers=[("Retry-After", "2")]))
    async with watched.transport() as transport, transport.storage(Secret(f"{watched.server.url}/r.mp3"), {}):
        pass
    assert watched.events[-1] == RequestsPaused("storage", 2.0)


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "cancelled"])
async def test_a_request_that_was_given_up_is_told_to_have_ended(is_closed: bool) -> None:
    watched = Watched(Answer(then="hang"))
    async with watched.transport() as transport:
        task = asyncio.ensure_future(transport.fetch(REQUEST, lambda got: got.body))
        await watched.server.received(1)
        await transport.aclose() if is_closed else task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert watched.events == [started(), RequestAnswered(started(), None, 0.25, None, "given up")]


async def test_a_watcher_that_fails_breaks_nothing_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(answer(500), answer(200, CALL))

    def broken(event: Event) -> None:
        raise ZeroDivisionError("in the watcher")

    async with watched.transport(broken) as transport:
        assert await transport.fetch(REQUEST, lambda got: got.body) == CALL
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 5  # one for each event
    assert {record.name for record in errors} == {"krosai_calls"}
    assert {record.exc_info[0] for record in errors if record.exc_info} == {ZeroDivisionError}


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "krosai_calls" and r.levelno == level]


async def test_m22_the_log_has_a_line_an_exchange_and_says_why_it_waits(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "krosai_calls")
    watched = Watched(answer(429, headers=[("Retry-After", "1.5"), *NAMED]), answer(200, CALL))
    await watched.fetch(default_query={"token": "t"})
    assert lines(caplog, logging.DEBUG) == [
        "GET /v1/calls/call_1 429 in 250 ms, attempt 1, req_7",
        "GET /v1/calls/call_1 200 in 250 ms, attempt 2",
    ]
    pause, retry = lines(caplog, logging.INFO)
    assert pause == "nothing goes to api for 1.50 s: it asked for a pause"
    assert retry.startswith("attempt 1 failed, the next in 1.50 s: GET ")


@pytest.mark.parametrize(("level", "count"), [(logging.INFO, 1), (logging.WARNING, 0)])
async def test_a_quieter_level_hears_less(caplog: pytest.LogCaptureFixture, level: int, count: int) -> None:
    caplog.set_level(level, "krosai_calls")
    await Watched(answer(500), answer(200, CALL)).fetch()
    assert len(lines(caplog, logging.INFO)) == count
    assert lines(caplog, logging.DEBUG) == []


HOSTILE = "a\x9b2J\u202eb\u2028c".encode().decode("latin-1")


async def test_m16_what_could_drive_a_terminal_is_written_out_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "krosai_calls")
    refused = answer(500, b'{"error": "x\\u001b[2J\\r\\n\\u202ey"}', [("X-Request-Id", HOSTILE)])
    await Watched(refused, answer(200, CALL)).fetch()
    told = lines(caplog, logging.DEBUG) + lines(caplog, logging.INFO)
    assert [line for line in told if not line.isprintable()] == []
    assert r"a\x9b2J\u202eb\u2028c" in told[0]
    assert r"x\x1b[2J\r\n\u202ey" in told[2]


def test_importing_configures_no_logging() -> None:
    script = (
        "import logging, krosai_calls; from krosai_calls import AsyncCallsClient, CallsClient;"
        "ours, root = logging.getLogger('krosai_calls'), logging.getLogger();"
        "print(ours.handlers, ours.level, ours.propagate, root.handlers, root.level)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == f"[] 0 True [] {logging.WARNING}\n"


async def test_a_client_hands_its_watcher_on() -> None:
    events: list[Event] = []
    async with RawServer() as server:
        server.script(answer(200, CALL))
        async with AsyncCallsClient("key", base_url=server.url, on_event=events.append) as client:
            await client.get_call("call_1")
    assert [type(event) for event in events] == [RequestStarted, RequestAnswered]


async def test_an_answer_tells_the_pace_and_the_time_that_its_headers_name() -> None:
    headers = [
        ("X-RateLimit-Limit", "10"),
        ("X-RateLimit-Remaining", "9"),
        ("Date", "Fri, 10 Jan 2025 12:00:01 GMT"),
    ]
    watched = Watched(answer(200, CALL, headers))
    await watched.fetch()
    [_, told] = watched.events
    assert isinstance(told, RequestAnswered)
    assert told.rate_limit == RateLimit(10, 9)
    assert told.server_time == datetime(2025, 1, 10, 12, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("X-RateLimit-Limit", "50", RateLimit(50, None)),
        ("X-RateLimit-Remaining", "nan", None),
        ("Date", "now", None),
    ],
)
async def test_what_a_header_does_not_say_is_not_told(name: str, value: str, told: RateLimit | None) -> None:
    watched = Watched(answer(200, CALL, [(name, value)]))
    await watched.fetch()
    assert isinstance(watched.events[1], RequestAnswered)
    assert (watched.events[1].rate_limit, watched.events[1].server_time) == (told, None)
