"""The torture of the archive: runs that are killed or cut short, against a service that fails and changes.

The tests run a few seeds of it. For more:

    python tests/archive_torture.py --seeds 200
    python tests/archive_torture.py --seeds 1 --first 17     that one again
    python tests/archive_torture.py --kills --seeds 20       a process, killed ten times

In the end an archive has to hold what one holds that was made in one undisturbed run; the command ends with 1
where it does not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from archive_folder import check_catalog, contents_of, files_in
from archive_world import (
    DAY,
    HOUR,
    MINUTE,
    ArchiveWorld,
    kind_of,
    last_ended_first,
    newest_first,
    oldest_first,
    serving,
)
from cli_process import PROGRAM, environment
from raw_server import Answer, Request, answer

from krosai_calls import AsyncCallsClient, KrosaiError

ODD_IDS = ["../x", "A", "a", "con", "é", "\ud83d", "call\n1", "x" * 200, "'); DROP TABLE calls; --"]
KILLS = 10


@dataclass
class Story:
    """What became of a seed.

    Attributes:
        problems: What must not be; empty where all is well.
        runs: How many runs were made, and how they ended.
        ratio: Bytes that storage sent, in terms of those that were needed.
        requests: API requests in all.
    """

    seed: int
    problems: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    ratio: float = 0.0
    requests: int = 0

    def __str__(self) -> str:
        """One line, and one more for each problem."""
        figures = f"{len(self.runs)} runs, {self.requests} requests, {self.ratio:.2f} times the bytes"
        return "\n    ".join([f"seed {self.seed}: {figures}", *self.problems])


# --- Runs that are cut short, in a world that changes -------------------------------------------------------


async def disturbed(seed: int, folder: Path) -> Story:
    """Runs that end at random, in a world that changes and fails; then one undisturbed, beside a fresh one."""
    random, story = Random(f"archive {seed}"), Story(seed)
    async with serving() as world:
        world.order = random.choice([newest_first, newest_first, oldest_first, last_ended_first])
        live = _history(world, random)
        for _ in range(random.randint(2, 6)):
            world.before = _faults(world, random)
            story.runs.append(await _cut_short(world, folder / "a", random))
            passed = random.choice([MINUTE, HOUR, 7 * HOUR])
            world.pass_time(passed)
            live = _change(world, random, live, passed)
        world.before, world.quota = lambda request: None, None
        world.storage_answers.clear()
        for call_id in live:
            world.end(call_id, recording_url=True, transcript=f"[Agent]: {len(call_id)} in the end")
        world.pass_time(2 * DAY)  # nothing more is to come
        story.requests = world.api_requests
        report = await world.archive(folder / "a")
        await world.archive(folder / "b")
        story.problems += [f"the last run failed for {failure}" for failure in report.failures]
        story.problems += _differences(folder / "a", folder / "b")
        world.forget()
        await world.archive(folder / "a")
        if world.asked != {"list": 1}:
            story.problems.append(f"with nothing new it asked for {dict(world.asked)}")
    return story


def _history(world: ArchiveWorld, random: Random) -> list[str]:
    """Some calls, of which some go on; gives the latter."""
    world.frames = 2
    live = []
    for number in range(random.choice([3, 60, 130])):
        call_id = f"call_{number}"
        if random.random() < 0.03:
            call_id = random.choice(ODD_IDS)
        age = (number * 10 + random.random() * 5) * MINUTE
        if random.random() < 0.1 and call_id not in world.rows:
            world.add_live(call_id, age=age)
            live.append(call_id)
        elif call_id not in live:
            late: dict[str, Any] = {"recording_url": None} if random.random() < 0.2 else {}
            world.add(
                call_id,
                age=age,
                transcript=random.choice([None, None, None, f"[Agent]: {number}", "\ud83d"]),
                **late,
            )
    return live


def _change(world: ArchiveWorld, random: Random, live: list[str], passed: timedelta) -> list[str]:
    """Calls come and end, recordings and transcripts appear and are corrected; gives the calls that go on."""
    left = []
    for call_id in live:
        if random.random() < 0.5:
            world.end(call_id)
        else:
            left.append(call_id)
    for number in range(random.choice([0, 1, 20, 60])):
        world.add(f"new_{len(world.rows)}_{number}", age=random.random() * passed, transcript=None)
    if random.random() < 0.5:
        call_id = f"live_{len(world.rows)}"
        world.add_live(call_id, age=random.random() * passed)
        left.append(call_id)
    for call_id, row in world.rows.items():
        may_appear = row["completed_at"] is not None and world.age_of_end(call_id) < DAY - 8 * HOUR
        if may_appear and row["recording_url"] is None and random.random() < 0.3:
            row["recording_url"] = True
            row["transcript"] = row["transcript"] or f"[Agent]: {len(call_id)} late"
    return left


def _faults(world: ArchiveWorld, random: Random) -> Callable[[Request], None]:
    """What goes wrong in a run; drawn from for each request."""
    often = random.choice([0.0, 0.05, 0.3])
    world.quota = random.choice([None, None, 0, 1, 2, 5])

    def before(request: Request) -> None:
        if kind_of(request) != "storage":
            return
        call_id = world.call_of(request)
        world.storage_answers.pop(call_id, None)
        if random.random() < often:
            world.storage_answers[call_id] = _fault(world, call_id, random)

    return before


def _fault(world: ArchiveWorld, call_id: str, random: Random) -> Answer:
    body = world.body_of(call_id)
    match random.randrange(4):
        case 0:
            return answer(random.choice([403, 500, 503]))
        case 1:
            return answer(200, b"<html>", content_type="text/html")
        case 2:
            return answer(200, body, [("ETag", '"x"')], cut=random.randrange(len(body)))
        case _:
            return Answer(then="reset")


async def _cut_short(world: ArchiveWorld, folder: Path, random: Random) -> str:
    """A run that may be cancelled, or have too few requests; gives how it ended."""
    settings = {"max_requests": random.choice([None, None, 1, 2, 4]), "max_concurrency": random.choice([1, 3, 8])}
    run = asyncio.ensure_future(world.archive(folder, workers=random.choice([1, 4]), settings=settings))
    if random.random() < 0.5:
        arrival = asyncio.ensure_future(world.server.received(len(world.server.requests) + random.randint(1, 150)))
        await asyncio.wait([run, arrival], return_when=asyncio.FIRST_COMPLETED)
        arrival.cancel()
        await asyncio.sleep(0)
        run.cancel()
    try:
        await run
    except (KrosaiError, asyncio.CancelledError) as early:
        return type(early).__name__
    return "done"


def _differences(folder: Path, other: Path) -> list[str]:
    """In what two archives differ."""
    check_catalog(folder)
    found = []
    ours, theirs = contents_of(folder), contents_of(other)
    for part, expected in theirs.items():
        if part == "files":
            names = {
                name for name in expected.keys() | ours[part].keys() if expected.get(name) != ours[part].get(name)
            }
            found += [f"the file {name} is another one, or missing, or too much" for name in sorted(names)]
        else:
            odd = set(map(repr, ours[part])) ^ set(map(repr, expected))
            found += [f"{part}: {row[:300]}" for row in sorted(odd)[:4]]
    return found


# --- A process that is killed -------------------------------------------------------------------------------


async def killed(seed: int, folder: Path, *, calls: int = 300) -> Story:
    """A process that is killed ten times while it is at work, and then is not."""
    random, story = Random(f"killed {seed}"), Story(seed)
    async with serving() as world, forking(world, folder / "a") as lane:
        world.frames = 20
        world.add_many(calls, age=3 * DAY, transcript=None)
        for number in range(0, calls, 10):
            world.rows[f"call_{number}"]["transcript"] = f"[Agent]: {number}"
        needed = sum(len(world.body_of(call_id)) for call_id in world.rows)
        for _ in range(KILLS):
            goal = len(world.server.requests) + random.randint(2, calls // KILLS)
            story.runs.append(await lane(world.server.received(goal)))
            story.problems += _broken(world, folder / "a")
        story.runs.append(await lane(None))
        story.ratio, story.requests = world.sent_bytes / needed, world.api_requests
        await world.archive(folder / "b")
        story.problems += _differences(folder / "a", folder / "b")
    return story


@asynccontextmanager
async def forking(
    world: ArchiveWorld, folder: Path
) -> AsyncIterator[Callable[[Coroutine[Any, Any, None] | None], Awaitable[str]]]:
    """A process that forks a child for each run: that costs a tenth of a new interpreter.

    Gives what makes a run, killed when something has come or left to its end, and tells its exit code.
    """
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--parent", f"{world.server.url}/v1", str(folder)),
        env=kept | {"PYTHONPATH": ":".join(filter(None, sys.path))},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    orders, news = parent.stdin, parent.stdout

    async def run(until: Coroutine[Any, Any, None] | None) -> str:
        orders.write(b"\n")
        child = int(await news.readline())
        end = asyncio.ensure_future(news.readline())
        if until is not None:
            moment = asyncio.ensure_future(until)
            await asyncio.wait([moment, end], return_when=asyncio.FIRST_COMPLETED)
            moment.cancel()
            await asyncio.wait([moment])
            if not end.done():
                os.kill(child, signal.SIGKILL)
        return (await end).decode().strip()

    try:
        yield run
    finally:
        orders.close()
        await news.read()
        await parent.wait()


async def run_program(world: ArchiveWorld, *words: str) -> asyncio.subprocess.Process:
    """The command line, on pipes."""
    return await asyncio.create_subprocess_exec(
        *PROGRAM,
        *words,
        env=environment("kros_test_x", f"{world.server.url}/v1"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


def _be_parent(url: str, folder: str) -> None:
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                asyncio.run(_be_child(url, folder))
                code = 0
            finally:
                os._exit(code)
        _say(child)
        ending = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        _say(-1 if ending is None else ending.si_status)
        os.waitpid(child, 0)  # only when its end is told: until then its number is its own


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _broken(world: ArchiveWorld, folder: Path) -> list[str]:
    """Files under a final name that are not whole."""
    truth = {world.body_of(call_id) for call_id in world.rows}
    files = files_in(folder) if folder.exists() else {}
    return [f"{name} is broken" for name, data in files.items() if name.endswith(".mp3") and data not in truth]


async def _be_child(url: str, folder: str) -> None:
    async with AsyncCallsClient("kros_test_child", base_url=url, max_concurrency=3) as client:
        await client.archive(folder)


def main() -> int:
    """Run the seeds that the command names, and tell of each."""
    parser = argparse.ArgumentParser(description="Torture the archive: runs that are killed or cut short.")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--kills", action="store_true", help="a process that is killed, instead of runs cut short")
    parser.add_argument("--parent", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.parent:
        _be_parent(*chosen.parent)
        return 0
    wrong = 0
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        with tempfile.TemporaryDirectory() as folder:
            story = asyncio.run((killed if chosen.kills else disturbed)(seed, Path(folder)))
        wrong += bool(story.problems)
        sys.stdout.write(f"{story}\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
