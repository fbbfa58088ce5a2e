"""Corporate networks: proxies, certificates, plain http; M4, M14, M15, A21."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from audio import recording
from networks import BASIC, KEY, MP3, OK, client_of, session_of_all_hosts, stream, tls_server, trusting
from raw_server import Answer, RawServer, answer
from yarl import URL

from krosai_calls import (
    Call,
    ConnectionFailedError,
    KrosaiError,
    RetryPolicy,
    SettingsError,
)


class Tunnels:
    """A proxy that only tunnels: takes CONNECT, and sends every tunnel to one port.

    Attributes:
        url: Its address.
        heads: What was asked of it itself.
    """

    def __init__(self, port: int) -> None:
        self.url = ""
        self.heads: list[str] = []
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Tunnels:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        finally:
            inner_writer.transport.abort()
            writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
        writer.close()


@pytest.mark.parametrize("given", ["proxy", "http_proxy", "HTTP_PROXY", "all_proxy", "without a scheme"])
async def test_a21_a_proxy_is_asked_for_the_api_and_for_storage(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawServer() as proxy:
        proxy.script(OK, MP3)
        address = proxy.url.partition("://")[2] if given == "without a scheme" else proxy.url
        if given != "proxy":
            monkeypatch.setenv("http_proxy" if given == "without a scheme" else given, address)
        async with client_of("http://api.test", **({"proxy": address} if given == "proxy" else {})) as client:
            await client.get_call("call_1")
            await stream(client, "http://storage.test/r.mp3?sig=x%2Fy")
        asked = [(request.target, request.values("x-api-key")) for request in proxy.requests]
    assert asked == [("http://api.test/v1/calls/call_1", [KEY]), ("http://storage.test/r.mp3?sig=x%2Fy", [])]


@pytest.mark.parametrize("no_proxy", ["api.test", ".test", "*", "other.example, api.test"])
async def test_a21_a_host_that_no_proxy_names_is_asked_directly(
    no_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawServer() as proxy, RawServer() as api, session_of_all_hosts() as session:
        proxy.script(OK)
        api.script(OK)
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", no_proxy)
        port = api.url.rpartition(":")[2]
        async with client_of(f"http://api.test:{port}", session=session) as client:
            await client.get_call("call_1")
        assert (len(api.requests), len(proxy.requests)) == (1, 0)


async def test_a21_this_machine_is_never_asked_by_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with RawServer() as api:
        api.script(OK)
        for name in ("http_proxy", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        async with client_of(api.url) as client:
            assert (await client.get_call("call_1")).id == "call_1"


async def test_a21_a_tunnel_hides_the_key_from_the_proxy() -> None:
    async with tls_server("api.test") as api, Tunnels(URL(api.url).port or 0) as proxy:
        api.script(OK)
        with_user = proxy.url.replace("://", "://user:password@")
        async with client_of("https://api.test", proxy=with_user, ssl_context=trusting()) as client:
            await client.get_call("call_1")
        (head,) = proxy.heads
        assert head.startswith("CONNECT api.test:443 ")
        assert KEY not in head
        assert f"Proxy-Authorization: {BASIC}" in head
        assert api.requests[0].values("x-api-key") == [KEY]
        assert api.requests[0].values("proxy-authorization") == []


async def test_a21_a_large_recording_comes_whole_through_a_tunnel(tmp_path: Path) -> None:
    data = recording(8000)
    async with tls_server("storage.test") as storage, Tunnels(URL(storage.url).port or 0) as proxy:
        storage.script(answer(200, data, content_type="audio/mpeg"))
        call = Call("call_1", recording_url="https://storage.test/call_1.mp3?signature=x")
        async with client_of("https://api.test", proxy=proxy.url, ssl_context=trusting()) as client:
            for name in ("first.mp3", "second.mp3"):
                await client.download_recording(call, tmp_path / name)
                assert (tmp_path / name).read_bytes() == data
        assert len(proxy.heads) == 1  # the connection is used again
        assert [request.values("proxy-authorization") for request in storage.requests] == [[], []]


@pytest.mark.parametrize(("status", "attempts"), [(407, 1), (403, 1), (502, 3), (503, 3)])
async def test_a21_a_proxy_that_refuses_to_tunnel(status: int, attempts: int) -> None:
    retry = RetryPolicy(max_attempts=3, base_delay_seconds=0.0)
    async with RawServer() as proxy, client_of("https://api.test", proxy=proxy.url, retry=retry) as client:
        proxy.script(answer(status))
        with pytest.raises(ConnectionFailedError, match=f"the proxy answered {status}") as raised:
            await client.get_call("call_1")
        assert not raised.value.sent
        assert len(proxy.requests) == attempts
        assert KEY not in repr(proxy.requests)


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
@pytest.mark.parametrize("address", ["socks5://127.0.0.1:1080", "http://127.0.0.1:99999", "http://[::1"])
async def test_a21_a_proxy_that_cannot_be_used_is_named_as_the_cause(
    variable: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, address)
    async with client_of("http://api.test") as client:
        with pytest.raises(KrosaiError, match="proxy") as raised:
            await client.get_call("call_1")
    assert getattr(raised.value, "sent", False) is False


@pytest.mark.parametrize("address", ["http://127.0.0.1:99999", "http://[::1", "http://", "http://a b"])
def test_a21_a_proxy_setting_that_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="proxy"):
        client_of("http://api.test", proxy=address)


@pytest.mark.parametrize("scheme", ["x-api-key", "bearer"])
async def test_m14_a_netrc_is_never_read(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login user password password\ndefault login user password password\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    async with RawServer() as server:
        server.script(OK, MP3)
        async with client_of(server.url, auth_scheme=scheme) as client:
            await client.get_call("call_1")
            await stream(client, f"{server.url}/r.mp3")
        sent = [request.values("authorization") for request in server.requests]
    assert sent == [[f"Bearer {KEY}"] if scheme == "bearer" else [], []]


async def test_m14_a_netrc_is_not_read_for_the_proxy_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login user password password\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with RawServer() as proxy:
        proxy.script(OK)
        monkeypatch.setenv("http_proxy", proxy.url)
        async with client_of("http://api.test") as client:
            await client.get_call("call_1")
        assert proxy.requests[0].values("proxy-authorization") == []
        assert proxy.requests[0].values("authorization") == []


async def test_m15_a_certificate_of_ones_own_authority_is_trusted_by_a_context() -> None:
    async with tls_server("127.0.0.1") as server:
        server.script(OK, MP3)
        async with client_of(server.url, ssl_context=trusting()) as client:
            await client.get_call("call_1")
            assert await stream(client, f"{server.url}/r.mp3") == recording(1)


@pytest.mark.parametrize("context", [None, False], ids=["none", "switched off"])
@pytest.mark.parametrize("name", ["127.0.0.1", "other.test"])
async def test_m15_verification_cannot_be_switched_off(context: Any, name: str) -> None:
    async with tls_server(name) as server:
        server.script(OK)
        async with client_of(server.url, ssl_context=context, retry=RetryPolicy()) as client:
            with pytest.raises(ConnectionFailedError, match="certificate is not trusted") as raised:
                await client.get_call("call_1")
        assert (raised.value.sent, raised.value.attempts, server.requests) == (False, 1, [])


@pytest.mark.parametrize(
    "url", ["http://api.krosai.com", "http://8.8.8.8", "http://134744072", "http://0x08080808"]
)
def test_m15_plain_http_to_a_public_host_is_refused_unless_allowed(url: str) -> None:
    with pytest.raises(SettingsError, match="would show the API key"):
        client_of(url)
    client_of(url, allow_insecure_http=True)


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://127.0.0.1:1", "http://10.0.0.1", "http://[::1]:1", "http://api"]
)
def test_m15_plain_http_to_this_machine_or_a_private_host_is_fine(url: str) -> None:
    assert str(client_of(url)._settings.base_url).startswith(url)


LINKS = [
    "file:///etc/passwd",
    "ftp://{host}/r.mp3",
    "data:audio/mpeg;base64,SUQz",
    "ws://{host}/r.mp3",
    "//{host}/r.mp3",
    "http://user:password@{host}/r.mp3",
    "http://{host}/r.mp3\r\nX: y",
    "http://①②⑦.0.0.1/r.mp3",
    "http:///r.mp3",
    "r.mp3",
]


@pytest.mark.parametrize("link", LINKS)
async def test_m04_a_link_that_no_storage_has_is_not_followed(link: str) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(Answer(MP3.wire))
        with pytest.raises(KrosaiError, match="is refused"):
            await stream(client, link.format(host=server.url.partition("://")[2]))
        assert server.requests == []
