"""What the commands' options mean: filters, spans of time, how many."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from krosai_calls.errors import InvalidArgumentError

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

_SPAN = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[mhdw])", re.ASCII)
_SIZE = re.compile(r"(?P<count>[0-9]{1,12}(\.[0-9]{1,6})?)(?P<unit>[kKMGT]?B?)", re.ASCII)
_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZES |= {unit[0]: size for unit, size in _SIZES.items() if len(unit) == 2}
_DURATION = re.compile(r"(?P<count>[0-9]{1,6}(\.[0-9]{1,3})?)(?P<unit>ms|[smhd])", re.ASCII)
_SHARE = re.compile(r"(?P<percent>[0-9]{1,3}(\.[0-9]{1,6})?)%", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def point_in_time(text: str, *, now: datetime) -> datetime | str:
    """The moment that ``--from`` or ``--to`` means: a span back from now, or ISO 8601 as it stands.

    Args:
        text: ``7d``, ``36h``, ``2025-01-10`` or ``2025-01-10T12:00:00Z``.
        now: The present, aware.
    """
    span = _SPAN.fullmatch(text)
    if span is None:
        return text
    try:
        return now - timedelta(**{_UNITS[span["unit"]]: int(span["count"])})
    except OverflowError:
        raise click.BadParameter(f"{text} reaches back before the calendar") from None


def how_many(text: str) -> int:
    """A count from 1 on; 0 stands for ``all``."""
    if text == "all":
        return 0
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise click.BadParameter(f"{text!r} is not a whole number from 1 on, and not 'all'")
    return int(text)


def how_much(text: str) -> int:
    """A number of bytes: 500MB, 2GB, 1048576; units are powers of 1000."""
    size = _SIZE.fullmatch(text)
    if size is None or not float(size["count"]):
        raise click.BadParameter(f"{text!r} is no size such as 500MB, 2GB or 1048576")
    return round(float(size["count"]) * _SIZES[size["unit"].upper()])


def how_long(text: str) -> float:
    """A number of seconds: 0.5s, 90s, 45m, 6h, 1d."""
    span = _DURATION.fullmatch(text)
    if span is None or not float(span["count"]):
        raise click.BadParameter(f"{text!r} is no length of time such as 90s, 45m or 6h")
    return float(span["count"]) * _SECONDS[span["unit"]]


def how_often(text: str) -> float:
    """A share from 0 to 1: 5%, 0.5%."""
    share = _SHARE.fullmatch(text)
    if share is None or float(share["percent"]) > 100:
        raise click.BadParameter(f"{text!r} is no share such as 5% or 0.5%")
    return float(share["percent"]) / 100


def _moment(text: str) -> datetime | str:
    from krosai_calls._arguments import checked_date

    try:
        return checked_date(point_in_time(text, now=datetime.now(UTC)))
    except InvalidArgumentError as wrong:
        raise click.BadParameter(f"{wrong}, and no span back such as 7d or 36h") from None


_RANGE_OPTIONS = (
    click.option("--phone-number-id", metavar="ID", help="Only calls over this number of the account."),
    click.option("--endpoint-id", metavar="ID", help="Only calls that this endpoint handled."),
    click.option(
        "--from",
        "from_date",
        type=_moment,
        metavar="WHEN",
        help="Only calls created then or later: 2025-01-10, 2025-01-10T12:00:00Z, or a span back: 7d, 36h.",
    ),
    click.option("--to", "to_date", type=_moment, metavar="WHEN", help="Only calls created then or earlier."),
)


def _known_statuses(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """The statuses that a shell offers; the service may have others."""
    from krosai_calls.models import CallStatus

    return [status.value for status in CallStatus if status.startswith(begun)]


_STATE_OPTIONS = (
    click.option(
        "--status",
        metavar="STATUS",
        shell_complete=_known_statuses,
        help="Only calls that stand like this: completed, failed, …",
    ),
    click.option("--direction", type=click.Choice(["inbound", "outbound"]), help="Only calls of this direction."),
)


def range_filters(command: CommandT) -> CommandT:
    """Adds the filters that statistics take."""
    for option in reversed(_RANGE_OPTIONS):
        command = option(command)
    return command


def filters(command: CommandT) -> CommandT:
    """Adds the filters that listings take."""
    for option in reversed((*_STATE_OPTIONS, *_RANGE_OPTIONS)):
        command = option(command)
    return command
