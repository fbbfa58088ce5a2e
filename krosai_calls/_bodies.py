"""What of an answer of aiohttp's is needed: its headers, and its body at once or as it arrives."""

from __future__ import annotations

from io import SEEK_END, BytesIO
from typing import TYPE_CHECKING

from krosai_calls._bypass import Bypass, Bypasses, Taker
from krosai_calls._faults import FAULTS, failure_of
from krosai_calls._retry import Failure, FailureKind
from krosai_calls._scopes import Scopes
from krosai_calls._text import without_query
from krosai_calls._wire import BodyEncodingError
from krosai_calls.errors import ClientStateError, StreamInterruptedError

if TYPE_CHECKING:
    import aiohttp


class StorageAnswer:
    """What storage answered, its body still to be read.

    Attributes:
        url: The address without its query.
        status: The HTTP status.
        headers: Names in lower case.
    """

    def __init__(self, response: aiohttp.ClientResponse, scopes: Scopes, bypasses: Bypasses) -> None:
        self._response = response
        self._scopes = scopes
        self._bypasses = bypasses
        self._bypass: Bypass | None = None
        self._read_bytes = 0
        self.url = without_query(str(response.url))
        self.status = response.status
        self.headers = plain_headers(response)
        self._failure: Failure | None = None

    async def read(self, taker: Taker | None = None) -> bytes:
        """The next piece of the body, in whatever size it arrived; empty at the end.

        Args:
            taker: May take pieces in its place while this waits.

        Raises:
            StreamInterruptedError: The body was cut off.
            RequestTimeoutError: Nothing came for too long.
            ClientStateError: The client was closed meanwhile.
            Exception: Whatever the taker raised.
        """
        piece = b""
        if self._failure is None:
            self._let_take(taker)
            try:
                piece = await self._response.content.readany()
            except FAULTS as fault:
                self._failure = failure_of(fault, f"GET {self.url}")
                piece = self._left_over()
            finally:
                self._let_take(None)
        if self._bypass is not None and self._bypass.fault is not None:
            raise self._bypass.fault
        if self._scopes.is_closed:
            # A body without a length would end like a whole one.
            raise ClientStateError("the client was closed while this was under way")
        self._read_bytes += len(piece)
        if self._failure is None or piece:
            return piece
        if self._failure.kind is FailureKind.TIMED_OUT:
            raise self._failure.error
        received = self._read_bytes + (self._bypass.taken if self._bypass is not None else 0)
        raise StreamInterruptedError(
            str(self._failure.error), received=received, expected=self._response.content_length
        )

    def _let_take(self, taker: Taker | None) -> None:
        if taker is not None and self._bypass is None:
            self._bypass = self._bypasses.open(self._response, self._read_bytes)
        if self._bypass is not None:
            self._bypass.taker = taker

    def _left_over(self) -> bytes:
        # What arrived before the fault: aiohttp tells the fault first, and keeps to itself what it still holds.
        read_nowait = getattr(self._response.content, "_read_nowait", None)
        left_over = b"" if read_nowait is None else read_nowait(-1)
        return bytes(left_over)


async def read_at_most(most: int, response: aiohttp.ClientResponse) -> bytes:
    """A whole body, up to so many bytes.

    Raises:
        BodyEncodingError: It is larger.
    """
    body = BytesIO()
    async for chunk in response.content.iter_any():
        if body.tell():
            body.write(chunk)
        else:
            body = BytesIO(chunk)  # shares the bytes: a body that comes in one piece is never copied
            body.seek(0, SEEK_END)
        if body.tell() > most:
            response.close()
            raise BodyEncodingError(f"more than {most} bytes", "too large", is_lasting=True)
    return body.getvalue()


def plain_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """An answer's headers, names in lower case; what stands twice is joined by a comma."""
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
