"""A history to a folder, over real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from audio import recording
from raw_server import Answer, RawServer, Request, answer

from krosai_calls import (
    ArchiveError,
    ArchiveReport,
    AsyncCallsClient,
    AuthenticationError,
    InvalidArgumentError,
    RequestBudgetExceededError,
    RetryPolicy,
)
from krosai_calls.sandbox import Sandbox

MP3 = recording(5)


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file of an archive but the catalogue."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("catalog.sqlite")
    }


def ids_in(folder: Path) -> set[str]:
    """The calls in the catalogue."""
    connection = sqlite3.connect(folder / "catalog.sqlite")
    try:
        return {row[0] for row in connection.execute("SELECT id FROM calls")}
    finally:
        connection.close()


class World:
    """An API with a history of its own, whose storage may misbehave."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.page_answers: dict[int, Answer] = {}
        self.storage_answers: dict[str, Answer] = {}
        self.server = RawServer(self._answer)

    def add(self, call_id: str, **fields: Any) -> None:
        link = f"{self.server.url}/storage/{len(self.rows)}.mp3?signature=CANARYSIG"
        common = {
            "status": "completed",
            "created_at": "2025-01-10T12:00:00Z",
            "completed_at": "2025-01-10T12:01:00Z",
        }
        self.rows.append(
            {"id": call_id, **common, "recording_url": link, "transcript": f"[Agent]: {call_id}"} | fields
        )

    def requests_to(self, beginning: str) -> list[Request]:
        return [request for request in self.server.requests if request.path.startswith(beginning)]

    def _answer(self, request: Request) -> Answer:
        if request.path.startswith("/storage/"):
            return self.storage_answers.get(request.path, answer(200, MP3, content_type="audio/mpeg"))
        if request.path.endswith("/events"):
            return answer(200, b'{"events": [{"id": "e", "event": "call.ringing"}]}')
        if request.path != "/v1/calls":
            return answer(404)
        query = dict(request.query)
        limit, offset = int(query["limit"]), int(query["offset"])
        page = {
            "calls": self.rows[offset : offset + limit],
            "total": len(self.rows),
            "offset": offset,
            "limit": limit,
        }
        return self.page_answers.get(offset) or answer(200, json.dumps(page).encode())


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    async with made.server:
        yield made


@pytest.fixture
async def worlds_client(world: World) -> AsyncIterator[AsyncCallsClient]:
    retry = RetryPolicy(max_attempts=2, base_delay_seconds=0.0)
    async with AsyncCallsClient("kros_test_x", base_url=f"{world.server.url}/v1", retry=retry) as client:
        yield client


async def test_the_sandboxs_history_is_archived_whole(
    sandbox: Sandbox, client: AsyncCallsClient, tmp_path: Path
) -> None:
    report = await client.archive(tmp_path / "calls")
    files = files_in(tmp_path / "calls")
    with_recording = [call for call in sandbox.calls if call["recording_url"]]
    with_transcript = [call for call in sandbox.calls if call["transcript"]]
    assert ids_in(tmp_path / "calls") == {call["id"] for call in sandbox.calls}
    assert sum(name.endswith(".mp3") for name in files) == len(with_recording) == report.recordings_saved
    assert sum(name.endswith(".txt") for name in files) == len(with_transcript) == report.transcripts_saved
    for call in with_transcript:
        day = datetime.fromisoformat(call["created_at"]).astimezone(UTC).strftime("%Y/%m/%d")
        assert files[f"transcripts/{day}/{call['id']}.txt"].decode() == call["transcript"]
    assert report.failures == ()
    assert report.calls_seen == report.calls_new == report.calls_total == 30


@pytest.mark.parametrize(("calls", "most"), [(0, 1), (1, 1), (99, 1), (100, 2), (101, 2), (250, 3)])
async def test_archiving_costs_a_request_for_a_hundred_calls(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path, calls: int, most: int
) -> None:
    for number in range(calls):
        world.add(f"call_{number}")
    report = await worlds_client.archive(tmp_path)
    assert len(world.requests_to("/v1/")) == report.requests == most
    assert report.recordings_saved == calls


async def test_a_second_run_fetches_nothing_that_is_there(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    world.add("call_1")
    await worlds_client.archive(tmp_path)
    files = files_in(tmp_path)
    world.add("call_2")
    report = await worlds_client.archive(tmp_path)
    assert len(world.requests_to("/storage/")) == 2
    assert (report.calls_new, report.recordings_saved, report.recordings_present) == (1, 1, 1)
    assert (report.transcripts_saved, report.transcripts_present) == (1, 1)
    assert files.items() < files_in(tmp_path).items()


async def test_files_stand_by_the_utc_day_of_their_call(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    world.add("late", created_at="2025-01-10T23:30:00-02:00")
    world.add("never", created_at=None)
    await worlds_client.archive(tmp_path)
    assert set(files_in(tmp_path)) == {
        "recordings/2025/01/11/late.mp3",
        "transcripts/2025/01/11/late.txt",
        "recordings/undated/never.mp3",
        "transcripts/undated/never.txt",
    }


async def test_m9_hostile_ids_never_leave_the_folder_and_never_collide(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    ids = ["../../etc/x", "/abs", "A", "a", "con", "x.mp3", "-rf", "\x1b[2J", "é", "é" * 300, "call\n1"]
    for call_id in ids:
        world.add(call_id)
    report = await worlds_client.archive(tmp_path / "deep" / "calls")
    names = {name for name in files_in(tmp_path / "deep" / "calls") if name.endswith(".mp3")}
    assert report.recordings_saved == len({name.lower() for name in names}) == len(ids)
    assert os.listdir(tmp_path) == ["deep"]
    assert os.listdir(tmp_path / "deep") == ["calls"]


async def test_one_calls_failure_stops_nothing_and_is_told(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    for number in range(5):
        world.add(f"call_{number}")
    world.storage_answers["/storage/2.mp3"] = answer(200, b"<html>", content_type="audio/mpeg")
    world.storage_answers["/storage/3.mp3"] = answer(404)
    report = await worlds_client.archive(tmp_path)
    assert (report.recordings_saved, report.recordings_failed, report.recordings_gone) == (3, 1, 1)
    (failure,) = report.failures
    assert (failure.call_id, failure.kind) == ("call_2", "recording")
    assert "no MP3" in failure.reason


async def test_a_row_without_an_id_is_counted_and_passed_over(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    world.add("call_1")
    world.rows.append({"id": None})
    world.add("call_2")
    report = await worlds_client.archive(tmp_path)
    assert [failure.kind for failure in report.failures] == ["row"]
    assert ids_in(tmp_path) == {"call_1", "call_2"}


async def test_what_may_still_come_and_what_never_will_are_told_apart(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    nothing = {"recording_url": None, "transcript": None}
    just_now = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    world.add("going on", status="in_progress", completed_at=None, **nothing)
    world.add("just ended", completed_at=just_now, **nothing)
    world.add("long ago", **nothing)
    world.add("busy", status="busy", **nothing)
    report = await worlds_client.archive(tmp_path)
    assert (report.recordings_pending, report.recordings_gone) == (2, 1)
    assert (report.transcripts_pending, report.transcripts_missing) == (2, 1)
    assert len(world.server.requests) == 1


async def test_a_changed_transcript_is_written_anew(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    world.add("call_1")
    await worlds_client.archive(tmp_path)
    world.rows[0]["transcript"] = "[Agent]: corrected, and longer"
    report = await worlds_client.archive(tmp_path)
    assert (report.transcripts_saved, report.calls_updated) == (1, 1)
    assert files_in(tmp_path)["transcripts/2025/01/10/call_1.txt"] == b"[Agent]: corrected, and longer"


async def test_only_what_was_ordered_is_fetched(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    world.add("call_1")
    await worlds_client.archive(tmp_path, recordings=False, transcripts=False, events=True, status="completed")
    assert files_in(tmp_path) == {}
    assert [request.path for request in world.server.requests] == ["/v1/calls", "/v1/calls/call_1/events"]
    assert dict(world.server.requests[0].query)["status"] == "completed"


async def test_n2_a_refused_key_stops_at_once(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    world.page_answers[0] = answer(401)
    with pytest.raises(AuthenticationError):
        await worlds_client.archive(tmp_path)
    assert len(world.server.requests) == 1


async def test_a_used_up_budget_ends_the_run_with_what_was_received_saved(world: World, tmp_path: Path) -> None:
    for number in range(250):
        world.add(f"call_{number}", transcript=None)
    url = f"{world.server.url}/v1"
    async with AsyncCallsClient("kros_test_x", base_url=url, max_requests=1) as client:
        with pytest.raises(RequestBudgetExceededError) as raised:
            await client.archive(tmp_path)
    report: ArchiveReport = raised.value.report
    assert (report.calls_seen, report.recordings_saved, report.requests) == (100, 100, 1)
    assert len(files_in(tmp_path)) == 100


async def test_a_day_that_is_over_ends_the_run_in_the_same_way(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    for number in range(150):
        world.add(f"call_{number}", transcript=None)
    world.page_answers[99] = answer(429, headers=[("Retry-After", "7200")])
    with pytest.raises(RequestBudgetExceededError) as raised:
        await worlds_client.archive(tmp_path)
    assert raised.value.retry_after == 7200
    assert raised.value.report.recordings_saved == len(files_in(tmp_path)) == 100


async def test_a_call_is_in_the_catalogue_before_its_recording_is_asked_for(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    world.add("call_1")
    world.storage_answers["/storage/0.mp3"] = Answer(then="hang")
    run = asyncio.ensure_future(worlds_client.archive(tmp_path))
    await world.server.received(2)
    assert ids_in(tmp_path) == {"call_1"}
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert not [name for name in files_in(tmp_path) if name.endswith(".mp3")]


async def test_no_signature_stays_in_the_folder(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    world.add("call_1")
    await worlds_client.archive(tmp_path)
    assert b"CANARY" not in (tmp_path / "catalog.sqlite").read_bytes() + b"".join(files_in(tmp_path).values())


async def test_progress_grows_with_the_run(world: World, worlds_client: AsyncCallsClient, tmp_path: Path) -> None:
    world.add("call_1")
    seen: list[ArchiveReport] = []
    await worlds_client.archive(tmp_path, progress=seen.append)
    saved = [report.recordings_saved for report in seen]
    assert saved == sorted(saved)
    assert seen[0].calls_total == saved[-1] == 1


async def test_a_folder_that_cannot_be_made_is_told_before_any_request(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArchiveError, match="cannot be used"):
        await worlds_client.archive(tmp_path / "file" / "calls")
    assert world.server.requests == []


async def test_a_wrong_filter_is_told_before_a_folder_is_made(
    world: World, worlds_client: AsyncCallsClient, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError):
        await worlds_client.archive(tmp_path / "calls", from_date=datetime(2025, 1, 1))
    assert os.listdir(tmp_path) == []
