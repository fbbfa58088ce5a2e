"""A stand-in for the Calls API, for the tests of your own code: no account, no network, no cost.

    from krosai_calls import CallsClient
    from krosai_calls.sandbox import Sandbox

    with Sandbox(calls=250, seed=1) as sandbox:
        with CallsClient(sandbox.api_key, base_url=sandbox.base_url) as client:
            page = client.list_calls(status="completed")
        assert len(sandbox.api_requests) == 1

It serves real HTTP on loopback: the API on one port, and on another the storage host with the recordings, behind
links that expire. In pytest the fixture ``krosai_sandbox`` is a running one.

Its world changes as a test wants it: ``add_call``, ``end_call`` and ``delete_call``; ``advance`` lets time pass,
by which calls live, links expire and recordings age; ``on_request`` is told of each request before it is answered;
``fail_next`` lets one fail; ``reset`` makes everything as it was. A ``Dialect`` says how it speaks where the
documents leave it open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from krosai_calls.sandbox.added import CallFields
    from krosai_calls.sandbox.dialect import Dialect
    from krosai_calls.sandbox.faults import FaultFields
    from krosai_calls.sandbox.journal import RecordedRequest
    from krosai_calls.sandbox.server import Sandbox

__all__ = ["CallFields", "Dialect", "FaultFields", "RecordedRequest", "Sandbox"]

_HOMES = {
    "CallFields": "added",
    "Dialect": "dialect",
    "FaultFields": "faults",
    "RecordedRequest": "journal",
    "Sandbox": "server",
}


def __getattr__(name: str) -> Any:
    # Every run of pytest imports this package for its plugin; the servers come only when they are used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
