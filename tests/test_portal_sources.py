"""The portal over more than one call: iterators that are stepped, contexts that are entered and left."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from portal_jobs import WITHIN, Numbers, double, in_a_thread, late_ctrl_c

from krosai_calls import _loop_thread
from krosai_calls._portal import Portal
from krosai_calls.errors import ClientStateError


@pytest.fixture
def portal() -> Iterator[Portal]:
    portal = Portal()
    yield portal
    portal.close()


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


async def test_it_may_be_collected_in_another_loops_thread_without_holding_that_loop_up(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_loop_thread, "CLEAN_UP_SECONDS", 10 * WITHIN)  # whoever waits, waits for the source
    may_close, closed = threading.Event(), threading.Event()

    async def source() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            await asyncio.to_thread(may_close.wait, WITHIN)
            closed.set()

    numbers = portal.iterate(source())
    assert next(numbers) == 1
    del numbers
    assert not closed.is_set()
    may_close.set()
    assert await asyncio.to_thread(closed.wait, WITHIN)


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


def test_an_item_that_comes_together_with_ctrl_c_is_the_next_one(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = portal.iterate(Numbers()())
    assert next(numbers) == 1
    late_ctrl_c(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        next(numbers)
    assert [next(numbers), next(numbers)] == [2, 3]


def test_what_is_entered_together_with_ctrl_c_is_left_again(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    context = portal.enter(noting(seen), str.upper)
    late_ctrl_c(monkeypatch)
    with pytest.raises(KeyboardInterrupt), context:
        seen.append("the block")
    assert seen == ["entered", "KeyboardInterrupt"]


# ---- contexts


@asynccontextmanager
async def noting(seen: list[str]) -> AsyncIterator[str]:
    seen.append("entered")
    try:
        yield "given"
    except BaseException as error:
        seen.append(type(error).__name__)
        raise
    seen.append("left")


def test_a_context_is_entered_and_left_on_the_loop_and_sees_the_blocks_error(portal: Portal) -> None:
    seen: list[str] = []
    with portal.enter(noting(seen), str.upper) as given:
        assert given == "GIVEN"
    with pytest.raises(KeyError), portal.enter(noting(seen), str.upper):
        raise KeyError
    assert seen == ["entered", "left", "entered", "KeyError"]


@pytest.mark.parametrize("error", [None, KeyError("the block's own")])
def test_a_portal_that_is_closed_under_a_block_leaves_it_and_the_block_ends_as_it_does(
    portal: Portal, error: Exception | None
) -> None:
    seen: list[str] = []

    def block() -> None:
        with portal.enter(noting(seen), str.upper):
            portal.close()
            assert seen == ["entered", "left"]
            if error is not None:
                raise error

    if error is None:
        block()
    else:
        with pytest.raises(KeyError, match="own"):
            block()
