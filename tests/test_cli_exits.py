"""How the program ends: each kind of ending has its exit code, a line that says why, and no traceback."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from audio import recording
from cli_process import PROGRAM, SECONDS, environment, raw_server, run
from raw_server import Answer, RawServer, Request, answer

from krosai_calls import RetryPolicy
from krosai_calls.cli import main
from krosai_calls.sandbox import Sandbox
from krosai_calls.sandbox.audio import Recorder

KEY = "kros_test_key"
MP3 = recording(5)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, krosai_recorder: Recorder) -> Iterator[Sandbox]:
    """A sandbox that the environment points to, and an empty folder to be in."""
    monkeypatch.chdir(tmp_path)
    with Sandbox(calls=30, recorder=krosai_recorder) as sandbox:
        monkeypatch.setenv("KROSAI_API_KEY", sandbox.api_key)
        monkeypatch.setenv("KROSAI_BASE_URL", sandbox.base_url)
        yield sandbox


# ---- usage and settings


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["list", "--nonsense"],
        ["list", "extra"],
        ["list", "--direction", "sideways"],
        ["list", "--status", ""],
        ["list", "--max-items", "0"],
        ["list", "--from", "last tuesday"],
        ["list", "--from", "2025-01-10T12:00"],
        ["list", "--from", "999999w"],
        ["list", "--from", "2025-02-01", "--to", "2025-01-01"],
        ["get"],
        ["get", "../stats"],
        ["get", "\udcff"],
        ["events", "stats/x"],
        ["events", "call_1", "--follow", "--poll", "0s"],
        ["events", "call_1", "--follow", "--poll", "2h"],
        ["wait"],
        ["wait", "a/b"],
        ["wait", "call_1", "--timeout", "soon"],
        ["completion", "tcsh"],
        ["hangup", "call_1"],
        ["hangup", "a/b", "--yes"],
        ["download"],
        ["download", "call_1", "--to", "a-file"],
        ["archive"],
        ["archive", "a-file"],
        ["sandbox", "--port", "70000"],
        ["sandbox", "--plan", "platinum"],
        ["--base-url", "ftp://example.com", "list"],
        ["--base-url", "http://example.com", "list"],
        ["--sandbox", "--base-url", "http://127.0.0.1:1", "list"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_ends_with_2_before_any_request(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "a-file").touch()
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert (out, sandbox.requests) == ("", [])
    assert err.strip()
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["a-file"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["list", "--sandbox"], "krosai-calls --sandbox list"),
        (["archive", "there", "--base-url", "http://x"], "krosai-calls --base-url URL archive"),
        (["get", "--json", "call_1"], "krosai-calls --json get"),
    ],
)
def test_of_an_option_behind_the_command_it_is_told_where_it_belongs(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert f"{told.split()[1]} stands before the command: {told}\n" in capsys.readouterr().err


def test_a_missing_key_is_told_with_what_to_do(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KROSAI_API_KEY")
    assert main(["list"]) == 2
    out, err = capsys.readouterr()
    assert (out, sandbox.requests) == ("", [])
    assert "KROSAI_API_KEY" in err
    assert "--sandbox" in err


# ---- what the service answers


def test_a_wrong_key_is_refused_and_never_shown(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KROSAI_API_KEY", "kros_live_wrong_and_secret")
    assert main(["list"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("krosai-calls: ")
    assert "secret" not in err


@pytest.mark.parametrize(
    ("words", "given", "code"),
    [
        (["list"], answer(400, b'{"error": {"message": "no"}}'), 4),
        (["list"], answer(401, b"{}"), 4),
        (["list"], answer(402, b"{}"), 4),
        (["archive", "calls"], answer(403, b"{}"), 4),
        (["hangup", "call_1", "--yes"], answer(409, b"{}"), 4),
        (["get", "call_1"], answer(404, b"{}"), 5),
        (["download", "call_1"], answer(404, b"{}"), 5),
        (["list"], answer(429, b"{}", [("Retry-After", "3600")]), 6),
        (["archive", "calls"], answer(429, b"{}", [("Retry-After", "3600")]), 6),
        (["stats"], answer(500, b"oops", [("Retry-After", "0")], content_type="text/plain"), 7),
        (["list"], answer(501, b"<html>", content_type="text/html"), 7),
        (["get", "call_1"], answer(200, b'{"id": "call_2"}'), 7),
    ],
)
def test_each_refusal_has_its_code(
    words: list[str],
    given: Answer,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    with api(monkeypatch, tmp_path) as server:
        server.script(given)
        assert main(words) == code
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if not json.loads(line)] == []
    assert err.startswith(("krosai-calls: ", "Archiving ", "failed: "))
    assert "Traceback" not in err


@contextmanager
def api(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[RawServer]:
    """A scripted API that the environment points to, and an empty folder to be in."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KROSAI_API_KEY", KEY)
    with raw_server() as server:
        monkeypatch.setenv("KROSAI_BASE_URL", f"{server.url}/v1")
        yield server


def test_a_refused_connection_is_unreachable_and_worth_another_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def without_patience(*_: object, **__: object) -> None:
        """Never repeat a request, whatever came of it."""

    monkeypatch.setattr(RetryPolicy, "delay_after", without_patience)
    with api(monkeypatch, tmp_path):
        pass  # its port is known, and nobody is there any more
    assert main(["list"]) == 7
    out, err = capsys.readouterr()
    assert out == ""
    assert "again" in err


@pytest.mark.parametrize("body", [b"<html>a sign-in page</html>", b""])
def test_bytes_that_are_no_recording_end_with_8_and_leave_nothing(
    body: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with api(monkeypatch, tmp_path) as server:
        link = json.dumps({"recording_url": f"{server.url}/storage", "format": "mp3"})
        server.script(answer(200, link.encode()))
        server.script(answer(200, body, content_type="audio/mpeg"), path="/storage")
        assert main(["download", "call_1"]) == 8
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("stored", "code", "counted"),
    [
        (answer(200, MP3, content_type="audio/mpeg"), 0, "recordings_saved"),
        (answer(404, b"<Error/>", content_type="application/xml"), 0, "recordings_gone"),
        (answer(200, b"<html>a sign-in page</html>"), 3, "recordings_failed"),
    ],
)
def test_an_archive_ends_with_3_where_something_failed_and_what_is_gone_is_no_failure(
    stored: Answer,
    code: int,
    counted: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    with api(monkeypatch, tmp_path) as server:
        server.script(answer(200, listing(f"{server.url}/storage")), path="/v1/calls")
        server.script(stored, path="/storage")
        assert main(["archive", "calls"]) == code
    report = json.loads(capsys.readouterr().out)
    assert report[counted] == 1
    assert len(report["failures"]) == (1 if code else 0)


def listing(link: str) -> bytes:
    """A history of one call whose recording is behind the link."""
    row = {"id": "call_1", "status": "completed", "created_at": "2025-01-10T12:00:00Z", "recording_url": link}
    return json.dumps({"calls": [row], "total": 1, "limit": 100, "offset": 0}).encode()


# ---- what the disk says


def in_the_way(folder: Path) -> None:
    (folder / "calls").mkdir()
    (folder / "calls" / "catalog.sqlite").mkdir()


def damaged(folder: Path) -> None:
    (folder / "calls").mkdir()
    (folder / "calls" / "catalog.sqlite").write_bytes(b"this is no database, and never was one" * 99)


def a_file_for_a_folder(folder: Path) -> None:
    (folder / "calls").touch()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (in_the_way, ["archive", "calls"]),
        (damaged, ["archive", "calls"]),
        (a_file_for_a_folder, ["archive", "calls/deeper"]),
        (a_file_for_a_folder, ["download", "ID", "--to", "calls/deeper"]),
    ],
)
def test_what_cannot_be_written_ends_with_9(
    sandbox: Sandbox,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    prepare: Callable[[Path], None],
    words: list[str],
) -> None:
    prepare(tmp_path)
    recorded = next(call["id"] for call in sandbox.calls if call["recording_url"])
    assert main([recorded if word == "ID" else word for word in words]) == 9
    out, err = capsys.readouterr()
    assert out == ""
    assert "calls" in err
    assert "Traceback" not in err


# ---- signals

ENDINGS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]


@pytest.mark.parametrize(("number", "code"), ENDINGS)
@pytest.mark.parametrize("command", ["archive", "download"])
def test_a_signal_ends_work_under_way_and_leaves_nothing_broken(
    command: str, number: signal.Signals, code: int, tmp_path: Path
) -> None:
    half_written = threading.Event()

    def endless_recording() -> Iterator[bytes]:
        while not any(tmp_path.rglob("*.part")):
            yield b"x" * 1000
        half_written.set()

    def serve(request: Request) -> Answer:
        link = f"http://{request.values('Host')[0]}/storage"
        match request.path:
            case "/storage":
                length = [("Content-Length", str(10**9))]
                head = answer(200, MP3, length, content_type="audio/mpeg", framing="none")
                return Answer(head.wire, then="hang", more=endless_recording())
            case "/v1/calls":
                return answer(200, listing(link))
            case _:
                return answer(200, json.dumps({"recording_url": link}).encode())

    words = [command, str(tmp_path)] if command == "archive" else [command, "call_1", "--to", str(tmp_path)]
    with raw_server(serve) as server, started(words, KEY, f"{server.url}/v1") as process:
        assert half_written.wait(SECONDS)
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (code, "")
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("krosai-calls: ")
    assert list(tmp_path.rglob("*.mp3*")) == []


@pytest.mark.parametrize(("number", "code"), ENDINGS)
def test_a_signal_ends_a_sandbox_and_its_archive_too(number: signal.Signals, code: int, tmp_path: Path) -> None:
    with started(["--sandbox", "archive", str(tmp_path)]) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Archiving")
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (code, "")
    assert "Traceback" not in err
    assert list(tmp_path.rglob("*.part")) == []


@pytest.mark.parametrize(("number", "code"), ENDINGS)
def test_a_sandbox_serves_until_it_is_told_to_end(number: signal.Signals, code: int) -> None:
    with started(["sandbox", "--calls", "3"]) as process:
        assert process.stdout is not None
        known = json.loads(process.stdout.readline())
        done = run(["list"], key=known["KROSAI_API_KEY"], url=known["KROSAI_BASE_URL"])
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert len(done.stdout.splitlines()) == 3
    # Where nothing is at stake the signal itself may end it; a shell calls that 143 all the same.
    assert (process.returncode in (code, -number), out) == (True, "")
    assert "Traceback" not in err


@contextmanager
def started(words: list[str], key: str = "", url: str = "") -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*PROGRAM, *words],
        env=environment(key, url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
