"""Signals to the program while a recording comes in (K10 to K12): what came is kept for the next run."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_process import PROGRAM, SECONDS, environment, raw_server, run
from fault_client import KEY
from raw_server import Answer, RawServer, Request, answer
from storage_server import MP3, TAG

HALF = len(MP3) // 2
TAGGED = [("ETag", TAG)]
DOWNLOAD = ["download", "call_1", "--to"]


@contextmanager
def half_of_it(folder: Path) -> Iterator[tuple[RawServer, subprocess.Popen[str]]]:
    """A download that has half of its recording on disk and gets no more of it."""
    part, is_on_disk = folder / "call_1.mp3.part", threading.Event()

    def until_it_is_on_disk() -> Iterator[bytes]:
        while not part.exists() or part.stat().st_size < HALF:
            yield b""
        is_on_disk.set()

    def serve(request: Request) -> Answer:
        if request.path != "/storage":
            link = f"http://{request.values('Host')[0]}/storage"
            return answer(200, json.dumps({"recording_url": link}).encode())
        if request.values("range"):
            place = ("Content-Range", f"bytes {HALF}-{len(MP3) - 1}/{len(MP3)}")
            return answer(206, MP3[HALF:], [*TAGGED, place], content_type="audio/mpeg")
        if is_on_disk.is_set():
            return answer(200, MP3, TAGGED, content_type="audio/mpeg")
        half = answer(200, MP3, TAGGED, content_type="audio/mpeg", cut=HALF)
        return Answer(half.wire, "hang", more=until_it_is_on_disk())

    with raw_server(serve) as server:
        words = [*PROGRAM, *DOWNLOAD, str(folder)]
        variables = environment(KEY, f"{server.url}/v1")
        with subprocess.Popen(
            words, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert is_on_disk.wait(SECONDS)
                yield server, process
            finally:
                process.kill()


def ranges(server: RawServer) -> list[list[str]]:
    return [request.values("range") for request in server.requests if request.path == "/storage"]


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGINT, 130, id="K10"), pytest.param(signal.SIGTERM, 143, id="K12")],
)
def test_a_signal_ends_a_download_and_the_next_run_goes_on_where_it_stood(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with half_of_it(tmp_path) as (server, process):
        process.send_signal(number)
        _, err = process.communicate(timeout=SECONDS)
        assert (process.returncode, "Traceback" in err) == (code, False)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["call_1.mp3.part", "call_1.mp3.part.log"]
        assert run([*DOWNLOAD, str(tmp_path)], key=KEY, url=f"{server.url}/v1").returncode == 0
        assert ranges(server) == [[], [f"bytes={HALF}-"]]
    assert (tmp_path / "call_1.mp3").read_bytes() == MP3


def test_k11_a_second_signal_leaves_no_broken_file_either(tmp_path: Path) -> None:
    with half_of_it(tmp_path) as (server, process):
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
        # The signal itself may end it: a shell calls that 130 all the same.
        assert process.returncode in (130, -signal.SIGINT)
        assert not (tmp_path / "call_1.mp3").exists()
        assert run([*DOWNLOAD, str(tmp_path)], key=KEY, url=f"{server.url}/v1").returncode == 0
    assert (tmp_path / "call_1.mp3").read_bytes() == MP3
    assert [path.name for path in tmp_path.iterdir()] == ["call_1.mp3"]
