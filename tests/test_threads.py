"""Work that blocks, in threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from storage_server import Storage, serving

from krosai_calls._threads import SpareCores, run_to_the_end


async def test_a_cancellation_is_delivered_when_the_work_has_ended() -> None:
    gate, started = threading.Event(), asyncio.Event()
    undone: list[str] = []
    loop = asyncio.get_running_loop()

    def work() -> str:
        loop.call_soon_threadsafe(started.set)
        gate.wait(10)
        return "made"

    task = asyncio.create_task(run_to_the_end(work, undo=undone.append))
    await started.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    assert undone == []
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert undone == ["made"]


async def test_what_the_work_raises_is_raised() -> None:
    def work() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await run_to_the_end(work)


def own_name() -> str:
    return threading.current_thread().name


def left(names: set[str]) -> set[str]:
    return {thread.name for thread in threading.enumerate()} & names


async def test_spare_cores_have_few_threads_which_end_when_they_are_closed() -> None:
    cores, names = SpareCores(), set()
    for _ in range(3):
        names |= set(await asyncio.gather(*(cores.run(own_name) for _ in range(20))))
    assert 1 <= len(names) <= 2
    assert left(names) == names
    cores.close()
    assert left(names) == set()
    cores.close()


async def test_what_is_under_way_at_the_close_is_done_and_holds_nobody_up() -> None:
    cores, gate, started = SpareCores(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> str:
        loop.call_soon_threadsafe(started.set)
        gate.wait(10)
        return own_name()

    works = [asyncio.create_task(cores.run(work)) for _ in range(4)]
    await started.wait()
    cores.close()
    gate.set()
    names = set(await asyncio.gather(*works))
    assert {name.rpartition("_")[0] for name in names} == {"krosai-calls"}
    for thread in threading.enumerate():
        if thread.name in names:
            thread.join(10)


async def test_work_that_comes_after_the_close_is_done_in_the_loops_own_threads() -> None:
    cores = SpareCores()
    cores.close()
    assert not (await cores.run(own_name)).startswith("krosai")


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    async with serving() as made:
        yield made


async def saved(storage: Storage, folder: Path, *names: str) -> None:
    await asyncio.gather(*(storage.client.download_recording(storage.call, folder / name) for name in names))


async def test_where_the_disk_is_slow_several_recordings_wait_for_it_at_once(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = threading.Barrier(4, timeout=10)

    def slow(descriptor: int) -> None:
        storage.client.clock.now += 1.0
        if is_met:
            meeting.wait()

    monkeypatch.setattr("krosai_calls._parts.sync", slow)
    is_met = False
    await saved(storage, tmp_path, "first")
    is_met = True
    await saved(storage, tmp_path, "second", "third", "fourth", "fifth")
    assert not meeting.broken


async def test_where_the_disk_is_quick_recordings_are_checked_by_the_spare_cores(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    monkeypatch.setattr("krosai_calls._parts.sync", lambda _: names.append(threading.current_thread().name))
    await saved(storage, tmp_path, *map(str, range(8)))
    assert len(names) == 8
    assert {name.rpartition("_")[0] for name in names} == {"krosai-calls"}
    await storage.client.aclose()
    assert not {thread.name for thread in threading.enumerate()} & set(names)
