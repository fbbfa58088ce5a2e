"""Refusals and redirects: which are asked again, and who is never asked (A19, A20, A24 to A26)."""

from __future__ import annotations

import pytest
from fault_client import CALL, KEY, client_of
from raw_server import RawServer, answer

from krosai_calls import errors
from krosai_calls.errors import ApiError

REDIRECTS = (301, 302, 303, 307, 308)
TARGETS = {
    "same origin": "{origin}/elsewhere",
    "a path": "/elsewhere",
    "other port": "{other}/v1/calls/call_1",
    "other host": "http://localhost:{other_port}/v1/calls/call_1",
    "no scheme": "//localhost:{other_port}/v1/calls/call_1",
    "a user": "http://user:password@localhost:{other_port}/?token=CANARYSIG",
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("status", REDIRECTS, ids="A19 {}".format)
@pytest.mark.parametrize("verb", ["get_call", "hang_up"])
async def test_a_redirect_is_told_and_its_target_never_asked(verb: str, status: int, target: str) -> None:
    async with RawServer() as server, RawServer() as other, client_of(server.url) as client:
        location = target.format(origin=server.url, other=other.url, other_port=other.url.rpartition(":")[2])
        server.script(answer(status, headers=[("Location", location)]))
        with pytest.raises(ApiError, match="a redirect, which is not followed") as raised:
            await getattr(client, verb)("call_1")
        assert (type(raised.value), raised.value.status, raised.value.attempts) == (ApiError, status, 1)
        assert len(server.requests) == 1
        assert other.requests == []
        told = str(raised.value) + repr(vars(raised.value))
        assert not any(word in told for word in (KEY, "CANARYSIG", "password"))


@pytest.mark.parametrize(
    ("status", "location"),
    [
        pytest.param(302, "/v1/calls/call_1", id="A20 in a circle"),
        pytest.param(302, None, id="A20 without a target"),
        pytest.param(302, "http://[::1", id="A20 to no address"),
        pytest.param(302, "javascript:alert(1)", id="A20 to a script"),
        pytest.param(300, None, id="A20 300"),
        pytest.param(304, None, id="A20 304"),
    ],
)
async def test_a_redirect_that_leads_nowhere_is_told_after_one_request(status: int, location: str | None) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(answer(status, headers=[("Location", location)] if location else []))
        with pytest.raises(ApiError) as raised:
            await client.get_call("call_1")
        assert (raised.value.status, len(server.requests)) == (status, 1)


HTML = b"<html><head><title>\x1b[31mBad gateway\x07</title></head>" + b"<p>very sorry" * 1000


@pytest.mark.parametrize("status", [500, 502, 503, 504], ids="A24 {}".format)
async def test_a_gateways_page_is_a_server_error_and_asked_again(status: int) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(answer(status, HTML, content_type="text/html"))
        with pytest.raises(errors.ServerError) as raised:
            await client.get_call("call_1")
        assert raised.value.status == status
        assert raised.value.attempts == len(server.requests) == 5
        assert client.clock.slept == [0.25, 0.5, 1.0, 2.0]
        assert (raised.value.message, raised.value.code) == (None, None)
        assert len(str(raised.value)) < 400
        assert not set(str(raised.value)) & {"\x1b", "\x07"}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504], ids="A25 {}".format)
async def test_a_refusal_that_may_pass_is_asked_again(status: int) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(answer(status), answer(status), answer(200, CALL))
        assert (await client.get_call("call_1")).id == "call_1"
        assert len(server.requests) == 3
        assert len(client.clock.slept) == 2


CLASSES: dict[int, type[ApiError]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    402: errors.PaymentRequiredError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    405: ApiError,
    406: ApiError,
    409: errors.ConflictError,
    410: ApiError,
    415: ApiError,
    422: errors.BadRequestError,
    451: ApiError,
}
# 421 and 52x are not among the statuses that issue 3 has retried.
FINAL = {
    **{f"A26 {status}": (status, kind) for status, kind in CLASSES.items()},
    "A25 421": (421, ApiError),
    **{f"A25 {status}": (status, errors.ServerError) for status in (501, 505, 511, 520, 524, 529)},
}


@pytest.mark.parametrize(("status", "kind"), FINAL.values(), ids=FINAL)
async def test_a_refusal_that_asking_cannot_change_costs_one_request(status: int, kind: type[ApiError]) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(answer(status, b'{"error": "no"}'))
        with pytest.raises(ApiError) as raised:
            await client.get_call("call_1")
        assert (type(raised.value), raised.value.status, raised.value.message) == (kind, status, "no")
        assert raised.value.attempts == len(server.requests) == 1
        assert client.clock.slept == []


@pytest.mark.parametrize("words", ["the key {} is wrong", "no key begins with {} here"])
async def test_a26_a_wrong_key_is_told_without_the_key(words: str) -> None:
    async with RawServer() as server, client_of(server.url) as client:
        server.script(answer(401, b'{"error": "%b"}' % words.format(KEY).encode()))
        with pytest.raises(errors.AuthenticationError) as raised:
            await client.get_call("call_1")
    assert KEY not in str(raised.value)
    assert "CANARY" not in repr(vars(raised.value))
