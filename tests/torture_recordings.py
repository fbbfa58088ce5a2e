"""What the torture downloads: recordings of which new versions are published, and how storage tells of them.

One rule keeps the lies of the torture fair. A strong ETag never stands over the bytes of two versions, nor does a
Last-Modified that is older than the Date beside it. A part of another version under the old strong ETag, with the
right range and total, is what no client can tell without a digest. Everything else can be told, and may come.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from email.utils import formatdate
from random import Random
from typing import Literal

from raw_server import Request

# MPEG 1 layer III, 128 kbit/s, 48 kHz, mono: 384 bytes for 24 ms, without padding.
FRAME_BYTES = 384
FRAME_SECONDS = 0.024
_FRAME_HEADER = b"\xff\xfb\x94\xc4"
_FRAME_LABEL = re.compile(rb"call_\d+ version (\d+) frame (\d+);")
_FIRST_MOMENT = 1_750_000_000

Framing = Literal["length", "chunked", "close"]
Then = Literal["keep", "close", "reset", "hang"]


def mp3(name: str, version: int, frames: int, random: Random) -> bytes:
    """A valid MP3 of noise; no frame of it is like one of another version."""
    made = []
    for index in range(frames):
        start = _FRAME_HEADER + f"{name} version {version} frame {index};".encode()
        made.append(start + random.randbytes(FRAME_BYTES - len(start)).replace(b"\xff", b"\xfe"))
    return b"".join(made)


def versions_in(data: bytes) -> set[int]:
    """Whose frames a file holds."""
    return {int(label[1]) for label in _FRAME_LABEL.finditer(data)}


def story(data: bytes) -> str:
    """What a file is made of, for whoever has to find out how it came to that."""
    runs: list[tuple[int, int, int]] = []
    for label in _FRAME_LABEL.finditer(data):
        version, frame = int(label[1]), int(label[2])
        if runs and runs[-1][0] == version and runs[-1][2] + 1 == frame:
            runs[-1] = (version, runs[-1][1], frame)
        else:
            runs.append((version, frame, frame))
    told = [f"frames {first}-{last} of version {version}" for version, first, last in runs[:8]]
    return f"{len(data)} bytes: {', '.join(told) or repr(data[:40])}"


@dataclass(frozen=True)
class Version:
    """What stood behind a recording's link from some moment on."""

    number: int
    body: bytes
    etag: str
    modified: int

    @property
    def sha256(self) -> str:
        """What a file with these bytes hashes to."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True)
class Asked:
    """The condition and the range of a request; the range is all of the file where none was asked for."""

    start: int
    last: int | None
    has_range: bool
    condition: str | None

    @staticmethod
    def of(request: Request) -> Asked:
        """Read them."""
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", "".join(request.values("range")))
        condition = next(iter(request.values("if-range")), None)
        if found is None:
            return Asked(0, None, has_range=False, condition=condition)
        return Asked(int(found[1]), int(found[2]) if found[2] else None, has_range=True, condition=condition)


@dataclass
class Reply:
    """An answer of storage, and how it goes onto the wire: cut, then closed or left hanging, slowly or not."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    about: str = ""
    framing: Framing = "length"
    cut: int | None = None
    then: Then = "keep"
    piece_bytes: int = 1 << 18
    pause_seconds: float = 0.0


@dataclass(frozen=True)
class Mood:
    """How often storage lies about a recording, and how often it breaks off; there are quiet times, too."""

    lies: float
    cuts: float


class Recording:
    """A recording, the versions of it that were published, and the clock of the storage that holds it.

    Attributes:
        clock: What the storage's clock says; it only ever goes on, and dates are told by it.
        mood: How storage treats it until the next version.
        habit: Whether storage tells a strong ETag, a weak one, no more than a date, or nothing.
    """

    def __init__(self, name: str, random: Random, *, frames: tuple[int, int], habit: str | None = None) -> None:
        self.name = name
        self.random = random
        self.clock = _FIRST_MOMENT
        self.habit = habit or random.choices(["strong", "weak", "date", "nothing"], [6, 1, 3, 1])[0]
        self.versions: list[Version] = []
        self._frames = frames
        self._tags = 0
        self.publish()

    @property
    def current(self) -> Version:
        """The version that a link leads to now."""
        return self.versions[-1]

    @property
    def duration_seconds(self) -> float:
        """How long the current version plays."""
        return len(self.current.body) / FRAME_BYTES * FRAME_SECONDS

    def publish(self) -> None:
        """Put another version in place: of the same size as often as not, and perhaps in the same second."""
        self.mood = Mood(self.random.choice([0.1, 0.3, 0.6]), self.random.choice([0.2, 0.5, 0.8]))
        frames = self.random.randint(*self._frames)
        if self.versions and self.random.random() < 0.5:
            frames = len(self.current.body) // FRAME_BYTES
        number = len(self.versions) + 1
        body = mp3(self.name, number, frames, self.random)
        self.versions.append(Version(number, body, self.new_tag(), self.clock))

    def new_tag(self) -> str:
        """A strong ETag that was never given before."""
        self._tags += 1
        return f'"{self.name}-{self._tags}-{self.random.getrandbits(64):016x}"'

    def labels(self, version: Version) -> dict[str, str]:
        """The headers that tell a version from others, true ones, as storage has the habit of giving them."""
        labels = {"Date": _http_date(self.clock)}
        if self.habit == "strong":
            labels["ETag"] = version.etag
        elif self.habit == "weak":
            labels["ETag"] = f'W/"{self.name}"'
        if self.habit != "nothing" and self._is_dated(version):
            labels["Last-Modified"] = _http_date(version.modified)
        return labels

    def _is_dated(self, version: Version) -> bool:
        # An old version may be served late. Its date must then not be one that a newer version has, too.
        return version is self.current or all(
            other.modified != version.modified for other in self.versions if other is not version
        )

    def whole(self, version: Version) -> Reply:
        """All of a version."""
        return Reply(200, self.labels(version), version.body, f"200 with version {version.number}")

    def piece(self, version: Version, start: int, last: int) -> Reply:
        """A part of a version, from one byte to another."""
        size = len(version.body)
        headers = self.labels(version) | {"Content-Range": f"bytes {start}-{last}/{size}"}
        about = f"206 with {start}-{last}/{size} of version {version.number}"
        return Reply(206, headers, version.body[start : last + 1], about)

    def honest(self, asked: Asked) -> Reply:
        """What a storage without fault answers."""
        labels = self.labels(self.current)
        is_met = asked.condition in (None, labels.get("ETag"), labels.get("Last-Modified"))
        if not asked.has_range or not is_met or (asked.condition or "").startswith("W/"):
            return self.whole(self.current)
        return self.unconditional(asked)

    def unconditional(self, asked: Asked) -> Reply:
        """What a storage answers that never looks at If-Range; it is fair, for the part bears its own labels."""
        size = len(self.current.body)
        if asked.start >= size:
            return Reply(416, {"Content-Range": f"bytes */{size}"}, about=f"416 with */{size}")
        return self.piece(self.current, asked.start, min(size - 1, size if asked.last is None else asked.last))


def _http_date(moment: int) -> str:
    return formatdate(moment, usegmt=True)
