"""How near the pace comes to what a server allows: requests against one that takes 40 a second in fixed windows.

The aim: 160 requests within 1.35 times the ideal time (requests / limit) and with at most 3 refusals, whatever the
latency and wherever the border of the server's second falls.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from krosai_calls import AsyncCallsClient

PAGE = b'{"calls": [], "total": 0, "limit": 1, "offset": 0}'


class Server:
    """Takes so many requests in each second of its own, and counts.

    Args:
        limit: Requests in a second.
        latency: Seconds from a request's coming to its answer; half of them pass before it is counted.
        border: Where its second begins, as a fraction of the wall clock's.
        tells: Whether its answers carry X-RateLimit-Limit, -Remaining and -Reset.
    """

    def __init__(self, limit: int, latency: float, border: float, *, tells: bool) -> None:
        self._limit, self._latency, self._border, self._tells = limit, latency, border, tells
        self._window, self._count = 0, 0
        self.refusals = 0

    async def answer(self, request: web.Request) -> web.Response:
        """Count a request, and answer it."""
        await asyncio.sleep(self._latency / 2)
        now = time.time()
        window = math.floor(now - self._border)
        self._count = self._count + 1 if window == self._window else 1
        self._window = window
        closes = window + 1 + self._border
        headers = {}
        if self._tells:
            headers = {
                "X-RateLimit-Limit": str(self._limit),
                "X-RateLimit-Remaining": str(max(0, self._limit - self._count)),
                "X-RateLimit-Reset": str(math.ceil(closes)),
            }
        is_taken = self._count <= self._limit
        if not is_taken:
            self.refusals += 1
            headers["Retry-After"] = f"{closes - now:.3f}"
        await asyncio.sleep(self._latency / 2)
        status, body = (200, PAGE) if is_taken else (429, b"{}")
        return web.Response(status=status, body=body, headers=headers, content_type="application/json")


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[str]:
    """The server on loopback; gives its address."""
    app = web.Application()
    app.router.add_get("/v1/calls", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def seconds_of(server: Server, requests: int) -> float:
    """How long a client takes for so many requests, all wanted at once, from the turn of a second on."""
    async with serving(server) as url, AsyncCallsClient("kros_test_benchmark", base_url=url) as client:
        await asyncio.sleep(1 - time.time() % 1)
        begin = time.perf_counter()
        await asyncio.gather(*(client.list_calls(limit=1, offset=number) for number in range(requests)))
        return time.perf_counter() - begin


async def measure(requests: int, limit: int) -> None:
    """Measure and print."""
    ideal = requests / limit
    print(f"{requests} requests, {limit} a second in fixed windows: {ideal:.2f} s would be ideal\n")
    print("headers   latency   border   seconds   x ideal   refusals")
    for tells in (True, False):
        worst_ratio, most_refusals = 0.0, 0
        for latency in (0.0, 0.02, 0.1):
            for border in (0.0, 0.25, 0.5, 0.75, 0.95):
                server = Server(limit, latency, border, tells=tells)
                seconds = await seconds_of(server, requests)
                ratio = seconds / ideal
                worst_ratio = max(worst_ratio, ratio)
                most_refusals = max(most_refusals, server.refusals)
                told = "told" if tells else "none"
                where = f"{told:<7} {latency * 1000:6.0f} ms {border:8.2f}"
                print(f"{where} {seconds:9.2f} {ratio:9.2f} {server.refusals:10}")
        print(f"worst: {worst_ratio:.2f} x ideal, {most_refusals} refusals\n")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=160)
    parser.add_argument("--limit", type=int, default=40)
    options = parser.parse_args()
    asyncio.run(measure(options.requests, options.limit))


if __name__ == "__main__":
    main()
