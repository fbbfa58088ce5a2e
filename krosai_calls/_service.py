"""What the service can be asked: each question a request, its decoding, and what its answer leads to."""

from __future__ import annotations

import math
import uuid
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from yarl import URL

from krosai_calls import _arguments, _codec, _following, _hangup, _listing
from krosai_calls._download import Recordings, write_transcript
from krosai_calls._hangup import Step
from krosai_calls._paging import Listing
from krosai_calls._prospects import no_recording
from krosai_calls._seams import ListedPage, Row, Window
from krosai_calls._threads import run_to_the_end
from krosai_calls._transport import Transport
from krosai_calls._wire import Answer, Endpoint, Request
from krosai_calls.archive import CallSource
from krosai_calls.errors import (
    ApiError,
    ClientStateError,
    DecodeError,
    KrosaiError,
    NotFoundError,
    RecordingGoneError,
    RequestTimeoutError,
    TranscriptUnavailableError,
)
from krosai_calls.models import Call, CallEvent, CallStats, HangupResult, Page, RecordingLink


class CallsService:
    """The service behind a transport; ``AsyncCallsClient`` documents each verb.

    Args:
        transport: The way to the network.
        api_url: The API's address: links to recordings must not be less safe.
        most_at_once: Pages of a listing at most that are asked for at the same time.
    """

    def __init__(self, transport: Transport, *, api_url: URL, most_at_once: int) -> None:
        self._transport = transport
        self._most_at_once = most_at_once
        self.recordings = Recordings(transport, self._fresh_link, api_url=api_url)

    def iterate(
        self, filters: Mapping[str, object], page_size: int, max_items: int | None = None
    ) -> _listing.PageIterator:
        """The calls of a history; a wrong argument is an error here, not at the first step."""
        _arguments.filter_query(filters)
        _arguments.checked_limit(page_size, "page_size")
        wanted = _arguments.checked_max_items(max_items)
        listing = Listing(min(page_size, wanted or page_size), most_at_once=self._most_at_once, wanted=wanted)
        return _listing.PageIterator(lambda: self._walk(listing, filters), wanted)

    def _walk(
        self, listing: Listing, filters: Mapping[str, object], *, with_spare_rows: bool = False
    ) -> AsyncGenerator[ListedPage, None]:
        def request_for(window: Window) -> Request:
            return _arguments.list_request(filters, limit=window.limit, offset=window.offset)

        async def ask(window: Window) -> Answer:
            return await self._transport.fetch(request_for(window), lambda answer: answer)

        def read(window: Window, answer: Answer) -> tuple[Page, tuple[Row, ...]]:
            return _codec.decode_page(answer, limit=window.limit, offset=window.offset)

        async def ask_again(window: Window, unreadable: DecodeError) -> Answer:
            return await self._transport.fetch(
                request_for(window), lambda answer: read(window, answer) and answer, unreadable=unreadable
            )

        source = _listing.PageSource(ask, read, ask_again)
        return _listing.walk(listing, source, with_spare_rows=with_spare_rows)

    async def get_page(self, request: Request) -> tuple[Page, tuple[Row, ...]]:
        """One page, and its rows in order, each a call or the error that tells why it is none."""
        limit, offset = int(request.query["limit"]), int(request.query["offset"])
        return await self._transport.fetch(
            request, lambda answer: _codec.decode_page(answer, limit=limit, offset=offset)
        )

    async def get_call(self, call_id: str) -> Call:
        """One call in full."""
        request = _arguments.call_request(Endpoint.GET_CALL, call_id)
        return await self._transport.fetch(request, lambda answer: _codec.decode_call(answer, call_id))

    async def get_stats(self, filters: Mapping[str, object]) -> CallStats:
        """Aggregated figures."""
        return await self._transport.fetch(_arguments.stats_request(filters), _codec.decode_stats)

    async def list_events(self, call_id: str) -> list[CallEvent]:
        """A call's timeline."""
        request = _arguments.call_request(Endpoint.LIST_EVENTS, call_id)
        return await self._transport.fetch(request, _codec.decode_events)

    def watch_events(self, call_id: str, poll_seconds: float) -> AsyncGenerator[CallEvent, None]:
        """A call's events as they appear; a wrong argument is an error here, not at the first step."""
        _arguments.call_request(Endpoint.LIST_EVENTS, call_id)
        _arguments.checked_poll_seconds(poll_seconds)
        return self._watch_events(call_id, poll_seconds)

    async def _watch_events(self, call_id: str, poll_seconds: float) -> AsyncGenerator[CallEvent, None]:
        following = _following.Following()
        while following.step is not _following.Step.OVER:
            match following.step:
                case _following.Step.EVENTS:
                    for event in following.take_events(await self.list_events(call_id)):
                        yield event
                case _following.Step.CALL:
                    following.take_call(await self.get_call(call_id))
                case _:
                    await self._transport.sleep(poll_seconds)
                    following.waited()

    async def wait_until_ended(self, call_id: str, timeout_seconds: float | None, poll_seconds: float) -> Call:
        """The call, once it has ended."""
        request = _arguments.call_request(Endpoint.GET_CALL, call_id)
        _arguments.checked_poll_seconds(poll_seconds)
        _arguments.checked_timeout(timeout_seconds)
        seconds = math.inf if timeout_seconds is None else timeout_seconds
        deadline = self._transport.deadline_in(seconds)
        seen: Call | None = None
        late: RequestTimeoutError | None = None
        while (left := deadline - self._transport.clock()) > 0:
            try:
                seen = await self._transport.fetch(
                    request, lambda answer: _codec.decode_call(answer, call_id), deadline=deadline
                )
            except RequestTimeoutError as error:
                if not _following.is_too_late(deadline - self._transport.clock()):
                    raise
                late = error
                break
            if seen.has_ended:
                return seen
            left = deadline - self._transport.clock()
            await self._transport.sleep(_following.next_wait(poll_seconds, left))
        raise _following.not_ended_in_time(call_id, seconds, seen) from late

    async def get_recording(self, call_id: str) -> RecordingLink:
        """A fresh link."""
        request = _arguments.call_request(Endpoint.GET_RECORDING, call_id)
        return await self._transport.fetch(request, _codec.decode_recording)

    async def hang_up(self, call_id: str) -> HangupResult:
        """End a call; where it is open what came of the order, look at the call, and repeat it if need be."""
        request = _arguments.call_request(Endpoint.HANG_UP, call_id, idempotency_key=str(uuid.uuid4()))
        deadline = self._transport.deadline_in(_hangup.DEADLINE_SECONDS)
        in_doubt, attempts = False, 0
        seen: Call | KrosaiError | None = None
        for _ in range(_hangup.MOST_ROUNDS):
            try:
                return await self._transport.fetch(
                    request, lambda answer: _codec.decode_hang_up(answer, call_id), deadline=deadline
                )
            except KrosaiError as failed:
                failure = failed
            attempts += failure.attempts
            failure.attempts = attempts
            if _hangup.step_after(failure, in_doubt=in_doubt) is Step.RAISE:
                raise failure
            in_doubt = in_doubt or _hangup.leaves_doubt(failure)
            seen, looks = await self._look(call_id, deadline)
            attempts += looks
            step = _hangup.step_after_look(call_id, failure, seen)
            if isinstance(step, HangupResult):
                return step
            if step is Step.RAISE:
                raise failure
        raise _hangup.uncertain(call_id, seen, attempts=attempts)

    async def _look(self, call_id: str, deadline: float) -> tuple[Call | KrosaiError, int]:
        """How a call stands, or why that cannot be learnt; and how many requests it took."""
        request = _arguments.call_request(Endpoint.GET_CALL, call_id)
        try:
            return await self._transport.fetch(
                request, lambda answer: (_codec.decode_call(answer, call_id), answer.attempt), deadline=deadline
            )
        except ClientStateError:
            raise
        except KrosaiError as failed:
            return failed, failed.attempts

    async def save_transcript(self, call: Call | str, path: Path) -> Path:
        """A call's transcript to a file; it is asked for where the call does not carry it."""
        if not isinstance(call, Call) or not call.transcript:
            call = await self.get_call(call.id if isinstance(call, Call) else call)
        call_id, text = call.id, call.transcript
        if not text:
            words = f"call {call_id} has no transcript{'' if call.has_ended else ' yet: it is still going on'}"
            raise TranscriptUnavailableError(words, call_id=call_id, path=path)
        await run_to_the_end(lambda: write_transcript(call_id, text, path))
        return path

    def source(self, filters: Mapping[str, object]) -> CallSource:
        """What an archive takes from the service; a wrong filter is an error here, before a folder is made."""

        def pages(bounds: Mapping[str, object]) -> AsyncGenerator[ListedPage, None]:
            listing = Listing(_arguments.MAX_PAGE_SIZE, most_at_once=self._most_at_once)
            return self._walk(listing, {**filters, **bounds}, with_spare_rows=True)

        return CallSource(
            query=_arguments.filter_query(filters),
            pages=pages,
            first_page=lambda: self.get_page(
                _arguments.list_request(filters, limit=_arguments.MAX_PAGE_SIZE, offset=0)
            ),
            get_call=self.get_call,
            save_recording=lambda call, path: self.recordings.save(call, path, None),
            list_events=self.list_events,
            count_requests=self._transport.count_requests,
        )

    async def _fresh_link(self, call_id: str) -> RecordingLink:
        try:
            return await self.get_recording(call_id)
        except NotFoundError:
            pass
        except ApiError as refused:
            if refused.status != HTTPStatus.GONE:
                raise
            raise RecordingGoneError(f"the recording of call {call_id} is gone", call_id=call_id) from refused
        # A 404 says only that there is no recording; the call says whether one may still come.
        call = await self.get_call(call_id)
        if call.recording_url:
            return RecordingLink(url=call.recording_url)
        raise no_recording(call, datetime.now(UTC))
