"""The SHA-256 of what comes in, found on a second core while the event loop brings more.

To hash a recording takes a third of the time that it takes to bring it over a fast network. What comes is put into
rooms, which are handed to a thread when they are full: the fewer these are, the less the two threads take the
interpreter from each other. Where the thread has enough to do, or there is no second core, it is hashed at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from krosai_calls._threads import to_the_end

# A recording that is under way holds one room. TLS brings 252 KB at once at most: rooms for little more than that,
# or for less, would have it come in many small pieces.
ROOM_BYTES = 384 * 1024
# A room with less than this left is full.
_LEAST_BYTES = 64 * 1024
# How many rooms may wait for the thread: enough to get over its being kept from the core for a moment. To hash all
# of them takes about a millisecond.
MOST_WAITING = 8
_MOST_FREE = 8


class Hashing:
    """The rooms of one client, and the thread that hashes what they hold.

    Args:
        cores: How many this process may use; None for what the system says.
    """

    def __init__(self, *, cores: int | None = None) -> None:
        self._has_spare_core = (_cores() if cores is None else cores) > 1
        self._free: deque[memoryview] = deque()
        # It starts its thread with the first room, and ends it when nobody knows it any more.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="krosai-hashing")
        # Each is counted by one thread alone.
        self._handed_over = self._hashed = 0

    @property
    def is_ready(self) -> bool:
        """Whether the thread would take a room."""
        return self._has_spare_core and self._handed_over - self._hashed < MOST_WAITING

    def borrow(self) -> memoryview:
        """A room, to be given back or handed over."""
        return self._free.pop() if self._free else memoryview(bytearray(ROOM_BYTES))

    def give_back(self, room: memoryview) -> None:
        """Take a room back."""
        if len(self._free) < _MOST_FREE:
            self._free.append(room)

    def hand_over(self, digest: hashlib._Hash, room: memoryview, filled: int) -> Future[None] | None:
        """Have the thread hash what is in a room, and give the room back; None where it does not take it."""
        if not self.is_ready:
            return None
        try:
            work = self._thread.submit(self._hash, digest, room, filled)
        except RuntimeError:  # the client is closed, or the interpreter about to end
            return None
        self._handed_over += 1
        return work

    def close(self) -> None:
        """End the thread, when it has done what it was given: a millisecond's work at most."""
        self._thread.shutdown()

    def _hash(self, digest: hashlib._Hash, room: memoryview, filled: int) -> None:
        digest.update(room[:filled])
        self.give_back(room)
        self._hashed += 1


class Digest:
    """The SHA-256 of bytes that come one after the other.

    Args:
        hashing: Lends rooms and hashes.
        begun: The hash of what came before.
    """

    def __init__(self, hashing: Hashing, begun: hashlib._Hash | None = None) -> None:
        self._hashing = hashing
        self._hash = begun or hashlib.sha256()
        self._room: memoryview | None = None
        self._filled = 0
        self._work: Future[None] | None = None

    def room(self, most: int) -> memoryview:
        """Where the next bytes may be put, ``most`` of them or fewer; they count when ``took`` says so."""
        if self._room is None:
            self._room = self._hashing.borrow()
        return self._room[self._filled : self._filled + most]

    def took(self, size: int) -> None:
        """Count so many bytes that were put into the room."""
        self._filled += size
        is_full = ROOM_BYTES - self._filled < _LEAST_BYTES
        # Where the thread has no time, what came is hashed while the processor has it at hand, but in its order.
        is_behind = self._work is not None and not self._work.done()
        if is_full or not (self._hashing.is_ready or is_behind):
            self.hand_over()

    def update(self, data: bytes) -> None:
        """Count bytes that are in no room."""
        self._catch_up()
        self._hash.update(data)

    def hand_over(self) -> None:
        """Have hashed what the room holds, and let go of the room."""
        if self._room is None:
            return
        work = self._hashing.hand_over(self._hash, self._room, self._filled) if self._filled else None
        if work is not None:
            self._work = work
        else:
            if self._filled:
                self._catch_up()
            self._hashing.give_back(self._room)
        self._room, self._filled = None, 0

    async def settled(self) -> None:
        """Wait until what was handed over is hashed, so that ``hexdigest`` need not."""
        if self._work is not None and not self._work.done():
            await to_the_end(asyncio.wrap_future(self._work))

    def hexdigest(self) -> str:
        """The digest of all that was counted."""
        self._catch_up()
        return self._hash.hexdigest()

    def _catch_up(self) -> None:
        if self._work is not None:
            self._work.result()  # the last of its rooms: the others came before it
            self._work = None
        if self._room is not None and self._filled:
            self._hash.update(self._room[: self._filled])
            self._filled = 0


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
