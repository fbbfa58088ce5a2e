"""M6, M19, M21: secrets and whole processes: asyncio's debug mode, the command line, the archive's files."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from audio import recording
from canaries import CANARIES, ID, KEY, QUERY
from cli_process import environment, raw_server, run
from raw_server import Answer, Request, answer

import krosai_calls
from krosai_calls import RetryPolicy
from krosai_calls.cli import main
from krosai_calls.cli.app import program

# Everything that may speak does: asyncio's debug mode, every logger, every warning, and what nobody retrieved.
LOUD = """
import asyncio, gc, logging, sys
from krosai_calls import AsyncCallsClient, Call, RetryPolicy

logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)

async def stream(client, link):
    async with client.stream_recording(Call(id="call_1", recording_url=link)) as recording:
        async for _ in recording:
            pass

async def main():
    twice = RetryPolicy(max_attempts=2, base_delay_seconds=0.0)
    async with AsyncCallsClient(timeout_seconds=0.2, read_timeout_seconds=0.2, retry=twice) as client:
        for path in sys.stdin.read().split():
            for job in [stream(client, path)] if "/" in path else [client.get_call(path), client.hang_up(path)]:
                task = asyncio.ensure_future(job)
                await asyncio.wait([task])
                print(repr(task))
                del task, job
                gc.collect()  # "Task exception was never retrieved"
        late = asyncio.ensure_future(client.get_call("silent"))
        await asyncio.sleep(0.05)
        late.cancel()
    left_open = AsyncCallsClient()
    await left_open.get_call("call_1")
    return late

late = asyncio.run(main())
gc.collect()
"""

ECHO = KEY.encode()
PATHS: dict[str, Answer] = {
    "refused": answer(401, b'{"error": "%s"}' % ECHO),
    "broken": answer(200, b'{"recording_url": "https://storage.test/r?%s", ' % QUERY.encode()),
    "cut": answer(200, b'{"recording_url": "https://storage.test/r?%s"}' % QUERY.encode(), cut=-1),
    "garbage": Answer(b"SSH-2.0\r\n\r\n", then="close"),
    "reset": Answer(then="reset"),
    "closed": Answer(then="close"),
    "silent": Answer(then="hang"),
    "gone.mp3": answer(404),
    "busy.mp3": answer(503),
    "cut.mp3": answer(200, b"ID3" + bytes(100), cut=50),
    "moved.mp3": answer(302, headers=[("Location", f"http://127.0.0.1:1/?{QUERY}")]),
    "silent.mp3": Answer(then="hang"),
}


def by_path(request: Request) -> Answer:
    for word in request.path.strip("/").split("/"):
        if word in PATHS:
            return PATHS[word]
    return answer(200, b'{"id": "call_1", "recording_url": "https://storage.test/r?%s"}' % QUERY.encode())


def test_m06_a_process_that_says_everything_says_no_secret() -> None:
    with raw_server(by_path) as server:
        words = [f"{server.url}/{name}?{QUERY}" if name.endswith(".mp3") else name for name in PATHS]
        done = subprocess.run(
            [sys.executable, "-W", "always", "-c", LOUD],
            env=environment(
                KEY,
                f"{server.url}/v1",
                {"PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONASYNCIODEBUG": "1"},
            ),
            input="\n".join(words),
            capture_output=True,
            text=True,
            timeout=25,
            check=False,
        )
        asked = {request.path for request in server.requests}
    assert done.returncode == 0, done.stderr
    assert len(asked) >= len(PATHS)
    assert done.stdout.count("Task exception was never retrieved") >= len(PATHS)
    assert "DEBUG:krosai_calls:GET" in done.stdout
    assert "left open" in done.stderr
    found = [line for line in (done.stdout + done.stderr).splitlines() if any(c in line for c in CANARIES)]
    assert not found, "\n".join(found)


def listing() -> Callable[[Request], Answer]:
    """A history of calls that each have a link; one recording is whole, and each other fails in its own way."""
    recordings = {
        "whole.mp3": answer(200, recording(5)),
        **{n: a for n, a in PATHS.items() if n.endswith("3")},
    }
    recordings.pop("silent.mp3")
    recordings.pop("busy.mp3")

    def handle(request: Request) -> Answer:
        url = f"http://{request.values('host')[0]}"
        name = request.path.rpartition("/")[2]
        if name in recordings:
            return recordings[name]
        rows = b", ".join(
            b'{"id": "call-%d", "status": "completed", "created_at": "2026-01-01T00:00:00Z",'
            b' "transcript": "Agent: Hi",'
            b' "recording_url": "%s/%s?%s"}' % (number, url.encode(), recording.encode(), QUERY.encode())
            for number, recording in enumerate(recordings)
        )
        if name == "calls":
            return answer(200, b'{"calls": [%s], "total": %d}' % (rows, len(recordings)))
        return answer(404, b'{"error": "%s"}' % ECHO)

    return handle


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line in this process, with the key; it repeats as often as ever, and waits for nothing."""
    monkeypatch.setattr(RetryPolicy, "_delay", lambda *_: 0.0)
    monkeypatch.setenv("KROSAI_API_KEY", KEY)


@pytest.mark.usefixtures("impatient")
def test_m19_the_archives_files_and_words_hold_no_secret(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with raw_server(listing()) as server:
        code = main(["--base-url", f"{server.url}/v1", "archive", str(tmp_path / "calls")])
    out, err = capfd.readouterr()
    assert code == 3, err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".mp3", ".txt", ".sqlite"}
    for canary in CANARIES:
        assert canary not in out + err
        assert [path.name for path in files if canary.encode() in path.read_bytes()] == []


COMMANDS = [["list"], ["get", ID], ["stats"], ["events", ID], ["hangup", ID, "--yes"], ["download", ID]]
ANSWERS = {
    "refused": answer(401, b'{"error": "%s", "code": "%s"}' % (ECHO, ECHO), [("X-Request-Id", KEY)]),
    "missing": answer(404, b'{"error": "https://storage.test/r?%s"}' % QUERY.encode()),
    "redirected": answer(307, headers=[("Location", f"http://127.0.0.1:1/?{QUERY}")]),
    "unreadable": answer(
        200, b'{"x": "%s", "recording_url": "https://storage.test/r?%s"' % (ECHO, QUERY.encode())
    ),
}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("said", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.usefixtures("impatient")
def test_m06_a_command_that_fails_prints_no_secret(
    words: list[str],
    said: Answer,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with raw_server() as server:
        server.script(said)
        assert main(["--base-url", f"{server.url}/v1", *words]) not in (0, 1)
        assert KEY in server.requests[0].values("x-api-key")
    out, err = capfd.readouterr()
    assert err
    assert [canary for canary in CANARIES if canary in out + err] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "variables", [{"KROSAI_BASE_URL": f"http://user:{KEY}@api.test"}, {"KROSAI_API_KEY": KEY + " "}]
)
def test_m07_a_wrong_setting_prints_no_secret(variables: dict[str, str]) -> None:
    done = run(["list"], key=KEY, variables=variables)
    assert done.returncode == 2
    assert KEY not in done.stdout + done.stderr


def test_m19_the_key_is_never_a_word_of_the_command_line() -> None:
    def every(command: click.Command) -> list[str]:
        inner = list(command.commands.values()) if isinstance(command, click.Group) else []
        own = [option for parameter in command.params for option in parameter.opts]
        return own + [option for one in inner for option in every(one)]

    options = every(program)
    assert "--base-url" in options
    assert [option for option in options if "key" in option or "secret" in option or "token" in option] == []


def test_m19_the_process_list_shows_no_key() -> None:
    with (
        raw_server(lambda request: Answer(then="hang")) as server,
        subprocess.Popen(
            [sys.executable, "-m", "krosai_calls", "list"],
            env=environment(KEY, f"{server.url}/v1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        try:
            while not server.requests:
                assert process.poll() is None
            shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        finally:
            process.kill()
    assert b"krosai_calls" in shown
    assert KEY.encode() not in shown


def test_m21_nothing_is_unpickled_or_evaluated() -> None:
    forbidden = {"pickle", "marshal", "shelve", "yaml", "dill", "eval", "exec", "__import__"}
    found = []
    for path in Path(krosai_calls.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import():
                    names = {alias.name.partition(".")[0] for alias in node.names}
                case ast.ImportFrom():
                    names = {(node.module or "").partition(".")[0]}
                case ast.Call(func=ast.Name(id=name)):
                    names = {name}
                case _:
                    continue
            found += [f"{name} in {path.name}" for name in names & forbidden]
    assert found == []
