"""How many requests may start now, tried against simulated servers: every moment is simulated, none is waited."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Iterator
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from krosai_calls._ration import Ration

HAIR = 1e-6  # what rounding may do to a moment, and far less than any network does


class Server(Protocol):
    def takes(self, now: float) -> bool:
        """Whether a request that arrives now is within the limit."""


class FixedWindows:
    def __init__(self, limit: int, border: float) -> None:
        self._limit, self._border = limit, border
        self._window, self._count = -math.inf, 0

    def takes(self, now: float) -> bool:
        window = math.floor(now - self._border)
        self._count = self._count + 1 if window == self._window else 1
        self._window = window
        return self._count <= self._limit


class SlidingWindow:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: deque[float] = deque()

    def takes(self, now: float) -> bool:
        while self._taken and self._taken[0] <= now - 1 + HAIR:
            self._taken.popleft()
        if len(self._taken) >= self._limit:
            return False
        self._taken.append(now)
        return True


class Unlimited:
    def takes(self, now: float) -> bool:
        return now >= 0


class Simulation:
    """A client that wants so many requests as soon as they are let through, and a server that answers them."""

    def __init__(
        self,
        ration: Ration,
        server: Server,
        latencies: Iterator[tuple[float, float]],
        *,
        count: int,
        says_limit: float | None = None,
        pause: float = 1.0,
        begin: float = 0.0,
    ) -> None:
        self.starts: list[float] = []
        self.arrivals: list[float] = []
        self.refusals = 0
        self.end = begin
        # When, which of two at one moment goes first, how long its answer takes (None: this is it), was it taken.
        events: list[tuple[float, int, float | None, bool]] = []
        order = itertools.count()
        now = begin
        for _ in range(1_000_000):
            wait = ration.wait(now) if len(self.starts) < count else None
            if wait == 0:
                there, back = next(latencies)
                ration.start(now)
                self.starts.append(now)
                heapq.heappush(events, (now + there, next(order), back, False))
                continue
            if not events and wait is None:
                assert len(self.starts) == count, "nothing is under way, and yet nothing may start"
                return
            if wait is not None and (not events or now + wait < events[0][0]):
                assert now + wait > now, "a wait that does not let time go on"
                now += wait
                continue
            now, _, way_back, is_taken = heapq.heappop(events)
            if way_back is not None:
                self.arrivals.append(now)
                is_taken = server.takes(now)
                self.refusals += not is_taken
                heapq.heappush(events, (now + way_back, next(order), None, is_taken))
                continue
            # As the transport does it: the answer is learnt from while the request still counts as under way.
            if is_taken:
                ration.learn(says_limit)
            else:
                ration.refused(now, pause)
            ration.end(now)
            self.end = now
        raise AssertionError("it does not come to an end")


def most_in_a_second(moments: list[float]) -> int:
    """The most that fall into any window of one second, wherever it begins."""
    ordered = sorted(moments)
    return max(sum(1 for later in ordered if begin <= later < begin + 1 - HAIR) for begin in ordered)


LATENCIES = st.lists(st.tuples(st.floats(0, 1.5), st.floats(0, 1.5)), min_size=1, max_size=40)
PLACES = st.integers(1, 30)
SETTINGS = hypothesis_settings(max_examples=150, deadline=None)


@SETTINGS
@given(
    limit=st.integers(1, 12), places=PLACES, latencies=LATENCIES, border=st.floats(0, 1), count=st.integers(1, 60)
)
@pytest.mark.parametrize("kind", ["fixed", "sliding"])
def test_a_server_whose_limit_is_known_refuses_nothing_wherever_its_seconds_begin(
    kind: str, limit: int, places: int, latencies: list[tuple[float, float]], border: float, count: int
) -> None:
    server = FixedWindows(limit, border) if kind == "fixed" else SlidingWindow(limit)
    ration = Ration(most_at_once=places)
    seen = Simulation(ration, server, itertools.cycle(latencies), count=count, says_limit=limit)
    assert seen.refusals == 0
    assert most_in_a_second(seen.arrivals) <= limit


@SETTINGS
@given(
    ceiling=st.floats(0.2, 20),
    says_limit=st.none() | st.integers(1, 40),
    places=PLACES,
    latencies=LATENCIES,
    is_known=st.booleans(),
)
def test_the_callers_ceiling_holds_for_the_server_from_the_first_request_on(
    ceiling: float, says_limit: int | None, places: int, latencies: list[tuple[float, float]], is_known: bool
) -> None:
    ration = Ration(most_at_once=places, ceiling=ceiling, is_known=is_known)
    seen = Simulation(ration, Unlimited(), itertools.cycle(latencies), count=30, says_limit=says_limit)
    # Of a ceiling below one in a second, one in a second is the least there can be.
    assert most_in_a_second(seen.arrivals) <= max(1, math.floor(ceiling))
    gaps = [later - earlier for earlier, later in itertools.pairwise(seen.starts)]
    assert min(gaps) >= 1 / ceiling - HAIR


@SETTINGS
@given(ceiling=st.integers(1, 40), count=st.integers(1, 60))
def test_under_a_ceiling_a_server_that_answers_at_once_is_asked_at_even_steps(ceiling: int, count: int) -> None:
    ration = Ration(most_at_once=16, ceiling=ceiling)
    seen = Simulation(ration, Unlimited(), itertools.repeat((0.0, 0.0)), count=count)
    assert seen.starts == pytest.approx([number / ceiling for number in range(count)])


@SETTINGS
@given(places=PLACES, latency=st.floats(0.001, 2), count=st.integers(1, 80))
def test_no_time_is_wasted_on_a_server_without_a_limit(places: int, latency: float, count: int) -> None:
    ration = Ration(most_at_once=places)
    seen = Simulation(ration, Unlimited(), itertools.repeat((latency, 0.0)), count=count)
    # The first goes alone, for its answer may tell a limit; all others as many at once as there are places.
    rounds = 1 + math.ceil((count - 1) / places)
    assert seen.end == pytest.approx(rounds * latency)


@SETTINGS
@given(limit=st.integers(2, 40), latency=st.floats(0, 0.2), count=st.integers(1, 160))
def test_a_known_limit_is_used_to_the_full(limit: int, latency: float, count: int) -> None:
    ration = Ration(most_at_once=limit)
    seen = Simulation(ration, Unlimited(), itertools.repeat((latency, 0.0)), count=count, says_limit=limit)
    # One goes alone; then bursts of all that is allowed, each a second after the answers to the one before.
    bursts = math.ceil((count - 1) / limit)
    assert seen.end <= latency + bursts * (1 + 2 * latency) + HAIR


@SETTINGS
@given(
    limit=st.integers(1, 10),
    places=PLACES,
    latencies=LATENCIES,
    border=st.floats(0, 1),
    pause=st.floats(0.01, 3),
    count=st.integers(1, 40),
)
def test_a_server_that_names_no_limit_is_got_through_all_the_same(
    limit: int, places: int, latencies: list[tuple[float, float]], border: float, pause: float, count: int
) -> None:
    ration = Ration(most_at_once=places)
    seen = Simulation(ration, FixedWindows(limit, border), itertools.cycle(latencies), count=count, pause=pause)
    assert len(seen.arrivals) == count
    assert seen.end < 10_000


@pytest.mark.parametrize("end", [0.15, 0.2, 0.3, 0.7, 4.35, 100.1, 8.05])
def test_at_the_very_moment_one_may_go_no_second_one_may(end: float) -> None:
    # end + 1.0 - 1.0 is not always end again: rounding must not let one expired request vouch for many.
    ration = Ration(most_at_once=16, is_known=True)
    ration.learn(1)
    ration.start(end)
    ration.end(end)
    assert ration.wait(end) == pytest.approx(1.0)
    due = end + 1.0
    assert ration.wait(due) == pytest.approx(0.0)
    ration.start(due)
    assert ration.wait(due) is None


def test_only_one_goes_until_its_answer_has_told_how_much_the_origin_takes() -> None:
    ration = Ration(most_at_once=4)
    assert ration.wait(0.0) == 0
    ration.start(0.0)
    assert ration.wait(0.0) is None
    ration.learn(None)
    assert started_at_once(ration, 0.1) == 3


def test_an_origin_that_is_known_is_asked_in_parallel_at_once() -> None:
    assert started_at_once(Ration(most_at_once=4, is_known=True), 0.0) == 4


def test_the_lower_of_ceiling_and_limit_holds() -> None:
    ration = Ration(most_at_once=4, ceiling=10.0)
    assert Ration(most_at_once=4).rate is None
    assert ration.rate == 10.0
    ration.learn(40)
    assert ration.rate == 10.0
    ration.learn(5)
    assert ration.rate == 5
    ration.learn(None)
    assert ration.rate == 5


def started_at_once(ration: Ration, now: float, most: int = 100) -> int:
    """How many may start at a moment."""
    for count in range(most):
        if ration.wait(now) != 0:
            return count
        ration.start(now)
    return most


def in_full_swing(under_way: int) -> Ration:
    """A ration with so many requests under way, and places for twice as many."""
    ration = Ration(most_at_once=2 * under_way, is_known=True)
    for _ in range(under_way):
        ration.start(0.0)
    return ration


def test_b07_after_a_pause_one_goes_first_and_each_success_adds_one() -> None:
    ration = in_full_swing(8)
    for _ in range(8):
        ration.refused(0.1, 1.0)
        ration.end(0.1)
    assert ration.wait(0.1) == pytest.approx(1.0)
    assert ration.wait(1.0) == pytest.approx(0.1)
    waves: list[int] = []
    now = 1.1 + HAIR
    while len(waves) < 6:
        waves.append(started_at_once(ration, now))
        now += 0.1
        for _ in range(waves[-1]):
            ration.learn(None)
            ration.end(now)
    # Each wave's successes widen the next by as many: one, two, four, eight; then all there is room for.
    assert waves == [1, 2, 4, 8, 16, 16]


def test_b07_answers_to_what_was_sent_before_a_pause_do_not_widen_what_follows_it() -> None:
    ration = in_full_swing(8)
    ration.refused(0.1, 1.0)
    ration.end(0.1)
    for _ in range(7):
        ration.learn(None)
        ration.end(0.2)
    assert started_at_once(ration, 2.0) == 1


@pytest.mark.parametrize("pauses", [(1.0, 5.0, 0.5), (5.0, 0.0)])
def test_b07_the_longest_of_several_pauses_holds(pauses: tuple[float, ...]) -> None:
    ration = in_full_swing(8)
    for seconds in pauses:
        ration.refused(0.0, seconds)
    assert ration.wait(0.0) == pytest.approx(5.0)


def test_b07_another_refusal_while_it_recovers_starts_again_from_one() -> None:
    ration = in_full_swing(1)
    ration.refused(0.0, 1.0)
    ration.end(0.0)
    assert started_at_once(ration, 1.5) == 1
    ration.learn(None)
    ration.end(1.6)
    assert started_at_once(ration, 1.6) == 2
    for _ in range(2):
        ration.refused(1.7, 1.0)
        ration.end(1.7)
    assert started_at_once(ration, 3.0) == 1


@pytest.mark.parametrize("limit", [10, 3])
def test_b08_a_window_that_others_have_emptied_closes(limit: int) -> None:
    ration = Ration(most_at_once=16)
    ration.start(0.0)
    ration.learn(limit)
    assert ration.exhausted(0.1, 0.7)
    ration.end(0.1)
    assert ration.wait(0.1) == pytest.approx(0.7)
    assert ration.wait(0.8 + HAIR) == 0


def test_b08_a_window_that_we_have_emptied_opens_when_our_own_count_says() -> None:
    ration = Ration(most_at_once=16)
    ration.learn(4)
    assert started_at_once(ration, 0.0) == 4
    assert not ration.exhausted(0.1, 30.0)
    for _ in range(4):
        ration.end(0.1)
    assert ration.wait(0.5) == pytest.approx(0.6)


def test_b08_of_a_server_that_names_no_limit_its_word_is_taken() -> None:
    ration = Ration(most_at_once=16)
    ration.start(0.0)
    assert ration.exhausted(0.1, 0.7)
    assert ration.wait(0.1) == pytest.approx(0.7)


def test_a_lowered_limit_holds_for_what_was_already_counted() -> None:
    ration = Ration(most_at_once=16, is_known=True)
    ration.learn(8)
    assert started_at_once(ration, 0.0) == 8
    for number in range(8):
        ration.learn(2)
        ration.end(number / 10)
    # Of those that ended at 0.0 to 0.7 seconds, fewer than two are younger than a second from 1.6 on.
    assert ration.wait(1.5) != 0
    assert ration.wait(1.6 + HAIR) == 0
