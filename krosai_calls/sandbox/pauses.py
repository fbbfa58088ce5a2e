"""Every wait of the servers, so that none outlives them: also not where whoever asked has long gone."""

from __future__ import annotations

import asyncio
from typing import Any


class Pauses:
    """Waits that can all be ended at once. It belongs to the loop that the servers run in."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Task[Any]] = set()
        self._is_over = False

    def begin(self) -> None:
        """Allow waits, again."""
        self._is_over = False

    async def wait(self, seconds: float) -> None:
        """Wait for so long.

        Raises:
            asyncio.CancelledError: The servers are stopping.
        """
        task = asyncio.current_task()
        assert task is not None
        if self._is_over:
            raise asyncio.CancelledError
        self._waiting.add(task)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._waiting.discard(task)

    async def end(self) -> None:
        """End every wait and whatever waited, and let none begin."""
        self._is_over = True
        waiting = list(self._waiting)
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting)
