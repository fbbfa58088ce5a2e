"""What goes wrong in a sandbox on purpose, over real sockets; and which request it befalls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sandbox_caller import Answer, Caller, calling
from yarl import URL

from krosai_calls import AsyncCallsClient, RetryPolicy, ServerError
from krosai_calls.errors import SettingsError
from krosai_calls.sandbox import RecordedRequest, Sandbox

AT_ONCE = RetryPolicy(base_delay_seconds=0.0)


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with calling(calls=30) as found:
        yield found


async def statuses(caller: Caller, *paths: str) -> list[int]:
    return [(await caller.ask(path)).status for path in paths]


# ---- which request


async def test_a_fault_befalls_the_next_request_once(caller: Caller) -> None:
    caller.sandbox.fail_next(503)
    assert await statuses(caller, "/calls", "/calls") == [503, 200]
    assert [request.status for request in caller.sandbox.requests] == [503, 200]


async def test_a_fault_befalls_as_many_requests_as_was_said_and_others_wait_for_their_turn(caller: Caller) -> None:
    caller.sandbox.fail_next(500, times=2)
    caller.sandbox.fail_next(402)
    assert await statuses(caller, *["/calls"] * 4) == [500, 500, 402, 200]


async def test_a_fault_without_end_ends_with_reset(caller: Caller) -> None:
    caller.sandbox.fail_next(502, times=None)
    assert await statuses(caller, *["/calls"] * 5) == [502] * 5
    caller.sandbox.reset()
    assert await statuses(caller, "/calls") == [200]


@pytest.mark.parametrize(
    ("target", "met"),
    [
        ({"endpoint": "get_stats"}, [200, 503, 200, 200]),
        ({"server": "storage"}, [200, 200, 200, 503]),
        ({"server": "api"}, [503, 503, 503, 200]),
        ({"path": "/v1/calls"}, [503, 200, 200, 200]),
        ({"path": "/v1/calls/*"}, [200, 503, 503, 200]),
        ({"path": "*/events", "method": "GET"}, [200, 200, 503, 200]),
        ({"path": "*/events", "method": "POST"}, [200, 200, 200, 200]),
    ],
)
async def test_a_fault_waits_for_a_request_that_fits(caller: Caller, target: Any, met: list[int]) -> None:
    url, call_id = await caller.url_of_a_recording(), caller.sandbox.calls[0]["id"]
    caller.sandbox.fail_next(503, times=None, **target)
    seen = await statuses(caller, "/calls", "/calls/stats", f"/calls/{call_id}/events")
    assert [*seen, (await caller.fetch(url)).status] == met


async def test_on_request_can_plan_a_fault_for_the_very_request_it_is_told_of(caller: Caller) -> None:
    def refuse_stats(request: RecordedRequest) -> None:
        if request.endpoint == "get_stats":
            caller.sandbox.fail_next(500)

    caller.sandbox.on_request = refuse_stats
    assert await statuses(caller, "/calls", "/calls/stats", "/calls") == [200, 500, 200]


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({}, "one fault"),
        ({"status": 503, "cut_after_bytes": 5}, "one fault"),
        ({"html_page": False}, "one fault"),
        ({"status": 200}, "status"),
        ({"status": 600}, "status"),
        ({"status": "503"}, "status"),
        ({"retry_after": 5}, "one fault"),
        ({"cut_after_bytes": 5, "retry_after": 5}, "retry_after"),
        ({"status": 503, "retry_after": -1}, "retry_after"),
        ({"status": 503, "retry_after": datetime(2025, 1, 1)}, "retry_after"),
        ({"status": 503, "stall_after_bytes": 4}, "stall_after_bytes"),
        ({"stall_seconds": 4000}, "stall_seconds"),
        ({"cut_after_bytes": -1}, "cut_after_bytes"),
        ({"reset_after_bytes": 1.5}, "reset_after_bytes"),
        ({"ignore_range": 1}, "ignore_range"),
        ({"explode": True}, "explode"),
        ({"status": 503, "times": 0}, "times"),
        ({"status": 503, "server": "cdn"}, "server"),
        ({"status": 503, "endpoint": "calls"}, "endpoint"),
        ({"status": 503, "path": "calls"}, "path"),
        ({"status": 503, "method": "get"}, "method"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_by_its_name(fault: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        Sandbox().fail_next(**fault)


def test_a_thousand_faults_may_wait_and_no_more() -> None:
    sandbox = Sandbox()
    for _ in range(1000):
        sandbox.fail_next(503)
    with pytest.raises(SettingsError, match="1,000"):
        sandbox.fail_next(503)


# ---- what happens


@pytest.mark.parametrize(
    ("retry_after", "header", "told"),
    [
        (1.5, "1.5", {"retry_after": 1.5}),
        (datetime(2025, 3, 14, 9, 0, 7, tzinfo=UTC), "Fri, 14 Mar 2025 09:00:07 GMT", {}),
    ],
)
async def test_a_refusal_is_like_one_of_the_service(
    caller: Caller, retry_after: Any, header: str, told: dict[str, Any]
) -> None:
    caller.sandbox.fail_next(429, retry_after=retry_after)
    answer = await caller.ask("/calls")
    assert (answer.status, answer.headers["Retry-After"]) == (429, header)
    assert answer.json() == {"code": "RATE_LIMIT_EXCEEDED", "error": answer.json()["error"], **told}
    assert "X-RateLimit-Limit" in answer.headers


async def test_a_storage_host_refuses_in_its_own_way(caller: Caller) -> None:
    url = await caller.url_of_a_recording()
    caller.sandbox.fail_next(503, retry_after=2, server="storage")
    answer = await caller.fetch(url)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert answer.headers["Content-Type"].startswith("application/xml")


@pytest.mark.parametrize(("more", "status"), [({}, 200), ({"status": 502}, 502)])
async def test_a_web_page_comes_instead(caller: Caller, more: Any, status: int) -> None:
    url = await caller.url_of_a_recording()
    caller.sandbox.fail_next(html_page=True, times=2, **more)
    for answer in (await caller.ask("/calls"), await caller.fetch(url)):
        assert answer.status == status
        assert answer.headers["Content-Type"].startswith("text/html")
        assert b"<html>" in answer.body


async def raw_answer(url: str, headers: dict[str, str]) -> tuple[bytes, bool]:
    """What comes over a bare connection, and whether it ended by a reset."""
    place = URL(url)
    reader, writer = await asyncio.open_connection(place.host, place.port)
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET {place.raw_path_qs} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())
    came, by_reset = b"", False
    try:
        while piece := await reader.read(65_536):
            came += piece
    except ConnectionResetError:
        by_reset = True
    writer.close()
    return came, by_reset


@pytest.mark.parametrize("count", [1, 1000, 20_000])
async def test_a_connection_is_cut_after_so_many_bytes_of_a_recording(caller: Caller, count: int) -> None:
    url = await caller.url_of_a_recording()
    whole = await caller.fetch(url)
    caller.sandbox.fail_next(cut_after_bytes=count)
    came, by_reset = await raw_answer(url, {})
    head, _, body = came.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(whole.body)}".encode() in head
    assert (body, by_reset) == (whole.body[:count], False)


async def test_an_answer_of_the_api_is_cut_too(caller: Caller) -> None:
    caller.sandbox.fail_next(cut_after_bytes=100)
    came, _ = await raw_answer(f"{caller.sandbox.base_url}/calls", caller.key)
    assert len(came.partition(b"\r\n\r\n")[2]) == 100


@pytest.mark.parametrize(
    ("fault", "by_reset"), [({"cut_after_bytes": 0}, False), ({"reset_after_bytes": 0}, True)]
)
async def test_a_connection_ends_before_there_is_an_answer(caller: Caller, fault: Any, by_reset: bool) -> None:
    caller.sandbox.fail_next(**fault)
    assert await raw_answer(f"{caller.sandbox.base_url}/calls", caller.key) == (b"", by_reset)
    assert [request.status for request in caller.sandbox.requests] == [None]


async def test_a_connection_is_reset_in_the_middle(caller: Caller) -> None:
    url = await caller.url_of_a_recording()
    caller.sandbox.fail_next(reset_after_bytes=5000)
    _, by_reset = await raw_answer(url, {})
    assert by_reset


@pytest.mark.parametrize("after_bytes", [0, 1000])
async def test_a_stall_is_silence(caller: Caller, after_bytes: int) -> None:
    url = URL(await caller.url_of_a_recording())
    caller.sandbox.fail_next(stall_seconds=60, stall_after_bytes=after_bytes)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"GET {url.raw_path_qs} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    if after_bytes:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(1000)
    else:
        while not caller.sandbox.storage_requests:  # noqa: ASYNC110 - the journal has no event to wait for
            await asyncio.sleep(0)
    # Other requests come and go meanwhile, and nothing more arrives here.
    for _ in range(5):
        assert (await caller.ask("/calls")).status == 200
    more = asyncio.ensure_future(reader.read(1))
    await asyncio.sleep(0)
    assert not more.done()
    more.cancel()
    writer.close()


async def test_what_stalls_goes_on_afterwards(caller: Caller) -> None:
    url = await caller.url_of_a_recording()
    whole = await caller.fetch(url)
    caller.sandbox.fail_next(stall_seconds=0.001, times=2)
    caller.sandbox.fail_next(stall_seconds=0.001, stall_after_bytes=1000)
    assert (await caller.ask("/calls")).status == 200
    for _ in range(2):
        assert (await caller.fetch(url)).body == whole.body


async def part(caller: Caller, url: str, **more: str) -> Answer:
    return await caller.fetch(url, Range="bytes=5000-5999", **more)


async def test_a_range_is_ignored(caller: Caller) -> None:
    url = await caller.url_of_a_recording()
    whole = await caller.fetch(url)
    caller.sandbox.fail_next(ignore_range=True)
    assert (await caller.fetch(url)).status == 200  # it waits for a request with a range
    ignored = await part(caller, url)
    assert (ignored.status, ignored.body, "Content-Range" in ignored.headers) == (200, whole.body, False)
    assert (await part(caller, url)).status == 206


@pytest.mark.parametrize(
    ("wanted", "told"), [("bytes=5000-5999", "4000-5999"), ("bytes=0-9", "1-9"), ("bytes=500-", "0-")]
)
async def test_another_range_comes_than_was_asked_for_and_says_so(caller: Caller, wanted: str, told: str) -> None:
    url = await caller.url_of_a_recording()
    whole = (await caller.fetch(url)).body
    caller.sandbox.fail_next(wrong_range=True)
    answer = await caller.fetch(url, Range=wanted)
    first, last = answer.headers["Content-Range"].removeprefix("bytes ").partition("/")[0].split("-")
    assert answer.status == 206
    assert f"{first}-{last}".startswith(told)
    assert answer.body == whole[int(first) : int(last) + 1]


async def test_a_recording_is_replaced_under_its_link_and_stays_so(caller: Caller) -> None:
    url = await caller.url_of_a_recording()
    first = await caller.fetch(url)
    caller.sandbox.fail_next(replace_recording=True)
    resumed = await part(caller, url, If_Range=first.headers["ETag"])
    assert resumed.status == 200
    assert resumed.headers["ETag"] != first.headers["ETag"]
    assert len(resumed.body) == len(first.body)
    assert resumed.body != first.body
    again = await caller.fetch(url)
    assert (again.body, again.headers["ETag"]) == (resumed.body, resumed.headers["ETag"])
    caller.sandbox.reset()
    assert (await caller.fetch(url)).body == first.body


# ---- with the client


RECOVERABLE: dict[str, dict[str, Any]] = {
    "refused": {"status": 503, "times": 2},
    "cut": {"cut_after_bytes": 10_000},
    "cut twice": {"cut_after_bytes": 10_000, "times": 2},
    "reset": {"reset_after_bytes": 10_000},
    "no answer": {"cut_after_bytes": 0},
}


@pytest.mark.parametrize("fault", RECOVERABLE.values(), ids=RECOVERABLE)
async def test_a_recording_comes_whole_all_the_same(caller: Caller, fault: dict[str, Any], tmp_path: Path) -> None:
    call = next(row for row in caller.sandbox.calls if row["recording_url"])
    whole = (await caller.fetch(call["recording_url"])).body
    caller.sandbox.fail_next(server="storage", **fault)
    async with AsyncCallsClient(caller.sandbox.api_key, base_url=caller.sandbox.base_url, retry=AT_ONCE) as client:
        await client.download_recording(call["id"], tmp_path / "a.mp3")
    assert (tmp_path / "a.mp3").read_bytes() == whole


@pytest.mark.parametrize("instead", [{"ignore_range": True}, {"wrong_range": True}, {"replace_recording": True}])
async def test_a_resume_that_meets_another_fault_never_mixes_two(
    caller: Caller, instead: Any, tmp_path: Path
) -> None:
    call = next(row for row in caller.sandbox.calls if row["recording_url"])
    caller.sandbox.fail_next(cut_after_bytes=10_000, endpoint="recording")
    caller.sandbox.on_request = lambda request: (
        caller.sandbox.fail_next(**instead) if "range" in request.headers else None
    )
    async with AsyncCallsClient(caller.sandbox.api_key, base_url=caller.sandbox.base_url, retry=AT_ONCE) as client:
        await client.download_recording(call["id"], tmp_path / "a.mp3")
    caller.sandbox.on_request = None
    assert (tmp_path / "a.mp3").read_bytes() == (await caller.fetch(call["recording_url"])).body


async def test_a_share_of_the_requests_meets_faults_the_same_ones_each_time() -> None:
    seen = []
    for _ in range(2):
        async with calling(calls=5, fault_rate=0.3) as caller:
            for _ in range(40):
                try:
                    seen.append((await caller.ask("/calls/stats")).status)
                except aiohttp.ClientError:
                    seen.append(0)
    assert seen[:40] == seen[40:]
    assert 5 <= sum(status != 200 for status in seen[:40]) <= 20


async def test_a_client_lists_everything_in_a_sandbox_of_many_faults() -> None:
    async with (
        Sandbox(calls=60, fault_rate=0.1, seed=3) as sandbox,
        AsyncCallsClient(sandbox.api_key, base_url=sandbox.base_url, retry=AT_ONCE) as client,
    ):
        seen = [call.id async for call in client.iter_calls(page_size=5)]
        assert seen == [call["id"] for call in sandbox.calls]
        assert any(request.status != 200 for request in sandbox.requests)


async def test_a_client_that_may_ask_once_raises_what_it_met(caller: Caller) -> None:
    caller.sandbox.fail_next(500, endpoint="get_stats")
    once = RetryPolicy(max_attempts=1)
    async with AsyncCallsClient(caller.sandbox.api_key, base_url=caller.sandbox.base_url, retry=once) as client:
        with pytest.raises(ServerError):
            await client.get_stats()
        await client.get_stats()
