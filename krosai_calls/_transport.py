"""Requests on the wire: the retry loop, one exchange, and the bodies of storage.

The rules are elsewhere (what to retry in ``_retry``, how fast in ``_ration``, what an answer means in ``_wire``);
here they are carried out, watched and ended. Whatever goes wrong leaves as an error of ours that holds no object
of aiohttp.
"""

from __future__ import annotations

import asyncio
import math
import random as random_module
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import TypeVar

import aiohttp
from attrs import evolve
from yarl import URL

from krosai_calls._attempts import Attempts, Retrying
from krosai_calls._bodies import StorageAnswer, plain_headers, read_at_most
from krosai_calls._bypass import WORTH_BYTES, Bypasses
from krosai_calls._codec import undecodable
from krosai_calls._faults import FAULTS, failure_of, not_in_time
from krosai_calls._pace import Pace, PausedError
from krosai_calls._retry import Failure, FailureKind, RetryBudget
from krosai_calls._scopes import Scopes
from krosai_calls._sessions import USER_AGENT, Sessions
from krosai_calls._text import Secret, without_query
from krosai_calls._watch import Watch
from krosai_calls._wire import (
    LONGEST_PAUSE_SECONDS,
    Answer,
    BodyEncodingError,
    Request,
    decompressed,
    rate_hint,
    refusal,
    retry_after,
)
from krosai_calls.errors import ApiError, DecodeError, RateLimitedError
from krosai_calls.observing import Event, Origin, RequestsPaused, RequestStarted
from krosai_calls.settings import ClientSettings

T = TypeVar("T")


class Transport:
    """One client's way to the network.

    Args:
        settings: What the client is set to.
        pace: Lets the requests through.
        session: A session of the caller's for the API, never closed here; None for one of our own.
        on_event: Is told what happens, in records of ``observing``.
        sleep: Waits for seconds between attempts.
        random: Gives numbers from 0 up to 1 for the jitter.
        clock: Seconds that never run backwards.
        bypass_bytes: How large the bodies of storage are that are led past aiohttp.
    """

    def __init__(
        self,
        settings: ClientSettings,
        pace: Pace,
        *,
        session: aiohttp.ClientSession | None = None,
        on_event: Callable[[Event], object] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random_module.random,
        clock: Callable[[], float] = time.monotonic,
        bypass_bytes: int = WORTH_BYTES,
    ) -> None:
        self._settings = settings
        self._pace = pace
        self._sessions = Sessions(settings, session)
        self._scopes = Scopes()
        self._responses: set[aiohttp.ClientResponse] = set()
        self._bypasses = Bypasses(worth_bytes=bypass_bytes)
        self._clock = clock
        self._watch = Watch(on_event, base_path=settings.base_url.path, clock=clock)
        self._retrying = Retrying(
            settings.retry, RetryBudget(), self._scopes.bound(sleep), random, clock, self._watch.tell
        )

    async def fetch(
        self,
        request: Request,
        decode: Callable[[Answer], T],
        *,
        deadline: float | None = None,
        unreadable: DecodeError | None = None,
    ) -> T:
        """Send a request as often as the policy wants, and decode its answer.

        Args:
            request: What to ask.
            decode: Makes the answer's value, or raises DecodeError.
            deadline: When it has to be done, on the clock; None for no deadline.
            unreadable: Why the answer to a first attempt could not be read, where the caller found that out.

        Raises:
            KrosaiError: The last attempt's error; its ``attempts`` says how many there were.
        """
        attempts = self.new_attempts(is_repeatable=request.is_repeatable, deadline=deadline)
        if unreadable is not None:
            await attempts.wait_or_raise(Failure(FailureKind.GARBLED, unreadable))
        while True:
            async with self._scopes.entered():
                outcome = await self._attempt(request, decode, attempts)
            if not isinstance(outcome, Failure):
                attempts.succeeded()
                return outcome
            await attempts.wait_or_raise(outcome)

    @asynccontextmanager
    async def storage(
        self, link: Secret, headers: Mapping[str, str], *, attempt: int = 1
    ) -> AsyncIterator[StorageAnswer | Failure]:
        """Ask storage once for what stands behind a link; where no answer came, say why.

        Args:
            link: A presigned link; it goes out byte for byte, for its signature covers every one of them.
            headers: What to send besides; nothing of the API's ever goes to storage.
            attempt: Which of its verb's requests this is.
        """
        async with AsyncExitStack() as stack:
            async with self._scopes.entered():
                await stack.enter_async_context(self._pace.storage.passage())
                response = await self._ask_storage(link, headers, attempt)
            if isinstance(response, Failure):
                yield response
                return
            self._responses.add(response)
            stack.callback(self._responses.discard, response)
            await stack.enter_async_context(response)
            answer = StorageAnswer(response, self._scopes, self._bypasses)
            self._learn("storage", answer.status, answer.headers, None)
            yield answer

    def new_attempts(self, *, is_repeatable: bool = True, deadline: float | None = None) -> Attempts:
        """The attempts of one verb, to be counted from now on."""
        return Attempts(self._retrying, is_repeatable=is_repeatable, deadline=deadline)

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds that never run backwards."""
        return self._clock

    @property
    def sleep(self) -> Callable[[float], Awaitable[None]]:
        """Waits for seconds; closing the client ends the wait."""
        return self._retrying.sleep

    def deadline_in(self, seconds: float) -> float:
        """The moment so many seconds from now, on the transport's clock."""
        return self._clock() + seconds

    def count_requests(self) -> int:
        """How many API requests there have been, every attempt counted."""
        return self._pace.api_requests

    async def aclose(self) -> None:
        """End what is under way and close what was opened here; a second call does nothing.

        Raises:
            ClientStateError: The client belongs to another event loop.
        """
        if not self._scopes.may_close():
            return
        # Closing a session under a reader would leave the reader waiting; closing its answer wakes it.
        for response in tuple(self._responses):
            response.close()
        await self._scopes.close()
        await self._sessions.aclose()

    async def _attempt(self, request: Request, decode: Callable[[Answer], T], attempts: Attempts) -> T | Failure:
        endpoint, number = request.endpoint, attempts.count + 1
        started = RequestStarted("api", endpoint.method, endpoint.template, request.path, number)
        self._pace.require_budget()
        async with AsyncExitStack() as stack:
            not_let_through = await self._pass_gate(stack, request, attempts)
            if not_let_through is not None:
                return not_let_through
            self._pace.spend_request()
            with self._watch.exchange(started) as seen:
                seconds = min(self._settings.timeout_seconds, attempts.seconds_left())
                answer = seen.outcome = await self._answer(request, number, seconds)
            if isinstance(answer, Failure):
                return answer
            error = refusal(answer)
            self._learn("api", answer.status, answer.headers, error)
        if error is not None:
            return Failure(FailureKind.REFUSED, error)
        try:
            return decode(answer)
        except DecodeError as unreadable:
            return Failure(FailureKind.GARBLED, unreadable)

    async def _pass_gate(self, stack: AsyncExitStack, request: Request, attempts: Attempts) -> Failure | None:
        """Wait for the request's turn; where it does not come in time, say why."""
        left = attempts.seconds_left()
        where = f"{request.endpoint.method} {self._settings.base_url}{request.path}"
        if left <= 0:
            return Failure(FailureKind.NEVER_SENT, not_in_time(where))
        try:
            async with asyncio.timeout(None if left == math.inf else left):
                passage = self._pace.api.passage(patience=min(left, LONGEST_PAUSE_SECONDS))
                await stack.enter_async_context(passage)
            return None
        except PausedError as paused:
            pause = paused.seconds
        except TimeoutError:
            return Failure(FailureKind.NEVER_SENT, not_in_time(where))
        words = f"{where} was not sent: the service has asked for a pause, which lasts {pause:.1f} s more"
        return Failure(FailureKind.NEVER_SENT, RateLimitedError(words, status=429, retry_after=pause))

    async def _answer(self, request: Request, number: int, seconds: float) -> Answer | Failure:
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(request, number)
        except asyncio.CancelledError as ended:
            _strip(ended)
            raise
        except FAULTS as fault:
            return failure_of(fault, f"{request.endpoint.method} {self._settings.base_url}{request.path}")

    async def _exchange(self, request: Request, number: int) -> Answer | Failure:
        url = URL(f"{self._settings.base_url}{request.path}", encoded=True)
        async with self._sessions.api().request(
            request.endpoint.method,
            url.with_query({**self._settings.default_query, **request.query}),
            headers=self._sessions.api_headers(request),
            **self._sessions.api_options(url),
        ) as response:
            headers = plain_headers(response)
            answer = Answer(
                request.endpoint.method,
                str(url),
                response.status,
                headers,
                attempt=number,
                secret=self._settings.api_key,
            )
            return await self._with_body(answer, response)

    async def _with_body(self, answer: Answer, response: aiohttp.ClientResponse) -> Answer | Failure:
        most = self._settings.max_response_bytes
        try:
            body = await read_at_most(most, response)
            encoding = answer.headers.get("content-encoding", "")
            return evolve(answer, body=decompressed(body, encoding, max_bytes=most))
        except BodyEncodingError as fault:
            kind = FailureKind.UNFIT if fault.is_lasting else FailureKind.GARBLED
            failure = Failure(kind, undecodable(answer, fault.reason, str(fault)))
        return failure if answer.is_success else answer  # another status says enough by itself

    async def _ask_storage(
        self, link: Secret, headers: Mapping[str, str], number: int
    ) -> aiohttp.ClientResponse | Failure:
        shown = without_query(link.reveal())
        unsigned = URL(shown, encoded=True)
        with self._watch.exchange(RequestStarted("storage", "GET", "/", unsigned.raw_path, number)) as seen:
            try:
                response = await self._sessions.storage().get(
                    URL(link.reveal(), encoded=True),
                    headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
                    **self._sessions.storage_options(unsigned),
                )
            except asyncio.CancelledError as ended:
                _strip(ended)
                raise
            except FAULTS as fault:
                seen.outcome = failure_of(fault, f"GET {shown}")
                return seen.outcome
            # None of its headers: what they name may be the signature that was sent.
            seen.outcome = Answer("GET", shown, response.status, attempt=number)
        return response

    def _learn(self, origin: Origin, status: int, headers: Mapping[str, str], error: ApiError | None) -> None:
        asked = error.retry_after if error is not None else retry_after(headers)
        gate = self._pace.api if origin == "api" else self._pace.storage
        pause = gate.note(rate_hint(status, headers, asked, datetime.now(UTC)))
        if pause > 0:
            self._watch.tell(RequestsPaused(origin, pause))


def _strip(ended: asyncio.CancelledError) -> None:
    """Take the frames out of a cancellation that it came through: aiohttp's hold the key and the signed link."""
    ended.__traceback__ = ended.__context__ = None
