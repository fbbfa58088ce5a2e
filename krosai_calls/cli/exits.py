"""How a command ends: each error to its exit code, in one table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from krosai_calls import errors


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

# What to do next, where the error's own words do not say it.
ADVICE_BY_EXIT: Mapping[Exit, str] = {
    Exit.USED_UP: "run the same command again later: it goes on where it stopped",
    Exit.UNREACHABLE: "run the same command again: what is done is not repeated",
}


def exit_for(error: BaseException) -> Exit:
    """The exit code that an error means."""
    for kind in type(error).__mro__:
        if kind in EXIT_BY_ERROR:
            return EXIT_BY_ERROR[kind]
    return Exit.UNEXPECTED
