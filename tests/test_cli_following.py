"""The commands about a call that goes on: wait, events --follow."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from cli_process import on_terminal, raw_server, run
from raw_server import answer

from krosai_calls.sandbox import Sandbox

LIFE = ["call.initiated", "call.ringing", "call.answered", "call.completed"]
QUICKLY = ["--poll", "0.01s"]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A world in which a second passes with each request."""
    with Sandbox(calls=0) as sandbox:
        sandbox.on_request = lambda _: sandbox.advance(1.0)
        yield sandbox


def ask(sandbox: Sandbox) -> dict[str, Any]:
    return {"key": sandbox.api_key, "url": sandbox.base_url}


def test_following_gives_each_event_once_and_ends_with_the_call(sandbox: Sandbox) -> None:
    call_id = sandbox.add_call(duration=6)["id"]
    done = run(["events", call_id, "--follow", *QUICKLY], **ask(sandbox))
    assert (done.returncode, done.stderr) == (0, "The call has ended.\n")
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == LIFE


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_on_a_terminal_the_events_stand_below_one_another(sandbox: Sandbox, columns: int) -> None:
    call_id = sandbox.add_call(duration=90)["id"]
    screen = on_terminal(["events", call_id, "--follow", *QUICKLY], **ask(sandbox), columns=columns)
    heading, *rows, last = screen.lines
    assert (screen.code, last) == (0, "The call has ended.")
    assert [row.split()[2:4] for row in rows] == [
        ["call.initiated", "+0s"],
        ["call.ringing", "+1s"],
        ["call.answered", "+5s"],
        ["call.completed", "+1m35s"],
    ]
    assert {row.index("call.") for row in rows} == {heading.index("event")}
    assert len({row.index("s", row.index("+")) for row in rows}) == 1  # flush right
    assert max(map(len, screen.lines)) <= columns


def test_without_follow_what_has_happened_is_all(sandbox: Sandbox) -> None:
    call_id = sandbox.add_call(status="in_progress")["id"]
    done = run(["events", call_id], **ask(sandbox))
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)
    assert len(sandbox.requests) == 1


def test_waiting_ends_with_the_call_and_shows_it(sandbox: Sandbox) -> None:
    call_id = sandbox.add_call(duration=6)["id"]
    done = run(["wait", call_id, *QUICKLY], **ask(sandbox))
    assert (done.returncode, done.stderr) == (0, "")
    assert (json.loads(done.stdout)["status"], json.loads(done.stdout)["duration"]) == ("completed", 6)
    asked = len(sandbox.requests)
    screen = on_terminal(["wait", call_id], **ask(sandbox))
    assert screen.lines == [f"{call_id}: completed, 6s, ${json.loads(done.stdout)['cost_cents'] / 100:.2f}"]
    assert len(sandbox.requests) == asked + 1


def test_a_wait_that_is_over_before_the_call_ends_with_7_and_says_how_it_stands(sandbox: Sandbox) -> None:
    call_id = sandbox.add_call(status="ringing")["id"]
    done = run(["wait", call_id, "--timeout", "0.05s", *QUICKLY], **ask(sandbox))
    assert (done.returncode, done.stdout) == (7, "")
    assert f"krosai-calls: call {call_id} did not end within 0.05 s: it is ringing" in done.stderr


def test_on_a_terminal_a_wait_says_how_long_it_has_been(sandbox: Sandbox) -> None:
    call_id = sandbox.add_call(status="ringing")["id"]
    signals = {f"s: waiting for call {call_id} to end": signal.SIGINT}
    screen = on_terminal(["wait", call_id], **ask(sandbox), signals=signals)
    assert screen.code == 130
    assert screen.lines[-1].endswith("krosai-calls: interrupted; the call goes on")


@pytest.mark.parametrize("words", [["wait", "call_1"], ["events", "call_1", "--follow"]], ids=" ".join)
def test_a_call_that_is_not_there_ends_with_5_and_says_where_to_look(words: list[str]) -> None:
    with raw_server() as server:
        server.script(answer(404, b"{}"))
        done = run(words, key="kros_test_key", url=server.url)
    assert (done.returncode, done.stdout) == (5, "")
    assert "krosai-calls list" in done.stderr
