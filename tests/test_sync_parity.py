"""The two clients have one surface: the same verbs and settings, told apart by ``await`` alone."""

from __future__ import annotations

import inspect

import pytest

from krosai_calls import AsyncCallsClient, CallsClient, RetryPolicy

BLOCKING_FORM_OF = {
    "_listing.CallIterator": "BlockingCallIterator",
    "_listing.PageIterator": "PortalIterator[list[Call]]",
    "AsyncGenerator[CallEvent, None]": "Iterator[CallEvent]",
    "AbstractAsyncContextManager[RecordingStream]": "BlockingRecordingStream",
}
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


def public_names(client: type) -> set[str]:
    return {name for name in dir(client) if not name.startswith("_")}


def first_line(subject: object) -> str:
    return (inspect.getdoc(subject) or "").splitlines()[0]


SHARED = sorted(public_names(AsyncCallsClient) & public_names(CallsClient))


def test_neither_client_has_a_verb_that_the_other_lacks() -> None:
    assert public_names(AsyncCallsClient) - {"aclose"} == public_names(CallsClient) - {"close"}


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
def test_a_verb_takes_the_same_and_says_the_same_in_both(name: str) -> None:
    ours, theirs = getattr(CallsClient, name), getattr(AsyncCallsClient, name)
    # Equal names, kinds, defaults and annotations, in this order.
    assert list(inspect.signature(ours).parameters.values()) == list(inspect.signature(theirs).parameters.values())
    gives = inspect.signature(theirs).return_annotation
    assert inspect.signature(ours).return_annotation == BLOCKING_FORM_OF.get(gives, gives)
    assert first_line(ours) == first_line(theirs) != ""


def test_both_are_made_of_the_same_settings_but_for_the_session() -> None:
    theirs = dict(inspect.signature(AsyncCallsClient.__init__).parameters)
    assert theirs.pop("session").kind is inspect.Parameter.KEYWORD_ONLY
    assert list(inspect.signature(CallsClient.__init__).parameters.values()) == list(theirs.values())
