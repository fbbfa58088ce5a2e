"""What the disk does to one recording (I1 to I9, I11 to I14)."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from storage_server import MP3, Storage, cut, names, serving, status, then

from krosai_calls import KrosaiError, LocalFileError
from krosai_calls._files import write_all

pytestmark = [
    pytest.mark.usefixtures("both_ways"),
    pytest.mark.skipif(os.name == "nt", reason="errors, links and FIFOs as POSIX has them"),
]


async def refused(storage: Storage, target: Path, number: int | None = None) -> LocalFileError:
    """Have a recording not saved; the error tells everything."""
    with pytest.raises(LocalFileError) as raised:
        await storage.client.download_recording(storage.call, target)
    error = raised.value
    assert (error.path, error.call_id) == (target, "call_1")
    assert str(target) in str(error)
    assert error.errno == number if number is not None else error.errno
    return error


def disk_of(room: int, *, takes_records: bool = True) -> Callable[[int, bytes], None]:
    """A way to write on a disk that has so much room."""

    def write(descriptor: int, data: bytes) -> None:
        nonlocal room
        is_record = data.startswith(b"{")
        if is_record and takes_records:
            return write_all(descriptor, data)
        if len(data) > room:
            write_all(descriptor, data[:room])
            room = 0
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room -= len(data)
        return write_all(descriptor, data)

    return write


@pytest.mark.parametrize("takes_records", [True, False], ids=["I1", "I2 no room for the record either"])
async def test_i01_a_disk_that_is_full_ends_it_at_once_and_what_came_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes_records: bool
) -> None:
    monkeypatch.setattr("krosai_calls._incoming.CHECKPOINT_BYTES", 1)
    async with serving() as storage:
        storage.plan(cut(5000))
        with monkeypatch.context() as patched:
            patched.setattr("krosai_calls._parts.write_all", disk_of(8000, takes_records=takes_records))
            await refused(storage, tmp_path / "call.mp3", errno.ENOSPC)
        assert storage.ranges == [None, "bytes=5000-"]
        assert names(tmp_path) == ["call.mp3.part", "call.mp3.part.log"]
        download = await storage.save(tmp_path)
        assert download.resumed_bytes == 5000
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_i03_a_recording_that_cannot_fit_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("krosai_calls._parts.WORTH_A_LOOK_BYTES", 1)
    monkeypatch.setattr("krosai_calls._parts.free_bytes", lambda folder: len(MP3) - 1)
    async with serving() as storage:
        await refused(storage, tmp_path / "call.mp3", errno.ENOSPC)
        assert len(storage.asked) == 1
    assert names(tmp_path) == []


async def test_i04_a_disk_that_takes_a_little_at_a_time_gets_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    async with serving() as storage:
        monkeypatch.setattr("krosai_calls._files.os.write", lambda descriptor, data: real(descriptor, data[:7]))
        await storage.save(tmp_path)
    assert (tmp_path / "call.mp3").read_bytes() == MP3


@pytest.mark.parametrize("operation", ["fsync", "replace"])
async def test_i05_a_disk_that_fails_is_not_asked_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    asked: list[object] = []

    def fail(*args: Any) -> None:
        asked.append(args)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with serving() as storage:
        with monkeypatch.context() as patched:
            patched.setattr("os.fsync" if operation == "fsync" else "pathlib.Path.replace", fail)
            await refused(storage, tmp_path / "call.mp3", errno.EIO)
        assert len(asked) == 1
        assert len(storage.asked) == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM, errno.EMFILE])
async def test_i06_a_folder_that_may_not_be_written_is_told_before_any_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(path: Path) -> int:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("krosai_calls._files.open_new", refuse)
    async with serving() as storage:
        await refused(storage, tmp_path / "call.mp3", number)
        assert storage.server.requests == []
    assert names(tmp_path) == []


async def test_i06_a_file_where_a_folder_should_be_is_told_before_any_request(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"the canary")
    async with serving() as storage:
        for below in ("file/call.mp3", "file/a/b/call.mp3"):
            await refused(storage, tmp_path / below)
        assert storage.server.requests == []
    assert (tmp_path / "file").read_bytes() == b"the canary"


async def test_i06_a_folder_that_is_removed_meanwhile_is_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    async with serving() as storage:
        storage.plan(cut(5000), then(lambda _: shutil.rmtree(folder), Storage.honest))
        await refused(storage, folder / "call.mp3")
    assert names(tmp_path) == []


async def test_i06_a_working_folder_that_is_gone_does_not_matter_to_a_full_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    async with serving() as storage:
        await storage.save(tmp_path)
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_i07_a_part_is_in_its_targets_folder_so_that_the_name_is_one_step_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[tuple[Path, Path]] = []
    replace = Path.replace

    def note(path: Path, target: Path) -> Path:
        moved.append((path, target))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", note)
    async with serving() as storage:
        storage.plan(cut(5000))
        await storage.save(tmp_path / "folder")
    assert [(path.parent, target) for path, target in moved] == [
        (tmp_path / "folder", tmp_path / "folder" / "call.mp3")
    ]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
async def test_i08_a_file_system_that_cannot_sync_gets_the_recording_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", refuse)
    async with serving() as storage:
        await storage.save(tmp_path)
    assert (tmp_path / "call.mp3").read_bytes() == MP3
    assert names(tmp_path) == ["call.mp3"]


async def test_i13_of_many_recordings_no_more_are_open_than_a_process_may_have_files(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Both ends of the connections are in this process.
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 200, hard))
    try:
        async with serving(max_concurrency=32) as storage:
            paths = [tmp_path / f"{number}.mp3" for number in range(250)]
            saving = [storage.client.download_recording(storage.call, path) for path in paths]
            await asyncio.gather(*saving)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert {path.read_bytes() for path in paths} == {MP3}


async def test_i14_a_name_that_cannot_be_given_now_is_given_by_the_next_run_without_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on Windows, while a virus scanner has the target open.
    def refuse(path: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    async with serving() as storage:
        with monkeypatch.context() as patched:
            patched.setattr("pathlib.Path.replace", refuse)
            await refused(storage, tmp_path / "call.mp3", errno.EACCES)
        before = len(storage.server.requests)
        assert (await storage.save(tmp_path)).resumed_bytes == len(MP3)
        assert len(storage.server.requests) == before
    assert names(tmp_path) == ["call.mp3"]


@pytest.mark.parametrize("length", [246, 247, 250, 251, 255, 256])
async def test_i09_a_name_works_to_the_end_or_is_told_before_any_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr("krosai_calls._incoming.CHECKPOINT_BYTES", 1)
    target = tmp_path / ("x" * length)
    async with serving() as storage:
        saving = storage.client.download_recording(storage.call, target)
        (outcome,) = await asyncio.gather(saving, return_exceptions=True)
        if isinstance(outcome, LocalFileError):
            assert (outcome.errno, storage.server.requests) == (errno.ENAMETOOLONG, [])
            assert names(tmp_path) == []
        else:
            assert target.read_bytes() == MP3


@pytest.mark.parametrize("content", [MP3, MP3[:-1], b""], ids=["the same", "another", "none"])
async def test_i11_a_file_that_is_there_is_replaced_by_a_whole_one_only(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "call.mp3").write_bytes(content)
    async with serving() as storage:
        storage.plan(cut(5000), *[cut(0)] * 9)
        with pytest.raises(KrosaiError):
            await storage.save(tmp_path)
        assert (tmp_path / "call.mp3").read_bytes() == content
        storage.plan()
        await storage.save(tmp_path)
    assert (tmp_path / "call.mp3").read_bytes() == MP3


def folder(path: Path, victim: Path) -> None:
    path.mkdir()


def link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def dangling(path: Path, victim: Path) -> None:
    path.symlink_to(victim.with_name("nothing"))


def fifo(path: Path, victim: Path) -> None:
    os.mkfifo(path)


def second_name(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


@pytest.mark.parametrize("make", [folder, link, dangling, fifo])
async def test_i12_what_is_no_file_is_not_replaced_and_told_before_any_request(
    tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "victim").write_bytes(b"the canary")
    make(tmp_path / "call.mp3", tmp_path / "victim")
    async with serving() as storage:
        await refused(storage, tmp_path / "call.mp3")
        assert storage.server.requests == []
    assert (tmp_path / "victim").read_bytes() == b"the canary"
    assert names(tmp_path) == ["call.mp3", "victim"]


@pytest.mark.parametrize("name", ["call.mp3.part", "call.mp3.part.log"])
@pytest.mark.parametrize("make", [folder, link, dangling, fifo, second_name])
async def test_i12_what_stands_where_the_part_belongs_is_written_through_by_nobody(
    tmp_path: Path, make: Callable[[Path, Path], None], name: str
) -> None:
    (tmp_path / "victim").write_bytes(b"the canary")
    make(tmp_path / name, tmp_path / "victim")
    async with serving() as storage:
        storage.plan(status(503))
        if make is folder:
            await refused(storage, tmp_path / "call.mp3")
            assert storage.server.requests == []
        else:
            await storage.save(tmp_path)
            assert (tmp_path / "call.mp3").read_bytes() == MP3
            assert names(tmp_path) == ["call.mp3", "victim"]
    assert (tmp_path / "victim").read_bytes() == b"the canary"
