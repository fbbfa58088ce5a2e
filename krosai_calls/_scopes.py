"""What a client has under way, so that closing it ends everything at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from krosai_calls.errors import ClientStateError

# What is told to end gets so long to do it before the connections are closed under it.
GRACE_SECONDS = 0.5


class Scopes:
    """The waits of one client: each ends with ClientStateError when the client is closed.

    A client belongs to the loop and the process that used it first.
    """

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._none_open = asyncio.Event()
        self.is_closed = False

    def require_usable(self) -> None:
        """Make sure that the client can be used here and now.

        Raises:
            ClientStateError: It is closed, or belongs to another loop or process.
        """
        if self.is_closed:
            raise ClientStateError("the client is closed: make a new one")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop, self._pid = loop, os.getpid()
        if self._pid != os.getpid():
            raise ClientStateError("the client was used before a fork: make a new one in each process")
        if self._loop is not loop:
            raise ClientStateError("the client was used in another event loop: make one for each loop")

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Hold while something is waited for; never across a yield to the caller.

        Raises:
            ClientStateError: The client is closed, before or meanwhile.
        """
        self.require_usable()
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._open.add(scope)
                try:
                    yield
                finally:
                    self._open.discard(scope)
                    if not self._open:
                        self._none_open.set()
            return
        except TimeoutError:
            if not scope.expired():
                raise
        raise ClientStateError("the client was closed while this was under way")

    def bound(self, sleep: Callable[[float], Awaitable[None]]) -> Callable[[float], Awaitable[None]]:
        """A way to wait that ends when the client is closed."""

        async def bound_sleep(seconds: float) -> None:
            async with self.entered():
                await sleep(seconds)

        return bound_sleep

    def may_close(self) -> bool:
        """Close to all that is new; tells whether there may be anything to end here.

        Raises:
            ClientStateError: The client belongs to another event loop.
        """
        self.is_closed = True
        if self._loop is None or self._pid != os.getpid():
            return False  # never used; or a forked child, whose parent goes on with these connections
        if self._loop is not asyncio.get_running_loop():
            raise ClientStateError("the client was used in another event loop: close it there")
        return True

    async def close(self) -> None:
        """End all waits, and give what ended a moment to tidy up."""
        if not self._open:
            return
        now = asyncio.get_running_loop().time()
        self._none_open.clear()
        for scope in self._open:
            scope.reschedule(now)
        # Where somebody does not let go, the connections are closed all the same.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._none_open.wait(), GRACE_SECONDS)
