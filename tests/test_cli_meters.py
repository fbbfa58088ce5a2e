"""Work under way as it is shown: in place on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from audio import recording
from cli_process import SECONDS, Screen, on_terminal, raw_server, run
from raw_server import Answer, Request, answer

from krosai_calls.cli.charts import Glyphs
from krosai_calls.cli.meters import shown
from krosai_calls.cli.output import Output
from krosai_calls.sandbox import RecordedRequest, Sandbox
from krosai_calls.sandbox.audio import Recorder

MP3 = recording(200)
CHANGED_IN_PLACE = "\x1b[2K"  # a line is cleared for what stands there next


class Counter:
    """A meter that counts how often it was looked at."""

    def __init__(self) -> None:
        self.looks = 0

    def line(self) -> str:
        self.looks += 1
        return f"{self.looks} of many"

    def lines(self, room: int, most: int, glyphs: Glyphs) -> list[str]:
        raise AssertionError("there is no terminal here")


async def test_off_a_terminal_a_plain_line_is_told_every_thirty_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    waits: list[float] = []
    three_told = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 3:
            three_told.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    async with shown(Counter(), Output(as_json=True), sleep=sleep):
        await three_told.wait()
    assert set(waits) == {30.0}
    assert capsys.readouterr() == ("", "1 of many\n2 of many\n3 of many\n")


async def test_work_that_fails_ends_its_display(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        async with shown(Counter(), Output(as_json=True)):
            raise ZeroDivisionError
    assert capsys.readouterr() == ("", "")


# ---- on a terminal


class Hold:
    """Holds back what the sandbox answers until a test has seen enough.

    Args:
        servers: Which of its servers wait.
    """

    def __init__(self, *servers: str) -> None:
        self._servers = servers
        self._is_over = threading.Event()
        self.end = self._is_over.set

    def __call__(self, request: RecordedRequest) -> None:
        if request.server in self._servers:
            self._is_over.wait(SECONDS)


@pytest.fixture
def sandbox(krosai_recorder: Recorder) -> Iterator[Sandbox]:
    with Sandbox(calls=12, plan="free", recorder=krosai_recorder) as sandbox:
        yield sandbox


def ask(sandbox: Sandbox) -> dict[str, Any]:
    return {"key": sandbox.api_key, "url": sandbox.base_url}


def is_tidy(screen: Screen) -> bool:
    """Whether the cursor is shown again after it was hidden."""
    return screen.raw.rfind("\x1b[?25h") > screen.raw.rfind("\x1b[?25l") >= 0


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_an_archive_shows_how_far_it_is(sandbox: Sandbox, tmp_path: Path, columns: int) -> None:
    recordings = sum(bool(call["recording_url"]) for call in sandbox.calls)
    sandbox.on_request = storage = Hold("storage")
    words = ["archive", str(tmp_path / "calls")]
    reactions = {f"0 of {recordings} recordings": storage.end}
    screen = on_terminal(words, **ask(sandbox), columns=columns, reactions=reactions)
    assert screen.code == 0
    assert is_tidy(screen)
    assert f"0 of {recordings} recordings" in screen.frames
    assert "at most 999 left today" in screen.frames
    shown = [line for line in screen.frames.splitlines() if "left today" in line or " of " in line]
    assert max(map(len, shown)) < columns
    assert max(len(line) for line in screen.lines if line.startswith(("recordings", "transcripts"))) <= columns


def test_what_is_shown_in_place_never_reaches_stdout(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.on_request = storage = Hold("storage")
    reactions = {"left today": storage.end}
    with open(tmp_path / "out", "w", encoding="utf-8") as out:
        screen = on_terminal(["archive", str(tmp_path / "calls")], **ask(sandbox), stdout=out, reactions=reactions)
    assert "left today" in screen.frames
    [line] = (tmp_path / "out").read_text("utf-8").splitlines()
    assert json.loads(line)["calls_seen"] == 12


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"PYTHONIOENCODING": "ascii"}])
@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (12, 3), (1, 1)])
def test_any_terminal_will_do(
    sandbox: Sandbox, tmp_path: Path, variables: dict[str, str], columns: int, rows: int
) -> None:
    is_dumb = variables.get("TERM") == "dumb"
    sandbox.on_request = everything = Hold("api", "storage")
    words = ["archive", str(tmp_path / "calls"), "--no-recordings"]
    reactions = {"Archiving" if is_dumb else CHANGED_IN_PLACE: everything.end}
    screen = on_terminal(
        words, **ask(sandbox), columns=columns, rows=rows, variables=variables, reactions=reactions
    )
    assert (screen.code, "Traceback" in screen.text) == (0, False)
    assert ("\x1b[?25l" in screen.raw) == (CHANGED_IN_PLACE in screen.raw) == (not is_dumb)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_downloads_are_shown_together_until_a_signal_parks_them(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield MP3[:10]

    def serve(request: Request) -> Answer:
        if not request.path.startswith("/storage"):
            link = f"http://{request.values('Host')[0]}/storage"
            return answer(200, json.dumps({"recording_url": link}).encode(), [("X-RateLimit-Limit", "50")])
        headers = [("Content-Length", str(10**9)), ("ETag", '"one"')]
        head = answer(200, MP3, headers, content_type="audio/mpeg", framing="none")
        return Answer(head.wire, then="hang", more=endless())

    words = ["download", "call_1", "call_2", "--to", str(tmp_path / "my calls")]
    with raw_server(serve) as server:
        signals = {"2 recordings": number}
        screen = on_terminal(words, key="kros_test_key", url=server.url, columns=200, signals=signals)
    assert screen.code == code
    assert is_tidy(screen)
    assert re.search(r"call_1  .*%  .* of 1\.0 GB", screen.frames)
    assert "at most 49,998 left today" in screen.frames
    assert f"To go on:  krosai-calls download call_1 call_2 --to '{tmp_path}/my calls'" in screen.lines[-1]
    assert (
        sorted(path.suffix for path in (tmp_path / "my calls").iterdir() if path.suffix != ".log") == [".part"] * 2
    )


@pytest.mark.parametrize("disk", ["out", "/dev/full"])
def test_what_was_done_before_a_signal_is_told_too(tmp_path: Path, disk: str) -> None:
    def serve(request: Request) -> Answer:
        number = request.path.strip("/").split("/")[1]
        if not request.path.startswith("/storage"):
            link = f"http://{request.values('Host')[0]}/storage/{number}"
            return answer(200, json.dumps({"recording_url": link}).encode())
        if number == "call_1":
            return answer(200, MP3, content_type="audio/mpeg")
        return Answer(b"", then="hang")

    with raw_server(serve) as server, open(tmp_path / disk, "w", encoding="utf-8") as out:
        words = ["download", "call_1", "call_2", "--to", str(tmp_path / "calls")]
        signals = {"1 of 2": signal.SIGINT}
        screen = on_terminal(words, key="kros_test_key", url=server.url, signals=signals, stdout=out)
    assert screen.code == 130
    if disk == "/dev/full":
        return
    [line] = (tmp_path / "out").read_text("utf-8").splitlines()
    assert (json.loads(line)["id"], json.loads(line)["size_bytes"]) == ("call_1", len(MP3))


def test_off_a_terminal_a_short_run_tells_no_progress(tmp_path: Path) -> None:
    with Sandbox(calls=3) as sandbox:
        done = run(["archive", str(tmp_path / "calls")], **ask(sandbox))
    assert done.returncode == 0
    assert "left today" not in done.stderr
    assert "\x1b" not in done.stderr
