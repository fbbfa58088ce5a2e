"""Telling what happens on the wire: to the logger ``krosai_calls``, and to the caller's ``on_event``.

One line an exchange at DEBUG, retries and pauses at INFO. Nothing is configured here; a line holds method, path,
status, milliseconds, attempt and request id, and never a header or a query.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import evolve

from krosai_calls._callbacks import tell
from krosai_calls._retry import Failure
from krosai_calls._text import visible
from krosai_calls._wire import Answer, http_date, told_limit
from krosai_calls.observing import Event, RequestAnswered, RequestRetried, RequestsPaused, RequestStarted

_log = logging.getLogger("krosai_calls")


class Exchange:
    """One request and what came of it.

    Attributes:
        outcome: Set when it is known; None stays where the request was given up.
    """

    def __init__(self) -> None:
        self.outcome: Answer | Failure | None = None


class Watch:
    """Tells of what happens.

    Args:
        on_event: The caller's callable, or None.
        base_path: The path of the base URL, for log lines.
        clock: Seconds that never run backwards.
    """

    def __init__(
        self,
        on_event: Callable[[Event], object] | None,
        *,
        base_path: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_event = on_event
        self._base_path = base_path
        self._clock = clock

    @contextmanager
    def exchange(self, started: RequestStarted) -> Iterator[Exchange]:
        """Tell of a request's start and of its end, whichever way it ends."""
        seen = Exchange()
        begin = self._clock()
        self.tell(started)
        try:
            yield seen
        finally:
            seconds, is_watched = self._clock() - begin, self._on_event is not None
            self.tell(_ended(started, seen.outcome, seconds, is_watched=is_watched))

    def tell(self, event: Event) -> None:
        """Tell of one event."""
        match event:
            case RequestAnswered() if _log.isEnabledFor(logging.DEBUG):
                _log.debug("%s", self._line(event))
            case RequestRetried(attempt=attempt, delay_seconds=delay, error=error):
                _log.info("attempt %d failed, the next in %.2f s: %s", attempt, delay, visible(error))
            case RequestsPaused(origin=origin, seconds=seconds):
                _log.info("nothing goes to %s for %.2f s: it asked for a pause", origin, seconds)
        tell(self._on_event, event)

    def _line(self, event: RequestAnswered) -> str:
        request = event.request
        path = self._base_path + request.path if request.origin == "api" else request.path
        words = f"{request.method} {path} {event.error or event.status} in {event.seconds * 1000:.0f} ms"
        words += f", attempt {request.attempt}" + (f", {event.request_id}" if event.request_id else "")
        return visible(words)


def _ended(
    started: RequestStarted, outcome: Answer | Failure | None, seconds: float, *, is_watched: bool
) -> RequestAnswered:
    match outcome:
        case Answer():
            ended = RequestAnswered(started, outcome.status, seconds, outcome.request_id, None)
            if not is_watched:
                return ended  # reading a date takes longer than all the rest
            headers = outcome.headers
            return evolve(ended, rate_limit=told_limit(headers), server_time=http_date(headers.get("date", "")))
        case Failure():
            return RequestAnswered(started, None, seconds, None, str(outcome.error))
        case None:
            return RequestAnswered(started, None, seconds, None, "given up")
