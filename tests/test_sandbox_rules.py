"""The sandbox's rules as plain functions and values: ids, ranges, limits, links, the journal, its settings."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from krosai_calls.errors import ClientStateError, SettingsError
from krosai_calls.sandbox import Sandbox
from krosai_calls.sandbox.dice import Dice, scramble, unscramble
from krosai_calls.sandbox.journal import Journal
from krosai_calls.sandbox.limits import PLANS, UNLIMITED, Plan, RateWindows
from krosai_calls.sandbox.links import LinkState, Signer
from krosai_calls.sandbox.ranges import Portion, Version, decide, http_date, single_range

NOW = datetime(2025, 3, 14, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize("number", [0, 1, -1, 123_456, -(2**58), 2**58])
def test_an_id_leads_back_to_its_number_with_the_right_key_only(number: int) -> None:
    assert unscramble(scramble(number, "key"), "key") == number
    assert unscramble(scramble(number, "key"), "another") != number


def test_dice_stay_within_their_bounds_and_reach_them() -> None:
    dice = Dice("bounds")
    assert {dice.between(3, 5) for _ in range(100)} == {3, 4, 5}
    assert sorted(dice.shuffled("abcdef")) == list("abcdef")


WHOLE = Portion(200, 0, 1000)


@pytest.mark.parametrize(
    ("wanted", "portion"),
    [
        ("bytes=0-99", Portion(206, 0, 100)),
        ("bytes=100-", Portion(206, 100, 1000)),
        ("bytes=-100", Portion(206, 900, 1000)),
        ("bytes=-5000", Portion(206, 0, 1000)),
        ("bytes=999-999", Portion(206, 999, 1000)),
        ("bytes=500-99999", Portion(206, 500, 1000)),
        ("BYTES=0-0", Portion(206, 0, 1)),
        (" bytes = 0-0 ", Portion(206, 0, 1)),
        ("bytes=1000-", Portion(416)),
        ("bytes=1000-2000", Portion(416)),
        ("bytes=-0", Portion(416)),
        ("bytes=" + "9" * 30 + "-", Portion(416)),
        ("bytes=10-5", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=٣-", WHOLE),
        ("bytes=0-1,5-9", WHOLE),
        ("bytes=" + "9" * 5000 + "-", WHOLE),
        ("items=0-1", WHOLE),
        ("", WHOLE),
    ],
)
def test_a_range_gets_the_bytes_it_asks_for(wanted: str, portion: Portion) -> None:
    assert single_range(wanted, 1000) == portion


VERSION = Version('"one"', datetime(2025, 1, 10, 12, tzinfo=UTC), 1000)
SAME, LATER, EARLIER = (http_date(VERSION.modified + timedelta(hours=hours)) for hours in (0, 1, -1))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": '"one"'}, 304),
        ({"If-None-Match": 'W/"one"'}, 304),
        ({"If-None-Match": '"two", "one"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"two"'}, 200),
        ({"If-None-Match": '"two"', "If-Modified-Since": LATER}, 200),
        ({"If-Modified-Since": SAME}, 304),
        ({"If-Modified-Since": LATER}, 304),
        ({"If-Modified-Since": EARLIER}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"Range": "bytes=5-"}, 206),
        ({"Range": "bytes=5-", "If-Range": '"one"'}, 206),
        ({"Range": "bytes=5-", "If-Range": 'W/"one"'}, 200),
        ({"Range": "bytes=5-", "If-Range": '"two"'}, 200),
        ({"Range": "bytes=5-", "If-Range": SAME}, 206),
        ({"Range": "bytes=5-", "If-Range": LATER}, 200),
        ({"Range": "bytes=5000-", "If-Range": '"two"'}, 200),
        ({"Range": "bytes=5-", "If-None-Match": '"one"'}, 304),
    ],
)
def test_conditions_decide_before_ranges(headers: dict[str, str], status: int) -> None:
    assert decide("GET", headers, VERSION).status == status


def test_a_head_never_asks_for_a_part() -> None:
    assert decide("HEAD", {"Range": "bytes=5-"}, VERSION).status == 200


def test_a_second_has_room_for_what_the_plan_allows_and_waiting_as_told_helps() -> None:
    windows, moment = RateWindows(PLANS["free"]), 1_000_000.25
    assert [windows.take(moment).remaining for _ in range(10)] == list(range(9, -1, -1))
    refused = windows.take(moment)
    assert refused.retry_after == 0.75
    assert refused.reset == 1_000_001
    assert windows.take(moment + 0.75).retry_after is None


def test_a_days_quota_lasts_until_midnight_and_refusals_do_not_count() -> None:
    windows, noon = RateWindows(Plan(per_second=2, per_day=3)), 43_200.0
    assert [windows.take(noon).retry_after for _ in range(3)] == [None, None, 1.0]
    assert windows.take(noon + 1).retry_after is None
    assert windows.take(noon + 2).retry_after == 43_198
    assert windows.take(noon + 43_200).retry_after is None


def test_without_a_plan_nothing_is_refused() -> None:
    windows = RateWindows(UNLIMITED)
    assert not any(windows.take(5.0).retry_after for _ in range(3000))


def test_a_link_holds_for_its_call_its_time_and_its_maker() -> None:
    moment = [NOW]
    signer = Signer("http://storage", "secret", 60, lambda: moment[0])
    link = signer.sign("call_a")
    found = re.fullmatch(r"http://storage/recordings/call_a\.mp3\?expires=(\d+)&signature=(\w+)", link.url)
    assert found
    expires, signature = found.groups()
    assert link.expires_at == NOW + timedelta(seconds=60)
    assert signer.check("call_a", expires, signature) is LinkState.VALID
    assert signer.check("call_b", expires, signature) is LinkState.FORGED
    assert signer.check("call_a", str(int(expires) + 9), signature) is LinkState.FORGED
    assert (
        Signer("http://storage", "other", 60, lambda: NOW).check("call_a", expires, signature) is LinkState.FORGED
    )
    moment[0] += timedelta(seconds=60)
    assert signer.check("call_a", expires, signature) is LinkState.EXPIRED


def test_the_journal_keeps_that_a_key_came_but_not_which() -> None:
    journal = Journal()
    ticket, _ = journal.arrived("api", "GET", "/", {"a": "1"}, {"X-Api-Key": "kros_secret", "Accept": "*/*"})
    assert journal.requests()[0].status is None
    journal.answered(ticket, 200)
    (found,) = journal.requests("api")
    assert found.headers == {"x-api-key": "***", "accept": "*/*"}
    assert found.status == 200
    journal.clear()
    journal.answered(ticket, 500)
    assert journal.requests() == []


# ---- what a sandbox can be told


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("calls", -1),
        ("calls", 2.5),
        ("calls", True),
        ("seed", "one"),
        ("plan", "gold"),
        ("now", datetime(2025, 1, 1)),
        ("clock", NOW),
        ("link_ttl_seconds", -1),
        ("latency_seconds", float("nan")),
        ("host", "0.0.0.0"),
        ("host", "example.com"),
        ("port", 70_000),
        ("max_recording_seconds", 3),
        ("hours_between_calls", 0),
        ("real_time", "yes"),
        ("on_request", "print"),
        ("dialect", "newest_first"),
        ("fault_rate", 5),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_its_name(setting: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=setting):
        Sandbox(**{setting: value})


def test_both_servers_on_one_port_are_refused() -> None:
    with pytest.raises(SettingsError, match="storage_port"):
        Sandbox(port=4000, storage_port=4000)


def test_a_sandbox_that_is_not_running_says_what_to_do() -> None:
    sandbox = Sandbox()
    for read in (lambda: sandbox.base_url, lambda: sandbox.storage_url, lambda: sandbox.calls):
        with pytest.raises(ClientStateError, match="with"):
            read()
    assert sandbox.requests == []
    assert sandbox.api_key.startswith("kros_test_")
