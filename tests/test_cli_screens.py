"""Colours, charts, long tables, and surroundings that leave much to be desired."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from cli_process import PROGRAM, environment, on_terminal, raw_server, run
from raw_server import answer

from krosai_calls.sandbox import Sandbox
from krosai_calls.sandbox.audio import Recorder

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3|4|9|10)[0-7](?:;\d+)*m")


@pytest.fixture
def sandbox(krosai_recorder: Recorder) -> Iterator[Sandbox]:
    with Sandbox(calls=30, recorder=krosai_recorder) as sandbox:
        yield sandbox


def ask(sandbox: Sandbox) -> dict[str, Any]:
    return {"key": sandbox.api_key, "url": sandbox.base_url}


# ---- colours


@pytest.mark.parametrize("words", [["list"], ["stats"], ["get", "ID"]], ids=" ".join)
@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["plain", "NO_COLOR", "dumb"],
)
def test_a_status_has_its_colour_where_colours_are_wanted(
    sandbox: Sandbox, words: list[str], variables: Mapping[str, str], is_coloured: bool
) -> None:
    call = next(call for call in sandbox.calls if call["recording_url"])
    words = [call["id"] if word == "ID" else word for word in words]
    screen = on_terminal(words, **ask(sandbox), variables=variables)
    assert screen.code == 0
    assert bool(COLOUR.search(screen.raw)) == is_coloured
    if is_coloured:
        assert re.search(r"\x1b\[(?:\d+;)*32m *completed", screen.raw)


# ---- long tables


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_long_table_has_one_heading_and_its_columns_stand_below_one_another(columns: int) -> None:
    with Sandbox(calls=230) as sandbox:
        screen = on_terminal(["list", "--max-items", "all"], **ask(sandbox), columns=columns)
        told = [call["id"] for call in sandbox.calls]
    heading, *rows = screen.lines
    assert [row.split()[-1] for row in rows] == told
    assert {row.index("call_") for row in rows} == {heading.rindex("id")}
    assert max(map(len, screen.lines)) <= columns


def test_what_came_before_an_error_is_shown() -> None:
    row = {"id": "call_1", "status": "completed"}
    page = {"calls": [row, {"status": "of no call"}], "total": 2, "limit": 50, "offset": 0}
    with raw_server() as server:
        server.script(answer(200, json.dumps(page).encode()))
        screen = on_terminal(["list"], key="kros_test_key", url=server.url)
    assert screen.code == 7
    assert screen.lines[1].split()[-1] == "call_1"


# ---- figures


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_figures_have_a_chart_by_status_and_by_direction(sandbox: Sandbox, columns: int) -> None:
    screen = on_terminal(["stats"], **ask(sandbox), columns=columns)
    blocks = screen.text.strip().split("\n\n")
    titles = [block.splitlines()[0].strip() for block in blocks[1:]]
    assert titles == ["by status", "by direction"]
    shown = {line.split()[0]: line for block in blocks[1:] for line in block.splitlines()[1:]}
    inbound = sum(call["direction"] == "inbound" for call in sandbox.calls)
    assert shown["inbound"].split()[-2:] == [str(inbound), f"{inbound / 30:.0%}"]
    assert shown["completed"].count("━") >= 20
    assert max(map(len, screen.lines)) <= columns


def test_a_chart_is_made_of_plain_letters_where_there_are_no_others(sandbox: Sandbox) -> None:
    screen = on_terminal(["stats"], **ask(sandbox), variables={"PYTHONIOENCODING": "ascii"})
    assert (screen.code, screen.text.isascii()) == (0, True)
    assert "####" in screen.text


def test_into_a_pipe_figures_are_json_alone(sandbox: Sandbox) -> None:
    done = run(["stats"], **ask(sandbox))
    assert [json.loads(line)["total_calls"] for line in done.stdout.splitlines()] == [30]


# ---- surroundings


@pytest.mark.parametrize("columns", [1, 5, 12, 20])
@pytest.mark.parametrize("words", [["list"], ["stats"], ["get", "ID"], ["events", "ID"], ["doctor"]], ids=" ".join)
def test_the_tiniest_terminal_is_survived(sandbox: Sandbox, words: list[str], columns: int) -> None:
    call = next(call for call in sandbox.calls if call["recording_url"])
    words = [call["id"] if word == "ID" else word for word in words]
    screen = on_terminal(words, **ask(sandbox), columns=columns)
    assert (screen.code, "Traceback" in screen.text) == (0, False)
    if words[0] == "list":
        assert call["id"] in "".join(screen.text.split())


@pytest.mark.parametrize("columns", ["0", "-3", "wide", "9" * 30, ""])
def test_a_width_that_cannot_be_is_survived(sandbox: Sandbox, columns: str) -> None:
    screen = on_terminal(["list"], **ask(sandbox), variables={"COLUMNS": columns})
    assert (screen.code, len(screen.text.split("call_")) - 1) == (0, 30)


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["get", "ID"],
        ["stats"],
        ["events", "ID"],
        ["wait", "ID"],
        ["hangup", "ID", "--yes"],
        ["archive", "calls"],
        ["download", "ID"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_neither_a_home_nor_anything_else_is_needed(sandbox: Sandbox, words: list[str], tmp_path: Any) -> None:
    live = words[0] == "hangup"
    call = next(
        call for call in sandbox.calls if (call["status"] == "in_progress" if live else call["recording_url"])
    )
    known = environment(sandbox.api_key, sandbox.base_url)
    done = subprocess.run(
        [*PROGRAM, *(call["id"] if word == "ID" else word for word in words)],
        env={name: value for name, value in known.items() if name.startswith("KROSAI_")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert all(map(json.loads, done.stdout.splitlines()))
    assert done.stdout


# ---- a fault of ours


BROKEN = """
import sys, click
from krosai_calls.cli import main
from krosai_calls.cli.app import program

@program.command("break")
def break_command():
    raise ZeroDivisionError("with kros_live_geheim, https://x.example/y?signature=geheim\\x1b[2J")

sys.exit(main(["break"]))
"""


@pytest.mark.parametrize(("log", "is_told_where"), [("", False), ("info", True)], ids=["quiet", "logging"])
def test_a_fault_of_ours_is_told_in_few_words_and_where_only_if_asked(log: str, is_told_where: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN],
        env=environment(others={"KROSAI_LOG": log}),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert ("in break_command" in done.stderr) == is_told_where
    assert "ZeroDivisionError: with kros_live_***, https://x.example/y?***" in done.stderr
    assert [secret for secret in ("geheim", "\x1b") if secret in done.stderr] == []
    if not is_told_where:
        assert done.stderr.startswith("krosai-calls: a fault of this program: ")
        assert "KROSAI_LOG" in done.stderr


# ---- what to do next


@pytest.mark.parametrize(
    ("status", "words", "advice"),
    [
        (401, ["list"], "krosai-calls doctor"),
        (402, ["list"], "top up"),
        (403, ["list"], "calls:read"),
        (404, ["get", "call_1"], "krosai-calls list"),
        (404, ["download", "call_1"], "krosai-calls list"),
        (409, ["hangup", "call_1", "--yes"], "krosai-calls get"),
        (501, ["list"], "again"),
    ],
)
def test_a_refusal_says_what_to_do_next(status: int, words: list[str], advice: str, tmp_path: Any) -> None:
    with raw_server() as server:
        server.script(answer(status, b"{}"))
        done = run(words, key="kros_test_key", url=server.url, folder=tmp_path)
    assert done.returncode in (4, 5, 7)
    assert advice in done.stderr.splitlines()[-1]
