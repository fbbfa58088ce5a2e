"""Hanging up when things go wrong: one order, one key, and never called failed when it may have worked."""

from __future__ import annotations

import asyncio
import json

import pytest
from fake_clock import FakeClock
from fault_client import CALL, ENDED, client_of
from raw_server import Answer, RawServer, Request, answer

from krosai_calls import (
    ConflictError,
    ConnectionFailedError,
    HangupUncertainError,
    KrosaiError,
    NotFoundError,
    RateLimitedError,
    RequestBudgetExceededError,
    RetryPolicy,
)
from krosai_calls.errors import ApiError, BadRequestError
from krosai_calls.models import HangupResult

DONE = HangupResult("call_1", "completed", "agent_hangup")
ORDER, LOOK = "/v1/calls/call_1/hangup", "/v1/calls/call_1"
QUICK = RetryPolicy(max_attempts=2)
pytestmark = pytest.mark.usefixtures("both_clients")
# A blocking call has no task that could be cancelled.
awaiting_only = pytest.mark.parametrize("both_clients", ["awaiting"], indirect=True)


class Switchboard(RawServer):
    """One call; each order is answered with the next of the answers, and ends the call where that says so.

    Args:
        orders: What the orders are answered with, in turn, each with whether it ends the call; the last repeats.
        looks: What looks are answered with, in turn, before the truth.
    """

    def __init__(self, *orders: tuple[Answer, bool], looks: tuple[Answer, ...] = ()) -> None:
        super().__init__(self._handle)
        self._orders = list(orders)
        self._looks = list(looks)
        self.has_ended = False

    def _handle(self, request: Request) -> Answer:
        if request.method == "GET":
            assert request.target == LOOK
            return self._looks.pop(0) if self._looks else answer(200, ENDED if self.has_ended else CALL)
        assert request.target == ORDER
        chosen, ends = self._orders.pop(0) if len(self._orders) > 1 else self._orders[0]
        self.has_ended |= ends
        return chosen

    @property
    def story(self) -> list[str]:
        return [request.method for request in self.requests]

    @property
    def keys(self) -> set[str]:
        return {key for request in self.requests for key in request.values("Idempotency-Key")}


def carried_out(status: int = 200, body: bytes = ENDED) -> tuple[Answer, bool]:
    return answer(status, body), True


def not_done(status: int, *headers: tuple[str, str], body: bytes = b"{}") -> tuple[Answer, bool]:
    return answer(status, body, headers), False


LOST_ORDERS = {
    "closed before the answer": Answer(then="close"),
    "reset before the answer": Answer(then="reset"),
    "reset in the status line": Answer(b"HTTP/1.1 20", then="reset"),
    "closed in the headers": Answer(b"HTTP/1.1 200 OK\r\nContent-Le", then="close"),
    "closed in the body": answer(200, ENDED, cut=10),
    "reset in the body": answer(200, ENDED, cut=10, then="reset"),
    "no HTTP": Answer(b"SSH-2.0-OpenSSH\r\n\r\n", then="close"),
    "no JSON": answer(200, b"<html>thank you</html>"),
    "500": answer(500),
    "502": answer(502, b"<html>"),
    "504": answer(504),
    "408": answer(408),
}


@pytest.mark.parametrize("lost", LOST_ORDERS.values(), ids=LOST_ORDERS)
async def test_an_order_that_worked_though_its_answer_was_lost_is_a_success(lost: Answer) -> None:
    async with Switchboard((lost, True)) as board, client_of(board.url) as client:
        assert await client.hang_up("call_1") == DONE
        assert board.story == ["POST", "GET"]


@pytest.mark.parametrize("lost", LOST_ORDERS.values(), ids=LOST_ORDERS)
async def test_an_order_that_was_lost_is_given_again_with_the_same_key(lost: Answer) -> None:
    async with Switchboard((lost, False), carried_out()) as board, client_of(board.url) as client:
        assert await client.hang_up("call_1") == DONE
        assert board.story == ["POST", "GET", "POST"]
        assert [len(request.values("Idempotency-Key")) for request in board.requests] == [1, 0, 1]
        assert len(board.keys) == 1


async def test_two_verbs_have_two_keys() -> None:
    async with Switchboard(carried_out()) as board, client_of(board.url) as client:
        await client.hang_up("call_1")
        await client.hang_up("call_1")
        assert len(board.keys) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_an_order_that_was_refused_untouched_is_sent_again_without_a_look(status: int) -> None:
    refused = not_done(status, ("Retry-After", "1.5"))
    async with Switchboard(refused, refused, carried_out()) as board, client_of(board.url) as client:
        assert await client.hang_up("call_1") == DONE
        assert board.story == ["POST", "POST", "POST"]
        assert client.clock.slept == [1.5, 1.5]
        assert len(board.keys) == 1


async def test_a_conflict_alone_says_that_the_call_had_ended_before() -> None:
    async with Switchboard(not_done(409)) as board, client_of(board.url) as client:
        with pytest.raises(ConflictError) as raised:
            await client.hang_up("call_1")
        assert board.story == ["POST"]
        assert raised.value.attempts == 1


@pytest.mark.parametrize(
    "earlier", [Answer(then="reset"), answer(429), answer(503), answer(500)], ids=["lost", "429", "503", "500"]
)
async def test_a_conflict_after_an_earlier_attempt_is_a_success(earlier: Answer) -> None:
    # The look comes too early to see it; the second order tells.
    looks = (answer(200, CALL),) if earlier.then == "reset" or b" 500 " in earlier.wire else ()
    async with Switchboard((earlier, True), not_done(409), looks=looks) as board, client_of(board.url) as client:
        assert await client.hang_up("call_1") == DONE
        assert board.story.count("POST") == 2
        assert len(board.keys) == 1


async def test_a_conflict_after_an_earlier_attempt_is_a_success_though_the_calls_record_lags_behind() -> None:
    lagging = answer(200, CALL)
    async with (
        Switchboard((Answer(then="reset"), True), not_done(409), looks=(lagging, lagging)) as board,
        client_of(board.url) as client,
    ):
        assert await client.hang_up("call_1") == HangupResult("call_1")
        assert board.story == ["POST", "GET", "POST", "GET"]


@pytest.mark.parametrize(("status", "kind"), [(400, BadRequestError), (404, NotFoundError)])
async def test_a_refusal_alone_is_told_at_once(status: int, kind: type[ApiError]) -> None:
    async with Switchboard(not_done(status)) as board, client_of(board.url) as client:
        with pytest.raises(kind):
            await client.hang_up("call_1")
        assert board.story == ["POST"]


@pytest.mark.parametrize("status", [400, 404])
async def test_a_refusal_after_an_ambiguous_attempt_is_a_success_where_the_call_has_ended(status: int) -> None:
    async with (
        Switchboard((Answer(then="reset"), True), not_done(status), looks=(answer(200, CALL),)) as board,
        client_of(board.url) as client,
    ):
        assert await client.hang_up("call_1") == DONE
        assert board.story == ["POST", "GET", "POST", "GET"]


@pytest.mark.parametrize(("status", "kind"), [(400, BadRequestError), (404, NotFoundError)])
async def test_a_refusal_after_an_ambiguous_attempt_is_told_where_the_call_goes_on(
    status: int, kind: type[ApiError]
) -> None:
    async with (
        Switchboard((Answer(then="reset"), False), not_done(status)) as board,
        client_of(board.url) as client,
    ):
        with pytest.raises(kind):
            await client.hang_up("call_1")
        assert board.story == ["POST", "GET", "POST", "GET"]


async def test_a_call_that_nobody_knows_is_told_as_such_after_an_ambiguous_attempt() -> None:
    unknown = answer(404)
    async with (
        Switchboard((Answer(then="reset"), False), not_done(404), looks=(unknown, unknown)) as board,
        client_of(board.url) as client,
    ):
        with pytest.raises(NotFoundError):
            await client.hang_up("call_1")


async def test_a_hang_up_of_another_call_in_the_answer_is_none_of_this_one() -> None:
    other = json.dumps({"id": "call_2", "status": "completed"}).encode()
    async with Switchboard((answer(200, other), False), carried_out()) as board, client_of(board.url) as client:
        assert await client.hang_up("call_1") == DONE
        assert board.story == ["POST", "GET", "POST"]


async def test_a_call_that_goes_on_though_ordered_to_end_is_uncertain_and_says_so() -> None:
    async with Switchboard((answer(500), False)) as board, client_of(board.url) as client:
        with pytest.raises(HangupUncertainError, match=r"call_1 .* still goes on") as raised:
            await client.hang_up("call_1")
        assert raised.value.call_id == "call_1"
        assert board.story == ["POST", "GET"] * 3
        assert len(board.keys) == 1
        assert raised.value.attempts == 6


async def test_a_server_that_never_answers_leaves_it_uncertain() -> None:
    hung = Answer(then="hang")
    async with Switchboard((hung, False), looks=(hung,) * 9) as board:
        async with client_of(board.url, timeout_seconds=0.05, retry=QUICK) as client:
            with pytest.raises(HangupUncertainError, match="could not be learnt") as raised:
                await client.hang_up("call_1")
        assert board.story[0] == "POST"
        assert raised.value.sent


DOUBTFUL_ENDS = {
    "429 with a long wait": (not_done(429, ("Retry-After", "3600")), {}),
    "401": (not_done(401), {}),
    "503 for ever": (not_done(503), {}),
    "404": (not_done(404), {}),
    "no request left": (not_done(200), {"max_requests": 2}),
}


@pytest.mark.parametrize(("second", "settings"), DOUBTFUL_ENDS.values(), ids=DOUBTFUL_ENDS)
async def test_what_may_have_worked_is_never_called_failed(
    second: tuple[Answer, bool], settings: dict[str, int]
) -> None:
    # The first order is lost, and nobody learns how the call stands.
    blind = (answer(501),) * 9
    async with (
        Switchboard((Answer(then="reset"), True), second, looks=blind) as board,
        client_of(board.url, **settings) as client,
    ):
        with pytest.raises(HangupUncertainError):
            await client.hang_up("call_1")


async def test_a_hang_up_that_was_never_sent_is_no_uncertain_one() -> None:
    async with RawServer() as gone:
        url = gone.url
    async with client_of(url) as client:
        with pytest.raises(ConnectionFailedError) as raised:
            await client.hang_up("call_1")
    assert not isinstance(raised.value, HangupUncertainError)
    assert not raised.value.sent


async def test_no_order_and_no_look_starts_after_the_deadline() -> None:
    clock = FakeClock()

    def handle(request: Request) -> Answer:
        clock.now += 4.0  # each answer takes so long
        return answer(500)

    async with RawServer(handle) as server, client_of(server.url, clock=clock) as client:
        start = clock.now
        with pytest.raises(HangupUncertainError):
            await client.hang_up("call_1")
        # Four answers of four seconds are more than the fifteen that a hang-up may take.
        assert len(server.requests) == 4
        assert sum(clock.slept) + 4 * 4.0 == clock.now - start


async def test_looks_wait_no_longer_than_the_deadline_allows() -> None:
    busy = answer(503, b"{}", [("Retry-After", "10")])
    async with (
        Switchboard((Answer(then="reset"), False), looks=(busy,) * 9) as board,
        client_of(board.url) as client,
    ):
        start = client.clock.now
        with pytest.raises(HangupUncertainError):
            await client.hang_up("call_1")
        assert client.clock.now - start <= 15.0
        assert 3 <= len(board.story) <= 6  # one wait fits, and a second does not


async def test_a_wait_that_does_not_fit_into_the_deadline_is_told_instead_of_slept() -> None:
    async with Switchboard(not_done(429, ("Retry-After", "20"))) as board, client_of(board.url) as client:
        with pytest.raises(RateLimitedError) as raised:
            await client.hang_up("call_1")
        assert (raised.value.retry_after, client.clock.slept) == (20.0, [])
        assert board.story == ["POST"]


async def test_an_order_that_would_have_to_wait_its_turn_for_too_long_is_never_sent_and_never_uncertain() -> None:
    async with Switchboard(carried_out(), looks=(answer(429, b"{}", [("Retry-After", "50")]),)) as board:
        async with client_of(board.url, retry=RetryPolicy(max_attempts=1)) as client:
            with pytest.raises(RateLimitedError):
                await client.get_call("call_1")  # the service wants fifty seconds of silence
            start = client.clock.now
            with pytest.raises(KrosaiError) as raised:
                await client.hang_up("call_1")
            assert not isinstance(raised.value, HangupUncertainError)
            assert client.clock.now - start <= 15.0
        assert board.story == ["GET"]


@awaiting_only
async def test_cancelling_during_the_look_stays_a_cancellation_and_sends_nothing_more() -> None:
    gate = asyncio.Event()
    async with Switchboard((Answer(then="reset"), False), looks=(answer(200, CALL, gate=gate),)) as board:
        async with client_of(board.url) as client:
            hanging_up = asyncio.ensure_future(client.hang_up("call_1"))
            await board.received(2)
            hanging_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hanging_up
            gate.set()
            await board.disconnected()
        assert board.story == ["POST", "GET"]


@awaiting_only
async def test_cancelling_the_order_itself_sends_nothing_more() -> None:
    async with Switchboard((Answer(then="hang"), False)) as board, client_of(board.url) as client:
        hanging_up = asyncio.ensure_future(client.hang_up("call_1"))
        await board.received(1)
        hanging_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging_up
        await board.disconnected()
        assert board.story == ["POST"]


async def test_the_budget_bounds_a_hang_up_too() -> None:
    async with Switchboard(carried_out()) as board, client_of(board.url, max_requests=0) as client:
        with pytest.raises(RequestBudgetExceededError):
            await client.hang_up("call_1")
        assert board.story == []


async def test_an_order_that_times_out_is_looked_after() -> None:
    async with Switchboard((Answer(then="hang"), True)) as board:
        async with client_of(board.url, timeout_seconds=0.1) as client:
            assert await client.hang_up("call_1") == DONE
        assert board.story == ["POST", "GET"]
