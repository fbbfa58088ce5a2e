"""Group L of the catalogue of faults: the blocking client over Ctrl-C, callbacks, threads and a loop that goes.

L3 has a notebook besides (`test_notebook`), and L4 to L6 have processes (`test_sync_processes`). L9 is the other
client's (`test_closing_processes`), L11 the errors' (`test_public_api`), and L12 is in `test_faults_c_leaving`.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from audio import recording
from cli_process import raw_server
from raw_server import Answer, RawServer, Request, answer

from krosai_calls import CallsClient, ClientStateError, RequestTimeoutError, RetryPolicy
from krosai_calls.cli import main
from krosai_calls.observing import Event, RequestRetried, RequestStarted
from krosai_calls.sandbox import Sandbox

WITHIN = 5  # seconds that something which must not hang is given
HANG = Answer(then="hang")
MP3 = recording(300)
LATER = answer(500)
SLOW_RETRY = RetryPolicy(base_delay_seconds=50.0, max_delay_seconds=50.0)

Verb: TypeAlias = Callable[[CallsClient, Path], object]


@pytest.fixture
def server() -> Iterator[RawServer]:
    with raw_server(echo) as made:
        yield made


def echo(request: Request) -> Answer:
    """A call of the id that was asked for."""
    return answer(200, b'{"id": "%s"}' % request.path.rsplit("/", 1)[-1].encode())


def client_of(server: RawServer, **settings: Any) -> CallsClient:
    return CallsClient("key", base_url=f"{server.url}/v1", **settings)


def check_nothing_is_held(client: CallsClient) -> None:
    transport = client._client._transport
    assert transport._scopes._open == set()
    assert transport._responses == set()
    assert client._portal._serving is not None
    assert client._portal._serving._waiting == set()
    for session in transport._sessions._opened.sessions:
        connector: Any = session.connector
        assert not connector._acquired


def press_ctrl_c() -> None:
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGINT)


# ---- L1: Ctrl-C


def get(client: CallsClient, path: Path) -> object:
    return client.get_call("slow")


def hang_up(client: CallsClient, path: Path) -> object:
    return client.hang_up("slow")


def read_calls(client: CallsClient, path: Path) -> object:
    return list(client.iter_calls())


def read_stream(client: CallsClient, path: Path) -> object:
    with client.stream_recording("slow") as stream:
        return b"".join(stream)


def save(client: CallsClient, path: Path) -> object:
    return client.download_recording("slow", path / "r.mp3")


def archive(client: CallsClient, path: Path) -> object:
    return client.archive(path / "calls")


CUT_SHORT: dict[str, tuple[Verb, Answer]] = {
    "an answer": (get, HANG),
    "a body": (get, answer(200, b'{"id": "slow"}', cut=5, then="hang")),
    "a retry": (get, LATER),
    "an order": (hang_up, HANG),
    "a listing": (read_calls, HANG),
    "an archive": (archive, HANG),
    "a stream": (read_stream, answer(200, MP3, cut=5000, then="hang")),
    "a download": (save, answer(200, MP3, cut=5000, then="hang")),
}


@pytest.mark.parametrize(("verb", "last"), CUT_SHORT.values(), ids=CUT_SHORT)
def test_l01_ctrl_c_ends_what_is_under_way_and_lets_go_of_everything(
    server: RawServer, tmp_path: Path, verb: Verb, last: Answer
) -> None:
    presses = threading.Event()
    link = b'{"url": "%s/r.mp3", "size_bytes": %d}' % (server.url.encode(), len(MP3))

    def handle(request: Request) -> Answer:
        if request.path.endswith("/recording"):
            return answer(200, link)
        if request.path.endswith("/first"):
            return echo(request)
        if last is not LATER:
            press()
        return last

    def press() -> None:
        presses.set()
        press_ctrl_c()

    def when_it_waits(event: Event) -> None:
        if isinstance(event, RequestRetried):
            press()

    server._handler = handle
    with client_of(server, on_event=when_it_waits, retry=SLOW_RETRY) as client:
        client.get_call("first")
        with pytest.raises(KeyboardInterrupt):
            verb(client, tmp_path)
        assert presses.is_set()
        check_nothing_is_held(client)
        assert list(tmp_path.rglob("*.mp3")) == []
        assert client.get_call("first").id == "first"


# ---- L2: on the loop's own thread


def test_l02_a_callback_that_calls_the_client_is_told_so_at_once_and_breaks_nothing(
    server: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[BaseException] = []
    threads: list[threading.Thread] = []

    def call_back(event: Event) -> None:
        threads.append(threading.current_thread())
        for blocked in (lambda: client.get_call("b"), lambda: next(client.iter_calls()), stream_in_vain):
            with pytest.raises(ClientStateError, match="own loop") as raised:
                blocked()
            told.append(raised.value)

    def stream_in_vain() -> None:
        with client.stream_recording("b"):
            pass

    with client_of(server, on_event=call_back) as client:
        assert in_a_thread(client.get_call, "a").id == "a"
    assert len(told) == 6  # a request's start and its end, three ways each
    assert {thread.name for thread in threads} == {"krosai-calls"}
    assert [request.path for request in server.requests] == ["/v1/calls/a"]
    assert "a callback failed" not in caplog.text


def test_l02_progress_comes_on_the_loops_thread(server: RawServer, tmp_path: Path) -> None:
    link = b'{"url": "%s/r.mp3", "size_bytes": %d}' % (server.url.encode(), len(MP3))
    server._handler = lambda request: answer(200, link if request.path.endswith("/recording") else MP3)
    names: set[str] = set()
    with client_of(server) as client:
        client.download_recording(
            "a", tmp_path / "r.mp3", progress=lambda *_: names.add(threading.current_thread().name)
        )
    assert names == {"krosai-calls"}


def in_a_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function on another thread, so that one that hangs does not hang the tests."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function, *args).result(WITHIN)


# ---- L3: inside a running loop


async def test_l03_it_works_inside_a_running_loop_which_it_leaves_alone(sandbox_thread: Sandbox) -> None:
    before = asyncio.all_tasks()
    with CallsClient(sandbox_thread.api_key, base_url=sandbox_thread.base_url) as client:
        assert len(list(client.iter_calls(page_size=7))) == 30
        for _ in client.iter_calls(page_size=7):
            break
        assert asyncio.all_tasks() == before
    assert await asyncio.sleep(0, "the loop goes on") == "the loop goes on"


@pytest.fixture
def sandbox_thread() -> Iterator[Sandbox]:
    with Sandbox(calls=30) as running:
        yield running


# ---- L7, L10: the loop goes, or the coroutine is cancelled on it


def test_l07_a_loop_that_a_callback_stops_ends_every_call_and_says_so_from_then_on(server: RawServer) -> None:
    started = threading.Semaphore(0)
    is_to_stop = threading.Event()
    server._handler = lambda request: echo(request) if request.path.endswith("/first") else HANG

    def stop(event: Event) -> None:
        if isinstance(event, RequestStarted):
            started.release()
            if is_to_stop.is_set():
                asyncio.get_running_loop().stop()

    client = client_of(server, on_event=stop)
    client.get_call("first")
    with ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(client.get_call, "a")
        assert started.acquire(timeout=WITHIN)
        assert started.acquire(timeout=WITHIN)
        is_to_stop.set()
        stopping = threads.submit(client.get_call, "b")
        for call in (waiting, stopping):
            with pytest.raises(ClientStateError):
                call.result(WITHIN)
        with pytest.raises(ClientStateError):
            threads.submit(client.get_call, "c").result(WITHIN)
    check_nothing_is_held(client)
    client.close()


def test_l07_a_callback_that_exits_ends_the_caller_as_it_would_end_a_script_and_not_the_loop(
    server: RawServer,
) -> None:
    leaves = threading.Event()

    def leave(event: Event) -> None:
        if leaves.is_set():
            raise SystemExit(7)

    with client_of(server, on_event=leave) as client:
        leaves.set()
        with pytest.raises(SystemExit) as raised:
            in_a_thread(client.get_call, "a")
        leaves.clear()
        assert in_a_thread(client.get_call, "b").id == "b"
    assert raised.value.code == 7


def test_l10_a_call_that_is_cancelled_on_the_loop_is_an_error_and_never_none(server: RawServer) -> None:
    is_to_cancel = threading.Event()

    def cancel(event: Event) -> None:
        task = asyncio.current_task()
        assert task is not None
        if is_to_cancel.is_set():
            task.cancel()

    with client_of(server, on_event=cancel) as client:
        client.get_call("a")
        is_to_cancel.set()
        with pytest.raises(ClientStateError, match="cancelled"):
            in_a_thread(client.get_call, "b")


# ---- L8: many threads


@pytest.mark.parametrize("count", [16, 50])
def test_l08_threads_share_one_client_one_session_and_its_limits(server: RawServer, count: int) -> None:
    together = threading.Barrier(count)

    def ask(number: int) -> list[str]:
        together.wait(WITHIN)
        return [client.get_call(f"call_{number}_{turn}").id for turn in range(5)]

    with client_of(server, max_concurrency=4) as client:
        with ThreadPoolExecutor(count) as threads:
            answers = list(threads.map(ask, range(count)))
        assert len(client._client._transport._sessions._opened.sessions) == 1
    assert answers == [[f"call_{number}_{turn}" for turn in range(5)] for number in range(count)]
    assert len({request.connection for request in server.requests}) <= 4
    assert len(server.requests) == 5 * count


def test_l08_sixteen_threads_read_sixteen_listings_at_once(sandbox_thread: Sandbox) -> None:
    client = CallsClient(sandbox_thread.api_key, base_url=sandbox_thread.base_url)
    with client, ThreadPoolExecutor(16) as threads:
        read = list(threads.map(lambda _: [call.id for call in client.iter_calls(page_size=7)], range(16)))
    assert read == [[call["id"] for call in sandbox_thread.calls]] * 16


@pytest.mark.parametrize("verb", [get, hang_up, read_calls, read_stream, save, archive])
def test_closing_while_another_thread_waits_tells_that_thread(
    server: RawServer, tmp_path: Path, verb: Verb
) -> None:
    link = b'{"url": "%s/r.mp3", "size_bytes": %d}' % (server.url.encode(), len(MP3))
    has_come = threading.Event()

    def handle(request: Request) -> Answer:
        if request.path.endswith("/recording"):
            return answer(200, link)
        has_come.set()
        return answer(200, MP3, cut=5000, then="hang") if request.path == "/r.mp3" else HANG

    server._handler = handle
    client = client_of(server)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(verb, client, tmp_path)
        assert has_come.wait(WITHIN)
        client.close()
        with pytest.raises(ClientStateError, match="closed"):
            waiting.result(WITHIN)
    check_nothing_is_held(client)


# ---- L13, L14


def test_l13_a_call_that_takes_too_long_is_cancelled_and_lets_go(server: RawServer) -> None:
    server._handler = lambda request: HANG
    with client_of(server, timeout_seconds=0.05, retry=RetryPolicy(max_attempts=1)) as client:
        with pytest.raises(RequestTimeoutError):
            client.get_call("a")
        check_nothing_is_held(client)


def test_l14_a_command_off_the_main_thread_does_without_signal_handlers(
    sandbox_thread: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KROSAI_API_KEY", sandbox_thread.api_key)
    monkeypatch.setenv("KROSAI_BASE_URL", sandbox_thread.base_url)
    before = signal.getsignal(signal.SIGTERM)
    assert in_a_thread(main, ["list", "--max-items", "3"]) == 0
    assert capsys.readouterr().out.count("\n") == 3
    assert signal.getsignal(signal.SIGTERM) is before
