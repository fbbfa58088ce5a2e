"""Recordings that are not there yet, any more, or never were (H1 to H4)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from raw_server import answer
from storage_server import CALL, FRESH, MP3, Storage, cut, names, serving, status

from krosai_calls import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    RecordingGoneError,
    RecordingNotReadyError,
    ServerError,
)
from krosai_calls.errors import KrosaiError


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


def without_link(storage: Storage, number: int = 404, **fields: Any) -> None:
    """The API has no link; the call is as it is said to be."""
    storage.api[FRESH] = answer(number)
    storage.api[CALL] = answer(200, json.dumps({"id": "call_1", **fields}).encode())


NOT_YET: dict[str, dict[str, Any]] = {
    "ringing": {"status": "ringing"},
    "going on": {"status": "in_progress", "created_at": ago(days=3)},
    "of a status nobody knows": {"status": "transferring"},
    "ended a minute ago": {"status": "completed", "completed_at": ago(minutes=1)},
    "ended half a day ago": {"status": "completed", "completed_at": ago(hours=12)},
    "ended, nobody says when": {"status": "completed"},
    "ended in the future": {"status": "completed", "completed_at": ago(hours=-2)},
}
GONE: dict[str, dict[str, Any]] = {
    "ended long ago": {"status": "completed", "completed_at": ago(days=2)},
    "begun long ago": {"status": "completed", "created_at": ago(days=40)},
    "never answered": {"status": "no_answer", "completed_at": ago(minutes=1)},
    "busy": {"status": "busy"},
    "failed": {"status": "failed", "completed_at": ago(minutes=1)},
}


@pytest.mark.parametrize("fields", NOT_YET.values(), ids=NOT_YET)
async def test_h01_of_a_call_that_may_get_a_recording_there_is_none_yet(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    async with serving() as storage:
        without_link(storage, **fields)
        with pytest.raises(RecordingNotReadyError) as raised:
            await storage.save(tmp_path, call="call_1")
        assert raised.value.call_id == "call_1"
        with pytest.raises(RecordingNotReadyError):
            async with storage.client.stream_recording("call_1"):
                pass
        assert [request.path for request in storage.server.requests] == [FRESH, CALL] * 2
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [404, 410])
@pytest.mark.parametrize("fields", GONE.values(), ids=GONE)
async def test_h02_of_a_call_that_ended_long_ago_or_never_connected_it_is_gone(
    tmp_path: Path, fields: dict[str, Any], number: int
) -> None:
    async with serving() as storage:
        without_link(storage, number, **fields)
        with pytest.raises(RecordingGoneError) as raised:
            await storage.save(tmp_path, call="call_1")
        assert raised.value.call_id == "call_1"
        assert storage.asked == []
    assert names(tmp_path) == []


async def test_h02_a_service_that_says_gone_is_believed_however_young_the_call_is(tmp_path: Path) -> None:
    async with serving() as storage:
        without_link(storage, 410, **NOT_YET["ended a minute ago"])
        with pytest.raises(RecordingGoneError):
            await storage.save(tmp_path, call="call_1")


async def test_h01_a_link_that_only_the_call_has_is_used(tmp_path: Path) -> None:
    async with serving() as storage:
        without_link(storage, status="completed", recording_url=storage.link)
        await storage.save(tmp_path, call="call_1")
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_h01_a_call_that_does_not_exist_is_told_as_such(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.api[FRESH] = answer(404)
        with pytest.raises(NotFoundError):
            await storage.save(tmp_path, call="call_1")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "kind"), [(401, AuthenticationError), (403, PermissionDeniedError), (500, ServerError)]
)
async def test_h01_a_refusal_by_the_api_says_nothing_of_the_recording(
    tmp_path: Path, number: int, kind: type[KrosaiError]
) -> None:
    async with serving() as storage:
        without_link(storage, number, **GONE["ended long ago"])
        storage.plan(cut(5000), status(403))
        with pytest.raises(kind):
            await storage.save(tmp_path)
        # The part is as good as ever.
        assert names(tmp_path) == ["call.mp3.part", "call.mp3.part.log"]
        storage.api.clear()
        assert (await storage.save(tmp_path)).resumed_bytes == 5000


@pytest.mark.parametrize("begun", [False, True], ids=["at first", "under way"])
async def test_h03_what_storage_does_not_have_is_asked_for_once_more_by_a_fresh_link(
    tmp_path: Path, begun: bool
) -> None:
    first = [cut(5000)] if begun else []
    async with serving() as storage:
        storage.plan(*first, status(404, body=b"<Error><Code>NoSuchKey</Code></Error>"))
        await storage.save(tmp_path)
        assert storage.fresh_links == 1
        assert (tmp_path / "call.mp3").read_bytes() == MP3
        (tmp_path / "call.mp3").unlink()
        storage.plan(*first, *[status(404)] * 9)
        before = len(storage.asked)
        with pytest.raises(RecordingGoneError) as raised:
            await storage.save(tmp_path)
        assert raised.value.call_id == "call_1"
        assert len(storage.asked) - before == len(first) + 2
    assert names(tmp_path) == []


async def test_h03_what_storage_does_not_have_and_the_api_does_not_know_is_gone(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.api[FRESH] = answer(404)
        storage.plan(status(404))
        with pytest.raises(RecordingGoneError):
            await storage.save(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [404, 410])
async def test_h04_a_recording_that_is_deleted_while_it_comes_leaves_nothing(tmp_path: Path, number: int) -> None:
    async with serving() as storage:
        without_link(storage, number, **GONE["ended long ago"])
        storage.plan(cut(5000), *[status(number)] * 9)
        with pytest.raises(RecordingGoneError):
            await storage.save(tmp_path)
    assert names(tmp_path) == []


async def test_h04_a_recording_that_is_deleted_while_it_comes_leaves_an_older_file_alone(tmp_path: Path) -> None:
    (tmp_path / "call.mp3").write_bytes(b"the canary")
    async with serving() as storage:
        without_link(storage, **GONE["ended long ago"])
        storage.plan(cut(5000), *[status(403)] * 9)
        with pytest.raises(RecordingGoneError):
            await storage.save(tmp_path)
    assert names(tmp_path) == ["call.mp3"]
    assert (tmp_path / "call.mp3").read_bytes() == b"the canary"
