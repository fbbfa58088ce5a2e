"""Whoever lists in ``listing.py``, one in a process: ``listing_clients.py NAME WINDOW URL CALLS``.

It prints as JSON what listing took, without imports: seconds, and seconds of CPU and of waiting for a core. All
end with Python objects: the client with its records, the others with the dicts of ``json``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

PAGE_SIZE = 100
FLOOR = "orjson.loads"
PAGES_OF_FLOOR = 30


class Stopwatch:
    """Measures a block; imports and the making of a client stay outside of it."""

    def __enter__(self) -> None:
        self._begin = time.perf_counter(), time.process_time(), queued_seconds()

    def __exit__(self, *_: object) -> None:
        wall, cpu, queued = self._begin
        self.wall, self.cpu = time.perf_counter() - wall, time.process_time() - cpu
        now = queued_seconds()
        self.queued = None if now is None or queued is None else now - queued


def queued_seconds() -> float | None:
    """How long this process has waited for a core so far; None where the system does not tell (Linux does)."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return None


def with_requests(url: str, _: int, watch: Stopwatch) -> list[str]:
    """Lists with requests, one page after another."""
    import requests

    with requests.Session() as session, watch:
        return list_in_turn(lambda offset: session.get(page_url(url, offset)).json())


def with_httpx(url: str, _: int, watch: Stopwatch) -> list[str]:
    """Lists with httpx, one page after another."""
    import httpx

    with httpx.Client() as session, watch:
        return list_in_turn(lambda offset: session.get(page_url(url, offset)).json())


def list_in_turn(get_page: Callable[[int], dict[str, Any]]) -> list[str]:
    """The ids of a whole history, page after page."""
    ids: list[str] = []
    while True:
        page = get_page(len(ids))
        ids += [call["id"] for call in page["calls"]]
        if len(ids) >= page["total"] or not page["calls"]:
            return ids


def with_httpx_at_once(url: str, window: int, watch: Stopwatch) -> list[str]:
    """Lists with httpx, so many pages at once."""
    import httpx

    async def listed() -> list[str]:
        async with httpx.AsyncClient() as another:
            await another.get(url)  # a first request, whatever the answer, imports what runs it
        async with httpx.AsyncClient() as session:

            async def get_page(offset: int) -> Any:
                return (await session.get(page_url(url, offset))).json()

            with watch:
                return await list_at_once(get_page, window)

    return asyncio.run(listed())


async def list_at_once(get_page: Callable[[int], Awaitable[Any]], window: int) -> list[str]:
    """The ids of a whole history, by offsets reckoned from its first total.

    It is what one writes first, and it loses or doubles calls where the history changes meanwhile.
    """
    first = await get_page(0)
    ids = [call["id"] for call in first["calls"]]
    offsets = iter(range(PAGE_SIZE, first["total"], PAGE_SIZE))

    async def work() -> None:
        for offset in offsets:
            page = await get_page(offset)
            ids.extend(call["id"] for call in page["calls"])

    async with asyncio.TaskGroup() as group:
        for _ in range(window):
            group.create_task(work())
    return ids


def with_iter_pages(url: str, window: int, watch: Stopwatch) -> list[str]:
    """Lists with the client, a list at a time."""
    from krosai_calls import AsyncCallsClient

    async def listed() -> list[str]:
        ids: list[str] = []
        async with AsyncCallsClient("kros_test_benchmark", base_url=url, max_concurrency=window) as client:
            with watch:
                async for calls in client.iter_pages(page_size=PAGE_SIZE):
                    ids += [call.id for call in calls]
        return ids

    return asyncio.run(listed())


def with_iter_calls(url: str, window: int, watch: Stopwatch) -> list[str]:
    """Lists with the client, one step for each call."""
    from krosai_calls import AsyncCallsClient

    async def listed() -> list[str]:
        async with AsyncCallsClient("kros_test_benchmark", base_url=url, max_concurrency=window) as client:
            with watch:
                return [call.id async for call in client.iter_calls(page_size=PAGE_SIZE)]

    return asyncio.run(listed())


LISTERS: dict[str, Callable[[str, int, Stopwatch], list[str]]] = {
    "requests": with_requests,
    "httpx": with_httpx,
    "httpx at once": with_httpx_at_once,
    "iter_pages": with_iter_pages,
    "iter_calls": with_iter_calls,
}


def parse_only(url: str, calls: int, watch: Stopwatch) -> None:
    """The floor: parse as many pages as there are, a few again and again, which are there already."""
    import orjson

    offsets = range(0, calls, PAGE_SIZE)
    bodies = []
    for offset in offsets[:PAGES_OF_FLOOR]:
        with urllib.request.urlopen(page_url(url, offset)) as answer:
            bodies.append(answer.read())
    with watch:
        for number in range(len(offsets)):
            orjson.loads(bodies[number % len(bodies)])


def page_url(url: str, offset: int) -> str:
    """Where a page is."""
    return f"{url}/calls?limit={PAGE_SIZE}&offset={offset}"


def main() -> None:
    """List, make sure that every call came exactly once, and print what it took."""
    name, window, url, calls = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    watch = Stopwatch()
    if name == FLOOR:
        parse_only(url, calls, watch)
    else:
        ids = LISTERS[name](url, window, watch)
        if not len(ids) == len(set(ids)) == calls:
            sys.exit(
                f"{name} at {window} gave {len(ids)} calls, {len(set(ids))} of them different, out of {calls}"
            )
    print(json.dumps({"wall": watch.wall, "cpu": watch.cpu, "queued": watch.queued}))


if __name__ == "__main__":
    main()
