"""What a client tells a watcher: small frozen records of what happens on the wire, for metrics and traces.

Pass a callable as ``on_event``; it is called on the client's loop, must be quick, and cannot break anything: an
error in it is logged. No record holds a key or a query, and of the headers only what is named here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from attrs import frozen

Origin: TypeAlias = Literal["api", "storage"]


@frozen
class RequestStarted:
    """A request is about to go out.

    Attributes:
        origin: ``api`` or ``storage``.
        method: The HTTP method.
        endpoint: The path with ``{id}`` in the place of ids, for names of metrics.
        path: The path itself, without the query.
        attempt: Which of its verb's requests it is; the first is 1.
    """

    origin: Origin
    method: str
    endpoint: str
    path: str
    attempt: int


@frozen
class RateLimit:
    """What an answer of the API says of the pace.

    Attributes:
        limit: Requests that the service allows in a second; None where it does not say.
        remaining: How many of them are left in this second; None where it does not say.
    """

    limit: float | None
    remaining: float | None


@frozen
class RequestAnswered:
    """A request has ended: with an answer, or without.

    Attributes:
        request: What had started.
        status: The HTTP status; None where no usable answer came.
        seconds: From its start to the end of the answer; for storage, to the end of its headers.
        request_id: The service's name for it, where it gave one.
        error: What went wrong, in a sentence; None where nothing did.
        rate_limit: What the API's answer says of the pace; None where it says nothing.
        server_time: What time it is by the API's answer, to the second; None where it does not say.
    """

    request: RequestStarted
    status: int | None
    seconds: float
    request_id: str | None
    error: str | None
    rate_limit: RateLimit | None = None
    server_time: datetime | None = None


@frozen
class RequestRetried:
    """A request will be sent again.

    Attributes:
        attempt: Which attempt has failed; the first is 1.
        delay_seconds: How long the next one waits.
        error: Why, in a sentence.
    """

    attempt: int
    delay_seconds: float
    error: str


@frozen
class RequestsPaused:
    """Nothing more goes to an origin for a while: it said that it had enough.

    Attributes:
        origin: ``api`` or ``storage``.
        seconds: For how long.
    """

    origin: Origin
    seconds: float


Event: TypeAlias = RequestStarted | RequestAnswered | RequestRetried | RequestsPaused
