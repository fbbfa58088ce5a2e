"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from krosai_calls._files import PartFile, make_folder, part_path, write_whole

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes, links and FIFOs as POSIX has them")


@pytest.fixture(params=[0o000, 0o022, 0o077], ids="umask {:03o}".format)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_part_stands_beside_its_target() -> None:
    assert part_path(Path("a/b.mp3")) == Path("a/b.mp3.part")


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 1000], ids=["nothing", "a byte", "a lot"])
def test_a_file_is_written_whole_and_alone(tmp_path: Path, data: bytes) -> None:
    target = tmp_path / "a.txt"
    write_whole(target, data)
    assert target.read_bytes() == data
    assert names(tmp_path) == ["a.txt"]


def test_a_file_has_its_name_only_when_it_is_published(tmp_path: Path) -> None:
    target = tmp_path / "a.mp3"
    part = PartFile(target)
    part.write(b"one")
    part.write(b"two")
    assert names(tmp_path) == ["a.mp3.part"]
    part.publish()
    assert names(tmp_path) == ["a.mp3"]
    assert target.read_bytes() == b"onetwo"


def test_a_part_that_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "a.mp3")
    part.write(b"one")
    part.discard()
    part.discard()
    assert names(tmp_path) == []


def test_a_part_that_is_only_closed_stays(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "a.mp3")
    part.write(b"one")
    part.close()
    part.close()
    assert names(tmp_path) == ["a.mp3.part"]


@pytest.mark.usefixtures("umask")
def test_m11_files_and_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "recordings" / "2025"
    make_folder(folder)
    write_whole(folder / "a.mp3", b"x")
    assert mode(folder / "a.mp3") == 0o600
    assert [mode(folder), mode(folder.parent)] == [0o700, 0o700]


def test_a_part_is_for_its_owner_alone_while_it_comes_in(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "a.mp3")
    assert mode(tmp_path / "a.mp3.part") == 0o600
    part.discard()


def test_a_part_that_others_could_read_does_not_make_the_file_so(tmp_path: Path) -> None:
    left_over = tmp_path / "a.mp3.part"
    left_over.touch()
    left_over.chmod(0o644)
    write_whole(tmp_path / "a.mp3", b"private")
    assert mode(tmp_path / "a.mp3") == 0o600


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    folder.chmod(0o755)
    make_folder(folder)
    make_folder(folder / "new")
    assert [mode(folder), mode(folder / "new")] == [0o755, 0o700]


def test_a_file_where_a_folder_is_due_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(OSError, match="File exists"):
            make_folder(folder)


def test_a_file_that_is_there_is_replaced_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_bytes(b"old and longer")
    with target.open("rb") as reader:
        write_whole(target, b"new")
        # Whoever reads the old one reads it to its end: it was replaced, not overwritten.
        assert reader.read() == b"old and longer"
    assert target.read_bytes() == b"new"


def test_a_left_over_part_gives_nothing_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt.part").write_bytes(b"left over and longer")
    write_whole(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("dangling", [False, True], ids=["to a file", "to nothing"])
def test_m10_a_planted_link_at_the_parts_place_is_not_followed(tmp_path: Path, dangling: bool) -> None:
    folder, victim = tmp_path / "archive", tmp_path / "victim"
    folder.mkdir()
    if not dangling:
        victim.write_bytes(b"precious")
    (folder / "a.mp3.part").symlink_to(victim)
    write_whole(folder / "a.mp3", b"x")
    assert (folder / "a.mp3").read_bytes() == b"x"
    assert names(folder) == ["a.mp3"]
    assert victim.exists() is not dangling
    assert dangling or victim.read_bytes() == b"precious"


def test_a_planted_hard_link_at_the_parts_place_costs_no_other_file(tmp_path: Path) -> None:
    folder, victim = tmp_path / "archive", tmp_path / "victim"
    folder.mkdir()
    victim.write_bytes(b"precious")
    (folder / "a.mp3.part").hardlink_to(victim)
    try:
        write_whole(folder / "a.mp3", b"x")
    except OSError:
        assert not (folder / "a.mp3").exists()
    assert victim.read_bytes() == b"precious"


def test_a_link_at_the_targets_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim, target = tmp_path / "victim", tmp_path / "a.mp3"
    victim.write_bytes(b"precious")
    target.symlink_to(victim)
    write_whole(target, b"x")
    assert not target.is_symlink()
    assert (target.read_bytes(), victim.read_bytes()) == (b"x", b"precious")


def test_a_fifo_at_the_parts_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp3.part")
    write_whole(tmp_path / "a.mp3", b"x")
    assert (tmp_path / "a.mp3").read_bytes() == b"x"
    assert names(tmp_path) == ["a.mp3"]


def test_a_folder_at_the_targets_place_is_an_error_that_leaves_no_part(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        write_whole(tmp_path / "a.mp3", b"x")
    assert names(tmp_path) == ["a.mp3"]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("before", [None, b"old"], ids=["nothing there", "an old file there"])
@pytest.mark.parametrize(
    "fault", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()], ids=["full", "interrupted"]
)
def test_a_write_that_fails_leaves_no_part_and_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, before: bytes | None, fault: BaseException
) -> None:
    target = tmp_path / "a.mp3"
    if before is not None:
        target.write_bytes(before)

    def fail(*_: object) -> int:
        raise fault

    descriptors = len(os.listdir("/dev/fd"))
    with monkeypatch.context() as patch:
        patch.setattr("krosai_calls._files.os." + call, fail)
        with pytest.raises(type(fault)) as caught:
            write_whole(target, b"new")
    assert caught.value is fault
    assert names(tmp_path) == ([] if before is None else ["a.mp3"])
    assert before is None or target.read_bytes() == before
    assert len(os.listdir("/dev/fd")) == descriptors


def test_a_disk_that_takes_a_part_and_says_nothing_gets_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def write_some(descriptor: int, data: memoryview) -> int:
        return write(descriptor, data[:3])

    with monkeypatch.context() as patch:
        patch.setattr("krosai_calls._files.os.write", write_some)
        write_whole(tmp_path / "a.txt", b"0123456789")
    assert (tmp_path / "a.txt").read_bytes() == b"0123456789"


def test_the_bytes_are_on_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append("sync the folder" if is_folder else "sync the file")
        fsync(descriptor)

    def note_replace(source: Path, target: Path) -> None:
        steps.append("rename")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("krosai_calls._files.os.fsync", note_fsync)
        patch.setattr("krosai_calls._files.os.replace", note_replace)
        write_whole(tmp_path / "a.txt", b"x")
    assert steps == ["sync the file", "rename", "sync the folder"]


def test_j07_a_part_that_was_taken_away_does_not_get_the_name(tmp_path: Path) -> None:
    # As another process would that writes the same file.
    part = PartFile(tmp_path / "a.txt")
    part.write(b"mine")
    other = PartFile(tmp_path / "a.txt")
    other.write(b"half of anoth")
    with pytest.raises(OSError, match="taken its part file away"):
        part.publish()
    part.discard()
    assert names(tmp_path) == ["a.txt.part"]
    assert (tmp_path / "a.txt.part").read_bytes() == b"half of anoth"
    other.publish()
    assert (tmp_path / "a.txt").read_bytes() == b"half of anoth"
