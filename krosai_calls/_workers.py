"""A bounded pool of workers over jobs that come in one by one."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from krosai_calls.errors import KrosaiError

J = TypeVar("J")


async def run_workers(
    jobs: AsyncGenerator[J, None],
    do: Callable[[J], Awaitable[None]],
    *,
    count: int,
    waiting: int | None = None,
    place: Callable[[J], float] = lambda _: 0.0,
) -> None:
    """Do all jobs, so many at once, the most urgent first, and take no more in than may wait.

    An error of a job ends everything at once. An error of ours while jobs come in is raised when those that
    did come in are done: what was received is not thrown away.

    Args:
        jobs: Closed in any case.
        do: Does one job.
        count: How many jobs are under way at once.
        waiting: How many more wait their turn; as many if None.
        place: A job's place among those that wait: the lowest comes first, and of the same the earlier.
    """
    queue = _Queue(place, most=waiting or count)

    async def feed() -> KrosaiError | None:
        ended_by = None
        async with aclosing(jobs):
            try:
                async for job in jobs:
                    await queue.put(job)
            except KrosaiError as error:
                ended_by = error
        await queue.close(count)
        return ended_by

    async def work() -> None:
        while (job := await queue.get()) is not None:
            await do(job)

    feeder = asyncio.create_task(feed())
    await _all_of([feeder, *(asyncio.create_task(work()) for _ in range(count))])
    if (ended_by := feeder.result()) is not None:
        raise ended_by


class _Queue(Generic[J]):
    """Jobs that wait."""

    def __init__(self, place: Callable[[J], float], *, most: int) -> None:
        self._place = place
        self._numbers = itertools.count()
        self._queue: asyncio.PriorityQueue[tuple[float, int, J | None]] = asyncio.PriorityQueue(maxsize=most)

    async def put(self, job: J) -> None:
        await self._queue.put((self._place(job), next(self._numbers), job))

    async def get(self) -> J | None:
        """The next job; None when there is no more."""
        return (await self._queue.get())[2]

    async def close(self, workers: int) -> None:
        for _ in range(workers):
            await self._queue.put((math.inf, next(self._numbers), None))


async def _all_of(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Wait for tasks; whatever ends one of them early ends the others, and is raised."""
    try:
        await _until_one_fails(tasks)
    finally:
        cancelled = {task for task in tasks if task.cancelled()}  # by itself, not from here
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
        if task in cancelled:
            raise asyncio.CancelledError


async def _until_one_fails(tasks: Sequence[asyncio.Task[Any]]) -> None:
    # Not FIRST_EXCEPTION: a task that ends as cancelled is none, and the others would be waited for for ever.
    left = set(tasks)
    while left:
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        if any(task.cancelled() or task.exception() is not None for task in done):
            return
