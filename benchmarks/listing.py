"""How fast a long history is listed: the client beside httpx and requests, under several latencies of the server.

The aim: with 16 requests at once, over 600 pages or more, at least 0.85 of the ideal at 20 ms and 0.92 at 100 ms.
"""

from __future__ import annotations

import argparse
import http.client
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from listing_clients import FLOOR, PAGE_SIZE

# The least fraction of the ideal, by lister, window and milliseconds.
AIMS = {("iter_pages", 16, 20.0): 0.85, ("iter_pages", 16, 100.0): 0.92}
# Smaller windows list less under latency, in proportion: every contestant then waits about as long as this one.
WINDOW_OF_ALL_PAGES = 16
FEWEST_PAGES = 30
BASE = "requests"
QUICK = {"pages": 64, "rounds": 1, "latency": [0.0, 20.0], "windows": [1, 16]}


@dataclass(frozen=True)
class Contestant:
    """Who lists, and how many requests are under way at once.

    Attributes:
        lister: Its name for ``listing_clients.py``.
        window: Requests at once.
    """

    lister: str
    window: int = 1

    @property
    def label(self) -> str:
        """How the table calls it."""
        patterns = {"httpx at once": "httpx-{}", "iter_pages": "krosai-{}", "iter_calls": "krosai-{} iter_calls"}
        return patterns.get(self.lister, self.lister).format(self.window)

    def pages(self, most: int, latency: float) -> int:
        """How many pages it lists, so that small windows do not wait for minutes."""
        if not latency or self.lister == FLOOR:
            return most
        return min(most, max(FEWEST_PAGES, most * self.window // WINDOW_OF_ALL_PAGES))


@dataclass(frozen=True)
class Run:
    """What one run took.

    Attributes:
        pages: Full pages of calls that it gave.
        wall: Seconds.
        cpu: Seconds of CPU of the client's process.
        queued: Seconds for which it could have run, and other work had the cores; None where nobody can tell.
        requests: Pages that it asked for.
        server_cpu: Seconds of CPU of the server's process.
    """

    pages: int
    wall: float
    cpu: float
    queued: float | None
    requests: int
    server_cpu: float

    @property
    def pages_per_second(self) -> float:
        """Useful pages; a row that two pages share counts once."""
        return self.pages / self.wall


def contestants(windows: list[int]) -> list[Contestant]:
    """Everybody, in the order of the table."""
    at_once = [window for window in windows if window > 1]
    return [
        Contestant(FLOOR),
        Contestant(BASE),
        Contestant("httpx"),
        *(Contestant("httpx at once", window) for window in at_once),
        *(Contestant("iter_pages", window) for window in windows),
        *(Contestant("iter_calls", window) for window in windows if window == WINDOW_OF_ALL_PAGES),
    ]


@contextmanager
def serving(calls: int) -> Iterator[str]:
    """The server in a process of its own; gives its address."""
    command = [sys.executable, str(Path(__file__).with_name("listing_server.py")), "--calls", str(calls)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        # Leaving the block closes its input, which ends it.


def usage(server: str) -> tuple[int, float]:
    """How many pages the server has given so far, and the seconds of CPU it has used."""
    with urllib.request.urlopen(f"{server}/usage") as answer:
        told = json.load(answer)
    return told["pages"], told["cpu_seconds"]


def run(contestant: Contestant, server: str, pages: int, latency: float) -> Run:
    """Let a contestant list once."""
    wait = 0.0 if contestant.lister == FLOOR else latency  # the floor's pages are fetched before it is timed
    calls = pages * PAGE_SIZE
    what = [contestant.lister, str(contestant.window), f"{server}/{wait:g}/{calls}/v1", str(calls)]
    requests, server_cpu = usage(server)
    script = str(Path(__file__).with_name("listing_clients.py"))
    child = subprocess.run([sys.executable, script, *what], stdout=subprocess.PIPE, check=False)
    if child.returncode:
        sys.exit(f"{contestant.label} failed at {latency:g} ms; see above")
    requests_now, server_cpu_now = usage(server)
    taken = json.loads(child.stdout)
    return Run(pages, requests=requests_now - requests, server_cpu=server_cpu_now - server_cpu, **taken)


def measured_latency(server: str, latency: float) -> float:
    """Milliseconds that a page of one call takes on a bare connection: how true the latency is."""
    taken = []
    with closing(http.client.HTTPConnection(server.removeprefix("http://"))) as connection:
        for _ in range(21):
            begin = time.perf_counter()
            connection.request("GET", f"/{latency:g}/100/v1/calls?limit=1")
            connection.getresponse().read()
            taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1000


COLUMNS = {
    "calls/s": "{:,.0f}",
    "x requests": "{:.1f}",
    "of ideal": "{:.2f}",
    "CPU": "{:.0f}%",
    "queued": "{:.0f}%",
    "us CPU/page": "{:.0f}",
    "x floor": "{:.1f}",
    "asked/page": "{:.2f}",
    "us server/page": "{:.0f}",
}


def figures(contestant: Contestant, runs: dict[Contestant, Run], latency: float) -> list[float | None]:
    """One round's figures of a contestant, in the order of COLUMNS; ratios are to others of the same round."""
    took, base, floor = runs[contestant], runs[Contestant(BASE)], runs[Contestant(FLOOR)]
    cpu = took.cpu / took.pages * 1e6
    queued = None if took.queued is None else took.queued / took.wall * 100
    if contestant.lister == FLOOR:
        return [None, None, None, None, queued, cpu, 1.0, None, None]
    ideal = contestant.window / (latency / 1000) if latency else None
    return [
        took.pages_per_second * PAGE_SIZE,
        took.pages_per_second / base.pages_per_second,
        ideal and took.pages_per_second / ideal,
        took.cpu / took.wall * 100,
        queued,
        cpu,
        cpu / (floor.cpu / floor.pages * 1e6),
        took.requests / took.pages,
        took.server_cpu / took.pages * 1e6,
    ]


def report(rounds: list[dict[Contestant, Run]], latency: float) -> None:
    """Print the medians, and how they stand to the aims."""
    print(f"{'':<20}" + "".join(f"{name:>{len(name) + 3}}" for name in COLUMNS))
    verdicts = []
    for contestant, took in rounds[0].items():
        row = f"{contestant.label:<20}"
        each_round = [figures(contestant, runs, latency) for runs in rounds]
        for name, values in zip(COLUMNS, zip(*each_round, strict=True), strict=True):
            known = [value for value in values if value is not None]
            row += f"{COLUMNS[name].format(statistics.median(known)) if known else '-':>{len(name) + 3}}"
            aim = AIMS.get((contestant.lister, contestant.window, latency))
            if name == "of ideal" and aim:
                reached = f"{statistics.median(known):.3f} of the ideal"
                verdicts.append(f"\n{contestant.label}: {reached} over {took.pages} pages; the aim is {aim}")
        print(row)
    print(*verdicts, "", sep="\n")


def measure(options: argparse.Namespace) -> None:
    """Measure and print."""
    everybody = contestants(options.windows)
    with serving(options.pages * PAGE_SIZE) as server:
        for latency in options.latency:
            true = measured_latency(server, latency)
            print(f"{latency:g} ms of latency ({true:.1f} ms on a bare connection), median of {options.rounds}\n")
            rounds: list[dict[Contestant, Run]] = []
            for _ in range(options.rounds + 1):
                runs = {}
                for contestant in random.sample(everybody, len(everybody)):
                    runs[contestant] = run(contestant, server, contestant.pages(options.pages, latency), latency)
                rounds.append({contestant: runs[contestant] for contestant in everybody})
            report(rounds[1:], latency)  # the first round warms caches


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=600, help="pages of 100 calls; small windows list fewer")
    parser.add_argument("--rounds", type=int, default=3, help="besides the first, which is thrown away")
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 20.0, 100.0], help="milliseconds")
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 4, 16, 32], help="requests at once")
    parser.add_argument("--quick", action="store_true", help="see that it works; its figures are worth little")
    options = parser.parse_args()
    if options.quick:
        parser.set_defaults(**QUICK)
        options = parser.parse_args()
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # the server is on loopback; nobody shall go round by a proxy, or spend time on it
    missing = [name for name in ("httpx", "requests", "orjson") if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; the contestants come with: pip install -e '.[bench]'")
    measure(options)


if __name__ == "__main__":
    main()
