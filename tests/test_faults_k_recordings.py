"""Cancelling, and closing the client, while a recording comes in (K1 to K8)."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audio import recording
from fake_clock import FakeClock
from raw_server import Answer
from storage_server import MP3, TAG, Storage, cut, names, says, serving, status

from krosai_calls import Call, ClientStateError, LocalFileError, RequestTimeoutError, _files
from krosai_calls._parts import RecordingPart

pytestmark = pytest.mark.usefixtures("both_ways")


def files_open_in(folder: Path) -> list[str]:
    """Which files of a folder this process has open; none where the system does not say."""
    links = []
    for number in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []:
        try:
            links.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # the listing's own
            continue
    return [link for link in links if link.startswith(str(folder))]


async def stopped(saving: asyncio.Future[Any]) -> None:
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving


def let_go(storage: Storage) -> bool:
    """Whether the client holds nothing of storage's."""
    return not storage.client.transport._responses and not storage.client._service.recordings._saving


async def test_k01_cancelled_at_any_moment_it_keeps_what_came_and_leaks_nothing(tmp_path: Path) -> None:
    data = recording(300)
    async with serving(data) as storage:
        for turns in range(120):
            folder = tmp_path / str(turns)
            storage.plan(cut(20_000), status(403))
            saving = asyncio.ensure_future(storage.save(folder))
            for _ in range(turns):
                await asyncio.sleep(0)
            saving.cancel()
            await asyncio.wait([saving])
            assert let_go(storage)
            assert files_open_in(folder) == []
            if not (folder / "call.mp3").exists():
                assert saving.cancelled()
                storage.plan()
                await storage.save(folder)
            assert (folder / "call.mp3").read_bytes() == data
            assert names(folder) == ["call.mp3"]
    assert files_open_in(tmp_path) == []


WAITS: dict[str, Callable[[asyncio.Event], Answer]] = {
    "for an answer": lambda never: Answer(gate=never),
    "within the headers": lambda never: Answer(b"HTTP/1.1 200 OK\r\nContent-", "hang"),
    "for the first byte": lambda never: Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10368\r\n\r\n", "hang"),
}


@pytest.mark.parametrize("given", WAITS.values(), ids=WAITS)
async def test_k01_cancelled_while_it_waits_it_lets_go_of_the_connection(
    tmp_path: Path, given: Callable[[asyncio.Event], Answer]
) -> None:
    never = asyncio.Event()
    async with serving() as storage:
        storage.plan(says(given(never)))
        saving = asyncio.ensure_future(storage.save(tmp_path))
        await storage.server.received(1)
        await asyncio.sleep(0.01)
        await stopped(saving)
        never.set()
        await storage.server.disconnected()
        assert let_go(storage)
    assert names(tmp_path) == []


async def test_k01_cancelled_in_mid_body_it_keeps_what_came(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(cut(5000, "hang"))
        begun = asyncio.Event()
        saving = asyncio.ensure_future(storage.save(tmp_path, progress=lambda *_: begun.set()))
        await begun.wait()
        await stopped(saving)
        await storage.server.disconnected()
        assert let_go(storage)
    assert files_open_in(tmp_path) == []
    async with serving() as storage:
        assert (await storage.save(tmp_path)).resumed_bytes == 5000
        assert storage.ranges == ["bytes=5000-"]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_k01_cancelled_between_two_attempts_it_keeps_what_came(tmp_path: Path) -> None:
    async with serving(clock=FakeClock(is_driven=True)) as storage:
        storage.plan(cut(5000))
        saving = asyncio.ensure_future(storage.save(tmp_path))
        await storage.client.clock.asleep(1)
        await stopped(saving)
        assert storage.client.clock.sleeping == 0
        assert let_go(storage)
        assert (await storage.save(tmp_path)).resumed_bytes == 5000
    assert (tmp_path / "call.mp3").read_bytes() == MP3


class Slow:
    """A function that takes until it is released, in whatever thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, real: Callable[..., Any]) -> None:
        self.begun, self.released = threading.Event(), threading.Event()
        self._real = real
        monkeypatch.setattr(name, self)

    def __call__(self, *args: Any) -> Any:
        self.begun.set()
        assert self.released.wait(2)
        return self._real(*args)


async def cancelled_within(slow: Slow, saving: asyncio.Future[Any], times: int) -> None:
    """Cancel while the function is at work, and see that nothing is delivered before it has ended."""
    await asyncio.to_thread(slow.begun.wait, 10)
    for _ in range(times):
        saving.cancel()
        await asyncio.sleep(0.01)
    try:
        assert not saving.done()
    finally:
        slow.released.set()
        await asyncio.wait([saving])
    assert saving.cancelled()


@pytest.mark.parametrize("times", [1, 3])
async def test_k02_cancelled_while_it_gets_its_name_it_is_all_there_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    slow = Slow(monkeypatch, "krosai_calls._parts.os.fsync", os.fsync)
    async with serving() as storage:
        await cancelled_within(slow, asyncio.ensure_future(storage.save(tmp_path)), times)
        assert (tmp_path / "call.mp3").read_bytes() == MP3
        assert names(tmp_path) == ["call.mp3"]
        assert let_go(storage)
    assert files_open_in(tmp_path) == []


@pytest.mark.parametrize("times", [1, 3])
async def test_k03_cancelled_while_its_part_is_opened_it_leaves_nothing_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    left = RecordingPart(tmp_path / "call.mp3", "call_1")
    left.begin(TAG, len(MP3))
    left.write(MP3[:5000])
    left.park()

    slow = Slow(monkeypatch, "krosai_calls._parts.open_for_us_alone", _files.open_for_us_alone)
    async with serving() as storage:
        await cancelled_within(slow, asyncio.ensure_future(storage.save(tmp_path)), times)
        assert files_open_in(tmp_path) == []
        assert names(tmp_path) == ["call.mp3.part", "call.mp3.part.log"]
        assert (await storage.save(tmp_path)).resumed_bytes == 5000
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_k04_a_timeout_of_the_callers_is_the_callers(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(cut(5000, "hang"))
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0.1):
                await storage.save(tmp_path)
        assert not isinstance(raised.value, RequestTimeoutError | LocalFileError)
        assert (await storage.save(tmp_path)).resumed_bytes == 5000


async def test_k05_when_one_fails_its_siblings_keep_what_they_have(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(cut(5000, "hang"))
        begun = asyncio.Event()
        (tmp_path / "folder").mkdir()

        async def both() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(storage.save(tmp_path, progress=lambda *_: begun.set()))
                await begun.wait()
                group.create_task(storage.client.download_recording(storage.call, tmp_path / "folder"))

        with pytest.raises(ExceptionGroup) as raised:
            await both()
        assert [type(error) for error in raised.value.exceptions] == [LocalFileError]
        assert (await storage.save(tmp_path)).resumed_bytes == 5000


async def test_k06_closing_the_client_ends_ten_downloads_at_once_and_keeps_what_came(tmp_path: Path) -> None:
    async with serving(max_concurrency=16) as storage:
        storage.plan(*[cut(5000, "hang")] * 10)
        begun = [asyncio.Event() for _ in range(10)]

        def save(number: int) -> asyncio.Future[Any]:
            path = tmp_path / f"{number}.mp3"
            return asyncio.ensure_future(
                storage.client.download_recording(storage.call, path, progress=lambda *_: begun[number].set())
            )

        saving = [save(number) for number in range(10)]
        await asyncio.gather(*(each.wait() for each in begun))
        async with asyncio.timeout(1):
            await storage.client.aclose()
            ends = await asyncio.gather(*saving, return_exceptions=True)
        assert {type(end) for end in ends} == {ClientStateError}
        await storage.client.aclose()
    assert files_open_in(tmp_path) == []
    assert len(names(tmp_path)) == 20  # a part and its record for each
    async with serving() as storage:
        for number in range(10):
            path = tmp_path / f"{number}.mp3"
            assert (await storage.client.download_recording(storage.call, path)).resumed_bytes == 5000


async def test_k06_closing_the_client_ends_a_wait_between_two_attempts(tmp_path: Path) -> None:
    async with serving(clock=FakeClock(is_driven=True)) as storage:
        storage.plan(cut(5000))
        saving = asyncio.ensure_future(storage.save(tmp_path))
        await storage.client.clock.asleep(1)
        async with asyncio.timeout(1):
            await storage.client.aclose()
            with pytest.raises(ClientStateError):
                await saving
    assert names(tmp_path) == ["call.mp3.part", "call.mp3.part.log"]
    assert files_open_in(tmp_path) == []


async def test_k07_a_body_that_ends_with_the_connection_is_not_whole_when_the_client_is_closed(
    tmp_path: Path,
) -> None:
    async with serving() as storage:
        storage.link_fields = {"size_bytes": len(MP3)}
        storage.plan(says(Answer(b'HTTP/1.1 200 OK\r\nETag: "v1"\r\n\r\n' + MP3[:5000], "hang")))
        begun = asyncio.Event()
        saving = asyncio.ensure_future(storage.save(tmp_path, call="call_1", progress=lambda *_: begun.set()))
        await begun.wait()
        await storage.client.aclose()
        with pytest.raises(ClientStateError):
            await saving
    assert not (tmp_path / "call.mp3").exists()


async def test_k08_a_client_that_is_closed_sends_nothing_and_touches_no_file(tmp_path: Path) -> None:
    async with serving() as storage:
        await storage.client.aclose()
        with pytest.raises(ClientStateError):
            await storage.save(tmp_path)
        with pytest.raises(ClientStateError):
            async with storage.client.stream_recording(storage.call):
                pass
        assert storage.server.requests == []
    assert names(tmp_path) == []


async def test_k01_a_part_in_use_is_free_again_once_its_download_was_cancelled(tmp_path: Path) -> None:
    async with serving() as storage, serving() as other:
        storage.plan(cut(5000, "hang"))
        begun = asyncio.Event()
        saving = asyncio.ensure_future(storage.save(tmp_path, progress=lambda *_: begun.set()))
        await begun.wait()
        with pytest.raises(LocalFileError) as raised:
            await other.save(tmp_path, call=Call("call_1", recording_url=other.link))
        assert raised.value.errno == errno.EAGAIN
        assert other.server.requests == []
        await stopped(saving)
        RecordingPart(tmp_path / "call.mp3", "call_1").close()
        assert (await other.save(tmp_path, call=Call("call_1", recording_url=other.link))).resumed_bytes == 5000
    assert (tmp_path / "call.mp3").read_bytes() == MP3
