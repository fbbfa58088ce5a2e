"""J1, J14, F8: downloads killed or cancelled at random, from a storage that lies: no broken file, ever.

`python tests/torture.py --seeds 500` runs more seeds than these.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random

import mutagen
import pytest
import torture_lies
from torture import Outcome, look, made_recordings, new_job, summary, torture_all, what_is_wrong
from torture_child import Said, open_client, save
from torture_lanes import Lane, Moment, first_of
from torture_recordings import FRAME_BYTES, FRAME_SECONDS, Asked, Recording, mp3, story, versions_in
from torture_server import LyingServer

SEEDS = range(1, 21)

kills = pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks, and kills by SIGKILL: Linux and macOS")


def told(outcomes: Sequence[Outcome]) -> str:
    return "\n".join([summary(outcomes), *(str(outcome) for outcome in outcomes if outcome.problems)])


@kills
@pytest.mark.timeout(150)
async def test_j01_no_kill_and_no_lie_of_storage_leaves_a_broken_file(tmp_path: Path) -> None:
    outcomes = await torture_all(SEEDS, tmp_path)
    assert not any(outcome.problems for outcome in outcomes), told(outcomes)
    assert [outcome.seed for outcome in sorted(outcomes, key=lambda each: each.seed)] == list(SEEDS)
    assert sum(outcome.kills for outcome in outcomes) > len(SEEDS), told(outcomes)
    assert sum(outcome.resumed for outcome in outcomes) > len(SEEDS), told(outcomes)


@kills
@pytest.mark.timeout(150)
async def test_j14_two_processes_on_the_same_files_leave_no_broken_one(tmp_path: Path) -> None:
    outcomes = await torture_all(SEEDS[:6], tmp_path, at_once=2, side_by_side=3)
    assert not any(outcome.problems for outcome in outcomes), told(outcomes)


@kills
@pytest.mark.timeout(150)
async def test_a_plain_loop_that_appends_to_its_part_is_caught(tmp_path: Path) -> None:
    outcomes = await torture_all(
        SEEDS, tmp_path, way="plain loop", side_by_side=2, is_enough=lambda outcome: outcome.mixed
    )
    assert any(outcome.mixed for outcome in outcomes), told(outcomes)


@kills
async def test_what_was_there_at_a_kill_is_not_fetched_again(tmp_path: Path) -> None:
    recordings = made_recordings(1, 3, frames=(3000, 3000), habit="strong")
    needed = sum(len(recording.current.body) for recording in recordings)
    async with LyingServer(recordings, kind=True, slow=True) as server, Lane.opened() as lane:
        targets = [f"{recording.name}.mp3" for recording in recordings]
        job = new_job(server, tmp_path, targets, passes=1)
        for _ in range(4):
            ending = await lane.run(job, server, Moment(10.0, sent=needed // 5))
            assert ending.was_killed, ending
        server.slow = False
        ending = await lane.run(job, server)
    assert what_is_wrong(tmp_path, targets, ending.said) == []
    assert needed <= server.sent <= 1.3 * needed
    assert server.resumed >= 4


@pytest.mark.timeout(150)
@pytest.mark.parametrize(("seeds", "tasks"), [(20, 1), (8, 2)], ids=["one task a file", "two tasks a file"])
async def test_no_cancellation_and_no_lie_of_storage_leaves_a_broken_file(
    tmp_path: Path, seeds: int, tasks: int
) -> None:
    waiting, outcomes = iter(range(1, seeds + 1)), list[Outcome]()

    async def work() -> None:
        for seed in waiting:
            (tmp_path / str(seed)).mkdir()
            outcomes.append(await cancelled_again_and_again(seed, tmp_path / str(seed), tasks))

    await asyncio.gather(*(work() for _ in range(8)))
    assert not any(outcome.problems for outcome in outcomes), told(outcomes)
    assert len(outcomes) == seeds


async def download_on_and_on(server: LyingServer, folder: Path, targets: list[str], *, past_aiohttp: bool) -> None:
    said = Said(saved={}, resumed_bytes=0, failed={})
    async with open_client(server.url, read_timeout_seconds=0.1, past_aiohttp=past_aiohttp) as client:
        while True:
            async with asyncio.TaskGroup() as group:  # it waits for those that it has cancelled
                for target in targets:
                    group.create_task(save(client, str(folder), target, said))


async def cancelled_again_and_again(seed: int, folder: Path, tasks: int) -> Outcome:
    """Download in tasks that are cancelled at random; then once more, undisturbed."""
    random, outcome = Random(f"cancelled {seed}"), Outcome(seed)
    recordings = made_recordings(seed, 2, frames=(40, 300))
    targets = [f"{copy}/{recording.name}.mp3" for copy in range(4) for recording in recordings]
    async with LyingServer(recordings) as server:
        for turn in range(random.randint(3, 5)):
            downloads = download_on_and_on(server, folder, targets * tasks, past_aiohttp=random.random() < 0.5)
            work = asyncio.ensure_future(downloads)
            moment = Moment(random.uniform(0.02, 0.5), sent=random.choice([None, random.randint(1, 1_000_000)]))
            await first_of(work, moment, server)
            work.cancel()
            await asyncio.wait([work])
            assert work.cancelled(), work.exception()
            look(folder, server, outcome, f"after cancellation {turn + 1}")
        server.kind = True
        said = Said(saved={}, resumed_bytes=0, failed={})
        async with open_client(server.url) as client:
            for target in targets:
                await save(client, str(folder), target, said)
    outcome.problems += what_is_wrong(folder, targets, said)
    return outcome


def test_the_lies_of_storage_keep_to_the_one_rule_that_makes_them_fair() -> None:
    versions_of: defaultdict[str, set[int]] = defaultdict(set)
    asked = [Asked(start, None, has_range=start > 0, condition=None) for start in (0, 384, 9_000)]
    for seed in range(60):
        recording = Recording(f"call_{seed}", Random(seed), frames=(40, 80))
        for turn in range(60):
            reply = torture_lies.answer(recording, asked[turn % 3])
            seen = versions_in(reply.body)
            tag, modified = (reply.headers.get(name, "") for name in ("ETag", "Last-Modified"))
            if tag.startswith('"') and len(tag) > 1:
                versions_of[tag] |= seen
            if modified and modified != reply.headers["Date"]:
                versions_of[f"{seed} {modified}"] |= seen
    assert len(versions_of) > 200
    assert all(len(seen) <= 1 for seen in versions_of.values())


def test_versions_of_a_recording_are_valid_and_differ_in_every_frame() -> None:
    one, other = (mp3("call_1", version, 50, Random(version)) for version in (1, 2))
    assert mutagen.File(io.BytesIO(one)).info.length == pytest.approx(50 * FRAME_SECONDS, rel=0.01)
    frames = [[data[at : at + FRAME_BYTES] for at in range(0, len(data), FRAME_BYTES)] for data in (one, other)]
    assert not set(frames[0]) & set(frames[1])
    assert versions_in(one[:7777] + other[7777:]) == {1, 2}
    assert story(one[:384] + other[384:]) == "19200 bytes: frames 0-0 of version 1, frames 1-49 of version 2"
