"""What becomes of a command at the first signal, at the second, and of one that was told to ignore them."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli_process import PROGRAM, SECONDS, environment, on_terminal, run

from krosai_calls.sandbox import Sandbox

# A command whose tidying up never ends.
STUBBORN = """
import asyncio, sys
from krosai_calls.cli.running import run_with_client

async def job(client):
    print("at work", flush=True)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("tidying up", flush=True)
        await asyncio.Event().wait()

sys.exit(run_with_client(job, sandbox=False, base_url="http://127.0.0.1:1"))
"""


@contextmanager
def started(
    command: Sequence[str], key: str, url: str = "", *, ignoring: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    def ignore() -> None:
        if ignoring is not None:
            signal.signal(ignoring, signal.SIG_IGN)

    with subprocess.Popen(
        command,
        env=environment(key, url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=ignore,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (signal.SIGINT, signal.SIGINT, 130),
        (signal.SIGTERM, signal.SIGTERM, 143),
        (signal.SIGHUP, signal.SIGINT, 130),
        (signal.SIGINT, signal.SIGTERM, 143),
    ],
)
def test_the_second_signal_ends_it_at_once(first: int, second: int, code: int) -> None:
    with started([sys.executable, "-c", STUBBORN], "kros_test_key") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        process.send_signal(first)
        assert process.stdout.readline() == "tidying up\n"
        process.send_signal(second)
        assert process.wait(SECONDS) == code


def test_what_was_told_to_ignore_a_hang_up_goes_on() -> None:
    with Sandbox(calls=0) as sandbox:
        call_id = sandbox.add_call(status="in_progress")["id"]
        key, url = sandbox.api_key, sandbox.base_url
        command = [*PROGRAM, "events", call_id, "--follow", "--poll", "0.05s"]
        with started(command, key, url, ignoring=signal.SIGHUP) as process:
            assert process.stdout is not None
            events = [json.loads(process.stdout.readline())["event"] for _ in range(3)]
            process.send_signal(signal.SIGHUP)
            sandbox.end_call(call_id)
            events.append(json.loads(process.stdout.readline())["event"])
            assert process.wait(SECONDS) == 0
    assert events == ["call.initiated", "call.ringing", "call.answered", "call.completed"]


@pytest.mark.parametrize(("number", "said"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "told to end")])
def test_a_watch_that_is_ended_says_no_more_than_that(number: signal.Signals, said: str) -> None:
    with Sandbox(calls=0) as sandbox:
        call_id = sandbox.add_call(status="in_progress")["id"]
        key, url = sandbox.api_key, sandbox.base_url
        with started([*PROGRAM, "events", call_id, "--follow"], key, url) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(number)
            _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (128 + number, f"krosai-calls: {said}\n")


def test_the_command_that_is_told_goes_on_where_it_was_ended(tmp_path: Path) -> None:
    folder = tmp_path / "my calls"
    with Sandbox(calls=30) as sandbox:
        known: dict[str, Any] = {"key": sandbox.api_key, "url": sandbox.base_url}
        first, *others = [call["id"] for call in sandbox.calls if call["recording_url"]]
        for call_id in others:
            sandbox.fail_next(stall_seconds=60, path=f"/recordings/{call_id}.mp3")
        signals = {f"1 of {1 + len(others)} recordings": signal.SIGINT}
        screen = on_terminal(["archive", str(folder)], **known, columns=1000, signals=signals)
        told = screen.lines[-1].partition("To go on:  krosai-calls ")[2]
        assert (screen.code, told) == (130, f"archive '{folder}'")
        assert [path.stem for path in folder.glob("recordings/*/*/*/*.mp3")] == [first]
        sandbox.reset()  # no request waits any more
        done = run(shlex.split(told), **known)
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert (report["recordings_saved"], report["recordings_present"]) == (len(others), 1)
