"""Showing work under way on stderr: in place on a terminal, as a plain line now and then elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from krosai_calls.cli.charts import Glyphs, glyphs_for
from krosai_calls.cli.output import Output, columns_of

# What is done sooner needs no display, which would only flash up.
SECONDS_BEFORE_FRAMES = 0.5
SECONDS_BETWEEN_FRAMES = 0.1
SECONDS_BETWEEN_LINES = 30.0


class Meter(Protocol):
    """What knows how far the work is."""

    def lines(self, room: int, most: int, glyphs: Glyphs) -> list[str]:
        """What is shown in so many columns and lines at most."""
        ...

    def line(self) -> str:
        """The same in a line for a file."""
        ...


def is_live() -> bool:
    """Whether stderr is a terminal that can change what it shows."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@asynccontextmanager
async def shown(
    meter: Meter, out: Output, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> AsyncIterator[None]:
    """Show a meter while the block runs; after it nothing of it stays on a terminal.

    Args:
        meter: What is shown.
        out: Where plain lines go.
        sleep: Waits for seconds.
    """
    showing = asyncio.create_task(_draw(meter, sleep) if is_live() else _tell(meter, out, sleep))
    try:
        yield
    finally:
        showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing


async def _tell(meter: Meter, out: Output, sleep: Callable[[float], Awaitable[None]]) -> None:
    while True:
        await sleep(SECONDS_BETWEEN_LINES)
        out.note(meter.line())


async def _draw(meter: Meter, sleep: Callable[[float], Awaitable[None]]) -> None:
    await sleep(SECONDS_BEFORE_FRAMES)
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    glyphs = glyphs_for(getattr(sys.stderr, "encoding", None))
    console = Console(file=sys.stderr, highlight=False)

    def frame() -> Text:
        room = columns_of(sys.stderr)
        console.width = room
        # One column less: some terminals begin a new line with the last.
        lines = meter.lines(max(1, room - 1), max(1, console.height - 1), glyphs)
        return Text("\n".join(lines), no_wrap=True, overflow="crop")

    # Drawn by this task alone, and stdout stays what it is: data may be on its way to a file.
    with (
        contextlib.suppress(OSError),
        Live(
            frame(),
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as live,
    ):
        while True:
            await sleep(SECONDS_BETWEEN_FRAMES)
            live.update(frame(), refresh=True)
