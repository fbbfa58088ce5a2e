"""Presigned links to recordings: who made them, and until when they hold."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum


class LinkState(Enum):
    """What a link is worth."""

    VALID = "valid"
    EXPIRED = "expired"
    FORGED = "forged"


@dataclass(frozen=True, slots=True)
class Link:
    """A presigned link.

    Attributes:
        url: The link itself.
        expires_at: Until when it holds.
    """

    url: str
    expires_at: datetime


class Signer:
    """Makes and checks links.

    Args:
        origin: Where the storage host is, such as ``http://127.0.0.1:40124``.
        secret: What only the service knows.
        ttl_seconds: How long a link holds.
        clock: Tells the current time in UTC.
    """

    def __init__(self, origin: str, secret: str, ttl_seconds: float, clock: Callable[[], datetime]) -> None:
        self._origin = origin
        self._secret = secret.encode()
        self._ttl = timedelta(seconds=ttl_seconds)
        self._clock = clock

    def sign(self, call_id: str) -> Link:
        """Make a fresh link to a call's recording."""
        expires = int((self._clock() + self._ttl).timestamp())
        signature = self._signature(call_id, str(expires))
        url = f"{self._origin}/recordings/{call_id}.mp3?expires={expires}&signature={signature}"
        return Link(url, datetime.fromtimestamp(expires, UTC))

    def check(self, call_id: str, expires: str, signature: str) -> LinkState:
        """Tell what a link is worth, from the words of its query."""
        genuine = self._signature(call_id, expires)
        if not hmac.compare_digest(genuine.encode(), signature.encode(errors="replace")):
            return LinkState.FORGED
        return LinkState.EXPIRED if self._clock().timestamp() >= int(expires) else LinkState.VALID

    def _signature(self, call_id: str, expires: str) -> str:
        return hmac.new(self._secret, f"{call_id}\n{expires}".encode(errors="replace"), hashlib.sha256).hexdigest()
