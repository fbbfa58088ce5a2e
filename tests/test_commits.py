"""Whole recordings get their names together."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from audio import recording
from raw_server import RawServer, answer

from krosai_calls import AsyncCallsClient, Call, _commits
from krosai_calls._commits import Commits
from krosai_calls._commits import publish as publish_all
from krosai_calls._files import sync_folder
from krosai_calls._parts import RecordingPart

NEVER = 3600.0
MakePart = Callable[[str], RecordingPart]


@pytest.fixture
def whole(tmp_path: Path, request: pytest.FixtureRequest) -> MakePart:
    def make(name: str) -> RecordingPart:
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        part = RecordingPart(target, "call_1")
        request.addfinalizer(part.close)
        part.begin('"v1"', 3)
        part.write(b"one")
        part.checkpoint()
        return part

    return make


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names that were given together, in the order in which that happened."""
    given: list[list[str]] = []

    def publish(parts: list[RecordingPart]) -> list[OSError | None]:
        given.append([part.target.name for part in parts])
        return publish_all(parts)

    monkeypatch.setattr(_commits, "publish", publish)
    return given


async def ended(tasks: list[asyncio.Task[None]]) -> list[BaseException | None]:
    return list(await asyncio.gather(*tasks, return_exceptions=True))


def names(folder: Path, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def publishing(commits: Commits, parts: list[RecordingPart], under_way: int) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(commits.publish(part, under_way=under_way)) for part in parts]


@pytest.mark.parametrize("under_way", [1, 4])
async def test_where_few_are_under_way_nobody_waits_for_others(
    whole: MakePart, batches: list[list[str]], under_way: int
) -> None:
    commits = Commits(gather_seconds=NEVER)
    await commits.publish(whole("a.mp3"), under_way=under_way)
    await commits.publish(whole("b.mp3"), under_way=under_way)
    assert batches == [["a.mp3"], ["b.mp3"]]


async def test_a_quarter_of_those_that_are_under_way_get_their_names_together(
    whole: MakePart, batches: list[list[str]], tmp_path: Path
) -> None:
    commits = Commits(gather_seconds=NEVER)
    parts = [whole(f"{number}.mp3") for number in range(5)]
    tasks = publishing(commits, parts[:4], under_way=20)
    await asyncio.sleep(0)
    assert batches == []
    assert names(tmp_path, "*.mp3") == []
    tasks += publishing(commits, parts[4:], under_way=20)
    assert await ended(tasks) == [None] * 5
    assert batches == [[f"{number}.mp3" for number in range(5)]]
    assert names(tmp_path) == [f"{number}.mp3" for number in range(5)]


async def test_nobody_waits_long_for_others_that_do_not_come(whole: MakePart, batches: list[list[str]]) -> None:
    commits = Commits(gather_seconds=0.0)
    assert await ended(publishing(commits, [whole("a.mp3"), whole("b.mp3")], under_way=100)) == [None, None]
    assert batches == [["a.mp3", "b.mp3"]]
    await commits.publish(whole("c.mp3"), under_way=100)
    assert batches[1:] == [["c.mp3"]]


def test_a_folder_is_had_on_disk_once_for_all_and_before_any_record_goes(
    whole: MakePart, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parts = [whole("june/a.mp3"), whole("june/b.mp3"), whole("july/c.mp3")]
    steps: list[str] = []
    replace, unlink = Path.replace, Path.unlink

    def noting(step: str, do: Callable[..., object]) -> Callable[..., object]:
        def note(path: Path, *others: object, **options: object) -> object:
            steps.append(step)
            return do(path, *others, **options)

        return note

    monkeypatch.setattr(Path, "replace", noting("name", replace))
    monkeypatch.setattr("krosai_calls._commits.sync_folder", noting("folder", sync_folder))
    monkeypatch.setattr(Path, "unlink", noting("record", unlink))
    assert publish_all(parts) == [None] * 3
    assert steps == ["name"] * 3 + ["folder"] * 2 + ["record"] * 3
    assert names(tmp_path, "*/*") == ["a.mp3", "b.mp3", "c.mp3"]


@pytest.mark.skipif(os.name == "nt", reason="what is open cannot be taken away there")
async def test_j07_what_is_wrong_with_one_is_told_to_that_one_alone(whole: MakePart, tmp_path: Path) -> None:
    commits = Commits(gather_seconds=NEVER)
    parts = [whole("a.mp3"), whole("b.mp3"), whole("c.mp3")]
    (tmp_path / "b.mp3.part").unlink()
    first, second, third = await ended(publishing(commits, parts, under_way=12))
    assert (first, third) == (None, None)
    assert isinstance(second, OSError)
    assert second.errno == errno.EBUSY
    assert names(tmp_path, "*.mp3") == ["a.mp3", "c.mp3"]


async def test_i05_a_folder_that_cannot_be_had_on_disk_is_told_to_all_that_are_in_it(
    whole: MakePart, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def failing(folder: Path) -> None:
        if folder.name == "june":
            raise OSError(errno.EIO, "Input/output error")
        sync_folder(folder)

    monkeypatch.setattr("krosai_calls._commits.sync_folder", failing)
    commits = Commits(gather_seconds=NEVER)
    parts = [whole("june/a.mp3"), whole("june/b.mp3"), whole("july/c.mp3")]
    first, second, third = await ended(publishing(commits, parts, under_way=12))
    assert isinstance(first, OSError)
    assert first.errno == errno.EIO
    assert isinstance(second, OSError)
    assert third is None
    assert names(tmp_path, "*/*") == ["a.mp3", "b.mp3", "c.mp3"]


async def test_downloads_wait_for_those_that_are_under_way_with_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    under_way: list[int] = []
    publish_one = Commits.publish

    async def noting(commits: Commits, part: RecordingPart, **others: int) -> None:
        under_way.append(others["under_way"])
        await publish_one(commits, part, **others)

    monkeypatch.setattr(Commits, "publish", noting)
    async with RawServer() as server, AsyncCallsClient("kros_test_x", base_url=server.url) as client:
        server.script(*[answer(200, recording(20))] * 4, path="/r.mp3")
        call = Call("call_1", recording_url=f"{server.url}/r.mp3")
        three = [client.download_recording(call, tmp_path / f"{number}.mp3") for number in range(3)]
        await asyncio.gather(*three)
        await client.download_recording(call, tmp_path / "alone.mp3")
    assert (under_way[0], under_way[3:]) == (3, [1])


async def test_a_cancellation_waits_until_the_file_has_its_name(whole: MakePart, tmp_path: Path) -> None:
    commits = Commits(gather_seconds=NEVER)
    [task] = publishing(commits, [whole("a.mp3")], under_way=8)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    await commits.publish(whole("b.mp3"), under_way=8)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (tmp_path / "a.mp3").read_bytes() == b"one"


async def test_whatever_goes_wrong_nobody_is_left_waiting(
    whole: MakePart, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = Commits(gather_seconds=NEVER)

    def broken(parts: list[RecordingPart]) -> list[OSError | None]:
        raise LookupError(threading.current_thread().name)

    monkeypatch.setattr(_commits, "publish", broken)
    faults = await ended(publishing(commits, [whole("a.mp3"), whole("b.mp3")], under_way=8))
    assert [type(fault) for fault in faults] == [LookupError, LookupError]
    await asyncio.get_running_loop().shutdown_default_executor()
    with pytest.raises(RuntimeError, match="shutdown"):
        await commits.publish(whole("c.mp3"), under_way=1)
