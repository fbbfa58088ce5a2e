"""What the sandbox was asked, for tests to look at."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

JOURNAL_LIMIT = 100_000
# What can be asked for: by the client's verbs, a recording from the storage host, and the API's description.
ENDPOINTS = (
    "list_calls",
    "get_stats",
    "get_call",
    "list_events",
    "get_recording",
    "hang_up",
    "recording",
    "openapi",
)
_SECRET_HEADERS = frozenset({"x-api-key", "authorization"})


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request that reached the sandbox.

    Attributes:
        server: ``api`` or ``storage``.
        method: The HTTP method.
        path: The path, without the query.
        query: The query's parameters; of a repeated one, the last.
        headers: The headers by their lower-case names. Keys are kept as ``***``: that one came can be seen, and
            which one cannot.
        status: What was answered, or None as long as nothing was.
        endpoint: What was asked for, by the name of the client's verb (``list_calls``, ``get_call``,
            ``get_stats``, ``list_events``, ``get_recording``, ``hang_up``), ``recording`` on the storage host,
            ``openapi``, or None for a path that neither serves.
    """

    server: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None
    endpoint: str | None = None


class Journal:
    """The requests in the order of their arrival; beyond ``JOURNAL_LIMIT`` the oldest are forgotten."""

    def __init__(self) -> None:
        self._requests: dict[int, RecordedRequest] = {}
        self._tickets = itertools.count()

    def arrived(
        self,
        server: str,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        endpoint: str | None = None,
    ) -> tuple[int, RecordedRequest]:
        """Note a request, and give a ticket for its answer with the note."""
        ticket = next(self._tickets)
        kept = {
            name.lower(): "***" if name.lower() in _SECRET_HEADERS else value for name, value in headers.items()
        }
        noted = RecordedRequest(server, method, path, dict(query), kept, endpoint=endpoint)
        self._requests[ticket] = noted
        if len(self._requests) > JOURNAL_LIMIT:
            del self._requests[next(iter(self._requests))]
        return ticket, noted

    def answered(self, ticket: int, status: int) -> None:
        """Note the answer, unless the journal was cleared in between."""
        if ticket in self._requests:
            self._requests[ticket] = replace(self._requests[ticket], status=status)

    def requests(self, server: str | None = None) -> list[RecordedRequest]:
        """Give what was asked of one server, or of both."""
        return [found for found in list(self._requests.values()) if server in (None, found.server)]

    def clear(self) -> None:
        """Forget everything."""
        self._requests.clear()
