"""What every test has: a clean environment, and a look at what it left behind."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
from collections.abc import AsyncIterator, Iterator

import fault_client
import pytest
import threaded_client

from krosai_calls import AsyncCallsClient, RetryPolicy
from krosai_calls.sandbox import Sandbox
from krosai_calls.sandbox.audio import Recorder

_VARIABLES = ("KROSAI_API_KEY", "KROSAI_BASE_URL", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests reaches them."""
    for name in (*_VARIABLES, *_PROXY_VARIABLES, *map(str.upper, _PROXY_VARIABLES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """A test that leaves one of our threads running fails."""
    before = set(threading.enumerate())
    yield
    left = [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("krosai")]
    assert not left, f"threads left running: {left}"


@pytest.fixture
async def no_task_is_left() -> AsyncIterator[None]:
    """A test that leaves a task running fails; every asynchronous test has it."""
    before = asyncio.all_tasks()
    yield
    # What was cancelled or closed a moment ago may need a turn of the loop to end.
    for _ in range(10):
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"tasks left running: {left}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every asynchronous test is looked at for what it leaves behind."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            # First, so that it looks when all other fixtures are done.
            item.fixturenames.insert(0, "no_task_is_left")


def pytest_collection_finish() -> None:
    """What is there before the first test is no garbage: no collection need look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
async def sandbox(krosai_recorder: Recorder) -> AsyncIterator[Sandbox]:
    """A small stand-in for the service, in the test's own loop; each of its recordings is made once a session."""
    async with Sandbox(calls=30, seed=1, recorder=krosai_recorder) as running:
        yield running


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncCallsClient]:
    """A client of the sandbox that retries without waiting."""
    async with AsyncCallsClient(
        sandbox.api_key, base_url=sandbox.base_url, retry=RetryPolicy(base_delay_seconds=0.0)
    ) as made:
        yield made


@pytest.fixture(params=["awaiting", "blocking"])
def both_clients(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The story is told of either client in turn, where it is `threaded_client.either` that gives it one."""
    if request.param == "blocking":
        monkeypatch.setattr(threaded_client, "either", threaded_client.ThreadedClient)


@pytest.fixture(params=["through aiohttp", "past aiohttp"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The story is told of bodies that aiohttp's parser reads, and of bodies that are led past it."""
    if request.param == "past aiohttp":
        monkeypatch.setattr(fault_client, "bypass_bytes", 1)
