"""A recording while it comes in: its bytes beside the target, and a record of what they are.

``<name>.part`` holds the bytes. ``<name>.part.log`` says of which call and version they are, and then, line by
line, how many of them had which digest. A later run believes as many bytes as a line vouches for and the disk
still holds, so that neither a kill nor a power cut nor another program's writing mixes anything in.
"""

from __future__ import annotations

import contextlib
import errno
import json
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from krosai_calls._files import (
    NO_SURPRISES,
    free_bytes,
    hashed,
    is_ours,
    is_still_named,
    is_taken,
    open_for_us_alone,
    open_new,
    open_new_for_us_alone,
    part_path,
    read_at,
    require_a_place,
    require_still_named,
    sync,
    write_all,
)
from krosai_calls._hashing import Digest, Hashing
from krosai_calls._json import UnfitError, load_json
from krosai_calls._mp3 import Data
from krosai_calls._resume import Held

RECORD_SUFFIX = ".log"
MOST_RECORD_BYTES = 2**20
# What is read again of a whole recording: enough of both ends for ``is_surely_as_long``.
HEAD_BYTES = 96 * 1024
TAIL_BYTES = 4096
# To ask for the room on a disk takes longer than to write a small file.
WORTH_A_LOOK_BYTES = 2**20
# The loss that a kill can cause: so many bytes, or what came in so many seconds.
CHECKPOINT_BYTES = 4 * 2**20
CHECKPOINT_SECONDS = 0.25
_VERSION = 1


class RecordingPart:
    """The part file of one recording, opened for this process alone.

    What comes is hashed as it comes: to read it back, in whatever thread, costs more than it spares the loop.
    ``write``, ``take`` and ``checkpoint`` take as long as a copy into the page cache; all else here blocks for as
    long as the disk takes.

    Args:
        target: The final name; its folder must be there.
        call_id: Whose recording it is.
        hashing: Where it is hashed; None for here.
        is_new: Whether nothing may be there yet; then nothing has to be read, and little time is taken.

    Attributes:
        target: The final name.
        received: How many bytes are there.

    Raises:
        FileExistsError: Something is there that must not be.
        OSError: It cannot be written, or another process is writing it.
    """

    def __init__(
        self, target: Path, call_id: str, hashing: Hashing | None = None, *, is_new: bool = False
    ) -> None:
        require_a_place(target)
        self.target = target
        self._call_id = call_id
        self._hashing = hashing or Hashing(cores=1)
        self._part = part_path(target)
        self._record_path = f"{self._part}{RECORD_SUFFIX}"
        self._record = -1
        self._has_record = is_taken(self._record_path)
        self._descriptor = open_new_for_us_alone(self._part) if is_new else open_for_us_alone(self._part)
        self._digest = Digest(self._hashing)
        self._recorded = 0
        self._is_fresh = True
        self._is_named = False
        self.received = 0
        self._version: tuple[str | None, int | None] = None, None
        try:
            self._believe()
        except BaseException:
            self.close()
            raise

    def begin(self, validator: str | None, size_bytes: int) -> None:
        """Forget what is there; what comes now is of this version.

        Args:
            validator: What tells the version from others, or None.
            size_bytes: How long the whole will be.
        """
        self.drop_record()
        if not self._is_fresh:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._digest.hand_over()
            self._digest, self._recorded = Digest(self._hashing), 0
        self._is_fresh = False
        self.received, self._version = 0, (validator, size_bytes)
        free = free_bytes(self.target.parent) if size_bytes >= WORTH_A_LOOK_BYTES else None
        if free is not None and free < size_bytes:
            raise OSError(errno.ENOSPC, f"{size_bytes} bytes are to come and {free} are free")

    def write(self, data: bytes) -> None:
        """Append bytes, all of them."""
        write_all(self._descriptor, data)
        self._digest.update(data)
        self.received += len(data)

    def room(self, most: int) -> memoryview:
        """Where the next bytes may be put, ``most`` of them or fewer, to be taken there."""
        return self._digest.room(most)

    def take(self, piece: memoryview) -> None:
        """Append bytes that stand where ``room`` says."""
        write_all(self._descriptor, piece)
        self._digest.took(len(piece))
        self.received += len(piece)
        if self.received == self._version[1]:
            self._digest.hand_over()

    @property
    def held(self) -> Held:
        """What is there, and of which version."""
        return Held(self.received, *self._version)

    @property
    def unrecorded_bytes(self) -> int:
        """How many bytes a kill would cost now."""
        return self.received - self._recorded if self._version[0] is not None else 0

    def checkpoint(self) -> None:
        """Write down what is there, so that a later run believes it."""
        if self.unrecorded_bytes > 0:
            if self._record < 0:
                self._begin_record()
            self._note({"received": self.received, "sha256": self.sha256()})
            self._recorded = self.received

    async def settled(self) -> None:
        """Wait until ``sha256`` takes no time."""
        await self._digest.settled()

    def sha256(self) -> str:
        """The digest of what is there."""
        return self._digest.hexdigest()

    def ends(self) -> tuple[bytes, bytes]:
        """The first bytes that are there, and the last ones; of a small file they are the same.

        It reads what was just written, which the page cache has.

        Raises:
            OSError: They are not what was written.
        """
        tail_at = max(0, self._whole_size() - TAIL_BYTES)
        return read_at(self._descriptor, HEAD_BYTES, 0), read_at(self._descriptor, TAIL_BYTES, tail_at)

    @contextlib.contextmanager
    def content(self) -> Iterator[Data]:
        """All that is there, to be looked at.

        Raises:
            OSError: It is not what was written.
        """
        with mmap.mmap(self._descriptor, self._whole_size(), access=mmap.ACCESS_READ) as data:
            yield data

    def _whole_size(self) -> int:
        size = self.received
        if os.fstat(self._descriptor).st_size != size:
            raise OSError(errno.EIO, "bytes that were written are not there")
        return size

    def give_name(self) -> None:
        """Give the file its final name, once every byte of it is on disk; the name is, when its folder is."""
        sync(self._descriptor)
        require_still_named(self._descriptor, self._part)
        if os.name == "nt":  # which renames no open file
            self._close_part()
        self._part.replace(self.target)
        self._is_named = True

    def drop_record(self) -> None:
        """Remove the record, if there is one."""
        self._close_record()
        if self._has_record:
            self._has_record = False
            Path(self._record_path).unlink(missing_ok=True)

    def park(self) -> None:
        """Leave the part for a later run, or remove it where that could not go on with it."""
        if self._descriptor < 0 or self._is_named:
            self.close()
        elif self.held.is_usable:
            with contextlib.suppress(OSError):  # on a full disk the last line that fitted holds
                self.checkpoint()
            self.close()
        else:
            self.discard()

    def discard(self) -> None:
        """Remove the part."""
        if self._descriptor >= 0:
            if is_still_named(self._descriptor, self._part):
                self._part.unlink(missing_ok=True)
            self.drop_record()
        self.close()

    def close(self) -> None:
        """Let go of the files; a second call does nothing."""
        self._digest.hand_over()
        self._close_record()
        self._close_part()

    # --- The record ----------------------------------------------------------------------------------------

    def _believe(self) -> None:
        """Take over from an earlier run what its record vouches for."""
        size = os.fstat(self._descriptor).st_size
        self._is_fresh = size == 0
        if self._is_fresh:
            return
        header, marks, length = _read_record(self._record_path)
        mark = next((mark for mark in reversed(marks) if mark["received"] <= size), None)
        if header is None or mark is None or header.get("call") != self._call_id:
            return
        held = Held(mark["received"], header["validator"], header["size"])
        if not held.is_usable or held.received > (held.size_bytes or 0):
            return
        digest, _ = hashed(self._descriptor, held.received)
        if digest.hexdigest() != mark["sha256"]:
            return
        self.received, self._version = held.received, (held.validator, held.size_bytes)
        self._digest = Digest(self._hashing, digest)
        os.ftruncate(self._descriptor, held.received)
        os.lseek(self._descriptor, held.received, os.SEEK_SET)
        self._recorded = held.received
        self._record = os.open(self._record_path, os.O_WRONLY | os.O_APPEND | NO_SURPRISES)
        os.ftruncate(self._record, length)  # a line that a kill cut off would spoil the next one

    def _begin_record(self) -> None:
        self.drop_record()
        self._record = open_new(self._record_path)
        self._has_record = True
        validator, size = self._version
        header = {"version": _VERSION, "call": self._call_id, "validator": validator, "size": size}
        self._note(header)

    def _note(self, line: dict[str, Any]) -> None:
        write_all(self._record, json.dumps(line).encode() + b"\n")

    def _close_record(self) -> None:
        if self._record >= 0:
            descriptor, self._record = self._record, -1
            os.close(descriptor)

    def _close_part(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def _read_record(path: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]], int]:
    """A record's header, its marks in order, and the length up to the last good line."""
    try:
        descriptor = os.open(path, os.O_RDONLY | NO_SURPRISES)
    except OSError:
        return None, [], 0
    try:
        if not is_ours(os.fstat(descriptor)):
            return None, [], 0
        text = os.read(descriptor, MOST_RECORD_BYTES)
    finally:
        os.close(descriptor)
    lines = list(_good_lines(text))
    if not lines or not _is_header(lines[0][0]):
        return None, [], 0
    marks = []
    length = lines[0][1]
    for line, end in lines[1:]:
        if not _is_mark(line):
            break
        marks.append(line)
        length = end
    return lines[0][0], marks, length


def _good_lines(text: bytes) -> Iterator[tuple[dict[str, Any], int]]:
    end = 0
    for line in text.splitlines(keepends=True):
        end += len(line)
        try:
            value = load_json(line) if line.endswith(b"\n") else None
        except UnfitError:
            return
        if not isinstance(value, dict):
            return
        yield value, end


def _is_header(line: dict[str, Any]) -> bool:
    validator, size = line.get("validator"), line.get("size")
    is_whole = type(size) is int and size > 0
    return line.get("version") == _VERSION and isinstance(validator, str) and bool(validator) and is_whole


def _is_mark(line: dict[str, Any]) -> bool:
    received = line.get("received")
    return type(received) is int and received > 0 and isinstance(line.get("sha256"), str)
