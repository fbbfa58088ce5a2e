"""The commands that only look: list, get, stats."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from krosai_calls.cli.display import STATUS_STYLES, ago_of, cost_of, count_of, duration_of, time_of
from krosai_calls.cli.options import filters, how_many, range_filters
from krosai_calls.cli.output import Column, Output, ReaderGoneError, Table, columns_of
from krosai_calls.cli.setup import Setup

if TYPE_CHECKING:
    from krosai_calls.client import AsyncCallsClient
    from krosai_calls.models import Call, CallStats

_CALL_COLUMNS = (
    Column("created", rank=1),
    Column("at (UTC)", rank=7),
    Column("", rank=3),
    Column("from", rank=2),
    Column("to", rank=2),
    Column("status", rank=1),
    Column("length", rank=4, is_number=True),
    Column("cost", rank=5, is_number=True),
    Column("recording", rank=6),
    Column("id"),
)
# Rows of a table that are set together: the first ones decide what it shows.
_ROWS_AT_ONCE = 100


@click.command("list", epilog="Example:  krosai-calls list --status completed --from 7d --max-items all")
@filters
@click.option(
    "--max-items", type=how_many, default="50", show_default=True, metavar="N|all", help="How many calls at most."
)
@click.pass_obj
def list_command(setup: Setup, /, max_items: int, **filters: Any) -> int:
    """List calls, newest first."""

    async def job(client: AsyncCallsClient) -> int:
        count = 0
        with _CallWriter(setup.out) as writer:
            async for call in client.iter_calls(max_items=max_items or None, **filters):
                writer.write(call)
                count += 1
        if not count:
            setup.out.note("No call matches.")
        elif count == max_items:
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


COMMANDS: tuple[click.Command, ...] = (list_command, get_command, stats_command)


class _CallWriter:
    """Writes calls as they come: each at once as JSON, a page of them at once in a table."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._table = Table(out, _CALL_COLUMNS)
        self._rows: list[tuple[object, ...]] = []

    def __enter__(self) -> _CallWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not isinstance(error, ReaderGoneError | OSError):
            self._write_rows()  # also those before an error

    def write(self, call: Call) -> None:
        if self._out.as_json:
            self._out.data(call.to_dict())
            return
        self._rows.append(_call_row(call, datetime.now(UTC)))
        if len(self._rows) == _ROWS_AT_ONCE:
            self._write_rows()

    def _write_rows(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            self._table.add(rows)


def _call_row(call: Call, now: datetime) -> tuple[object, ...]:
    return (
        ago_of(call.created_at, now),
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
    now = datetime.now(UTC)

    def moment(at: datetime | None) -> str:
        return time_of(at) if at is None else f"{time_of(at)}, {ago_of(at, now)}"

    facts: dict[str, object] = {
        "id": call.id,
        "status": call.status,
        "direction": call.direction,
        "from": call.from_number,
        "to": call.to_number,
        "length": duration_of(call.duration),
        "cost": cost_of(call.cost_cents),
        "created (UTC)": moment(call.created_at),
        "answered (UTC)": moment(call.answered_at),
        "ended (UTC)": moment(call.completed_at),
        "hangup cause": call.hangup_cause,
        "endpoint": call.endpoint_id,
        "phone number": call.phone_number_id,
        "recording": f"yes; krosai-calls download {call.id}" if call.has_recording else "none",
        "metadata": call.metadata,
    }
    out.facts(facts)
    if call.turns:
        out.line()
    for turn in call.turns:
        for number, line in enumerate(turn.text.splitlines()):
            label = f"{turn.speaker}: " if turn.speaker and number == 0 else "  "
            out.styled((label, "bold"), (line, ""), is_prose=True)


def _show_stats(out: Output, stats: CallStats) -> None:
    facts: dict[str, object] = {
        "calls": "-" if stats.total_calls is None else f"{stats.total_calls:,}",
        "total length": duration_of(stats.total_duration),
        "mean length": duration_of(stats.average_duration),
        "total cost": cost_of(stats.total_cost_cents),
    }
    out.facts(facts)
    directions = [("inbound", stats.inbound_calls), ("outbound", stats.outbound_calls)]
    charts: dict[str, list[tuple[str, object]]] = {
        "by status": [(str(name), count) for name, count in (stats.by_status or {}).items()],
        "by direction": [(name, count) for name, count in directions if count is not None],
    }
    for title, counts in charts.items():
        if counts:
            out.line()
            out.styled((title, "bold"))
            _show_chart(out, counts)


def _show_chart(out: Output, counts: list[tuple[str, object]]) -> None:
    from krosai_calls.cli.charts import chart, glyphs_for

    room = columns_of(sys.stdout)
    rows = chart(counts, room, glyphs_for(getattr(sys.stdout, "encoding", None)))
    width = max(len(row.label) for row in rows)
    for row in rows:
        style = STATUS_STYLES.get(row.label, "")
        pieces = [(f"{row.label:<{width}}", style), (row.bar, style), (row.value, "")]
        out.styled(
            *((f"  {text}" if number else text, style) for number, (text, style) in enumerate(pieces) if text)
        )
