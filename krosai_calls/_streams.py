"""A recording's bytes as they arrive, for passing them on."""

from __future__ import annotations

from contextlib import AsyncExitStack

from krosai_calls._mp3 import could_be_mp3
from krosai_calls._resume import Held
from krosai_calls._text import snippet
from krosai_calls._transfers import Body, Transfer
from krosai_calls.errors import (
    ClientStateError,
    IntegrityError,
    KrosaiError,
    RequestTimeoutError,
    StreamInterruptedError,
)


class RecordingStream:
    """A recording's bytes as they arrive: iterate it. A connection that breaks is replaced under way.

    Attributes:
        size_bytes: The length of the whole.
        content_type: What storage says it is, or None.
    """

    def __init__(self, transfer: Transfer, body: Body, connection: AsyncExitStack) -> None:
        judgement = body.judgement
        self._transfer = transfer
        self._body = body
        self._connection = connection
        self._held = Held(0, judgement.validator, judgement.size_bytes)
        self.size_bytes = judgement.size_bytes or 0
        self.content_type = body.content_type

    def __aiter__(self) -> RecordingStream:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes, however many arrived.

        Raises:
            StreamInterruptedError: The recording ended before all of it had come, and cannot be gone on with.
            IntegrityError: What comes is no MP3.
        """
        while not self._held.is_whole:
            try:
                piece = await self._body.read()
            except (StreamInterruptedError, RequestTimeoutError) as cut:
                await self._go_on_after(cut)
                continue
            if not piece:  # storage gives it in parts
                await self._go_on_after(None)
                continue
            if self._held.received == 0 and not could_be_mp3(piece):
                raise no_mp3(self._transfer.link.call_id, piece)
            given = self._held.received
            # Storage that ignores ranges gives it all again.
            piece = piece[max(0, given - (self._body.position - len(piece))) :]
            if piece:
                self._held = Held(given + len(piece), self._held.validator, self._held.size_bytes)
                return piece
        self._transfer.done()
        raise StopAsyncIteration

    async def _go_on_after(self, cut: StreamInterruptedError | RequestTimeoutError | None) -> None:
        received, size = self._held.received, self._held.size_bytes
        if cut is not None and received and not self._held.is_usable:
            raise _short_of(cut, received, size) from cut
        # The connection is let go of before anything is waited for.
        await self._connection.aclose()
        try:
            if cut is None:
                self._transfer.advanced(received)
            else:
                await self._transfer.lost(cut, received)
            await self._reopen()
        except ClientStateError:
            raise
        except KrosaiError as fault:
            raise _short_of(fault, received, size) from fault

    async def _reopen(self) -> None:
        opened = await self._transfer.open(self._held, self._connection)
        judgement = opened.judgement
        is_same = (judgement.validator, judgement.size_bytes) == (self._held.validator, self._held.size_bytes)
        if opened.body is None or not is_same:
            raise StreamInterruptedError(
                f"the recording was replaced after {self._held.received} of {self.size_bytes} bytes had come",
                received=self._held.received,
                expected=self.size_bytes,
            )
        self._body = opened.body


def _short_of(error: KrosaiError, received: int, expected: int | None) -> StreamInterruptedError:
    """The error for a stream that cannot be gone on with."""
    words = f"the recording ended after {received} of {expected} bytes: {error}"
    short = StreamInterruptedError(words, received=received, expected=expected)
    short.attempts = error.attempts
    return short


def no_mp3(call_id: str, beginning: bytes) -> IntegrityError:
    """The error for bytes that are something else."""
    return IntegrityError(
        f"what storage sent for call {call_id} is no MP3: it begins {snippet(beginning)!r}", call_id=call_id
    )
