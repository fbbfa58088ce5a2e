"""The digest of what comes in, whoever hashes it."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest

from krosai_calls._hashing import MOST_WAITING, ROOM_BYTES, Digest, Hashing

DATA = Random(1).randbytes(3 * ROOM_BYTES)
each_number_of_cores = pytest.mark.parametrize("cores", [1, 2])


@contextmanager
def hashing_on(cores: int) -> Iterator[Hashing]:
    hashing = Hashing(cores=cores)
    try:
        yield hashing
    finally:
        hashing.close()


@contextmanager
def busy(hashing: Hashing) -> Iterator[None]:
    """The thread gets no further while this lasts."""
    gate = threading.Event()
    hashing._thread.submit(gate.wait, 10)
    try:
        yield
    finally:
        gate.set()


def put(digest: Digest, data: bytes) -> bytes:
    """Put as much as there is room for into the room; gives what is left."""
    room = digest.room(len(data))
    room[:] = data[: len(room)]
    digest.took(len(room))
    return data[len(room) :]


def put_all(digest: Digest, data: bytes) -> None:
    while data:
        data = put(digest, data)


def rooms_waiting(hashing: Hashing) -> int:
    return hashing._handed_over - hashing._hashed


@each_number_of_cores
@pytest.mark.parametrize("seed", range(20))
def test_however_bytes_come_the_digest_is_theirs(cores: int, seed: int) -> None:
    random = Random(seed)
    with hashing_on(cores) as hashing:
        several = [(Digest(hashing), bytearray()) for _ in range(3)]
        for _ in range(60):
            digest, counted = random.choice(several)
            data = random.randbytes(random.choice([1, 100, 50_000, 250_000, 500_000]))
            match random.randrange(10):
                case 0:
                    digest.update(data)
                    counted += data
                case 1:
                    digest.hand_over()
                case 2:
                    assert digest.hexdigest() == hashlib.sha256(counted).hexdigest()
                case _:
                    put_all(digest, data)
                    counted += data
        for digest, counted in several:
            digest.hand_over()
            assert digest.hexdigest() == hashlib.sha256(counted).hexdigest()


@each_number_of_cores
def test_it_goes_on_from_a_hash_that_was_begun(cores: int) -> None:
    with hashing_on(cores) as hashing:
        digest = Digest(hashing, hashlib.sha256(b"begun"))
        put_all(digest, DATA)
        assert digest.hexdigest() == hashlib.sha256(b"begun" + DATA).hexdigest()


def test_a_room_is_lent_again_only_when_it_was_hashed() -> None:
    with hashing_on(2) as hashing:
        first, second = Digest(hashing), Digest(hashing)
        with busy(hashing):
            assert put(first, DATA[:ROOM_BYTES]) == b""
            assert rooms_waiting(hashing) == 1
            put(second, bytes(ROOM_BYTES))
        assert first.hexdigest() == hashlib.sha256(DATA[:ROOM_BYTES]).hexdigest()
        assert second.hexdigest() == hashlib.sha256(bytes(ROOM_BYTES)).hexdigest()
        lent = hashing.borrow()
        assert hashing.borrow() is not lent


def test_what_the_thread_has_no_time_for_is_hashed_at_once() -> None:
    with hashing_on(2) as hashing:
        digests = [Digest(hashing) for _ in range(MOST_WAITING + 3)]
        with busy(hashing):
            for digest in digests:
                put(digest, DATA[:ROOM_BYTES])
            assert rooms_waiting(hashing) == MOST_WAITING
            for digest in digests[MOST_WAITING:]:
                put(digest, b"more")
                assert digest.hexdigest() == hashlib.sha256(DATA[:ROOM_BYTES] + b"more").hexdigest()
            assert len(hashing._free) == 1  # in which all three were
        assert digests[0].hexdigest() == hashlib.sha256(DATA[:ROOM_BYTES]).hexdigest()


def test_what_comes_after_a_room_that_waits_gathers_in_another_one() -> None:
    with hashing_on(2) as hashing:
        digests = [Digest(hashing) for _ in range(MOST_WAITING)]
        with busy(hashing):
            for digest in digests:
                put(digest, DATA[:ROOM_BYTES])
            put(digests[0], b"more")  # and nobody waits for the thread
            assert rooms_waiting(hashing) == MOST_WAITING
        assert digests[0].hexdigest() == hashlib.sha256(DATA[:ROOM_BYTES] + b"more").hexdigest()


def test_on_one_core_there_is_no_thread_and_one_room_for_all() -> None:
    before = threading.active_count()
    with hashing_on(1) as hashing:
        for _ in range(3):
            digest = Digest(hashing)
            put_all(digest, DATA)
            assert digest.hexdigest() == hashlib.sha256(DATA).hexdigest()
        assert threading.active_count() == before
        assert len(hashing._free) == 1


def test_no_more_rooms_are_kept_than_are_of_use() -> None:
    with hashing_on(2) as hashing:
        for room in [hashing.borrow() for _ in range(20)]:
            hashing.give_back(room)
        assert len(hashing._free) == 8


def test_when_it_is_closed_the_digest_is_still_right() -> None:
    with hashing_on(2) as hashing:
        digest = Digest(hashing)
        put_all(digest, DATA)
    put_all(digest, DATA)
    assert digest.hexdigest() == hashlib.sha256(DATA + DATA).hexdigest()


async def test_one_can_wait_for_the_thread_without_holding_anybody_up() -> None:
    with hashing_on(2) as hashing:
        digest = Digest(hashing)
        await digest.settled()
        with busy(hashing):
            put(digest, DATA[:ROOM_BYTES])
            waiting = asyncio.create_task(digest.settled())
            for _ in range(3):
                await asyncio.sleep(0)
            waiting.cancel()  # it waits all the same: nobody hashes this room but the thread
            await asyncio.sleep(0)
            assert not waiting.done()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert digest.hexdigest() == hashlib.sha256(DATA[:ROOM_BYTES]).hexdigest()
