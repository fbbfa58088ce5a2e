"""What a kill or a power cut leaves of one recording, step by step, and what the next run makes of it (J)."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from storage_server import MP3, OTHER, TAG, Storage, Turn, cut, names, replaced, serving, then

from krosai_calls import KrosaiError, LocalFileError
from krosai_calls._files import part_path
from krosai_calls._parts import RecordingPart

pytestmark = [
    pytest.mark.usefixtures("both_ways"),
    pytest.mark.skipif(os.name == "nt", reason="locks, links and kills as POSIX has them"),
]

Files = dict[str, bytes]


class Disk:
    """A folder, and what would be found in it had everything ended just before any step on it.

    Attributes:
        moments: For each step, each file's bytes now, and those of them that are sure to outlast a power cut.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moments: list[tuple[Files, Files]] = []
        self._folder = folder
        self._synced: dict[int, bytes] = {}
        for name in ("open", "write", "ftruncate", "fsync", "replace", "unlink"):
            monkeypatch.setattr(os, name, self._noting(name, getattr(os, name)))

    def look(self) -> None:
        """Take note of how things stand."""
        paths = sorted(self._folder.iterdir())
        held = {path.name: path.read_bytes() for path in paths}
        synced = {path.name: self._synced.get(path.stat().st_ino, b"") for path in paths}
        if not self.moments or self.moments[-1] != (held, synced):
            self.moments.append((held, synced))

    def _noting(self, name: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def noting(first: Any, *args: Any, **kwargs: Any) -> Any:
            if name != "open" or str(first).startswith(str(self._folder)):
                self.look()
            done = do(first, *args, **kwargs)
            if name == "fsync":
                found = os.fstat(first)
                for path in self._folder.iterdir():
                    if path.stat().st_ino == found.st_ino:
                        self._synced[found.st_ino] = path.read_bytes()
            return done

        return noting


def killed(held: Files, synced: Files) -> Files:
    """Every byte that was written is there."""
    return held


def lost(held: Files, synced: Files) -> Files:
    """Names are there, and of the bytes those alone that were synced."""
    return synced


def zeroed(held: Files, synced: Files) -> Files:
    """Lengths are there, too, filled up with zeros."""
    return {name: synced[name].ljust(len(data), b"\0")[: len(data)] for name, data in held.items()}


def record_outlives_bytes(held: Files, synced: Files) -> Files:
    """The record is all there, and of what it vouches for there are zeros."""
    return zeroed(held, {name: data if name.endswith(".log") else synced[name] for name, data in held.items()})


LEFT = {
    "J2 killed": killed,
    "J3 unsynced bytes are lost": lost,
    "J3 unsynced bytes are zeros": zeroed,
    "J3 the record outlives the bytes": record_outlives_bytes,
}
RUNS: dict[str, tuple[Sequence[Turn], bytes]] = {
    "in one go": ([], MP3),
    "in three": ([cut(3000), cut(3000)], MP3),
    "replaced under way": ([cut(5000), then(replaced(OTHER, '"v2"'), cut(7000))], OTHER),
}


@pytest.mark.parametrize(("turns", "data"), RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
async def test_j02_at_whatever_step_it_ends_no_broken_file_is_left_and_the_next_run_makes_it_whole(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    left: Callable[[Files, Files], Files],
    turns: Sequence[Turn],
    data: bytes,
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setattr("krosai_calls._incoming.CHECKPOINT_BYTES", 1)
    async with serving() as storage:
        with monkeypatch.context() as patched:
            disk = Disk(tmp_path / "run", patched)
            storage.plan(*turns)
            await storage.save(tmp_path / "run")
            disk.look()
        assert {name for held, _ in disk.moments for name in held} >= {"call.mp3", "call.mp3.part"}
        for number, moment in enumerate(disk.moments):
            folder = tmp_path / str(number)
            folder.mkdir()
            for name, found in left(*moment).items():
                (folder / name).write_bytes(found)
                (folder / name).chmod(0o600)
            if (folder / "call.mp3").exists():
                assert (folder / "call.mp3").read_bytes() == data
            await storage.save(folder)
            assert (folder / "call.mp3").read_bytes() == data
            assert names(folder) == ["call.mp3"]


SAVING = """
import sys, time
from pathlib import Path
from krosai_calls._parts import RecordingPart
part = RecordingPart(Path(sys.argv[1]), "call_1")
part.begin('"v1"', int(sys.argv[2]))
part.write(sys.stdin.buffer.read())
part.checkpoint()
print("ready", flush=True)
time.sleep(60)
"""


async def test_j08_the_part_of_a_process_that_was_killed_is_gone_on_with_and_that_of_a_living_one_is_not(
    tmp_path: Path,
) -> None:
    words = ["-c", SAVING, str(tmp_path / "call.mp3"), str(len(MP3))]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=PIPE, stdout=PIPE)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(MP3[:5000])
        process.stdin.close()
        assert await process.stdout.readline() == b"ready\n"
        async with serving() as storage:
            with pytest.raises(LocalFileError, match="another download to it is under way"):
                await storage.save(tmp_path)
            assert storage.server.requests == []
            process.kill()
            await process.wait()
            assert (await storage.save(tmp_path)).resumed_bytes == 5000
            assert storage.ranges == ["bytes=5000-"]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (tmp_path / "call.mp3").read_bytes() == MP3
    assert names(tmp_path) == ["call.mp3"]


async def test_j13_a_part_that_is_a_finished_file_by_a_second_name_is_never_cut(tmp_path: Path) -> None:
    part = RecordingPart(tmp_path / "call.mp3", "call_1")
    part.begin(TAG, len(MP3))
    part.write(MP3[:5000])
    part.park()
    finished = tmp_path / "call.mp3"
    finished.hardlink_to(part_path(finished))
    seen: list[bytes] = []

    def look(storage: Storage) -> None:
        seen.append(finished.read_bytes())

    async with serving() as storage:
        storage.plan(then(look, cut(7000)), *[then(look, cut(0))] * 9)
        with pytest.raises(KrosaiError):
            await storage.save(tmp_path)
        assert storage.ranges[0] is None
        assert {*seen, finished.read_bytes()} == {MP3[:5000]}
        storage.plan()
        assert (await storage.save(tmp_path)).resumed_bytes == 7000
    assert finished.read_bytes() == MP3
    assert names(tmp_path) == ["call.mp3"]
