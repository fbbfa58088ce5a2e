"""A body's way past aiohttp: from the connection right into the room of whoever takes it.

aiohttp leads every piece of a body through its parser into a queue: bytes are made, copied, joined and thrown
away. Where a length was told and nothing is encoded there is nothing to parse, and for large bodies this is most
of the work. So the connection is given another protocol until the body has ended. All else stays aiohttp's: the
reader waits for its stream, its timer tells a stall, its errors tell what became of the connection, and its pool
gets the connection back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.client_proto import ResponseHandler


class Taker(Protocol):
    """Whoever takes pieces of a body where they come in."""

    def room(self, most: int) -> memoryview:
        """Where to put the next piece, so many bytes or fewer."""

    def take(self, piece: memoryview) -> bool:
        """Say whether it takes a piece; it stands where ``room`` had it put."""


# What still has to come, for the change of protocols to pay.
WORTH_BYTES = 2**18
_ROOM_BYTES = 2**18


class Bypasses:
    """The bypasses of one client's bodies. They share a room for what nobody takes, which is copied at once.

    Args:
        worth_bytes: How much of a body has to be missing yet.
    """

    def __init__(self, *, worth_bytes: int = WORTH_BYTES) -> None:
        self._room = memoryview(bytearray(_ROOM_BYTES))
        self._worth_bytes = worth_bytes

    def open(self, response: aiohttp.ClientResponse, read_bytes: int) -> Bypass | None:
        """Lead the rest of a body past aiohttp; None where that does not pay, or does not work.

        Args:
            response: Whose body it is.
            read_bytes: How many of its bytes have been read.
        """
        content, connection, length = response.content, response.connection, response.content_length
        if length is None or length - read_bytes < self._worth_bytes or "Transfer-Encoding" in response.headers:
            return None
        transport = connection.transport if connection is not None else None
        protocol = connection.protocol if connection is not None else None
        if transport is None or protocol is None:
            return None
        # Nothing may be left in aiohttp's queue, nor in its parser, which holds bytes only while it is paused.
        is_empty = content.total_bytes == read_bytes and not content.is_eof() and content.exception() is None
        if not is_empty or not transport.is_reading() or transport.get_protocol() is not protocol:
            return None
        return Bypass(content, protocol, transport, length - read_bytes, self._room)


class Bypass(asyncio.BufferedProtocol):
    """The protocol of a connection for the rest of a body.

    Args:
        content: aiohttp's stream, which gets what nobody takes, and is told of the end.
        protocol: aiohttp's own protocol, which gets the connection back.
        transport: The connection.
        missing: How many bytes are still to come.
        room: Where they are put while nobody takes them.

    Attributes:
        taker: Whoever takes pieces as they come; None while nobody does.
        taken: How many bytes were taken.
        fault: What the taker raised, or None.
    """

    def __init__(
        self,
        content: aiohttp.StreamReader,
        protocol: ResponseHandler,
        transport: asyncio.Transport,
        missing: int,
        room: memoryview,
    ) -> None:
        self._content = content
        self._protocol = protocol
        self._transport = transport
        self._missing = missing
        self._room = room
        self._given = room
        self.taker: Taker | None = None
        self.taken = 0
        self.fault: Exception | None = None
        transport.set_protocol(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to put what comes: one byte more than was promised, so that more than that is noticed."""
        most = self._missing + 1
        self._given = self._room[:most] if self.taker is None else self.taker.room(most)
        return self._given

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what came."""
        if self._content.exception() is not None:
            return  # nobody reads it any more
        piece = self._given[: min(nbytes, self._missing)]
        self._missing -= len(piece)
        if nbytes > len(piece):
            self._protocol.force_close()  # nobody knows what that is
        if not piece:
            return
        self._protocol.start_timeout()
        if not self._is_taken(piece):
            self.taker = None  # until this piece has been read: it comes before the next one
            self._content.feed_data(bytes(piece))
        if not self._missing:
            self._transport.set_protocol(self._protocol)
            self._content.feed_eof()

    def eof_received(self) -> None:
        """The other side has ended; the connection closes itself."""
        self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Have the reader told of it, by aiohttp."""
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Of no interest here."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Of no interest here."""
        self._protocol.resume_writing()

    def _is_taken(self, piece: memoryview) -> bool:
        if self.taker is None:
            return False
        try:
            is_taken = self.taker.take(piece)
        except Exception as fault:  # noqa: BLE001 - the reader's own: raised where it waits
            self.fault = fault
            self._protocol.force_close()
            self._content.set_exception(ConnectionAbortedError("its reader failed"))
            return True
        if is_taken:
            self.taken += len(piece)
        return is_taken
