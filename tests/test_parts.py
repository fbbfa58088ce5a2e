"""A recording on disk while it comes in."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from krosai_calls._commits import publish
from krosai_calls._hashing import Hashing
from krosai_calls._parts import RecordingPart
from krosai_calls._resume import Held

pytestmark = pytest.mark.skipif(os.name == "nt", reason="locks, links and FIFOs as POSIX has them")

TAG = '"v1"'
DATA = bytes(range(256)) * 8


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "call.mp3"


def part_of(target: Path) -> Path:
    return target.with_name("call.mp3.part")


def log_of(target: Path) -> Path:
    return target.with_name("call.mp3.part.log")


def names(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def parked(target: Path, data: bytes = DATA, *, validator: str | None = TAG, size: int = 4096) -> None:
    """Leave a part of the recording behind, as a run does that is told to stop."""
    part = RecordingPart(target, "call_1")
    part.begin(validator, size)
    part.write(data)
    part.park()


def held_by(target: Path, call_id: str = "call_1") -> Held:
    part = RecordingPart(target, call_id)
    try:
        return part.held
    finally:
        part.close()


def publish_alone(part: RecordingPart) -> None:
    [fault] = publish([part])
    part.close()
    if fault is not None:
        raise fault


def test_a_recording_gets_its_name_when_it_is_whole_and_leaves_nothing_beside_it(target: Path) -> None:
    part = RecordingPart(target, "call_1")
    part.begin(TAG, len(DATA))
    part.write(DATA[:1000])
    part.write(DATA[1000:])
    assert names(target) == ["call.mp3.part"]
    part.checkpoint()
    assert names(target) == ["call.mp3.part", "call.mp3.part.log"]
    assert part.sha256() == hashlib.sha256(DATA).hexdigest()
    publish_alone(part)
    assert names(target) == ["call.mp3"]
    assert target.read_bytes() == DATA
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_part_that_was_parked_is_gone_on_with(target: Path) -> None:
    parked(target)
    part = RecordingPart(target, "call_1")
    assert part.held == Held(len(DATA), TAG, 4096)
    part.write(DATA)
    assert part.sha256() == hashlib.sha256(DATA + DATA).hexdigest()
    publish_alone(part)
    assert target.read_bytes() == DATA + DATA


def take_all(part: RecordingPart, data: bytes) -> None:
    """Take bytes as a connection brings them."""
    while data:
        room = part.room(len(data))
        room[:] = data[: len(room)]
        part.take(room)
        data = data[len(room) :]


@pytest.mark.parametrize("cores", [1, 2])
def test_what_is_taken_in_its_room_is_written_recorded_and_gone_on_with(target: Path, cores: int) -> None:
    data = Random(1).randbytes(3_000_000)
    hashing = Hashing(cores=cores)
    part = RecordingPart(target, "call_1", hashing)
    part.begin('"v0"', len(data))
    take_all(part, bytes(500_000))
    part.begin(TAG, len(data))  # it was replaced: what came is forgotten
    take_all(part, data[:1_000_000])
    part.checkpoint()
    take_all(part, data[1_000_000:1_700_000])
    part.close()
    part = RecordingPart(target, "call_1", hashing)
    assert part.held == Held(1_000_000, TAG, len(data))
    take_all(part, data[1_000_000:2_000_000])
    part.write(data[2_000_000:2_000_100])
    take_all(part, data[2_000_100:])
    publish_alone(part)
    assert part.sha256() == hashlib.sha256(data).hexdigest()
    assert target.read_bytes() == data
    hashing.close()


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda part: take_all(part, DATA[1000:]), id="whole"),
        pytest.param(lambda part: part.begin(TAG, 10), id="begun anew"),
        pytest.param(lambda part: part.park(), id="parked"),
        pytest.param(lambda part: part.discard(), id="discarded"),
    ],
)
def test_a_part_holds_no_room_when_nothing_more_comes(target: Path, end: Callable[[RecordingPart], None]) -> None:
    hashing = Hashing(cores=2)
    part = RecordingPart(target, "call_1", hashing)
    part.begin(TAG, len(DATA))
    take_all(part, DATA[:1000])
    assert len(hashing._free) == 0
    end(part)
    hashing.close()
    assert len(hashing._free) == 1
    part.close()


def test_j01_after_a_kill_what_the_last_line_vouches_for_is_gone_on_with(target: Path) -> None:
    part = RecordingPart(target, "call_1")
    part.begin(TAG, 4096)
    part.write(DATA[:1000])
    part.checkpoint()
    part.write(DATA[1000:])
    os.write(part._record, b'{"received": 2')
    part.close()
    part = RecordingPart(target, "call_1")
    assert part.held.received == 1000
    part.write(b"more")
    part.checkpoint()
    part.close()
    assert held_by(target).received == 1004
    assert part_of(target).read_bytes() == DATA[:1000] + b"more"


def test_several_lines_are_kept_and_the_last_that_the_disk_still_holds_counts(target: Path) -> None:
    part = RecordingPart(target, "call_1")
    part.begin(TAG, 4096)
    for place in range(0, len(DATA), 512):
        part.write(DATA[place : place + 512])
        part.checkpoint()
    part.close()
    os.truncate(part_of(target), 1100)  # what a power cut may leave
    assert held_by(target).received == 1024


def a_link_instead(log: Path) -> None:
    log.rename(log.with_name("elsewhere"))
    log.symlink_to("elsewhere")


BAD_RECORDS: dict[str, Callable[[Path], object]] = {
    "f11: missing": lambda log: log.unlink(),
    "f11: empty": lambda log: log.write_bytes(b""),
    "f11: half a line": lambda log: log.write_bytes(log.read_bytes()[:20]),
    "f11: garbage": lambda log: log.write_bytes(b"\0\xff" * 100),
    "f11: nested beyond reason": lambda log: log.write_bytes(b"[" * 100_000 + b"\n"),
    "f11: of another format": lambda log: log.write_bytes(
        log.read_bytes().replace(b'"version": 1', b'"version": 2')
    ),
    "f11: of another call": lambda log: log.write_bytes(log.read_bytes().replace(b"call_1", b"call_2")),
    "f11: without a version of the recording": lambda log: log.write_bytes(
        log.read_bytes().replace(b'"\\"v1\\""', b"null")
    ),
    "f11: of a size that is none": lambda log: log.write_bytes(log.read_bytes().replace(b"4096", b"-1")),
    "f11: of a size below what is there": lambda log: log.write_bytes(log.read_bytes().replace(b"4096", b"100")),
    "a link": a_link_instead,
    "a second name of a file": lambda log: log.with_name("elsewhere").hardlink_to(log),
}


@pytest.mark.parametrize("spoil", BAD_RECORDS.values(), ids=BAD_RECORDS)
def test_a_record_that_cannot_be_right_is_not_believed(target: Path, spoil: Callable[[Path], object]) -> None:
    parked(target)
    spoil(log_of(target))
    assert held_by(target) == Held()


def test_f12_a_part_that_is_shorter_than_its_record_is_not_believed(target: Path) -> None:
    parked(target)
    os.truncate(part_of(target), len(DATA) - 1)
    assert held_by(target) == Held()


def test_f12_a_part_that_is_longer_than_its_record_is_cut_to_it(target: Path) -> None:
    parked(target)
    with part_of(target).open("ab") as file:
        file.write(b"zeros of a power cut")
    assert held_by(target).received == len(DATA)
    assert part_of(target).read_bytes() == DATA


def test_f13_a_part_that_was_altered_is_not_believed(target: Path) -> None:
    parked(target)
    data = bytearray(DATA)
    data[700] ^= 1
    part_of(target).write_bytes(bytes(data))
    part_of(target).chmod(0o600)
    assert held_by(target) == Held()


@pytest.mark.parametrize(
    ("validator", "data"),
    [pytest.param(None, DATA, id="of no certain version"), pytest.param(TAG, b"", id="empty")],
)
def test_a_part_that_nothing_could_go_on_with_is_not_left_behind(
    target: Path, validator: str | None, data: bytes
) -> None:
    parked(target, data, validator=validator)
    assert names(target) == []


def test_f1_beginning_anew_forgets_what_was_there(target: Path) -> None:
    parked(target)
    part = RecordingPart(target, "call_1")
    part.begin('"v2"', 4096)
    part.write(b"new")
    part.park()
    assert held_by(target) == Held(3, '"v2"', 4096)
    assert part_of(target).read_bytes() == b"new"


def test_a_part_that_is_discarded_leaves_nothing(target: Path) -> None:
    parked(target)
    part = RecordingPart(target, "call_1")
    part.discard()
    part.discard()
    assert names(target) == []


def test_j06_two_writers_of_one_recording_are_kept_apart(target: Path) -> None:
    part = RecordingPart(target, "call_1")
    with pytest.raises(BlockingIOError, match="another download to it is under way"):
        RecordingPart(target, "call_1")
    part.begin(TAG, 3)
    part.write(b"one")
    publish_alone(part)
    part = RecordingPart(target, "call_1")
    part.discard()
    assert names(target) == ["call.mp3"]


def test_j07_a_part_that_was_taken_away_does_not_get_the_name(target: Path) -> None:
    # As another process would where locks do nothing.
    part = RecordingPart(target, "call_1")
    part.begin(TAG, 3)
    part.write(b"one")
    part_of(target).unlink()
    part_of(target).write_bytes(b"half of anoth")
    with pytest.raises(OSError, match="taken its part file away"):
        publish_alone(part)
    part.discard()
    assert names(target) == ["call.mp3.part"]
    assert part_of(target).read_bytes() == b"half of anoth"


def link_to_a_file(path: Path) -> None:
    path.with_name("precious").write_bytes(b"precious")
    path.symlink_to("precious")


def second_name_of_a_file(path: Path) -> None:
    path.with_name("precious").write_bytes(b"precious")
    path.hardlink_to(path.with_name("precious"))


def file_open_to_all(path: Path) -> None:
    path.write_bytes(b"anything")
    path.chmod(0o666)


@pytest.mark.parametrize("make", [link_to_a_file, second_name_of_a_file, os.mkfifo, file_open_to_all])
def test_i12_a_part_that_is_not_ours_is_replaced_and_nothing_is_written_through_it(
    target: Path, make: Callable[[Path], object]
) -> None:
    make(part_of(target))
    part = RecordingPart(target, "call_1")
    part.begin(TAG, 3)
    part.write(b"one")
    publish_alone(part)
    assert target.read_bytes() == b"one"
    assert stat.S_ISREG(target.lstat().st_mode)
    precious = target.with_name("precious")
    assert not precious.exists() or precious.read_bytes() == b"precious"


@pytest.mark.parametrize("place", ["the name", "the part"])
def test_i12_a_folder_in_the_way_is_told(target: Path, place: str) -> None:
    (target if place == "the name" else part_of(target)).mkdir()
    with pytest.raises(IsADirectoryError):
        RecordingPart(target, "call_1")


@pytest.mark.parametrize("make", [link_to_a_file, os.mkfifo])
def test_i12_a_name_that_is_no_files_is_not_taken(target: Path, make: Callable[[Path], object]) -> None:
    make(target)
    with pytest.raises(FileExistsError):
        RecordingPart(target, "call_1")


def test_i03_a_recording_for_which_there_is_no_room_is_told_before_it_comes(target: Path) -> None:
    part = RecordingPart(target, "call_1")
    with pytest.raises(OSError, match="are free") as raised:
        part.begin(TAG, 2**62)
    assert raised.value.errno == errno.ENOSPC
    part.discard()


def test_i01_a_disk_that_is_full_costs_no_more_than_the_last_line(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = RecordingPart(target, "call_1")
    part.begin(TAG, 4096)
    part.write(DATA[:1000])
    part.checkpoint()
    part.write(DATA[1000:])

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            part.write(b"more")
        part.park()
    assert held_by(target).received == 1000


def test_i04_a_short_write_is_gone_on_with(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = RecordingPart(target, "call_1")
    part.begin(None, len(DATA))
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:100]))
        part.write(DATA)
    publish_alone(part)
    assert target.read_bytes() == DATA


def test_j04_bytes_are_on_disk_before_the_name_and_the_name_before_the_log_goes(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = RecordingPart(target, "call_1")
    part.begin(TAG, 3)
    part.write(b"one")
    part.checkpoint()
    steps: list[str] = []
    fsync, replace, unlink = os.fsync, Path.replace, Path.unlink

    def note(step: str, do: Callable[..., object]) -> Callable[..., object]:
        def noting(*args: object, **kwargs: object) -> object:
            steps.append(step)
            return do(*args, **kwargs)

        return noting

    monkeypatch.setattr(os, "fsync", note("fsync", fsync))
    monkeypatch.setattr(Path, "replace", note("replace", replace))
    monkeypatch.setattr(Path, "unlink", note("unlink", unlink))
    publish_alone(part)
    assert steps == ["fsync", "replace", "fsync", "unlink"]


@pytest.mark.parametrize("size", [1000, 2**20])
def test_a_part_that_another_program_has_cut_is_no_recording(tmp_path: Path, size: int) -> None:
    part = RecordingPart(tmp_path / "call.mp3", "call_1")
    part.begin('"v1"', size)
    part.write(bytes(size))
    with part.content() as data:
        assert len(data) == size
    os.truncate(part_of(tmp_path / "call.mp3"), size - 1)
    with pytest.raises(OSError, match="not there"), part.content():
        pass
    part.close()


def test_the_digest_is_of_what_came_whatever_another_program_does_to_the_file(tmp_path: Path) -> None:
    part = RecordingPart(tmp_path / "call.mp3", "call_1")
    part.begin('"v1"', len(DATA))
    part.write(DATA)
    part_of(tmp_path / "call.mp3").write_bytes(bytes(len(DATA)))
    assert part.sha256() == hashlib.sha256(DATA).hexdigest()
    part.close()
