"""What a blocking call costs: awaiting, the facade, ``asyncio.run`` for each call and anyio's portal, in turn.

The aims: the facade takes at most 1.5 times what awaiting takes and at most 0.8 of what ``asyncio.run`` takes, and
its page-wise iterator adds less than 2 us an item.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from krosai_calls import AsyncCallsClient, Call, CallsClient
from krosai_calls._portal import Portal
from krosai_calls.sync import BlockingCallIterator

KEY = "kros_test_benchmark"
PAGE_SIZE = 100
# Each is a function that makes so many calls, one after another, and returns when the last has been answered.
Calling = Callable[[int], object]
AWAITING, FACADE, RUN_EACH, ANYIO = "awaiting", "the facade", "asyncio.run for each", "anyio's portal"
# The most that the facade may take, as a part of what another takes.
AIMS = {AWAITING: 1.5, RUN_EACH: 0.8}
ITEM_AIM_MICROSECONDS = 2.0
QUICK = {"rounds": 1, "calls": 20, "items": 2_000}


@contextmanager
def serving() -> Iterator[str]:
    """The server in a process of its own, for it shall not share the interpreter's lock; gives the base URL."""
    command = [sys.executable, str(Path(__file__).with_name("listing_server.py")), "--calls", str(PAGE_SIZE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/0/{PAGE_SIZE}/v1"
        # Leaving the block closes its input, which ends it.


def call_contestants(url: str, stack: ExitStack) -> dict[str, Calling]:
    """Who asks the server for a page of one call, over a connection that stays open where that is possible."""
    runner = stack.enter_context(asyncio.Runner())
    awaited = AsyncCallsClient(KEY, base_url=url)
    stack.callback(lambda: runner.run(awaited.aclose()))
    facade = stack.enter_context(CallsClient(KEY, base_url=url))
    portal = stack.enter_context(start_blocking_portal())
    through_anyio = AsyncCallsClient(KEY, base_url=url)
    stack.callback(portal.call, through_anyio.aclose)

    async def await_each(count: int) -> None:
        for _ in range(count):
            await awaited.list_calls(limit=1)

    async def once() -> None:
        # What a script without a loop would write; a client belongs to one loop, so that each call needs its own.
        async with AsyncCallsClient(KEY, base_url=url) as client:
            await client.list_calls(limit=1)

    return {
        AWAITING: lambda count: runner.run(await_each(count)),
        FACADE: lambda count: _repeat(lambda: facade.list_calls(limit=1), count),
        RUN_EACH: lambda count: _repeat(lambda: asyncio.run(once()), count),
        ANYIO: lambda count: _repeat(lambda: portal.call(partial(through_anyio.list_calls, limit=1)), count),
    }


def hop_contestants(stack: ExitStack) -> dict[str, Calling]:
    """The same, with a coroutine that does nothing: what the way there and back costs."""

    async def nothing() -> None:
        pass

    async def await_each(count: int) -> None:
        for _ in range(count):
            await asyncio.create_task(nothing())

    runner = stack.enter_context(asyncio.Runner())
    ours = Portal()
    stack.callback(ours.close)
    anyios = stack.enter_context(start_blocking_portal())
    return {
        AWAITING: lambda count: runner.run(await_each(count)),
        FACADE: lambda count: _repeat(lambda: ours.run(nothing), count),
        RUN_EACH: lambda count: _repeat(lambda: asyncio.run(nothing()), count),
        ANYIO: lambda count: _repeat(lambda: anyios.call(nothing), count),
    }


def _repeat(call: Callable[[], object], count: int) -> None:
    for _ in range(count):
        call()


def item_contestants(stack: ExitStack) -> dict[str, Calling]:
    """Who reads items from pages that cost nothing, so that only the way to the reader is measured."""
    page = [Call(id=f"call_{number}") for number in range(PAGE_SIZE)]
    portal = Portal()
    stack.callback(portal.close)

    async def pages(count: int) -> AsyncGenerator[list[Call], None]:
        for _ in range(count // PAGE_SIZE):
            yield page

    async def items(count: int) -> AsyncGenerator[Call, None]:
        for _ in range(count):
            yield page[0]

    return {
        "page by page": lambda count: deque(BlockingCallIterator(portal.iterate(pages(count))), 0),
        "item by item": lambda count: deque(portal.iterate(items(count)), 0),
    }


def microseconds(calling: Calling, count: int) -> float:
    """What one of so many calls takes, on the average."""
    begin = time.perf_counter()
    calling(count)
    return (time.perf_counter() - begin) / count * 1e6


def measured(contestants: dict[str, Calling], count: int, rounds: int) -> dict[str, list[float]]:
    """Microseconds a call, round by round; the first round warms caches and is thrown away."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name in random.sample(list(contestants), len(contestants)):
            took = microseconds(contestants[name], count)
            if number:
                taken[name].append(took)
    return taken


def report(title: str, taken: dict[str, list[float]], *, aims: dict[str, float]) -> None:
    """Print medians, and what the facade takes of each; ratios are taken round by round."""
    print(f"{title}\n\n{'':<22}{'us each':>10}{'facade takes':>15}{'aim':>9}")
    for name, values in taken.items():
        ratios = [ours / theirs for ours, theirs in zip(taken[FACADE], values, strict=True)]
        ratio = "" if name == FACADE else f"{statistics.median(ratios):.2f} of it"
        aim = f"<= {aims[name]}" if name in aims else ""
        print(f"{name:<22}{statistics.median(values):>10.1f}{ratio:>15}{aim:>9}")
    print()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="besides the first, which is thrown away")
    parser.add_argument("--calls", type=int, default=300, help="calls of each contestant in a round")
    parser.add_argument("--items", type=int, default=100_000, help="items that are iterated over in a round")
    parser.add_argument("--quick", action="store_true", help="see that it works; its figures are worth little")
    if parser.parse_args().quick:
        parser.set_defaults(**QUICK)
    options = parser.parse_args()
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # the server is on loopback; nobody shall go round by a proxy, or spend time on it
    with ExitStack() as stack:
        calls = call_contestants(stack.enter_context(serving()), stack)
        title = f"A page of one call over loopback, median of {options.rounds} rounds of {options.calls}"
        report(title, measured(calls, options.calls, options.rounds), aims=AIMS)
    with ExitStack() as stack:
        hops = measured(hop_contestants(stack), options.calls, options.rounds)
        report("A coroutine that does nothing: the way there and back", hops, aims={})
    with ExitStack() as stack:
        items = measured(item_contestants(stack), options.items, options.rounds)
    print(f"An item of a listing, pages of {PAGE_SIZE} that cost nothing\n\n{'':<22}{'us each':>10}{'aim':>24}")
    for name, values in items.items():
        aim = f"< {ITEM_AIM_MICROSECONDS}" if name == "page by page" else ""
        print(f"{name:<22}{statistics.median(values):>10.2f}{aim:>24}")


if __name__ == "__main__":
    main()
