"""What the package promises by name: its exports, its errors, and what importing it costs."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import krosai_calls
from krosai_calls import errors

# The public names of the design.
PROMISED = {
    "AsyncCallsClient", "CallsClient", "RetryPolicy", "Call", "CallStatus", "CallDirection", "HangupCause", "Page",
    "CallEvent", "CallStats", "HangupResult", "RecordingLink", "RecordingStream", "Download", "Turn",
    "parse_transcript", "Archive", "ArchiveReport", "__version__", *errors.__all__,
}  # fmt: skip

TREE = {
    "KrosaiError": ("Exception",),
    "SettingsError": ("KrosaiError", "ValueError"),
    "InvalidArgumentError": ("KrosaiError", "ValueError"),
    "ListingInconsistentError": ("KrosaiError",),
    "ConnectionFailedError": ("KrosaiError", "OSError"),
    "RequestTimeoutError": ("ConnectionFailedError", "TimeoutError"),
    "StreamInterruptedError": ("ConnectionFailedError",),
    "HangupUncertainError": ("ConnectionFailedError",),
    "ApiError": ("KrosaiError",),
    "BadRequestError": ("ApiError",),
    "AuthenticationError": ("ApiError",),
    "PaymentRequiredError": ("ApiError",),
    "PermissionDeniedError": ("ApiError",),
    "NotFoundError": ("ApiError",),
    "ConflictError": ("ApiError",),
    "RateLimitedError": ("ApiError",),
    "ServerError": ("ApiError",),
    "DecodeError": ("KrosaiError",),
    "DownloadError": ("KrosaiError",),
    "RecordingNotReadyError": ("DownloadError",),
    "RecordingGoneError": ("DownloadError",),
    "TranscriptUnavailableError": ("DownloadError",),
    "LocalFileError": ("DownloadError", "OSError"),
    "IntegrityError": ("DownloadError",),
    "RequestBudgetExceededError": ("KrosaiError",),
    "ArchiveError": ("KrosaiError",),
    "ClientStateError": ("KrosaiError", "RuntimeError"),
}

FIELDS: dict[str, dict[str, Any]] = {
    "ApiError": {
        "status": 429,
        "code": "RATE_LIMIT_EXCEEDED",
        "message": "slow down",
        "details": {"limit": 10},
        "request_id": "req_1",
        "retry_after": 1.5,
        "method": "GET",
        "url": "https://api.krosai.com/v1/calls",
    },
    "DecodeError": {
        "reason": "json",
        "path": "$.calls[3].id",
        "url": "https://api.krosai.com/v1/calls",
        "status": 200,
        "content_type": "text/html",
        "snippet": "<html>",
        "request_id": "req_1",
    },
    "DownloadError": {"call_id": "call_1", "path": Path("a/b.mp3")},
    "StreamInterruptedError": {"received": 5, "expected": 9},
    "HangupUncertainError": {"call_id": "call_1"},
    "RequestBudgetExceededError": {"report": {"calls_seen": 3}, "retry_after": 3600.0},
}


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=25, check=True)
    return done.stdout


def example_of(name: str) -> errors.KrosaiError:
    """An error with every field filled."""
    error_class = getattr(errors, name)
    fields = next((FIELDS[base.__name__] for base in error_class.__mro__ if base.__name__ in FIELDS), {})
    error: errors.KrosaiError = error_class(f"what {name} says", **fields)
    error.attempts = 3
    return error


def test_every_promised_name_is_exported_and_nothing_else() -> None:
    assert set(krosai_calls.__all__) == PROMISED
    assert len(krosai_calls.__all__) == len(PROMISED)
    assert set(dir(krosai_calls)) == PROMISED


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_every_exported_name_resolves(name: str) -> None:
    assert getattr(krosai_calls, name) is not None


def test_the_lazy_names_live_where_the_type_checker_is_told() -> None:
    source = Path(krosai_calls.__file__).read_text(encoding="utf-8")
    told: dict[str, str] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.If):
            for statement in node.body:
                if isinstance(statement, ast.ImportFrom) and statement.module is not None:
                    told |= {alias.name: statement.module for alias in statement.names}
    assert told == krosai_calls._HOME_OF


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Klient"):
        _ = krosai_calls.Klient


def test_the_errors_form_the_tree_of_the_design() -> None:
    tree = {name: tuple(base.__name__ for base in getattr(errors, name).__bases__) for name in errors.__all__}
    assert tree == TREE


def test_the_tree_drawn_at_the_top_names_every_error() -> None:
    drawn = re.findall(r"\b[A-Z]\w+Error\b", errors.__doc__ or "")
    assert set(errors.__all__) <= set(drawn)


@pytest.mark.parametrize("name", errors.__all__)
@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy], ids=["pickle", "copy"])
def test_l11_an_error_survives_the_way_between_processes(name: str, copied: Any) -> None:
    error = example_of(name)
    twin = copied(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error) == f"what {name} says"
    assert vars(twin) == vars(error)


def test_l11_a_file_error_keeps_its_errno_between_processes() -> None:
    error = errors.LocalFileError("no room", call_id="call_1", path="x.mp3")
    error.errno = 28
    assert pickle.loads(pickle.dumps(error)).errno == 28


@pytest.mark.parametrize("name", errors.__all__)
def test_an_error_can_be_made_with_a_message_alone(name: str) -> None:
    assert str(getattr(errors, name)("words")) == "words"


def test_importing_the_package_loads_no_http_library_no_command_line_and_no_sandbox() -> None:
    loaded = json.loads(run_python("import json, sys, krosai_calls; print(json.dumps(sorted(sys.modules)))"))
    assert not {"aiohttp", "cattrs", "click", "rich", "krosai_calls.cli", "krosai_calls.sandbox"} & set(loaded)


def test_using_the_client_loads_neither_the_command_line_nor_the_sandbox() -> None:
    code = "import json, sys; from krosai_calls import CallsClient; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(run_python(code))
    assert "aiohttp" in loaded
    assert not {"krosai_calls.cli", "krosai_calls.sandbox"} & set(loaded)
    assert not {"click", "rich", "aiohttp.web"} & set(loaded)


def test_the_version_is_the_one_that_was_installed() -> None:
    from importlib.metadata import version

    assert krosai_calls.__version__ == version("krosai-calls")
