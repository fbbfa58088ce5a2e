"""Work that blocks, in threads."""

from __future__ import annotations

import asyncio
import threading

import pytest

from krosai_calls._threads import run_to_the_end


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
