"""Time that only a test moves: one clock for everything that takes `clock=` and `sleep=`.

    clock = FakeClock()                  # each sleep moves it on, and nobody waits for real
    clock = FakeClock(is_driven=True)    # it stands still until the test says clock.advance(seconds)

Give the same one to Transport and Pace: a gate that is closed for a second looks at the clock until it is over.
"""

from __future__ import annotations

import asyncio


class FakeClock:
    """A clock.

    Args:
        now: Where it starts.
        is_driven: Whether sleepers wait for `advance`.

    Attributes:
        now: Seconds.
        slept: What was asked of `sleep`, in order.
    """

    def __init__(self, now: float = 100.0, *, is_driven: bool = False) -> None:
        self.now = now
        self.slept: list[float] = []
        self._is_driven = is_driven
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self._fell_asleep = asyncio.Event()

    def read(self) -> float:
        """The time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        due = self.now + seconds
        self.slept.append(seconds)
        if not self._is_driven:
            await asyncio.sleep(0)
            self.now = max(self.now, due)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((due, woken))
        self._fell_asleep.set()
        try:
            await woken
        finally:
            self._sleepers.remove((due, woken))

    @property
    def sleeping(self) -> int:
        """How many are asleep."""
        return len(self._sleepers)

    async def asleep(self, count: int) -> None:
        """Wait until so many, or more, are asleep."""
        while self.sleeping < count:
            self._fell_asleep.clear()
            await self._fell_asleep.wait()

    def advance(self, seconds: float) -> None:
        """Move on, and wake whose time has come."""
        self.now += seconds
        for due, woken in self._sleepers:
            if due <= self.now and not woken.done():
                woken.set_result(None)


async def settle() -> None:
    """Let everything that needs no socket and no clock go as far as it can."""
    for _ in range(50):
        await asyncio.sleep(0)
