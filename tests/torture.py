"""The torture of downloads: a process that is killed again and again, and a storage that lies to it all the while.

The tests run twenty seeds of it. For more:

    python tests/torture.py --seeds 500
    python tests/torture.py --seeds 1 --first 17             that one again
    python tests/torture.py --seeds 100 --at-once 2          two processes on the same files
    python tests/torture.py --seeds 20 --way "plain loop"    the negative control, which has to be caught

A seed says what the server does, request by request, and when the process is killed; the machine's clock has its
part in both, so that a seed is not always the same story. The command ends with 1 where a file was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from torture_child import Job, Said, Way
from torture_lanes import Lane, Moment
from torture_recordings import Recording, story, versions_in
from torture_server import LyingServer

FRAMES = (130, 1000)  # 50 to 380 kB
COPIES = 8  # of each recording, so that there is work until the kill


@dataclass
class Outcome:
    """What a seed came to.

    Attributes:
        problems: What must not be; empty where all is well.
        mixed: Whether a file held the bytes of two versions.
        kills: How often the process was killed while it was at work.
        sent: Bytes of recordings that the server sent.
        resumed: Answers that went on from within a recording.
        needed: Bytes that the files hold in the end.
    """

    seed: int
    problems: list[str] = field(default_factory=list)
    mixed: bool = False
    kills: int = 0
    sent: int = 0
    resumed: int = 0
    needed: int = 0

    def __str__(self) -> str:
        """One line, and one more for each problem."""
        ratio = self.sent / max(1, self.needed)
        figures = f"{self.kills} kills, {self.resumed} resumed, {ratio:.1f} times the bytes"
        return "\n    ".join([f"seed {self.seed}: {figures}", *self.problems])


async def torture(seed: int, lanes: Sequence[Lane], folder: Path, *, way: Way = "client") -> Outcome:
    """Download some recordings with a process in each lane, killed at random; then once more, undisturbed."""
    random = Random(f"torture {seed}")
    recordings = made_recordings(seed, random.randint(2, 4))
    targets = [f"{copy}/{recording.name}.mp3" for copy in range(COPIES) for recording in recordings]
    outcome = Outcome(seed)
    async with LyingServer(recordings) as server:
        for _ in range(random.randint(5, 8)):
            wanted = [target for target in targets if random.random() < 0.2 or not (folder / target).exists()]
            job = new_job(
                server,
                folder,
                wanted,
                way=way,
                passes=100,
                by_call=random.random() < 0.3,
                past_aiohttp=random.random() < 0.5,
            )
            moments = [Moment.drawn(random) for _ in lanes]
            await asyncio.gather(
                *(_kill(*each, job, server, outcome) for each in zip(lanes, moments, strict=True))
            )
        server.kind = True
        job = new_job(server, folder, targets, way=way, passes=1 if way == "client" else 5)
        ending = await lanes[0].run(job, server)
        look(folder, server, outcome, "in the end")
        if way == "client":
            outcome.problems += what_is_wrong(folder, targets, ending.said)
        outcome.sent, outcome.resumed = server.sent, server.resumed
        outcome.needed = _size_of(folder)
    return outcome


def made_recordings(
    seed: int, count: int, *, frames: tuple[int, int] = FRAMES, habit: str | None = None
) -> list[Recording]:
    """The recordings of a seed, each with a random generator of its own."""
    return [
        Recording(f"call_{number}", Random(f"{seed} {number}"), frames=frames, habit=habit)
        for number in range(1, count + 1)
    ]


def new_job(
    server: LyingServer,
    folder: Path,
    targets: list[str],
    *,
    way: Way = "client",
    passes: int,
    by_call: bool = False,
    past_aiohttp: bool = False,
) -> Job:
    """A job for a child."""
    return Job(
        url=server.url,
        folder=str(folder),
        targets=targets,
        by_call=by_call,
        past_aiohttp=past_aiohttp,
        passes=passes,
        dies_at=None,
        way=way,
    )


async def _kill(lane: Lane, moment: Moment, job: Job, server: LyingServer, outcome: Outcome) -> None:
    if outcome.problems:
        return  # what comes after a broken file is no news
    ending = await lane.run({**job, "dies_at": moment.step}, server, moment)
    outcome.kills += ending.was_killed
    if ending.code != 0 and not ending.was_killed:
        outcome.problems.append(f"the process ended with {ending.code}: {ending.text}")
    look(Path(job["folder"]), server, outcome, f"after kill {outcome.kills}")


def look(folder: Path, server: LyingServer, outcome: Outcome, when: str) -> None:
    """Note every file under a final name that is not, byte for byte, a version that was published."""
    for path in sorted(folder.rglob("*.mp3")):
        data = path.read_bytes()
        if all(data != version.body for version in server.recordings[path.stem].versions):
            outcome.mixed = outcome.mixed or len(versions_in(data)) > 1
            lines = [f"{when} {path.relative_to(folder)} is broken, {story(data)}; what was asked and told:"]
            outcome.problems.append("\n        ".join([*lines, *server.journal[path.stem]]))


def what_is_wrong(folder: Path, targets: Sequence[str], said: Said) -> list[str]:
    """What the last run, with nothing in its way, did not put right."""
    wrong = [f"the last run failed for {target}: {error}" for target, error in said["failed"].items()]
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    for target in targets:
        if target not in found or said["saved"].get(target) != _sha256(found[target]):
            wrong += [f"{target} is not what the last run says that it saved"]
    return wrong + [f"left behind: {name}" for name in sorted(found.keys() - set(targets))]


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.mp3"))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def torture_all(
    seeds: Iterable[int],
    folder: Path,
    *,
    way: Way = "client",
    at_once: int = 1,
    side_by_side: int = 6,
    tell: Callable[[Outcome], object] = lambda outcome: None,
    is_enough: Callable[[Outcome], bool] = lambda outcome: False,
) -> list[Outcome]:
    """The outcomes of many seeds, some of them under way side by side.

    Args:
        seeds: Which.
        folder: Where they may work; they leave nothing there.
        way: How the child downloads.
        at_once: Processes at work on the same files.
        side_by_side: Seeds under way at once.
        tell: Is told each outcome as it comes.
        is_enough: Whether no other seed need begin after an outcome.
    """
    waiting, outcomes = iter(seeds), list[Outcome]()

    async def work() -> None:
        async with AsyncExitStack() as stack:
            lanes = [await stack.enter_async_context(Lane.opened()) for _ in range(at_once)]
            for seed in waiting:
                if any(map(is_enough, outcomes)):
                    return
                with tempfile.TemporaryDirectory(dir=folder) as own:
                    outcomes.append(await torture(seed, lanes, Path(own), way=way))
                tell(outcomes[-1])

    async with asyncio.TaskGroup() as group:
        for _ in range(side_by_side):
            group.create_task(work())
    return outcomes


def main() -> int:
    """Run the seeds that the command names, and tell of each."""
    parser = argparse.ArgumentParser(description="Torture downloads: kills, and a storage that lies.")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--at-once", type=int, default=1, help="processes at work on the same files")
    parser.add_argument("--side-by-side", type=int, default=6, help="seeds under way at once")
    parser.add_argument(
        "--way", choices=["client", "plain loop"], default="client", help="how files are downloaded"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = asyncio.run(
            torture_all(
                range(chosen.first, chosen.first + chosen.seeds),
                Path(folder),
                way=chosen.way,
                at_once=chosen.at_once,
                side_by_side=chosen.side_by_side,
                tell=lambda outcome: sys.stdout.write(f"{outcome}\n"),
            )
        )
    sys.stdout.write(f"{summary(outcomes)}\n")
    return int(any(outcome.problems for outcome in outcomes))


def summary(outcomes: Sequence[Outcome]) -> str:
    """All of them in a line."""
    wrong = [outcome.seed for outcome in outcomes if outcome.problems]
    kills, resumed = sum(each.kills for each in outcomes), sum(each.resumed for each in outcomes)
    ratio = sum(each.sent for each in outcomes) / max(1, sum(each.needed for each in outcomes))
    figures = f"{kills} kills, {resumed} resumed, {ratio:.1f} times the bytes"
    return f"{len(outcomes)} seeds, {figures}; seeds with problems: {wrong or 'none'}"


if __name__ == "__main__":
    sys.exit(main())
