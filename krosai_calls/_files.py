"""Files that appear whole or not at all: the only code that creates, writes and renames them.

A file is written beside its target under a name of its own and gets the final one when all of it is on disk.
Recordings are personal data: files are readable by their owner alone.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

if os.name != "nt":
    import fcntl

PART_SUFFIX = ".part"
PRIVATE_FILE = 0o600
_FOLDER_MODE = 0o700
_IN_USE = "another download to it is under way, in this process or in another one"
# What a file system says that has no such thing as fsync, or no locks: nothing is wrong with the file.
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})


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
        sync(self._descriptor)
        require_still_named(self._descriptor, self._part)
        if os.name == "nt":  # which renames no open file
            self.close()
        self._part.replace(self._target)
        sync_folder(self._target.parent)
        self.close()

    def discard(self) -> None:
        """Close the file and remove it."""
        if self._descriptor < 0 or is_still_named(self._descriptor, self._part):
            self._part.unlink(missing_ok=True)
        self.close()

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


def open_new(path: str | Path) -> int:
    """Open a file that was not there, for its owner alone."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, PRIVATE_FILE)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write bytes, all of them: a nearly full disk takes some and says nothing."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def sync(descriptor: int) -> None:
    """Have an open file's bytes, or a folder's names, on disk, as far as its file system knows how to."""
    try:
        os.fsync(descriptor)
    except OSError as fault:
        if fault.errno not in _UNSUPPORTED:
            raise


def sync_folder(folder: Path) -> None:
    """Have a folder's names on disk."""
    # The name is on disk only when its folder is. Windows cannot open a folder, and syncs it by itself.
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


_PIECE_BYTES = 2**20
NO_SURPRISES = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))


def require_a_place(target: Path) -> None:
    """What stands under the final name may be replaced if it is a file, and nothing else."""
    if is_taken(target) and not stat.S_ISREG(os.lstat(target).st_mode):
        raise FileExistsError(errno.EEXIST, "what has that name is no file", str(target))


def is_taken(path: str | Path) -> bool:
    """Whether something has this name; an error where it can be no file's."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "there is a folder of that name", str(path))
    return True


def open_new_for_us_alone(path: Path) -> int:
    """Make a part file, and keep other processes from it.

    Raises:
        FileExistsError: Something has that name.
    """
    descriptor = open_new(path)
    if not _is_for_us_alone(descriptor, path):
        raise FileExistsError(errno.EEXIST, _IN_USE, str(path))
    return descriptor


def open_for_us_alone(path: Path) -> int:
    """Open a part file, made anew where what is there is not ours, and keep other processes from it."""
    for _ in range(3):
        with suppress(FileExistsError):  # another process was quicker
            descriptor = _open_ours(path)
            if _is_for_us_alone(descriptor, path):
                return descriptor
    raise BlockingIOError(errno.EAGAIN, _IN_USE)


def _is_for_us_alone(descriptor: int, path: Path) -> bool:
    """Lock a part file; where it has lost its name, or another process has it, it is closed."""
    try:
        if os.name != "nt":
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BlockingIOError(errno.EAGAIN, _IN_USE) from None
    except OSError as fault:
        if fault.errno not in _UNSUPPORTED | {errno.ENOLCK}:
            os.close(descriptor)
            raise
    # Between opening and locking another process may have finished with it.
    if is_still_named(descriptor, path):
        return True
    os.close(descriptor)
    return False


def _open_ours(path: Path) -> int:
    with suppress(FileExistsError):
        return open_new(path)
    try:
        descriptor = os.open(path, os.O_RDWR | NO_SURPRISES)
    except OSError:
        if path.is_dir() and not path.is_symlink():
            raise
        # A link, a FIFO or a device: nothing that we made.
        path.unlink()
        return open_new(path)
    if is_ours(os.fstat(descriptor)):
        return descriptor
    # Perhaps a second name of a file that somebody needs: it must not be cut.
    os.close(descriptor)
    path.unlink()
    return open_new(path)


def is_ours(found: os.stat_result) -> bool:
    """Whether a file can be one that was made here: under one name, and for nobody else."""
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        return False
    return os.name == "nt" or (found.st_uid == os.geteuid() and not found.st_mode & 0o777 & ~PRIVATE_FILE)


def is_still_named(descriptor: int, path: Path) -> bool:
    """Whether an open file still stands under its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def require_still_named(descriptor: int, part: Path) -> None:
    """What gets a final name has to be the open file, not what another process has put in its place."""
    if not is_still_named(descriptor, part):
        raise OSError(errno.EBUSY, "something has taken its part file away")


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Read bytes of an open file from a place, wherever it is being written."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, offset)
    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, offset, os.SEEK_SET)
    try:
        return os.read(descriptor, size)
    finally:
        os.lseek(descriptor, place, os.SEEK_SET)


def free_bytes(folder: Path) -> int | None:
    """How much room there is, or None where nothing tells."""
    if not hasattr(os, "statvfs"):
        return None
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize or None


def digest_of_file(descriptor: int) -> tuple[str, int]:
    """The SHA-256 of an open file, and how many bytes it has; it blocks for as long as reading it takes."""
    digest, size = hashed(descriptor)
    return digest.hexdigest(), size


def hashed(descriptor: int, most: int = sys.maxsize) -> tuple[hashlib._Hash, int]:
    """The hash of an open file's first bytes, which can be gone on with, and how many these are."""
    digest, size = hashlib.sha256(), 0
    while piece := read_at(descriptor, min(_PIECE_BYTES, most - size), size):
        digest.update(piece)
        size += len(piece)
    return digest, size
