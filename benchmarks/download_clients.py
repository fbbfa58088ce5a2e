"""Whoever downloads in Python in ``downloads.py``, one in a process: ``download_clients.py NAME ORDER``.

It prints as JSON what downloading took, without imports and without the making of a client.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

AT_ONCE = 16
BEAT_SECONDS = 0.005
CHUNK_OF_REQUESTS = 2**20


@dataclass(frozen=True)
class Task:
    """One recording to download.

    Attributes:
        url: Where it is.
        path: Where to put it.
        seconds: How long it plays.
        sha256: Its digest.
    """

    url: str
    path: str
    seconds: float
    sha256: str


@dataclass(frozen=True)
class Order:
    """What to download.

    Attributes:
        certificate: The file of what to trust.
        server: The server's address.
        tasks: The recordings, all of one length.
    """

    certificate: str
    server: str
    tasks: Sequence[Task]

    def write(self, path: Path) -> None:
        """Write it down."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Order:
        """Read one again."""
        told = json.loads(path.read_text())
        return cls(told["certificate"], told["server"], [Task(**task) for task in told["tasks"]])


class Stopwatch:
    """Measures a block, by the clock and otherwise.

    Attributes:
        wall: Seconds.
        cpu: Seconds of CPU, of all threads.
        queued: Seconds for which a thread could have run, and other work had the cores; None if nobody can tell.
        memory: Bytes by which memory at its peak was above what it was at the beginning; None if nobody can tell.
        lags: Seconds by which each beat of the event loop's heart came late.
    """

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self.queued: float | None = None
        self.memory: int | None = None
        self.lags: list[float] = []

    def __enter__(self) -> None:
        self._forget_peak()
        self._memory = _memory("VmRSS")
        self._queued = queued_seconds()
        self._begin = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        wall, cpu = self._begin
        self.wall, self.cpu = time.perf_counter() - wall, time.process_time() - cpu
        queued, peak = queued_seconds(), _memory("VmHWM")
        self.queued = None if queued is None or self._queued is None else queued - self._queued
        self.memory = None if peak is None or self._memory is None else peak - self._memory

    async def beat(self) -> None:
        """The event loop's heart: it sleeps and notes how late it wakes up, until it is cancelled."""
        while True:
            begin = time.perf_counter()
            await asyncio.sleep(BEAT_SECONDS)
            self.lags.append(time.perf_counter() - begin - BEAT_SECONDS)

    def _forget_peak(self) -> None:
        # Importing may have taken more memory for a moment than is in use now.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def cores_seconds(where: int | str) -> tuple[float, float] | None:
    """How long a thread has had a core and how long it has waited for one; None where the system does not tell.

    Args:
        where: A process, whose first thread is meant, or the path below ``/proc`` of a thread.
    """
    try:
        used, queued = Path(f"/proc/{where}/schedstat").read_text().split()[:2]
        return int(used) / 1e9, int(queued) / 1e9
    except (OSError, ValueError):
        return None


def queued_seconds() -> float | None:
    """How long the threads of this process have waited for a core so far, or None."""
    told = [cores_seconds(f"self/task/{thread.name}") for thread in Path("/proc/self/task").glob("*")]
    return sum(seconds[1] for seconds in told if seconds is not None) if any(told) else None


def _memory(name: str) -> int | None:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


async def at_once(order: Order, watch: Stopwatch, download: Callable[[Task], Awaitable[Any]]) -> list[Any]:
    """Download everything in an event loop whose heart is listened to; gives what the downloads gave."""
    tasks = iter(order.tasks)
    given: list[Any] = []

    async def work() -> None:
        given.extend([await download(task) for task in tasks])

    async with asyncio.TaskGroup() as group:
        with watch:
            heart = group.create_task(watch.beat())
            await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        heart.cancel()
    return given


def with_krosai(order: Order, watch: Stopwatch) -> None:
    """Downloads with the client, which makes all its checks."""
    from krosai_calls import AsyncCallsClient
    from krosai_calls.models import Call, Download

    trusted = ssl.create_default_context(cafile=order.certificate)
    calls = {
        task.path: Call(id=Path(task.path).stem, recording_url=task.url, duration=task.seconds)
        for task in order.tasks
    }

    async def downloaded() -> list[Download]:
        # Storage gets one place less than there are: the last one is kept for the API.
        async with AsyncCallsClient(
            "kros_test_benchmark", base_url=order.server, max_concurrency=AT_ONCE + 1, ssl_context=trusted
        ) as client:
            return await at_once(order, watch, lambda task: client.download_recording(calls[task.path], task.path))

    digests = {task.path: task.sha256 for task in order.tasks}
    for download in asyncio.run(downloaded()):
        if download.suspect or digests.pop(str(download.path)) != download.sha256:
            sys.exit(f"the client gave {download}")


def with_aiohttp(order: Order, watch: Stopwatch) -> None:
    """The floor: downloads with what the client stands on, and checks nothing but the status."""
    import aiohttp

    trusted = ssl.create_default_context(cafile=order.certificate)

    async def downloaded() -> None:
        connector = aiohttp.TCPConnector(limit=0, ssl=trusted)
        async with aiohttp.ClientSession(connector=connector, raise_for_status=True) as session:

            async def download(task: Task) -> None:
                descriptor = os.open(task.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                try:
                    async with session.get(task.url) as response:
                        while chunk := await response.content.readany():
                            os.write(descriptor, chunk)
                finally:
                    os.close(descriptor)

            await at_once(order, watch, download)

    asyncio.run(downloaded())


def with_httpx(order: Order, watch: Stopwatch) -> None:
    """Downloads with httpx's asynchronous client."""
    import httpx

    trusted = ssl.create_default_context(cafile=order.certificate)

    async def downloaded() -> None:
        async with httpx.AsyncClient(verify=trusted, trust_env=False) as another:
            await another.head(order.server)  # a first request, whatever the answer, imports what runs it
        async with httpx.AsyncClient(verify=trusted, trust_env=False) as session:

            async def download(task: Task) -> None:
                async with session.stream("GET", task.url) as response:
                    response.raise_for_status()
                    with open(task.path, "xb") as file:  # noqa: ASYNC230, PTH123 - as one writes it
                        async for chunk in response.aiter_bytes():
                            file.write(chunk)

            await at_once(order, watch, download)

    asyncio.run(downloaded())


def with_requests(order: Order, watch: Stopwatch) -> None:
    """Downloads with requests, a session in each of so many threads."""
    import requests

    tasks = iter(order.tasks)

    def work() -> None:
        with requests.Session() as session:
            session.trust_env = False  # a bundle that the environment names would win over the one here
            session.verify = order.certificate
            for task in tasks:
                with session.get(task.url, stream=True) as response, Path(task.path).open("xb") as file:
                    response.raise_for_status()
                    for chunk in response.iter_content(CHUNK_OF_REQUESTS):
                        file.write(chunk)

    with ThreadPoolExecutor(AT_ONCE) as threads, watch:
        for done in [threads.submit(work) for _ in range(AT_ONCE)]:
            done.result()


CLIENTS: dict[str, Callable[[Order, Stopwatch], None]] = {
    "krosai": with_krosai,
    "aiohttp": with_aiohttp,
    "httpx": with_httpx,
    "requests": with_requests,
}


def main() -> None:
    """Download, and print what it took."""
    watch = Stopwatch()
    CLIENTS[sys.argv[1]](Order.read(Path(sys.argv[2])), watch)
    taken = {name: getattr(watch, name) for name in ("wall", "cpu", "queued", "memory", "lags")}
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
