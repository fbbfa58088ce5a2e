"""What can go wrong on purpose, and which request it befalls. Decided here, done in ``damage``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, TypeAlias, TypedDict

from krosai_calls.errors import SettingsError
from krosai_calls.sandbox import checks
from krosai_calls.sandbox.dice import Dice
from krosai_calls.sandbox.journal import ENDPOINTS, RecordedRequest
from krosai_calls.sandbox.ranges import http_date

MOST_PLANS = 1000
MOST_TIMES = 1_000_000
LONGEST_STALL_SECONDS = 3600.0
_MOST_BYTES = 2**40
_FINEST_RATE = 10_000


@dataclass(frozen=True, slots=True)
class Refuse:
    """An answer with a status, instead of what was asked for.

    Attributes:
        status: The status.
        retry_after: What ``Retry-After`` says, in seconds or as a date, or None for no such header.
    """

    status: int
    retry_after: float | datetime | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that come with it."""
        if self.retry_after is None:
            return {}
        if isinstance(self.retry_after, datetime):
            return {"Retry-After": http_date(self.retry_after)}
        return {"Retry-After": str(self.retry_after)}


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """A web page of something that stands in between, instead of what was asked for."""

    status: int = 200


@dataclass(frozen=True, slots=True)
class Stall:
    """Silence, before the answer or after so many bytes of its body."""

    seconds: float
    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """An end of the connection after so many bytes of the body; after none, not even the head was sent."""

    after_bytes: int
    by_reset: bool = False


@dataclass(frozen=True, slots=True)
class IgnoreRange:
    """The whole recording where a part was asked for."""


@dataclass(frozen=True, slots=True)
class WrongRange:
    """Another part of the recording than was asked for."""


@dataclass(frozen=True, slots=True)
class ReplaceRecording:
    """Another recording from now on, under the same link: other bytes, another entity tag."""


Fault: TypeAlias = Refuse | HtmlPage | Stall | Cut | IgnoreRange | WrongRange | ReplaceRecording


class FaultFields(TypedDict, total=False):
    """What can go wrong on purpose beside a refusal: one of these at a time.

    Attributes:
        retry_after: Goes with a status: what ``Retry-After`` says, in seconds or as a date.
        html_page: A web page comes instead, with 200 or the status.
        stall_seconds: Silence for so long before the answer.
        stall_after_bytes: Goes with it: the silence comes after so many bytes of the body instead.
        cut_after_bytes: The connection is closed after so many bytes of the body; 0: before there is an answer.
        reset_after_bytes: The same, with a reset.
        ignore_range: The whole recording comes where a part was asked for.
        wrong_range: Another part of the recording comes than was asked for.
        replace_recording: From now on another recording stands there, as long as the first.
    """

    retry_after: float | datetime
    html_page: bool
    stall_seconds: float
    stall_after_bytes: int
    cut_after_bytes: int
    reset_after_bytes: int
    ignore_range: bool
    wrong_range: bool
    replace_recording: bool


def one_fault(status: int | None, more: FaultFields) -> Fault:
    """Make the one fault that somebody asked for: a status, or something else.

    Raises:
        SettingsError: None, or several, or one that cannot be.
    """
    fields: dict[str, Any] = {**more} if status is None else {"status": status, **more}
    for name, value in fields.items():
        if name not in _CHECKS:
            raise SettingsError(f"fail_next knows no {name!r}: it knows {', '.join(_CHECKS)}")
        _CHECKS[name](name, value)
    told = {name for name, value in fields.items() if value is not False}
    kinds = told & _KINDS
    if kinds == {"status", "html_page"}:  # a page with a status
        kinds.remove("status")
    if len(kinds) != 1:
        found = ", ".join(sorted(kinds)) or "none"
        raise SettingsError(f"fail_next takes one fault at a time, such as status=503: {found}")
    (kind,) = kinds
    for name, companion in _COMPANIONS.items():
        if name in told and kind != companion:
            raise SettingsError(f"{name} goes with {companion}")
    return _make(kind, fields)


def _make(kind: str, fields: Mapping[str, Any]) -> Fault:
    match kind:
        case "status":
            if fields["status"] < 400:
                raise SettingsError(f"status must be from 400 to 599: {fields['status']}")
            return Refuse(fields["status"], fields.get("retry_after"))
        case "html_page":
            return HtmlPage(fields.get("status", 200))
        case "stall_seconds":
            return Stall(fields["stall_seconds"], fields.get("stall_after_bytes", 0))
        case "cut_after_bytes":
            return Cut(fields["cut_after_bytes"])
        case "reset_after_bytes":
            return Cut(fields["reset_after_bytes"], by_reset=True)
        case "ignore_range":
            return IgnoreRange()
        case "wrong_range":
            return WrongRange()
    return ReplaceRecording()


def _check_retry_after(name: str, value: Any) -> None:
    if not isinstance(value, datetime):
        checks.number(name, value, 0, 1e9)
    elif value.tzinfo is None:
        raise SettingsError(f"{name} must be seconds, or a datetime with a time zone: {value!r}")


def _check_bytes(name: str, value: Any) -> None:
    checks.whole(name, value, 0, _MOST_BYTES)


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "status": lambda name, value: checks.whole(name, value, 200, 599),
    "retry_after": _check_retry_after,
    "html_page": checks.flag,
    "stall_seconds": lambda name, value: checks.number(name, value, 0, LONGEST_STALL_SECONDS),
    "stall_after_bytes": _check_bytes,
    "cut_after_bytes": _check_bytes,
    "reset_after_bytes": _check_bytes,
    "ignore_range": checks.flag,
    "wrong_range": checks.flag,
    "replace_recording": checks.flag,
}
_COMPANIONS = {"retry_after": "status", "stall_after_bytes": "stall_seconds"}
_KINDS = _CHECKS.keys() - _COMPANIONS.keys()


@dataclass(frozen=True, slots=True)
class Target:
    """Which requests a fault befalls; None stands for any.

    Attributes:
        server: ``api`` or ``storage``.
        endpoint: What is asked for, as ``RecordedRequest.endpoint`` has it.
        path: A pattern for the path, with ``*`` for anything.
        method: The HTTP method.

    Raises:
        SettingsError: It can never meet a request.
    """

    server: str | None = None
    endpoint: str | None = None
    path: str | None = None
    method: str | None = None

    def __post_init__(self) -> None:
        if self.server is not None:
            checks.one_of("server", self.server, ("api", "storage"))
        if self.endpoint is not None:
            checks.one_of("endpoint", self.endpoint, ENDPOINTS)
        if self.path is not None and not (isinstance(self.path, str) and self.path[:1] in ("/", "*")):
            raise SettingsError(f"path must begin with '/' or '*': {self.path!r}")
        if self.method is not None:
            checks.one_of("method", self.method, ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

    def is_met_by(self, request: RecordedRequest) -> bool:
        """Tell whether a request is one of those."""
        return (
            self.server in (None, request.server)
            and self.endpoint in (None, request.endpoint)
            and self.method in (None, request.method)
            and (self.path is None or fnmatchcase(request.path, self.path))
        )


@dataclass(slots=True)
class _Plan:
    fault: Fault
    target: Target
    times_left: int | None


class Faults:
    """The faults that wait for their requests. May be used from any thread.

    Args:
        rate: The share of requests that meet a fault besides.
        seed: Which those are.
    """

    def __init__(self, rate: float, seed: int) -> None:
        self._rate = rate
        self._seed = seed
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget all plans."""
        with self._lock:
            self._plans: list[_Plan] = []
            self._requests = 0

    def plan(self, fault: Fault, target: Target, times: int | None) -> None:
        """Let a fault wait for its requests.

        Raises:
            SettingsError: The times make no sense, or too many plans wait.
        """
        if times is not None:
            checks.whole("times", times, 1, MOST_TIMES)
        with self._lock:
            if len(self._plans) >= MOST_PLANS:
                raise SettingsError(f"{MOST_PLANS:,} faults wait already: use times=, or reset the sandbox")
            self._plans.append(_Plan(fault, target, times))

    def take(self, request: RecordedRequest) -> Fault | None:
        """Give the fault that befalls a request, and count it; of several the one that has waited longest."""
        with self._lock:
            self._requests += 1
            for plan in self._plans:
                if plan.target.is_met_by(request) and _can_befall(plan.fault, request):
                    if plan.times_left is not None:
                        plan.times_left -= 1
                        if not plan.times_left:
                            self._plans.remove(plan)
                    return plan.fault
            dice = Dice(self._seed, self._requests, "fault")
            return _drawn(dice) if dice.below(_FINEST_RATE) < self._rate * _FINEST_RATE else None


def _can_befall(fault: Fault, request: RecordedRequest) -> bool:
    match fault:
        case IgnoreRange() | WrongRange():
            return request.endpoint == "recording" and "range" in request.headers
        case ReplaceRecording():
            return request.endpoint == "recording"
    return True


def _drawn(dice: Dice) -> Fault:
    faults: tuple[Fault, ...] = (
        Refuse(500),
        Refuse(502),
        Refuse(503, 0.1),
        Refuse(429, 0.1),
        HtmlPage(504),
        Cut(0, by_reset=True),
        Cut(dice.between(1, 50_000)),
        Cut(dice.between(1, 50_000), by_reset=True),
    )
    return dice.pick(faults)
