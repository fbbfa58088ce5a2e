"""K9, L4, L9: clients that are left open, used in another loop, or taken along by a fork."""

from __future__ import annotations

import asyncio
import gc
import re
import subprocess
import sys
import warnings
from typing import Literal

import aiohttp
import pytest
from canaries import KEY
from cli_process import environment, raw_server
from raw_server import RawServer, answer

from krosai_calls import AsyncCallsClient, ClientStateError

OK = answer(200, b'{"id": "call_1"}')

LEFT_OPEN = """
import asyncio, gc, logging, sys
from krosai_calls import AsyncCallsClient

logging.basicConfig(level=logging.INFO)

async def main():
    client = AsyncCallsClient()
    await client.get_call("call_1")
    if sys.argv[1] == "while the loop runs":
        del client
        gc.collect()
        await asyncio.sleep(0.02)
    else:
        return client

client = asyncio.run(main())
if sys.argv[1] == "after the loop":
    del client
    gc.collect()
"""

FORKED = """
import asyncio, gc, logging, os, sys
from krosai_calls import AsyncCallsClient, ClientStateError, KrosaiError, RetryPolicy

logging.basicConfig(level=logging.INFO)
loop = asyncio.new_event_loop()
client = AsyncCallsClient(timeout_seconds=2.0, retry=RetryPolicy(max_attempts=1))
loop.run_until_complete(client.get_call("call_1"))
child = os.fork()
if child == 0:
    if sys.argv[1] == "asks":
        try:
            asyncio.run(client.get_call("call_1"))
        except ClientStateError as error:
            print(error, flush=True)
    elif sys.argv[1] == "closes":
        asyncio.run(client.aclose())
    elif sys.argv[1] == "forgets":
        del client
        gc.collect()
    del loop
    sys.exit(0)
os.waitpid(child, 0)
try:
    print(loop.run_until_complete(client.get_call("call_1")).id)
except KrosaiError as error:
    print(repr(error))
loop.run_until_complete(client.aclose())
loop.close()
"""


def run(script: str, word: str, server: RawServer, warnings: Literal["always", "ignore"]) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-W", warnings, "-c", script, word],
        env=environment(KEY, f"{server.url}/v1", {"PYTHONPATH": ":".join(filter(None, sys.path))}),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize("when", ["while the loop runs", "after the loop", "at the interpreter's end"])
def test_k09_a_client_left_open_warns_once_with_advice_and_without_noise(when: str) -> None:
    with raw_server() as server:
        server.script(OK)
        _, noise = run(LEFT_OPEN, when, server, "always")
    assert noise.count("a client of krosai_calls was left open: use it in 'async with'") == 1
    assert re.findall("Unclosed .*|Traceback.*|Exception ignored.*|ERROR:.*", noise) == []
    assert KEY not in noise


def collected_after(first: str, holder: list[AsyncCallsClient]) -> None:
    """Make a client garbage in a cycle, such that one of its parts is before the others in the collector's list.

    A collection that something survives puts what is held from outside before what is held from within alone.
    """
    parts = {
        "the client": holder[0],
        "what holds its sessions": holder[0]._transport._sessions,
        "aiohttp's session": holder[0]._transport._sessions.api(),
        "aiohttp's connector": holder[0]._transport._sessions.api().connector,
    }
    held = parts.pop(first)
    parts.clear()
    gc.collect()
    cycle: list[object] = [holder.pop()]
    cycle.append(cycle)
    del held, cycle
    gc.collect()


@pytest.mark.parametrize(
    "first", ["the client", "what holds its sessions", "aiohttp's session", "aiohttp's connector"]
)
async def test_k09_a_forgotten_client_warns_once_in_whatever_order_it_is_collected(first: str) -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with RawServer() as server:
        server.script(OK)
        holder = [AsyncCallsClient("key", base_url=f"{server.url}/v1")]
        await holder[0].get_call("call_1")
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            collected_after(first, holder)
            await server.disconnected()
            gc.collect()
        assert [str(warning.message).split(":")[0] for warning in seen] == [
            "a client of krosai_calls was left open"
        ]
        assert complaints == []


def test_k09_one_that_is_forgotten_after_its_loop_was_closed_warns_without_aiohttps_noise() -> None:
    with raw_server() as server, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        server.script(OK)
        with asyncio.Runner() as runner:
            holder = [AsyncCallsClient("key", base_url=f"{server.url}/v1")]
            runner.run(holder[0].get_call("call_1"))
            session = holder[0]._transport._sessions._api
        gc.collect()
        del session
        cycle: list[object] = [holder.pop()]
        cycle.append(cycle)
        del cycle
        gc.collect()
        gc.collect()
    told = [str(warning.message) for warning in seen]
    assert [words.split(":")[0] for words in told if "unclosed" not in words] == [
        "a client of krosai_calls was left open"
    ]
    # What asyncio says of the transports of a loop that was closed under them is its own.
    assert all(
        words.startswith(("unclosed transport", "unclosed <socket")) for words in told if "unclosed" in words
    )


async def test_k09_a_lent_session_stays_open_when_its_client_is_forgotten() -> None:
    async with RawServer() as server, aiohttp.ClientSession() as session:
        server.script(OK)
        client = AsyncCallsClient("key", base_url=f"{server.url}/v1", session=session)
        await client.get_call("call_1")
        del client
        gc.collect()
        assert not session.closed
        async with session.get(f"{server.url}/again") as again:
            assert again.status == 200


@pytest.mark.parametrize("child", ["asks", "closes", "forgets", "just ends"])
def test_l04_a_forked_child_does_no_harm_to_its_parent(child: str) -> None:
    with raw_server() as server:
        server.script(OK)
        said, _ = run(FORKED, child, server, "ignore")
        connections = [request.connection for request in server.requests]
    words = "the client was used before a fork: make a new one in each process"
    assert said.splitlines() == ([words] if child == "asks" else []) + ["call_1"]
    assert connections == [1, 1]  # the parent's connection still works, and the child sent nothing


@pytest.mark.parametrize("child", ["closes", "forgets", "just ends"])
def test_l04_a_forked_child_ends_in_silence(child: str) -> None:
    with raw_server() as server:
        server.script(OK)
        _, noise = run(FORKED, child, server, "always")
    assert re.findall("Unclosed .*|Traceback.*|Exception ignored.*|ERROR:.*|.*was left open.*", noise) == []


def test_l09_a_client_used_in_another_loop_says_so_before_it_sends() -> None:
    with raw_server() as server:
        server.script(OK)
        home, client = asyncio.new_event_loop(), AsyncCallsClient("key", base_url=f"{server.url}/v1")
        try:
            assert home.run_until_complete(client.get_call("call_1")).id == "call_1"
            with pytest.raises(ClientStateError, match="another event loop"):
                asyncio.run(client.get_call("call_1"))
            assert len(server.requests) == 1
            assert home.run_until_complete(client.get_call("call_1")).id == "call_1"
            with pytest.raises(ClientStateError, match="another event loop"):
                asyncio.run(client.aclose())
            home.run_until_complete(client.aclose())
            assert client._transport._sessions._opened.sessions == []
        finally:
            home.close()


async def test_l09_a_lent_session_of_another_loop_is_told_as_such() -> None:
    foreign = await asyncio.to_thread(lambda: asyncio.run(_session()))
    async with RawServer() as server:
        server.script(OK)
        async with AsyncCallsClient("key", base_url=f"{server.url}/v1", session=foreign) as client:
            with pytest.raises(ClientStateError, match="loop"):
                await client.get_call("call_1")
        assert server.requests == []
    foreign.detach()


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()
