"""Draws that depend on a key alone, and opaque ids that can be led back to the number they stand for.

Not ``random``: its draws may change from one Python version to the next, and a call of the sandbox must be the
same call wherever and whenever it is looked at.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_HALF_BITS = 30
_HALF_MASK = (1 << _HALF_BITS) - 1
_MIDDLE = 1 << (2 * _HALF_BITS - 1)
_ID_CHARACTERS = 12  # of five bits each


class Dice:
    """A stream of draws, the same for the same key.

    Args:
        *key: What the draws hang on, such as a call's id and the matter they decide.
    """

    __slots__ = ("_key", "_pool", "_room", "_throws")

    def __init__(self, *key: object) -> None:
        self._key = "\x1f".join(map(str, key)).encode()
        self._throws = 0
        self._pool = 0
        self._room = 1  # how many values the pool can still tell apart

    def below(self, bound: int) -> int:
        """Draw a whole number from 0 up to, and without, the bound."""
        if self._room < bound << 32:  # 32 spare bits keep the draw even
            digest = hashlib.blake2b(self._key + self._throws.to_bytes(4, "big")).digest()
            self._throws += 1
            self._pool = int.from_bytes(digest, "big")
            self._room = 1 << (8 * len(digest))
        self._pool, value = divmod(self._pool, bound)
        self._room //= bound
        return value

    def between(self, lowest: int, highest: int) -> int:
        """Draw a whole number, both ends included."""
        return lowest + self.below(highest - lowest + 1)

    def chance(self, percent: int) -> bool:
        """Draw yes in so many of a hundred cases."""
        return self.below(100) < percent

    def pick(self, choices: Sequence[T]) -> T:
        """Draw one of the choices; a choice that stands there twice comes twice as often."""
        return choices[self.below(len(choices))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Give the items in a drawn order."""
        rest = list(items)
        return [rest.pop(self.below(len(rest))) for _ in range(len(rest))]

    def digits(self, count: int) -> str:
        """Draw so many decimal digits."""
        return f"{self.below(10**count):0{count}d}"


def token(length: int, *key: object) -> str:
    """Give an opaque word of lower-case letters and digits that hangs on the key alone."""
    digest = hashlib.blake2b("\x1f".join(map(str, key)).encode()).digest()
    return base64.b32encode(digest)[:length].decode().lower()


def scramble(number: int, key: str) -> str:
    """Turn a number, negative ones too, into an opaque word of twelve characters; no two share one."""
    value = number + _MIDDLE
    left, right = value >> _HALF_BITS, value & _HALF_MASK
    for turn in range(4):
        left, right = right, left ^ _mix(key, turn, right)
    packed = ((left << _HALF_BITS | right) << 4).to_bytes(8, "big")
    return base64.b32encode(packed)[:_ID_CHARACTERS].decode().lower()


def unscramble(word: str, key: str) -> int | None:
    """Lead a word of ``scramble`` back to its number; None for what cannot be such a word."""
    if len(word) != _ID_CHARACTERS or word != word.lower():
        return None
    try:
        packed = base64.b32decode(word.upper() + "A===")
    except (binascii.Error, ValueError):
        return None
    value = int.from_bytes(packed, "big") >> 4
    left, right = value >> _HALF_BITS, value & _HALF_MASK
    for turn in reversed(range(4)):
        left, right = right ^ _mix(key, turn, left), left
    return (left << _HALF_BITS | right) - _MIDDLE


def _mix(key: str, turn: int, half: int) -> int:
    digest = hashlib.blake2b(f"{key}/{turn}/{half}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") & _HALF_MASK
