"""A lent session: what of it is used, and what of it is not to be trusted; M2, M13."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from audio import recording
from networks import BASIC, KEY, MP3, OK, client_of, session_of_all_hosts, stream
from raw_server import RawServer, answer
from yarl import URL

from krosai_calls import ClientStateError, NotFoundError


@pytest.mark.parametrize("scheme", ["x-api-key", "bearer"])
async def test_m02_m13_a_lent_sessions_defaults_never_reach_storage(scheme: str) -> None:
    defaults = {"Authorization": BASIC, "x-api-key": "another", "x-tenant": "canary-tenant"}
    jar = aiohttp.CookieJar(unsafe=True)
    jar.update_cookies({"session": "canary-cookie"}, URL("http://127.0.0.1/"))
    async with (
        RawServer() as api,
        RawServer() as storage,
        aiohttp.ClientSession(headers=defaults, cookie_jar=jar) as session,
    ):
        api.script(OK)
        storage.script(MP3)
        async with client_of(
            api.url, session=session, auth_scheme=scheme, default_headers={"x-own": "canary"}
        ) as client:
            await client.get_call("call_1")
            await stream(client, f"{storage.url}/r.mp3")
        (asked,), (fetched,) = api.requests, storage.requests
    assert asked.values("authorization" if scheme == "bearer" else "x-api-key") == [
        f"Bearer {KEY}" if scheme == "bearer" else KEY
    ]
    assert [name.lower() for name, _ in fetched.headers] == ["host", "user-agent", "accept-encoding", "accept"]
    assert "canary" not in repr(fetched)


@pytest.mark.parametrize("scheme", ["x-api-key", "bearer"])
async def test_m02_a_lent_sessions_own_credentials_do_not_take_the_keys_place(scheme: str) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):  # aiohttp's, of its own names
        session = aiohttp.ClientSession(auth=aiohttp.BasicAuth("user", "password"))
    async with RawServer() as api, RawServer() as storage, session:
        api.script(OK)
        storage.script(MP3)
        async with client_of(api.url, session=session, auth_scheme=scheme) as client:
            await client.get_call("call_1")
            await stream(client, f"{storage.url}/r.mp3")
        name, value = ("authorization", f"Bearer {KEY}") if scheme == "bearer" else ("x-api-key", KEY)
        assert api.requests[0].values(name) == [value]
        assert storage.requests[0].values("authorization") == []


@pytest.mark.parametrize(
    "defaults",
    [
        {"raise_for_status": True},
        {"auto_decompress": True},
        {"timeout": aiohttp.ClientTimeout(total=0.000001)},
        {"trust_env": True},
        {"base_url": "http://elsewhere.test/"},
        {"requote_redirect_url": True},
        {"read_bufsize": 1},
    ],
    ids=str,
)
async def test_a_lent_sessions_defaults_change_no_answers_meaning(defaults: dict[str, Any]) -> None:
    async with RawServer() as server, aiohttp.ClientSession(**defaults) as session:
        server.script(OK, answer(404, b'{"error": "no such call"}'))
        async with client_of(server.url, session=session) as client:
            assert (await client.get_call("call_1")).id == "call_1"
            with pytest.raises(NotFoundError, match="no such call"):
                await client.get_call("call_1")


async def test_storage_goes_the_lent_sessions_way() -> None:
    # Its connector may be the only one that knows the way, or the one that keeps to some network.
    async with RawServer() as storage, session_of_all_hosts() as session:
        storage.script(MP3)
        async with client_of("http://api.test", session=session) as client:
            port = storage.url.rpartition(":")[2]
            assert await stream(client, f"http://storage.test:{port}/r.mp3") == recording(1)


@pytest.mark.parametrize("is_used_before", [False, True], ids=["before", "midway"])
@pytest.mark.parametrize("is_storage", [False, True], ids=["api", "storage"])
async def test_a_lent_session_that_is_closed_is_told_and_nothing_is_sent(
    is_used_before: bool, is_storage: bool
) -> None:
    session = aiohttp.ClientSession()
    async with RawServer() as server, client_of(server.url, session=session) as client:
        server.script(answer(200, b"ID3") if is_storage else OK)

        async def ask() -> object:
            return await (stream(client, f"{server.url}/r.mp3") if is_storage else client.get_call("call_1"))

        if is_used_before:
            await ask()
        await session.close()
        with pytest.raises(ClientStateError, match="the session that was lent"):
            await ask()
        assert len(server.requests) == is_used_before
