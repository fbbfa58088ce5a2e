"""The portal: coroutines for callers that block, over threads, Ctrl-C and its own end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from portal_jobs import WITHIN, Numbers, Waiting, double, ident, in_a_thread, press_ctrl_c

from krosai_calls._portal import Portal
from krosai_calls.errors import ClientStateError


@pytest.fixture
def portal() -> Iterator[Portal]:
    portal = Portal()
    yield portal
    portal.close()


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


def test_closing_from_two_threads_at_once_waits_in_both_and_breaks_nothing_off() -> None:
    is_winding_up, may_end = threading.Event(), threading.Event()
    ended: list[str] = []

    async def last() -> None:
        is_winding_up.set()
        await asyncio.to_thread(may_end.wait, WITHIN)
        ended.append("the last thing")

    portal = Portal(last=last)
    portal.run(double, 1)
    first = in_a_thread(portal.close)
    assert is_winding_up.wait(WITHIN)
    second = in_a_thread(portal.close)
    assert not second.done()
    may_end.set()
    for closing in (first, second):
        closing.result(WITHIN)
        assert ended == ["the last thing"]


def test_a_call_that_the_last_thing_tells_to_end_may_do_so_and_is_not_cancelled() -> None:
    ends, begun = asyncio.Event(), threading.Event()

    async def last() -> None:
        ends.set()

    async def job() -> str:
        begun.set()
        await ends.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        return "to the end"

    portal = Portal(last=last)
    answer = in_a_thread(portal.run, job)
    assert begun.wait(WITHIN)
    portal.close()
    assert answer.result(WITHIN) == "to the end"


def test_nothing_begins_on_a_loop_that_winds_up() -> None:
    is_winding_up, may_end, begun = (threading.Event() for _ in range(3))

    async def last() -> None:
        is_winding_up.set()
        await asyncio.to_thread(may_end.wait, WITHIN)

    async def stop() -> None:
        asyncio.get_running_loop().stop()

    async def late() -> None:
        begun.set()

    portal = Portal(last=last)
    portal.run(stop)
    assert is_winding_up.wait(WITHIN)
    with pytest.raises(ClientStateError):
        in_a_thread(portal.run, late).result(WITHIN)
    assert not begun.is_set()
    may_end.set()
    portal.close()


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
