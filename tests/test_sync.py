"""The same stories through both clients, over real sockets; `test_sync_parity` compares their surfaces."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from krosai_calls import (
    AsyncCallsClient,
    AuthenticationError,
    Call,
    CallsClient,
    ClientStateError,
    ConflictError,
    InvalidArgumentError,
    KrosaiError,
    NotFoundError,
    RecordingGoneError,
    RecordingNotReadyError,
    SettingsError,
    TranscriptUnavailableError,
)
from krosai_calls.sandbox import Sandbox
from krosai_calls.sandbox.audio import Recorder, join_ready_made


class Caller(Protocol):
    """A client of either kind, asked in the same way."""

    def do(self, verb: str, *arguments: Any, **options: Any) -> Any: ...
    def read(self, verb: str, *, most: int | None = None, **options: Any) -> list[Any]: ...
    def stream(self, call: Call | str, *, most: int | None = None) -> tuple[int, str | None, bytes]: ...
    def close(self) -> None: ...
    def end(self) -> None: ...


class BlockingCaller:
    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._others = set(threading.enumerate())
        self._client = CallsClient(*arguments, **options)

    def close(self) -> None:
        self._client.close()

    def end(self) -> None:
        mine = set(threading.enumerate()) - self._others
        assert [thread for thread in mine if thread.name == "krosai-calls"] == []

    def do(self, verb: str, *arguments: Any, **options: Any) -> Any:
        return getattr(self._client, verb)(*arguments, **options)

    def read(self, verb: str, *, most: int | None = None, **options: Any) -> list[Any]:
        return list(itertools.islice(self.do(verb, **options), most))

    def stream(self, call: Call | str, *, most: int | None = None) -> tuple[int, str | None, bytes]:
        with self._client.stream_recording(call) as stream:
            return stream.size_bytes, stream.content_type, b"".join(itertools.islice(stream, most))


class AsyncCaller:
    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._client = AsyncCallsClient(*arguments, **options)
        self._runner = asyncio.Runner()

    def close(self) -> None:
        self._runner.run(self._client.aclose())

    def do(self, verb: str, *arguments: Any, **options: Any) -> Any:
        return self._runner.run(getattr(self._client, verb)(*arguments, **options))

    def read(self, verb: str, *, most: int | None = None, **options: Any) -> list[Any]:
        async def job() -> list[Any]:
            async with aclosing(getattr(self._client, verb)(**options)) as found:
                return await taken(found, most)

        return self._runner.run(job())

    def stream(self, call: Call | str, *, most: int | None = None) -> tuple[int, str | None, bytes]:
        async def job() -> tuple[int, str | None, bytes]:
            async with self._client.stream_recording(call) as stream:
                return stream.size_bytes, stream.content_type, b"".join(await taken(stream, most))

        return self._runner.run(job())

    def end(self) -> None:
        self._runner.close()


async def taken(source: AsyncIterator[Any], most: int | None) -> list[Any]:
    found: list[Any] = []
    try:
        while most is None or len(found) < most:
            found.append(await anext(source))
    except StopAsyncIteration:
        pass
    return found


@contextmanager
def opened(kind: Callable[..., Caller], key: str, address: str) -> Iterator[Caller]:
    caller = kind(key, base_url=address)
    try:
        yield caller
    finally:
        caller.close()
        caller.end()


EVENTS_OF_AN_ANSWERED_CALL = ["call.initiated", "call.ringing", "call.answered", "call.completed"]
RECORDER = Recorder(join_ready_made)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(calls=30, recorder=RECORDER) as sandbox:
        yield sandbox


@pytest.fixture(params=[AsyncCaller, BlockingCaller])
def caller(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Caller]:
    with opened(request.param, sandbox.api_key, sandbox.base_url) as caller:
        yield caller


def first(sandbox: Sandbox, matches: Callable[[dict[str, Any]], Any]) -> str:
    return str(next(call["id"] for call in sandbox.calls if matches(call)))


def with_recording(sandbox: Sandbox) -> str:
    return first(sandbox, lambda call: call["recording_url"])


def without_recording(sandbox: Sandbox) -> str:
    return first(sandbox, lambda call: call["status"] in ("failed", "busy", "no_answer"))


def live(sandbox: Sandbox) -> str:
    return first(sandbox, lambda call: call["status"] == "in_progress")


def unsigned(record: dict[str, Any]) -> dict[str, Any]:
    """Without the link, which is signed anew each time it is told."""
    return record | {"recording_url": bool(record["recording_url"])}


def test_a_page_is_listed(caller: Caller, sandbox: Sandbox) -> None:
    page = caller.do("list_calls", limit=10, offset=5)
    assert [unsigned(call.to_dict()) for call in page.calls] == [unsigned(row) for row in sandbox.calls[5:15]]
    assert (page.total, page.limit, page.offset, page.next_offset) == (30, 10, 5, 15)


@pytest.mark.parametrize(("size", "requests"), [(100, 1), (10, 4)])
def test_a_history_is_walked_with_each_call_once(
    caller: Caller, sandbox: Sandbox, size: int, requests: int
) -> None:
    calls = caller.read("iter_calls", page_size=size)
    assert [call.id for call in calls] == [call["id"] for call in sandbox.calls]
    assert len(sandbox.api_requests) == requests


def test_pages_come_as_they_are_asked_for_and_a_walk_stops_where_it_is_told_to(
    caller: Caller, sandbox: Sandbox
) -> None:
    assert [len(page) for page in caller.read("iter_pages", page_size=12)] == [12, 11, 7]
    assert len(caller.read("iter_calls", max_items=7)) == 7
    assert caller.read("iter_calls", status="voicemail") == []


def test_a_walk_asks_for_nothing_before_it_is_read_and_may_be_left(caller: Caller, sandbox: Sandbox) -> None:
    assert caller.read("iter_calls", most=0) == []
    assert sandbox.requests == []
    assert len(caller.read("iter_calls", most=3, page_size=5)) == 3
    assert sandbox.api_requests[0].query["limit"] == "5"
    assert len(caller.read("iter_calls")) == 30


def test_a_call_comes_in_full(caller: Caller, sandbox: Sandbox) -> None:
    told = next(call for call in sandbox.calls if call["transcript"])
    call = caller.do("get_call", told["id"])
    assert unsigned(call.to_dict()) == unsigned(told)
    assert call.has_ended
    assert "".join(turn.text for turn in call.turns)


def test_figures_and_a_timeline(caller: Caller, sandbox: Sandbox) -> None:
    assert caller.do("get_stats").total_calls == 30
    events = caller.do("list_events", with_recording(sandbox))
    assert events == sorted(events, key=lambda event: event.timestamp)
    assert [event.type for event in events][:4] == EVENTS_OF_AN_ANSWERED_CALL


def test_a_live_call_is_hung_up_once(caller: Caller, sandbox: Sandbox) -> None:
    call_id = live(sandbox)
    result = caller.do("hang_up", call_id)
    assert (result.id, result.status, result.hangup_cause) == (call_id, "completed", "agent_hangup")
    with pytest.raises(ConflictError) as refused:
        caller.do("hang_up", call_id)
    assert refused.value.status == 409


def test_a_recording_is_linked_streamed_and_saved_with_the_same_bytes(
    caller: Caller, sandbox: Sandbox, tmp_path: Path
) -> None:
    call = caller.do("get_call", with_recording(sandbox))
    link = caller.do("get_recording", call.id)
    size, kind, data = caller.stream(call)
    seen: list[tuple[int, int | None]] = []
    saved = caller.do(
        "download_recording", call.id, tmp_path / "deep" / "a.mp3", progress=lambda *step: seen.append(step)
    )
    assert (link.size_bytes, link.format, kind) == (size, "mp3", "audio/mpeg")
    assert saved.path.read_bytes() == data
    assert (saved.size_bytes, saved.resumed_bytes, saved.suspect, len(data)) == (size, 0, None, size)
    assert seen[-1] == (size, size)


def test_a_stream_may_be_left_in_the_middle(caller: Caller, sandbox: Sandbox) -> None:
    call_id = with_recording(sandbox)
    _, _, beginning = caller.stream(call_id, most=1)
    _, _, whole = caller.stream(call_id)
    assert beginning
    assert whole.startswith(beginning)


def test_a_transcript_is_saved_as_it_was_told(caller: Caller, sandbox: Sandbox, tmp_path: Path) -> None:
    told = next(call for call in sandbox.calls if call["transcript"])
    path = caller.do("download_transcript", told["id"], str(tmp_path / "a.txt"))
    assert path == tmp_path / "a.txt"
    assert path.read_text("utf-8") == told["transcript"]


def test_an_archive_is_made_and_a_second_run_finds_it_done(
    caller: Caller, sandbox: Sandbox, tmp_path: Path
) -> None:
    expected = sum(1 for call in sandbox.calls if call["recording_url"])
    seen: list[int] = []
    made = caller.do("archive", tmp_path, progress=lambda report: seen.append(report.recordings_saved))
    again = caller.do("archive", tmp_path)
    assert (made.calls_seen, made.recordings_saved, made.failures, made.requests) == (30, expected, (), 1)
    assert (again.calls_seen, again.recordings_saved, again.recordings_present) == (30, 0, expected)
    assert len(list(tmp_path.glob("recordings/*/*/*/*.mp3"))) == seen[-1] == expected


@pytest.mark.parametrize("verb", ["get_call", "list_events", "hang_up", "get_recording", "stream_recording"])
def test_an_unknown_call_is_not_found(caller: Caller, verb: str) -> None:
    with pytest.raises((NotFoundError, RecordingGoneError)) as missing:
        caller.stream("call_nosuch") if verb == "stream_recording" else caller.do(verb, "call_nosuch")
    assert "call_nosuch" in str(missing.value)


def test_what_is_not_there_is_told_apart(caller: Caller, sandbox: Sandbox, tmp_path: Path) -> None:
    cases: list[tuple[str, str, type[KrosaiError]]] = [
        ("download_recording", without_recording(sandbox), RecordingGoneError),
        ("download_recording", live(sandbox), RecordingNotReadyError),
        ("download_transcript", live(sandbox), TranscriptUnavailableError),
    ]
    for verb, call_id, error in cases:
        with pytest.raises(error):
            caller.do(verb, call_id, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("verb", "wrong"),
    [
        ("list_calls", {"limit": 101}),
        ("list_calls", {"offset": -1}),
        ("list_calls", {"from_date": "yesterday"}),
        ("iter_calls", {"max_items": -1}),
        ("iter_calls", {"page_size": 0}),
        ("iter_pages", {"status": ""}),
        ("get_stats", {"from_date": "2025-02-01", "to_date": "2025-01-01"}),
        ("get_call", {"call_id": "../stats"}),
        ("hang_up", {"call_id": "stats/x"}),
        ("archive", {"directory": ".", "to_date": "2025-01-10T12:00"}),
    ],
)
def test_a_wrong_argument_is_refused_before_any_request(
    caller: Caller, sandbox: Sandbox, tmp_path: Path, verb: str, wrong: dict[str, Any]
) -> None:
    ask = caller.read if verb.startswith("iter") else caller.do
    with pytest.raises(InvalidArgumentError):
        ask(verb, **wrong | ({"directory": tmp_path} if "directory" in wrong else {}))
    assert sandbox.requests == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [AsyncCaller, BlockingCaller])
def test_what_the_service_refuses_comes_as_its_error(sandbox: Sandbox, kind: Callable[..., Caller]) -> None:
    with opened(kind, "kros_test_wrong", sandbox.base_url) as caller:
        with pytest.raises(AuthenticationError) as refused:
            caller.do("list_calls")
        assert (refused.value.status, len(sandbox.requests)) == (401, 1)


def test_a_closed_client_says_so_and_closes_twice(caller: Caller, sandbox: Sandbox) -> None:
    caller.do("get_stats")
    caller.close()
    caller.close()
    asked = len(sandbox.requests)
    with pytest.raises(ClientStateError):
        caller.do("get_stats")
    with pytest.raises(ClientStateError):
        caller.read("iter_calls")
    assert len(sandbox.requests) == asked


@pytest.mark.parametrize("client", [AsyncCallsClient, CallsClient])
def test_a_missing_key_is_told_when_the_client_is_made(
    client: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KROSAI_API_KEY", raising=False)
    with pytest.raises(SettingsError, match="KROSAI_API_KEY"):
        client()


@pytest.mark.parametrize("mess", ["client.get_stats()", "half_read = client.iter_calls(); next(half_read)"])
def test_a_script_that_never_closes_its_client_ends_in_silence(sandbox: Sandbox, mess: str) -> None:
    script = (
        "import sys\nfrom krosai_calls import CallsClient\n"
        f"client = CallsClient({sandbox.api_key!r}, base_url={sandbox.base_url!r})\n{mess}\nsys.exit(7)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
