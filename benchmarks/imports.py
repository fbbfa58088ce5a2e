"""What importing the package and asking for help cost, in fresh interpreters.

The aims: the client adds at most 80 ms to its libraries; ``--help`` takes at most 3.2 times a bare interpreter.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time

LIBRARIES = "import aiohttp, attrs, cattrs, yarl"
CONTESTANTS = {
    "bare python": ["-c", "pass"],
    "its libraries": ["-c", LIBRARIES],
    "libraries, then the client": ["-c", f"{LIBRARIES}; from krosai_calls import AsyncCallsClient, CallsClient"],
    "import krosai_calls": ["-c", "import krosai_calls"],
    "krosai-calls --help": ["-m", "krosai_calls", "--help"],
}


def seconds_of(arguments: list[str]) -> float:
    """How long an interpreter takes with these arguments."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    taken: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for number in range(rounds + 1):
        for name in random.sample(list(CONTESTANTS), len(CONTESTANTS)):
            seconds = seconds_of(CONTESTANTS[name])
            if number:  # the first round warms caches
                taken[name].append(seconds)
    medians = {name: statistics.median(values) * 1000 for name, values in taken.items()}
    for name, milliseconds in medians.items():
        print(f"{name:<28} {milliseconds:7.1f} ms   {milliseconds / medians['bare python']:5.2f} x bare python")
    added = medians["libraries, then the client"] - medians["its libraries"]
    print(f"\nthe client adds {added:.1f} ms to its libraries (median of {rounds})")


if __name__ == "__main__":
    main()
