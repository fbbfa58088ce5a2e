"""K1, K4 to K8, K15: what becomes of everything under way when a client is closed or a caller gives up."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from audio import recording
from raw_server import Answer, RawServer, answer

from krosai_calls import AsyncCallsClient, ClientStateError, NotFoundError, RetryPolicy

CALL = b'{"id": "call_1"}'
MP3 = recording(5)
LONG_MP3 = recording(157)[:30_000]
OK = answer(200, CALL)
SILENCE = Answer(then="hang")
TASKS = 10

Verb: TypeAlias = Callable[[AsyncCallsClient, Path], Awaitable[object]]


async def get(client: AsyncCallsClient, path: Path) -> object:
    return await client.get_call("call_1")


async def order(client: AsyncCallsClient, path: Path) -> object:
    return await client.hang_up("call_1")


async def stream(client: AsyncCallsClient, path: Path) -> object:
    async with client.stream_recording("call_1") as recording:
        return [piece async for piece in recording]


async def save(client: AsyncCallsClient, path: Path) -> object:
    return await client.download_recording("call_1", path)


@dataclass(frozen=True)
class Stage:
    """Where ten verbs stand when they are ended.

    Attributes:
        verb: What was asked.
        api: What the API answers after its first success.
        storage: What storage answers.
        requests: How many requests come before all ten stand there.
        settings: The client's, besides.
    """

    verb: Verb = get
    api: Answer = OK
    storage: Answer = OK
    requests: int = TASKS
    settings: dict[str, Any] = field(default_factory=dict)


FOR_STORAGE = 2 * TASKS  # a link, and the recording
LATER = [("Retry-After", "50")]
STAGES = {
    "an answer": Stage(api=SILENCE),
    "an answer to a POST": Stage(order, api=SILENCE),
    "a body": Stage(api=answer(200, CALL, cut=9, then="hang")),
    "a body without a length": Stage(api=answer(200, CALL, framing="none", then="hang")),
    "a slot": Stage(api=SILENCE, requests=1, settings={"max_concurrency": 1}),
    "a turn": Stage(requests=0, settings={"requests_per_second": 0.01}),
    "a retry": Stage(api=answer(500, headers=LATER)),
    "the end of a pause": Stage(api=answer(429, headers=LATER), requests=1),
    "storage's answer": Stage(stream, storage=SILENCE, requests=FOR_STORAGE),
    "storage's body": Stage(stream, storage=answer(200, MP3, cut=200, then="hang"), requests=FOR_STORAGE),
    "storage's body without a length": Stage(
        stream, storage=answer(200, MP3, framing="none", cut=400, then="hang"), requests=FOR_STORAGE
    ),
    "a whole recording's end": Stage(
        stream, storage=answer(200, MP3[:-1], framing="none", then="hang"), requests=FOR_STORAGE
    ),
    "a file's bytes": Stage(save, storage=answer(200, MP3, cut=200, then="hang"), requests=FOR_STORAGE),
    "a file's bytes without a length": Stage(
        save, storage=answer(200, MP3, framing="none", cut=400, then="hang"), requests=FOR_STORAGE
    ),
    "a file's next attempt": Stage(save, storage=answer(500, headers=LATER), requests=FOR_STORAGE),
}
all_stages = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with RawServer() as made:
        yield made


def client_of(server: RawServer, **settings: Any) -> AsyncCallsClient:
    return AsyncCallsClient("key", base_url=f"{server.url}/v1", **settings)


async def brought_to(
    stage: Stage, server: RawServer, client: AsyncCallsClient, folder: Path
) -> list[asyncio.Task[object]]:
    """Ten tasks that stand where the stage says."""
    server.script(OK)
    await client.get_call("call_1")  # the first answer lets the others go at once
    server.script(stage.api)
    link = b'{"url": "%s/r.mp3", "size_bytes": %d}' % (server.url.encode(), len(MP3))
    server.script(answer(200, link), path="/v1/calls/call_1/recording")
    server.script(stage.storage, path="/r.mp3")
    tasks = [asyncio.ensure_future(stage.verb(client, folder / f"{number}.mp3")) for number in range(TASKS)]
    await server.received(1 + stage.requests)
    await asyncio.sleep(0.02)  # for what was sent to come through the socket
    assert [task for task in tasks if task.done()] == []
    return tasks


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def check_nothing_is_held(client: AsyncCallsClient) -> None:
    transport, pace = client._transport, client._pace
    assert transport._scopes._open == set()
    assert transport._responses == set()
    assert pace.api._slots._value == max(2, client._settings.max_concurrency)
    assert (pace.api._ration._under_way, pace.storage._ration._under_way) == (0, 0)
    for session in transport._sessions._opened.sessions:
        assert isinstance(session.connector, aiohttp.TCPConnector)
        assert not session.connector._acquired


@all_stages
async def test_k06_k07_closing_ends_ten_verbs_that_wait_for(
    stage: Stage, server: RawServer, tmp_path: Path
) -> None:
    client = client_of(server, **stage.settings)
    tasks = await brought_to(stage, server, client, tmp_path)
    await client.aclose()
    for _ in range(20):
        await asyncio.sleep(0)
    assert [task for task in tasks if not task.done()] == []
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClientStateError] * TASKS
    assert {str(outcome) for outcome in outcomes} == {"the client was closed while this was under way"}
    check_nothing_is_held(client)
    assert client._transport._sessions._opened.sessions == []
    await server.disconnected()
    assert files_in(tmp_path) == []
    asked = len(server.requests)
    await client.aclose()
    with pytest.raises(ClientStateError, match="the client is closed"):
        await stage.verb(client, tmp_path / "later.mp3")
    assert len(server.requests) == asked


@all_stages
async def test_k01_cancelling_ends_ten_verbs_that_wait_for(
    stage: Stage, server: RawServer, tmp_path: Path
) -> None:
    async with client_of(server, **stage.settings) as client:
        tasks = await brought_to(stage, server, client, tmp_path)
        for task in tasks:
            task.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        assert [task for task in tasks if not task.cancelled()] == []
        check_nothing_is_held(client)
        assert files_in(tmp_path) == []


@all_stages
async def test_k04_a_callers_own_timeout_is_no_error_of_ours_while_waiting_for(
    stage: Stage, server: RawServer, tmp_path: Path
) -> None:
    async with client_of(server, **stage.settings) as client:
        deadlines: list[asyncio.Timeout] = []

        async def impatient(client: AsyncCallsClient, path: Path) -> object:
            async with asyncio.timeout(None) as deadline:
                deadlines.append(deadline)
                return await stage.verb(client, path)

        mine = Stage(impatient, stage.api, stage.storage, stage.requests)
        tasks = await brought_to(mine, server, client, tmp_path)
        for deadline in deadlines:
            deadline.reschedule(0)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [TimeoutError] * TASKS
        check_nothing_is_held(client)


class DeafResolver(AbstractResolver):
    """Never finds anything."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("is_closed", [True, False], ids=["K6 closed", "K1 cancelled"])
async def test_k01_k06_a_verb_that_waits_for_a_connection_ends(is_closed: bool) -> None:
    resolver = DeafResolver()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver)) as session:
        async with AsyncCallsClient("key", base_url="http://api.test", session=session) as client:
            task = asyncio.ensure_future(client.get_call("call_1"))
            await resolver.asked.wait()
            if is_closed:
                await client.aclose()
                with pytest.raises(ClientStateError, match="closed"):
                    await task
            else:
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
        assert not session.closed


@pytest.mark.parametrize("framing", ["length", "none"])
async def test_k07_a_reader_who_paused_is_told_that_the_client_was_closed(server: RawServer, framing: Any) -> None:
    # What had come by then must not pass for the whole, or for an end.
    server.script(OK)
    link = b'{"url": "%s/r.mp3", "size_bytes": 30000}' % server.url.encode()
    server.script(answer(200, link), path="/v1/calls/call_1/recording")
    head = answer(200, LONG_MP3, framing=framing, cut=10)
    server.script(Answer(head.wire, "hang", more=itertools.repeat(b"x" * 100, 50)), path="/r.mp3")
    client = client_of(server)
    async with client.stream_recording("call_1") as recording:
        assert await anext(recording)
        await client.aclose()
        with pytest.raises(ClientStateError, match="closed"):
            async for _ in recording:
                pass


async def test_k06_closing_twice_at_once_ends_what_is_under_way_once(server: RawServer, tmp_path: Path) -> None:
    client = client_of(server)
    tasks = await brought_to(STAGES["an answer"], server, client, tmp_path)
    await asyncio.gather(client.aclose(), client.aclose())
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClientStateError] * TASKS
    assert client._transport._sessions._opened.sessions == []


@pytest.mark.parametrize("verb", [get, order, stream, save])
async def test_k08_a_client_closed_before_its_first_use_sends_nothing(
    verb: Verb, server: RawServer, tmp_path: Path
) -> None:
    client = client_of(server)
    await client.aclose()
    await client.aclose()
    with pytest.raises(ClientStateError, match="the client is closed"):
        await verb(client, tmp_path / "r.mp3")
    assert server.requests == []


async def test_k06_an_archive_under_way_ends_with_the_client(server: RawServer, tmp_path: Path) -> None:
    rows = b", ".join(
        b'{"id": "call_%d", "status": "completed", "created_at": "2026-01-01T00:00:00Z",'
        b' "recording_url": "%s/r.mp3"}' % (number, server.url.encode())
        for number in range(TASKS)
    )
    server.script(answer(200, b'{"calls": [%s], "total": %d}' % (rows, TASKS)))
    server.script(answer(200, MP3, cut=200, then="hang"), path="/r.mp3")
    client = client_of(server)
    task = asyncio.ensure_future(client.archive(tmp_path / "calls", transcripts=False))
    await server.received(1 + TASKS)
    await client.aclose()
    with pytest.raises(ClientStateError, match="closed"):
        await task
    assert [path for path in files_in(tmp_path) if path.suffix == ".mp3"] == []


async def test_k05_the_siblings_of_a_failed_verb_are_cancelled_and_let_go(server: RawServer) -> None:
    async with client_of(server, retry=RetryPolicy(max_attempts=1)) as client:
        server.script(OK)
        await client.get_call("call_1")
        server.script(SILENCE)
        server.script(answer(404), path="/v1/calls/none")
        waiting: list[asyncio.Task[object]] = []

        async def all_at_once() -> None:
            async with asyncio.TaskGroup() as group:
                waiting.extend(group.create_task(client.get_call("call_1")) for _ in range(3))
                await server.received(4)
                group.create_task(client.get_call("none"))

        with pytest.raises(ExceptionGroup) as raised:
            await all_at_once()
        assert [type(error) for error in raised.value.exceptions] == [NotFoundError]
        assert [task.cancelled() for task in waiting] == [True, True, True]
        check_nothing_is_held(client)


async def test_k15_no_task_runs_in_the_background_where_its_error_could_be_lost(server: RawServer) -> None:
    server.script(SILENCE)
    async with client_of(server) as client:
        before = asyncio.all_tasks()
        task = asyncio.ensure_future(client.get_call("call_1"))
        await server.received(1)
        assert asyncio.all_tasks() - before - server._tasks == {task}
        task.cancel()
        await asyncio.wait([task])
