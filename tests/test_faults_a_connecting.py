"""Faults before a request is sent: names, connections, certificates (A1 to A5, A22)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from fault_client import CALL, Directory, client_of, session_with
from raw_server import RawServer, answer

from krosai_calls import ConnectionFailedError, KrosaiError, RequestTimeoutError, RetryPolicy, SettingsError
from krosai_calls.models import HangupResult


@pytest.mark.parametrize("verb", ["get_call", "hang_up"])
async def test_a01_a_name_that_does_not_resolve_is_asked_for_as_often_as_the_policy_says(verb: str) -> None:
    directory = Directory([])
    async with session_with(directory) as session, client_of("http://api.test", session=session) as client:
        with pytest.raises(ConnectionFailedError, match="name does not resolve") as raised:
            await getattr(client, verb)("call_1")
    assert directory.asked == ["api.test"] * 5
    assert (raised.value.attempts, raised.value.sent) == (5, False)


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..test"], ids=["a label too long", "an empty label"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a01_a_name_that_no_resolver_can_be_asked_for_is_an_error_of_ours(scheme: str, host: str) -> None:
    with pytest.raises((SettingsError, ConnectionFailedError)):
        async with client_of(f"{scheme}://{host}") as client:
            await client.get_call("call_1")


async def test_a01_a_name_that_resolves_at_last_is_reached() -> None:
    async with RawServer() as server:
        port = server.url.rpartition(":")[2]
        server.script(answer(200, b'{"id": "call_1", "status": "completed"}'))
        directory = Directory([], [], ["127.0.0.1"])
        async with (
            session_with(directory) as session,
            client_of(f"http://api.test:{port}", session=session) as client,
        ):
            assert await client.hang_up("call_1") == HangupResult("call_1", "completed")
        assert client.clock.slept == [0.25, 0.5]
        assert [request.method for request in server.requests] == ["POST"]


@pytest.mark.parametrize("verb", ["get_call", "hang_up"])
async def test_a02_a_refused_connection_is_tried_as_often_as_the_policy_says(verb: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    async with client_of(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(ConnectionFailedError, match="no connection") as raised:
            await getattr(client, verb)("call_1")
    assert client.clock.slept == [0.25, 0.5, 1.0, 2.0]
    assert (raised.value.attempts, raised.value.sent) == (5, False)


@contextmanager
def black_hole() -> Iterator[int]:
    """A port where connections are neither accepted nor refused: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            waiting.append(one)
        try:
            yield listener.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


async def test_a03_a_connection_that_never_comes_about_is_a_timeout_and_nothing_was_sent() -> None:
    with black_hole() as port:
        settings = {"connect_timeout_seconds": 0.05, "retry": RetryPolicy(max_attempts=3)}
        async with client_of(f"http://127.0.0.1:{port}", **settings) as client:
            with pytest.raises(RequestTimeoutError, match="no connection came about in time") as raised:
                await client.hang_up("call_1")
    assert (raised.value.attempts, raised.value.sent) == (3, False)


class TlsServer(RawServer):
    """A server over TLS that counts the handshakes it was asked for."""

    def __init__(self, certificate: trustme.LeafCert) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        self.handshakes = 0

        def count(*_: object) -> None:
            self.handshakes += 1

        context.sni_callback = count
        super().__init__(tls=context)


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


YESTERDAY = datetime.now(UTC) - timedelta(days=1)
CERTIFICATES: dict[str, Callable[[trustme.CA], trustme.LeafCert]] = {
    "self-signed": lambda trusted: trustme.CA().issue_cert("127.0.0.1"),
    "wrong name": lambda trusted: trusted.issue_cert("api.example"),
    "expired": lambda trusted: trusted.issue_cert("127.0.0.1", not_after=YESTERDAY),
}


@pytest.mark.parametrize("verb", ["get_call", "hang_up"])
@pytest.mark.parametrize("certificate", CERTIFICATES)
async def test_a04_a_certificate_that_does_not_convince_is_told_after_one_handshake(
    certificate: str, verb: str
) -> None:
    authority = trustme.CA()
    async with TlsServer(CERTIFICATES[certificate](authority)) as server:
        async with client_of(server.url, ssl_context=trusting(authority)) as client:
            with pytest.raises(ConnectionFailedError, match="certificate is not trusted") as raised:
                await getattr(client, verb)("call_1")
        assert (server.handshakes, server.requests, client.clock.slept) == (1, [], [])
    assert (raised.value.attempts, raised.value.sent) == (1, False)
    advice = str(raised.value).lower()
    assert not any(word in advice for word in ("disable", "switch off", "verify", "insecure", "ssl=false", "skip"))


async def test_a04_the_callers_own_authority_is_trusted() -> None:
    authority = trustme.CA()
    async with TlsServer(authority.issue_cert("127.0.0.1")) as server:
        server.script(answer(200, CALL))
        async with client_of(server.url, ssl_context=trusting(authority)) as client:
            assert (await client.get_call("call_1")).id == "call_1"


async def test_a05_plain_http_to_a_tls_port_ends_and_names_the_base_url() -> None:
    authority = trustme.CA()
    async with TlsServer(authority.issue_cert("127.0.0.1")) as server:
        async with client_of(server.url.replace("https", "http")) as client:
            with pytest.raises(ConnectionFailedError) as raised:
                await client.get_call("call_1")
        assert server.requests == []
    assert server.url.removeprefix("https://") in str(raised.value)


async def test_a05_tls_to_a_plain_port_ends_and_says_that_it_speaks_no_tls() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with client_of(f"https://127.0.0.1:{port}") as client:
            with pytest.raises(KrosaiError) as raised:
                await client.get_call("call_1")
    assert isinstance(raised.value, ConnectionFailedError)
    assert not raised.value.sent
    # The number of an error of OpenSSL is none of the system's: 1 would read "Operation not permitted".
    assert "permitted" not in str(raised.value)


@pytest.mark.parametrize("dead", ["::1", "127.0.0.2"], ids=["A22 IPv6 is dead", "A22 the first address is dead"])
async def test_a22_another_address_of_the_host_is_tried_within_the_same_attempt(dead: str) -> None:
    async with RawServer() as server:
        server.script(answer(200, CALL))
        port = server.url.rpartition(":")[2]
        directory = Directory([dead, "127.0.0.1"])
        async with (
            session_with(directory) as session,
            client_of(f"http://api.test:{port}", session=session) as client,
        ):
            assert (await client.get_call("call_1")).id == "call_1"
        assert (client.clock.slept, len(server.requests), len(directory.asked)) == ([], 1, 1)
