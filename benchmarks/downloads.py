"""How fast recordings come from nginx over TLS 1.3, 16 at once: the client beside curl, aria2, httpx and requests.

The aim, for recordings of 2.16 MB and with every check on: at least 0.75 of curl's throughput, at most 1.9 of its
CPU, at least 2.5 times httpx, and a loop lag (p99) below 25 ms; whatever the size, at most 25 MB of memory.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import random
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import TypeAlias

from download_clients import AT_ONCE, CLIENTS, Order, Task, cores_seconds
from download_server import NGINX, SIZES, Server, Size, make_recordings, serving

MB = 1e6
BASE, OURS, FLOOR = "curl", "krosai", "aiohttp"
LIBRARIES = ("aiohttp", "httpx", "requests")
PROGRAMS = {"curl": "curl", "aria2": "aria2c"}
LABELS = {
    "curl": "curl --parallel",
    "aria2": "aria2",
    "aiohttp": "aiohttp, nothing checked",
    "krosai": "krosai, all checks",
    "httpx": "httpx",
    "requests": f"requests, {AT_ONCE} threads",
}
SHARED_MEMORY = Path("/dev/shm")
AIMED_SIZE = "2.16MB"
QUICK = {"rounds": 1, "share": 0.1}
LONGEST_RUN_SECONDS = 300.0
SAMPLE = 8
HASHED = 50


@dataclass(frozen=True)
class Run:
    """What one run took.

    Attributes:
        wall: Seconds.
        cpu: Seconds of CPU.
        queued: Seconds for which it could have run, and other work had the cores; None where nobody can tell.
        server_cpu: Seconds of CPU of the server; None where nobody can tell.
        memory: Bytes over what imports take; None for programs.
        lags: Seconds by which each beat of the event loop came late; empty where there is none.
    """

    wall: float
    cpu: float
    queued: float | None
    server_cpu: float | None
    memory: int | None = None
    lags: Sequence[float] = ()

    @property
    def speed(self) -> float:
        """Runs in a second."""
        return 1 / self.wall


Rounds: TypeAlias = list[dict[str, Run]]


def command_of(contestant: str, order: Order, folder: Path) -> list[str]:
    """How a contestant is started; what it shall download is put down in a file."""
    written = folder / f"order-for-{contestant}"
    match contestant:
        case "curl":
            written.write_text("".join(f'url = "{task.url}"\noutput = "{task.path}"\n' for task in order.tasks))
            at_once = ["--parallel", "--parallel-immediate", "--parallel-max", str(AT_ONCE)]
            others = ["-q", "--no-progress-meter", "--fail", "--cacert", order.certificate]
            return ["curl", *others, *at_once, "-K", str(written)]
        case "aria2":
            written.write_text("".join(f"{task.url}\n  out={Path(task.path).name}\n" for task in order.tasks))
            target = str(Path(order.tasks[0].path).parent)
            at_once = [f"-j{AT_ONCE}", "-x1", "-s1", "--file-allocation=none"]
            trust = f"--ca-certificate={order.certificate}"
            return ["aria2c", "--no-conf", "-q", trust, *at_once, "-d", target, "-i", str(written)]
        case _:
            order.write(written)
            script = str(Path(__file__).with_name("download_clients.py"))
            return [sys.executable, script, contestant, str(written)]


def run_program(command: list[str], name: str) -> tuple[Run, str]:
    """Run a program to its end; gives what the whole of its process took, and what it printed."""
    with tempfile.TemporaryFile("w+") as printed:
        begin = time.perf_counter()
        program = subprocess.Popen(command, stdout=printed)
        guard = threading.Timer(LONGEST_RUN_SECONDS, program.kill)
        guard.start()
        # It is looked at while it has ended and is not yet forgotten: then the system still tells of it.
        os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
        wall = time.perf_counter() - begin
        guard.cancel()
        cores = cores_seconds(program.pid)
        _, status, usage = os.wait4(program.pid, 0)
        program.returncode = os.waitstatus_to_exitcode(status)
        if program.returncode:
            sys.exit(f"{name} failed ({program.returncode}); see above")
        printed.seek(0)
        taken = Run(wall, usage.ru_utime + usage.ru_stime, cores[1] if cores else None, server_cpu=None)
        return taken, printed.read()


def check_files(contestant: str, order: Order, file_bytes: int, sample: int) -> None:
    """Make sure that everything came and nothing else, and look into so many of the files."""
    target = Path(order.tasks[0].path).parent
    sizes = {str(path): path.stat().st_size for path in target.iterdir()}
    if sizes != {task.path: file_bytes for task in order.tasks}:
        sys.exit(f"{contestant}: {len(sizes)} files of {sorted(set(sizes.values()))} bytes came")
    for task in random.sample(order.tasks, min(sample, len(order.tasks))):
        if hashlib.sha256(Path(task.path).read_bytes()).hexdigest() != task.sha256:
            sys.exit(f"{contestant}: {task.path} holds something else")


def run(contestant: str, order: Order, server: Server, folder: Path) -> Run:
    """Let a contestant download everything once, into a new folder."""
    target = Path(order.tasks[0].path).parent
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    os.sync()  # on a disk, one contestant's bytes are not to be written during another's turn
    server_cpu = server.cpu_seconds()
    taken, printed = run_program(command_of(contestant, order, folder), name=LABELS[contestant])
    server_cpu_now = server.cpu_seconds()
    if server_cpu is not None and server_cpu_now is not None:
        taken = replace(taken, server_cpu=server_cpu_now - server_cpu)
    # A client in Python has measured itself, without imports.
    return replace(taken, **json.loads(printed)) if contestant in CLIENTS else taken


COLUMNS = {
    "MB/s": "{:.0f}",
    "x curl": "{:.2f}",
    "files/s": "{:,.0f}",
    "CPU s/GB": "{:.2f}",
    "x curl's CPU": "{:.2f}",
    "queued": "{:.0f}%",
    "server s/GB": "{:.2f}",
    "MB over import": "{:.0f}",
}


def figures(took: Run, base: Run, size: Size) -> list[float | None]:
    """One round's figures of a contestant, in the order of COLUMNS; ratios are to curl in the same round."""
    gigabytes = size.all_bytes / 1e9
    return [
        size.all_bytes / MB / took.wall,
        base.wall / took.wall,
        size.count / took.wall,
        took.cpu / gigabytes,
        took.cpu / base.cpu,
        None if took.queued is None else took.queued / took.wall * 100,
        None if took.server_cpu is None else took.server_cpu / gigabytes,
        None if took.memory is None else took.memory / MB,
    ]


def cell(name: str, text: str) -> str:
    """A text in its column."""
    return f"{text:>{len(name) + 3}}"


def lag_percentile(rounds: Rounds, contestant: str) -> float | None:
    """The 99th percentile of the loop's lag over all rounds, in milliseconds; None where there is no loop."""
    lags = [lag * 1000 for runs in rounds for lag in runs[contestant].lags]
    return statistics.quantiles(lags, n=100, method="inclusive")[98] if len(lags) > 1 else None


def report(rounds: Rounds, size: Size) -> None:
    """Print the medians; of the loop's lag, what all rounds together had."""
    lag_columns = ("lag p99 ms", "lag max ms")
    print(f"{'':<24}" + "".join(cell(name, name) for name in (*COLUMNS, *lag_columns)))
    for contestant in LABELS:
        if contestant not in rounds[0]:
            continue
        row = f"{LABELS[contestant]:<24}"
        each_round = [figures(runs[contestant], runs[BASE], size) for runs in rounds]
        for name, values in zip(COLUMNS, zip(*each_round, strict=True), strict=True):
            known = [value for value in values if value is not None]
            row += cell(name, COLUMNS[name].format(statistics.median(known)) if known else "-")
        lag = lag_percentile(rounds, contestant)
        longest = max((lag for runs in rounds for lag in runs[contestant].lags), default=0.0) * 1000
        for name, value in zip(lag_columns, (lag, longest), strict=True):
            row += cell(name, "-" if lag is None else f"{value:.1f}")
        print(row)
    print()


def hashing_seconds(size: Size) -> float:
    """How long one core hashes what is downloaded, and does nothing else."""
    content = os.urandom(size.file_bytes)
    taken = []
    for _ in range(HASHED):
        begin = time.perf_counter()
        hashlib.sha256(content).digest()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * size.count


def verdicts(rounds: Rounds, size: Size, *, is_aimed: bool) -> Iterator[str]:
    """How the client stands to the aims, and what its checks cost."""
    if OURS not in rounds[0]:
        return

    def ratio(other: str, figure: Callable[[Run], float]) -> float:
        return statistics.median(figure(runs[OURS]) / figure(runs[other]) for runs in rounds)

    speed, cpu = attrgetter("speed"), attrgetter("cpu")
    yield f"{ratio(BASE, speed):.2f} of curl's throughput" + "; the aim is at least 0.75" * is_aimed
    yield f"{ratio(BASE, cpu):.2f} of curl's CPU" + "; the aim is at most 1.9" * is_aimed
    if "httpx" in rounds[0]:
        yield f"{ratio('httpx', speed):.1f} times httpx" + "; the aim is at least 2.5" * is_aimed
    known = [runs[OURS].memory for runs in rounds]
    memory = [taken / MB for taken in known if taken is not None]
    if memory:
        yield f"{max(memory):.0f} MB over the import at most; the aim is at most 25"
    lag = lag_percentile(rounds, OURS)
    if lag is not None:
        yield f"{lag:.1f} ms of loop lag (p99)" + "; the aim is below 25" * is_aimed
    hashing = hashing_seconds(size) / statistics.median(runs[BASE].wall for runs in rounds)
    bound = f"who does that on the core that downloads has {1 / (1 + hashing):.2f} of its throughput at best"
    yield f"SHA-256 alone takes {hashing:.2f} of curl's time; {bound}"
    if FLOOR in rounds[0]:
        cost = f"{ratio(FLOOR, speed):.2f} of the throughput and {ratio(FLOOR, cpu):.2f} of the CPU"
        yield f"{cost} of {LABELS[FLOOR]}"


def measure(name: str, folder: Path, options: argparse.Namespace) -> None:
    """Measure one size of recordings, and print."""
    size = SIZES[name].part(options.share)
    with serving(folder) as server:
        digests = make_recordings(folder / "www", size)
        tasks = [
            Task(f"{server.url}/{file}", str(folder / "came" / file), size.seconds, digest)
            for file, digest in digests.items()
        ]
        order = Order(str(server.certificate), server.url, tasks)
        where = "tmpfs" if folder.is_relative_to(SHARED_MEMORY) else "a disk"
        print(f"{size.count} recordings of {size.file_bytes:,} bytes to {where}, median of {options.rounds}\n")
        rounds: Rounds = []
        for number in range(options.rounds + 1):
            runs = {}
            for contestant in random.sample(options.contestants, len(options.contestants)):
                runs[contestant] = run(contestant, order, server, folder)
                check_files(contestant, order, size.file_bytes, sample=SAMPLE if number else size.count)
            rounds.append(runs)
    report(rounds[1:], size)  # the first round warms caches and memory
    print(
        *(f"{LABELS[OURS]}: {verdict}" for verdict in verdicts(rounds[1:], size, is_aimed=name == AIMED_SIZE)),
        "",
        sep="\n",
    )


def place_for(size: Size) -> Path:
    """Where there is room for what is served and what comes: memory, or else the folder for what is temporary."""
    needed = 2.2 * size.all_bytes
    for place in (SHARED_MEMORY, Path(tempfile.gettempdir())):
        if place.is_dir() and shutil.disk_usage(place).free > needed:
            return place
    sys.exit(f"{needed / 1e9:.1f} GB of room are needed, in {SHARED_MEMORY} or else where TMPDIR leads")


def versions(contestants: list[str]) -> str:
    """What takes part, in which version."""
    assert NGINX is not None
    told = [f"Python {platform.python_version()} with {ssl.OPENSSL_VERSION.rsplit(' ', 3)[0]}"]
    told += [f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES if name in contestants]
    programs = {name: [PROGRAMS[name], "--version"] for name in contestants if name in PROGRAMS}
    for name, command in {"nginx": [NGINX, "-v"], **programs}.items():
        printed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
        told += [f"{name} {number}" for number in re.findall(r"\d+\.[\d.]*\d", printed.stdout)[:1]]
    return ", ".join(told)


def missing(contestants: list[str]) -> Iterator[str]:
    """What has to be installed first."""
    programs = [PROGRAMS[name] for name in contestants if name in PROGRAMS]
    packages = {"aria2c": "aria2"}
    absent = [packages.get(name, name) for name in programs if shutil.which(name) is None]
    absent += [] if NGINX else ["nginx"]
    if absent:
        yield f"apt-get install {' '.join(absent)}"
    libraries = ["trustme", *(name for name in LIBRARIES if name in contestants)]
    if any(importlib.util.find_spec(name) is None for name in libraries):
        yield "pip install -e '.[bench]'"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="besides the first, which is thrown away")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["2.16MB", "64KB"])
    parser.add_argument("--contestants", nargs="+", choices=LABELS, default=list(LABELS), help="besides curl")
    parser.add_argument("--share", type=float, default=1.0, help="of the recordings; 0.1 for a tenth of them")
    parser.add_argument("--quick", action="store_true", help="see that it works; its figures are worth little")
    options = parser.parse_args()
    if options.quick:
        parser.set_defaults(**QUICK)
        options = parser.parse_args()
    options.contestants = list(dict.fromkeys([BASE, *options.contestants]))
    if to_do := list(missing(options.contestants)):
        sys.exit("something is missing; install it with:\n  " + "\n  ".join(to_do))
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # the server is on loopback; nobody shall go round by a proxy, or spend time on it
    print(f"{versions(options.contestants)}; {os.cpu_count()} cores, {AT_ONCE} at once\n")
    for name in options.sizes:
        place = place_for(SIZES[name].part(options.share))
        with tempfile.TemporaryDirectory(prefix="krosai-downloads-", dir=place) as folder:
            measure(name, Path(folder), options)


if __name__ == "__main__":
    main()
