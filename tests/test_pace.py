"""How fast and how much a client may ask: gates, places and a budget, without a network."""

from __future__ import annotations

import asyncio
from typing import Self

import pytest
from fake_clock import FakeClock, settle

from krosai_calls._pace import Gate, Pace
from krosai_calls._wire import RateHint
from krosai_calls.errors import RequestBudgetExceededError


def make_pace(
    clock: FakeClock, *, places: int = 16, per_second: float | None = None, budget: int | None = None
) -> Pace:
    return Pace(
        max_concurrency=places,
        requests_per_second=per_second,
        max_requests=budget,
        clock=clock.read,
        sleep=clock.sleep,
    )


async def starts(gate: Gate, clock: FakeClock, count: int) -> list[float]:
    started = []
    for _ in range(count):
        async with gate.passage():
            started.append(clock.now)
            gate.note(RateHint())
    return started


class Crowd:
    """Requests that stay under way until they are let go; leaving the block gives up those that are left.

    Attributes:
        entered: Which of them were let through, in order.
    """

    def __init__(self, gate: Gate, *, hint: RateHint | None = None) -> None:
        self.entered: list[int] = []
        self._gate = gate
        self._hint = hint or RateHint()
        self._may_leave: dict[int, asyncio.Event] = {}
        self.tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def add(self, count: int) -> None:
        for _ in range(count):
            number = len(self.tasks)
            self._may_leave[number] = asyncio.Event()
            self.tasks.append(asyncio.create_task(self._request(number)))
        await settle()

    async def let_go(self, *numbers: int) -> None:
        for number in numbers or self._may_leave:
            self._may_leave[number].set()
        await settle()

    async def _request(self, number: int) -> None:
        async with self._gate.passage():
            self.entered.append(number)
            await self._may_leave[number].wait()
            self._gate.note(self._hint)


async def answered_once(gate: Gate) -> None:
    """Have the one request behind us that goes alone."""
    async with gate.passage():
        gate.note(RateHint())


async def test_requests_are_spaced_evenly_and_the_first_does_not_wait() -> None:
    clock = FakeClock()
    assert await starts(make_pace(clock, per_second=4).api, clock, 4) == [100.0, 100.25, 100.5, 100.75]


async def test_without_a_ceiling_nobody_waits() -> None:
    clock = FakeClock()
    assert await starts(make_pace(clock).api, clock, 50) == [100.0] * 50
    assert clock.slept == []


async def test_a_request_later_than_its_turn_does_not_wait_and_idleness_earns_no_burst() -> None:
    clock = FakeClock()
    gate = make_pace(clock, per_second=2).api
    assert await starts(gate, clock, 1) == [100.0]
    clock.now = 110.0
    assert await starts(gate, clock, 3) == [110.0, 110.5, 111.0]


async def test_a_rate_below_one_a_second_is_kept_too() -> None:
    clock = FakeClock()
    assert await starts(make_pace(clock, per_second=0.5).api, clock, 3) == [100.0, 102.0, 104.0]


async def test_requests_that_come_together_each_get_a_turn_of_their_own() -> None:
    clock = FakeClock()
    gate = make_pace(clock, per_second=10).api
    started = await asyncio.gather(*(starts(gate, clock, 1) for _ in range(4)))
    assert [moment for (moment,) in started] == pytest.approx([100.0, 100.1, 100.2, 100.3])


async def test_storage_is_neither_spaced_nor_counted() -> None:
    clock = FakeClock()
    pace = make_pace(clock, per_second=1, budget=0)
    assert await starts(pace.storage, clock, 5) == [100.0] * 5
    assert pace.api_requests == 0


@pytest.mark.parametrize("budget", [0, 1, 3])
def test_the_budget_is_raised_at_the_request_that_would_exceed_it(budget: int) -> None:
    pace = make_pace(FakeClock(), budget=budget)
    for _ in range(budget):
        pace.spend_request()
    for _ in range(2):
        with pytest.raises(RequestBudgetExceededError, match=f"budget of {budget} API requests"):
            pace.spend_request()
    assert pace.api_requests == budget


def test_without_a_budget_requests_are_counted_all_the_same() -> None:
    pace = make_pace(FakeClock())
    for _ in range(3):
        pace.spend_request()
    assert pace.api_requests == 3


async def test_a_request_that_fails_gives_back_its_place() -> None:
    pace = make_pace(FakeClock(), places=1)
    for _ in range(5):
        with pytest.raises(ConnectionError):
            async with pace.api.passage():
                raise ConnectionError
    assert len(await starts(pace.api, FakeClock(), 1)) == 1


async def test_a_first_request_that_gets_no_answer_lets_the_next_one_go() -> None:
    async with Crowd(make_pace(FakeClock()).api) as crowd:
        await crowd.add(3)
        assert crowd.entered == [0]
        crowd.tasks[0].cancel()
        await settle()
        assert crowd.entered == [0, 1]


async def test_there_are_as_many_places_as_were_asked_for() -> None:
    pace = make_pace(FakeClock(), places=3)
    await answered_once(pace.api)
    async with Crowd(pace.api) as crowd:
        await crowd.add(10)
        assert crowd.entered == [0, 1, 2]
        await crowd.let_go(1)
        assert crowd.entered == [0, 1, 2, 3]


async def test_pages_and_recordings_share_the_places() -> None:
    pace = make_pace(FakeClock(), places=4)
    await answered_once(pace.api)
    async with Crowd(pace.api) as pages, Crowd(pace.storage) as recordings:
        await recordings.add(2)
        await pages.add(10)
        assert (len(recordings.entered), len(pages.entered)) == (2, 2)
        await recordings.let_go(0)
        assert len(pages.entered) == 3


@pytest.mark.parametrize("places", [1, 2, 5])
@pytest.mark.parametrize("waiting", [0, 1, 10], ids=lambda count: f"{count} more waiting")
async def test_long_recordings_never_hold_up_the_api(places: int, waiting: int) -> None:
    pace = make_pace(FakeClock(), places=places)
    async with Crowd(pace.storage) as recordings, Crowd(pace.api) as pages:
        await recordings.add(max(1, places - 1) + waiting)
        assert len(recordings.entered) == max(1, places - 1)
        await pages.add(1)
        assert pages.entered == [0]


@pytest.mark.parametrize("paused", ["api", "storage"])
async def test_b09_a_pause_of_one_origin_is_not_the_others(paused: str) -> None:
    clock = FakeClock(is_driven=True)
    pace = make_pace(clock, places=2)
    gates = {"api": pace.api, "storage": pace.storage}
    closed, open_one = gates.pop(paused), *gates.values()
    closed.note(RateHint(None, 30.0, is_refusal=True))
    async with Crowd(closed) as waiting, Crowd(open_one) as going:
        await waiting.add(5)
        await going.add(1)
        await going.let_go()
        assert (waiting.entered, going.entered) == ([], [0])


async def test_whoever_came_first_goes_first_and_nobody_overtakes() -> None:
    clock = FakeClock(is_driven=True)
    pace = make_pace(clock)
    pace.api.note(RateHint(None, 1.0, is_refusal=True))
    async with Crowd(pace.api) as crowd:
        await crowd.add(5)
        assert (crowd.entered, clock.sleeping) == ([], 1)
        clock.advance(1.0)
        for _ in range(5):
            await settle()
            await crowd.let_go()
        assert crowd.entered == [0, 1, 2, 3, 4]


async def test_b07_a_refusal_pauses_all_then_one_goes_first_and_each_success_adds_one() -> None:
    clock = FakeClock(is_driven=True)
    pace = make_pace(clock)
    await answered_once(pace.api)
    async with Crowd(pace.api, hint=RateHint(None, 1.0, is_refusal=True)) as wave, Crowd(pace.api) as crowd:
        await wave.add(6)
        assert len(wave.entered) == 6
        await wave.let_go()
        await crowd.add(20)
        clock.advance(0.9)
        await settle()
        assert crowd.entered == []
        clock.advance(0.1)
        await settle()
        assert len(crowd.entered) == 1
        await crowd.let_go(0)
        assert len(crowd.entered) == 1 + 2
        await crowd.let_go(1, 2)
        assert len(crowd.entered) == 1 + 2 + 4


@pytest.mark.parametrize(
    ("hint", "pause"),
    [
        pytest.param(RateHint(), 0.0, id="nothing"),
        pytest.param(RateHint(10.0), 0.0, id="a limit"),
        pytest.param(RateHint(10.0, 2.0), 2.0, id="B8 a window that others have emptied"),
        pytest.param(RateHint(None, 3.0, is_refusal=True), 3.0, id="B7 a refusal"),
    ],
)
async def test_what_an_answer_says_is_kept(hint: RateHint, pause: float) -> None:
    clock = FakeClock()
    pace = make_pace(clock)
    assert pace.api.note(hint) == pause
    assert await starts(pace.api, clock, 1) == [pytest.approx(100.0 + pause)]


async def test_a_limit_that_was_learnt_holds() -> None:
    clock = FakeClock()
    pace = make_pace(clock)
    pace.api.note(RateHint(3.0))
    assert await starts(pace.api, clock, 7) == pytest.approx([100.0] * 3 + [101.0] * 3 + [102.0])


@pytest.mark.parametrize("is_paused", [True, False], ids=["in a pause", "behind a first answer"])
@pytest.mark.parametrize("given_up", [[1], [2], [1, 2], [3]], ids=["first", "second", "both", "last"])
async def test_b12_giving_up_in_the_queue_is_prompt_and_holds_up_nobody(
    is_paused: bool, given_up: list[int]
) -> None:
    clock = FakeClock(is_driven=True)
    pace = make_pace(clock, places=2)
    if is_paused:
        pace.api.note(RateHint(None, 1.0, is_refusal=True))
    async with Crowd(pace.api) as crowd:
        await crowd.add(4)
        assert crowd.entered == ([] if is_paused else [0])
        for number in given_up:
            crowd.tasks[number].cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [number for number, task in enumerate(crowd.tasks) if task.cancelled()] == given_up
        clock.advance(1.0)
        for _ in range(6):
            await crowd.let_go()
        assert crowd.entered == [number for number in range(4) if number not in given_up]


async def test_b12_whoever_gives_up_at_the_head_of_the_queue_gives_back_the_place() -> None:
    clock = FakeClock(is_driven=True)
    pace = make_pace(clock, places=1)
    pace.api.note(RateHint(None, 1.0, is_refusal=True))
    for _ in range(3):
        async with Crowd(pace.api) as crowd:
            await crowd.add(1)
            assert clock.sleeping == 1
    clock.advance(1.0)
    async with Crowd(pace.api) as crowd:
        await crowd.add(1)
        assert crowd.entered == [0]


async def test_b14_two_paces_know_nothing_of_each_other() -> None:
    clock = FakeClock()
    paused, other = make_pace(clock), make_pace(clock)
    paused.api.note(RateHint(1.0, 30.0, is_refusal=True))
    assert await starts(other.api, clock, 5) == [100.0] * 5
