"""Typical misuse, which type checkers have to refuse. Never executed: mypy and pyright read it.

Each line says how it is refused. Were it not, that word would be one too many, and both tell so.
"""

# What comes of what is refused is of no known type.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import aiohttp

from krosai_calls import AsyncCallsClient, Call, CallsClient, Page


def wrong_arguments(client: CallsClient, call: Call) -> None:
    client.get_call()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.get_call(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.get_call(call)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.list_calls("completed")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.list_calls(limit="10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.iter_calls(limit=10)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.iter_pages(max_items=10)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.get_stats(from_date=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.download_recording(call)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.download_recording(call, "", progress=one)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.archive("calls", max_items=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def one(received: int) -> None: ...


def wrong_results(client: CallsClient, call: Call) -> tuple[Page, int]:
    page: Page = client.get_call("call_1")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    total: int = client.list_calls().total  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    call.duration_seconds  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    return page, total


async def the_one_taken_for_the_other(client: CallsClient, other: AsyncCallsClient) -> None:
    await client.get_call("call_1")  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    async for _ in client.iter_calls():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    async with client:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    other.get_call("call_1").id  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    other.hang_up("call_1")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    for _ in other.iter_calls():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    with other:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    with other.stream_recording("call_1"):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    stream = client.stream_recording("call_1")
    for _ in stream:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


def wrong_settings(session: aiohttp.ClientSession) -> None:
    CallsClient("key", "https://example.com")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    CallsClient(session=session)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    CallsClient(retry=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    CallsClient(timeout_seconds="30")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    AsyncCallsClient(on_event=print_nothing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def print_nothing() -> None: ...


def a_record_cannot_be_changed(call: Call) -> None:
    call.status = "completed"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
