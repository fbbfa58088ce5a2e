"""The key goes to the API's origin and nowhere else: by no redirect, no cookie, no recording link."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
import trustme
from contract_client import make_client
from contract_server import KEY, ContractServer, Manner, make_call
from raw_server import RawServer, answer

from krosai_calls.errors import ApiError, KrosaiError

LEAD_ELSEWHERE = {
    "same-origin": "/v1/calls/elsewhere",
    "other-port": "http://127.0.0.1:{port}/v1/calls/call_1",
    "other-host": "http://127.0.0.2:{port}/v1/calls/call_1",
    "schemeless": "//127.0.0.1:{port}/v1/calls/call_1",
    "userinfo": "http://user:password@127.0.0.1:{port}/v1/calls/call_1",
}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", LEAD_ELSEWHERE)
@pytest.mark.parametrize("verb", ["get_call", "hang_up"])
async def test_a19_a_redirect_of_the_api_is_never_followed(verb: str, kind: str, status: int) -> None:
    host = "127.0.0.2" if kind == "other-host" else "127.0.0.1"
    async with RawServer() as api, RawServer(host=host) as target, make_client(api.url + "/v1") as client:
        location = LEAD_ELSEWHERE[kind].format(port=target.url.rpartition(":")[2])
        api.script(answer(status, b"{}", [("Location", location)]))
        with pytest.raises(KrosaiError) as raised:
            await getattr(client, verb)("call_1")
        assert target.requests == []
        assert "/v1/calls/elsewhere" not in {request.path for request in api.requests}
        first, *others = api.requests
        assert {request.method for request in others} <= {"GET"}, "a redirected POST is not sent again"
    assert KEY not in repr(raised.value)
    if verb == "get_call":
        assert others == []
        assert isinstance(raised.value, ApiError)
        assert raised.value.status == status
    else:
        assert (first.method, first.path) == ("POST", "/v1/calls/call_1/hangup")


async def test_a19_a_redirect_down_to_plain_http_is_never_followed() -> None:
    authority = trustme.CA()
    here, there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(here)
    authority.configure_trust(there)
    async with RawServer(tls=here) as api, RawServer() as target:
        api.script(answer(302, b"{}", [("Location", target.url + "/v1/calls/call_1")]))
        async with make_client(api.url + "/v1", ssl_context=there) as client:
            with pytest.raises(ApiError) as raised:
                await client.get_call("call_1")
        assert (raised.value.status, len(api.requests), target.requests) == (302, 1, [])


@pytest.mark.parametrize(
    ("status", "headers"),
    [(302, []), (300, []), (304, []), (302, [("Location", "/v1/calls/call_1")])],
    ids=["no-location", "300", "304", "loop"],
)
async def test_a20_an_odd_redirect_is_an_error_after_one_request(
    status: int, headers: list[tuple[str, str]]
) -> None:
    async with RawServer() as api, make_client(api.url + "/v1") as client:
        api.script(answer(status, b"", headers))
        with pytest.raises(ApiError) as raised:
            await client.get_call("call_1")
        assert (raised.value.status, len(api.requests)) == (status, 1)


async def test_m13_a_cookie_is_never_sent_back() -> None:
    async with ContractServer(rows=[make_call(1)]) as server, make_client(server.base_url) as client:
        for _ in range(3):
            await client.get_call("call_0001")
        assert [request.values("cookie") for request in server.requests] == [[], [], []]
        assert server.violations == []


@pytest.mark.parametrize("scheme", ["x-api-key", "bearer"])
@pytest.mark.parametrize("known", ["call", "id"])
async def test_m2_the_storage_host_gets_the_link_as_it_is_and_no_secret(known: str, scheme: Any) -> None:
    target = "/rec%2Fordings/call%20_1.mp3?signature=a%2Fb%7Ec%3d+d&X-Amz-Date=20250110T120000Z&x="
    manner = Manner(scheme=scheme, extra_query=frozenset({"organization_id"}))
    async with RawServer() as storage, ContractServer(manner) as api:
        api.rows = [make_call(1, duration=1, recording_url=storage.url + target)]
        storage.script(answer(200, b"ID3" + bytes(11_997), [("Set-Cookie", "a=b")], content_type="audio/mpeg"))
        settings: dict[str, Any] = {"auth_scheme": scheme, "organization_id": "org_1"}
        settings |= {"default_headers": {"X-Team": "blue"}, "default_query": {"organization_id": "org_2"}}
        async with make_client(api.base_url, **settings) as client:
            (call,) = (await client.list_calls()).calls
            asked = len(api.requests)
            for _ in range(2):
                async with client.stream_recording(call if known == "call" else call.id) as stream:
                    assert b"".join([piece async for piece in stream]).startswith(b"ID3")
        assert api.violations == []
        assert [request.target for request in storage.requests] == [target, target]
        if known == "call":
            assert len(api.requests) == asked, "the row carries the link: asking again would waste a request"
    names = {name.lower() for request in storage.requests for name, _ in request.headers}
    kept = {"x-api-key", "authorization", "x-organization-id", "cookie", "x-team", "idempotency-key"}
    assert names & kept == set()
    assert KEY not in repr(storage.requests)
