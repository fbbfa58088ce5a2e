"""How fast and how much a client may ask."""

from __future__ import annotations

import asyncio

import pytest

from krosai_calls._pace import Pace
from krosai_calls.errors import RequestBudgetExceededError


class Clock:
    """Time that moves only where somebody sleeps."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def read(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def make_pace(
    clock: Clock, *, slots: int = 16, per_second: float | None = None, budget: int | None = None
) -> Pace:
    return Pace(
        max_concurrency=slots,
        requests_per_second=per_second,
        max_requests=budget,
        clock=clock.read,
        sleep=clock.sleep,
    )


async def starts(pace: Pace, clock: Clock, count: int) -> list[float]:
    started = []
    for _ in range(count):
        async with pace.api_request():
            started.append(clock.now)
    return started


async def test_requests_are_spaced_evenly_and_the_first_does_not_wait() -> None:
    clock = Clock()
    assert await starts(make_pace(clock, per_second=4), clock, 4) == [100.0, 100.25, 100.5, 100.75]


async def test_without_a_ceiling_nobody_waits() -> None:
    clock = Clock()
    assert await starts(make_pace(clock), clock, 50) == [100.0] * 50
    assert clock.slept == []


async def test_a_request_later_than_its_turn_does_not_wait_and_pauses_earn_no_burst() -> None:
    clock = Clock()
    pace = make_pace(clock, per_second=2)
    assert await starts(pace, clock, 1) == [100.0]
    clock.now = 110.0
    assert await starts(pace, clock, 3) == [110.0, 110.5, 111.0]


async def test_a_rate_below_one_a_second_is_kept_too() -> None:
    clock = Clock()
    assert await starts(make_pace(clock, per_second=0.5), clock, 3) == [100.0, 102.0, 104.0]


async def test_requests_that_come_together_each_get_a_turn_of_their_own() -> None:
    clock, asked = Clock(), []

    async def note(seconds: float) -> None:
        asked.append(seconds)

    pace = Pace(max_concurrency=16, requests_per_second=10, clock=clock.read, sleep=note)

    async def request() -> None:
        async with pace.api_request():
            pass

    await asyncio.gather(*(request() for _ in range(4)))
    assert asked == pytest.approx([0.1, 0.2, 0.3])


async def test_storage_is_neither_spaced_nor_counted() -> None:
    clock = Clock()
    pace = make_pace(clock, per_second=1, budget=0)
    for _ in range(5):
        async with pace.storage_request():
            pass
    assert clock.slept == []
    assert pace.api_requests == 0


@pytest.mark.parametrize("budget", [0, 1, 3])
async def test_the_budget_is_raised_before_the_request_that_would_exceed_it(budget: int) -> None:
    clock, sent = Clock(), 0
    pace = make_pace(clock, per_second=1, budget=budget)
    for _ in range(budget):
        async with pace.api_request():
            sent += 1
    slept = list(clock.slept)
    with pytest.raises(RequestBudgetExceededError, match=f"budget of {budget} API requests"):
        async with pace.api_request():
            sent += 1
    assert sent == budget
    assert pace.api_requests == budget
    assert clock.slept == slept


async def test_a_request_that_fails_counts_all_the_same() -> None:
    pace = make_pace(Clock(), budget=1)
    with pytest.raises(ConnectionError):
        async with pace.api_request():
            raise ConnectionError
    with pytest.raises(RequestBudgetExceededError):
        async with pace.api_request():
            pass


async def test_a_budget_that_is_used_up_leaves_its_slot_to_others() -> None:
    pace = make_pace(Clock(), slots=1, budget=0)
    for _ in range(3):
        with pytest.raises(RequestBudgetExceededError):
            async with pace.api_request():
                pass
    entered = False
    async with pace.storage_request():
        entered = True
    assert entered


async def test_pages_and_recordings_share_the_slots() -> None:
    pace, let_go = make_pace(Clock(), slots=3), asyncio.Event()
    running, most, done = 0, 0, 0

    async def hold(number: int) -> None:
        nonlocal running, most, done
        async with pace.api_request() if number % 2 else pace.storage_request():
            running += 1
            most = max(most, running)
            await let_go.wait()
            running -= 1
            done += 1

    tasks = [asyncio.create_task(hold(number)) for number in range(10)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert running == 3
    let_go.set()
    await asyncio.gather(*tasks)
    assert (most, done) == (3, 10)


async def test_whoever_gives_up_waiting_for_a_turn_gives_back_the_slot() -> None:
    clock = Clock()

    async def for_ever(_: float) -> None:
        await asyncio.Event().wait()

    pace = Pace(max_concurrency=1, requests_per_second=1, clock=clock.read, sleep=for_ever)

    async def request() -> None:
        async with pace.api_request():
            pass

    await request()
    waiting = asyncio.create_task(request())
    for _ in range(5):
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    entered = False
    async with pace.storage_request():
        entered = True
    assert entered
