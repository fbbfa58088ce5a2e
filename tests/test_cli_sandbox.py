"""The command that serves the sandbox to other programs: what it prints, and what its options do."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from cli_process import environment

from krosai_calls.cli import main

SECONDS = 20


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The command, running; its address and its key."""
    command = [sys.executable, "-m", "krosai_calls", "--json", "sandbox", "--calls", "5", *options]
    with subprocess.Popen(
        command, text=True, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            yield process, told["KROSAI_BASE_URL"], told["KROSAI_API_KEY"]
        finally:
            process.kill()


def ask(url: str, key: str) -> int:
    try:
        with urlopen(Request(url, headers={"x-api-key": key}), timeout=SECONDS) as answer:
            return int(answer.status)
    except HTTPError as refused:
        with refused:
            return refused.code


def test_each_request_is_told_in_a_line_with_its_answer_and_without_the_key() -> None:
    with serving("--latency", "1ms") as (process, url, key):
        assert ask(f"{url}/calls?limit=2", key) == 200
        assert ask(f"{url}/calls/call_nobody", key) == 404
        assert ask(f"{url}/calls", "kros_test_another") == 401
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    assert [line for line in err.splitlines() if line.startswith("api")] == [
        "api     200 GET /v1/calls?limit=2",
        "api     404 GET /v1/calls/call_nobody",
        "api     401 GET /v1/calls",
    ]
    assert key not in err
    assert process.returncode == 130


def test_a_links_signature_is_not_told() -> None:
    with serving() as (process, url, key):
        with urlopen(Request(f"{url}/calls", headers={"x-api-key": key}), timeout=SECONDS) as answer:
            links = [call["recording_url"] for call in json.load(answer)["calls"] if call["recording_url"]]
        assert ask(links[0], "") == 200
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    (line,) = (line for line in err.splitlines() if line.startswith("storage"))
    assert re.fullmatch(r"storage 200 GET /[^?]+\.mp3", line)


def test_with_faults_requests_go_wrong() -> None:
    with serving("--faults", "100%") as (_, url, key):
        outcomes = set()
        for _attempt in range(5):
            try:
                outcomes.add(ask(f"{url}/calls", key))
            except OSError:
                outcomes.add(0)
    assert outcomes - {200}  # some kinds befall recordings alone


@pytest.mark.parametrize(
    ("words", "said"), [(["--faults", "5"], "5%"), (["--faults", "101%"], "5%"), (["--latency", "fast"], "90s")]
)
def test_what_no_option_can_mean_is_told(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", *words]) == 2
    assert said in capsys.readouterr().err
