"""An asyncio-native SDK for KrosAI's telephony Calls API: call history, recordings, transcripts.

    from krosai_calls import AsyncCallsClient

    async with AsyncCallsClient() as client:        # the key comes from KROSAI_API_KEY
        async for call in client.iter_calls(status="completed"):
            print(call.created_at, call.from_number, call.duration)

``CallsClient`` has the same verbs, blocking, and ``Archive`` looks into a folder that ``archive`` has filled.
Names are resolved at first use, so that importing the package,
or asking the command line for help, does not load an HTTP library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from krosai_calls._version import __version__
from krosai_calls.errors import (
    ApiError,
    ArchiveError,
    AuthenticationError,
    BadRequestError,
    ClientStateError,
    ConflictError,
    ConnectionFailedError,
    DecodeError,
    DownloadError,
    HangupUncertainError,
    IntegrityError,
    InvalidArgumentError,
    KrosaiError,
    ListingInconsistentError,
    LocalFileError,
    NotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitedError,
    RecordingGoneError,
    RecordingNotReadyError,
    RequestBudgetExceededError,
    RequestTimeoutError,
    ServerError,
    SettingsError,
    StreamInterruptedError,
    TranscriptUnavailableError,
)

if TYPE_CHECKING:
    from krosai_calls._retry import RetryPolicy
    from krosai_calls._streams import RecordingStream
    from krosai_calls.archive import ArchiveReport
    from krosai_calls.client import AsyncCallsClient
    from krosai_calls.library import Archive
    from krosai_calls.models import (
        Call,
        CallDirection,
        CallEvent,
        CallStats,
        CallStatus,
        Download,
        HangupCause,
        HangupResult,
        Page,
        RecordingLink,
    )
    from krosai_calls.sync import CallsClient
    from krosai_calls.transcripts import Turn, parse_transcript

# Where the names live that need attrs or aiohttp; a test holds this against the imports above.
_HOME_OF = {
    "Archive": "krosai_calls.library",
    "ArchiveReport": "krosai_calls.archive",
    "AsyncCallsClient": "krosai_calls.client",
    "Call": "krosai_calls.models",
    "CallDirection": "krosai_calls.models",
    "CallEvent": "krosai_calls.models",
    "CallStats": "krosai_calls.models",
    "CallStatus": "krosai_calls.models",
    "CallsClient": "krosai_calls.sync",
    "Download": "krosai_calls.models",
    "HangupCause": "krosai_calls.models",
    "HangupResult": "krosai_calls.models",
    "Page": "krosai_calls.models",
    "RecordingLink": "krosai_calls.models",
    "RecordingStream": "krosai_calls._streams",
    "RetryPolicy": "krosai_calls._retry",
    "Turn": "krosai_calls.transcripts",
    "parse_transcript": "krosai_calls.transcripts",
}

__all__ = [
    "ApiError",
    "Archive",
    "ArchiveError",
    "ArchiveReport",
    "AsyncCallsClient",
    "AuthenticationError",
    "BadRequestError",
    "Call",
    "CallDirection",
    "CallEvent",
    "CallStats",
    "CallStatus",
    "CallsClient",
    "ClientStateError",
    "ConflictError",
    "ConnectionFailedError",
    "DecodeError",
    "Download",
    "DownloadError",
    "HangupCause",
    "HangupResult",
    "HangupUncertainError",
    "IntegrityError",
    "InvalidArgumentError",
    "KrosaiError",
    "ListingInconsistentError",
    "LocalFileError",
    "NotFoundError",
    "Page",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "RateLimitedError",
    "RecordingGoneError",
    "RecordingLink",
    "RecordingNotReadyError",
    "RecordingStream",
    "RequestBudgetExceededError",
    "RequestTimeoutError",
    "RetryPolicy",
    "ServerError",
    "SettingsError",
    "StreamInterruptedError",
    "TranscriptUnavailableError",
    "Turn",
    "__version__",
    "parse_transcript",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
