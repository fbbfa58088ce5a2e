"""What the documents leave open, as a sandbox can be told to do it; and the client understands each way."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox_caller import NOW, calling

from krosai_calls import AsyncCallsClient, ConflictError, KrosaiError
from krosai_calls.errors import SettingsError
from krosai_calls.sandbox import Dialect, Sandbox


async def test_calls_come_oldest_first_on_every_page() -> None:
    async with calling(calls=30, dialect=Dialect(order="oldest_first")) as caller:
        ids = [call["id"] for call in caller.sandbox.calls][::-1]
        for offset, limit in ((0, 10), (25, 10), (40, 10), (0, 100)):
            page = (await caller.ask(f"/calls?limit={limit}&offset={offset}")).json()
            assert [row["id"] for row in page["calls"]] == ids[offset : offset + limit]
            assert page["total"] == 30
        caller.sandbox.add_call(id="newest")
        assert (await caller.ask("/calls?offset=30")).json()["calls"][0]["id"] == "newest"


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [("inclusive", [10, 11, 12]), ("exclusive", [11]), ("half_open", [11, 12])],
)
async def test_bounds_belong_to_what_they_bound_or_not(bounds: Any, expected: list[int]) -> None:
    async with calling(calls=30, dialect=Dialect(date_bounds=bounds)) as caller:
        calls = list(caller.sandbox.calls)
        for call in calls[10:13]:
            caller.sandbox.delete_call(call["id"])
        times = ["2025-03-01T00:00:02.500Z", "2025-03-01T00:00:02.499Z", "2025-03-01T00:00:01Z"]
        for number, moment in zip((10, 11, 12), times, strict=True):
            caller.sandbox.add_call(id=f"call_{number}", created_at=moment, status="busy")
        page = (await caller.ask(f"/calls?from_date={times[2]}&to_date={times[0]}")).json()
        assert [row["id"] for row in page["calls"]] == [f"call_{number}" for number in expected]


@pytest.mark.parametrize(("bounds", "found"), [("inclusive", True), ("exclusive", False), ("half_open", False)])
async def test_a_day_that_is_no_bound_of_its_own_ends_before_it_begins(bounds: Any, found: bool) -> None:
    async with calling(calls=5, dialect=Dialect(date_bounds=bounds)) as caller:
        caller.sandbox.add_call(created_at="2025-03-13T12:00:00Z", status="busy")
        page = (await caller.ask("/calls?from_date=2025-03-12&to_date=2025-03-13&status=busy")).json()
        assert any(row["created_at"].startswith("2025-03-13T12:00:00") for row in page["calls"]) == found


async def test_a_page_has_another_name_and_no_total() -> None:
    async with calling(calls=5, dialect=Dialect(envelope="data", total=False)) as caller:
        page = (await caller.ask("/calls?limit=2")).json()
        assert page.keys() == {"data", "limit", "offset"}
        assert len(page["data"]) == 2


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (Dialect(), ["call.initiated", "call.ringing", "call.answered", "call.completed", "recording.ready"]),
        (
            Dialect(event_names="unprefixed", events_envelope="data"),
            ["initiated", "ringing", "answered", "completed", "recording.ready"],
        ),
        (
            Dialect(event_names="other_pages", events_envelope="list", event_name_key="type"),
            ["call.started", "call.ringing", "call.answered", "call.ended", "call.recording.completed"],
        ),
    ],
)
async def test_events_are_called_and_wrapped_as_was_said(dialect: Dialect, expected: list[str]) -> None:
    async with calling(calls=5, dialect=dialect) as caller:
        call = caller.sandbox.add_call(status="completed", transcript=None)
        body = (await caller.ask(f"/calls/{call['id']}/events")).json()
        events = body if dialect.events_envelope == "list" else body[dialect.events_envelope]
        assert [event[dialect.event_name_key] for event in events] == expected
        client = AsyncCallsClient(caller.sandbox.api_key, base_url=caller.sandbox.base_url)
        async with client:
            assert [event.type for event in await client.list_events(call["id"])] == expected


async def test_an_events_time_has_another_name() -> None:
    async with calling(calls=5, dialect=Dialect(event_time_key="created_at")) as caller:
        call = caller.sandbox.add_call()
        (event,) = (await caller.ask(f"/calls/{call['id']}/events")).json()["events"]
        assert event["created_at"] == call["created_at"]
        assert "timestamp" not in event


@pytest.mark.parametrize("answer", ["call", "brief", "success", "empty"])
async def test_a_hang_up_is_answered_in_each_way_and_the_client_understands_it(answer: Any) -> None:
    async with (
        Sandbox(calls=5, now=NOW, dialect=Dialect(hangup_answer=answer)) as sandbox,
        AsyncCallsClient(sandbox.api_key, base_url=sandbox.base_url) as client,
    ):
        call_id = sandbox.add_call(status="in_progress")["id"]
        assert (await client.hang_up(call_id)).id == call_id
        assert sandbox.calls[0]["status"] == "completed"
        assert sandbox.api_requests[0].status == (204 if answer == "empty" else 200)


@pytest.mark.parametrize("status", [400, 404, 409])
async def test_a_call_that_has_ended_is_refused_as_was_said(status: Any) -> None:
    async with (
        Sandbox(calls=5, now=NOW, dialect=Dialect(ended_call_status=status)) as sandbox,
        AsyncCallsClient(sandbox.api_key, base_url=sandbox.base_url) as client,
    ):
        call_id = sandbox.add_call(status="completed")["id"]
        with pytest.raises(KrosaiError) as raised:
            await client.hang_up(call_id)
        assert isinstance(raised.value, ConflictError) == (status == 409)
        assert sandbox.api_requests[0].status == status


@pytest.mark.parametrize("status", [401, 403, 410])
async def test_an_expired_link_is_refused_as_was_said_and_the_client_gets_a_fresh_one(
    status: Any, tmp_path: Any
) -> None:
    async with (
        Sandbox(calls=5, now=NOW, dialect=Dialect(expired_link_status=status)) as sandbox,
        AsyncCallsClient(sandbox.api_key, base_url=sandbox.base_url) as client,
    ):
        sandbox.add_call(status="completed")
        call = (await client.list_calls(limit=1)).calls[0]
        sandbox.advance(3600)
        await client.download_recording(call, tmp_path / "a.mp3")
        assert [request.status for request in sandbox.storage_requests] == [status, 200]


@pytest.mark.parametrize(
    ("name", "value"),
    [("order", "newest"), ("envelope", "rows"), ("total", 1), ("total", "no"), ("ended_call_status", 410)],
)
def test_a_way_that_nobody_knows_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        Dialect(**{name: value})
