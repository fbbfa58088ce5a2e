"""M1 to M3, M6, M13, M22: the key and a link's signature show up nowhere but where they belong, whatever fails."""

from __future__ import annotations

import asyncio
import copy
import gc
import gzip
import logging
import pickle
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import pytest
from canaries import ID, KEY, QUERY, SIGNATURE, World, logged, searched, told
from raw_server import Answer, answer

from krosai_calls import AsyncCallsClient, CallsClient, ConnectionFailedError, KrosaiError, SettingsError
from krosai_calls.settings import ClientSettings

Verb: TypeAlias = Callable[[World, AsyncCallsClient], Awaitable[object]]

ECHO = KEY.encode()
LINKED = b'{"id": "%s", "recording_url": "https://storage.test/x.mp3?%s"' % (ID.encode(), QUERY.encode())


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as made:
        yield made


async def get(world: World, client: AsyncCallsClient) -> object:
    return await client.get_call(ID)


async def hang_up(world: World, client: AsyncCallsClient) -> object:
    return await client.hang_up(ID)


async def stream(world: World, client: AsyncCallsClient) -> object:
    async with client.stream_recording(world.call) as recording:
        return [piece async for piece in recording]


def check(world: World, caplog: pytest.LogCaptureFixture, *errors: BaseException) -> None:
    found = searched(*map(told, errors), logged(caplog.records), world.told())
    assert not found, "\n".join(found)
    world.check_wire()


REFUSED = b'{"error": "the key %s is wrong", "code": "%s", "details": {"%s": "%s"}}' % (ECHO, ECHO, ECHO, ECHO)
API_FAULTS = {
    "401 that names the key": answer(401, REFUSED),
    "500 whose request id is the key": answer(500, REFUSED, [("X-Request-Id", KEY)]),
    "429 that names the key": answer(429, REFUSED, [("Retry-After", KEY)]),
    "200 that is no JSON and names the key": answer(200, b"<html>" + ECHO),
    "200 of another shape that names the key": answer(200, b'{"id": 7, "x": "%s"}' % ECHO),
    "200 whose content type is the key": answer(200, b"{", content_type=KEY),
    "200 with a link in broken JSON": answer(200, LINKED),
    "200 with a link that is not UTF-8": answer(200, LINKED + b"\xff}"),
    "200 for another call, with a link": answer(200, LINKED.replace(b"call_1", b"call_2", 1) + b"}"),
    "gzip that is cut": answer(200, gzip.compress(LINKED + b"}")[:-9], [("Content-Encoding", "gzip")]),
    "encoding that names the key": answer(200, b"{}", [("Content-Encoding", KEY)]),
    "no HTTP": Answer(b"SSH-2.0 " + ECHO + b"\r\n\r\n", then="close"),
    "cut": answer(200, LINKED + b"}", cut=-1),
    "reset": Answer(then="reset"),
    "closed": Answer(then="close"),
    "silent": Answer(then="hang"),
    "silent in the body": answer(200, LINKED + b"}", cut=-1, then="hang"),
    "too large": answer(200, LINKED + b" " * 4000),
}


@pytest.mark.parametrize("fault", API_FAULTS.values(), ids=API_FAULTS)
@pytest.mark.parametrize("verb", [get, hang_up])
@pytest.mark.parametrize("scheme", ["x-api-key", "bearer"])
async def test_m06_a_fault_of_the_api_shows_no_secret(
    world: World, caplog: pytest.LogCaptureFixture, fault: Answer, verb: Verb, scheme: str
) -> None:
    caplog.set_level(logging.DEBUG)
    world.api.script(fault)
    seconds = 0.2 if fault.then == "hang" else 30.0
    async with world.client(timeout_seconds=seconds, max_response_bytes=1000, auth_scheme=scheme) as client:
        with pytest.raises(KrosaiError) as raised:
            await verb(world, client)
    assert any(KEY in value for request in world.api.requests for _, value in request.headers)
    check(world, caplog, raised.value)


STORAGE_FAULTS = {
    "302 elsewhere": answer(302),
    "403": answer(403, QUERY.encode()),
    "404": answer(404, QUERY.encode()),
    "500": answer(500, QUERY.encode(), [("X-Request-Id", SIGNATURE)]),
    "418": answer(418, QUERY.encode()),
    "206 unasked": answer(206, b"ID3"),
    "no length": answer(200, b"ID3", framing="none"),
    "no HTTP": Answer(b"SSH-2.0 " + QUERY.encode() + b"\r\n\r\n", then="close"),
    "cut": answer(200, b"ID3" + bytes(100), cut=50),
    "closed": Answer(then="close"),
    "reset": Answer(then="reset"),
    "silent": Answer(then="hang"),
    "silent in the body": answer(200, b"ID3" + bytes(100), cut=50, then="hang"),
}


@pytest.mark.parametrize("fault", STORAGE_FAULTS.values(), ids=STORAGE_FAULTS)
async def test_m06_a_fault_of_storage_shows_no_secret(
    world: World, caplog: pytest.LogCaptureFixture, fault: Answer
) -> None:
    caplog.set_level(logging.DEBUG)
    world.storage.script(fault)
    world.api.script(answer(404, REFUSED), path=f"/v1/calls/{ID}")
    async with world.client(read_timeout_seconds=0.2 if fault.then == "hang" else 30.0) as client:
        with pytest.raises(KrosaiError) as raised:
            await stream(world, client)
    assert [request.query for request in world.storage.requests if SIGNATURE not in request.target] == []
    assert world.storage.requests
    check(world, caplog, raised.value)


SPOTS: dict[str, tuple[Verb, Answer, Answer]] = {
    "API's head": (get, Answer(then="hang"), answer()),
    "API's body": (get, answer(200, LINKED + b"}", cut=-1, then="hang"), answer()),
    "storage's head": (stream, answer(), Answer(then="hang")),
    "storage's body": (stream, answer(), answer(200, b"ID3" + bytes(1000), cut=400, then="hang")),
}


async def own_timeout(client: AsyncCallsClient, task: asyncio.Task[object]) -> None:
    """The caller's own deadline; a passing one is what `asyncio.timeout` does in the task itself."""
    task.cancel()


async def closing(client: AsyncCallsClient, task: asyncio.Task[object]) -> None:
    await client.aclose()


@pytest.mark.parametrize(("verb", "by_api", "by_storage"), SPOTS.values(), ids=SPOTS)
@pytest.mark.parametrize("end", [own_timeout, closing], ids=["cancelled", "closed"])
async def test_m06_what_is_ended_midway_shows_no_secret(
    world: World,
    caplog: pytest.LogCaptureFixture,
    verb: Verb,
    by_api: Answer,
    by_storage: Answer,
    end: Callable[[AsyncCallsClient, asyncio.Task[object]], Awaitable[None]],
) -> None:
    caplog.set_level(logging.DEBUG)
    world.api.script(by_api)
    world.storage.script(by_storage)
    server = world.api if verb is get else world.storage
    async with world.client() as client:
        task: asyncio.Task[object] = asyncio.ensure_future(verb(world, client))
        await server.received(1)
        await asyncio.sleep(0.02)  # what the server sent is on its way through the socket
        await end(client, task)
        with pytest.raises((KrosaiError, asyncio.CancelledError)) as raised:
            await task
    check(world, caplog, raised.value)


async def test_m06_a_callers_own_timeout_shows_no_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world.api.script(Answer(then="hang"))
    async with world.client() as client:
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0.05):
                await client.get_call(ID)
    check(world, caplog, raised.value)


@pytest.mark.parametrize("verb", [get, stream])
async def test_m06_a_closed_client_shows_no_secret(
    world: World, caplog: pytest.LogCaptureFixture, verb: Verb
) -> None:
    client = world.client()
    await client.aclose()
    with pytest.raises(KrosaiError) as raised:
        await verb(world, client)
    check(world, caplog, raised.value)


async def test_m06_a_host_that_nobody_listens_at_shows_no_secret(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    call = world.call
    await world.storage.__aexit__(None, None, None)
    world.storage = world.elsewhere  # so that leaving the world closes nothing twice
    async with world.client() as client:
        with pytest.raises(ConnectionFailedError) as raised:
            async with client.stream_recording(call):
                raise AssertionError("a closed port gave a recording")
    assert searched(told(raised.value), logged(caplog.records), world.told()) == []


REDIRECTS = [301, 302, 303, 307, 308]


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("verb", [get, hang_up, stream])
@pytest.mark.parametrize("user", ["", "user:password@"], ids=["plain", "with a user"])
async def test_m01_m02_m03_a_redirect_takes_nothing_to_another_host(
    world: World, caplog: pytest.LogCaptureFixture, status: int, verb: Verb, user: str
) -> None:
    caplog.set_level(logging.DEBUG)
    address = world.elsewhere.url.replace("://", f"://{user}")
    there = answer(status, headers=[("Location", f"{address}/?{QUERY}"), ("Set-Cookie", f"key={KEY}")])
    world.api.script(there)
    world.storage.script(there)
    async with world.client() as client:
        with pytest.raises(KrosaiError) as raised:
            await verb(world, client)
    check(world, caplog, raised.value)
    if verb is get:
        assert len(world.api.requests) == 1
    if verb is not stream or user:
        assert world.elsewhere.requests == []


async def test_m13_no_cookie_is_ever_sent_back(world: World) -> None:
    cookie = [("Set-Cookie", "session=canarycookie; Path=/")]
    world.api.script(answer(200, LINKED + b"}", cookie))
    world.storage.script(answer(200, b"ID3", cookie))
    async with world.client() as client:
        for _ in range(2):
            await client.get_call(ID)
            await stream(world, client)
    asked = world.api.requests + world.storage.requests
    assert [request.values("cookie") for request in asked] == [[], [], [], []]
    world.check_wire()


async def test_m22_a_success_shows_no_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echoing = [("X-Request-Id", KEY), ("Server", KEY)]
    world.api.script(answer(200, LINKED + b"}", echoing))
    world.storage.script(answer(200, b"ID3", [("X-Request-Id", SIGNATURE)]))
    async with world.client(default_headers={"x-tenant": "t"}, default_query={"trace": "t"}) as client:
        call = await client.get_call(ID)
        await stream(world, client)
        shown = repr(call) + str(call) + repr(client) + repr(vars(client))
    assert KEY not in shown
    assert SIGNATURE not in shown
    check(world, caplog)


WRONG_SETTINGS = {
    "timeout_seconds": -1,
    "auth_scheme": KEY,
    "proxy": f"ftp://user:{SIGNATURE}@proxy.test",
    "base_url": "ftp://api.test",
    "retry": 3,
    "max_requests": -1,
    "organization_id": "\n",
    "default_headers": {"x-other": SIGNATURE + "\n"},
    "default_query": {"sig": SIGNATURE, "x": 1},
}


@pytest.mark.parametrize(("name", "value"), WRONG_SETTINGS.items(), ids=WRONG_SETTINGS)
@pytest.mark.parametrize("kind", [AsyncCallsClient, CallsClient])
def test_m06_a_wrong_setting_shows_no_key(
    kind: type[AsyncCallsClient] | type[CallsClient], name: str, value: object
) -> None:
    # The key itself in another place is the caller's mistake, and still no reason to print it.
    with pytest.raises(SettingsError) as raised:
        kind(KEY, **{name: value})  # type: ignore[arg-type]  # wrong on purpose
    texts = str(raised.value) + repr(raised.value)
    assert SIGNATURE not in texts
    if name != "auth_scheme":
        found = [place for place in searched(told(raised.value)) if KEY in place]
        assert not found, "\n".join(found)


@pytest.mark.parametrize("wrong", [KEY + "\n", "\t" + KEY, KEY + "é", KEY + "\0", KEY * 100, f"{KEY} {KEY}"])
def test_m07_a_key_that_cannot_be_one_is_not_shown(wrong: str) -> None:
    with pytest.raises(SettingsError) as raised:
        AsyncCallsClient(wrong)
    assert searched(told(raised.value)) == []


def test_m06_settings_show_no_secret_and_do_not_travel() -> None:
    settings = ClientSettings.resolve(
        KEY,
        proxy=f"http://user:{SIGNATURE}@proxy.test:3128",
        default_headers={"x-other": SIGNATURE},
        default_query={"token": SIGNATURE},
        environment={},
    )
    secret = settings.api_key
    shown = [repr(settings), str(settings), f"{settings}", repr([secret]), str(secret), f"{secret}", "%s" % secret]  # noqa: UP031 - every way to print
    assert [text for text in shown if KEY in text or SIGNATURE in text] == []
    assert repr(secret) == "Secret(***)"
    for travel in (pickle.dumps, copy.deepcopy, copy.copy):
        with pytest.raises(TypeError, match="does not travel"):
            travel(secret)


@pytest.mark.parametrize("verb", [get, stream])
async def test_m06_a_pickled_error_holds_no_secret(world: World, verb: Verb) -> None:
    world.api.script(answer(401, REFUSED))
    world.storage.script(answer(500, QUERY.encode()))
    async with world.client() as client:
        with pytest.raises(KrosaiError) as raised:
            await verb(world, client)
    travelled = pickle.dumps(raised.value)
    assert KEY.encode() not in travelled
    assert SIGNATURE.encode() not in travelled
    back = pickle.loads(travelled)
    assert (type(back), str(back), back.attempts) == (type(raised.value), str(raised.value), 1)


async def test_m06_the_warning_of_a_client_left_open_holds_no_secret(world: World) -> None:
    world.api.script(answer(200, LINKED + b"}"))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        client = world.client()
        await client.get_call(ID)
        del client
        gc.collect()
        await asyncio.sleep(0)
    texts = [str(warning.message) + repr(warning.source) for warning in seen]
    assert len(texts) == 1
    assert KEY not in texts[0]
