"""What a forked run of the command line has in common with one that an interpreter starts for: everything."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_process import SECONDS, begun, environment, on_terminal, run

from krosai_calls.sandbox import Sandbox

# What is another in the next second: how long it took, a request's number, until when a link is good.
_PASSING = re.compile(r"\d+\.\d+|\d+s|req_\w+|expires=.*?signature=\w+")
RUNS = [
    ["list"],
    ["--json", "stats"],
    ["get", "call_nobody"],
    ["list", "--nonsense"],
    ["--help"],
    ["archive", "c"],
]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(calls=3) as sandbox:
        yield sandbox


@pytest.mark.parametrize("words", RUNS, ids=" ".join)
def test_it_says_and_ends_as_a_new_interpreter_does(sandbox: Sandbox, words: list[str], tmp_path: Path) -> None:
    endings = []
    for name in ("warm", "new"):
        folder = tmp_path / name
        folder.mkdir()
        done = run(words, key=sandbox.api_key, url=sandbox.base_url, folder=folder, is_new=name == "new")
        saved = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
        said = [_PASSING.sub("", text) for text in (done.stdout, done.stderr)]
        endings.append((done.returncode, said, saved))
    assert endings[0] == endings[1]
    assert any(endings[0][1])


def test_it_has_the_variables_that_it_was_given_and_no_other(sandbox: Sandbox) -> None:
    assert run(["list"], url=sandbox.base_url).returncode == 2
    assert run(["list"], key=sandbox.api_key, url=sandbox.base_url).returncode == 0
    assert run(["list"], url=sandbox.base_url).returncode == 2


def test_on_a_terminal_it_is_on_a_terminal() -> None:
    screen = on_terminal(["hangup", "call_1"], key="kros_test_key", answers={"[y/N]": "n\n"})
    assert "[y/N]" in screen.text
    assert screen.code != 0


@pytest.mark.parametrize("is_new", [False, True], ids=["warm", "new"])
def test_a_signal_that_nobody_takes_ends_it_and_is_told(is_new: bool) -> None:
    inlet, outlet = os.pipe()
    with open(inlet, encoding="utf-8") as said, open(os.devnull, "r+b") as nothing, open(outlet, "wb") as lent:
        files = (nothing.fileno(), outlet, nothing.fileno())
        with begun(["sandbox", "--calls", "1"], environment(), files, is_new=is_new) as process:
            lent.close()
            assert said.readline()
            process.send_signal(signal.SIGKILL)
            assert process.wait(SECONDS) == -signal.SIGKILL


def test_leaving_ends_it() -> None:
    inlet, outlet = os.pipe()
    with open(inlet, encoding="utf-8") as said, open(os.devnull, "r+b") as nothing, open(outlet, "wb") as lent:
        files = (nothing.fileno(), outlet, nothing.fileno())
        with begun(["sandbox", "--calls", "1"], environment(), files):
            lent.close()
            assert said.readline()
        said.read()  # comes to its end, for nobody holds the other end any more
