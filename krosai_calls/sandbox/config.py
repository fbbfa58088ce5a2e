"""What a sandbox can be told, and what is refused before anything is started."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from krosai_calls.errors import SettingsError
from krosai_calls.sandbox.checks import flag, number, whole
from krosai_calls.sandbox.clock import wall_clock
from krosai_calls.sandbox.dialect import Dialect
from krosai_calls.sandbox.journal import RecordedRequest
from krosai_calls.sandbox.limits import PLANS, UNLIMITED, Plan
from krosai_calls.sandbox.timeline import SHORTEST_CALL_SECONDS

MOST_CALLS = 1_000_000
LONGEST_RECORDING_SECONDS = 3600
# About a year's worth of the densest history; and a slot must hold a second of slack.
_FEWEST_HOURS_APART, _MOST_HOURS_APART = 0.001, 24.0 * 7


@dataclass(frozen=True, slots=True)
class Config:
    """The sandbox's parameters, checked. They are explained on ``Sandbox``."""

    calls: int
    seed: int
    plan: str | None
    now: datetime | None
    clock: Callable[[], datetime] | None
    link_ttl_seconds: float
    latency_seconds: float
    host: str
    port: int
    storage_port: int
    max_recording_seconds: int
    hours_between_calls: float
    real_time: bool
    on_request: Callable[[RecordedRequest], object] | None
    dialect: Dialect
    fault_rate: float

    def __post_init__(self) -> None:
        whole("calls", self.calls, 0, MOST_CALLS)
        whole("seed", self.seed, -(2**63), 2**63 - 1)
        whole("port", self.port, 0, 65_535)
        whole("storage_port", self.storage_port, 0, 65_535)
        whole(
            "max_recording_seconds",
            self.max_recording_seconds,
            SHORTEST_CALL_SECONDS,
            LONGEST_RECORDING_SECONDS,
        )
        number("link_ttl_seconds", self.link_ttl_seconds, 0, 7 * 86_400)
        number("latency_seconds", self.latency_seconds, 0, 3600)
        number("hours_between_calls", self.hours_between_calls, _FEWEST_HOURS_APART, _MOST_HOURS_APART)
        if self.plan is not None and self.plan not in PLANS:
            raise SettingsError(f"plan must be None or one of {', '.join(PLANS)}: {self.plan!r}")
        if self.port and self.port == self.storage_port:
            raise SettingsError("port and storage_port must differ: the API and the storage are two origins")
        _loopback(self.host)
        if self.now is not None and (not isinstance(self.now, datetime) or self.now.tzinfo is None):
            raise SettingsError("now must be a datetime with a time zone, such as datetime.now(timezone.utc)")
        if self.clock is not None and not callable(self.clock):
            raise SettingsError("clock must be a callable that gives the current UTC datetime")
        flag("real_time", self.real_time)
        number("fault_rate", self.fault_rate, 0, 1)
        if not isinstance(self.dialect, Dialect):
            raise SettingsError("dialect must be a krosai_calls.sandbox.Dialect")
        if self.on_request is not None and not callable(self.on_request):
            raise SettingsError("on_request must be a callable that takes a RecordedRequest")

    @property
    def world_now(self) -> datetime:
        """The moment the world is seen at; the hour's beginning where none was named."""
        if self.now is None:
            return wall_clock().replace(minute=0, second=0, microsecond=0)
        return self.now.astimezone(UTC)

    @property
    def rate_plan(self) -> Plan:
        """What the plan allows."""
        return UNLIMITED if self.plan is None else PLANS[self.plan]

    @property
    def spacing(self) -> timedelta:
        """The mean time between two calls, in whole seconds as the timeline needs it."""
        return timedelta(seconds=max(round(self.hours_between_calls * 3600), 2))


def _loopback(host: Any) -> None:
    try:
        fits = host == "localhost" or ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        fits = False
    if not fits:
        raise SettingsError(
            f"host must be a loopback address (127.0.0.1, ::1 or localhost), so that nobody else gets in: {host!r}"
        )
