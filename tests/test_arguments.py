"""A verb's arguments to the request they mean, or to an error before any request."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krosai_calls import _arguments as arguments
from krosai_calls._wire import Endpoint
from krosai_calls.errors import InvalidArgumentError
from krosai_calls.models import Call, CallDirection, CallStatus

BERLIN = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        pytest.param(Endpoint.GET_CALL, "/calls/call_1", id="get"),
        pytest.param(Endpoint.LIST_EVENTS, "/calls/call_1/events", id="events"),
        pytest.param(Endpoint.GET_RECORDING, "/calls/call_1/recording", id="recording"),
        pytest.param(Endpoint.HANG_UP, "/calls/call_1/hangup", id="hangup"),
    ],
)
def test_a_call_is_asked_for_by_its_id(endpoint: Endpoint, path: str) -> None:
    request = arguments.call_request(endpoint, "call_1", idempotency_key="key")
    assert (request.endpoint, request.path, dict(request.query)) == (endpoint, path, {})
    assert request.idempotency_key == "key"


@pytest.mark.parametrize(
    "call_id",
    ["call_abc123", "6f9619ff-8b86-d011-b42d-00c04fc964ff", "a", "A.b:c_d-e", "..a", "x" * 128, "call_stats"],
)
def test_an_id_of_letters_digits_and_a_few_signs_is_one(call_id: str) -> None:
    assert arguments.call_request(Endpoint.GET_CALL, call_id).path == f"/calls/{call_id}"


@pytest.mark.parametrize(
    "call_id",
    [
        pytest.param("", id="empty"),
        pytest.param(".", id="a dot"),
        pytest.param("..", id="two dots"),
        pytest.param("...", id="three dots"),
        pytest.param("a/b", id="a slash"),
        pytest.param("a\\b", id="a backslash"),
        pytest.param("%2e%2e", id="escaped dots"),
        pytest.param("a?x=1", id="a question mark"),
        pytest.param("a#b", id="a hash"),
        pytest.param("call_1\n", id="a line end"),
        pytest.param("call 1", id="a blank"),
        pytest.param("call_é", id="a letter beyond ASCII"),
        pytest.param("call_٣", id="a digit beyond ASCII"),
        pytest.param("\ud800", id="a lone surrogate"),
        pytest.param("x" * 129, id="129 characters"),
        pytest.param("{id}", id="braces"),
        pytest.param(None, id="None"),
        pytest.param(7, id="a number"),
        pytest.param(b"call_1", id="bytes"),
    ],
)
def test_what_would_ask_for_another_path_is_no_id(call_id: object) -> None:
    for endpoint in (Endpoint.GET_CALL, Endpoint.HANG_UP):
        with pytest.raises(InvalidArgumentError, match="is not a call id") as caught:
            arguments.call_request(endpoint, call_id)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 200


def test_an_id_that_is_another_endpoints_name_is_refused_where_it_would_be_taken_for_it() -> None:
    with pytest.raises(InvalidArgumentError, match="another endpoint"):
        arguments.call_request(Endpoint.GET_CALL, "stats")
    assert arguments.call_request(Endpoint.LIST_EVENTS, "stats").path == "/calls/stats/events"


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(categories=None, exclude_categories=()), max_size=20))
def test_no_id_leaves_the_path_of_one_call(call_id: str) -> None:
    try:
        path = arguments.call_request(Endpoint.LIST_EVENTS, call_id).path
    except InvalidArgumentError:
        return
    assert path.split("/") == ["", "calls", call_id, "events"]
    assert call_id.strip(".")
    assert not set(path) & set("?#%\\ ")


def test_a_call_with_a_link_can_be_downloaded_whatever_its_id() -> None:
    call = Call("../../etc/passwd", recording_url="https://h/a.mp3")
    assert arguments.checked_call(call) is call


@pytest.mark.parametrize("call", [Call("../x"), Call("a/b", recording_url=""), "a/b"], ids=["none", "empty", "id"])
def test_a_call_without_a_link_needs_an_id_that_can_be_asked_for(call: Call | str) -> None:
    with pytest.raises(InvalidArgumentError, match="is not a call id"):
        arguments.checked_call(call)


def test_a_call_that_can_be_asked_for_is_passed_on() -> None:
    assert arguments.checked_call("call_1") == "call_1"
    assert arguments.checked_call(Call("call_1")) == Call("call_1")


def test_what_is_not_set_is_not_sent() -> None:
    filters = arguments.filters_of("completed", None, None, None, None, None)
    request = arguments.list_request(filters, limit=50, offset=0)
    assert (request.endpoint, request.path) == (Endpoint.LIST_CALLS, "/calls")
    assert dict(request.query) == {"status": "completed", "limit": "50", "offset": "0"}


def test_every_filter_is_sent_under_its_name_on_the_wire() -> None:
    day = date(2025, 1, 10)
    filters = arguments.filters_of(CallStatus.NO_ANSWER, CallDirection.INBOUND, "pn_1", "ep_1", day, day)
    query = arguments.list_request(filters, limit=100, offset=300).query
    assert dict(query) == {
        "status": "no_answer",
        "direction": "inbound",
        "phone_number_id": "pn_1",
        "endpoint_id": "ep_1",
        "from_date": "2025-01-10T00:00:00Z",
        "to_date": "2025-01-10T23:59:59.999999Z",
        "limit": "100",
        "offset": "300",
    }
    assert {type(value) for value in query.values()} == {str}


def test_statistics_are_asked_for_without_a_place() -> None:
    request = arguments.stats_request({"endpoint_id": "ep_1", "from_date": None})
    assert (request.endpoint, request.path, dict(request.query)) == (
        Endpoint.GET_STATS,
        "/calls/stats",
        {"endpoint_id": "ep_1"},
    )


def test_a_status_unknown_here_may_be_asked_for() -> None:
    assert arguments.filter_query({"status": "parked"}) == {"status": "parked"}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param(7, id="a number"),
        pytest.param(["completed"], id="a list"),
        pytest.param("a\r\nX-Evil: 1", id="line ends"),
        pytest.param("\ud800", id="a lone surrogate"),
        pytest.param("a\u202eb", id="a direction mark"),
    ],
)
def test_a_filter_that_cannot_be_right_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^status is ") as caught:
        arguments.filter_query({"status": value})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("limit", [1, 50, 100])
def test_a_page_holds_one_to_a_hundred(limit: int) -> None:
    assert arguments.checked_limit(limit) == limit


@pytest.mark.parametrize("limit", [0, -1, 101, 10**30, 1.0, "50", True, None])
def test_another_page_size_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^page_size is "):
        arguments.checked_limit(limit, "page_size")


@pytest.mark.parametrize("offset", [-1, 1.0, "0", False, None])
def test_an_offset_that_is_no_place_is_refused(offset: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^offset is "):
        arguments.list_request({}, limit=50, offset=offset)


@pytest.mark.parametrize("max_items", [None, 0, 1, 10**6])
def test_any_number_of_calls_may_be_wanted(max_items: int | None) -> None:
    assert arguments.checked_max_items(max_items) == max_items


@pytest.mark.parametrize("max_items", [-1, 2.0, "3", True])
def test_what_is_no_number_of_calls_is_refused(max_items: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^max_items is "):
        arguments.checked_max_items(max_items)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        pytest.param(datetime(2025, 1, 10, 12, tzinfo=UTC), "2025-01-10T12:00:00Z", id="UTC"),
        pytest.param(datetime(2025, 1, 10, 0, 30, tzinfo=BERLIN), "2025-01-09T23:30:00Z", id="another zone"),
        pytest.param(datetime(2025, 1, 10, 1, 2, 3, 4, UTC), "2025-01-10T01:02:03.000004Z", id="a fraction"),
        pytest.param("2025-01-10T12:00:00Z", "2025-01-10T12:00:00Z", id="ISO text"),
        pytest.param("2025-01-10T12:00:00+01:00", "2025-01-10T11:00:00Z", id="ISO text with an offset"),
        pytest.param("20250110T120000Z", "2025-01-10T12:00:00Z", id="ISO text, basic"),
    ],
)
@pytest.mark.parametrize("name", ["from_date", "to_date"])
def test_an_instant_is_sent_in_utc(name: str, value: Any, sent: str) -> None:
    assert arguments.filter_query({name: value}) == {name: sent}


@pytest.mark.parametrize("day", [date(2025, 1, 10), "2025-01-10", "20250110", "2025-W02-5"], ids=str)
def test_a_day_is_meant_whole(day: Any) -> None:
    assert arguments.filter_query({"from_date": day, "to_date": day}) == {
        "from_date": "2025-01-10T00:00:00Z",
        "to_date": "2025-01-10T23:59:59.999999Z",
    }


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(datetime(2025, 1, 10, 12), id="a naive datetime"),
        pytest.param("2025-01-10T12:00:00", id="ISO text without a zone"),
        pytest.param("yesterday", id="a word"),
        pytest.param("", id="empty"),
        pytest.param("2025-13-01", id="a thirteenth month"),
        pytest.param("10.01.2025", id="another notation"),
        pytest.param(1736510400, id="a number"),
        pytest.param(datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), id="after the last year"),
        pytest.param(datetime.min.replace(tzinfo=BERLIN), id="before the first year"),
    ],
)
def test_what_names_no_instant_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^from_date "):
        arguments.filter_query({"from_date": value})
    with pytest.raises(InvalidArgumentError, match=r"^the time "):
        arguments.checked_date(value)


def test_a_date_that_can_be_right_is_passed_on_as_it_is() -> None:
    assert arguments.checked_date("2025-01-10") == "2025-01-10"
    assert arguments.checked_date(date(2025, 1, 10)) == date(2025, 1, 10)


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    window = {"from_date": "2025-01-10T12:00:00+02:00", "to_date": "2025-01-10T09:59:59Z"}
    with pytest.raises(InvalidArgumentError, match="from_date is after to_date"):
        arguments.filter_query(window)


def test_a_window_of_one_instant_is_one() -> None:
    window = {"from_date": "2025-01-10T12:00:00+02:00", "to_date": "2025-01-10T10:00:00Z"}
    assert set(arguments.filter_query(window).values()) == {"2025-01-10T10:00:00Z"}
