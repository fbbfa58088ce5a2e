"""The portal: coroutines for callers that block, over threads, forks, Ctrl-C and the end of the process."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from krosai_calls._portal import Portal
from krosai_calls.errors import ClientStateError

WITHIN = 5  # seconds that something which must not hang is given


@pytest.fixture
def portal() -> Iterator[Portal]:
    portal = Portal()
    yield portal
    portal.close()


async def double(number: int) -> int:
    return 2 * number


async def ident() -> int:
    return threading.get_ident()


def in_a_thread(function: Callable[..., Any], *args: Any) -> Future[Any]:
    """Call a function on a daemon thread, so that one that hangs does not hang the tests."""
    answer: Future[Any] = Future()

    def work() -> None:
        try:
            answer.set_result(function(*args))
        except BaseException as error:  # noqa: BLE001 - handed over to the test
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return answer


class Waiting:
    """A coroutine function that waits for ever, says when it has begun, and takes its time to tidy up."""

    def __init__(self, at_start: Callable[[], object] = lambda: None) -> None:
        self.begun = threading.Event()
        self.tidied = False
        self._at_start = at_start

    async def __call__(self) -> None:
        self.begun.set()
        self._at_start()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(1000):
                await asyncio.sleep(0)
            self.tidied = True


class Numbers:
    """A source of numbers that tells how far it was read and when it was closed."""

    def __init__(self) -> None:
        self.given = 0
        self.closed = threading.Event()

    async def __call__(self) -> AsyncGenerator[int, None]:
        try:
            while True:
                self.given += 1
                yield self.given
        finally:
            await asyncio.sleep(0.05)  # closing takes its time, so that one who does not wait for it is found out
            self.closed.set()


# ---- running


def test_a_coroutine_runs_on_another_thread_and_its_value_comes_back(portal: Portal) -> None:
    assert portal.run(double, number=21) == 42
    assert portal.run(ident) != threading.get_ident()


@pytest.mark.parametrize("error", [KeyError("x"), ClientStateError("x"), TimeoutError()])
def test_its_exception_comes_back_as_it_was_raised(portal: Portal, error: Exception) -> None:
    async def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        portal.run(fail)
    assert raised.value is error


def test_a_wrong_argument_is_the_callers_own_type_error_and_breaks_nothing(portal: Portal) -> None:
    with pytest.raises(TypeError, match="double"):
        portal.run(double, 1, 2, 3)  # type: ignore[call-arg]  # what is tested
    assert portal.run(double, 1) == 2


def test_twenty_threads_share_one_loop_at_once(portal: Portal) -> None:
    barrier = asyncio.Barrier(20)  # nobody passes before all have come

    async def meet(number: int) -> tuple[int, int]:
        async with asyncio.timeout(WITHIN):
            await barrier.wait()
        return number, threading.get_ident()

    with ThreadPoolExecutor(20) as threads:
        met = list(threads.map(lambda number: portal.run(meet, number), range(20)))
    assert [number for number, _ in met] == list(range(20))
    assert len({thread for _, thread in met}) == 1


async def test_it_works_inside_a_running_loop(portal: Portal) -> None:
    assert portal.run(double, 3) == 6


def test_a_call_from_its_own_loop_is_refused_instead_of_waiting_for_itself(portal: Portal) -> None:
    async def again() -> int:
        return portal.run(double, 1)

    with pytest.raises(ClientStateError, match="own loop"):
        in_a_thread(portal.run, again).result(WITHIN)
    assert portal.run(double, 2) == 4


# ---- Ctrl-C


def press_ctrl_c() -> None:
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGINT)


def test_ctrl_c_cancels_the_coroutine_and_waits_until_it_has_tidied_up(portal: Portal) -> None:
    job = Waiting(at_start=press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        portal.run(job)
    assert job.tidied
    assert portal.run(double, 1) == 2


@pytest.mark.parametrize("ending", [ValueError("while tidying up"), None])
def test_ctrl_c_stays_ctrl_c_however_the_clean_up_ends(portal: Portal, ending: Exception | None) -> None:
    async def job() -> str:
        press_ctrl_c()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if ending is not None:
                raise ending from None
        return "went on regardless"

    with pytest.raises(KeyboardInterrupt):
        portal.run(job)


def test_ctrl_c_between_two_steps_closes_the_source(portal: Portal) -> None:
    source = Numbers()

    def read() -> None:
        for number in portal.iterate(source()):
            if number == 3:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        read()
    assert source.closed.is_set()
    assert source.given == 3


# ---- closing


def test_closing_twice_or_unused_is_fine_and_use_after_it_is_refused() -> None:
    unused, used = Portal(), Portal()
    used.run(double, 1)
    for portal in (unused, used):
        portal.close()
        portal.close()
        with pytest.raises(ClientStateError, match="closed"):
            portal.run(double, 1)
        with pytest.raises(ClientStateError, match="closed"):
            next(portal.iterate(Numbers()()))


def test_closing_while_another_thread_waits_tells_that_thread(portal: Portal) -> None:
    job = Waiting()
    answer = in_a_thread(portal.run, job)
    assert job.begun.wait(WITHIN)
    portal.close()
    with pytest.raises(ClientStateError, match="closed"):
        answer.result(WITHIN)
    assert job.tidied


def test_a_call_that_comes_in_while_the_loop_winds_up_is_told_so(portal: Portal) -> None:
    begun, let_in, winding_up, has_come = (threading.Event() for _ in range(4))

    async def slow_to_end() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            winding_up.set()
            await asyncio.to_thread(has_come.wait, WITHIN)

    async def wait() -> None:
        has_come.set()
        await asyncio.Event().wait()

    def comes_late() -> Coroutine[Any, Any, None]:  # let in, and not yet handed over to the loop
        let_in.set()
        assert winding_up.wait(WITHIN)
        return wait()

    first = in_a_thread(portal.run, slow_to_end)
    assert begun.wait(WITHIN)
    late = in_a_thread(portal.run, comes_late)
    late.add_done_callback(lambda _: has_come.set())
    assert let_in.wait(WITHIN)
    in_a_thread(portal.close).result(WITHIN)
    for answer in (first, late):
        with pytest.raises(ClientStateError):
            answer.result(WITHIN)


def test_the_last_thing_runs_on_the_loop_and_only_where_it_ever_ran() -> None:
    ran: list[int] = []

    async def last() -> None:
        ran.append(threading.get_ident())

    unused, used = Portal(last=last), Portal(last=last)
    home = used.run(ident)
    for portal in (unused, used, used):
        portal.close()
    assert ran == [home]


def test_a_last_thing_that_fails_is_told_and_the_thread_ends_all_the_same() -> None:
    before = set(threading.enumerate())

    async def last() -> None:
        raise ValueError("the last straw")

    portal = Portal(last=last)
    portal.run(double, 1)
    with pytest.raises(ValueError, match="the last straw"):
        portal.close()
    assert set(threading.enumerate()) <= before


# ---- iterating


def test_a_source_advances_only_when_it_is_stepped(portal: Portal) -> None:
    source = Numbers()
    numbers = portal.iterate(source())
    assert source.given == 0
    assert [next(numbers), next(numbers)] == [1, 2]
    assert source.given == 2


def test_a_source_that_ends_or_fails_does_so_for_its_reader(portal: Portal) -> None:
    async def some() -> AsyncGenerator[int | None, None]:
        yield None
        yield 0
        raise KeyError("x")

    numbers = portal.iterate(some())
    assert [next(numbers), next(numbers)] == [None, 0]
    with pytest.raises(KeyError):
        next(numbers)
    assert list(numbers) == []


def test_leaving_the_iteration_closes_the_source_at_once(portal: Portal) -> None:
    source = Numbers()
    for number in portal.iterate(source()):
        if number == 2:
            break
    assert source.closed.is_set()


def test_a_half_read_source_in_a_cycle_is_closed_by_the_garbage_collector(portal: Portal) -> None:
    source = half_read_in_a_cycle(portal)
    gc.collect()
    assert source.closed.wait(WITHIN)


def test_it_may_be_collected_on_the_loops_own_thread(portal: Portal) -> None:
    source = Numbers()
    box = [portal.iterate(source())]
    next(box[0])

    async def drop() -> None:
        box.clear()

    in_a_thread(portal.run, drop).result(WITHIN)
    assert source.closed.wait(WITHIN)


def test_it_may_be_collected_in_the_middle_of_another_call(monkeypatch: pytest.MonkeyPatch) -> None:
    portal = Portal()  # not the fixture's: where this goes wrong, closing it would wait for ever
    source = half_read_in_a_cycle(portal)
    plain_getpid = os.getpid

    def getpid() -> int:  # the collector may run at any moment: here it does while the portal looks at itself
        gc.collect()
        return plain_getpid()

    monkeypatch.setattr(os, "getpid", getpid)
    assert in_a_thread(portal.run, double, 1).result(WITHIN) == 2
    assert source.closed.wait(WITHIN)
    portal.close()


def half_read_in_a_cycle(portal: Portal) -> Numbers:
    source = Numbers()
    cycle: list[Any] = [portal.iterate(source())]
    next(cycle[0])
    cycle.append(cycle)
    return source


def test_closing_the_portal_closes_half_read_sources(portal: Portal) -> None:
    source = Numbers()
    numbers = portal.iterate(source())
    next(numbers)
    portal.close()
    assert source.closed.is_set()
    with pytest.raises(ClientStateError, match="closed"):
        next(numbers)
