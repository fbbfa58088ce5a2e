"""What a host's name or address says of where it is, and what is connected to."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from krosai_calls import AsyncCallsClient, Call, ConnectionFailedError
from krosai_calls._hosts import is_loopback, is_private, is_public
from krosai_calls._sessions import PublicResolver


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "api.localhost"])
def test_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)
    assert is_private(host)


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "fd00::1", "fe80::1%eth0", "::ffff:10.0.0.1",
     "2002:7f00:1::", "0.0.0.0", "krosai", "db.internal", "nas.local", "API.TEST", "box.lan."],
)  # fmt: skip
def test_a_private_host_is_known(host: str) -> None:
    assert is_private(host)
    assert not is_public(host)
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["8.8.8.8", "2606:4700:4700::1111", "api.krosai.com", "localhost.example.com", "0x08080808", "134744072"],
)
def test_a_public_host_is_no_private_one(host: str) -> None:
    assert is_public(host)
    assert not is_private(host)


@pytest.mark.parametrize("host", ["100.64.0.1", "224.0.0.1", "ff02::1"])
def test_some_addresses_are_neither(host: str) -> None:
    assert not is_public(host)
    assert not is_private(host)


class Scripted(AbstractResolver):
    """Gives the addresses it was made with."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses
        self.is_closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self._addresses
        ]

    async def close(self) -> None:
        self.is_closed = True


async def test_m05_a_name_that_leads_into_a_private_network_at_connect_time_is_not_followed() -> None:
    with pytest.raises(OSError, match="private network"):
        await PublicResolver(Scripted("10.0.0.1", "127.0.0.1", "::ffff:127.0.0.1")).resolve("storage.krosai.com")


async def test_m05_of_a_names_addresses_only_the_public_ones_are_connected_to() -> None:
    found = await PublicResolver(Scripted("10.0.0.1", "8.8.8.8")).resolve("storage.krosai.com", 443)
    assert [(address["host"], address["port"]) for address in found] == [("8.8.8.8", 443)]


async def test_m05_a_link_into_a_private_network_is_told_once_and_never_connected_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inside = Scripted("127.0.0.1")
    monkeypatch.setattr("aiohttp.DefaultResolver", lambda: inside)
    call = Call("call_1", recording_url="https://storage.krosai.com/call_1.mp3?signature=x")
    async with AsyncCallsClient("kros_test_x") as client:
        with pytest.raises(ConnectionFailedError, match="private network") as raised:
            await client.download_recording(call, tmp_path / "call.mp3")
    assert (raised.value.sent, raised.value.attempts) == (False, 1)
    assert inside.is_closed


async def test_closing_it_closes_what_it_asks() -> None:
    asked = Scripted()
    await PublicResolver(asked).close()
    assert asked.is_closed
