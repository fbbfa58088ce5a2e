"""Statistics, events, hang-ups and recording links: read in every shape, and nothing of them lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contract_client import make_client, read, same
from contract_server import ContractServer, Manner, make_call
from raw_server import RawServer, answer

from krosai_calls.errors import ApiError, BadRequestError, ConflictError, NotFoundError

LINK = "https://storage.krosai.com/recordings/call_0001.mp3?signature=abc"
# Among the names nobody knows yet are some that a careless reader would trip over.
UNKNOWN = {"new": {"deep": [1, None, {"x": 1.5}]}, "extra": "mine", "raw": 1, "self": None, "class": True, "": ""}


STATS: dict[str, Any] = {
    "total_calls": 156,
    "completed_calls": 140,
    "failed_calls": 6,
    "inbound_calls": 100,
    "outbound_calls": 56,
    "total_duration": 21450,
    "average_duration": 137.5,
    "total_cost_cents": 1872,
    "by_status": {"completed": 140, "busy": 6, "no_answer": 4, "failed": 6, "parked": 1},
}


@pytest.mark.parametrize("unknown", [{}, UNKNOWN], ids=["documented", "unknown-fields"])
async def test_statistics_are_read_in_full(unknown: dict[str, Any]) -> None:
    stats = await read(lambda c: c.get_stats(), STATS | unknown)
    assert {name: getattr(stats, name) for name in STATS} == STATS
    assert dict(stats.extra) == unknown
    assert same(stats.to_dict(), STATS | unknown)


@pytest.mark.parametrize("name", STATS)
async def test_any_figure_may_be_missing(name: str) -> None:
    sent = {key: value for key, value in STATS.items() if key != name}
    stats = await read(lambda c: c.get_stats(), sent)
    assert not getattr(stats, name)
    assert same(stats.to_dict(), sent)
    assert all(getattr(stats, key) == value for key, value in sent.items())


EVENT_MANNERS = {
    "documented": Manner(),
    "data": Manner(events_under="data"),
    "bare": Manner(events_under=None),
    "type": Manner(event_name="type"),
    "created_at": Manner(event_time="created_at"),
    "no-prefix": Manner(event_prefix=""),
    "unknown-fields": Manner(unknown=UNKNOWN),
    "all-at-once": Manner(
        events_under=None, event_name="type", event_time="created_at", event_prefix="", times="offset"
    ),
}


@pytest.mark.parametrize("manner", EVENT_MANNERS.values(), ids=EVENT_MANNERS)
async def test_events_are_read_in_every_shape(manner: Manner) -> None:
    async with ContractServer(manner, [make_call(1)]) as server, make_client(server.base_url) as client:
        events = await client.list_events("call_0001")
        (body,) = server.sent
        assert server.violations == []
    sent = body if manner.events_under is None else body[manner.events_under]
    assert len(events) == len(sent) == 3
    for event, row in zip(events, sent, strict=True):
        assert (event.id, event.type) == (row["id"], row[manner.event_name])
        assert event.timestamp == datetime.fromisoformat(row[manner.event_time])
        assert event.timestamp.utcoffset() == timedelta(0)
        assert event.data == {"call_id": "call_0001"}
        assert dict(event.extra) == dict(manner.unknown)
        assert same(event.to_dict(), row)


EVENT_NAMES = """
    call.initiated call.ringing call.answered call.completed call.failed recording.ready transcript.ready
    call.started call.ended call.recording.completed call.recording.ready transcription.completed
    ringing initiated something.else
"""


@pytest.mark.parametrize("name", EVENT_NAMES.split())
@pytest.mark.parametrize("under", ["event", "type"])
async def test_an_events_name_is_kept_as_it_came(name: str, under: str) -> None:
    (event,) = await read(lambda c: c.list_events("call_1"), {"events": [{under: name}]})
    assert (event.type, event.id, event.timestamp) == (name, None, None)
    assert same(event.to_dict(), {under: name})


async def test_events_come_oldest_first_whatever_their_zones() -> None:
    stamps = {"c": "2025-01-10T12:00:02Z", "a": "2025-01-10T14:00:00+02:00", "b": "2025-01-10T12:00:00.5Z"}
    sent = [{"id": name, "event": "call.ringing", "timestamp": stamp} for name, stamp in stamps.items()]
    events = await read(lambda c: c.list_events("call_1"), sent)
    assert [event.id for event in events] == ["a", "b", "c"]


async def test_events_without_a_readable_time_are_all_there() -> None:
    sent = [{"id": "a"}, {"id": "b", "timestamp": "2025-01-10T12:00:00Z"}, {"id": "c", "timestamp": "soon"}]
    events = await read(lambda c: c.list_events("call_1"), {"events": sent})
    assert {event.id: event.timestamp for event in events} == {
        "a": None,
        "b": datetime(2025, 1, 10, 12, tzinfo=UTC),
        "c": None,
    }
    assert {event.id: event.to_dict() for event in events} == {row["id"]: row for row in sent}


@pytest.mark.parametrize("body", [[], {"events": []}, {"data": []}], ids=["bare", "events", "data"])
async def test_a_call_may_have_no_events(body: Any) -> None:
    assert await read(lambda c: c.list_events("call_1"), body) == []


# Hanging up


@pytest.mark.parametrize("hang_up", ["call", "brief", "success", "empty"])
async def test_a_hang_up_reads_each_of_its_answers(hang_up: Any) -> None:
    row = make_call(1, status="in_progress", hangup_cause=None, completed_at=None)
    async with ContractServer(Manner(hang_up=hang_up), [row]) as server, make_client(server.base_url) as client:
        result = await client.hang_up("call_0001")
        assert (server.violations, len(server.requests)) == ([], 1)
        (sent,) = server.sent
    said = hang_up in {"call", "brief"}
    assert result.id == "call_0001"
    assert (result.status, result.hangup_cause) == (("completed", "agent_hangup") if said else (None, None))
    assert same(result.to_dict(), sent or {})


@pytest.mark.parametrize("status", [200, 202])
async def test_a18_a_hang_up_takes_any_empty_success(status: int) -> None:
    async with RawServer() as server, make_client(server.url) as client:
        server.script(answer(status, b"", content_type=None))
        assert (await client.hang_up("call_1")).id == "call_1"
        assert len(server.requests) == 1


REFUSALS: dict[int, type[ApiError]] = {400: BadRequestError, 404: NotFoundError, 409: ConflictError}


@pytest.mark.parametrize("status", REFUSALS)
async def test_hanging_up_an_ended_call_is_the_refusal_it_is(status: Any) -> None:
    manner = Manner(refuses_ended_with=status)
    async with ContractServer(manner, [make_call(1)]) as server, make_client(server.base_url) as client:
        with pytest.raises(REFUSALS[status]) as raised:
            await client.hang_up("call_0001")
        assert (raised.value.status, raised.value.message) == (status, "the call has ended")
        assert (server.violations, len(server.requests)) == ([], 1)


# Recording links


@pytest.mark.parametrize("unknown", [{}, UNKNOWN], ids=["documented", "unknown-fields"])
async def test_a_recording_link_is_read_in_full(unknown: dict[str, Any]) -> None:
    sent = {
        "recording_url": LINK,
        "expires_at": "2025-01-10T11:00:00Z",
        "duration_seconds": 180,
        "format": "mp3",
        "size_bytes": 2160000,
    } | unknown
    link = await read(lambda c: c.get_recording("call_0001"), sent)
    assert (link.url, link.expires_at) == (LINK, datetime(2025, 1, 10, 11, tzinfo=UTC))
    assert (link.duration_seconds, link.format, link.size_bytes) == (180, "mp3", 2160000)
    assert dict(link.extra) == unknown
    assert same(link.to_dict(), sent)


async def test_a_recording_link_alone_is_enough() -> None:
    link = await read(lambda c: c.get_recording("call_0001"), {"recording_url": LINK})
    assert (link.url, link.expires_at, link.duration_seconds, link.size_bytes) == (LINK, None, None, None)


async def test_no_recording_is_not_found() -> None:
    async with ContractServer(rows=[make_call(1)]) as server, make_client(server.base_url) as client:
        with pytest.raises(NotFoundError):
            await client.get_recording("call_0001")
        assert (server.violations, len(server.requests)) == ([], 1)
