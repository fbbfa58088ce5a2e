"""What a sandbox can be told, and what is refused before anything is started."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from krosai_calls.errors import SettingsError
from krosai_calls.sandbox.limits import PLANS, UNLIMITED, Plan
from krosai_calls.sandbox.timeline import SHORTEST_CALL_SECONDS

MOST_CALLS = 1_000_000
LONGEST_RECORDING_SECONDS = 3600
# About a year's worth of the densest history; and a slot must hold a second of slack.
_FEWEST_HOURS_APART, _MOST_HOURS_APART = 0.001, 24.0 * 7


def wall_clock() -> datetime:
    """Tell the current time, in UTC."""
    return datetime.now(UTC)


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

    def __post_init__(self) -> None:
        _whole("calls", self.calls, 0, MOST_CALLS)
        _whole("seed", self.seed, -(2**63), 2**63 - 1)
        _whole("port", self.port, 0, 65_535)
        _whole("storage_port", self.storage_port, 0, 65_535)
        _whole(
            "max_recording_seconds",
            self.max_recording_seconds,
            SHORTEST_CALL_SECONDS,
            LONGEST_RECORDING_SECONDS,
        )
        _number("link_ttl_seconds", self.link_ttl_seconds, 0, 7 * 86_400)
        _number("latency_seconds", self.latency_seconds, 0, 3600)
        _number("hours_between_calls", self.hours_between_calls, _FEWEST_HOURS_APART, _MOST_HOURS_APART)
        if self.plan is not None and self.plan not in PLANS:
            raise SettingsError(f"plan must be None or one of {', '.join(PLANS)}: {self.plan!r}")
        if self.port and self.port == self.storage_port:
            raise SettingsError("port and storage_port must differ: the API and the storage are two origins")
        _loopback(self.host)
        if self.now is not None and (not isinstance(self.now, datetime) or self.now.tzinfo is None):
            raise SettingsError("now must be a datetime with a time zone, such as datetime.now(timezone.utc)")
        if self.clock is not None and not callable(self.clock):
            raise SettingsError("clock must be a callable that gives the current UTC datetime")

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


def _whole(name: str, value: Any, lowest: int, highest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise SettingsError(f"{name} must be a whole number from {lowest:,} to {highest:,}: {value!r}")


def _number(name: str, value: Any, lowest: float, highest: float) -> None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or not lowest <= value <= highest:
        raise SettingsError(f"{name} must be a number from {lowest:,} to {highest:,}: {value!r}")


def _loopback(host: Any) -> None:
    try:
        fits = host == "localhost" or ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        fits = False
    if not fits:
        raise SettingsError(
            f"host must be a loopback address (127.0.0.1, ::1 or localhost), so that nobody else gets in: {host!r}"
        )
