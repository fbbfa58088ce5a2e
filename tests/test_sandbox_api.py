"""What the sandbox's API answers, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sandbox_caller import NOW, Caller, Clock, calling

from krosai_calls.sandbox import RecordedRequest


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def caller(clock: Clock) -> AsyncIterator[Caller]:
    async with calling(clock=clock) as found:
        yield found


# ---- the listing


async def test_pages_put_together_are_the_whole_history(caller: Caller) -> None:
    pages = [(await caller.ask(f"/calls?limit=100&offset={offset}")).json() for offset in (0, 100, 200, 300)]
    assert [len(page["calls"]) for page in pages] == [100, 100, 50, 0]
    assert {page["total"] for page in pages} == {250}
    ids = [row["id"] for page in pages for row in page["calls"]]
    assert ids == [call["id"] for call in caller.sandbox.calls]
    assert len(set(ids)) == 250


async def test_a_page_says_its_place_and_has_fifty_calls_unless_asked_otherwise(caller: Caller) -> None:
    page = (await caller.ask("/calls?unheard_of=1")).json()
    assert (len(page["calls"]), page["limit"], page["offset"]) == (50, 50, 0)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("offset=-1", "offset"),
        ("offset=1.5", "offset"),
        ("from_date=yesterday", "from_date"),
        ("to_date=2025-13-01", "to_date"),
        ("from_date=2025-01-10T12:00:00+01:00", "from_date"),  # an unescaped plus sign is a space
    ],
)
async def test_a_parameter_that_cannot_be_right_is_named(caller: Caller, query: str, parameter: str) -> None:
    answer = await caller.ask(f"/calls?{query}")
    assert answer.status == 400
    assert answer.json()["details"] == {"parameter": parameter}


async def test_filters_narrow_the_listing_and_its_total(caller: Caller) -> None:
    page = (
        await caller.ask("/calls?status=completed&direction=inbound&phone_number_id=pn_nairobi&limit=100")
    ).json()
    expected = [
        call["id"]
        for call in caller.sandbox.calls
        if (call["status"], call["direction"], call["phone_number_id"]) == ("completed", "inbound", "pn_nairobi")
    ]
    assert [row["id"] for row in page["calls"]] == expected
    assert page["total"] == len(expected) > 0


async def test_a_date_without_a_time_means_the_whole_day(caller: Caller) -> None:
    page = (await caller.ask("/calls?from_date=2025-03-10&to_date=2025-03-10")).json()
    expected = [
        call["id"]
        for call in caller.sandbox.calls
        if datetime.fromisoformat(call["created_at"]).astimezone(UTC).date().isoformat() == "2025-03-10"
    ]
    assert [row["id"] for row in page["calls"]] == expected != []


async def test_both_bounds_are_inclusive_to_the_fraction_of_a_second(caller: Caller) -> None:
    row = next(call for call in caller.sandbox.calls if "." in call["created_at"])
    page = (await caller.ask(f"/calls?from_date={row['created_at']}&to_date={row['created_at']}")).json()
    assert [found["id"] for found in page["calls"]] == [row["id"]]


# ---- one call


async def test_a_row_of_the_listing_is_the_call_in_full(caller: Caller) -> None:
    for row in (await caller.ask("/calls?limit=10")).json()["calls"]:
        assert (await caller.ask(f"/calls/{row['id']}")).json() == row


async def test_statistics_agree_with_the_listing(caller: Caller) -> None:
    stats = (await caller.ask("/calls/stats")).json()
    calls = list(caller.sandbox.calls)
    assert stats["total_calls"] == len(calls) == sum(stats["by_status"].values())
    assert stats["total_duration"] == sum(call["duration"] for call in calls)
    assert stats["total_cost_cents"] == sum(call["cost_cents"] for call in calls)
    assert stats["inbound_calls"] + stats["outbound_calls"] == len(calls)


async def test_statistics_take_filters_and_can_be_empty(caller: Caller) -> None:
    stats = (await caller.ask("/calls/stats?phone_number_id=pn_lagos&status=busy")).json()
    assert stats["total_calls"] == sum(call["phone_number_id"] == "pn_lagos" for call in caller.sandbox.calls)
    empty = (await caller.ask("/calls/stats?to_date=1999-01-01")).json()
    assert (empty["total_calls"], empty["average_duration"], empty["by_status"]) == (0, 0, {})


async def test_events_belong_to_their_call(caller: Caller) -> None:
    call = caller.sandbox.calls[30]
    events = (await caller.ask(f"/calls/{call['id']}/events")).json()["events"]
    assert {event["data"]["call_id"] for event in events} == {call["id"]}
    assert events[0]["timestamp"] == call["created_at"]


@pytest.mark.parametrize(
    "path", ["/calls/call_unheardofid", "/calls/call_unheardofid/events", "/calls/x/recording"]
)
async def test_an_unknown_call_is_a_404(caller: Caller, path: str) -> None:
    answer = await caller.ask(path)
    assert (answer.status, answer.json()["code"]) == (404, "CALL_NOT_FOUND")


async def test_what_is_read_of_the_calls_cannot_change_them(caller: Caller) -> None:
    row = next(call for call in caller.sandbox.calls if call["metadata"])
    row["metadata"].clear()
    row["status"] = "mine"
    again = (await caller.ask(f"/calls/{row['id']}")).json()
    assert again["metadata"]
    assert again["status"] != "mine"


# ---- hanging up


async def test_hanging_up_ends_a_live_call_once(caller: Caller, clock: Clock) -> None:
    live = next(call for call in caller.sandbox.calls if call["status"] == "in_progress")
    clock.advance(10)
    answer = await caller.ask(f"/calls/{live['id']}/hangup", method="POST")
    ended = answer.json()
    assert (answer.status, ended["status"], ended["hangup_cause"]) == (200, "completed", "agent_hangup")
    lasted = datetime.fromisoformat(ended["completed_at"]) - datetime.fromisoformat(ended["answered_at"])
    assert ended["duration"] == lasted.total_seconds() > 10
    again = await caller.ask(f"/calls/{live['id']}/hangup", method="POST")
    assert (again.status, again.json()["code"]) == (409, "CALL_ALREADY_ENDED")
    events = (await caller.ask(f"/calls/{live['id']}/events")).json()["events"]
    assert events[-1]["event"] == "call.completed"


async def test_a_call_that_still_rings_ends_without_a_duration(caller: Caller) -> None:
    live = next(call for call in caller.sandbox.calls if call["status"] == "ringing")
    ended = (await caller.ask(f"/calls/{live['id']}/hangup", method="POST")).json()
    assert (ended["status"], ended["duration"], ended["answered_at"]) == ("completed", 0, None)


async def test_a_repeated_idempotency_key_gets_the_same_answer_again(caller: Caller) -> None:
    live = next(call for call in caller.sandbox.calls if call["status"] == "in_progress")
    path, key = f"/calls/{live['id']}/hangup", {"Idempotency-Key": "once"}
    first = await caller.ask(path, method="POST", headers=key)
    assert (await caller.ask(path, method="POST", headers=key)).body == first.body
    assert (await caller.ask(path, method="POST", headers={"Idempotency-Key": "twice"})).status == 409


async def test_reset_takes_everything_back(caller: Caller) -> None:
    before = caller.sandbox.calls[2]
    await caller.ask(f"/calls/{before['id']}/hangup", method="POST", headers={"Idempotency-Key": "once"})
    assert caller.sandbox.calls[2] != before
    caller.sandbox.reset()
    assert caller.sandbox.calls[2] == before
    assert caller.sandbox.requests == []
    again = await caller.ask(f"/calls/{before['id']}/hangup", method="POST", headers={"Idempotency-Key": "once"})
    assert again.json()["status"] == "completed"


# ---- keys, paths, headers


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "MISSING_API_KEY"),
        ({"x-api-key": ""}, "MISSING_API_KEY"),
        ({"Authorization": "Basic abc"}, "MISSING_API_KEY"),
        ({"x-api-key": "kros_test_other"}, "INVALID_API_KEY"),
        ({"x-api-key": "ключ"}, "INVALID_API_KEY"),
        ({"Authorization": "Bearer kros_test_other"}, "INVALID_API_KEY"),
    ],
)
async def test_only_the_sandboxs_own_key_is_let_in(caller: Caller, headers: dict[str, str], code: str) -> None:
    async with caller.session.get(f"{caller.sandbox.base_url}/calls", headers=headers) as response:
        assert (response.status, (await response.json())["code"]) == (401, code)
        assert "X-RateLimit-Limit" in response.headers


async def test_a_bearer_token_is_as_good_as_the_header(caller: Caller) -> None:
    headers = {"Authorization": f"Bearer {caller.sandbox.api_key}"}
    async with caller.session.get(f"{caller.sandbox.base_url}/calls", headers=headers) as response:
        assert response.status == 200


async def test_a_real_key_is_sent_home_and_never_shown(caller: Caller) -> None:
    answer = await caller.ask("/calls", headers={"x-api-key": "kros_live_abc123"})
    assert answer.status == 401
    assert "sandbox" in answer.json()["error"]
    assert "abc123" not in answer.body.decode() + repr(caller.sandbox.requests)


async def test_wrong_paths_and_methods_are_told_in_json(caller: Caller) -> None:
    lost = await caller.ask("/cals")
    assert (lost.status, lost.json()["code"]) == (404, "NOT_FOUND")
    wrong = await caller.ask("/calls", method="DELETE")
    assert (wrong.status, wrong.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET" in wrong.headers["Allow"]


async def test_a_request_id_is_echoed_where_it_is_sane_and_else_made(caller: Caller) -> None:
    assert (await caller.ask("/calls", headers={"x-request-id": "mine-1"})).headers["x-request-id"] == "mine-1"
    made = [
        (await caller.ask("/calls", headers={"x-request-id": "not sane"})).headers["x-request-id"] for _ in "ab"
    ]
    assert all(name.startswith("req_") for name in made)
    assert made[0] != made[1]


async def test_the_journal_tells_what_was_asked(caller: Caller) -> None:
    await caller.ask("/calls?limit=7", headers={"x-organization-id": "org"})
    await caller.fetch(await caller.url_of_a_recording())
    first, _, last = caller.sandbox.requests
    assert isinstance(first, RecordedRequest)
    assert (first.server, first.method, first.path, first.status) == ("api", "GET", "/v1/calls", 200)
    assert first.query == {"limit": "7"}
    assert (first.headers["x-organization-id"], first.headers["x-api-key"]) == ("org", "***")
    assert (last.server, last.status, "x-api-key" in last.headers) == ("storage", 200, False)
    assert caller.sandbox.storage_requests == [last]
    assert len(caller.sandbox.api_requests) == 2


# ---- limits


async def test_a_plan_refuses_what_goes_beyond_its_second(clock: Clock) -> None:
    clock.advance(0.5)
    async with calling(clock=clock, plan="free") as caller:
        served = [await caller.ask("/calls?limit=1") for _ in range(10)]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in served] == [str(9 - n) for n in range(10)]
        refused = await caller.ask("/calls?limit=1")
        assert (refused.status, refused.json()["code"]) == (429, "RATE_LIMIT_EXCEEDED")
        assert float(refused.headers["Retry-After"]) == refused.json()["retry_after"] == 0.5
        assert refused.headers["X-RateLimit-Remaining"] == "0"
        assert int(refused.headers["X-RateLimit-Reset"]) == NOW.timestamp() + 1
        clock.advance(0.5)
        assert (await caller.ask("/calls?limit=1")).status == 200


async def test_an_unknown_key_uses_up_nothing(clock: Clock) -> None:
    async with calling(clock=clock, plan="free") as caller:
        for _ in range(20):
            assert (await caller.ask("/calls", headers={"x-api-key": "kros_test_other"})).status == 401
        assert (await caller.ask("/calls")).headers["X-RateLimit-Remaining"] == "9"


async def test_a_days_quota_is_told_to_the_millisecond_so_that_waiting_is_enough(clock: Clock) -> None:
    async with calling(calls=5, clock=clock, plan="free") as caller:
        for _ in range(100):
            await asyncio.gather(*(caller.ask("/calls?limit=1") for _ in range(10)))
            clock.advance(1)
        clock.advance(0.123)
        refused = await caller.ask("/calls?limit=1")
        assert (refused.status, refused.json()["details"]) == (429, {"window": "day"})
        clock.advance(float(refused.headers["Retry-After"]))
        assert (await caller.ask("/calls?limit=1")).status == 200
