"""Group B of the catalogue of faults, over real sockets: herds, storage, cancelling, what is left undone."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from audio import recording
from cli_process import raw_server, run
from fake_clock import FakeClock
from paced import CALL, asking, fetch, paced
from raw_server import Answer, RawServer, Request, answer

from krosai_calls import AsyncCallsClient, Call, RateLimitedError, RequestBudgetExceededError
from krosai_calls._retry import Failure
from krosai_calls._text import Secret

MP3 = recording(1)


class Desk:
    """Answers requests when and how a test says so.

    Attributes:
        waiting: Requests that have come and are not answered, oldest first.
    """

    def __init__(self) -> None:
        self.waiting: list[asyncio.Event] = []
        self.answers: list[Answer] = []

    def take(self, request: Request) -> Answer:
        gate = asyncio.Event()
        self.waiting.append(gate)
        return Answer(self.answers.pop(0).wire if self.answers else answer(200, CALL).wire, gate=gate)

    def let_go(self, count: int) -> None:
        for gate in self.waiting[:count]:
            gate.set()
        del self.waiting[:count]


PAUSE = answer(429, headers=[("Retry-After", "1")])


async def test_b07_after_a_refusal_a_herd_waits_and_comes_back_one_then_one_more_a_success() -> None:
    clock, desk = FakeClock(is_driven=True), Desk()
    desk.answers = [answer(200, CALL), *[PAUSE] * 50]
    async with RawServer(desk.take) as server, paced(server.url, clock, max_concurrency=50) as transport:
        async with asking(transport, count=1) as first:
            await server.received(1)
            desk.let_go(1)
            await first.outcomes()
        async with asking(transport, count=50) as herd:
            await server.received(51)
            desk.let_go(50)
            await clock.asleep(50)
            async with asking(transport, count=10) as later:
                await clock.asleep(51)
                clock.advance(0.75)
                await herd.go_as_far_as_they_can()
                assert len(server.requests) == 51
                clock.advance(0.25)
                for wave in (1, 2, 4, 8, 16, 29):
                    while len(desk.waiting) < wave:
                        await server.received(len(server.requests) + 1)
                    await herd.go_as_far_as_they_can()
                    assert len(desk.waiting) == wave
                    desk.let_go(wave)
                assert {*(await herd.outcomes()), *(await later.outcomes())} == {CALL}
        assert len(server.requests) == 1 + 50 + 60


async def test_b07_answers_to_what_was_sent_before_a_pause_bring_no_stampede_after_it() -> None:
    clock, desk = FakeClock(is_driven=True), Desk()
    desk.answers = [answer(200, CALL), PAUSE]
    async with RawServer(desk.take) as server, paced(server.url, clock) as transport:
        async with asking(transport, count=1) as first:
            await server.received(1)
            desk.let_go(1)
            await first.outcomes()
        async with asking(transport, count=32) as herd:
            await server.received(17)
            desk.let_go(1)  # the refusal is seen first,
            await clock.asleep(2)
            desk.let_go(15)  # and then the successes of those that were under way
            await herd.go_as_far_as_they_can()
            assert len(server.requests) == 17
            clock.advance(1.0)
            await server.received(18)
            await herd.go_as_far_as_they_can()
            assert len(desk.waiting) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_b09_storage_that_has_had_enough_pauses_storage_alone(status: int) -> None:
    clock = FakeClock(is_driven=True)
    slow_down = answer(status, b"<Code>SlowDown</Code>", [("Retry-After", "5")], content_type="application/xml")
    async with RawServer() as api, RawServer() as storage, paced(api.url, clock) as transport:
        api.script(answer(200, CALL))
        storage.script(slow_down, answer(200, MP3))
        link = f"{storage.url}/call_1.mp3"

        async def ask_storage() -> int:
            async with transport.storage(Secret(link), {}) as got:
                assert not isinstance(got, Failure)
                return got.status

        assert await ask_storage() == status
        recordings = [asyncio.create_task(ask_storage()) for _ in range(3)]
        await clock.asleep(1)
        for _ in range(4):
            assert await fetch(transport) == CALL
        assert (len(api.requests), len(storage.requests)) == (4, 1)
        clock.advance(5.0)
        assert await asyncio.gather(*recordings) == [200, 200, 200]


async def test_b09_a_pause_of_the_api_holds_up_no_recording() -> None:
    clock = FakeClock(is_driven=True)
    async with RawServer() as api, RawServer() as storage, paced(api.url, clock, max_attempts=1) as transport:
        api.script(PAUSE, answer(200, CALL))
        storage.script(answer(200, MP3))
        with pytest.raises(RateLimitedError):
            await fetch(transport)
        async with asking(transport, count=5):
            await clock.asleep(1)
            for _ in range(3):
                async with transport.storage(Secret(f"{storage.url}/call_1.mp3"), {}) as got:
                    assert not isinstance(got, Failure)
                    assert await got.read() == MP3
        assert (len(api.requests), len(storage.requests)) == (1, 3)


@pytest.mark.parametrize("waiting", [0, 1], ids=["no recording waits", "another recording waits"])
async def test_recordings_that_are_read_slowly_never_hold_up_the_api(waiting: int) -> None:
    async with RawServer() as server, AsyncExitStack() as stack:
        server.script(answer(200, CALL))
        server.script(answer(200, MP3, cut=50, then="hang"), path="/storage/call_1.mp3")
        client = await stack.enter_async_context(
            AsyncCallsClient("kros_test_key", base_url=f"{server.url}/v1", max_concurrency=3)
        )
        link = f"{server.url}/storage/call_1.mp3"
        call = Call("call_1", recording_url=link)
        for _ in range(2):
            await stack.enter_async_context(client.stream_recording(call))

        async def one_more() -> None:
            async with client.stream_recording(call):
                pass

        more = [asyncio.create_task(one_more()) for _ in range(waiting)]
        await asyncio.sleep(0.03)
        got = asyncio.create_task(client.get_call("call_1"))
        done, _ = await asyncio.wait([got], timeout=2)
        for task in (*more, got):
            task.cancel()
        await asyncio.gather(*more, got, return_exceptions=True)
        assert done == {got}


async def test_b12_cancelling_a_wait_is_prompt_sends_nothing_and_leaves_the_way_open() -> None:
    clock = FakeClock(is_driven=True)
    async with RawServer() as server, paced(server.url, clock) as transport:
        server.script(PAUSE, answer(200, CALL))
        async with asking(transport, count=4) as callers:
            await clock.asleep(2)  # the one that was refused, and the first of those behind the gate
            for task in callers.tasks[:3]:
                task.cancel()
            for _ in range(3):
                await asyncio.sleep(0)
            assert [task.cancelled() for task in callers.tasks] == [True, True, True, False]
            assert len(server.requests) == 1
            clock.advance(1.0)
            assert await callers.tasks[3] == CALL
            assert len(server.requests) == 2


def page(first: int, count: int, total: int) -> bytes:
    rows = [{"id": f"call_{number}", "status": "completed"} for number in range(first, first + count)]
    return json.dumps({"calls": rows, "total": total, "limit": 100, "offset": first}).encode()


def one_page_and_then_no_more(request: Request) -> Answer:
    if dict(request.query).get("offset", "0") == "0":
        return answer(200, page(0, 100, 1000))
    return answer(429, b'{"error": "quota", "retry_after": 3600}', [("Retry-After", "3600")])


async def test_b05_an_archive_run_stops_with_what_it_has_and_says_when_to_go_on(tmp_path: Path) -> None:
    async with (
        RawServer(one_page_and_then_no_more) as server,
        AsyncCallsClient("kros_test_key", base_url=f"{server.url}/v1") as client,
    ):
        with pytest.raises(RequestBudgetExceededError, match="3600 seconds") as raised:
            await client.archive(tmp_path / "archive")
    assert raised.value.retry_after == 3600.0
    assert raised.value.report.calls_seen == 100
    # Those that were under way together; after the first refusal no more.
    assert len([request for request in server.requests if dict(request.query)["offset"] != "0"]) <= 4


def test_b05_the_command_line_ends_with_6_and_says_when_to_go_on(tmp_path: Path) -> None:
    with raw_server(one_page_and_then_no_more) as server:
        done = run(["archive", str(tmp_path / "archive")], key="kros_test_key", url=f"{server.url}/v1")
    assert done.returncode == 6
    assert "3600 seconds" in done.stderr
