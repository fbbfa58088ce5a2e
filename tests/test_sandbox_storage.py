"""What the sandbox's storage host answers, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from xml.etree import ElementTree

import pytest
from sandbox_caller import NOW, Caller, Clock, calling
from yarl import URL


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def caller(clock: Clock) -> AsyncIterator[Caller]:
    async with calling(clock=clock) as found:
        yield found


# ---- recordings


async def test_a_recording_is_what_its_link_said_it_would_be(caller: Caller) -> None:
    row = next(call for call in caller.sandbox.calls if call["recording_url"])
    link = (await caller.ask(f"/calls/{row['id']}/recording")).json()
    assert (link["format"], link["duration_seconds"]) == ("mp3", row["duration"])
    assert datetime.fromisoformat(link["expires_at"]) == NOW + timedelta(hours=1)
    recording = await caller.fetch(link["recording_url"])
    assert recording.headers["Content-Type"] == "audio/mpeg"
    assert len(recording.body) == link["size_bytes"] == int(recording.headers["Content-Length"])
    assert link["recording_url"].startswith(caller.sandbox.storage_url + "/")
    assert caller.sandbox.storage_url not in caller.sandbox.base_url


async def test_a_call_without_a_recording_has_no_link(caller: Caller) -> None:
    for row in (caller.sandbox.calls[0], caller.sandbox.calls[-1]):
        assert row["recording_url"] is None
        answer = await caller.ask(f"/calls/{row['id']}/recording")
        assert (answer.status, answer.json()["code"]) == (404, "RECORDING_NOT_FOUND")


async def test_parts_put_together_are_the_whole(caller: Caller) -> None:
    url = await caller.url_of_a_recording()
    whole = await caller.fetch(url)
    first = await caller.fetch(url, Range="bytes=0-999")
    rest = await caller.fetch(url, Range="bytes=1000-", If_Range=whole.headers["ETag"])
    assert (first.status, rest.status) == (206, 206)
    assert first.body + rest.body == whole.body
    assert first.headers["Content-Range"] == f"bytes 0-999/{len(whole.body)}"
    assert rest.headers["ETag"] == whole.headers["ETag"]


async def test_a_part_of_another_version_is_the_whole(caller: Caller) -> None:
    answer = await caller.fetch(await caller.url_of_a_recording(), Range="bytes=1000-", If_Range='"another"')
    assert (answer.status, "Content-Range" in answer.headers) == (200, False)


async def test_a_part_beyond_the_end_is_refused_with_the_size(caller: Caller) -> None:
    url = await caller.url_of_a_recording()
    size = len((await caller.fetch(url)).body)
    beyond = await caller.fetch(url, Range=f"bytes={size}-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")


async def test_what_is_known_already_is_not_sent_again(caller: Caller) -> None:
    url = await caller.url_of_a_recording()
    whole = await caller.fetch(url)
    for condition in (
        {"If_None_Match": whole.headers["ETag"]},
        {"If_Modified_Since": whole.headers["Last-Modified"]},
    ):
        known = await caller.fetch(url, **condition)
        assert (known.status, known.body) == (304, b"")


async def test_a_head_is_a_get_without_the_body(caller: Caller) -> None:
    url = await caller.url_of_a_recording()
    whole, head = await caller.fetch(url), await caller.fetch(url, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified", "Accept-Ranges"):
        assert head.headers[name] == whole.headers[name]


async def test_a_link_expires_and_a_fresh_one_can_be_had(caller: Caller, clock: Clock) -> None:
    url = await caller.url_of_a_recording()
    clock.advance(3601)
    expired = await caller.fetch(url)
    assert expired.status == 403
    assert ElementTree.fromstring(expired.body).findtext("Message") == "Request has expired"
    assert (await caller.fetch(await caller.url_of_a_recording())).status == 200


async def test_a_forged_link_opens_nothing(caller: Caller) -> None:
    url = URL(await caller.url_of_a_recording())
    others = [call["id"] for call in caller.sandbox.calls if call["recording_url"] and call["id"] not in url.path]
    forged = [
        url.update_query(signature="0" * 64),
        url.update_query(expires="9999999999"),
        url.with_query({}),
        url.with_path(f"/recordings/{others[0]}.mp3").with_query(url.query),
    ]
    for link in forged:
        answer = await caller.fetch(str(link))
        assert answer.status == 403
        assert ElementTree.fromstring(answer.body).findtext("Code") == "SignatureDoesNotMatch"
    assert (await caller.fetch(f"{caller.sandbox.storage_url}/elsewhere")).status == 404


async def test_the_storage_host_does_not_mind_odd_headers(caller: Caller) -> None:
    odd = {
        "Accept": "text/html;q=0.1",
        "Accept_Encoding": "br, identity;q=0",
        "X_Odd": "ü" * 500,
        "Cookie": "a=b; ;",
    }
    assert (await caller.fetch(await caller.url_of_a_recording(), **odd)).status == 200
