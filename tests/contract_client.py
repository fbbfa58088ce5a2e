"""For the contract's tests: a client that never sleeps, and what it makes of an answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from contract_server import KEY
from raw_server import Answer, RawServer, answer

from krosai_calls import AsyncCallsClient, RetryPolicy
from krosai_calls.errors import DecodeError

T = TypeVar("T")


def make_client(base_url: str, *, attempts: int = 5, **settings: Any) -> AsyncCallsClient:
    retry = RetryPolicy(max_attempts=attempts, base_delay_seconds=0.0, max_delay_seconds=0.0)
    return AsyncCallsClient(KEY, base_url=base_url, retry=retry, **settings)


async def read(verb: Callable[[AsyncCallsClient], Awaitable[T]], body: Any) -> T:
    """What a verb makes of a body, given as bytes or as what is to be written as JSON."""
    async with RawServer() as server, make_client(server.url) as client:
        server.script(answer(200, body if isinstance(body, bytes) else json.dumps(body).encode()))
        return await verb(client)


async def fail_to_read(reply: Answer, verb: str = "get_call", **settings: Any) -> DecodeError:
    """The error that an unreadable answer becomes, after two requests at most."""
    arguments = [] if verb in {"list_calls", "get_stats"} else ["call_1"]
    async with RawServer() as server, make_client(server.url + "/v1", **settings) as client:
        server.script(reply)
        with pytest.raises(DecodeError) as raised:
            await getattr(client, verb)(*arguments)
        assert len(server.requests) in {1, 2}
        assert raised.value.attempts == len(server.requests)
        return raised.value


def same(left: Any, right: Any) -> bool:
    """Equality as JSON has it: 1 is neither 1.0 nor true."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def everything_in(error: BaseException | None) -> str:
    """An error, its fields and whatever it was raised from, as a log would show them."""
    told = []
    while error is not None:
        told.append(f"{error!r} {error} {error.args} {vars(error)}")
        error = error.__cause__ or error.__context__
    return "\n".join(told)
