"""Proxies: whose address is asked, what they are told, and what becomes of their refusals (A21)."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from fault_client import CALL, KEY, Directory, client_of, session_with
from raw_server import Answer, RawServer, Request, answer

from krosai_calls import ConnectionFailedError, KrosaiError

FAR = "https://api.far.example"


def told(requests: list[Request]) -> str:
    """All that a proxy has read."""
    return " ".join(f"{request.target} {request.headers} {request.body!r}" for request in requests)


@pytest.fixture(autouse=True)
def a_netrc_for_every_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login CANARYLOGIN password CANARYPASSWORD\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))


@pytest.mark.parametrize("scheme", ["x-api-key", "bearer"])
@pytest.mark.parametrize("verb", ["get_call", "hang_up"])
async def test_a21_a_proxy_that_wants_credentials_is_asked_once_and_never_told_the_key(
    verb: str, scheme: str
) -> None:
    async with RawServer() as proxy, client_of(FAR, proxy=proxy.url, auth_scheme=scheme) as client:
        proxy.script(answer(407, headers=[("Proxy-Authenticate", "Basic")]))
        with pytest.raises(ConnectionFailedError, match="the proxy answered 407") as raised:
            await getattr(client, verb)("call_1")
        assert [(request.method, request.target) for request in proxy.requests] == [
            ("CONNECT", "api.far.example:443")
        ]
        assert "CANARY" not in told(proxy.requests)
    assert (raised.value.attempts, raised.value.sent) == (1, False)


@pytest.mark.parametrize("status", [502, 503, 504], ids="A21 {}".format)
async def test_a_proxy_that_cannot_reach_the_service_now_is_asked_again(status: int) -> None:
    async with RawServer() as proxy, client_of(FAR, proxy=proxy.url) as client:
        proxy.script(answer(status))
        with pytest.raises(ConnectionFailedError, match=f"the proxy answered {status}") as raised:
            await client.get_call("call_1")
        assert len(proxy.requests) == raised.value.attempts == 5
        assert KEY not in told(proxy.requests)
    assert not raised.value.sent


async def test_a21_a_proxy_that_refuses_connections_is_tried_again() -> None:
    async with RawServer() as proxy:
        url = proxy.url
    async with client_of(FAR, proxy=url) as client:
        with pytest.raises(ConnectionFailedError, match="no connection") as raised:
            await client.hang_up("call_1")
    assert (raised.value.attempts, raised.value.sent) == (5, False)


@pytest.mark.parametrize("lost", [Answer(then="close"), Answer(then="reset")], ids=["closed", "reset"])
async def test_a21_a_proxy_that_hangs_up_is_one_request_an_attempt(lost: Answer) -> None:
    async with RawServer() as proxy, client_of(FAR, proxy=proxy.url) as client:
        proxy.script(lost)
        with pytest.raises(ConnectionFailedError) as raised:
            await client.get_call("call_1")
        assert len(proxy.requests) == raised.value.attempts == 5
        assert KEY not in told(proxy.requests)


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
async def test_a21_the_environments_proxy_is_asked_without_its_netrc(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawServer() as proxy:
        monkeypatch.setenv(variable, proxy.url)
        proxy.script(answer(407))
        async with client_of(FAR) as client:
            with pytest.raises(ConnectionFailedError):
                await client.get_call("call_1")
        assert [request.method for request in proxy.requests] == ["CONNECT"]
        assert "CANARY" not in told(proxy.requests)
        assert proxy.requests[0].values("Proxy-Authorization") == []


async def test_a21_plain_http_through_the_environments_proxy_carries_no_netrc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with RawServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        proxy.script(answer(200, CALL))
        async with client_of("http://api.test") as client:
            assert (await client.get_call("call_1")).id == "call_1"
        (request,) = proxy.requests
        assert request.target == "http://api.test/v1/calls/call_1"
        assert request.values("Authorization") == request.values("Proxy-Authorization") == []


async def test_a21_this_machine_is_never_asked_by_the_environments_proxy_nor_with_its_netrc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with RawServer() as proxy, RawServer() as server:
        for variable in ("http_proxy", "all_proxy"):
            monkeypatch.setenv(variable, proxy.url)
        server.script(answer(200, CALL))
        async with client_of(server.url) as client:
            assert (await client.get_call("call_1")).id == "call_1"
        assert proxy.requests == []
        assert server.requests[0].values("Authorization") == []


@pytest.mark.parametrize("exempt", ["api.test", ".test", "*", "other.example,api.test"])
async def test_a21_a_host_that_the_environment_exempts_is_asked_directly(
    exempt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawServer() as proxy, RawServer() as server, session_with(Directory(["127.0.0.1"])) as session:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", exempt)
        server.script(answer(200, CALL))
        port = server.url.rpartition(":")[2]
        async with client_of(f"http://api.test:{port}", session=session) as client:
            assert (await client.get_call("call_1")).id == "call_1"
        assert (len(server.requests), proxy.requests) == (1, [])


async def test_a21_a_proxys_own_credentials_go_to_it_and_into_no_error() -> None:
    async with RawServer() as proxy:
        proxy.script(answer(407))
        address = proxy.url.replace("//", "//clerk:CANARYPASSWORD@")
        async with client_of(FAR, proxy=address) as client:
            with pytest.raises(ConnectionFailedError) as raised:
                await client.get_call("call_1")
        assert proxy.requests[0].values("Proxy-Authorization") == ["Basic Y2xlcms6Q0FOQVJZUEFTU1dPUkQ="]
    assert "CANARY" not in str(raised.value) + repr(vars(raised.value))


async def test_a21_a_proxy_of_another_kind_in_the_environment_is_not_spoken_to_in_http(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with RawServer() as socks:
        monkeypatch.setenv("all_proxy", socks.url.replace("http", "socks5"))
        socks.script(answer(407))
        async with session_with(Directory([])) as session, client_of(FAR, session=session) as client:
            with pytest.raises(KrosaiError):  # the name does not resolve, or the setting is refused
                await client.get_call("call_1")
        assert socks.requests == []


class Tunnel:
    """A proxy that connects to where it is told, whatever the name, and remembers what it was told."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.heads: list[bytes] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(self._pass_on(reader, far_writer), self._pass_on(far_reader, writer))
        finally:
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(65536):
                target.write(piece)
            target.close()


@asynccontextmanager
async def service_behind_a_tunnel(certificate: trustme.LeafCert) -> AsyncIterator[tuple[RawServer, Tunnel, str]]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    async with RawServer(tls=context) as server:
        tunnel = Tunnel(int(server.url.rpartition(":")[2]))
        async with tunnel.running() as url:
            yield server, tunnel, url


async def test_a21_through_a_tunnel_the_service_has_the_key_and_the_proxy_has_not() -> None:
    authority, trust = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(trust)
    async with service_behind_a_tunnel(authority.issue_cert("api.far.example")) as (server, tunnel, url):
        server.script(answer(200, CALL))
        async with client_of(FAR, proxy=url, ssl_context=trust) as client:
            assert (await client.get_call("call_1")).id == "call_1"
        assert server.requests[0].values("x-api-key") == [KEY]
        assert len(tunnel.heads) == 1
        assert KEY.encode() not in tunnel.heads[0]


async def test_a21_a_certificate_behind_a_tunnel_is_checked_as_any_other() -> None:
    async with service_behind_a_tunnel(trustme.CA().issue_cert("api.far.example")) as (server, tunnel, url):
        async with client_of(FAR, proxy=url) as client:
            with pytest.raises(ConnectionFailedError, match="certificate is not trusted") as raised:
                await client.get_call("call_1")
        assert (len(tunnel.heads), server.requests) == (1, [])
    assert (raised.value.attempts, raised.value.sent) == (1, False)
