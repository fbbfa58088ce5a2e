"""Starting a sandbox, sharing it, leaving it; and the fixture for pytest."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sandbox_caller import NOW, Caller, calling
from yarl import URL

from krosai_calls.errors import ClientStateError, SettingsError
from krosai_calls.sandbox import Sandbox

ROOT = Path(__file__).parent.parent


# ---- starting and stopping


def get_json(url: str, key: str) -> Any:
    request = urllib.request.Request(url, headers={"x-api-key": key})
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)


def test_blocking_callers_are_served_from_a_thread_that_ends_with_the_sandbox() -> None:
    before = threading.active_count()
    with Sandbox(calls=30, now=NOW) as sandbox:
        page = get_json(f"{sandbox.base_url}/calls", sandbox.api_key)
        url = next(row["recording_url"] for row in page["calls"] if row["recording_url"])
        with urllib.request.urlopen(url, timeout=5) as response:
            assert response.read(2) == b"\xff\xfb"
        address = sandbox.base_url
    assert threading.active_count() == before
    with pytest.raises(urllib.error.URLError):
        get_json(f"{address}/calls", sandbox.api_key)
    assert len(sandbox.requests) == 2


async def test_leaving_ends_requests_under_way_and_idle_connections() -> None:
    async with aiohttp.ClientSession() as session, Sandbox(calls=30, latency_seconds=60) as sandbox:
        idle = socket.create_connection(("127.0.0.1", URL(sandbox.storage_url).port or 0))
        slow = asyncio.create_task(Caller(sandbox, session).ask("/calls"))
        while not sandbox.requests:  # noqa: ASYNC110 - the journal has no event to wait for
            await asyncio.sleep(0)
    with pytest.raises(aiohttp.ClientConnectionError):
        await slow
    with idle:
        idle.settimeout(5)
        assert idle.recv(1) == b""
    assert sandbox.requests[0].status is None
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_three_hundred_connections_at_once_are_served() -> None:
    async with calling() as caller:
        answers = await asyncio.gather(
            *(caller.ask(f"/calls?limit=1&offset={place % 250}") for place in range(300))
        )
    assert {answer.status for answer in answers} == {200}


async def test_a_running_sandbox_cannot_be_started_again_but_a_stopped_one_can() -> None:
    sandbox = Sandbox(calls=5)
    async with sandbox:
        with pytest.raises(ClientStateError, match="already running"):
            await sandbox.__aenter__()
        with pytest.raises(ClientStateError, match="already running"):
            sandbox.__enter__()
    with pytest.raises(ClientStateError, match="not running"):
        sandbox.base_url  # noqa: B018 - reading it is what fails
    async with sandbox:
        assert sandbox.base_url.startswith("http://127.0.0.1:")


async def test_a_port_that_is_taken_is_told_and_leaves_nothing_open() -> None:
    async with Sandbox(calls=5) as first:
        port = URL(first.base_url).port or 0
        second = Sandbox(calls=5, storage_port=port)
        with pytest.raises(SettingsError, match=str(port)):
            await second.__aenter__()
        with pytest.raises(SettingsError, match=str(port)), Sandbox(calls=5, port=port):
            pass


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "::1"])
async def test_m20_any_loopback_host_will_do(host: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    async with calling(host=host) as caller:
        assert URL(caller.sandbox.base_url).host == URL(caller.sandbox.storage_url).host == host
        assert (await caller.ask("/calls")).status == 200


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


# ---- pytest


def test_the_fixture_gives_a_running_sandbox(krosai_sandbox: Sandbox) -> None:
    assert get_json(f"{krosai_sandbox.base_url}/calls", krosai_sandbox.api_key)["total"] == 60


@pytest.mark.krosai_sandbox(calls=5, plan="free")
def test_a_marker_tells_the_fixture_what_the_sandbox_is_told(krosai_sandbox: Sandbox) -> None:
    assert len(krosai_sandbox.calls) == 5
    request = urllib.request.Request(
        f"{krosai_sandbox.base_url}/calls", headers={"x-api-key": krosai_sandbox.api_key}
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        assert response.headers["X-RateLimit-Limit"] == "10"


# In the order they stand: what the session shares is what the one leaves to the other.
@pytest.mark.parametrize("turn", [1, 2])
def test_the_session_shares_one_sandbox(krosai_session_sandbox: Sandbox, turn: int) -> None:
    assert len(krosai_session_sandbox.requests) == turn - 1
    get_json(f"{krosai_session_sandbox.base_url}/calls", krosai_session_sandbox.api_key)
    if turn == 2:
        krosai_session_sandbox.reset()


OWN_SETTINGS = """
import pytest

@pytest.fixture(scope="session")
def krosai_sandbox_settings():
    return {"calls": 7}
"""
OWN_TESTS = """
import urllib.request

import pytest

def test_both(krosai_sandbox, krosai_session_sandbox):
    assert krosai_sandbox is not krosai_session_sandbox
    assert len(krosai_sandbox.calls) == len(krosai_session_sandbox.calls) == 7

@pytest.mark.krosai_sandbox(calls=3)
def test_the_marker_wins(krosai_sandbox):
    assert len(krosai_sandbox.calls) == 3

def test_what_on_request_raises_fails_the_test(krosai_sandbox):
    krosai_sandbox.on_request = lambda request: pytest.fail("not this one")
    with pytest.raises(OSError):
        urllib.request.urlopen(krosai_sandbox.base_url)
"""


def test_settings_of_ones_own_reach_both_fixtures(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(OWN_SETTINGS, encoding="utf-8")
    (tmp_path / "test_own.py").write_text(OWN_TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=25, check=False)
    assert "3 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "Failed: not this one" in done.stdout


def test_the_plugin_loads_nothing_until_the_fixture_is_used() -> None:
    script = (
        "import sys, krosai_calls.sandbox.pytest_plugin;"
        "print([name for name in sys.modules if name.partition('.')[0] in ('aiohttp', 'asyncio', 'lameenc')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
