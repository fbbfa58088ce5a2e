"""Where in an archive a call's files stand. Pure: ids and times in, relative paths out.

An id is the service's word and may be anything; a path is built from our own alphabet alone, so that no id leaves
the folder, and no two ids share a file, also where the file system folds case.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

_SAFE = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}", re.ASCII)
# Names that a rendering may have: an id that looks like one is rendered too, or it could be another's.
_RENDERED = re.compile(r".*-[0-9a-f]{40}", re.ASCII)
_WINDOWS_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
)
_UNSAFE_RUN = re.compile(r"[^a-z0-9]+", re.ASCII)


def safe_name(call_id: str) -> str:
    """A file name for a call: its id where that is one, and otherwise a readable rendering with a digest.

    Args:
        call_id: Any text.
    """
    if _SAFE.fullmatch(call_id) and call_id not in _WINDOWS_DEVICES and not _RENDERED.fullmatch(call_id):
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    readable = _UNSAFE_RUN.sub("-", call_id.lower()).strip("-")[:40].strip("-") or "id"
    return f"{readable}-{digest}"


def recording_name(call_id: str, created_at: datetime | None) -> str:
    """A recording's place, relative to the archive's folder, its parts joined by slashes."""
    return f"recordings/{_day(created_at)}/{safe_name(call_id)}.mp3"


def transcript_name(call_id: str, created_at: datetime | None) -> str:
    """A transcript's place, likewise."""
    return f"transcripts/{_day(created_at)}/{safe_name(call_id)}.txt"


def _day(created_at: datetime | None) -> str:
    if created_at is None:
        return "undated"
    day = created_at.astimezone(UTC)
    return f"{day.year:04}/{day.month:02}/{day.day:02}"
