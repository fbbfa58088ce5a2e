"""The verbs that wait, `wait_until_ended` and `watch_events`: what they ask for, what they make of the answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from contract_client import make_client, read, same
from contract_server import ContractServer, Manner, make_call
from raw_server import RawServer, answer

from krosai_calls.errors import DecodeError, InvalidArgumentError

PROMPT = 0.001
RINGING, ANSWERED, COMPLETED = (
    {"id": f"evt_{number}", "event": f"call.{name}", "timestamp": f"2025-01-10T12:00:0{number}Z"}
    for number, name in enumerate(("ringing", "answered", "completed"))
)


@pytest.mark.parametrize("scheme", ["x-api-key", "bearer"])
@pytest.mark.parametrize("base", ["/v1", "/api/v1"])
async def test_waiting_for_an_ended_call_is_one_request(scheme: Any, base: str) -> None:
    row = make_call(1)
    async with ContractServer(Manner(base=base, scheme=scheme), [row]) as server:
        async with make_client(server.base_url, auth_scheme=scheme) as client:
            call = await client.wait_until_ended("call_0001")
        assert same(call.to_dict(), server.manner.show(row))
        assert [(one.method, one.path) for one in server.requests] == [("GET", f"{base}/calls/call_0001")]
        assert server.violations == []


async def test_waiting_goes_on_until_a_final_status() -> None:
    statuses = ["initiated", "ringing", "parked", "in_progress", "no_answer"]
    async with RawServer() as server, make_client(server.url) as client:
        server.script(*(answer(200, json.dumps({"id": "call_1", "status": one}).encode()) for one in statuses))
        call = await client.wait_until_ended("call_1", poll_seconds=PROMPT)
        assert (call.status, call.has_ended) == ("no_answer", True)
        assert {one.path for one in server.requests} == {"/calls/call_1"}
        assert len(server.requests) == len(statuses)


@pytest.mark.parametrize("body", [b"[]", b"null", b'"call_1"'], ids=repr)
async def test_d18_waiting_needs_an_object(body: bytes) -> None:
    with pytest.raises(DecodeError) as raised:
        await read(lambda c: c.wait_until_ended("call_1"), body)
    assert (raised.value.reason, raised.value.path) == ("shape", "$")


async def test_d21_waiting_for_one_call_never_gives_another() -> None:
    with pytest.raises(DecodeError) as raised:
        await read(lambda c: c.wait_until_ended("call_1"), {"id": "call_2", "status": "completed"})
    assert raised.value.reason == "id"


@pytest.mark.parametrize("events_under", ["events", "data", None])
async def test_watching_an_ended_call_gives_its_events_and_ends(events_under: Any) -> None:
    async with ContractServer(Manner(events_under=events_under), [make_call(1)]) as server:
        async with make_client(server.base_url) as client:
            events = [event async for event in client.watch_events("call_0001", poll_seconds=PROMPT)]
        assert [event.type for event in events] == ["call.ringing", "call.answered", "call.completed"]
        assert server.violations == []
        paths = {request.path for request in server.requests}
        assert {"/v1/calls/call_0001/events"} <= paths <= {"/v1/calls/call_0001", "/v1/calls/call_0001/events"}


@pytest.mark.parametrize("with_ids", [True, False])
async def test_watching_gives_each_event_once_until_the_call_has_ended(with_ids: bool) -> None:
    lists = [[], [RINGING], [RINGING], [RINGING, ANSWERED], [RINGING, ANSWERED, COMPLETED]]
    if not with_ids:
        lists = [[{name: one[name] for name in ("event", "timestamp")} for one in some] for some in lists]
    async with RawServer() as server, make_client(server.url) as client:
        live, over = ({"id": "call_1", "status": status} for status in ("in_progress", "completed"))
        calls = [live] * len(lists) + [over]
        server.script(
            *(answer(200, json.dumps({"events": one}).encode()) for one in lists), path="/calls/call_1/events"
        )
        server.script(*(answer(200, json.dumps(one).encode()) for one in calls), path="/calls/call_1")
        events = [event async for event in client.watch_events("call_1", poll_seconds=PROMPT)]
    assert [event.type for event in events] == ["call.ringing", "call.answered", "call.completed"]


@pytest.mark.parametrize("call_id", ["..", "a/b", "x?y", "#", "", "%2e%2e", "a\n", "\ud83d"], ids=ascii)
async def test_an_id_that_could_lead_elsewhere_is_refused(call_id: str) -> None:
    async with RawServer() as server, make_client(server.url) as client:
        with pytest.raises(InvalidArgumentError):
            await client.wait_until_ended(call_id)
        with pytest.raises(InvalidArgumentError):
            await anext(aiter(client.watch_events(call_id)))
        assert server.requests == []
