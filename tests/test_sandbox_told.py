"""A sandbox that tells a test of each request, and may be changed from anywhere meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from sandbox_caller import NOW, Caller, calling

from krosai_calls import CallsClient
from krosai_calls.sandbox import RecordedRequest, Sandbox


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with calling(calls=30) as found:
        yield found


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:  # of another kind than the conftest's: on a thread of its own
    with Sandbox(calls=30, now=NOW) as running:
        yield running


async def test_each_request_is_told_before_it_is_answered_and_may_change_the_answer(caller: Caller) -> None:
    told: list[RecordedRequest] = []

    def change(request: RecordedRequest) -> None:
        told.append(request)
        caller.sandbox.add_call(id=f"mine_{len(told)}")

    caller.sandbox.on_request = change
    for turn in (1, 2):
        page = (await caller.ask("/calls?limit=1")).json()
        assert [call["id"] for call in page["calls"]] == [f"mine_{turn}"]
        assert page["total"] == 30 + turn
    await caller.fetch(f"{caller.sandbox.storage_url}/recordings/x.mp3")
    await caller.ask("/elsewhere")
    assert [(request.server, request.endpoint, request.status) for request in told] == [
        ("api", "list_calls", None),
        ("api", "list_calls", None),
        ("storage", "recording", None),
        ("api", None, None),
    ]
    assert [request.status for request in caller.sandbox.requests] == [200, 200, 403, 404]


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/calls", "list_calls"),
        ("/calls/stats", "get_stats"),
        ("/calls/x", "get_call"),
        ("/calls/x/events", "list_events"),
        ("/calls/x/recording", "get_recording"),
        ("/calls/x/hangup", "hang_up"),
    ],
)
async def test_requests_carry_the_name_of_the_verb_that_sends_them(
    caller: Caller, path: str, endpoint: str
) -> None:
    await caller.ask(path, method="POST" if endpoint == "hang_up" else "GET")
    assert [request.endpoint for request in caller.sandbox.requests] == [endpoint]


def refuse(request: RecordedRequest) -> None:
    pytest.fail("not this one")


async def test_what_on_request_raises_is_answered_with_a_500(caller: Caller) -> None:
    caller.sandbox.on_request = refuse
    answer = await caller.ask("/calls")
    assert (answer.status, b"on_request" in answer.body) == (500, True)
    assert [request.status for request in caller.sandbox.requests] == [500]
    with pytest.raises(pytest.fail.Exception, match="not this one"):
        caller.sandbox.reset()
    caller.sandbox.reset()


def test_what_on_request_raises_is_raised_again_when_the_sandbox_is_left() -> None:
    with (
        pytest.raises(pytest.fail.Exception, match="not this one"),
        Sandbox(calls=5, on_request=refuse) as running,
        pytest.raises(HTTPError),
    ):
        urlopen(f"{running.base_url}/calls", timeout=5)


def test_two_threads_may_change_a_sandbox_while_a_third_lists_it(sandbox: Sandbox) -> None:
    failures: list[BaseException] = []

    def change(name: str) -> None:
        try:
            for number in range(40):
                call = sandbox.add_call(id=f"{name}{number}")
                sandbox.advance(0.001)
                if number % 3 == 0:
                    sandbox.delete_call(call["id"])
                elif number % 3 == 1:
                    sandbox.end_call(call["id"])
        except BaseException as failure:  # noqa: BLE001 - told by the assertion below
            failures.append(failure)

    threads = [threading.Thread(target=change, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    with CallsClient(sandbox.api_key, base_url=sandbox.base_url) as client:
        for _ in range(20):
            page = client.list_calls(limit=100)
            assert page.total is not None
            assert len(page.calls) == min(page.total, 100)
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(sandbox.calls) == 30 + 2 * 26


async def test_a_sandbox_in_ones_own_loop_can_be_changed_from_a_thread(caller: Caller) -> None:
    added = await asyncio.to_thread(caller.sandbox.add_call)
    assert (await caller.ask(f"/calls/{added['id']}")).json() == added
