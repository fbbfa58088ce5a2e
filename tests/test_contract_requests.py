"""What each verb sends, judged by a server that knows only the contract."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from contract_client import make_client
from contract_server import KEY, ContractServer, Manner, make_call
from raw_server import RawServer, Request, answer

from krosai_calls import AsyncCallsClient, CallDirection, CallStatus
from krosai_calls.errors import SettingsError

ENDED, ACTIVE = "call_0001", "call_0002"
DAY = timedelta(days=1)
MOMENT = datetime(2025, 1, 10, 12, 30, 15, 250_000, tzinfo=UTC)
IN_KOLKATA = timezone(timedelta(hours=5, minutes=30))

Use = Callable[[AsyncCallsClient], Any]


def make_server(manner: Manner | None = None) -> ContractServer:
    rows = [
        make_call(1, recording_url="https://storage.krosai.com/1.mp3"),
        make_call(2, status="in_progress"),
    ]
    return ContractServer(manner or Manner(), rows)


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


async def sent_by(verb: Use, *, manner: Manner | None = None, **settings: Any) -> list[Request]:
    """What one use of a verb sends; a violation of the contract fails the test."""
    async with make_server(manner) as server, make_client(server.base_url, **settings) as client:
        await use(verb(client))
        assert server.violations == []
        return server.requests


def instant(request: Request, name: str) -> datetime:
    moment = datetime.fromisoformat(dict(request.query)[name])
    assert moment.tzinfo is not None, "an instant without a zone is no instant"
    return moment


FILTERS = {"phone_number_id": "pn_1", "endpoint_id": "ep_1"}
LISTED = FILTERS | {"status": "completed", "direction": "inbound"}
VERBS = [
    pytest.param(lambda c: c.list_calls(), "GET", "/calls", {}, id="list_calls"),
    pytest.param(
        lambda c: c.list_calls(**LISTED, limit=7, offset=3),
        "GET",
        "/calls",
        LISTED | {"limit": "7", "offset": "3"},
        id="list_calls-filtered",
    ),
    pytest.param(lambda c: c.iter_calls(**LISTED), "GET", "/calls", LISTED, id="iter_calls"),
    pytest.param(lambda c: c.iter_pages(**LISTED), "GET", "/calls", LISTED, id="iter_pages"),
    pytest.param(lambda c: c.get_call(ENDED), "GET", f"/calls/{ENDED}", {}, id="get_call"),
    pytest.param(lambda c: c.get_stats(), "GET", "/calls/stats", {}, id="get_stats"),
    pytest.param(lambda c: c.get_stats(**FILTERS), "GET", "/calls/stats", FILTERS, id="get_stats-filtered"),
    pytest.param(lambda c: c.list_events(ENDED), "GET", f"/calls/{ENDED}/events", {}, id="list_events"),
    pytest.param(lambda c: c.hang_up(ACTIVE), "POST", f"/calls/{ACTIVE}/hangup", {}, id="hang_up"),
    pytest.param(lambda c: c.get_recording(ENDED), "GET", f"/calls/{ENDED}/recording", {}, id="get_recording"),
]


@pytest.mark.parametrize("scheme", ["x-api-key", "bearer"])
@pytest.mark.parametrize(("verb", "method", "path", "query"), VERBS)
async def test_each_verb_is_one_request_as_the_contract_has_it(
    verb: Use, method: str, path: str, query: dict[str, str], scheme: Any
) -> None:
    (request,) = await sent_by(verb, manner=Manner(scheme=scheme), auth_scheme=scheme)
    sent = dict(request.query)
    assert (request.method, request.path, request.body) == (method, f"/v1{path}", b"")
    assert query.items() <= sent.items()
    assert sent.keys() - query.keys() <= {"limit", "offset"}, "a parameter that is not set is not sent"


async def test_unset_paging_is_the_documented_default_where_it_is_sent_at_all() -> None:
    (request,) = await sent_by(lambda c: c.list_calls())
    assert set(request.query) <= {("limit", "50"), ("offset", "0")}


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("base", ["", "/v1", "/api/v1"])
@pytest.mark.parametrize(("verb", "method", "path", "query"), VERBS)
async def test_every_path_is_below_the_base_url(
    verb: Use, method: str, path: str, query: dict[str, str], base: str, slash: str
) -> None:
    async with make_server(Manner(base=base)) as server, make_client(server.base_url + slash) as client:
        await use(verb(client))
        assert (server.violations, [request.path for request in server.requests]) == ([], [base + path])


@pytest.mark.parametrize("call_id", ["call_abc123", "0b7e3c1a-2f54-4f0e-9a51-6c9d0f1e2a3b", "CA-9.x:7_z", "5"])
async def test_an_opaque_id_arrives_as_it_is(call_id: str) -> None:
    async with (
        ContractServer(rows=[make_call(1, id=call_id)]) as server,
        make_client(server.base_url) as client,
    ):
        call = await client.get_call(call_id)
        assert (call.id, server.requests[0].path) == (call_id, f"/v1/calls/{call_id}")


# The key, the organisation, the caller's own additions


async def test_the_key_goes_in_its_own_header_alone() -> None:
    (request,) = await sent_by(lambda c: c.get_call(ENDED))
    assert (request.values("x-api-key"), request.values("authorization")) == ([KEY], [])
    assert KEY not in request.target


async def test_the_key_goes_as_a_bearer_token_alone() -> None:
    manner = Manner(scheme="bearer")
    (request,) = await sent_by(lambda c: c.get_call(ENDED), manner=manner, auth_scheme="bearer")
    assert (request.values("authorization"), request.values("x-api-key")) == ([f"Bearer {KEY}"], [])


async def test_key_and_address_come_from_the_environment_users_already_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with make_server() as server:
        monkeypatch.setenv("KROSAI_API_KEY", KEY)
        monkeypatch.setenv("KROSAI_BASE_URL", server.base_url)
        async with AsyncCallsClient() as client:
            await client.get_call(ENDED)
        assert (server.violations, len(server.requests)) == ([], 1)


async def test_a_missing_key_is_an_error_before_any_request() -> None:
    async with make_server() as server:
        with pytest.raises(SettingsError):
            async with AsyncCallsClient(base_url=server.base_url) as client:
                await client.get_call(ENDED)
        assert server.requests == []


async def test_the_environments_netrc_is_never_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    (request,) = await sent_by(lambda c: c.get_call(ENDED))
    assert request.values("authorization") == []


@pytest.mark.parametrize(("verb", "method", "path", "query"), VERBS)
async def test_the_organisation_is_a_header_where_it_is_set(
    verb: Use, method: str, path: str, query: dict[str, str]
) -> None:
    organisation = "7d4b0f6e-7f0a-4d5e-8f3a-0c1b2a3d4e5f"
    (request,) = await sent_by(verb, organization_id=organisation)
    assert request.values("x-organization-id") == [organisation]
    assert (await sent_by(verb))[0].values("x-organization-id") == []


@pytest.mark.parametrize(("verb", "method", "path", "query"), VERBS)
async def test_default_headers_and_default_query_go_with_every_api_request(
    verb: Use, method: str, path: str, query: dict[str, str]
) -> None:
    (request,) = await sent_by(
        verb,
        manner=Manner(extra_query=frozenset({"organization_id"})),
        default_headers={"X-Team": "blue"},
        default_query={"organization_id": "org & co"},
    )
    assert request.values("x-team") == ["blue"]
    assert (query | {"organization_id": "org & co"}).items() <= dict(request.query).items()


# The idempotency key


async def test_only_a_post_carries_an_idempotency_key_and_each_its_own() -> None:
    async with make_server() as server, make_client(server.base_url) as client:
        server.rows.append(make_call(3, status="ringing"))
        await client.get_call(ENDED)
        await client.hang_up(ACTIVE)
        await client.hang_up("call_0003")
        get, *posts = [request.values("idempotency-key") for request in server.requests]
    assert get == []
    assert [len(values) for values in posts] == [1, 1]
    assert posts[0] != posts[1]


async def test_a_repeated_hang_up_keeps_its_idempotency_key() -> None:
    async with RawServer() as server, make_client(server.url) as client:
        refusal = answer(429, b'{"error": "slow down", "retry_after": 0}', [("Retry-After", "0")])
        server.script(refusal, answer(204))
        await client.hang_up("call_1")
        keys = [request.values("idempotency-key") for request in server.requests]
    assert len(keys) == 2
    assert keys[0] == keys[1] != []


# Filters


@pytest.mark.parametrize("verb", ["list_calls", "get_stats", "iter_calls", "iter_pages"])
@pytest.mark.parametrize("name", ["phone_number_id", "endpoint_id"])
async def test_an_awkward_filter_value_arrives_unharmed(verb: str, name: str) -> None:
    value = "a b+c&d=e/f;g%41#h?é€😀'\""
    (request,) = await sent_by(lambda c: getattr(c, verb)(**{name: value}))
    assert dict(request.query)[name] == value
    assert request.target.isascii()


@pytest.mark.parametrize("status", ["completed", "failed", "in_progress"])
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
async def test_a_filter_takes_the_enum_member_or_its_plain_string(status: str, direction: str) -> None:
    plain = await sent_by(lambda c: c.list_calls(status=status, direction=direction))
    member = await sent_by(lambda c: c.list_calls(status=CallStatus(status), direction=CallDirection(direction)))
    assert {("status", status), ("direction", direction)} <= set(plain[0].query)
    assert member[0].query == plain[0].query


@pytest.mark.parametrize("verb", ["list_calls", "get_stats", "iter_calls", "iter_pages"])
@pytest.mark.parametrize(
    "moment",
    [MOMENT, MOMENT.replace(microsecond=0), MOMENT.astimezone(IN_KOLKATA), MOMENT.replace(microsecond=1)],
    ids=["fraction", "whole", "offset", "microsecond"],
)
async def test_an_aware_datetime_is_sent_as_the_same_instant(verb: str, moment: datetime) -> None:
    (request,) = await sent_by(lambda c: getattr(c, verb)(from_date=moment, to_date=moment + DAY))
    assert (instant(request, "from_date"), instant(request, "to_date")) == (moment, moment + DAY)


async def test_a_date_is_the_first_or_last_instant_of_its_utc_day() -> None:
    day = date(2025, 1, 10)
    (request,) = await sent_by(lambda c: c.list_calls(from_date=day, to_date=day))
    midnight = datetime(2025, 1, 10, tzinfo=UTC)
    assert instant(request, "from_date") == midnight
    assert midnight + DAY - timedelta(milliseconds=1) <= instant(request, "to_date") < midnight + DAY


@pytest.mark.parametrize("text", ["2025-01-10T12:30:15Z", "2025-01-10T18:00:15+05:30", "2025-01-10T12:30:15.250Z"])
async def test_an_iso_text_is_sent_as_the_instant_it_names(text: str) -> None:
    (request,) = await sent_by(lambda c: c.list_calls(from_date=text))
    assert instant(request, "from_date") == datetime.fromisoformat(text)


async def test_a_span_of_one_instant_is_not_reversed() -> None:
    (request,) = await sent_by(lambda c: c.list_calls(from_date=MOMENT, to_date=MOMENT.astimezone(IN_KOLKATA)))
    assert instant(request, "from_date") == instant(request, "to_date") == MOMENT
