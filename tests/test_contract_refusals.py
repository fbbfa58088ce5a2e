"""What cannot be right is refused before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from contract_client import make_client
from raw_server import RawServer

from krosai_calls import AsyncCallsClient
from krosai_calls.errors import InvalidArgumentError

DAY = timedelta(days=1)
MOMENT = datetime(2025, 1, 10, 12, 30, 15, 250_000, tzinfo=UTC)
IN_KOLKATA = timezone(timedelta(hours=5, minutes=30))

Use = Callable[[AsyncCallsClient], Any]


async def use(result: Any) -> None:
    """Await, enter or exhaust what a verb gave: whatever makes it work."""
    if hasattr(result, "__await__"):
        await result
    elif hasattr(result, "__aenter__"):
        async with result:
            pass
    else:
        async for _ in result:
            pass


async def check_refused(verb: Use) -> None:
    async with RawServer() as server, make_client(server.url) as client:
        with pytest.raises(InvalidArgumentError):
            await use(verb(client))
        assert server.requests == []


@pytest.mark.parametrize("limit", [0, 101, -1, True, False, 1.5, "10", 10**30], ids=repr)
async def test_a_limit_outside_1_to_100_is_refused(limit: Any) -> None:
    await check_refused(lambda c: c.list_calls(limit=limit))
    await check_refused(lambda c: c.iter_calls(page_size=limit))
    await check_refused(lambda c: c.iter_pages(page_size=limit))


@pytest.mark.parametrize("offset", [-1, True, 1.5, "10"], ids=repr)
async def test_an_offset_that_is_no_count_is_refused(offset: Any) -> None:
    await check_refused(lambda c: c.list_calls(offset=offset))


NAIVE = MOMENT.replace(tzinfo=None)
BAD_SPANS = [
    pytest.param({"from_date": NAIVE}, id="naive-from"),
    pytest.param({"to_date": NAIVE}, id="naive-to"),
    pytest.param({"from_date": MOMENT, "to_date": MOMENT - DAY}, id="reversed"),
    pytest.param(
        {"from_date": MOMENT, "to_date": (MOMENT - DAY / 24).astimezone(IN_KOLKATA)}, id="reversed-zones"
    ),
    pytest.param({"from_date": date(2025, 1, 11), "to_date": date(2025, 1, 10)}, id="reversed-days"),
    pytest.param({"from_date": date(2025, 1, 11), "to_date": MOMENT}, id="reversed-day-and-instant"),
    pytest.param({"from_date": "2025-01-11T00:00:00Z", "to_date": "2025-01-10T00:00:00Z"}, id="reversed-texts"),
    pytest.param({"from_date": "soon"}, id="no-date"),
    pytest.param({"from_date": "2025-02-30T00:00:00Z"}, id="no-such-day"),
    pytest.param({"from_date": 1736510400}, id="epoch"),
]


@pytest.mark.parametrize("verb", ["list_calls", "get_stats", "iter_calls", "iter_pages"])
@pytest.mark.parametrize("span", BAD_SPANS)
async def test_a_span_that_cannot_be_right_is_refused(verb: str, span: dict[str, Any]) -> None:
    await check_refused(lambda c: getattr(c, verb)(**span))


BAD_IDS = ["..", ".", "a/b", "x?y", "#", "", "%2e%2e", "a\nb", "call_1\n", "a b", "\0", "x" * 5000, "\ud83d"]
BAD_IDS += ["é", "call_\uff11", "a\\b", "a%2Fb", "call_1#x", "../calls/call_1"]


@pytest.mark.parametrize("verb", ["get_call", "list_events", "hang_up", "get_recording", "stream_recording"])
@pytest.mark.parametrize("call_id", BAD_IDS, ids=lambda text: ascii(text[:12]))
async def test_m08_an_id_that_could_lead_elsewhere_is_refused(verb: str, call_id: str) -> None:
    await check_refused(lambda c: getattr(c, verb)(call_id))


async def test_stats_is_no_call() -> None:
    await check_refused(lambda c: c.get_call("stats"))
