"""How a command ends: each error to its exit code, in one table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TypeVar

from krosai_calls import errors

T = TypeVar("T")


class Exit(IntEnum):
    """What an exit code tells a script."""

    DONE = 0
    UNEXPECTED = 1  # a fault of ours
    USAGE = 2  # usage or settings
    PARTLY = 3  # finished, but some items failed
    REFUSED = 4  # by the API: key, scope, balance, a conflict
    NOT_FOUND = 5  # not found, or gone
    USED_UP = 6  # quota or budget; run again later
    UNREACHABLE = 7  # network, or the service's own fault; run again later
    DAMAGED = 8  # the bytes are not a whole recording, or an archive is not what its catalogue says
    UNUSABLE = 9  # the archive or a file: in use, disk full, no permission, something in the way
    INTERRUPTED = 130
    TERMINATED = 143


class EndedError(Exception):
    """A signal has ended the command in good order.

    Attributes:
        code: What the program ends with.
        advice: What is said of it; ``{command}`` in it stands for the command line.
    """

    def __init__(self, code: Exit, advice: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.advice = advice


# The nearest class on an error's way to the root counts; a test walks the tree.
EXIT_BY_ERROR: Mapping[type[BaseException], Exit] = {
    errors.KrosaiError: Exit.UNEXPECTED,
    errors.SettingsError: Exit.USAGE,
    errors.InvalidArgumentError: Exit.USAGE,
    errors.ListingInconsistentError: Exit.UNREACHABLE,
    errors.ConnectionFailedError: Exit.UNREACHABLE,
    errors.ApiError: Exit.REFUSED,
    errors.NotFoundError: Exit.NOT_FOUND,
    errors.RateLimitedError: Exit.USED_UP,
    errors.ServerError: Exit.UNREACHABLE,
    errors.DecodeError: Exit.UNREACHABLE,
    errors.DownloadError: Exit.UNREACHABLE,
    errors.RecordingNotReadyError: Exit.NOT_FOUND,
    errors.RecordingGoneError: Exit.NOT_FOUND,
    errors.TranscriptUnavailableError: Exit.NOT_FOUND,
    errors.LocalFileError: Exit.UNUSABLE,
    errors.IntegrityError: Exit.DAMAGED,
    errors.RequestBudgetExceededError: Exit.USED_UP,
    errors.ArchiveError: Exit.UNUSABLE,
}

_IN_FORCE = "krosai-calls doctor  tells which key and which address are in force"
_AGAIN = "run the same command again: what is done is not repeated"
_LATER = "run the same command again later: it goes on where it stopped"

# What to do next, where the error's own words do not say it. Found like the exit code; an empty one says nothing.
ADVICE_BY_ERROR: Mapping[type[BaseException], str] = {
    errors.KrosaiError: "",
    errors.ConnectionFailedError: _AGAIN,
    errors.HangupUncertainError: "",
    errors.ListingInconsistentError: _AGAIN,
    errors.DecodeError: _AGAIN,
    errors.ServerError: _AGAIN,
    errors.RateLimitedError: _LATER,
    errors.RequestBudgetExceededError: _LATER,
    errors.AuthenticationError: _IN_FORCE,
    errors.PaymentRequiredError: "top up the account's balance, then run the same command again",
    errors.PermissionDeniedError: "the key needs the scope calls:read (and calls:write to hang up); " + _IN_FORCE,
    errors.ConflictError: "krosai-calls get ID  tells how the call stands",
    errors.NotFoundError: "krosai-calls list  shows the calls that there are",
    errors.RecordingNotReadyError: "recordings appear some time after the end of a call: try again in a minute",
    errors.IntegrityError: "try again; where it stays so, tell the service which call it is",
}


def exit_for(error: BaseException) -> Exit:
    """The exit code that an error means."""
    return _nearest(EXIT_BY_ERROR, error, Exit.UNEXPECTED)


def advice_for(error: BaseException) -> str:
    """What to do next, in a sentence; empty where the error says it itself."""
    return _nearest(ADVICE_BY_ERROR, error, "")


def _nearest(table: Mapping[type[BaseException], T], error: BaseException, otherwise: T) -> T:
    for kind in type(error).__mro__:
        if kind in table:
            return table[kind]
    return otherwise
