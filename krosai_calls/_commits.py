"""Whole recordings get their names together: one thread, and one wait for their folder, for several of them.

To hand a single file to a thread costs the event loop about a tenth of what downloading it did, for the two take
the interpreter from each other at each step; and a disk that is asked to have a folder safe does the same work for
one new name as for ten. So whoever is done waits a moment for the next ones, unless nobody else is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from krosai_calls._files import sync_folder
from krosai_calls._parts import RecordingPart
from krosai_calls._threads import to_the_end

# A file waits for others no longer than this, which no network notices,
GATHER_SECONDS = 0.005
# and not at all where so large a share of those that are under way is waiting: or nobody would be left to receive.
GATHER_SHARE = 0.25

_Waiting: TypeAlias = list[tuple[RecordingPart, "asyncio.Future[None]"]]


class Commits:
    """Publishes the recordings of one client.

    Args:
        gather_seconds: How long a file waits for others.
    """

    def __init__(self, *, gather_seconds: float = GATHER_SECONDS) -> None:
        self._gather_seconds = gather_seconds
        self._waiting: _Waiting = []
        self._timer: asyncio.TimerHandle | None = None

    async def publish(self, part: RecordingPart, *, under_way: int) -> None:
        """Give a whole file its final name; it is on disk when this is done. A cancellation waits for that.

        Args:
            part: The file.
            under_way: How many files are on their way to being published, this one among them.

        Raises:
            OSError: It cannot be published.
        """
        loop = asyncio.get_running_loop()
        published: asyncio.Future[None] = loop.create_future()
        self._waiting.append((part, published))
        if len(self._waiting) >= under_way * GATHER_SHARE:
            self._begin(loop)
        elif self._timer is None:
            self._timer = loop.call_later(self._gather_seconds, self._begin, loop)
        await to_the_end(published)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._waiting = self._waiting, []
        try:
            work = loop.run_in_executor(None, publish, [part for part, _ in batch])
        except RuntimeError as refused:  # the loop is about to close, and has no threads any more
            _tell(batch, [refused] * len(batch))
        else:
            work.add_done_callback(partial(_done, batch))


def publish(parts: Sequence[RecordingPart]) -> list[OSError | None]:
    """Have whole files and then their names on disk, and a folder once for all of them that are in it.

    It blocks for as long as the disk takes.

    Returns:
        For each what went wrong, or None.
    """
    faults = {part: _fault_of(part.give_name) for part in parts}
    named = [part for part, fault in faults.items() if fault is None]
    folders = {
        folder: _fault_of(partial(sync_folder, folder)) for folder in {part.target.parent for part in named}
    }
    for part in named:
        # There is no part any more, whatever became of its folder.
        faults[part] = _fault_of(part.drop_record) or folders[part.target.parent]
    return list(faults.values())


def _fault_of(step: Callable[[], None]) -> OSError | None:
    try:
        step()
    except OSError as fault:
        return fault
    return None


def _done(batch: _Waiting, work: asyncio.Future[list[OSError | None]]) -> None:
    fault = work.exception()
    _tell(batch, work.result() if fault is None else [fault] * len(batch))


def _tell(batch: _Waiting, faults: Sequence[BaseException | None]) -> None:
    for (_, published), fault in zip(batch, faults, strict=True):
        if fault is None:
            published.set_result(None)
        else:
            published.set_exception(fault)
