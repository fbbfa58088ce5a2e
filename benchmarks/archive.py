"""What an archive costs: beside what one would write instead, at scale, and in the catalogue alone.

Side by side: the API takes 50 ms for an answer and 50 requests a second (the plan Pro). Then a run with nothing
new. At scale: a long history of small recordings. The catalogue: rows without recordings, full-text index and all.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MB = 1e6
PARTS = str(Path(__file__).with_name("archive_parts.py"))
ARCHIVISTS = ("requests", "requests, rows", "curl + aria2", "krosai")
LATENCY_SECONDS = 0.05
DAYS_OF_RETENTION = 90


class Service:
    """A sandbox in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout
        told = json.loads(self._output.readline())
        self.url, self.key = told["url"], told["key"]

    def asked(self, *, reset: bool = False) -> Any:
        """What it was asked."""
        self._input.write("reset\n" if reset else "tell\n")
        self._input.flush()
        return json.loads(self._output.readline())


@contextmanager
def serving(**options: Any) -> Iterator[Service]:
    """Run one."""
    command = [sys.executable, PARTS, "serve", json.dumps(options)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Service(process)


def spacing(calls: int) -> float:
    """Hours between calls, so that none is past its retention."""
    return max(0.001, DAYS_OF_RETENTION * 24 * 0.95 / calls)


def run(archivist: str, service: Service, folder: Path) -> dict[str, Any]:
    """Let one archive once."""
    service.asked(reset=True)
    command = [sys.executable, PARTS, archivist, service.url, service.key, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
    if done.returncode:
        sys.exit(f"{archivist} failed; see above")
    return {**json.loads(done.stdout), **service.asked()}


def side_by_side(calls: int, place: Path) -> None:
    """Print the table of all of them, and of a second run of each."""
    print(f"{calls:,} calls, {LATENCY_SECONDS * 1000:.0f} ms for an API answer, 50 API requests a second\n")
    print(f"{'':<16}{'seconds':>9}{'x krosai':>10}{'CPU s':>8}{'requests':>10}{'refused':>9}{'recordings':>12}")
    options = {"plan": "pro", "latency_seconds": LATENCY_SECONDS, "max_recording_seconds": 30}
    with serving(calls=calls, seed=7, hours_between_calls=spacing(calls), **options) as service:
        run("krosai", service, place / "warm")  # the sandbox makes its sounds once
        rounds = [
            {name: run(name, service, place / name) for name in ARCHIVISTS},
            {name: run(name, service, place / name) for name in ARCHIVISTS},
        ]
    for title, took in zip(("the first run", "nothing new"), rounds, strict=True):
        print(title)
        for name, one in took.items():
            ratio = one["wall"] / took["krosai"]["wall"]
            print(
                f"  {name:<14}{one['wall']:>9.2f}{ratio:>10.1f}{one['cpu']:>8.2f}{one['requests']:>10,}"
                f"{one['refusals']:>9,}{one['recordings']:>12,}"
            )
    print()


def at_scale(calls: int, place: Path) -> None:
    """Print what a long history takes, and a second run."""
    options = {"calls": calls, "seed": 8, "hours_between_calls": spacing(calls), "max_recording_seconds": 4}
    with serving(**options) as service:
        print(f"a history of {calls:,} calls with small recordings, no latency")
        for title in ("the first run", "nothing new"):
            took = run("krosai", service, place / "scale")
            print(
                f"  {title:<14}{took['wall']:>8.1f} s, {calls / took['wall']:,.0f} calls/s,"
                f" {took['recordings']:,} recordings, {took['requests']:,} API requests,"
                f" {(took['memory'] or 0) / MB:.0f} MB over the import"
            )
    print()


def catalogue(rows: int, place: Path) -> None:
    """Print what rows alone take."""
    folder = place / "rows"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, PARTS, "catalogue", str(rows), str(folder)], stdout=subprocess.PIPE, check=True, text=True
    )
    told = json.loads(done.stdout)
    print(f"a catalogue of {rows:,} calls with transcripts of 1,000 characters, without recordings")
    for title, took in (("the first run", told["first"]), ("nothing new", told["again"])):
        print(
            f"  {title:<14}{took['wall']:>8.2f} s, {took['rows'] / took['wall']:,.0f} rows/s,"
            f" {took['requests']:,} pages, {(took['memory'] or 0) / MB:.0f} MB more memory"
        )
    print(f"  {told['bytes'] / rows:,.0f} bytes a row\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2_000, help="side by side; 0 to leave it out")
    parser.add_argument("--scale", type=int, default=5_000, help="the long history; the issue's is 100000")
    parser.add_argument("--rows", type=int, default=50_000, help="the catalogue alone; the issue's is 1000000")
    options = parser.parse_args(arguments)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    place = Path(tempfile.mkdtemp(prefix="archive-"))
    try:
        if options.calls:
            side_by_side(options.calls, place)
        if options.scale:
            at_scale(options.scale, place)
        if options.rows:
            catalogue(options.rows, place)
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
