"""The commands about a call that may still go on: events, wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING

import click

from krosai_calls.cli.display import after_of, cost_of, duration_of, text_of, time_of
from krosai_calls.cli.options import CommandT, how_long
from krosai_calls.cli.output import Column, Output, Table
from krosai_calls.cli.setup import Setup

if TYPE_CHECKING:
    from krosai_calls.client import AsyncCallsClient
    from krosai_calls.models import CallEvent

_EVENT_COLUMNS = (
    Column("time (UTC)"),
    Column("event"),
    Column("after", rank=1, is_number=True),
    Column("id", rank=2),
)
# As wide as the usual events are, so that those to come stand below them.
_USUAL_EVENT = ("2025-01-10 12:00:00", "transcription.completed", "+1h02m03s", "evt_0123456789ab")


def _poll(words: str) -> Callable[[CommandT], CommandT]:
    return click.option(
        "--poll",
        "poll_seconds",
        type=how_long,
        default="1s",
        show_default=True,
        metavar="TIME",
        help=words,
    )


@click.command("events", epilog="Example:  krosai-calls events call_abc123 --follow")
@click.argument("call_id", metavar="ID")
@click.option("--follow", "-f", is_flag=True, help="Show what happens next, too, until the call has ended.")
@_poll("With --follow: the time between two looks, each of which is an API request.")
@click.pass_obj
def events_command(setup: Setup, call_id: str, follow: bool, poll_seconds: float) -> int:
    """Show the timeline of a call, oldest first."""

    async def look(client: AsyncCallsClient) -> int:
        events = await client.list_events(call_id)
        writer = _EventWriter(setup.out)
        writer.write(events)
        if not events:
            setup.out.note("The call has no events.")
        return 0

    async def watch(client: AsyncCallsClient) -> int:
        writer = _EventWriter(setup.out, more_to_come=True)
        async with aclosing(client.watch_events(call_id, poll_seconds=poll_seconds)) as events:
            async for event in events:
                writer.write([event])
                setup.out.flush()
        setup.out.note("The call has ended.")
        return 0

    return setup.run(watch if follow else look)


@click.command(
    "wait", epilog="Example:  krosai-calls wait call_abc123 --timeout 10m && krosai-calls get call_abc123"
)
@click.argument("call_id", metavar="ID")
@click.option(
    "--timeout",
    "timeout_seconds",
    type=how_long,
    metavar="TIME",
    help="How long at most, such as 90s or 10m; it ends with 7 where the call goes on then.",
)
@_poll("The time between two looks, each of which is an API request.")
@click.pass_obj
def wait_command(setup: Setup, call_id: str, timeout_seconds: float | None, poll_seconds: float) -> int:
    """Wait until a call has ended, however that is, and show how."""
    from krosai_calls.cli.meters import shown
    from krosai_calls.cli.progress import WaitMeter

    async def job(client: AsyncCallsClient) -> int:
        async with shown(WaitMeter(text_of(call_id), time.monotonic), setup.out):
            call = await client.wait_until_ended(
                call_id, timeout_seconds=timeout_seconds, poll_seconds=poll_seconds
            )
        if setup.out.as_json:
            setup.out.data(call.to_dict())
        else:
            words = (text_of(call.status), duration_of(call.duration), cost_of(call.cost_cents))
            setup.out.line(f"{call.id}: {', '.join(words)}")
        return 0

    return setup.run(job, when_ended="the call goes on")


COMMANDS: tuple[click.Command, ...] = (events_command, wait_command)


class _EventWriter:
    """Writes events as they come: as JSON lines, or as rows of one table."""

    def __init__(self, out: Output, *, more_to_come: bool = False) -> None:
        self._out = out
        self._table = Table(out, _EVENT_COLUMNS, at_least=_USUAL_EVENT if more_to_come else ())
        self._start: datetime | None = None

    def write(self, events: list[CallEvent]) -> None:
        if self._out.as_json:
            for event in events:
                self._out.data(event.to_dict())
        elif events:
            self._table.add([self._row(event) for event in events])

    def _row(self, event: CallEvent) -> tuple[object, ...]:
        self._start = self._start or event.timestamp
        return (time_of(event.timestamp), event.type, after_of(event.timestamp, self._start), event.id)
