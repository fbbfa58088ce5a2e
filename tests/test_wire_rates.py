"""What the headers of an answer say of the pace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from krosai_calls._wire import RateHint, rate_hint

# 1736510400 seconds after 1970 began.
NOW = datetime(2025, 1, 10, 12, 0, 0, tzinfo=UTC)


def pause(reset: str, *, now: datetime = NOW, date: str | None = None, remaining: str = "0") -> float:
    headers = {"x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset}
    if date is not None:
        headers["date"] = date
    return rate_hint(200, headers, None, now).pause_seconds


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        pytest.param("2", 2.0, id="B8 a delta"),
        pytest.param("1.5", 1.5, id="B8 a fractional delta"),
        pytest.param("60", 60.0, id="B8 the longest delta"),
        pytest.param(" 7 ", 7.0, id="B8 blanks around it"),
        pytest.param("1736510402", 2.0, id="B8 epoch seconds"),
        pytest.param("1736510400.5", 0.5, id="B8 epoch seconds with a fraction"),
        pytest.param("1736510402250", 2.25, id="B8 epoch milliseconds"),
        pytest.param("Fri, 10 Jan 2025 12:00:07 GMT", 7.0, id="B8 a date"),
        pytest.param("Fri, 10 Jan 2025 13:00:07 +0100", 7.0, id="B8 a date with a zone"),
    ],
)
def test_b08_an_empty_window_closes_the_gate_until_its_reset(reset: str, seconds: float) -> None:
    assert pause(reset) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "reset",
    [
        pytest.param("0", id="B8 no seconds"),
        pytest.param("1736510400", id="B8 this very moment"),
        pytest.param("1736510399", id="B8 past epoch seconds"),
        pytest.param("1736510399000", id="B8 past epoch milliseconds"),
        pytest.param("Fri, 10 Jan 2025 11:59:59 GMT", id="B8 a past date"),
        pytest.param("60.5", id="B8 a delta over the cap"),
        pytest.param("9999999", id="B8 the largest delta"),
        pytest.param("1736510461", id="B8 epoch seconds over the cap"),
        pytest.param("1736510461000", id="B8 epoch milliseconds over the cap"),
        pytest.param("1736510402250000", id="B8 epoch microseconds"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", id="B8 a far date"),
        pytest.param("Fri, 10 Jan 100000 12:00:00 GMT", id="B8 the year 100000"),
        pytest.param("", id="B8 empty"),
        pytest.param("soon", id="B8 a word"),
        pytest.param("nan", id="B8 nan"),
        pytest.param("inf", id="B8 inf"),
        pytest.param("-2", id="B8 negative"),
        pytest.param("+2", id="B8 a plus sign"),
        pytest.param("1e1", id="B8 an exponent"),
        pytest.param("1_0", id="B8 an underscore"),
        pytest.param("٣", id="B8 an Arabic digit"),
        pytest.param("2, 2", id="B8 two headers"),
        pytest.param("9" * 400, id="B8 400 digits"),
        pytest.param("2025-01-10T12:00:07Z", id="B8 an ISO time"),
    ],
)
def test_b08_a_reset_that_is_past_too_far_or_no_time_is_ignored(reset: str) -> None:
    assert pause(reset) == 0.0


def test_b08_without_a_reset_an_empty_window_says_nothing() -> None:
    assert rate_hint(200, {"x-ratelimit-remaining": "0"}, None, NOW) == RateHint()


@pytest.mark.parametrize(
    ("remaining", "seconds"),
    [("0", 2.0), ("0.0", 2.0), ("0.5", 2.0), ("1", 0.0), ("39", 0.0), ("", 0.0), ("-1", 0.0), ("none", 0.0)],
)
def test_b08_only_a_window_with_nothing_left_closes_the_gate(remaining: str, seconds: float) -> None:
    assert pause("2", remaining=remaining) == seconds


@pytest.mark.parametrize("reset", ["1736510402", "1736510402000", "Fri, 10 Jan 2025 12:00:02 GMT"])
@pytest.mark.parametrize("hours", [-24, -2, 2, 24])
def test_b08_our_clock_being_wrong_does_not_matter_where_the_service_tells_its_own(reset: str, hours: int) -> None:
    ours = NOW + timedelta(hours=hours)
    assert pause(reset, now=ours, date="Fri, 10 Jan 2025 12:00:00 GMT") == pytest.approx(2.0)


def test_b08_where_the_clocks_agree_the_finer_one_measures() -> None:
    ours = NOW + timedelta(seconds=0.75)
    assert pause("1736510402", now=ours, date="Fri, 10 Jan 2025 12:00:00 GMT") == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        pytest.param("40", 40.0, id="whole"),
        pytest.param("0.5", 0.5, id="less than one"),
        pytest.param(" 10\t", 10.0, id="blanks around it"),
        pytest.param("0", None, id="none at all would stop us for ever"),
        pytest.param("-1", None, id="negative"),
        pytest.param("nan", None, id="nan"),
        pytest.param("inf", None, id="inf"),
        pytest.param("1e9", None, id="an exponent"),
        pytest.param("10;w=1", None, id="a policy"),
        pytest.param("", None, id="empty"),
        pytest.param("unlimited", None, id="a word"),
    ],
)
def test_the_limit_is_a_number_of_requests_a_second(value: str, limit: float | None) -> None:
    assert rate_hint(200, {"x-ratelimit-limit": value}, None, NOW) == RateHint(limit)


def test_an_answer_without_the_headers_says_nothing() -> None:
    assert rate_hint(200, {}, None, NOW) == RateHint(None, 0.0, is_refusal=False)


@pytest.mark.parametrize(
    ("status", "asked", "is_refusal"),
    [
        pytest.param(429, 2.0, True, id="B7 429"),
        pytest.param(503, 2.0, True, id="B13 503 with Retry-After"),
        pytest.param(503, None, False, id="503 without"),
        pytest.param(500, 2.0, False, id="500"),
        pytest.param(200, 2.0, False, id="200"),
    ],
)
def test_a_refusal_pauses_for_what_it_asks(status: int, asked: float | None, is_refusal: bool) -> None:
    hint = rate_hint(status, {}, asked, NOW)
    assert (hint.is_refusal, hint.pause_seconds) == (is_refusal, 2.0 if is_refusal else 0.0)


@pytest.mark.parametrize(("asked", "seconds"), [(0.0, 0.0), (0.25, 0.25), (60.0, 60.0)])
def test_b05_a_pause_of_up_to_a_minute_is_kept_exactly(asked: float, seconds: float) -> None:
    assert rate_hint(429, {}, asked, NOW).pause_seconds == seconds


def test_b06_a_refusal_that_names_no_time_is_one_all_the_same() -> None:
    assert rate_hint(429, {}, None, NOW).is_refusal


def test_b08_a_refusal_whose_headers_alone_name_the_time_pauses_until_then() -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1736510402"}
    hint = rate_hint(429, headers, None, NOW)
    assert hint.is_refusal
    assert hint.pause_seconds == pytest.approx(2.0)
