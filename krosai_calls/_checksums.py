"""An archive's digests in a file that ``sha256sum -c`` reads."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from krosai_calls._catalog_reading import place_of, reading
from krosai_calls._files import NO_SURPRISES, digest_of_file
from krosai_calls._text import storable

SUMS_NAME: Final = "SHA256SUMS"
_LINES_AT_ONCE: Final = 1_000

# Sorted, so that two lists of the same files are the same.
_SAVED: Final = """
    SELECT artefacts.path, artefacts.sha256, iif(artefacts.kind = 'transcript', calls.transcript, NULL)
    FROM artefacts JOIN calls ON calls.id = artefacts.call_id
    WHERE artefacts.state = 'saved' AND artefacts.path IS NOT NULL ORDER BY artefacts.path
"""


def digest_of(text: str) -> str:
    """The digest of a transcript's file."""
    return hashlib.sha256(storable(text).encode("utf-8")).hexdigest()


def checksum_pieces(directory: Path) -> Iterator[tuple[bytes, int]]:
    """The list, piece by piece, and how many files each piece names.

    The digests are those that the files had when they were saved. A recording whose digest nobody took is
    read now.
    """
    lines: list[str] = []
    with reading(directory) as connection:
        for path, digest, text in connection.execute(_SAVED):
            file = place_of(directory, path)
            if file is None:
                continue  # a verification tells of it
            known = digest or (digest_of(text) if text is not None else _digest_now(file))
            lines += [f"{known}  {path}\n"] if known else []
            if len(lines) >= _LINES_AT_ONCE:
                yield "".join(lines).encode("utf-8"), len(lines)
                lines = []
    yield "".join(lines).encode("utf-8"), len(lines)


def _digest_now(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | NO_SURPRISES)
    except OSError:
        return None  # not there, or not readable: a verification tells of it
    try:
        return digest_of_file(descriptor)[0] if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    finally:
        os.close(descriptor)
