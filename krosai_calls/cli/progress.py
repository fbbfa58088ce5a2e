"""What is said of work under way: how far, how fast, for how long still, what is left of the day. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from krosai_calls._report import DAILY_REQUESTS
from krosai_calls.cli.charts import Glyphs, share_bar
from krosai_calls.cli.display import count_of, duration_of, size_of

if TYPE_CHECKING:
    from krosai_calls.archive import ArchiveReport
    from krosai_calls.observing import Event

# Which plan a limit of requests a second means (the service's page on rate limits), and its requests a day.
_PLAN_BY_RATE: Mapping[float, str] = {10: "free", 50: "pro", 200: "business"}
DAILY_BY_RATE: Mapping[float, int] = {rate: DAILY_REQUESTS[plan] for rate, plan in _PLAN_BY_RATE.items()}

_WINDOW_SECONDS = 15.0
_LEAST_SECONDS = 2.0  # before that a speed is a guess
_MOST_SAMPLES = 120
MOST_BARS = 8
_BAR_CELLS = 24


class Speed:
    """How much a second came in, over the last while.

    Args:
        now: Seconds on a clock that never runs backwards.
    """

    def __init__(self, now: float) -> None:
        self._samples: deque[tuple[float, float]] = deque([(now, 0.0)], maxlen=_MOST_SAMPLES)

    def note(self, now: float, amount: float) -> None:
        """Take note of how much there is in all."""
        if len(self._samples) > 1 and now - self._samples[-2][0] < _WINDOW_SECONDS / _MOST_SAMPLES:
            self._samples.pop()
        self._samples.append((now, amount))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _WINDOW_SECONDS:
            self._samples.popleft()

    @property
    def per_second(self) -> float | None:
        """How much a second; None where it is too early to say."""
        (start, before), (end, after) = self._samples[0], self._samples[-1]
        return max(0.0, after - before) / (end - start) if end - start >= _LEAST_SECONDS else None

    def seconds_for(self, rest: float) -> float | None:
        """How long the rest takes at this speed; None where nobody can tell."""
        speed = self.per_second
        return rest / speed if speed and rest > 0 and rest / speed < 100 * 86_400 else None


class Quota:
    """What is known of the day's requests: those made here, and the limit of a plan that an answer gave away."""

    def __init__(self) -> None:
        self._made = 0
        self._day: date | None = None
        self._daily: int | None = None

    def note(self, event: Event) -> None:
        """Take in what happened on the wire."""
        from krosai_calls.observing import RequestAnswered, RequestStarted

        match event:
            case RequestStarted(origin="api"):
                today = datetime.now(UTC).date()  # a day's quota turns by UTC
                self._made = self._made + 1 if today == self._day else 1
                self._day = today
            case RequestAnswered(rate_limit=limit) if limit is not None and limit.limit is not None:
                self._daily = DAILY_BY_RATE.get(limit.limit)

    @property
    def words(self) -> str:
        """What is left today. Others may use the same key, so that it is a bound; empty where nobody can tell."""
        return "" if self._daily is None else f"at most {max(0, self._daily - self._made):,} left today"


@dataclass(frozen=True)
class Piece:
    """A few words of a line.

    Attributes:
        words: The words; empty ones are left out.
        rank: How dispensable they are: where a line does not fit, the highest rank goes first.
    """

    words: str
    rank: int = 0


def fitted(pieces: Iterable[Piece], room: int, gap: str = "  ") -> str:
    """The pieces in a line of so many cells; the most dispensable are left out, and the rest is cut."""
    kept = [piece for piece in pieces if piece.words]
    while len(kept) > 1 and len(gap.join(piece.words for piece in kept)) > room:
        kept.remove(max(kept, key=lambda piece: piece.rank))
    return gap.join(piece.words for piece in kept)[: max(0, room)]


def _speed_words(speed: Speed) -> str:
    per_second = speed.per_second
    return "" if per_second is None else f"{size_of(round(per_second))}/s"


def _left_words(seconds: float | None) -> str:
    return "" if seconds is None else f"{duration_of(seconds)} left"


class WaitMeter:
    """How long a call has been waited for.

    Args:
        call_id: The call.
        clock: Seconds that never run backwards.
    """

    def __init__(self, call_id: str, clock: Callable[[], float]) -> None:
        self._call_id = call_id
        self._clock = clock
        self._since = clock()

    def lines(self, room: int, most: int, glyphs: Glyphs) -> list[str]:
        """What is shown in so many columns and lines at most."""
        return [self.line()[:room]]

    def line(self) -> str:
        """The same in a line for a file."""
        return f"{duration_of(self._clock() - self._since)}: waiting for call {self._call_id} to end"


class ArchiveMeter:
    """How an archive run gets on.

    Args:
        now: Seconds on a clock that never runs backwards.
        quota: What is known of the day's requests.
    """

    def __init__(self, now: float, quota: Quota) -> None:
        self._quota = quota
        self._bytes = Speed(now)
        self._recordings = Speed(now)
        self._report: ArchiveReport | None = None

    def note(self, report: ArchiveReport, now: float) -> None:
        """Take in how far it is."""
        self._report = report
        self._bytes.note(now, report.bytes_downloaded)
        self._recordings.note(now, report.recordings_saved + report.recordings_failed)

    def lines(self, room: int, most: int, glyphs: Glyphs) -> list[str]:
        """What is shown in so many columns and lines at most."""
        pieces = self._pieces()
        share = self._share()
        bar = "" if share is None or room < 2 * _BAR_CELLS else share_bar(share, _BAR_CELLS, glyphs)
        return [fitted((Piece(bar, 5), *pieces[:2]), room), fitted(pieces[2:], room)][:most]

    def line(self) -> str:
        """The same in a line for a file."""
        return ", ".join(piece.words for piece in self._pieces() if piece.words)

    def _share(self) -> float | None:
        report = self._report
        if report is None:
            return None
        done = report.recordings_saved + report.recordings_failed
        in_all = done + report.recordings_left
        return done / in_all if in_all else None

    def _pieces(self) -> list[Piece]:
        report = self._report
        if report is None:
            return [Piece("asking for the first page"), Piece(""), Piece("")]
        total = report.calls_total if report.calls_total and report.calls_total > report.calls_seen else None
        done = report.recordings_saved
        in_all = done + report.recordings_left
        return [
            Piece(f"{done:,} of {count_of(in_all, 'recording')}" if in_all else "no recording to fetch yet"),
            Piece(f"{report.calls_seen:,}{f' of {total:,}' if total else ''} calls looked at", 2),
            Piece(size_of(report.bytes_downloaded)),
            Piece(_speed_words(self._bytes), 2),
            Piece(self._time_left(report, total), 1),
            Piece(count_of(report.requests, "request"), 4),
            Piece(self._quota.words, 3),
            Piece(f"{len(report.failures):,} failed" if report.failures else "", 1),
        ]

    def _time_left(self, report: ArchiveReport, total: int | None) -> str:
        """How long the recordings take; while pages are to come, as if those held as many as the ones before."""
        rest: float = report.recordings_left
        if total is None or not report.calls_seen:
            return _left_words(self._recordings.seconds_for(rest))
        known = report.recordings_saved + report.recordings_failed + report.recordings_left
        rest += (total - report.calls_seen) * known / report.calls_seen
        words = _left_words(self._recordings.seconds_for(rest))
        return words and f"about {words}"


@dataclass
class _File:
    received: int = 0
    size: int | None = None
    first: int | None = None  # what an earlier run had brought


@dataclass
class DownloadMeter:
    """How several downloads get on.

    Attributes:
        wanted: How many there are.
        now: Seconds on a clock that never runs backwards, at first.
        quota: What is known of the day's requests.
    """

    wanted: int
    now: float
    quota: Quota
    _files: dict[str, _File] = field(default_factory=dict)
    _done: int = 0
    _failed: int = 0
    _settled_bytes: int = 0
    _settled_size: int = 0

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self._speed = Speed(self.now)

    def note(self, name: str, received: int, size: int | None, now: float) -> None:
        """Take in how far one is."""
        file = self._files.setdefault(name, _File())
        if file.first is None or received < file.first:
            file.first = received
        file.received, file.size = received, size
        self._speed.note(now, self._came)

    def ended(self, name: str, now: float, *, failed: bool) -> None:
        """Take in that one has ended."""
        file = self._files.pop(name, _File())
        self._settled_bytes += file.received - (file.first or 0)
        self._settled_size += file.received
        self._done, self._failed = self._done + (not failed), self._failed + failed
        self._speed.note(now, self._came)

    @property
    def _came(self) -> int:
        return self._settled_bytes + sum(file.received - (file.first or 0) for file in self._files.values())

    def lines(self, room: int, most: int, glyphs: Glyphs) -> list[str]:
        """What is shown in so many columns and lines at most: each that is coming in, and all of them."""
        shown = list(self._files.items())[: max(0, min(MOST_BARS, most - 2))]
        width = max((len(name) for name, _ in shown), default=0)
        lines = [_file_line(f"{name:<{width}}", file, room, glyphs) for name, file in shown]
        if len(self._files) > len(shown) > 0:
            lines.append(f"and {len(self._files) - len(shown):,} more"[:room])
        return [*lines, fitted(self._pieces(), room)]

    def line(self) -> str:
        """The same in a line for a file."""
        return ", ".join(piece.words for piece in self._pieces() if piece.words)

    def _pieces(self) -> Sequence[Piece]:
        received = self._settled_size + sum(file.received for file in self._files.values())
        return (
            Piece(f"{self._done:,} of {count_of(self.wanted, 'recording')}"),
            Piece(size_of(received), 1),
            Piece(_speed_words(self._speed), 2),
            Piece(_left_words(self._seconds_left()), 1),
            Piece(self.quota.words, 3),
            Piece(f"{self._failed:,} failed" if self._failed else "", 1),
        )

    def _seconds_left(self) -> float | None:
        """How long the rest takes, where it is known how much that is."""
        begun = self._done + self._failed + len(self._files)
        if begun < self.wanted:
            return None
        rest = 0.0
        for file in self._files.values():
            rest += math.inf if file.size is None else file.size - file.received
        return None if math.isinf(rest) else self._speed.seconds_for(rest)


def _file_line(name: str, file: _File, room: int, glyphs: Glyphs) -> str:
    if not file.size:
        return fitted((Piece(name), Piece(size_of(file.received), 1)), room)
    share = file.received / file.size
    cells = min(_BAR_CELLS, room - len(name) - len("  100%  999.9 of 999.9 MB") - 2)
    bar = share_bar(share, cells, glyphs) if cells >= 4 else ""
    amount = f"{size_of(file.received)} of {size_of(file.size)}"
    return fitted((Piece(name), Piece(bar, 3), Piece(f"{share:4.0%}", 1), Piece(amount, 2)), room)
