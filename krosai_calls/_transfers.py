"""The requests for one recording: links, redirects, retries and bounds, whatever its bytes are wanted for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from http import HTTPStatus

from attrs import frozen

from krosai_calls._bodies import StorageAnswer
from krosai_calls._bypass import Taker
from krosai_calls._links import Link
from krosai_calls._resume import Held, Judgement, Verdict, judge
from krosai_calls._retry import Failure, FailureKind
from krosai_calls._text import Secret
from krosai_calls._transport import Transport
from krosai_calls._wire import Answer, refusal
from krosai_calls.errors import (
    ApiError,
    DownloadError,
    IntegrityError,
    NotFoundError,
    RecordingGoneError,
    RequestTimeoutError,
    StreamInterruptedError,
)

MOST_REQUESTS = 200
# How often bytes that cannot be the recording are taken for a slip, and a part for out of date.
MOST_DOUBTS = 1
MOST_FRESH_STARTS = 3
# A body that drips is as good as one that stalls.
LEAST_BYTES_PER_SECOND = 1024
DRIP_SECONDS = 60.0


class Body:
    """What an answer of storage brings of a recording.

    Args:
        answer: The answer.
        judgement: What it means.
        call_id: Whose recording it is.
        clock: Seconds that never run backwards.

    Attributes:
        position: Where in the recording the next byte belongs.
    """

    def __init__(
        self, answer: StorageAnswer, judgement: Judgement, *, call_id: str, clock: Callable[[], float]
    ) -> None:
        self.judgement = judgement
        self.position = judgement.start
        self.content_type = answer.headers.get("content-type")
        self._answer = answer
        self._call_id = call_id
        self._clock = clock
        # The time that was waited, not the time that whoever reads takes for what came.
        self._waited = self._waits_since = 0.0
        self._watched_from = judgement.start
        self._taker: Taker | None = None

    async def read(self, taker: Taker | None = None) -> bytes:
        """The next bytes, however many arrived; empty at the end of what the answer promised.

        Args:
            taker: May take pieces in its place while this waits.

        Raises:
            StreamInterruptedError: It ended short, or came too slowly.
            RequestTimeoutError: Nothing came for too long.
            IntegrityError: More came than was promised.
        """
        stop, size = self.judgement.stop, self.judgement.size_bytes
        self._watch_the_rate()
        self._waits_since = self._clock()
        self._taker = taker
        try:
            piece = await self._answer.read(None if taker is None else self)
        except StreamInterruptedError as cut:
            cut.received, cut.expected = self.position, size
            raise
        self._note(piece)
        if self.position > stop:
            promised = stop - self.judgement.start
            raise IntegrityError(
                f"storage sent more than the {promised} bytes that it promised", call_id=self._call_id
            )
        if not piece and self.position < stop:
            raise StreamInterruptedError(
                f"the recording ended after {self.position} of {size} bytes", received=self.position, expected=size
            )
        return piece

    def room(self, most: int) -> memoryview:
        """Where the taker has the next piece put."""
        assert self._taker is not None
        return self._taker.room(most)

    def take(self, piece: memoryview) -> bool:
        """Pass a piece on to the taker."""
        assert self._taker is not None
        # A look at the rate is the reader's business.
        if self._waited >= DRIP_SECONDS or not self._taker.take(piece):
            return False
        self._note(piece)
        return True

    def _note(self, piece: bytes | memoryview) -> None:
        now = self._clock()
        self._waited += now - self._waits_since
        self._waits_since = now
        self.position += len(piece)

    def _watch_the_rate(self) -> None:
        if self._waited < DRIP_SECONDS:
            return
        came = self.position - self._watched_from
        if self.position < self.judgement.stop and came < self._waited * LEAST_BYTES_PER_SECOND:
            raise StreamInterruptedError(
                f"less than {LEAST_BYTES_PER_SECOND} bytes a second came for {self._waited:.0f} s",
                received=self.position,
                expected=self.judgement.size_bytes,
            )
        self._waited, self._watched_from = 0.0, self.position


@frozen
class Opened:
    """An answer that can be gone on with.

    Attributes:
        judgement: TAKE, APPEND or WHOLE.
        body: What it brings; None where nothing is left to come.
    """

    judgement: Judgement
    body: Body | None


class Transfer:
    """The requests for one recording, until all of it has come or nothing more is to be hoped for.

    Attempts are counted only while nothing new arrives: a byte further than ever, and all may be tried again.

    Args:
        transport: The way to the network.
        link: Where the recording is.
    """

    def __init__(self, transport: Transport, link: Link) -> None:
        self.link = link
        self._transport = transport
        self._attempts = transport.new_attempts()
        self._doubted: IntegrityError | RecordingGoneError | None = None
        self._requests = self._furthest = self._doubts = self._fresh_starts = 0

    async def open(self, held: Held, connection: AsyncExitStack) -> Opened:
        """Ask for what is missing, as often as the policy wants.

        Args:
            held: What is there; without a validator it counts for nothing.
            connection: Is given the connection, to be let go of by the caller.

        Raises:
            KrosaiError: Why it cannot be had.
        """
        if held.is_whole:
            return Opened(Judgement(Verdict.WHOLE, size_bytes=held.size_bytes, validator=held.validator), None)
        self._furthest = max(self._furthest, held.received)
        url = await self._current_link()
        while True:
            self._count_request()
            answer = await connection.enter_async_context(
                self._transport.storage(url, held.headers(), attempt=self._attempts.count + 1)
            )
            if isinstance(answer, Failure):
                await connection.aclose()
                await self._attempts.wait_or_raise(answer)
                url = await self._current_link()
                continue
            judgement = judge(held, answer.status, answer.headers, size_in_link=self.link.size_bytes)
            if judgement.verdict in (Verdict.TAKE, Verdict.APPEND):
                is_another = (judgement.validator, judgement.size_bytes) != (held.validator, held.size_bytes)
                if held.is_usable and is_another:
                    self._note_fresh_start()
                body = Body(answer, judgement, call_id=self.link.call_id, clock=self._transport.clock)
                return Opened(judgement, body)
            # The connection is let go of before anything is waited for.
            await connection.aclose()
            if judgement.verdict is Verdict.WHOLE:
                return Opened(judgement, None)
            if judgement.verdict is Verdict.START_OVER:
                held = Held()
                self._note_fresh_start()
            elif judgement.verdict is Verdict.FOLLOW:
                url = self.link.redirected(url, Secret(answer.headers["location"]))
                continue
            else:
                await self._get_over(judgement, answer)
            url = await self._current_link()

    async def _get_over(self, judgement: Judgement, answer: StorageAnswer) -> None:
        match judgement.verdict:
            case Verdict.RENEW_LINK:
                await self._renew_link(answer.status)
            case Verdict.MISSING:
                words = f"storage has no {self._what} any more"
                await self.doubt(RecordingGoneError(words, call_id=self.link.call_id))
            case Verdict.DOUBT:
                await self.doubt(self._broken(judgement.problem))
            case Verdict.WAIT if error := _refusal(answer):
                await self._attempts.wait_or_raise(Failure(FailureKind.REFUSED, error))
            case _:
                raise DownloadError(
                    f"storage answered {answer.status} instead of the {self._what}", call_id=self.link.call_id
                )

    async def _renew_link(self, status: int) -> None:
        try:
            await self.link.renew()
        except DownloadError as refused:
            if status != HTTPStatus.GONE:
                raise
            raise RecordingGoneError(f"the {self._what} is gone", call_id=self.link.call_id) from refused

    async def lost(self, cut: StreamInterruptedError | RequestTimeoutError, position: int) -> None:
        """Wait after a body that was broken off, until it is worth asking again.

        Args:
            cut: How it broke off.
            position: How far the recording has come.

        Raises:
            KrosaiError: It has come to nothing too often.
        """
        self.advanced(position)
        await self._attempts.wait_or_raise(Failure(FailureKind.LOST, cut))

    async def doubt(self, error: IntegrityError | RecordingGoneError) -> None:
        """Take nothing, or bytes that cannot be the recording, for a slip, and go for a fresh link.

        Raises:
            DownloadError: That was done before.
        """
        self._doubts += 1
        if self._doubts > MOST_DOUBTS:
            raise error
        self._doubted = error
        await self.link.renew()

    async def _current_link(self) -> Secret:
        try:
            return await self.link.current()
        except NotFoundError:
            if self._doubted is None:
                raise
        raise self._doubted  # the API knows no better

    def advanced(self, position: int) -> None:
        """Take note of how far the recording has come."""
        if position > self._furthest:
            self._furthest = position
            self.done()
            self.link.has_helped()

    def done(self) -> None:
        """Take note of a success: what was spent on the way to it does not count any more."""
        self._attempts.succeeded()
        self._attempts = self._transport.new_attempts()

    def _count_request(self) -> None:
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            raise DownloadError(
                f"the {self._what} has taken {MOST_REQUESTS} requests and is not whole: run again later",
                call_id=self.link.call_id,
            )

    def _note_fresh_start(self) -> None:
        self._fresh_starts += 1
        if self._fresh_starts > MOST_FRESH_STARTS:
            raise self._broken("it changes again and again while it comes")

    def _broken(self, problem: str) -> IntegrityError:
        return IntegrityError(f"the {self._what}: {problem}", call_id=self.link.call_id)

    @property
    def _what(self) -> str:
        return f"recording of call {self.link.call_id}"


def _refusal(answer: StorageAnswer) -> ApiError | None:
    # Of the headers those that speak of waiting; the others may repeat the signature that was sent.
    names = [name for name in ("retry-after", "date") if name in answer.headers]
    of_time: dict[str, str] = {name: answer.headers[name] for name in names}
    return refusal(Answer("GET", answer.url, answer.status, of_time))
