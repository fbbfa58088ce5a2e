"""A blocking client in the manner of the other, so that the same stories can be told of both.

Each call runs in a thread of its own while the test's loop goes on, for it is there that the servers are. A story
of cancelled tasks cannot be told of it: a blocking call has no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any, Generic, TypeVar

from krosai_calls import AsyncCallsClient, CallsClient
from krosai_calls._blocking import BlockingRecordingStream
from krosai_calls._portal import Portal

C = TypeVar("C", bound=AsyncCallsClient)
T = TypeVar("T")
_END: Any = object()


def blocking_over(client: AsyncCallsClient) -> CallsClient:
    """A blocking client of the other's settings, clock and all."""
    made = CallsClient("key", base_url="http://127.0.0.1")
    made._client, made._portal = client, Portal(last=client.aclose)
    return made


class ThreadedIterator(AsyncIterator[T], Generic[T]):
    """What a blocking iterator gives, each step in a thread."""

    def __init__(self, items: Iterator[T], close: Callable[[], None]) -> None:
        self._items = items
        self._close = close

    async def __anext__(self) -> T:
        item: T = await asyncio.to_thread(next, self._items, _END)
        if item is _END:
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        await asyncio.to_thread(self._close)


class ThreadedStream(ThreadedIterator[bytes]):
    """A blocking stream, each step in a thread."""

    def __init__(self, stream: BlockingRecordingStream) -> None:
        super().__init__(stream, lambda: None)
        self.size_bytes, self.content_type = stream.size_bytes, stream.content_type


class ThreadedClient:
    """The verbs of a blocking client over the one given, to be awaited; what it has besides is the other's own."""

    def __init__(self, client: AsyncCallsClient) -> None:
        self._client = client
        self.blocking = blocking_over(client)

    def __getattr__(self, verb: str) -> Any:
        if not hasattr(CallsClient, verb):
            return getattr(self._client, verb)

        async def threaded(*arguments: Any, **options: Any) -> Any:
            return await asyncio.to_thread(getattr(self.blocking, verb), *arguments, **options)

        return threaded

    def iter_calls(self, **options: Any) -> ThreadedIterator[Any]:
        calls = self.blocking.iter_calls(**options)
        return ThreadedIterator(calls, calls.close)

    def iter_pages(self, **options: Any) -> ThreadedIterator[Any]:
        pages = self.blocking.iter_pages(**options)
        return ThreadedIterator(pages, pages.close)

    def stream_recording(self, call: Any) -> AbstractAsyncContextManager[ThreadedStream]:
        return self._stream(self.blocking.stream_recording(call))

    @asynccontextmanager
    async def _stream(
        self, context: AbstractContextManager[BlockingRecordingStream]
    ) -> AsyncIterator[ThreadedStream]:
        stream = ThreadedStream(await asyncio.to_thread(context.__enter__))
        try:
            yield stream
        except BaseException as error:
            if not await asyncio.to_thread(context.__exit__, type(error), error, error.__traceback__):
                raise
        else:
            await asyncio.to_thread(context.__exit__, None, None, None)

    async def aclose(self) -> None:
        await asyncio.to_thread(self.blocking.close)

    async def __aenter__(self) -> ThreadedClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def either(client: C) -> C:
    """The client, or a blocking one over it; which, says the fixture `both_clients`, which stands in for this."""
    return client
