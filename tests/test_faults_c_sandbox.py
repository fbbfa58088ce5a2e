"""Group C of the catalogue of faults, against the sandbox: its world changes at every request of a listing."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from krosai_calls import AsyncCallsClient
from krosai_calls.sandbox import Dialect, RecordedRequest, Sandbox

NOW = datetime(2025, 3, 14, 9, tzinfo=UTC)
CALLS = 250
LIVE = 12
# For 250 calls to which some come at each request; each page may overlap the one before by half.
MOST_REQUESTS = 200


class ChangingAccount:
    """Changes a sandbox at each request, by a seed, and knows which calls were there all the time.

    Args:
        sandbox: The sandbox, running.
        seed: What becomes of it.
        filters: Which calls are listed.
    """

    def __init__(self, sandbox: Sandbox, seed: int, filters: dict[str, Any]) -> None:
        self.sandbox = sandbox
        self.dice = random.Random(seed)
        self.live = [sandbox.add_call(status="in_progress")["id"] for _ in range(LIVE)]
        self.by_status = "status" in filters
        calls = list(sandbox.calls)  # each look makes all of their bodies anew
        self.always = [call["id"] for call in calls if all(call[name] == value for name, value in filters.items())]
        self.changes = 0
        self._ids = [call["id"] for call in calls]
        sandbox.on_request = self.change

    def change(self, request: RecordedRequest) -> None:
        self.dice.choice((self.add_newest, self.add_older, self.delete, self.end, self.pass_time))()
        self.changes += 1

    def add_newest(self) -> None:
        self._ids.append(self.sandbox.add_call(status=self.dice.choice(("completed", "busy")))["id"])

    def add_older(self) -> None:
        moment = NOW - timedelta(hours=self.dice.uniform(0, CALLS * 9.6))
        self._ids.append(self.sandbox.add_call(status="completed", created_at=moment)["id"])

    def delete(self) -> None:
        call_id = self._ids.pop(self.dice.randrange(len(self._ids)))
        self._forget(call_id)
        self.sandbox.delete_call(call_id)

    def end(self) -> None:
        left = [call_id for call_id in self.live if call_id in self._ids]
        if left:
            self.live.remove(call_id := self.dice.choice(left))
            self._turns(call_id)
            self.sandbox.end_call(call_id, status=self.dice.choice(("completed", "no_answer")))

    def pass_time(self) -> None:
        # The calls that were live at first go on meanwhile, and so leave some filters and enter others.
        for call in self.sandbox.calls[: LIVE + 40]:
            if call["status"] in ("initiated", "ringing", "in_progress") and call["id"] not in self.live:
                self._turns(call["id"])
        self.sandbox.advance(3)

    def _turns(self, call_id: str) -> None:
        """Its status changes: by status it is not there all the time, and otherwise it is."""
        if self.by_status:
            self._forget(call_id)

    def _forget(self, call_id: str) -> None:
        if call_id in self.always:
            self.always.remove(call_id)

    def check(self, seen: list[str]) -> None:
        """What is there all the time comes once, in the service's order."""
        assert len(set(seen)) == len(seen)
        wanted = set(self.always)
        assert [call_id for call_id in seen if call_id in wanted] == self.always
        order = [call["id"] for call in self.sandbox.calls if call["id"] in wanted]
        assert order == self.always


FILTERS: dict[str, dict[str, Any]] = {
    "every call": {},
    "those completed": {"status": "completed"},
    "those in progress": {"status": "in_progress"},
    "those inbound to Lagos": {"direction": "inbound", "phone_number_id": "pn_lagos"},
}


DIALECTS = {
    "as documented": Dialect(),
    "without a total": Dialect(total=False),
    "oldest first": Dialect(order="oldest_first", envelope="data"),
}


@pytest.mark.parametrize("at_once", [1, 8], ids=["one at a time", "several at once"])
@pytest.mark.parametrize("page_size", [10, 100])
@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("seed", range(2))
async def test_c_what_is_there_all_the_time_is_given_once_and_in_order(
    seed: int, dialect: Dialect, filters: dict[str, Any], page_size: int, at_once: int
) -> None:
    async with (
        Sandbox(calls=CALLS, now=NOW, dialect=dialect) as sandbox,
        AsyncCallsClient(
            sandbox.api_key, base_url=sandbox.base_url, max_concurrency=at_once, max_requests=MOST_REQUESTS
        ) as client,
    ):
        account = ChangingAccount(sandbox, seed, filters)
        seen = [call.id async for call in client.iter_calls(page_size=page_size, **filters)]
        account.check(seen if dialect.order == "newest_first" else seen[::-1])
        assert account.changes == len(sandbox.requests) > 0
