"""The commands that help with the program itself: doctor, completion."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from cli_process import PROGRAM, environment, on_terminal, raw_server, run
from raw_server import answer

from krosai_calls.cli.doctoring import key_prefix, service_facts
from krosai_calls.observing import RateLimit, RequestAnswered, RequestStarted
from krosai_calls.sandbox import Sandbox

NOW = datetime(2025, 3, 14, 9, tzinfo=UTC)
STARTED = RequestStarted("api", "GET", "/calls", "/calls", 1)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(calls=3, plan="free") as sandbox:
        yield sandbox


# ---- doctor


def test_it_says_what_is_in_force_and_from_where_and_that_it_works(sandbox: Sandbox) -> None:
    proxy = {"HTTPS_PROXY": "http://user:geheim@proxy.example:3128", "no_proxy": "localhost"}
    done = run(["doctor"], key=sandbox.api_key, url=sandbox.base_url, variables=proxy)
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert facts["base URL"] == f"{sandbox.base_url}, from KROSAI_BASE_URL"
    assert facts["key"] == "kros_test_… (34 characters), from KROSAI_API_KEY"
    assert facts["proxies"] == "HTTPS_PROXY=http://proxy.example:3128, NO_PROXY=localhost, from the environment"
    assert (facts["key is"], facts["clock is"]) == ("accepted", "right")
    assert facts["pace"] == "10 requests a second, 9 left in this one; the plan of that pace has 1,000 a day"
    assert {"krosai_calls", "python", "aiohttp", "click", "rich"} <= set(facts)
    assert sandbox.api_key not in done.stdout
    assert "geheim" not in done.stdout
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_on_a_terminal_it_is_one_fact_a_line(sandbox: Sandbox, columns: int) -> None:
    screen = on_terminal(["doctor"], key=sandbox.api_key, url=sandbox.base_url, columns=columns)
    assert screen.code == 0
    assert screen.lines[0].split()[0] == "krosai_calls"
    assert ["key", "is", "accepted"] in [line.split() for line in screen.lines]
    assert sandbox.api_key not in screen.text


def test_an_option_goes_before_the_environment(sandbox: Sandbox) -> None:
    done = run(["--base-url", sandbox.base_url, "doctor"], key=sandbox.api_key, url="http://127.0.0.1:1/v1")
    assert json.loads(done.stdout)["base URL"] == f"{sandbox.base_url}, from --base-url"


def test_a_wrong_key_ends_with_4_and_is_told_as_such(sandbox: Sandbox) -> None:
    done = run(["doctor"], key="kros_live_wrong", url=sandbox.base_url)
    assert done.returncode == 4
    assert json.loads(done.stdout)["key is"] == "refused"
    assert "kros_live_wrong" not in done.stdout + done.stderr


def test_without_a_key_it_says_so_and_asks_nobody(sandbox: Sandbox) -> None:
    done = run(["doctor"], url=sandbox.base_url)
    assert (done.returncode, sandbox.requests) == (2, [])
    assert json.loads(done.stdout)["key"] == "none: set KROSAI_API_KEY"


def test_a_clock_that_is_wrong_is_told() -> None:
    late = format_datetime(datetime.now(UTC) - timedelta(hours=2), usegmt=True)
    with raw_server() as server:
        server.script(answer(200, b'{"calls": [], "total": 0}', [("Date", late)]))
        done = run(["doctor"], key="kros_test_key", url=server.url)
    assert done.returncode == 0
    assert json.loads(done.stdout)["clock is"].startswith("wrong: 2h00m0")
    assert " ahead of the service's" in done.stdout


def test_with_the_sandbox_it_needs_no_account() -> None:
    done = run(["--sandbox", "doctor"])
    assert done.returncode == 0
    assert json.loads(done.stdout)["key"] == "the sandbox's own"


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("kros_live_abcdef", "kros_live_… (16 characters)"),
        ("kros_abcdef", "kros_… (11 characters)"),
        ("geheim", "an unusual one of 6 characters"),
    ],
)
def test_of_a_key_only_the_prefix_is_shown(key: str, shown: str) -> None:
    assert key_prefix(key) == shown


@pytest.mark.parametrize(
    ("status", "told"),
    [(200, "accepted"), (401, "refused"), (402, "accepted, but the balance is used up"), (500, "not judged")],
)
def test_what_an_answer_says_of_the_key(status: int, told: str) -> None:
    assert service_facts(RequestAnswered(STARTED, status, 0.1, None, None), NOW)["key is"] == told


@pytest.mark.parametrize(
    ("ahead", "told"),
    [(0, "right"), (60, "right"), (-61, "wrong: 1m01s behind the service's, 2025-03-14 09:01:01 UTC")],
)
def test_a_clock_may_be_a_little_off(ahead: int, told: str) -> None:
    there = NOW - timedelta(seconds=ahead)
    answered = RequestAnswered(STARTED, 200, 0.1, None, None, None, there)
    assert service_facts(answered, NOW)["clock is"] == told


def test_what_nobody_told_is_left_out() -> None:
    assert service_facts(RequestAnswered(STARTED, None, 0.1, None, "refused"), NOW) == {
        "service": "no usable answer"
    }
    facts = service_facts(RequestAnswered(STARTED, 200, 0.1, None, None, RateLimit(None, 3)), NOW)
    assert "pace" not in facts
    assert facts["clock is"] == "not comparable: the service tells no time"


# ---- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_that_asks_the_program(shell: str) -> None:
    done = run(["completion", shell])
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_KROSAI_CALLS_COMPLETE={shell}_complete" in done.stdout
    assert "krosai-calls" in done.stdout


def test_bash_can_read_its_script() -> None:
    script = run(["completion", "bash"]).stdout
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["ev"], ["plain,events"]),
        (["archive", "--dry"], ["plain,--dry-run"]),
        (["list", "--status", "in"], ["plain,initiated", "plain,in_progress"]),
        (["list", "--direction", "o"], ["plain,outbound"]),
        (["completion", ""], ["plain,bash", "plain,zsh", "plain,fish"]),
    ],
)
def test_it_offers_commands_options_and_values(typed: list[str], offered: list[str]) -> None:
    assert complete(typed).stdout.splitlines() == offered


def test_completing_loads_no_library_that_it_does_not_need() -> None:
    done = complete(["list", "--status", "c"], program=[sys.executable, "-X", "importtime", "-m", "krosai_calls"])
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert {"aiohttp", "cattrs", "rich", "asyncio"} & loaded == set()


def complete(typed: list[str], program: Any = PROGRAM) -> subprocess.CompletedProcess[str]:
    """What the program tells bash, where the last word is being typed."""
    asked = {
        "_KROSAI_CALLS_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["krosai-calls", *typed]),
        "COMP_CWORD": str(len(typed)),
    }
    return subprocess.run(
        program, env=environment(others=asked), capture_output=True, text=True, timeout=20, check=False
    )
