"""A session that was lent has defaults of its own; none of them changes what an answer means (A of the faults)."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
from fault_client import CALL, KEY, client_of
from raw_server import RawServer, answer

from krosai_calls import KrosaiError, NotFoundError


async def test_a26_a_status_is_told_though_the_lent_session_raises_for_it() -> None:
    async with (
        RawServer() as server,
        aiohttp.ClientSession(raise_for_status=True) as session,
        client_of(server.url, session=session) as client,
    ):
        server.script(answer(404, b'{"error": "no such call"}'))
        with pytest.raises(NotFoundError, match="no such call"):
            await client.get_call("call_1")
        assert len(server.requests) == 1


async def test_a19_a_redirect_is_not_followed_by_a_lent_session_either() -> None:
    async with (
        RawServer() as server,
        RawServer() as other,
        aiohttp.ClientSession() as session,
        client_of(server.url, session=session) as client,
    ):
        server.script(answer(307, headers=[("Location", f"{other.url}/v1/calls/call_1")]))
        with pytest.raises(KrosaiError, match="a redirect"):
            await client.get_call("call_1")
        assert (len(server.requests), other.requests) == (1, [])


@pytest.mark.parametrize("scheme", ["x-api-key", "bearer"])
async def test_a21_a_netrc_that_the_lent_session_would_read_keeps_nobody_from_asking(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login CANARYLOGIN password CANARYPASSWORD\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with (
        RawServer() as server,
        aiohttp.ClientSession(trust_env=True) as session,
        client_of(server.url, session=session, auth_scheme=scheme) as client,
    ):
        server.script(answer(200, CALL))
        assert (await client.get_call("call_1")).id == "call_1"
        (request,) = server.requests
        sent = request.values("x-api-key") + request.values("Authorization")
        assert sent == [KEY if scheme == "x-api-key" else f"Bearer {KEY}"]


async def test_a06_a_lent_sessions_attempt_is_one_request_on_the_wire_too() -> None:
    async with (
        RawServer() as server,
        aiohttp.ClientSession() as session,
        client_of(server.url, session=session) as client,
    ):
        server.script(answer(200, CALL, cut=0, then="reset"))
        with pytest.raises(KrosaiError) as raised:
            await client.get_call("call_1")
        assert len(server.requests) == raised.value.attempts == 5
