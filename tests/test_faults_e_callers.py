"""Who asks twice at once (E17), and what a caller's callback can do (E19)."""

from __future__ import annotations

import asyncio
import itertools
import threading
from pathlib import Path

import pytest
from audio import recording
from fake_clock import settle
from storage_server import MP3, cut, names, paced, serving, status, whole

from krosai_calls import CallsClient, KrosaiError, RecordingGoneError

pytestmark = pytest.mark.usefixtures("both_ways")

Seen = list[tuple[int, int | None]]
LONG = recording(10_000)


async def test_e17_the_same_recording_to_the_same_place_is_one_transfer(tmp_path: Path) -> None:
    async with serving() as storage:
        first, *others = await asyncio.gather(*(storage.save(tmp_path) for _ in range(10)))
        assert len(storage.asked) == 1
        assert others == [first] * 9
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_e17_the_same_recording_to_two_places_is_two(tmp_path: Path) -> None:
    async with serving() as storage:
        await asyncio.gather(storage.save(tmp_path / "a"), storage.save(tmp_path / "b"))
        assert len(storage.asked) == 2
    assert (tmp_path / "a/call.mp3").read_bytes() == (tmp_path / "b/call.mp3").read_bytes() == MP3


async def test_e17_when_one_is_cancelled_another_goes_on_from_what_it_had(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(cut(4000, "hang"))
        begun = asyncio.Event()
        first = asyncio.ensure_future(storage.save(tmp_path, progress=lambda *_: begun.set()))
        await begun.wait()
        second = asyncio.ensure_future(storage.save(tmp_path))
        await settle()
        first.cancel()
        assert (await second).resumed_bytes == 4000
        assert first.cancelled()
        assert storage.ranges == [None, "bytes=4000-"]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_e17_one_that_comes_later_gets_the_recording_anew(tmp_path: Path) -> None:
    async with serving() as storage:
        await storage.save(tmp_path)
        await storage.save(tmp_path)
        assert len(storage.asked) == 2
        assert storage.client._service.recordings._saving == {}


async def test_e17_what_is_gone_is_gone_for_all_who_wait(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(*[status(404)] * 99)
        results = await asyncio.gather(*(storage.save(tmp_path) for _ in range(5)), return_exceptions=True)
        assert {type(result) for result in results} == {RecordingGoneError}
    assert names(tmp_path) == []


async def test_e19_a_callback_that_raises_breaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def show(received: int, total: int | None) -> None:
        raise OSError(28, "a mistake of the caller's")

    async with serving() as storage:
        await storage.save(tmp_path, progress=show)
        assert len(storage.asked) == 1
    assert (tmp_path / "call.mp3").read_bytes() == MP3
    assert "a callback failed" in caplog.text
    assert "signature" not in caplog.text


async def test_e19_a_callback_that_is_slow_costs_its_own_time_and_no_bytes(tmp_path: Path) -> None:
    async with serving(LONG) as storage:

        def show(received: int, total: int | None) -> None:
            storage.client.clock.now += 50.0

        await storage.save(tmp_path, progress=show)
        assert len(storage.asked) == 1
    assert (tmp_path / "call.mp3").read_bytes() == LONG


async def test_e19_progress_rises_to_the_total_at_a_humane_rate(tmp_path: Path) -> None:
    data = recording(1000)
    seen: Seen = []
    async with serving(data) as storage:
        storage.plan(paced(960, 0.01, "keep"))
        began = storage.client.clock.now
        await storage.save(tmp_path, progress=lambda received, total: seen.append((received, total)))
        seconds = storage.client.clock.now - began
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {len(data)}
    assert seen[-1] == (len(data), len(data))
    assert 3 <= len(seen) <= seconds / 0.1 + 3


async def test_e19_progress_goes_back_only_when_the_bytes_do(tmp_path: Path) -> None:
    seen: Seen = []
    async with serving(recording(1000)) as storage:
        storage.plan(cut(100_000), whole())
        clock = storage.client.clock

        def show(received: int, total: int | None) -> None:
            seen.append((received, total))
            clock.now += 1.0

        await storage.save(tmp_path, progress=show)
    falls = [after for before, after in itertools.pairwise(seen) if after < before]
    assert len(falls) <= 1
    assert seen[-1] == (192_000, 192_000)


async def test_e19_progress_of_a_resumed_recording_counts_what_was_there(tmp_path: Path) -> None:
    seen: Seen = []
    async with serving(max_attempts=1) as storage:
        storage.plan(cut(4000))
        with pytest.raises(KrosaiError):
            await storage.save(tmp_path)
        await storage.save(tmp_path, progress=lambda received, total: seen.append((received, total)))
    assert seen[0][0] > 4000
    assert seen[-1] == (len(MP3), len(MP3))


async def test_e19_progress_is_told_on_the_loops_thread(tmp_path: Path) -> None:
    threads: set[threading.Thread] = set()
    async with serving() as storage:
        await storage.save(tmp_path, progress=lambda *_: threads.add(threading.current_thread()))
        assert threads == {threading.current_thread()}
        threads.clear()

        def block() -> None:
            with CallsClient("key", base_url=f"{storage.server.url}/v1") as client:
                client.download_recording(
                    storage.call,
                    tmp_path / "again.mp3",
                    progress=lambda *_: threads.add(threading.current_thread()),
                )

        await asyncio.to_thread(block)
    assert [thread.name.startswith("krosai") for thread in threads] == [True]
