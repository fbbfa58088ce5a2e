"""What type checkers make of every verb. Never executed: mypy and pyright read it, as strictly as they can."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, aclosing, closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import assert_type

import aiohttp

from krosai_calls import (
    ArchiveReport,
    AsyncCallsClient,
    Call,
    CallDirection,
    CallEvent,
    CallsClient,
    CallStats,
    CallStatus,
    Download,
    HangupResult,
    Page,
    RecordingLink,
    RecordingStream,
    RetryPolicy,
    Turn,
)
from krosai_calls._blocking import BlockingCallIterator, BlockingPageIterator, BlockingRecordingStream
from krosai_calls._listing import CallIterator, PageIterator
from krosai_calls.observing import Event

MOMENT = datetime(2025, 1, 10, tzinfo=UTC)


def note(event: Event) -> None: ...


def count(received: int, total: int | None) -> None: ...


def show(report: ArchiveReport) -> None: ...


async def every_verb_awaited(client: AsyncCallsClient, call: Call) -> None:
    assert_type(await client.list_calls(), Page)
    assert_type(
        await client.list_calls(
            status=CallStatus.COMPLETED,
            direction="inbound",
            phone_number_id="pn_1",
            endpoint_id=None,
            from_date=date(2025, 1, 1),
            to_date=MOMENT,
            limit=100,
            offset=100,
        ),
        Page,
    )
    calls = client.iter_calls(status="completed", direction=CallDirection.INBOUND, max_items=3, page_size=10)
    assert_type(calls, CallIterator)
    assert_type(calls.pages, PageIterator)
    assert_type(await calls.aclose(), None)
    async for each in calls:
        assert_type(each, Call)
    async with aclosing(client.iter_pages(from_date="2025-01-01", page_size=10)) as pages:
        assert_type(pages, PageIterator)
        async for page in pages:
            assert_type(page, list[Call])
    assert_type(await client.get_call("call_1"), Call)
    assert_type(await client.get_stats(from_date=MOMENT), CallStats)
    assert_type(await client.list_events("call_1"), list[CallEvent])
    assert_type(client.watch_events("call_1", poll_seconds=2), AsyncGenerator[CallEvent, None])
    assert_type(await client.wait_until_ended("call_1", timeout_seconds=60, poll_seconds=2), Call)
    assert_type(await client.hang_up("call_1"), HangupResult)
    assert_type(await client.get_recording("call_1"), RecordingLink)
    opening = client.stream_recording(call)
    assert_type(opening, AbstractAsyncContextManager[RecordingStream])
    async with client.stream_recording("call_1") as stream:
        assert_type(stream, RecordingStream)
        assert_type((stream.size_bytes, stream.content_type), tuple[int, str | None])
        async for piece in stream:
            assert_type(piece, bytes)
    assert_type(await client.download_recording(call, "a.mp3"), Download)
    assert_type(await client.download_recording("call_1", Path("a.mp3"), progress=count), Download)
    assert_type(await client.download_transcript(call, "a.txt"), Path)
    assert_type(await client.archive("calls", status="completed", events=True, progress=show), ArchiveReport)
    assert_type(await client.aclose(), None)


def every_verb_blocking(client: CallsClient, call: Call) -> None:
    assert_type(client.list_calls(), Page)
    assert_type(
        client.list_calls(
            status=CallStatus.COMPLETED,
            direction="inbound",
            phone_number_id="pn_1",
            endpoint_id=None,
            from_date=date(2025, 1, 1),
            to_date=MOMENT,
            limit=100,
            offset=100,
        ),
        Page,
    )
    calls = client.iter_calls(status="completed", direction=CallDirection.INBOUND, max_items=3, page_size=10)
    assert_type(calls, BlockingCallIterator)
    assert_type(calls.pages, BlockingPageIterator)
    assert_type(calls.close(), None)
    for each in calls:
        assert_type(each, Call)
    with closing(client.iter_pages(from_date="2025-01-01", page_size=10)) as pages:
        assert_type(pages, BlockingPageIterator)
        for page in pages:
            assert_type(page, list[Call])
    assert_type(client.get_call("call_1"), Call)
    assert_type(client.get_stats(from_date=MOMENT), CallStats)
    assert_type(client.list_events("call_1"), list[CallEvent])
    assert_type(client.watch_events("call_1", poll_seconds=2), Iterator[CallEvent])
    assert_type(client.wait_until_ended("call_1", timeout_seconds=60, poll_seconds=2), Call)
    assert_type(client.hang_up("call_1"), HangupResult)
    assert_type(client.get_recording("call_1"), RecordingLink)
    opening = client.stream_recording(call)
    assert_type(opening, AbstractContextManager[BlockingRecordingStream])
    with client.stream_recording("call_1") as stream:
        assert_type(stream, BlockingRecordingStream)
        assert_type((stream.size_bytes, stream.content_type), tuple[int, str | None])
        for piece in stream:
            assert_type(piece, bytes)
    assert_type(client.download_recording(call, "a.mp3"), Download)
    assert_type(client.download_recording("call_1", Path("a.mp3"), progress=count), Download)
    assert_type(client.download_transcript(call, "a.txt"), Path)
    assert_type(client.archive("calls", status="completed", events=True, progress=show), ArchiveReport)
    assert_type(client.close(), None)


async def making_and_closing_them(session: aiohttp.ClientSession) -> None:
    async with AsyncCallsClient() as one:
        assert_type(one, AsyncCallsClient)
    AsyncCallsClient("key", session=session, retry=RetryPolicy(max_attempts=1), on_event=note)
    with CallsClient("key", base_url="https://example.com/v1", on_event=note, default_query={"a": "b"}) as other:
        assert_type(other, CallsClient)


def what_records_hold(call: Call, page: Page) -> None:
    assert_type(call.id, str)
    assert_type(call.created_at, datetime | None)
    assert_type(call.turns, list[Turn])
    assert_type((call.has_ended, call.has_recording), tuple[bool, bool])
    assert_type(page.next_offset, int | None)
