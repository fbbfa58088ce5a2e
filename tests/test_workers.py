"""A bounded pool of workers over jobs that come in one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from krosai_calls._workers import run_workers
from krosai_calls.errors import KrosaiError, RequestBudgetExceededError


class Jobs:
    """Numbers as jobs, then an error if there is one; notes how many were taken and whether it was closed."""

    def __init__(self, count: int, error: BaseException | None = None) -> None:
        self._count = count
        self._error = error
        self.taken = 0
        self.closed = False

    async def come_in(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self._count):
                self.taken += 1
                yield number
            if self._error is not None:
                raise self._error
        finally:
            self.closed = True


async def let_others_run() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("count", [1, 3, 16])
@pytest.mark.parametrize("total", [0, 1, 50])
async def test_every_job_is_done_once(count: int, total: int) -> None:
    jobs, done = Jobs(total), []

    async def do(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    await run_workers(jobs.come_in(), do, count=count)
    assert sorted(done) == list(range(total))
    assert jobs.closed


async def test_one_worker_keeps_the_order() -> None:
    done: list[int] = []

    async def do(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    await run_workers(Jobs(10).come_in(), do, count=1)
    assert done == list(range(10))


@pytest.mark.parametrize("count", [1, 4])
async def test_so_many_are_under_way_as_many_wait_and_no_more_are_taken_in(count: int) -> None:
    jobs, let_go = Jobs(100), asyncio.Event()
    running, most = 0, 0

    async def do(_: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await let_go.wait()
        running -= 1

    run = asyncio.create_task(run_workers(jobs.come_in(), do, count=count))
    await let_others_run()
    assert running == count
    # One more is in the feeder's hand.
    assert jobs.taken == 2 * count + 1
    let_go.set()
    await run
    assert (most, jobs.taken) == (count, 100)


async def test_an_error_in_a_job_ends_everything_and_cancels_the_rest() -> None:
    jobs, started, cancelled, finished = Jobs(100), asyncio.Event(), [], []

    async def do(number: int) -> None:
        if number == 2:
            await started.wait()
            raise ZeroDivisionError("job 2")
        if number == 1:
            started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await let_others_run()
            cancelled.append(number)
            raise
        finished.append(number)

    with pytest.raises(ZeroDivisionError, match="job 2"):
        await run_workers(jobs.come_in(), do, count=3)
    assert sorted(cancelled) == [0, 1]
    assert finished == []
    assert jobs.closed
    assert jobs.taken < 10


async def test_an_error_of_ours_in_a_job_ends_everything_too() -> None:
    jobs, done = Jobs(100), []

    async def do(number: int) -> None:
        await asyncio.sleep(0)
        if number == 3:
            raise KrosaiError("job 3")
        done.append(number)

    with pytest.raises(KrosaiError, match="job 3"):
        await run_workers(jobs.come_in(), do, count=1)
    assert done == [0, 1, 2]
    assert jobs.closed


@pytest.mark.parametrize("count", [1, 3, 16])
async def test_an_error_of_ours_while_jobs_come_in_is_raised_when_those_that_came_are_done(count: int) -> None:
    error = RequestBudgetExceededError("used up")
    jobs, done = Jobs(10, error), []

    async def do(number: int) -> None:
        await let_others_run()
        done.append(number)

    with pytest.raises(RequestBudgetExceededError) as caught:
        await run_workers(jobs.come_in(), do, count=count)
    assert caught.value is error
    assert sorted(done) == list(range(10))
    assert jobs.closed


async def test_an_error_of_a_job_comes_before_one_of_ours_while_jobs_come_in() -> None:
    jobs = Jobs(2, KrosaiError("used up"))

    async def do(number: int) -> None:
        await let_others_run()
        if number == 1:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run_workers(jobs.come_in(), do, count=2)


async def test_an_unforeseen_error_while_jobs_come_in_ends_everything_at_once() -> None:
    jobs, done = Jobs(2, ValueError("a bug")), []

    async def do(number: int) -> None:
        await asyncio.Event().wait()
        done.append(number)

    with pytest.raises(ValueError, match="a bug"):
        await run_workers(jobs.come_in(), do, count=3)
    assert done == []
    assert jobs.closed


async def test_whoever_is_cancelled_takes_the_jobs_along() -> None:
    jobs, cancelled = Jobs(100), []

    async def do(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await let_others_run()
            cancelled.append(number)

    run = asyncio.create_task(run_workers(jobs.come_in(), do, count=3))
    await let_others_run()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert sorted(cancelled) == [0, 1, 2]
    assert jobs.closed


@pytest.mark.parametrize("total", [1, 10], ids=["the only job", "one of many"])
async def test_a_job_that_ends_as_cancelled_is_neither_waited_for_nor_taken_for_done(total: int) -> None:
    async def do(_: int) -> None:
        raise asyncio.CancelledError

    run = asyncio.create_task(run_workers(Jobs(total).come_in(), do, count=1))
    await let_others_run()
    has_ended = run.done()
    run.cancel()
    await asyncio.wait([run])
    assert has_ended
    assert run.cancelled() or run.exception() is not None
