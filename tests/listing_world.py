"""A model of the service's history of calls, and a driver that lists it while it changes; no sockets, no loop."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Protocol, TypeAlias

from krosai_calls._paging import Listing
from krosai_calls._seams import ListedPage, Row, Window
from krosai_calls.errors import DecodeError, KrosaiError, ListingInconsistentError
from krosai_calls.models import Call

MOST_READS = 5000

# Chooses one of so many; everything that may go one way or another is asked of it.
Pick: TypeAlias = Callable[[int], int]


class Tape:
    """Chooses by the bytes of a tape, and the first of all from its end on; a shorter tape is a simpler run."""

    def __init__(self, tape: bytes) -> None:
        self._tape = iter(tape)

    def __call__(self, count: int) -> int:
        return next(self._tape, 0) % count


class EveryWay:
    """Chooses every way, a run each."""

    def __init__(self) -> None:
        self._path: list[tuple[int, int]] = []
        self._place = 0

    def __call__(self, count: int) -> int:
        if self._place == len(self._path):
            self._path.append((0, count))
        chosen, again = self._path[self._place]
        assert again == count, "a run is not the same when it is played again"
        self._place += 1
        return chosen

    def runs(self) -> Iterator[None]:
        while True:
            self._place = 0
            yield
            while self._path and self._path[-1][0] + 1 == self._path[-1][1]:
                self._path.pop()
            if not self._path:
                return
            chosen, count = self._path.pop()
            self._path.append((chosen + 1, count))


@cache
def row_of(place: int, tied: int = 0, *, is_bad: bool = False) -> Row:
    """The row that stands at a place; calls share their instant with so many neighbours."""
    if is_bad:
        return DecodeError(path=str(place))
    return Call(
        str(place), created_at=datetime(2025, 1, 1, tzinfo=UTC) - timedelta(place // tied) if tied else None
    )


def place_of(row: Row) -> int:
    return int(row.id if isinstance(row, Call) else row.path)


class World:
    """The history: rows at places, in the order of the places, which never changes; between any two is room.

    Args:
        size: How many rows it begins with; they stand at every other place.
        start: The first place.
        tied: How many places share an instant; 0 where the service tells none.
        bad: Rows that cannot be read.

    Attributes:
        places: The rows that are there, in order.
        lasting: Those that have been there from the beginning.
    """

    def __init__(self, size: int, *, start: int = 0, tied: int = 0, bad: Iterable[int] = ()) -> None:
        self.places = list(range(start, start + 2 * size, 2))
        self.lasting = set(self.places)
        self._tied = tied
        self._bad = frozenset(bad)

    def toggle(self, place: int) -> None:
        """A row vanishes, or comes, or comes again."""
        index = bisect_left(self.places, place)
        if self.places[index : index + 1] == [place]:
            del self.places[index]
            self.lasting.discard(place)
        else:
            self.places.insert(index, place)

    def row(self, place: int) -> Row:
        return row_of(place, self._tied, is_bad=place in self._bad)


# What happens before an answer arrives: the places where rows come or vanish.
Weather: TypeAlias = Callable[[World, Pick], Sequence[int]]


def quiet(world: World, pick: Pick) -> Sequence[int]:
    return ()


def one_anywhere(world: World, pick: Pick) -> Sequence[int]:
    """Nothing, or one row comes or vanishes or comes again, at any place."""
    first, last = -1, max(world.places, default=0) + 1
    choice = pick(last - first + 2)
    return [first + choice - 1] if choice else ()


def storm(world: World, pick: Pick) -> Sequence[int]:
    """Now and then something: single rows, many at the head, a stretch that vanishes."""
    kind, size = pick(8), len(world.places)
    if kind < 3 or not size:
        return ()
    if kind == 6:
        return range(world.places[0] - 1 - pick(12), world.places[0])
    if kind == 7:
        start = pick(size)
        return world.places[start : start + 1 + pick(12)]
    first = world.places[0] - 1
    return [first + pick(world.places[-1] + 2 - first)]


@dataclass
class Answer:
    """What came for a window."""

    rows: tuple[Row, ...]
    total: int | None
    most: int


class Service(Protocol):
    """Answers a window from the world as it is."""

    world: World

    def read(self, window: Window, pick: Pick) -> Answer | KrosaiError: ...


# What a service says of its total, given the truth, the window and the number of rows that it gives.
TOTALS: dict[str, Callable[[int, Window, int], int | None]] = {
    "true": lambda size, window, rows: size,
    "none": lambda size, window, rows: None,
    "too high": lambda size, window, rows: size + 7,
    "enormous": lambda size, window, rows: 2**53 + 1,
    "zero": lambda size, window, rows: 0,
    "negative": lambda size, window, rows: -1,
    "too low": lambda size, window, rows: size // 2,
    "of the page": lambda size, window, rows: rows,
    "so far": lambda size, window, rows: window.offset + rows,
    "one more": lambda size, window, rows: window.offset + rows + 1,
    "now and then": lambda size, window, rows: None if window.offset % 2 else size,
}


@dataclass
class Honest:
    """A service that keeps to one order.

    Attributes:
        total: What it says of its total, a key of `TOTALS`.
        cap: How many rows it gives at most.
        echoes: Whether it says so.
    """

    world: World
    total: str = "true"
    cap: int | None = None
    echoes: bool = True

    def read(self, window: Window, pick: Pick) -> Answer | KrosaiError:
        limit = min(window.limit, self.cap or window.limit)
        places = self.world.places[window.offset : window.offset + limit]
        total = TOTALS[self.total](len(self.world.places), window, len(places))
        return Answer(tuple(map(self.world.row, places)), total, limit if self.echoes else window.limit)


class Lister(Protocol):
    """What the driver drives: `Listing`, or something worse."""

    ready: deque[ListedPage]
    is_over: bool

    def ask(self) -> Window | None: ...
    def receive(self, window: Window, rows: Sequence[Row], *, total: int | None, most: int) -> None: ...
    def fail(self, window: Window, error: KrosaiError) -> None: ...
    def dead_end(self) -> KrosaiError | None: ...
    def resume(self) -> None: ...


@dataclass
class Story:
    """What became of a listing.

    Attributes:
        rows: What was given, in order.
        windows: What was asked for, in order.
        most_kept: Windows under way, held and ready at most at a time.
        error: What it ended with, if with one.
        is_over: Whether it came to its end.
    """

    rows: list[Row] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    most_kept: int = 0
    error: KrosaiError | None = None
    is_over: bool = False

    @property
    def places(self) -> list[int]:
        return [place_of(row) for row in self.rows if isinstance(row, Call)]


@dataclass
class _Request:
    window: Window
    answer: Answer | KrosaiError | None = None


@dataclass
class Driver:
    """Lists a world as the client does, with every freedom that a network, a service and a caller have.

    Attributes:
        changes: How often the world may change.
        pauses: How often the caller may leave and go on later.
        pages: How many pages the caller takes at most.
    """

    listing: Lister
    service: Service
    pick: Pick
    weather: Weather = quiet
    changes: int = 0
    pauses: int = 0
    pages: int | None = None
    story: Story = field(default_factory=Story)
    _under_way: list[_Request] = field(default_factory=list)

    def run(self) -> Story:
        """List until the end, an error, or as many pages as the caller takes; on from where it stands."""
        self.listing.resume()
        self._under_way.clear()
        self.story.error = None
        for taken, page in enumerate(self._walk()):
            self.story.rows += page.rows
            if taken + 1 == self.pages:
                break
        return self.story

    def _walk(self) -> Iterator[ListedPage]:
        # As `_listing.walk` does it.
        listing = self.listing
        while True:
            self._ask()
            while not listing.ready and not listing.is_over:
                if (error := listing.dead_end()) is not None:
                    self.story.error = error
                    return
                assert self._under_way, "it waits for nothing, for ever"
                self._arrive()
                while self._under_way and self.pauses and self.pick(3) == 1:
                    self._arrive()  # several at once
                if not listing.ready:
                    self._ask()
            if not listing.ready:
                self.story.is_over = True
                return
            yield listing.ready.popleft()
            self._pause()

    def _ask(self) -> None:
        while (window := self.listing.ask()) is not None:
            self._under_way.append(_Request(window))
            self.story.windows.append(window)
            assert len(self.story.windows) < MOST_READS, "it asks for ever"
        held = len(self.listing._held) if isinstance(self.listing, Listing) else 0
        kept = len(self._under_way) + held + len(self.listing.ready)
        self.story.most_kept = max(self.story.most_kept, kept)

    def _arrive(self) -> None:
        self._change()
        self._pause()
        if not self._under_way:
            return
        request = self._under_way.pop(self.pick(len(self._under_way)))
        answer = self._read(request)
        if isinstance(answer, KrosaiError):
            self.listing.fail(request.window, answer)
        else:
            self.listing.receive(request.window, answer.rows, total=answer.total, most=answer.most)

    def _change(self) -> None:
        while self.changes and (places := list(self.weather(self.service.world, self.pick))):
            self.changes -= 1
            for request in self._under_way:
                if request.answer is None and self.pick(2):
                    self._read(request)
            for place in places:
                self.service.world.toggle(place)

    def _read(self, request: _Request) -> Answer | KrosaiError:
        if request.answer is None:
            request.answer = self.service.read(request.window, self.pick)
        return request.answer

    def _pause(self) -> None:
        if self.pauses and self.pick(6) == 1:
            self.pauses -= 1
            self._under_way.clear()
            self.listing.resume()
            self._ask()


def lost(story: Story, world: World) -> set[int]:
    """The calls that were there all the time and were not given."""
    return {place for place in world.lasting if isinstance(world.row(place), Call)} - set(story.places)


def check(story: Story, world: World) -> None:
    """What a listing guarantees, whatever happened."""
    assert len(set(story.places)) == len(story.places), "a call came twice"
    lasting = sorted(place for place in world.lasting if isinstance(world.row(place), Call))
    given = [place for place in story.places if place in world.lasting]
    assert given == lasting[: len(given)], "a call is missing among those that came, or stands in the wrong place"
    assert story.error is None or isinstance(story.error, ListingInconsistentError), repr(story.error)
    if story.is_over:
        assert given == lasting, "the listing ended and calls are missing"
