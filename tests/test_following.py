"""Waiting for a call to end, and its events as they appear: the rules, and what is asked for on the way."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from fake_clock import FakeClock
from paced import paced
from raw_server import RawServer, answer
from yarl import URL

from krosai_calls import AsyncCallsClient, CallsClient, ClientStateError, InvalidArgumentError, NotFoundError
from krosai_calls._following import MOST_REMEMBERED, Following, Step, next_wait
from krosai_calls._service import CallsService
from krosai_calls.errors import RequestTimeoutError
from krosai_calls.models import Call, CallEvent
from krosai_calls.sandbox import Sandbox
from krosai_calls.sandbox.journal import RecordedRequest

LIFE = ["call.initiated", "call.ringing", "call.answered", "call.completed"]


def events_of(names: Iterable[str]) -> list[CallEvent]:
    return [CallEvent(id=name, type=name) for name in names]


# ---- the rules


@pytest.mark.parametrize(
    ("looks", "given", "asked"),
    [
        # What each look at the events, and at the call, finds; what is given; what is asked for.
        ([["a", "call.completed"]], ["a", "call.completed"], "E"),
        ([["busy"]], ["busy"], "E"),
        ([["a", "z"], "completed", ["a", "z"]], ["a", "z"], "ECE"),
        ([["a"], "completed", ["a", "z"]], ["a", "z"], "ECE"),
        ([["a"], "ringing", ["a"], ["a", "b"], ["b", "a", "call.failed"]], ["a", "b", "call.failed"], "EC-E-E-E"),
        ([["a"], "ringing", *[["a"]] * 5, "busy", ["a", "z"], ["z", "y"]], ["a", "z", "y"], "EC-E-E-E-E-ECE-E"),
        ([["a"], "new_status", *[["a"]] * 5, "failed", ["ended"]], ["a", "ended"], "EC-E-E-E-E-ECE"),
        ([["recording.completed"], "completed", []], ["recording.completed"], "ECE"),
    ],
)
def test_each_event_is_given_once_until_events_or_call_tell_the_end(
    looks: list[list[str] | str], given: list[str], asked: str
) -> None:
    following, found, steps, coming = Following(), list[str](), "", iter(looks)
    while following.step is not Step.OVER:
        steps += {Step.EVENTS: "E", Step.CALL: "C", Step.WAIT: "-"}[following.step]
        if following.step is Step.WAIT:
            following.waited()
            continue
        match next(coming):
            case str(status):
                following.take_call(Call(id="call_1", status=status))
            case names:
                found += [str(event.type) for event in following.take_events(events_of(names))]
    assert (found, steps, list(coming)) == (given, asked, [])


def test_events_without_an_id_are_told_apart_by_what_is_said_and_how_often() -> None:
    following, key = Following(), CallEvent(type="dtmf", data={"key": "1"})
    other = CallEvent(type="dtmf", data={"key": "2"})
    assert following.take_events([key]) == [key]
    assert following.take_events([key, key, other]) == [key, other]
    assert following.take_events([key, other, key]) == []


def test_an_id_that_is_told_twice_is_one_event() -> None:
    twice = events_of(["a", "a"])
    assert Following().take_events(twice) == twice[:1]


def test_a_service_that_tells_ever_new_events_fills_no_memory() -> None:
    following = Following()
    for start in range(0, 3 * MOST_REMEMBERED, MOST_REMEMBERED // 2):
        names = map(str, range(start, start + MOST_REMEMBERED // 2))
        assert len(following.take_events(events_of(names))) == MOST_REMEMBERED // 2
        assert len(following._seen) <= MOST_REMEMBERED


@pytest.mark.parametrize(
    ("poll", "left", "wait"),
    [(1, 60, 1), (1, 2, 1), (1, 1.5, 0.5), (1, 1, 1), (1, 0.2, 0.2), (60, 10, 9), (60, 1, 1), (0.1, 0.15, 0.05)],
)
def test_the_last_look_comes_while_there_is_time_for_its_answer(poll: float, left: float, wait: float) -> None:
    assert next_wait(poll, left) == pytest.approx(wait)


# ---- on the wire


@asynccontextmanager
async def service(url: str, clock: FakeClock) -> AsyncIterator[CallsService]:
    async with paced(url, clock) as transport:
        yield CallsService(transport, api_url=URL(f"{url}/v1"), most_at_once=4)


@pytest.fixture
async def live_sandbox() -> AsyncIterator[Sandbox]:
    """A world in which a second passes with each request."""

    def one_second_more(_: RecordedRequest) -> None:
        sandbox.advance(1.0)

    async with Sandbox(calls=0, on_request=one_second_more) as sandbox:
        yield sandbox


async def test_a_life_is_watched_from_its_first_event_to_its_last(live_sandbox: Sandbox) -> None:
    call_id = live_sandbox.add_call(duration=12)["id"]
    async with AsyncCallsClient(live_sandbox.api_key, base_url=live_sandbox.base_url) as client:
        types = [event.type async for event in client.watch_events(call_id, poll_seconds=0.001)]
    assert types == LIFE
    # About 17 seconds of life, one of them with each request: the call itself is asked for now and then only.
    asked = [request.path.rpartition("/")[2] for request in live_sandbox.requests]
    assert asked.count("events") in range(12, 18)
    assert 1 <= asked.count(call_id) <= 3


async def test_an_ended_call_is_one_request_for_each_verb(sandbox: Sandbox, client: AsyncCallsClient) -> None:
    ended = next(call for call in sandbox.calls if call["status"] == "completed")
    assert [event.type async for event in client.watch_events(ended["id"])][:4] == LIFE
    assert len(sandbox.requests) == 1
    assert (await client.wait_until_ended(ended["id"])).completed_at is not None
    assert len(sandbox.requests) == 2


async def test_waiting_ends_with_the_call_and_not_before(live_sandbox: Sandbox) -> None:
    call_id = live_sandbox.add_call(duration=5)["id"]
    async with AsyncCallsClient(live_sandbox.api_key, base_url=live_sandbox.base_url) as client:
        call = await client.wait_until_ended(call_id, poll_seconds=0.001)
    assert (call.status, call.duration) == ("completed", 5)
    assert 9 <= len(live_sandbox.requests) <= 13


def json_answers(*bodies: Any) -> list[Any]:
    return [answer(200, json.dumps(body).encode()) for body in bodies]


LIVE = {"id": "call_1", "status": "ringing"}


async def test_a_wait_has_one_deadline_and_says_how_the_call_stood() -> None:
    clock = FakeClock()
    async with RawServer() as server, service(server.url, clock) as calls:
        server.script(*json_answers(LIVE))
        with pytest.raises(TimeoutError, match=r"call_1 did not end within 10 s: it is ringing") as raised:
            await calls.wait_until_ended("call_1", 10, 4)
    assert isinstance(raised.value, RequestTimeoutError)
    # At 0, 4, 8 and 9 seconds: the last one a second before the end.
    assert (clock.slept, len(server.requests)) == ([4, 4, 1, 1], 4)


async def test_retries_count_for_the_deadline() -> None:
    clock = FakeClock()
    async with RawServer() as server, service(server.url, clock) as calls:
        server.script(answer(503, b"{}", [("Retry-After", "7")]), *json_answers(LIVE))
        with pytest.raises(RequestTimeoutError, match="ringing"):
            await calls.wait_until_ended("call_1", 10, 60)
    assert clock.now == 110
    assert len(server.requests) == 3


async def test_an_answer_that_does_not_come_is_no_longer_waited_for_than_the_deadline() -> None:
    async with RawServer() as server, AsyncCallsClient("kros_test_key", base_url=server.url) as client:
        server.script(answer(then="hang", framing="none"))
        with pytest.raises(RequestTimeoutError, match="no answer told how it stands"):
            await client.wait_until_ended("call_1", timeout_seconds=0.05)


async def test_a_retry_after_is_kept_to_in_the_middle_of_a_watch() -> None:
    clock = FakeClock()
    lists = [{"events": [{"id": name, "event": name} for name in LIFE[:count]]} for count in (1, 4)]
    async with RawServer() as server, service(server.url, clock) as calls:
        first, last = json_answers(*lists)
        server.script(first, answer(429, b"{}", [("Retry-After", "2.5")]), last, path="/v1/calls/call_1/events")
        server.script(*json_answers(LIVE), path="/v1/calls/call_1")
        assert [event.type async for event in calls.watch_events("call_1", 1.0)] == LIFE
    assert clock.slept[0] == 1.0
    assert clock.now >= 103.5


async def test_leaving_a_watch_early_leaves_nothing_behind(live_sandbox: Sandbox) -> None:
    call_id = live_sandbox.add_call()["id"]
    async with AsyncCallsClient(live_sandbox.api_key, base_url=live_sandbox.base_url) as client:
        async with aclosing(client.watch_events(call_id)) as events:
            async for event in events:
                assert event.type == "call.initiated"
                break
        asked = len(live_sandbox.requests)
        assert [event async for event in events] == []
        assert len(live_sandbox.requests) == asked == 1


@pytest.mark.parametrize("verb", ["watch", "wait"])
async def test_a_cancelled_wait_ends_at_once(verb: str) -> None:
    clock = FakeClock(is_driven=True)
    async with RawServer() as server, service(server.url, clock) as calls:
        server.script(*json_answers({"events": []}), path="/v1/calls/call_1/events")
        server.script(*json_answers(LIVE), path="/v1/calls/call_1")
        watch = calls.watch_events("call_1", 1.0)
        waiting = asyncio.ensure_future(
            anext(watch) if verb == "watch" else calls.wait_until_ended("call_1", None, 1)
        )
        await clock.asleep(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert clock.sleeping == 0
        await watch.aclose()


async def test_closing_the_client_ends_a_watch(live_sandbox: Sandbox) -> None:
    call_id = live_sandbox.add_call(status="in_progress")["id"]
    looked = asyncio.Event()
    live_sandbox.on_request = lambda request: looked.set() if request.path.endswith(call_id) else None
    client = AsyncCallsClient(live_sandbox.api_key, base_url=live_sandbox.base_url)
    watch = client.watch_events(call_id, poll_seconds=3600)
    for _ in range(3):
        await anext(watch)
    waiting = asyncio.ensure_future(anext(watch))
    await looked.wait()
    await client.aclose()
    with pytest.raises(ClientStateError):
        await waiting


@pytest.mark.parametrize("seconds", [0, -1, 0.0001, 3601, float("nan"), float("inf"), True, "1", None])
async def test_a_wait_that_cannot_be_meant_is_refused_before_any_request(seconds: Any) -> None:
    async with RawServer() as server, AsyncCallsClient("kros_test_key", base_url=server.url) as client:
        with pytest.raises(InvalidArgumentError, match="poll_seconds"):
            client.watch_events("call_1", poll_seconds=seconds)
        with pytest.raises(InvalidArgumentError, match="poll_seconds"):
            await client.wait_until_ended("call_1", poll_seconds=seconds)
        if seconds not in (None, 0.0001, 3601):
            with pytest.raises(InvalidArgumentError, match="timeout_seconds"):
                await client.wait_until_ended("call_1", timeout_seconds=seconds)
        assert server.requests == []


async def test_a_call_that_is_not_there_is_told(client: AsyncCallsClient) -> None:
    with pytest.raises(NotFoundError):
        await anext(client.watch_events("call_nosuch"))
    with pytest.raises(NotFoundError):
        await client.wait_until_ended("call_nosuch")


# ---- blocking


@pytest.mark.parametrize(
    ("read", "seen"),
    [
        (lambda client, call_id: [event.type for event in client.watch_events(call_id, poll_seconds=0.001)], LIFE),
        (lambda client, call_id: client.wait_until_ended(call_id, poll_seconds=0.001).status, "completed"),
    ],
    ids=["watch_events", "wait_until_ended"],
)
def test_a_blocking_client_watches_and_waits_likewise(read: Callable[[CallsClient, str], Any], seen: Any) -> None:
    with Sandbox(calls=0) as sandbox, CallsClient(sandbox.api_key, base_url=sandbox.base_url) as client:
        sandbox.on_request = lambda _: sandbox.advance(1.0)
        assert read(client, sandbox.add_call(duration=5)["id"]) == seen


def test_a_blocking_watch_can_be_left_early() -> None:
    with Sandbox(calls=0) as sandbox, CallsClient(sandbox.api_key, base_url=sandbox.base_url) as client:
        call_id = sandbox.add_call(status="in_progress")["id"]
        events = client.watch_events(call_id, poll_seconds=3600)
        assert [event.type for event in itertools.islice(events, 3)] == LIFE[:3]
        del events
        assert client.get_call(call_id).status == "in_progress"
