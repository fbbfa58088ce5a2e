"""What goes wrong with aiohttp, in our words.

The only module that knows aiohttp's exceptions. A fault is classified where it is caught, and the error of ours
is raised when the ``except`` is left: even ``raise ... from None`` would keep the original in its context, and
with it the request's headers and the key.
"""

from __future__ import annotations

import os
from typing import Final

import aiohttp

from krosai_calls._retry import RETRIED_STATUSES, Failure, FailureKind
from krosai_calls.errors import ConnectionFailedError, RequestTimeoutError


class _ConnectionLost(Exception):  # noqa: N818 - a signal from the middleware to failure_of, never raised out
    """Stands for the two faults at which aiohttp would repeat a GET by itself."""

    def __init__(self, number: int | None) -> None:
        super().__init__()
        self.errno = number


class PrivateAddressError(OSError):
    """A name leads into a private network, where it must not."""


FAULTS: Final = (aiohttp.ClientError, OSError, UnicodeError, _ConnectionLost)


async def without_hidden_repeat(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # At these two faults aiohttp sends a GET once more by itself; an attempt is to be one request on the wire.
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as lost:
        number = lost.errno if isinstance(lost, OSError) else None
    raise _ConnectionLost(number)


def failure_of(fault: Exception, where: str) -> Failure:
    """What a fault of aiohttp or of the system means, in our words; the fault itself is left behind."""
    kind, words = _meaning(fault)
    error_class = RequestTimeoutError if kind is FailureKind.TIMED_OUT else ConnectionFailedError
    if isinstance(fault, aiohttp.ConnectionTimeoutError):
        error_class = RequestTimeoutError
    error = error_class(f"{where}: {words}")
    error.sent = kind not in (FailureKind.NEVER_SENT, FailureKind.UNTRUSTED)
    number = getattr(fault, "errno", None)
    if isinstance(number, int):
        error.errno = number
    return Failure(kind, error)


def not_in_time(where: str) -> RequestTimeoutError:
    """The error for a request whose turn did not come in the time that its verb has."""
    error = RequestTimeoutError(f"{where}: its turn did not come in time, and nothing was sent")
    error.sent = False
    return error


def _meaning(fault: Exception) -> tuple[FailureKind, str]:
    match fault:  # the order matters: a bad certificate is a connector error too
        case aiohttp.ClientConnectorCertificateError():
            return FailureKind.UNTRUSTED, "the server's certificate is not trusted"
        case UnicodeError():
            return FailureKind.UNTRUSTED, "the host's name is none that can be looked up"
        case aiohttp.ClientConnectorSSLError():
            return FailureKind.NEVER_SENT, "TLS did not come about; is the scheme of the base URL right?"
        case aiohttp.ClientConnectorDNSError() if isinstance(fault.os_error, PrivateAddressError):
            return (
                FailureKind.UNTRUSTED,
                "the host's name leads into a private network, although the API is public",
            )
        case aiohttp.ClientConnectorDNSError():
            return FailureKind.NEVER_SENT, "the host's name does not resolve; is the base URL right?"
        case aiohttp.ConnectionTimeoutError():
            return FailureKind.NEVER_SENT, "no connection came about in time"
        case aiohttp.ClientHttpProxyError():
            may_pass = fault.status in RETRIED_STATUSES
            kind = FailureKind.NEVER_SENT if may_pass else FailureKind.UNTRUSTED
            return kind, f"the proxy answered {fault.status}"
        case aiohttp.ClientProxyConnectionError():
            return FailureKind.NEVER_SENT, f"no connection to the proxy: {_system_words(fault)}"
        case aiohttp.ClientConnectorError():
            return FailureKind.NEVER_SENT, f"no connection: {_system_words(fault)}"
        case TimeoutError():
            return FailureKind.TIMED_OUT, "no complete answer in time"
        case _ConnectionLost() | aiohttp.ServerDisconnectedError():
            return FailureKind.DROPPED, f"the connection was lost: {_system_words(fault)}"
        case aiohttp.ClientPayloadError():
            return FailureKind.LOST, "the answer was cut short"
        case aiohttp.ClientResponseError():
            # Whatever its status says: that is aiohttp's, for an answer that its parser did not take.
            return FailureKind.GARBLED, "the answer is no valid HTTP"
        case _:
            return FailureKind.LOST, f"the connection was lost: {_system_words(fault)}"


def _system_words(fault: Exception) -> str:
    number = getattr(fault, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else "closed without an answer"
