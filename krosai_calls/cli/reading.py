"""The commands that only look: list, get, stats, events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from krosai_calls.cli.display import cost_of, count_of, duration_of, text_of, time_of
from krosai_calls.cli.options import filters, how_many, range_filters
from krosai_calls.cli.output import Column, Output
from krosai_calls.cli.setup import Setup

if TYPE_CHECKING:
    from krosai_calls.client import AsyncCallsClient
    from krosai_calls.models import Call, CallStats

_CALL_COLUMNS = (
    Column("created (UTC)", rank=1),
    Column("", rank=3),
    Column("from", rank=2),
    Column("to", rank=2),
    Column("status", rank=1),
    Column("length", rank=4, is_number=True),
    Column("cost", rank=5, is_number=True),
    Column("recording", rank=6),
    Column("id"),
)


@click.command("list", epilog="Example:  krosai-calls list --status completed --from 7d --max-items all")
@filters
@click.option(
    "--max-items", type=how_many, default="50", show_default=True, metavar="N|all", help="How many calls at most."
)
@click.pass_obj
def list_command(setup: Setup, /, max_items: int, **filters: Any) -> int:
    """List calls, newest first."""

    async def job(client: AsyncCallsClient) -> int:
        calls = []
        async for call in client.iter_calls(max_items=max_items or None, **filters):
            if setup.out.as_json:
                setup.out.data(call.to_dict())
            calls.append(_call_row(call))
        if not setup.out.as_json and calls:
            setup.out.table(_CALL_COLUMNS, calls)
        if not calls:
            setup.out.note("No call matches.")
        elif len(calls) == max_items:
            setup.out.note(f"The first {count_of(max_items, 'call')}; there may be more: --max-items all")
        return 0

    return setup.run(job)


@click.command("get", epilog="Example:  krosai-calls get call_abc123")
@click.argument("call_id", metavar="ID")
@click.pass_obj
def get_command(setup: Setup, call_id: str) -> int:
    """Show one call, with its transcript."""

    async def job(client: AsyncCallsClient) -> int:
        call = await client.get_call(call_id)
        if setup.out.as_json:
            setup.out.data(call.to_dict())
        else:
            _show_call(setup.out, call)
        return 0

    return setup.run(job)


@click.command("stats", epilog="Example:  krosai-calls stats --from 30d")
@range_filters
@click.pass_obj
def stats_command(setup: Setup, /, **filters: Any) -> int:
    """Show figures over the calls that match."""

    async def job(client: AsyncCallsClient) -> int:
        stats = await client.get_stats(**filters)
        if setup.out.as_json:
            setup.out.data(stats.to_dict())
        else:
            _show_stats(setup.out, stats)
        return 0

    return setup.run(job)


@click.command("events", epilog="Example:  krosai-calls events call_abc123")
@click.argument("call_id", metavar="ID")
@click.pass_obj
def events_command(setup: Setup, call_id: str) -> int:
    """Show the timeline of a call, oldest first."""

    async def job(client: AsyncCallsClient) -> int:
        events = await client.list_events(call_id)
        if setup.out.as_json:
            for event in events:
                setup.out.data(event.to_dict())
        elif events:
            columns = (Column("time (UTC)"), Column("event"), Column("id", rank=1))
            setup.out.table(columns, [(time_of(event.timestamp), event.type, event.id) for event in events])
        if not events:
            setup.out.note("The call has no events.")
        return 0

    return setup.run(job)


COMMANDS: tuple[click.Command, ...] = (list_command, get_command, stats_command, events_command)


def _call_row(call: Call) -> tuple[object, ...]:
    return (
        time_of(call.created_at),
        {"inbound": "in", "outbound": "out"}.get(str(call.direction), call.direction),
        call.from_number,
        call.to_number,
        call.status,
        duration_of(call.duration),
        cost_of(call.cost_cents),
        "yes" if call.has_recording else None,
        call.id,
    )


def _show_call(out: Output, call: Call) -> None:
    facts: dict[str, object] = {
        "id": call.id,
        "status": call.status,
        "direction": call.direction,
        "from": call.from_number,
        "to": call.to_number,
        "length": duration_of(call.duration),
        "cost": cost_of(call.cost_cents),
        "created (UTC)": time_of(call.created_at),
        "answered (UTC)": time_of(call.answered_at),
        "ended (UTC)": time_of(call.completed_at),
        "hangup cause": call.hangup_cause,
        "endpoint": call.endpoint_id,
        "phone number": call.phone_number_id,
        "recording": f"yes; krosai-calls download {call.id}" if call.has_recording else "none",
        "metadata": call.metadata,
    }
    _show_facts(out, facts)
    for turn in call.turns:
        out.line()
        for number, line in enumerate(turn.text.splitlines()):
            label = f"{turn.speaker}: " if turn.speaker and number == 0 else "  "
            out.line(label + line)


def _show_stats(out: Output, stats: CallStats) -> None:
    facts: dict[str, object] = {
        "calls": stats.total_calls,
        "inbound": stats.inbound_calls,
        "outbound": stats.outbound_calls,
        "total length": duration_of(stats.total_duration),
        "mean length": duration_of(stats.average_duration),
        "total cost": cost_of(stats.total_cost_cents),
    }
    _show_facts(out, facts | (stats.by_status or {}))


def _show_facts(out: Output, facts: dict[str, object]) -> None:
    width = max(map(len, facts))
    for name, value in facts.items():
        out.line(f"{name:<{width}}  {text_of(value)}")
