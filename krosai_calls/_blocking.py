"""What the blocking client gives to be iterated: listings and streams, each step on the client's own loop."""

from __future__ import annotations

from collections.abc import Iterator

from krosai_calls._portal import Portal, PortalIterator, PortalSteps
from krosai_calls._streams import RecordingStream
from krosai_calls.models import Call


class BlockingPageIterator(PortalIterator[list[Call]]):
    """The calls of a listing, a list at a time; ``close`` ends it early, and after an error it goes on."""

    def __next__(self) -> list[Call]:
        """The next calls; never an empty list."""
        return super().__next__()

    def close(self) -> None:
        """End the listing; whatever was under way for it is given up."""
        super().close()


class BlockingCallIterator(Iterator[Call]):
    """The calls of a listing one by one; ``close`` ends it early, and after an error it goes on.

    Attributes:
        pages: The same calls, a list at a time; for whoever pays for each step.
    """

    def __init__(self, pages: BlockingPageIterator) -> None:
        # Not itertools.chain: an error would finish it.
        self.pages = pages
        self._page: Iterator[Call] = iter(())

    def __next__(self) -> Call:
        """The next call; a new page is asked for when the last one is used up."""
        while True:
            for call in self._page:
                return call
            self._page = iter(next(self.pages))

    def close(self) -> None:
        """End the listing; whatever was under way for it is given up."""
        self._page = iter(())
        self.pages.close()


class BlockingRecordingStream(PortalSteps[bytes]):
    """A recording's bytes as they arrive: iterate it. A connection that breaks is replaced under way.

    Attributes:
        size_bytes: The length of the whole.
        content_type: What storage says it is, or None.
    """

    def __init__(self, portal: Portal, stream: RecordingStream) -> None:
        super().__init__(portal, stream)
        self.size_bytes = stream.size_bytes
        self.content_type = stream.content_type

    def __next__(self) -> bytes:
        """The next bytes, however many arrived."""
        return super().__next__()
