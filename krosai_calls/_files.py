"""Files that appear whole or not at all: the only code that creates, writes and renames them.

A file is written beside its target under a name of its own and gets the final one when all of it is on disk.
Recordings are personal data: files are readable by their owner alone.
"""

from __future__ import annotations

import os
from pathlib import Path

PART_SUFFIX = ".part"
PRIVATE_FILE = 0o600
_FOLDER_MODE = 0o700


def part_path(target: Path) -> Path:
    """Where a file stands while it is not whole."""
    return target.with_name(target.name + PART_SUFFIX)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each for its owner alone; one that is there stays as it is."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)


class PartFile:
    """A file while it comes in.

    Writing blocks for as long as a copy into the page cache takes, which is less than handing the bytes to
    another thread would cost; ``publish`` waits for the disk and belongs into a thread.

    Args:
        target: The final name; its folder must be there.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._part = part_path(target)
        # Always a file of our own: what stands there may be a link to another, a FIFO, or open to all.
        self._part.unlink(missing_ok=True)
        self._descriptor = open_new(self._part)

    def write(self, data: bytes) -> None:
        """Append bytes, all of them."""
        write_all(self._descriptor, data)

    def publish(self) -> None:
        """Give the file its final name, once every byte of it is on disk."""
        os.fsync(self._descriptor)
        self.close()
        self._part.replace(self._target)
        sync_folder(self._target.parent)

    def discard(self) -> None:
        """Close the file and remove it."""
        self.close()
        self._part.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def write_whole(target: Path, data: bytes) -> None:
    """Write a small file so that it stands whole under its name, or not at all."""
    part = PartFile(target)
    try:
        part.write(data)
        part.publish()
    except BaseException:
        part.discard()
        raise


def open_new(path: Path) -> int:
    """Open a file that was not there, for its owner alone."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, PRIVATE_FILE)


def write_all(descriptor: int, data: bytes) -> None:
    """Write bytes, all of them: a nearly full disk takes some and says nothing."""
    written = os.write(descriptor, data)
    view = memoryview(data)[written:]
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Have a folder's names on disk."""
    # The name is on disk only when its folder is. Windows cannot open a folder, and syncs it by itself.
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
