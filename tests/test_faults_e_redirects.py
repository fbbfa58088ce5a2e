"""Where storage leads on to (E15), and what goes with each request there (G11)."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from raw_server import RawServer, answer
from storage_server import MP3, PATH, TAG, Storage, Turn, cut, names, serving, status

from krosai_calls import Call, DownloadError

SENT = {"host", "user-agent", "accept-encoding", "accept"}
OF_THE_API: dict[str, Any] = {
    "organization_id": "org_CANARY",
    "default_headers": {"X-Secret": "CANARY", "Cookie": "session=CANARY"},
    "default_query": {"trace": "CANARY"},
}


def to(location: str, number: int = 302) -> Turn:
    """Storage leads on."""
    return status(number, ("Location", location))


async def refused(storage: Storage, folder: Path, match: str = "refused") -> None:
    with pytest.raises(DownloadError, match=match) as raised:
        await storage.save(folder)
    assert "signature" not in str(raised.value)
    assert names(folder) == []


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", [f"{PATH}?other=%2F", "call_1.mp3?other=%2F", "?other=%2F"])
async def test_e15_a_redirect_on_the_same_host_is_followed(tmp_path: Path, number: int, location: str) -> None:
    async with serving() as storage:
        storage.plan(to(location, number))
        await storage.save(tmp_path)
        assert [request.target for request in storage.asked][1:] == [f"{PATH}?other=%2F"]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_e15_a_redirect_that_tells_a_query_alone_keeps_the_bytes_of_the_path(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(to("?other=%2F%7E"))
        await storage.save(tmp_path, call=Call("call_1", recording_url=f"{storage.server.url}/a%2Fb%7E%2b?x"))
        assert storage.asked[1].target == "/a%2Fb%7E%2b?other=%2F%7E"


async def test_e15_at_no_hop_does_anything_of_the_apis_go_along(tmp_path: Path) -> None:
    async with serving(**OF_THE_API) as storage, RawServer(lambda request: storage.honest(request)) as elsewhere:
        storage.plan(cut(4000), to(f"{elsewhere.url}/elsewhere?signature=%2F"))
        await storage.save(tmp_path)
        first, resumed = storage.asked
        (followed,) = elsewhere.requests
        assert followed.target == "/elsewhere?signature=%2F"
        for request, more in ((first, set()), (resumed, {"range", "if-range"}), (followed, {"range", "if-range"})):
            assert {name.lower() for name, _ in request.headers} == SENT | more
            assert len(request.headers) == len(SENT | more)
            assert "CANARY" not in str(request)
        assert followed.values("range") == ["bytes=4000-"]
        assert followed.values("if-range") == [TAG]
        assert followed.values("host") == [elsewhere.url.removeprefix("http://")]
    assert (tmp_path / "call.mp3").read_bytes() == MP3


NOWHERE = [
    "file:///etc/passwd",
    "ftp://127.0.0.1/x",
    "data:audio/mpeg;base64,AAAA",
    "javascript:alert(1)",
    "//user:secret@127.0.0.1/x",
    "http://user@127.0.0.1/x",
    "http://127.0.0.1:99999/x",
    "http://127.0.0.1:0/x",
    "http://[::1/x",
    "http://a.example\\@127.0.0.1/x",
]


@pytest.mark.parametrize("location", NOWHERE, ids=lambda location: location[:30])
async def test_e15_a_redirect_to_what_is_no_web_address_is_refused(tmp_path: Path, location: str) -> None:
    async with serving() as storage:
        storage.plan(to(location))
        await refused(storage, tmp_path)
        assert {request.path for request in storage.asked} == {PATH}


@pytest.mark.parametrize("field", ["the link itself", "a redirect"])
async def test_e15_a_link_by_https_leads_on_to_no_plain_http(tmp_path: Path, field: str) -> None:
    authority = trustme.CA()
    theirs, ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(ours)
    async with serving(ssl_context=ours) as storage, RawServer(tls=theirs) as secure:
        secure.script(answer(302, headers=[("Location", storage.link)]))
        storage.plan(to(f"{secure.url}/x"))
        link = f"{secure.url}/x" if field == "the link itself" else storage.link
        with pytest.raises(DownloadError, match="refused"):
            await storage.save(tmp_path, call=Call("call_1", recording_url=link))
        assert len(secure.requests) == 1
        assert len(storage.asked) == (0 if field == "the link itself" else 1)


async def test_e15_three_redirects_are_followed_and_a_fourth_is_not(tmp_path: Path) -> None:
    async with serving() as storage:
        storage.plan(to("?a"), to("?b"), to("?c"))
        await storage.save(tmp_path)
        assert [request.target.partition("?")[2] for request in storage.asked][1:] == ["a", "b", "c"]
        (tmp_path / "call.mp3").unlink()
        storage.plan(*[to("?again")] * 9)
        await refused(storage, tmp_path, "on and on")
        assert len(storage.asked) == 4 + 4


async def test_e15_redirects_are_counted_for_each_request_anew(tmp_path: Path) -> None:
    async with serving(max_attempts=5) as storage:
        storage.plan(*[to("?there"), status(503)] * 4)
        await storage.save(tmp_path)
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_e15_a_redirect_that_leads_nowhere_any_more_is_asked_for_again(tmp_path: Path) -> None:
    async with serving() as storage, RawServer() as gone:
        away = f"{gone.url}/x"
    async with serving() as storage:
        storage.plan(to(away))
        await storage.save(tmp_path)
        assert len(storage.asked) == 2
    assert (tmp_path / "call.mp3").read_bytes() == MP3


@pytest.mark.parametrize("number", [300, 304, 302, 307])
async def test_e15_a_redirect_without_a_place_is_an_error(tmp_path: Path, number: int) -> None:
    async with serving() as storage:
        storage.plan(*[status(number)] * 9)
        with pytest.raises(DownloadError, match=str(number)):
            await storage.save(tmp_path)
        assert len(storage.asked) == 1
    assert names(tmp_path) == []


async def test_e15_a_stream_follows_as_a_file_does() -> None:
    async with serving() as storage:
        storage.plan(to("?a"), cut(4000), to("?b"))
        async with storage.client.stream_recording(storage.call) as stream:
            assert b"".join([piece async for piece in stream]) == MP3
        assert storage.ranges == [None, None, "bytes=4000-", "bytes=4000-"]


async def test_e15_a_redirect_is_let_go_of_before_the_next_request(tmp_path: Path) -> None:
    async with serving(max_concurrency=1) as storage:
        storage.plan(to("?a"), to("?b"))
        async with asyncio.timeout(5):
            await storage.save(tmp_path)
    assert (tmp_path / "call.mp3").read_bytes() == MP3
