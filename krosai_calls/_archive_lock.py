"""One run at a time on an archive's folder."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import filelock

from krosai_calls._catalog_reading import reading
from krosai_calls.catalog import FILE_NAME
from krosai_calls.errors import ArchiveError

LOCK_NAME = f"{FILE_NAME}.lock"
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL})


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Keep other runs from a folder; that its files stay whole does not hang on it.

    Raises:
        ArchiveError: Another run holds it; the words say which.
    """
    path = directory / LOCK_NAME
    with ExitStack() as stack:
        try:
            stack.enter_context(filelock.FileLock(path, timeout=0, mode=0o600))
        except filelock.Timeout:
            holder = _holder(directory)
            raise ArchiveError(
                f"another run is archiving into {directory}{holder and f' ({holder})'}: wait for it, or stop it"
            ) from None
        except (OSError, NotImplementedError) as fault:
            if isinstance(fault, OSError) and fault.errno not in _NO_LOCKS:
                raise ArchiveError(f"{path} cannot be used: {fault.strerror}") from fault
        yield


def _holder(directory: Path) -> str:
    """Which run has an archive in use, in words; empty where that cannot be told."""
    try:
        with reading(directory) as connection:
            found = connection.execute(
                "SELECT process_id, host, started_at FROM runs WHERE outcome = 'running' ORDER BY id DESC LIMIT 1"
            ).fetchone()
    except ArchiveError:
        return ""
    return "" if found is None else "process {} on {}, since {}".format(*found)
