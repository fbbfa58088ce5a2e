"""Which failure is worth another attempt, and after how long. Pure: no clock, no sleep, no socket."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto

from attrs import frozen

from krosai_calls._wire import LONGEST_PAUSE_SECONDS
from krosai_calls.errors import ApiError, KrosaiError, RateLimitedError, SettingsError

LONGEST_DELAY_SECONDS = 86_400

# The service did not do it, or may do it now. 501 and the rest of 4xx will not change by asking again.
RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
# Refused before anything was done, so that even a POST may be sent again.
UNTOUCHED_STATUSES = frozenset({429, 503})


class FailureKind(Enum):
    """What went wrong, as far as trying again is concerned."""

    NEVER_SENT = auto()  # no connection: DNS, refused, connect timeout
    UNTRUSTED = auto()  # the certificate does not convince, the proxy refuses: nothing was sent, nor will be
    DROPPED = auto()  # closed or reset without a byte of an answer: often a connection that had been idle
    LOST = auto()  # cut within the answer
    TIMED_OUT = auto()  # too slow
    GARBLED = auto()  # no HTTP, or no content that can be read
    UNFIT = auto()  # content that would be the same the next time: too large, compressed in an unknown way
    REFUSED = auto()  # an answer with a status that is no success


@frozen
class Failure:
    """One failed attempt.

    Attributes:
        kind: What went wrong.
        error: What the caller gets if it is the last attempt.
    """

    kind: FailureKind
    error: KrosaiError


@frozen
class RetryPolicy:
    """How often and how patiently a request is repeated.

    The wait before attempt n is drawn from 0 to ``base_delay_seconds`` times 2 to the power of n - 2 (full
    jitter), at most ``max_delay_seconds``; after a 429 that names no time it is drawn from half of twice that on.
    A ``Retry-After`` of the service replaces it and is never undercut; one of more than 60 seconds ends the
    attempts.

    Attributes:
        max_attempts: Requests in all for one verb, the first included.
        base_delay_seconds: The longest wait before the second attempt.
        max_delay_seconds: The longest wait that is drawn.
    """

    max_attempts: int = 5
    base_delay_seconds: float = 0.5
    max_delay_seconds: float = 30.0

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot work."""
        if isinstance(self.max_attempts, bool) or not isinstance(self.max_attempts, int) or self.max_attempts < 1:
            raise SettingsError(f"max_attempts is {self.max_attempts!r}: it is a whole number from 1 on")
        for name in ("base_delay_seconds", "max_delay_seconds"):
            seconds = getattr(self, name)
            is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
            if not is_number or not 0 <= seconds <= LONGEST_DELAY_SECONDS:
                raise SettingsError(f"{name} is {str(seconds)[:20]}: it is a number of seconds from 0 to a day's")

    def delay_after(
        self,
        failure: Failure,
        *,
        attempt: int,
        is_repeatable: bool,
        random: Callable[[], float],
        time_left: float = math.inf,
    ) -> float | None:
        """Seconds to wait before the next attempt, or None where the failure is to be told.

        Args:
            failure: How the last attempt failed.
            attempt: Which one it was; the first is 1.
            is_repeatable: Whether sending the request twice is harmless.
            random: Gives numbers from 0 up to 1.
            time_left: Seconds until the verb has to be done.
        """
        if attempt >= self.max_attempts or not self._is_worth_repeating(failure, attempt, is_repeatable):
            return None
        if isinstance(failure.error, ApiError) and (failure.error.retry_after or 0.0) > LONGEST_PAUSE_SECONDS:
            return None
        delay = self._delay(failure, attempt, random)
        return delay if delay < time_left else None

    def _delay(self, failure: Failure, attempt: int, random: Callable[[], float]) -> float:
        if isinstance(failure.error, ApiError) and failure.error.retry_after is not None:
            return failure.error.retry_after
        if failure.kind is FailureKind.DROPPED and attempt == 1:
            return 0.0  # a fresh connection is all it takes (RFC 9112, 9.3.1)
        # The exponent is bounded: 2.0**1024 would overflow long after the ceiling is reached.
        growth = self.base_delay_seconds * 2.0 ** min(attempt - 1, 64)
        if isinstance(failure.error, RateLimitedError):
            # Full jitter may come to nothing, and asking again at once is the one wrong answer to "too many".
            return min(self.max_delay_seconds, 2 * growth) * (1 + random()) / 2
        return min(self.max_delay_seconds, growth) * random()

    @staticmethod
    def _is_worth_repeating(failure: Failure, attempt: int, is_repeatable: bool) -> bool:
        match failure.kind:
            case FailureKind.NEVER_SENT:
                return True
            case FailureKind.UNTRUSTED | FailureKind.UNFIT:
                return False
            case FailureKind.DROPPED | FailureKind.LOST | FailureKind.TIMED_OUT:
                return is_repeatable
            case FailureKind.GARBLED:
                return is_repeatable and attempt == 1  # once: it may have been a proxy's bad moment
            case FailureKind.REFUSED:
                status = failure.error.status if isinstance(failure.error, ApiError) else 0
                return status in (RETRIED_STATUSES if is_repeatable else UNTOUCHED_STATUSES)


class RetryBudget:
    """Bounds what a client repeats in all: where everything fails, retries only add to the load.

    Each retry costs tokens, dearer ones those that took long; a success gives them back, and one more.
    """

    CAPACITY = 100

    def __init__(self) -> None:
        self.tokens = self.CAPACITY

    @staticmethod
    def cost_of(failure: Failure) -> int:
        """What repeating after such a failure costs."""
        if isinstance(failure.error, RateLimitedError):
            return 1  # the service says when: waiting presses nobody
        return 10 if failure.kind is FailureKind.TIMED_OUT else 5

    def spend(self, cost: int) -> bool:
        """Take tokens for a retry; tells whether there were enough."""
        if cost > self.tokens:
            return False
        self.tokens -= cost
        return True

    def refund(self, spent: int) -> None:
        """Give back what a verb spent that has succeeded."""
        self.tokens = min(self.CAPACITY, self.tokens + spent + 1)
