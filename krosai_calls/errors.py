"""Every error that leaves this package. No error holds a key, a signature, a header or an object of aiohttp.

    KrosaiError
    ├── SettingsError (ValueError)              configuration, before any request
    ├── InvalidArgumentError (ValueError)       a verb's argument, before any request
    ├── ListingInconsistentError                the listing cannot be vouched for any more
    ├── ConnectionFailedError (OSError)         no usable answer: DNS, TLS, refused, reset
    │   ├── RequestTimeoutError (TimeoutError)
    │   ├── StreamInterruptedError              the bytes ended before their time
    │   └── HangupUncertainError                sent, and no answer tells whether the call has ended
    ├── ApiError                                the service answered, and refused
    │   ├── BadRequestError 400, 422   ├── AuthenticationError 401   ├── PaymentRequiredError 402
    │   ├── PermissionDeniedError 403  ├── NotFoundError 404         ├── ConflictError 409
    │   ├── RateLimitedError 429       └── ServerError 5xx
    ├── DecodeError                             the answer is not what the contract says
    ├── DownloadError
    │   ├── RecordingNotReadyError              none yet: the call may still get one
    │   ├── RecordingGoneError                  past retention, or the call never had one
    │   ├── TranscriptUnavailableError          none (yet)
    │   ├── LocalFileError (OSError)            full disk, no permission, something in the way
    │   └── IntegrityError                      the bytes are not a whole recording
    ├── RequestBudgetExceededError              the caller's own limit, or the day's quota; resumable
    ├── ArchiveError                            in use by another run, not writable, full, damaged
    └── ClientStateError (RuntimeError)         closed, used after fork, blocking call inside its own loop

Fields beyond the message are keywords with defaults: an exception whose constructor demands more than its
``args`` cannot be unpickled, and users send errors between processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from krosai_calls._text import visible


class KrosaiError(Exception):
    """The root of every error of this package.

    Attributes:
        attempts: How many requests were made for the verb that failed; 0 where none was.
    """

    attempts: int = 0

    def __init__(self, message: str = "") -> None:
        # Here, where every message passes: a server's words in it can drive no terminal.
        super().__init__(visible(message))

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError keeps errno outside __dict__ and rebuilds itself from it; ours travel by their own fields.
        state = dict(self.__dict__)
        if isinstance(self, OSError) and self.errno is not None:
            state["errno"] = self.errno
        return (type(self), self.args, state)


class SettingsError(KrosaiError, ValueError):
    """The configuration cannot work: a missing key, an impossible address, a limit out of range."""


class InvalidArgumentError(KrosaiError, ValueError):
    """An argument of a verb cannot be right; nothing was sent."""


class ListingInconsistentError(KrosaiError):
    """The listing cannot be vouched for: going on could lose or repeat calls in silence."""


class ConnectionFailedError(KrosaiError, OSError):
    """No usable answer came: the name did not resolve, the connection was refused, reset or not trusted.

    Attributes:
        sent: False where it is certain that nothing of the request reached the service.
    """

    sent: bool = True


class RequestTimeoutError(ConnectionFailedError, TimeoutError):
    """An exchange took longer than the client's timeouts allow."""


class StreamInterruptedError(ConnectionFailedError):
    """A body ended before all of it had come.

    Attributes:
        received: Bytes that did come.
        expected: Bytes that were promised, or None where nothing was.
    """

    def __init__(self, message: str = "", *, received: int = 0, expected: int | None = None) -> None:
        super().__init__(message)
        self.received = received
        self.expected = expected


class HangupUncertainError(ConnectionFailedError):
    """A hang-up was sent and no answer tells whether the call has ended: look before repeating it.

    Attributes:
        call_id: The call that may or may not have been ended.
    """

    def __init__(self, message: str = "", *, call_id: str | None = None) -> None:
        super().__init__(message)
        self.call_id = call_id


class ApiError(KrosaiError):
    """The service answered with something else than success.

    Attributes:
        status: The HTTP status.
        code: The service's machine-readable code, such as ``RATE_LIMIT_EXCEEDED``, or None.
        message: The service's own words, or None.
        details: Whatever else the error body held under ``details``.
        request_id: The service's name for the request, for a word with its support.
        retry_after: Seconds the service asked to wait, or None.
        method: The HTTP method.
        url: The address without its query.
    """

    def __init__(
        self,
        summary: str = "",
        *,
        status: int = 0,
        code: str | None = None,
        message: str | None = None,
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        method: str = "",
        url: str = "",
    ) -> None:
        super().__init__(summary)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.request_id = request_id
        self.retry_after = retry_after
        self.method = method
        self.url = url


class BadRequestError(ApiError):
    """400 or 422: the service does not accept the parameters."""


class AuthenticationError(ApiError):
    """401: the key is missing, wrong or expired."""


class PaymentRequiredError(ApiError):
    """402: the account's balance does not cover it."""


class PermissionDeniedError(ApiError):
    """403: the key lacks the scope, or the address is not allowed."""


class NotFoundError(ApiError):
    """404: there is no such call, or it has no such thing."""


class ConflictError(ApiError):
    """409: the call's state does not allow it."""


class RateLimitedError(ApiError):
    """429: too many requests; ``retry_after`` says when to come back."""


class ServerError(ApiError):
    """5xx: the service failed."""


class DecodeError(KrosaiError):
    """An answer is not what the contract says.

    Attributes:
        reason: In a word what is wrong: ``empty``, ``html``, ``json``, ``utf8``, ``number``, ``depth``,
            ``encoding``, ``too large``, ``shape`` or ``id``.
        path: Where in the answer, such as ``$.calls[3].id``.
        url: The address without its query.
        status: The HTTP status of the answer.
        content_type: What the answer said it was.
        snippet: The beginning of the body, its secrets and control characters replaced.
        request_id: The service's name for the request.
    """

    def __init__(
        self,
        summary: str = "",
        *,
        reason: str = "",
        path: str = "$",
        url: str = "",
        status: int | None = None,
        content_type: str | None = None,
        snippet: str = "",
        request_id: str | None = None,
    ) -> None:
        super().__init__(summary)
        self.reason = reason
        self.path = path
        self.url = url
        self.status = status
        self.content_type = content_type
        self.snippet = snippet
        self.request_id = request_id


class DownloadError(KrosaiError):
    """A recording or transcript could not be brought to its file.

    Attributes:
        call_id: The call it belongs to.
        path: The file it was meant for, or None where it was streamed.
    """

    def __init__(self, message: str = "", *, call_id: str | None = None, path: Path | str | None = None) -> None:
        super().__init__(message)
        self.call_id = call_id
        self.path = None if path is None else Path(path)


class RecordingNotReadyError(DownloadError):
    """The call has no recording yet and may still get one."""


class RecordingGoneError(DownloadError):
    """The recording is past its retention, or the call never had one."""


class TranscriptUnavailableError(DownloadError):
    """The call has no transcript, or none yet."""


class LocalFileError(DownloadError, OSError):
    """The file cannot be written: full disk, no permission, something in the way; ``errno`` tells which."""


class IntegrityError(DownloadError):
    """The bytes that came are not a whole recording."""


class RequestBudgetExceededError(KrosaiError):
    """The caller's own budget of requests, or the day's quota, is used up; what was done is kept.

    Attributes:
        report: What an archive run had done by then (an ``ArchiveReport``), or None.
        retry_after: Seconds until it is worth going on, where the service said so.
    """

    def __init__(self, message: str = "", *, report: Any = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.report = report
        self.retry_after = retry_after


class ArchiveError(KrosaiError):
    """The archive's folder cannot be used: held by another run, not writable, full, or damaged."""


class ClientStateError(KrosaiError, RuntimeError):
    """The client cannot be used like this: closed, after a fork, or blocking inside its own loop."""


__all__ = [
    "ApiError",
    "ArchiveError",
    "AuthenticationError",
    "BadRequestError",
    "ClientStateError",
    "ConflictError",
    "ConnectionFailedError",
    "DecodeError",
    "DownloadError",
    "HangupUncertainError",
    "IntegrityError",
    "InvalidArgumentError",
    "KrosaiError",
    "ListingInconsistentError",
    "LocalFileError",
    "NotFoundError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "RateLimitedError",
    "RecordingGoneError",
    "RecordingNotReadyError",
    "RequestBudgetExceededError",
    "RequestTimeoutError",
    "ServerError",
    "SettingsError",
    "StreamInterruptedError",
    "TranscriptUnavailableError",
]
