"""Group B of the catalogue of faults, over real sockets: a service that has had enough, and what follows.

One fake clock serves the transport and its pace; waits move it, and nothing is waited for but sockets.
"""

from __future__ import annotations

import itertools
import json

import pytest
from fake_clock import FakeClock
from paced import CALL, REQUEST, asking, fetch, paced
from raw_server import Answer, Headers, RawServer, Request, answer
from yarl import URL

from krosai_calls import HangupUncertainError, KrosaiError, RateLimitedError, ServerError
from krosai_calls._service import CallsService

DATE = "Fri, 10 Jan 2025 12:00:00 GMT"
HUNG_UP = answer(200, b'{"id": "call_1", "status": "completed"}')


def too_many(header: str | None = None, body: object = None, *more: tuple[str, str]) -> Answer:
    headers: list[tuple[str, str]] = list(more)
    if header is not None:
        headers.append(("Retry-After", header))
    return answer(429, b"" if body is None else json.dumps(body).encode(), headers)


async def waits_after(*refusals: Answer) -> list[float]:
    """What a verb waits for that is refused like this, and then answered: the last request's moment is checked."""
    clock = FakeClock()
    moments: list[float] = []
    answers = iter([*refusals, answer(200, CALL)])

    def handle(request: Request) -> Answer:
        moments.append(clock.now)
        return next(answers)

    async with RawServer(handle) as server, paced(server.url, clock) as transport:
        assert await fetch(transport) == CALL
    assert len(moments) == len(refusals) + 1
    return [later - earlier for earlier, later in itertools.pairwise(moments)]


async def test_b01_a_fraction_of_a_second_is_waited_for_exactly() -> None:
    assert await waits_after(too_many("0.25", {"error": "slow", "retry_after": 0.25})) == [0.25]


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        pytest.param("1", {"retry_after": 5}, 5.0, id="B2 the body asks for more"),
        pytest.param("5", {"retry_after": 1}, 5.0, id="B2 the header asks for more"),
        pytest.param("5", None, 5.0, id="B2 the header alone"),
        pytest.param(None, {"retry_after": 1.5}, 1.5, id="B2 the body alone"),
        pytest.param("0", {"retry_after": 0}, 0.0, id="B2 no time at all"),
    ],
)
async def test_b02_the_larger_of_header_and_body_is_waited_for(
    header: str | None, body: object, seconds: float
) -> None:
    assert await waits_after(too_many(header, body)) == [seconds]


@pytest.mark.parametrize(
    ("due", "seconds"),
    [
        pytest.param("Fri, 10 Jan 2025 12:00:07 GMT", 7.0, id="B3 IMF-fixdate"),
        pytest.param("Friday, 10-Jan-25 12:00:07 GMT", 7.0, id="B3 RFC 850"),
        pytest.param("Fri Jan 10 12:00:07 2025", 7.0, id="B3 asctime"),
        pytest.param("Fri, 10 Jan 2025 11:59:00 GMT", 0.0, id="B3 past"),
    ],
)
async def test_b03_a_date_is_measured_by_the_services_own_clock(due: str, seconds: float) -> None:
    # Our clock is a year and more ahead of it.
    assert await waits_after(too_many(due, None, ("Date", DATE))) == [seconds]


def test_b03_the_clock_of_these_tests_is_not_the_services() -> None:
    assert FakeClock().now < 1000


WITHOUT_A_TIME = 0.75  # the middle of half a second and a second


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(value, id=f"B4 {name}")
        for name, value in {
            "nan": "nan",
            "inf": "inf",
            "negative": "-1",
            "a plus sign": "+1",
            "an underscore": "1_0",
            "an exponent": "1e3",
            "an Arabic digit": "٣".encode().decode("latin-1"),
            "empty": "",
            "a word": "soon",
            "400 digits": "9" * 400,
            "the year 100000": "Fri, 10 Jan 100000 12:00:00 GMT",
        }.items()
    ],
)
async def test_b04_what_is_no_time_counts_as_none(value: str) -> None:
    assert await waits_after(too_many(value)) == [WITHOUT_A_TIME]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("1", "5", id="B4 two headers"),
        pytest.param("5", "1", id="B4 two headers, the larger first"),
        pytest.param("nan", "5", id="B4 two headers, one of them odd"),
    ],
)
async def test_b04_of_two_headers_the_largest_valid_one_counts(first: str, second: str) -> None:
    assert await waits_after(too_many(first, None, ("Retry-After", second))) == [5.0]


@pytest.mark.parametrize("seconds", ["60.5", "3600", "999999999"])
async def test_b05_more_than_a_minute_is_told_and_not_slept(seconds: str) -> None:
    clock = FakeClock()
    async with RawServer() as server, paced(server.url, clock) as transport:
        server.script(too_many(seconds))
        with pytest.raises(RateLimitedError) as raised:
            await fetch(transport)
        assert (raised.value.retry_after, raised.value.attempts) == (float(seconds), 1)
        assert (clock.slept, len(server.requests)) == ([], 1)


async def test_b05_a_pause_that_does_not_fit_the_deadline_is_told_and_not_slept() -> None:
    clock = FakeClock()
    async with RawServer() as server, paced(server.url, clock) as transport:
        server.script(too_many("3"))
        with pytest.raises(RateLimitedError) as raised:
            await transport.fetch(REQUEST, lambda got: got.body, deadline=transport.deadline_in(2.0))
        assert (raised.value.retry_after, clock.slept, len(server.requests)) == (3.0, [], 1)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"", None, id="B6 empty"),
        pytest.param(b"<html>Too Many Requests</html>", "text/html", id="B6 HTML"),
        pytest.param(b'{"error": "slow down"}', "application/json", id="B6 no figure"),
    ],
)
async def test_b06_a_refusal_without_a_time_is_waited_for_all_the_same(
    body: bytes, content_type: str | None
) -> None:
    refusal = answer(429, body, content_type=content_type)
    assert await waits_after(*[refusal] * 4) == [0.75, 1.5, 3.0, 6.0]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param((("Retry-After", "1"),), id="B7 with a time"),
        pytest.param((), id="B6 without a time"),
    ],
)
async def test_b06_a_refusal_of_one_caller_pauses_the_others_too(headers: Headers) -> None:
    clock = FakeClock(is_driven=True)
    async with RawServer() as server, paced(server.url, clock) as transport:
        server.script(answer(429, headers=headers), answer(200, CALL))
        async with asking(transport, count=5) as callers:
            await clock.asleep(1)
            await callers.go_as_far_as_they_can()
            assert len(server.requests) == 1
            clock.advance(0.25)  # less than the least that a refusal without a time is waited for
            await callers.go_as_far_as_they_can()
            assert len(server.requests) == 1


RESETS = {
    "B8 a delta": "2",
    "B8 epoch seconds": "1736510402",
    "B8 epoch milliseconds": "1736510402000",
    "B8 a date": "Fri, 10 Jan 2025 12:00:02 GMT",
}


@pytest.mark.parametrize("reset", RESETS.values(), ids=RESETS)
async def test_b08_a_window_that_others_have_emptied_is_waited_out_before_a_refusal(reset: str) -> None:
    clock = FakeClock()
    moments: list[float] = []

    def handle(request: Request) -> Answer:
        moments.append(clock.now)
        limits = [("X-RateLimit-Limit", "40"), ("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", reset)]
        return answer(200, CALL, [*limits, ("Date", DATE)])

    async with RawServer(handle) as server, paced(server.url, clock) as transport:
        for _ in range(3):
            await fetch(transport)
    assert moments == pytest.approx([100.0, 102.0, 104.0])


@pytest.mark.parametrize("reset", ["1736510399", "1736600000", "9" * 400, "soon", ""])
async def test_b08_a_reset_that_is_not_to_be_believed_holds_up_nobody(reset: str) -> None:
    clock = FakeClock()
    headers = [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", reset), ("Date", DATE)]
    async with RawServer() as server, paced(server.url, clock) as transport:
        server.script(answer(200, CALL, headers))
        for _ in range(3):
            await fetch(transport)
    assert clock.slept == []


async def test_b10_a_service_that_fails_for_ever_is_not_asked_five_times_for_everything() -> None:
    clock = FakeClock()
    async with RawServer() as server, paced(server.url, clock) as transport:
        server.script(answer(503))
        async with asking(transport, count=200) as callers:
            failures = await callers.outcomes()
        assert {type(failure) for failure in failures} == {ServerError}
        assert len(server.requests) == 220
        server.script(answer(200, CALL))
        for _ in range(5):
            await fetch(transport)
        server.script(answer(503), answer(200, CALL))
        assert await fetch(transport) == CALL


def keys(requests: list[Request]) -> set[str]:
    return {value for request in requests for value in request.values("idempotency-key")}


@pytest.mark.parametrize("status", [429, 503])
async def test_b11_a_hang_up_that_was_refused_is_sent_again_with_its_key(status: int) -> None:
    clock = FakeClock()
    async with RawServer() as server, paced(server.url, clock) as transport:
        server.script(*[answer(status, headers=[("Retry-After", "2")])] * 2, HUNG_UP)
        result = await CallsService(transport, api_url=URL(server.url), most_at_once=1).hang_up("call_1")
        assert (result.id, result.status) == ("call_1", "completed")
        assert [request.method for request in server.requests] == ["POST"] * 3
        assert len(keys(server.requests)) == 1
        assert clock.now == 104.0


async def test_b11_a_hang_up_waits_for_nothing_that_ends_after_its_fifteen_seconds() -> None:
    clock = FakeClock()
    async with RawServer() as server, paced(server.url, clock) as transport:
        server.script(too_many("16"))
        with pytest.raises(RateLimitedError) as raised:
            await CallsService(transport, api_url=URL(server.url), most_at_once=1).hang_up("call_1")
        assert (raised.value.retry_after, clock.slept, len(server.requests)) == (16.0, [], 1)


async def test_b11_a_hang_up_does_not_wait_out_a_longer_pause_that_another_caller_earned() -> None:
    clock = FakeClock()
    async with RawServer() as server, paced(server.url, clock, max_attempts=1) as transport:
        server.script(too_many("50"), path="/v1/calls/call_1")
        server.script(HUNG_UP, path="/v1/calls/call_1/hangup")
        with pytest.raises(RateLimitedError):
            await fetch(transport)
        with pytest.raises(KrosaiError) as raised:
            await CallsService(transport, api_url=URL(server.url), most_at_once=1).hang_up("call_1")
        # Nothing of it was sent, and so there is nothing uncertain about it.
        assert [request.method for request in server.requests] == ["GET"]
        assert not isinstance(raised.value, HangupUncertainError)
        assert clock.now <= 115.0


async def test_b13_a_503_with_a_time_pauses_and_is_repeated_like_a_429() -> None:
    assert await waits_after(answer(503, headers=[("Retry-After", "1.5")])) == [1.5]


async def test_b13_a_503_with_a_time_costs_more_of_the_budget() -> None:
    hits = {}
    for status in (429, 503):
        async with RawServer() as server, paced(server.url, FakeClock(), max_attempts=1000) as transport:
            server.script(answer(status, headers=[("Retry-After", "1")]))
            with pytest.raises((RateLimitedError, ServerError)):
                await fetch(transport)
            hits[status] = len(server.requests)
    assert hits == {429: 101, 503: 21}


async def test_b14_two_clients_with_one_key_know_nothing_of_each_other() -> None:
    clock = FakeClock()
    async with RawServer() as server:
        server.script(too_many("30"), answer(200, CALL))
        async with paced(server.url, clock, max_attempts=1) as paused, paced(server.url, clock) as other:
            with pytest.raises(RateLimitedError):
                await fetch(paused)
            for _ in range(3):
                await fetch(other)
            assert clock.slept == []
            await fetch(paused)
            assert clock.slept == [30.0]


@pytest.mark.parametrize("per_second", [4, 10])
async def test_in_no_second_of_the_server_are_there_more_than_the_callers_ceiling(per_second: int) -> None:
    clock = FakeClock()
    moments: list[float] = []

    def handle(request: Request) -> Answer:
        moments.append(clock.now)
        clock.now += 0.07  # the way back
        return answer(200, CALL)

    async with (
        RawServer(handle) as server,
        paced(server.url, clock, requests_per_second=per_second) as transport,
        asking(transport, count=25) as callers,
    ):
        assert set(await callers.outcomes()) == {CALL}
    assert all(later - earlier >= 1 for earlier, later in zip(moments, moments[per_second:], strict=False))
