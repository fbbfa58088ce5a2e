"""The two clients have one surface: the same verbs and settings, told apart by ``await`` alone."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from types import GenericAlias
from typing import Any, get_args, get_origin, get_type_hints

import aiohttp
import pytest

from krosai_calls import AsyncCallsClient, CallsClient, RetryPolicy, _blocking, sync
from krosai_calls._blocking import BlockingCallIterator, BlockingPageIterator, BlockingRecordingStream
from krosai_calls._listing import CallIterator, PageIterator
from krosai_calls._streams import RecordingStream
from krosai_calls.sandbox import Sandbox

TWINS = {
    CallIterator: BlockingCallIterator,
    PageIterator: BlockingPageIterator,
    RecordingStream: BlockingRecordingStream,
}
BLOCKING_FORM_OF: dict[Any, Any] = {
    **TWINS,
    AbstractAsyncContextManager: AbstractContextManager,
    AsyncIterator: Iterator,
    AsyncGenerator: Iterator,
}
# What the same thing is called on either side.
BLOCKING_NAME_OF = {"aclose": "close", "__anext__": "__next__", "__aiter__": "__iter__"}
# Section 4 of the design.
VERBS = {
    "list_calls",
    "iter_calls",
    "iter_pages",
    "get_call",
    "get_stats",
    "list_events",
    "watch_events",
    "wait_until_ended",
    "hang_up",
    "get_recording",
    "stream_recording",
    "download_recording",
    "download_transcript",
    "archive",
}
SETTINGS = {
    "api_key": None,
    "base_url": None,
    "auth_scheme": "x-api-key",
    "organization_id": None,
    "timeout_seconds": 30.0,
    "connect_timeout_seconds": 10.0,
    "read_timeout_seconds": 30.0,
    "retry": None,
    "max_concurrency": 16,
    "requests_per_second": None,
    "max_requests": None,
    "max_response_bytes": 16 * 2**20,
    "allow_insecure_http": False,
    "on_event": None,
    "default_headers": None,
    "default_query": None,
    "session": None,
    "proxy": None,
    "ssl_context": None,
}


def public_names(subject: object) -> set[str]:
    return {name for name in dir(subject) if not name.startswith("_")}


def blocking_form(annotation: Any) -> Any:
    """A type as the blocking client has it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is AsyncGenerator:
        arguments = arguments[:1]  # what is sent into it is no part of an iterator
    if origin in BLOCKING_FORM_OF:
        return GenericAlias(BLOCKING_FORM_OF[origin], tuple(map(blocking_form, arguments)))
    return BLOCKING_FORM_OF.get(annotation, annotation)


def comparable(annotation: Any) -> Any:
    """`contextlib`'s generics are classes of `typing` once they have arguments; here they are all of one kind."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (AbstractContextManager, Iterator, list):
        return GenericAlias(origin, tuple(map(comparable, arguments)))
    return annotation


def signature_of(function: Any) -> tuple[list[tuple[str, Any, Any, Any]], Any]:
    """Names, kinds, defaults and types of parameters, in their order, and the type of what is given back."""
    types = get_type_hints(function, localns={"aiohttp": aiohttp})
    parameters = inspect.signature(function).parameters.values()
    taken = [(each.name, each.kind, each.default, types.get(each.name)) for each in parameters]
    return taken, types.get("return")


def documented_arguments(client: type) -> dict[str, str]:
    """The lines of a class's section of arguments."""
    section = (inspect.getdoc(client) or "").split("Args:\n")[1].split("\n\n")[0]
    return dict(re.findall(r"^    (\w+): (.+)$", section, re.MULTILINE))


def first_lines() -> dict[tuple[str, str], str]:
    """The first line of each docstring of the blocking side, as the source has it, by class and method."""
    return {
        (owner.name, method.name): (ast.get_docstring(method) or "").split("\n")[0]
        for module in (sync, _blocking)
        for owner in ast.parse(inspect.getsource(module)).body
        if isinstance(owner, ast.ClassDef)
        for method in owner.body
        if isinstance(method, ast.FunctionDef)
    }


FIRST_LINES = first_lines()
SHARED = sorted(public_names(AsyncCallsClient) & public_names(CallsClient))


def first_line(subject: object) -> str:
    return (inspect.getdoc(subject) or "").splitlines()[0]


def test_neither_client_has_a_verb_that_the_other_lacks() -> None:
    assert public_names(AsyncCallsClient) - {"aclose"} == public_names(CallsClient) - {"close"}
    assert "aclose" in public_names(AsyncCallsClient)
    assert "close" in public_names(CallsClient)


def test_they_have_the_verbs_of_the_design() -> None:
    assert public_names(AsyncCallsClient) - {"aclose"} == VERBS


def test_they_have_the_settings_of_the_design_with_its_defaults() -> None:
    parameters = inspect.signature(AsyncCallsClient).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == SETTINGS
    assert {name for name in parameters if parameters[name].kind is not inspect.Parameter.KEYWORD_ONLY} == {
        "api_key"
    }
    policy = RetryPolicy()  # what None stands for
    assert (policy.max_attempts, policy.base_delay_seconds, policy.max_delay_seconds) == (5, 0.5, 30.0)


@pytest.mark.parametrize("name", SHARED)
def test_a_verb_takes_the_same_and_gives_the_same_in_both(name: str) -> None:
    ours, theirs = getattr(CallsClient, name), getattr(AsyncCallsClient, name)
    our_parameters, we_give = signature_of(ours)
    their_parameters, they_give = signature_of(theirs)
    assert our_parameters == their_parameters
    assert comparable(we_give) == blocking_form(they_give)
    assert not inspect.iscoroutinefunction(ours)


@pytest.mark.parametrize("name", SHARED)
def test_a_verb_says_the_same_in_both(name: str) -> None:
    ours, theirs = getattr(CallsClient, name), getattr(AsyncCallsClient, name)
    assert FIRST_LINES["CallsClient", name] == first_line(theirs) != ""
    assert inspect.getdoc(ours) == (inspect.getdoc(theirs) or "").replace("aclosing", "closing")


def test_closing_says_the_same_in_both() -> None:
    assert first_line(CallsClient.close) == first_line(AsyncCallsClient.aclose)


def test_both_are_made_of_the_same_settings_but_for_the_session() -> None:
    ours, _ = signature_of(CallsClient.__init__)
    theirs, _ = signature_of(AsyncCallsClient.__init__)
    assert ours == [each for each in theirs if each[0] != "session"]
    assert len(ours) == len(theirs) - 1
    settings = documented_arguments(AsyncCallsClient.__mro__[1])
    assert settings.pop("session")
    assert documented_arguments(CallsClient) == settings
    assert set(settings) == set(SETTINGS) - {"session"}


@pytest.mark.parametrize("theirs", TWINS, ids=lambda kind: kind.__name__)
def test_an_iterators_methods_are_the_same_in_both(theirs: type) -> None:
    ours = TWINS[theirs]
    for their_name in public_names(theirs) | {"__anext__"}:
        name = BLOCKING_NAME_OF.get(their_name, their_name)
        our_method, their_method = getattr(ours, name), getattr(theirs, their_name)
        assert signature_of(our_method) == signature_of(their_method), name
        assert FIRST_LINES[ours.__name__, name] == first_line(their_method) != ""
    assert {BLOCKING_NAME_OF.get(name, name) for name in public_names(theirs)} == public_names(ours)


def test_what_verbs_give_has_the_same_names_in_both() -> None:
    with Sandbox(calls=30) as sandbox:
        call_id = next(call["id"] for call in sandbox.calls if call["recording_url"])
        settings: Any = {"api_key": sandbox.api_key, "base_url": sandbox.base_url}
        theirs = asyncio.run(public_names_of_what_is_given(AsyncCallsClient(**settings), call_id))
        with CallsClient(**settings) as client, client.stream_recording(call_id) as stream:
            ours = [public_names(each) for each in (client.iter_calls(), client.iter_pages(), stream)]
    assert [{BLOCKING_NAME_OF.get(name, name) for name in names} for names in theirs] == ours
    assert {"size_bytes", "content_type"} <= ours[-1]


async def public_names_of_what_is_given(client: AsyncCallsClient, call_id: str) -> list[set[str]]:
    async with client, client.stream_recording(call_id) as stream:
        return [public_names(each) for each in (client.iter_calls(), client.iter_pages(), stream)]


@pytest.mark.parametrize("name", SHARED)
def test_type_checkers_are_shown_every_verb_of_both(name: str) -> None:
    text = Path(__file__).with_name("typing_verbs.py").read_text(encoding="utf-8")
    awaited, blocking = text.split("def every_verb_blocking")
    assert f"client.{name}(" in awaited
    assert f"client.{name}(" in blocking
