"""What a person sees: tables on terminals of any width, questions, and text that cannot drive the terminal.

And what becomes of a program whose stdout is closed, full, or knows ASCII alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_process import on_terminal, raw_server, run
from raw_server import RawServer, answer

from krosai_calls.sandbox import Sandbox
from krosai_calls.sandbox.audio import Recorder


@pytest.fixture
def sandbox(krosai_recorder: Recorder) -> Iterator[Sandbox]:
    with Sandbox(calls=30, recorder=krosai_recorder) as sandbox:
        yield sandbox


def ask(sandbox: Sandbox) -> dict[str, Any]:
    return {"key": sandbox.api_key, "url": sandbox.base_url}


def scripted(server: RawServer) -> dict[str, Any]:
    return {"key": "kros_test_key", "url": f"{server.url}/v1"}


def parses(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


# ---- tables


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_a_table_fits_the_terminal_and_cuts_no_id(sandbox: Sandbox, columns: int, term: str) -> None:
    screen = on_terminal(["list"], **ask(sandbox), columns=columns, variables={"TERM": term})
    assert screen.code == 0
    heading, *rows = screen.lines
    assert heading.split()[-1] == "id"
    assert [row.split()[-1] for row in rows] == [call["id"] for call in sandbox.calls]
    assert max(map(len, screen.lines)) <= columns
    assert not any(map(parses, screen.lines))


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("length", [61, 100, 128])
def test_an_id_longer_than_the_terminal_is_folded_and_not_cut(columns: int, length: int) -> None:
    call_id = "call_" + "".join(str(number % 10) for number in range(length - 5))
    row = {"id": call_id, "status": "completed", "from_number": "+15550100", "created_at": "2025-01-10T12:00:00Z"}
    with raw_server() as server:
        server.script(answer(200, json.dumps({"calls": [row], "total": 1, "limit": 50, "offset": 0}).encode()))
        screen = on_terminal(["list"], **scripted(server), columns=columns)
    assert screen.code == 0
    assert call_id in "".join(screen.text.split())


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_wide_letters_take_nothing_from_an_id(columns: int) -> None:
    row = {
        "id": "call_0123456789abcdef",
        "status": "完了しました",
        "from_number": "日本" * 20,
        "to_number": "日本" * 5,
    }
    page = {"calls": [row], "total": 1, "limit": 50, "offset": 0}
    with raw_server() as server:
        server.script(answer(200, json.dumps(page).encode()))
        screen = on_terminal(["list"], **scripted(server), columns=columns)
    assert screen.code == 0
    assert row["id"] in screen.text


def test_a_timeline_is_a_table(sandbox: Sandbox) -> None:
    call = next(call for call in sandbox.calls if call["recording_url"])
    screen = on_terminal(["events", call["id"]], **ask(sandbox))
    assert screen.code == 0
    assert screen.lines[0].split()[:3] == ["time", "(UTC)", "event"]
    assert "call.initiated" in screen.lines[1]
    assert not any(map(parses, screen.lines))


@pytest.mark.parametrize("columns", [60, 120])
def test_an_archive_ends_with_a_table_of_what_was_done(sandbox: Sandbox, tmp_path: Path, columns: int) -> None:
    words = ["archive", str(tmp_path), "--no-recordings"]
    screen = on_terminal(words, **ask(sandbox), columns=columns)
    written = sum(1 for call in sandbox.calls if call["transcript"])
    assert screen.code == 0
    assert ["transcripts", str(written), "0"] in [line.split()[:3] for line in screen.lines]
    assert not any(map(parses, screen.lines))


def test_a_call_is_shown_with_its_words(sandbox: Sandbox) -> None:
    call = next(call for call in sandbox.calls if (call["transcript"] or "").startswith("["))
    screen = on_terminal(["get", call["id"]], **ask(sandbox), columns=1000)
    assert screen.code == 0
    assert screen.lines[0].split() == ["id", call["id"]]
    spoken = [line.replace("[", "", 1).replace("]: ", ": ", 1) for line in call["transcript"].splitlines()]
    assert [line for line in screen.lines if line in spoken] == spoken
    assert not any(map(parses, screen.lines))


def test_a_transcript_without_speakers_is_shown_too() -> None:
    body = {"id": "call_1", "status": "completed", "transcript": "Hello.\nWho is there?"}
    with raw_server() as server:
        server.script(answer(200, json.dumps(body).encode()))
        screen = on_terminal(["get", "call_1"], **scripted(server))
    assert screen.code == 0
    assert [line.strip() for line in screen.lines[-2:]] == ["Hello.", "Who is there?"]


def test_figures_are_shown_one_a_line(sandbox: Sandbox) -> None:
    screen = on_terminal(["stats"], **ask(sandbox))
    assert screen.code == 0
    assert screen.lines[0].split() == ["calls", "30"]


def test_with_json_a_terminal_gets_json_lines(sandbox: Sandbox) -> None:
    screen = on_terminal(["--json", "list"], **ask(sandbox))
    assert screen.code == 0
    assert [json.loads(line)["id"] for line in screen.lines] == [call["id"] for call in sandbox.calls]
    assert screen.raw == screen.text  # not even a colour


# ---- questions


@pytest.mark.parametrize(("typed", "asked"), [("y\n", 1), ("n\n", 0), ("\n", 0)])
def test_hangup_asks_first_and_does_what_it_is_told(sandbox: Sandbox, typed: str, asked: int) -> None:
    call_id = next(call["id"] for call in sandbox.calls if call["status"] == "in_progress")
    screen = on_terminal(["hangup", call_id], **ask(sandbox), answers={"[y/N]": typed})
    assert call_id in screen.lines[0]
    assert len(sandbox.requests) == asked
    assert (screen.code == 0) == bool(asked)
    assert ("completed" in screen.text) == bool(asked)


def test_with_yes_hangup_does_not_ask(sandbox: Sandbox) -> None:
    call_id = next(call["id"] for call in sandbox.calls if call["status"] == "in_progress")
    screen = on_terminal(["hangup", call_id, "--yes"], **ask(sandbox))
    assert (screen.code, screen.lines) == (0, [f"{call_id}: completed"])


# ---- a server that means harm

HARM = "\x1b]0;owned\x07\x1b[2J\x9b1A\rfake\u202egnp\u2066\x08\x00"
ACTING = set("\x1b\x07\x08\x00\x9b\r\u202e\u2066\u2028")
SHOWN = r"\x1b]0;owned\x07\x1b[2J\x9b1A\rfake\u202egnp\u2066\x08\x00"
HARMFUL_CALL = {
    "id": f"call_1{HARM}",
    "status": HARM,
    "direction": HARM,
    "from_number": HARM,
    "to_number": HARM,
    "hangup_cause": HARM,
    "endpoint_id": HARM,
    "phone_number_id": HARM,
    "transcript": f"Agent{HARM}: {HARM}\nCustomer: \u2028{HARM}",
    "created_at": "2025-01-10T12:00:00Z",
    "metadata": {HARM: HARM},
}
HARMFUL = {
    "list": (["list"], {"calls": [HARMFUL_CALL], "total": 1, "limit": 50, "offset": 0}),
    "get": (["get", "call_1"], HARMFUL_CALL | {"id": "call_1"}),
    "events": (["events", "call_1"], {"events": [{"id": HARM, "type": HARM, "timestamp": HARM}]}),
    "follow": (["events", "call_1", "--follow"], {"events": [{"event": HARM}, {"event": "call.completed"}]}),
    "wait": (["wait", "call_1"], {"id": "call_1", "status": HARM, "completed_at": "2025-01-10T12:00:00Z"}),
    "doctor": (["doctor"], {"error": HARM}),
    "stats": (["stats"], {"total_calls": 1, "by_status": {HARM: 1}}),
    "hangup": (["hangup", "call_1", "--yes"], {"id": "call_1", "status": HARM}),
    "an error": (["list"], {"error": {"code": HARM, "message": HARM, "details": {HARM: HARM}}}),
    "a link": (["download", "call_1"], {"recording_url": HARM}),
}


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("words", "body"), HARMFUL.values(), ids=list(HARMFUL))
def test_what_a_server_says_drives_no_terminal(
    words: list[str], body: dict[str, Any], as_json: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with raw_server() as server:
        server.script(answer(400 if "error" in body else 200, json.dumps(body).encode()))
        screen = on_terminal(["--json", *words] if as_json else words, **scripted(server), columns=1000)
    assert "Traceback" not in screen.text
    assert set(screen.text) & ACTING == set()
    if "recording_url" not in body and not as_json:
        assert SHOWN in screen.text


# ---- what becomes of stdout

ONLY_ASCII = (
    {"PYTHONIOENCODING": "ascii"},
    {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)


@pytest.mark.parametrize("variables", ONLY_ASCII)
@pytest.mark.parametrize("command", [["list"], ["get", "call_1"]], ids=" ".join)
def test_a_terminal_that_knows_ascii_alone_gets_the_rest_spelt_out(
    variables: dict[str, str], command: list[str]
) -> None:
    row = {"id": "call_1", "status": "völlig", "transcript": "Ünal: はい 😀", "created_at": "2025-01-10T12:00:00Z"}
    page = {"calls": [row], "total": 1, "limit": 50, "offset": 0}
    with raw_server() as server:
        server.script(answer(200, json.dumps(row if "get" in command else page).encode()))
        screen = on_terminal(command, **scripted(server), variables=variables)
        piped = run(command, **scripted(server), variables=variables)
    assert (screen.code, screen.text.isascii()) == (0, True)
    assert r"v\xf6llig" in screen.text
    assert piped.returncode == 0
    assert json.loads(piped.stdout) == row


TALKATIVE = (
    ["list"],
    ["stats"],
    ["doctor"],
    ["completion", "fish"],
    ["--help"],
    ["--version"],
    ["list", "--help"],
)


@pytest.mark.parametrize("words", TALKATIVE, ids=" ".join)
def test_a_reader_that_has_gone_ends_it_in_silence_with_0(sandbox: Sandbox, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(words, key=sandbox.api_key, url=sandbox.base_url, stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [["list"], ["archive", "calls"]], ids=" ".join)
def test_so_does_one_that_read_the_words_beside_the_data_too(
    sandbox: Sandbox, words: list[str], tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(words, **ask(sandbox), folder=tmp_path, stdout=writing, stderr=writing)
    finally:
        os.close(writing)
    assert done.returncode == 0


@pytest.mark.parametrize("words", TALKATIVE, ids=" ".join)
def test_a_full_disk_behind_stdout_is_told_in_a_line_with_9(sandbox: Sandbox, words: list[str]) -> None:
    with open("/dev/full", "w", encoding="ascii") as full:
        done = run(words, key=sandbox.api_key, url=sandbox.base_url, stdout=full)
    assert (done.returncode, len(done.stderr.splitlines())) == (9, 1)
