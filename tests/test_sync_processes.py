"""L4 to L6: the blocking client in processes of its own, that fork, and that end without a word to it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from audio import recording
from cli_process import environment, raw_server
from raw_server import Answer, Request, answer

from krosai_calls.sandbox import Sandbox

CALL = {"id": "call_1", "status": "completed", "created_at": "2026-01-01T00:00:00Z"}
PAGE = {"calls": [CALL | {"id": f"call_{number}"} for number in range(100)], "total": 900}
FRAMES = recording(300)
ENDLESS = 10**9

PROLOGUE = """
import gc, os, sys, threading
from krosai_calls import CallsClient, ClientStateError

def said(*words):
    print(*words, flush=True)

begun = threading.Semaphore(0)

def in_a_daemon_thread(work):
    threading.Thread(target=work, daemon=True).start()

client = CallsClient()
"""


def run(script: str, *words: str, key: str = "key", url: str) -> subprocess.CompletedProcess[str]:
    # Python 3.12 warns of every fork with threads about, which some of these are about.
    options = ("-W", "error", "-W", "ignore::DeprecationWarning")
    return subprocess.run(
        [sys.executable, *options, "-c", PROLOGUE + script, *words],
        env=environment(key, url, {"PYTHONPATH": ":".join(filter(None, sys.path))}),
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )


class Service:
    """Answers a call, the first page of a long history and the beginning of a recording, and then nothing more."""

    def __init__(self, recording_bytes: int) -> None:
        self.recording_bytes = recording_bytes
        self.url = ""

    def __call__(self, request: Request) -> Answer:
        if request.path == "/v1/calls":
            is_first = ("offset", "0") in request.query or "offset" not in dict(request.query)
            return answer(200, json.dumps(PAGE).encode()) if is_first else Answer(then="hang")
        if request.path == "/v1/calls/call_1":
            return answer(200, json.dumps(CALL).encode())
        if request.path == "/v1/calls/call_1/recording":
            link = {"url": f"{self.url}/r.mp3", "size_bytes": self.recording_bytes}
            return answer(200, json.dumps(link).encode())
        if request.path == "/r.mp3":
            head = f'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: {self.recording_bytes}\r\n\r\n'
            if self.recording_bytes == len(FRAMES):
                return Answer(head.encode() + FRAMES)
            return Answer(head.encode(), more=itertools.repeat(FRAMES))
        return Answer(then="hang")


MESSES = {
    "an unused client": "pass",
    "a call": "client.get_call('call_1')",
    "a half-read iterator": "calls = client.iter_calls(); [next(calls) for _ in range(99)]",
    "half-read pages in a cycle": "pages = [client.iter_pages()]; next(pages[0]); pages.append(pages)",
    "a stream that is read": "s = client.stream_recording('call_1'); next(s.__enter__())",
    "an iterator in another thread": """
def work():
    for call in client.iter_calls():
        begun.release()
in_a_daemon_thread(work)
[begun.acquire() for _ in range(99)]
""",
    "sixteen calls in other threads": """
client = CallsClient(on_event=lambda event: begun.release())
client.get_call("call_1")
[begun.acquire() for _ in range(2)]
for _ in range(16):
    in_a_daemon_thread(lambda: client.get_call("none"))
[begun.acquire() for _ in range(16)]
""",
    "a download in another thread": """
def note(received, _):
    if received > 200_000:
        begun.release()
in_a_daemon_thread(lambda: client.download_recording("call_1", sys.argv[1], progress=note))
begun.acquire()
""",
    "a thread that goes on after errors": """
def work():
    while True:
        try:
            client.download_recording("call_1", sys.argv[1], progress=lambda *_: begun.release())
        except Exception as error:
            said(error)
in_a_daemon_thread(work)
begun.acquire()
""",
    "a callback that never returns": """
def wait(*_):
    begun.release()
    threading.Event().wait()
in_a_daemon_thread(lambda: client.download_recording("call_1", sys.argv[1], progress=wait))
begun.acquire()
""",
}


@pytest.mark.parametrize("mess", MESSES.values(), ids=MESSES)
def test_l05_l06_a_script_without_close_ends_with_its_own_code_and_in_silence_after(
    mess: str, tmp_path: Path
) -> None:
    service = Service(ENDLESS)
    with raw_server(service) as server:
        service.url = server.url
        done = run(f"{mess}\nsaid('done')\nsys.exit(7)\n", str(tmp_path / "r.mp3"), url=f"{server.url}/v1")
    assert (done.returncode, done.stdout, done.stderr) == (7, "done\n", "")
    assert not (tmp_path / "r.mp3").exists()


def test_l05_what_a_download_brought_before_the_script_ended_is_kept(tmp_path: Path) -> None:
    service = Service(ENDLESS)
    with raw_server(service) as server:
        service.url = server.url
        mess = MESSES["a download in another thread"]
        run(f"{mess}\nsys.exit(7)\n", str(tmp_path / "r.mp3"), url=f"{server.url}/v1")
    kept = (tmp_path / "r.mp3.part").read_bytes()
    assert len(kept) > 200_000
    assert kept == (FRAMES * (len(kept) // len(FRAMES) + 1))[: len(kept)]
    assert list(tmp_path.glob("r.mp3.part.*"))  # what the next run goes by


def test_l05_a_thread_that_python_waits_for_may_go_on_after_the_main_thread(tmp_path: Path) -> None:
    script = """
def work():
    threading.main_thread().join()
    saved = client.download_recording("call_1", sys.argv[1])
    said(saved.size_bytes)
threading.Thread(target=work).start()
client.get_call("call_1")
sys.exit(7)
"""
    service = Service(len(FRAMES))
    with raw_server(service) as server:
        service.url = server.url
        done = run(script, str(tmp_path / "r.mp3"), url=f"{server.url}/v1")
    assert (done.returncode, done.stdout, done.stderr) == (7, f"{len(FRAMES)}\n", "")
    assert (tmp_path / "r.mp3").read_bytes() == FRAMES


def test_l05_a_script_that_fails_shows_its_own_error_alone() -> None:
    service = Service(ENDLESS)
    with raw_server(service) as server:
        done = run("client.get_call('call_1')\nraise ValueError('its own')\n", url=f"{server.url}/v1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ValueError: its own"
    assert done.stderr.count("Traceback") == 1


def test_l04_a_client_made_before_forks_and_not_used_works_in_every_child() -> None:
    script = """
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        calls = client.iter_calls(page_size=10)
        said(sum(1 for _ in calls))
        if number:
            client.close()
        sys.exit(number)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
said(codes, sum(1 for _ in client.iter_calls()))
"""
    with Sandbox(calls=30) as sandbox:
        done = run(script, key=sandbox.api_key, url=sandbox.base_url)
    assert (done.stdout.splitlines(), done.stderr) == (["30", "30", "30", "[0, 1, 2] 30"], "")


@pytest.mark.parametrize("child_closes", ["client.close()", "pass"])
def test_l04_one_used_before_a_fork_says_so_in_the_child_and_goes_on_in_the_parent(child_closes: str) -> None:
    script = f"""
first = client.list_calls().calls[0].id
calls, pages = client.iter_calls(page_size=10), client.iter_pages(page_size=10)
read = [next(calls).id]
next(pages)
with client.stream_recording(sys.argv[1]) as stream:
    child = os.fork()
    if child == 0:
        for verb in (
            lambda: client.get_call(first),
            lambda: client.hang_up(first),
            lambda: client.archive("never"),
            lambda: list(calls),
            lambda: next(pages),
            lambda: next(client.iter_calls()),
            lambda: next(stream),
            lambda: client.stream_recording(first).__enter__(),
        ):
            try:
                said("got", verb())
            except ClientStateError as error:
                said(error)
        calls.close()
        {child_closes}
        del calls, pages, stream, verb, client
        gc.collect()
        sys.exit(3)
    _, status = os.waitpid(child, 0)
    size = sum(map(len, stream))
read += [call.id for call in calls]
goes_on = client.get_call(first).id == first
said(os.waitstatus_to_exitcode(status), size == stream.size_bytes, len(set(read)), goes_on)
client.close()
"""
    with Sandbox(calls=30) as sandbox:
        call_id = next(call["id"] for call in sandbox.calls if call["recording_url"])
        done = run(script, call_id, key=sandbox.api_key, url=sandbox.base_url)
    told = done.stdout.splitlines()
    assert told[:-1] == ["used before a fork: make a new client in each process"] * 8
    assert told[-1] == "3 True 30 True"
    assert done.stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are what it is about")
def test_l04_a_fork_while_another_thread_is_on_its_way_in_does_not_leave_the_child_waiting() -> None:
    script = """
client.list_calls()
release = threading.Event()
holding = threading.Event()
def hold():
    with client._portal._starting:  # as whoever calls does for a moment; the child has no such thread
        holding.set()
        release.wait()
thread = threading.Thread(target=hold)
thread.start()
holding.wait()
child = os.fork()
if child == 0:
    try:
        client.list_calls()
    except ClientStateError as error:
        said(error)
    client.close()
    os._exit(3)
release.set()
thread.join()
said(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), client.list_calls().total)
"""
    with Sandbox(calls=30) as sandbox:
        done = run(script, key=sandbox.api_key, url=sandbox.base_url)
    assert done.stdout.splitlines() == ["used before a fork: make a new client in each process", "3 30"]
