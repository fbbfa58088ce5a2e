"""Links that expire, are refused, or lead elsewhere (G)."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from raw_server import Answer, RawServer, Request, answer
from storage_server import FRESH, MP3, PATH, TAG, Storage, cut, names, serving, status, then

from krosai_calls import Call, DownloadError

EXPIRED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>'
RENEWALS = [0.0, 1.0, 5.0]


def waits(storage: Storage) -> list[float]:
    """What was waited for."""
    return [seconds for seconds in storage.client.clock.slept if seconds]


@pytest.mark.parametrize("number", [401, 403, 410])
async def test_g01_a_link_that_has_expired_is_replaced_at_once(tmp_path: Path, number: int) -> None:
    async with serving(max_attempts=1) as storage:
        storage.plan(status(number, body=EXPIRED))
        await storage.save(tmp_path)
        assert [request.target.partition("?")[2] for request in storage.asked] == [
            "signature=%2Fa%2fb%7E~%41",
            "signature=fresh1",
        ]
        assert waits(storage) == []
        assert storage.fresh_links == 1
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_g01_a_part_of_an_earlier_run_is_gone_on_with_by_the_fresh_link(tmp_path: Path) -> None:
    async with serving(max_attempts=1) as storage:
        storage.plan(cut(5000), status(403))
        with pytest.raises(Exception, match="cut short"):
            await storage.save(tmp_path)
        assert (await storage.save(tmp_path)).resumed_bytes == 5000
        assert storage.ranges == [None, "bytes=5000-", "bytes=5000-"]
        assert storage.conditions == [None, TAG, TAG]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_g02_a_link_that_expires_under_way_is_replaced_and_nothing_is_fetched_twice(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(cut(5000), status(403, body=EXPIRED))
        await storage.save(tmp_path)
        assert storage.ranges == [None, "bytes=5000-", "bytes=5000-"]
        assert storage.conditions == [None, TAG, TAG]
        assert storage.sent_bytes == len(MP3)
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_g02_each_stretch_of_a_long_recording_may_take_three_fresh_links(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(*[turn for _ in range(6) for turn in (cut(1000), status(403), status(403), status(403))])
        await storage.save(tmp_path)
        assert storage.fresh_links == 18
        assert storage.sent_bytes == len(MP3)
    assert (tmp_path / "call.mp3").read_bytes() == MP3


@pytest.mark.parametrize("number", [401, 403, 410])
async def test_g04_a_storage_that_refuses_three_fresh_links_is_an_error(tmp_path: Path, number: int) -> None:
    async with serving() as storage:
        storage.link_fields = {"recording_url": storage.link}  # the same dead one again
        storage.plan(*[status(number, body=EXPIRED)] * 99)
        with pytest.raises(DownloadError) as raised:
            await storage.save(tmp_path)
        assert (len(storage.asked), storage.fresh_links) == (4, 3)
        assert waits(storage) == [1.0, 5.0]
        assert raised.value.call_id == "call_1"
        assert "signature" not in str(raised.value)
    assert names(tmp_path) == []


async def test_g05_a_part_survives_links_that_are_all_refused(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(cut(5000), *[status(403)] * 9)
        with pytest.raises(DownloadError, match="refuses every link"):
            await storage.save(tmp_path)
        storage.plan()
        assert (await storage.save(tmp_path)).resumed_bytes == 5000
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_g06_a_fresh_link_may_lead_to_another_host(tmp_path: Path) -> None:
    async with serving() as storage, RawServer(lambda request: storage.honest(request)) as other:
        storage.link_fields = {"recording_url": f"{other.url}/moved?signature=1"}
        storage.plan(cut(5000), status(403))
        await storage.save(tmp_path)
        assert [request.target for request in other.requests] == ["/moved?signature=1"]
        assert other.requests[0].values("range") == ["bytes=5000-"]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


BAD_LINKS = [
    "file:///etc/passwd",
    "ftp://127.0.0.1/x",
    "http://user:secret@127.0.0.1/x",
    "http://user@127.0.0.1/x",
    "http:///x",
    "http://127.0.0.1:0/x",
    "http://127.0.0.1:99999/x",
    "http://127.0.0.1/a b",
    "http://127.0.0.1/a\tb",
    "http://127.0.0.1\n/a",
    "http://127.0.0.1/a\\b",
    "http://127.0.0.1/\xe9",
    "http://127.0.0.\u2460/x",
    "/recordings/call_1.mp3",
    "http://127.0.0.1/" + "x" * 8200,
]


@pytest.mark.parametrize("bad", BAD_LINKS, ids=lambda bad: ascii(bad[:30]))
async def test_g07_a_link_that_is_not_to_be_followed_is_refused_before_anything_is_sent(
    tmp_path: Path, bad: str
) -> None:
    async with serving() as storage:
        storage.link_fields = {"recording_url": bad}
        with pytest.raises(DownloadError, match="refused"):
            await storage.save(tmp_path, call="call_1")
        with pytest.raises(DownloadError, match="refused"):
            await storage.save(tmp_path, call=Call("call_1", recording_url=bad))
        storage.plan(status(403))
        with pytest.raises(DownloadError, match="refused") as raised:
            await storage.save(tmp_path)
        assert "secret" not in str(raised.value)
        assert len(storage.asked) == 1
    assert names(tmp_path) == []


async def test_g06_a_service_by_https_gives_no_plain_links(tmp_path: Path) -> None:
    authority = trustme.CA()
    theirs, ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(ours)
    async with serving() as plain, RawServer(tls=theirs) as secure, serving(ssl_context=ours) as storage:
        secure.script(answer(200, b'{"recording_url": "%s"}' % plain.link.encode()))
        client = type(storage.client)(f"{secure.url}/v1", ssl_context=ours)
        async with client:
            with pytest.raises(DownloadError, match="plain http"):
                await client.download_recording("call_1", tmp_path / "call.mp3")
            with pytest.raises(DownloadError, match="plain http"):
                await client.download_recording(plain.call, tmp_path / "call.mp3")
        assert plain.asked == []


ODD_BYTES = "/a%2Fb%2f/../%2E%2e/./c//d%2B+%7E~%41%c3%a9;x=[1]'()*!,&=?a=%2F&b=+%20&c&c=%41&signature=a/b+c=="


@pytest.mark.parametrize("fragment", ["", "#part", "#"])
async def test_g07_the_signed_bytes_go_out_as_they_are(tmp_path: Path, fragment: str) -> None:
    async with serving() as storage:
        call = Call("call_1", recording_url=f"{storage.server.url}{ODD_BYTES}{fragment}")
        storage.plan(cut(5000))
        await storage.save(tmp_path, call=call)
        assert [request.target for request in storage.asked] == [ODD_BYTES] * 2
    assert (tmp_path / "call.mp3").read_bytes() == MP3


@pytest.mark.parametrize(
    "fields",
    [{}, *({"expires_at": at} for at in (None, "2025-01-01T00:00:00", "soon", 0, "2020-01-01T00:00:00Z"))],
    ids=str,
)
async def test_g08_a_link_is_used_at_once_whatever_it_says_of_its_end(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    async with serving() as storage:
        storage.link_fields = fields
        await storage.save(tmp_path, call="call_1")
        assert (len(storage.asked), storage.fresh_links) == (1, 1)
    assert (tmp_path / "call.mp3").read_bytes() == MP3


@pytest.mark.parametrize("hours", [-2, 2], ids=["ours is fast", "ours is slow"])
async def test_g03_a_clock_that_is_wrong_costs_no_link_and_spares_none(tmp_path: Path, hours: int) -> None:
    theirs = datetime.now(UTC) + timedelta(hours=hours)
    async with serving() as storage:
        storage.more_headers = [("Date", format_datetime(theirs, usegmt=True))]
        storage.link_fields = {"expires_at": (theirs + timedelta(hours=1)).isoformat()}
        await storage.save(tmp_path, call="call_1")
        assert (len(storage.asked), storage.fresh_links) == (1, 1)
        storage.plan(cut(5000), status(403, *storage.more_headers, body=EXPIRED))
        await storage.save(tmp_path, call="call_1")
        assert storage.ranges == [None, None, "bytes=5000-", "bytes=5000-"]
        assert storage.fresh_links == 3
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_g09_of_many_recordings_only_the_next_ones_have_a_link_that_grows_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("krosai_calls._download.MOST_AT_ONCE", 4)
    unused: list[int] = []
    async with serving() as storage:
        refused = 0

        def look(storage: Storage, request: Request) -> Answer:
            nonlocal refused
            unused.append(storage.fresh_links - len(storage.asked))
            is_expired = len(storage.asked) % 5 == 0
            refused += is_expired
            return answer(403) if is_expired else storage.honest(request)

        storage.plan(*[look] * 99)
        paths = [tmp_path / f"{number}.mp3" for number in range(50)]
        await asyncio.gather(*(storage.client.download_recording("call_1", path) for path in paths))
        assert max(unused) < 4
        assert refused > 0
        assert storage.fresh_links == 50 + refused
    assert {path.read_bytes() for path in paths} == {MP3}


async def test_g10_after_a_suspend_the_recording_is_gone_on_with_by_a_fresh_link(tmp_path: Path) -> None:
    def sleep_long(storage: Storage) -> None:
        storage.client.clock.now += 7200.0

    async with serving() as storage:
        storage.plan(then(sleep_long, cut(5000, "reset")), status(403, body=EXPIRED))
        await storage.save(tmp_path)
        assert storage.fresh_links == 1
    assert (tmp_path / "call.mp3").read_bytes() == MP3


SENT = ["Host", "User-Agent", "Accept-Encoding", "Accept"]


async def test_g11_storage_gets_these_headers_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password CANARY\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with serving(default_headers={"X-Of-The-Api": "CANARY"}, organization_id="CANARY") as storage:
        storage.more_headers = [("Set-Cookie", "session=CANARY")]
        storage.plan(cut(5000), status(403), cut(1000))
        await storage.save(tmp_path / "to")
        first, *others = storage.asked
        assert sorted(name for name, _ in first.headers) == sorted(SENT)
        assert first.values("accept-encoding") == ["identity"]
        for request in others:
            assert sorted(name for name, _ in request.headers) == sorted([*SENT, "Range", "If-Range"])
        assert "CANARY" not in str(storage.asked)


async def test_g11_a_link_for_the_apis_own_host_gets_nothing_of_the_apis_either(tmp_path: Path) -> None:
    seen: list[Request] = []

    def keep(storage: Storage, request: Request) -> Answer:
        seen.append(request)
        return storage.honest(request)

    async with serving(auth_scheme="bearer") as storage:
        storage.plan(keep)
        await storage.save(tmp_path, call="call_1")
        assert [request.path for request in storage.server.requests] == [FRESH, PATH]
        assert storage.server.requests[0].values("authorization") != []
    assert [request.values("authorization") for request in seen] == [[]]
