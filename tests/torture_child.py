"""The process that the torture kills, and the one that starts it: a fork costs a hundredth of a new interpreter.

Run as a program, it reads jobs from its standard input, a JSON object a line, and forks a child for each. It says
`{"begun": true}`, then `{"code": ..., "said": ...}` when the child has ended by itself, or by SIGKILL because the
line `kill` came. Where its input ends, it kills the child and ends, too: no child outlives the test.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, Literal, TypedDict

import aiohttp

from krosai_calls import AsyncCallsClient, KrosaiError, RetryPolicy
from krosai_calls._bypass import Bypasses

KILL = "kill"
PAUSE_SECONDS = 0.01
AT_ONCE = 4
RETRY = RetryPolicy(max_attempts=6, base_delay_seconds=0.01, max_delay_seconds=0.05)


Way = Literal["client", "plain loop"]


class Job(TypedDict):
    """What a child is to do.

    `targets` are paths within the folder, named after their calls. `passes` is how often it tries what has failed.
    Of bodies `past_aiohttp`, even small ones do not go through its parser.
    At its `dies_at`th step on the folder it kills itself.
    """

    url: str
    folder: str
    targets: list[str]
    by_call: bool
    past_aiohttp: bool
    passes: int
    dies_at: int | None
    way: Way


class Said(TypedDict):
    """What a child tells when it has ended by itself."""

    saved: dict[str, str]
    resumed_bytes: int
    failed: dict[str, str]


async def download(job: Job) -> Said:
    """Download what a job names, a few at once, until all is there or its passes are used up."""
    said: Said = {"saved": {}, "resumed_bytes": 0, "failed": {}}
    for _ in range(job["passes"]):
        missing = [target for target in job["targets"] if target not in said["saved"]]
        if not missing:
            break
        if job["way"] == "client":
            await _by_client(job, missing, said)
        else:
            await _by_plain_loop(job, missing, said)
        await asyncio.sleep(PAUSE_SECONDS)
    return said


def open_client(url: str, *, read_timeout_seconds: float = 0.2, past_aiohttp: bool = False) -> AsyncCallsClient:
    """A client that loses no time."""
    client = AsyncCallsClient(
        "kros_test_torture",
        base_url=f"{url}/v1",
        retry=RETRY,
        timeout_seconds=10.0,
        read_timeout_seconds=read_timeout_seconds,
    )
    if past_aiohttp:
        client._transport._bypasses = Bypasses(worth_bytes=1)
    return client


async def save(client: AsyncCallsClient, folder: str, target: str, said: Said, *, by_call: bool = False) -> None:
    """Download one recording, by its call or by its id, and note what came of it."""
    path = Path(folder, target)
    try:
        call = await client.get_call(path.stem) if by_call else path.stem
        done = await client.download_recording(call, path)
    except KrosaiError as error:
        said["failed"][target] = f"{type(error).__name__}: {error}"
        return
    said["saved"][target] = done.sha256
    said["resumed_bytes"] += done.resumed_bytes
    said["failed"].pop(target, None)


async def _by_client(job: Job, targets: list[str], said: Said) -> None:
    slots = asyncio.Semaphore(AT_ONCE)
    async with open_client(job["url"], past_aiohttp=job["past_aiohttp"]) as client:

        async def one(target: str) -> None:
            async with slots:
                await save(client, job["folder"], target, said, by_call=job["by_call"])

        await asyncio.gather(*map(one, targets))


async def _by_plain_loop(job: Job, targets: list[str], said: Said) -> None:
    """The negative control: what many a script does, and what the torture has to catch."""
    slots, timeout = asyncio.Semaphore(AT_ONCE), aiohttp.ClientTimeout(total=None, sock_read=0.2)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:

        async def one(target: str) -> None:
            async with slots:
                try:
                    await _append_to_part(session, job["url"], Path(job["folder"], target))
                    said["saved"][target] = ""
                except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
                    said["failed"][target] = repr(error)

        await asyncio.gather(*map(one, targets))


async def _append_to_part(session: aiohttp.ClientSession, url: str, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    part = target.with_suffix(".mp3.part")
    have = part.stat().st_size if part.exists() else 0
    async with session.get(f"{url}/v1/calls/{target.stem}/recording") as answer:
        link = json.loads(await answer.read())["recording_url"]
    async with session.get(link, headers={"Range": f"bytes={have}-"} if have else {}) as answer:
        if answer.status not in (200, 206):
            raise ValueError(f"storage answered {answer.status}")
        with part.open("ab" if answer.status == 206 else "wb") as file:
            async for piece in answer.content.iter_any():
                file.write(piece)
    part.replace(target)


def _die_at_step(number: int, folder: str) -> None:
    """Kill this process at one of its steps on the folder: before it opens, renames, cuts or removes a file."""
    left = number

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if (event == "open" or event.startswith("os.")) and folder in " ".join(map(str, arguments)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _be_child(job: Job, outlet: int) -> None:
    """Do a job, say how it went, and end without a look back at what belongs to the parent."""
    code, text = 1, ""
    try:
        if job["dies_at"] is not None:
            _die_at_step(job["dies_at"], job["folder"])
        code, text = 0, json.dumps(asyncio.run(download(job)))
    except BaseException:  # noqa: BLE001 - whatever it is, the test is told of it
        text = traceback.format_exc()
    finally:
        os.write(outlet, text.encode())
        os._exit(code)


def _run_child(job: Job) -> dict[str, object]:
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(inlet)
        _be_child(job, outlet)
    os.close(outlet)
    _say({"begun": True})
    said = bytearray()
    try:
        while True:
            ready, _, _ = select.select([sys.stdin, inlet], [], [])
            if sys.stdin in ready:
                sys.stdin.readline()
                break
            piece = os.read(inlet, 65536)
            if not piece:
                break
            said += piece
    finally:
        os.kill(child, signal.SIGKILL)  # it is not waited for yet: its number is still its own
        _, status = os.waitpid(child, 0)
        os.close(inlet)
    return {"code": os.waitstatus_to_exitcode(status), "said": said.decode()}


def _say(words: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Fork a child for each job until no more come."""
    while line := sys.stdin.readline():
        if line.strip() != KILL:  # it may come when the child has just ended
            _say(_run_child(json.loads(line)))


if __name__ == "__main__":
    main()
