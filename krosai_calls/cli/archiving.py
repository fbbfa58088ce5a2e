"""The command that keeps an archive: archive."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from krosai_calls.cli.display import count_of, duration_of, size_of
from krosai_calls.cli.exits import Exit
from krosai_calls.cli.options import filters, how_long, how_much
from krosai_calls.cli.output import Column, Output
from krosai_calls.cli.setup import TO_GO_ON, Setup
from krosai_calls.errors import RequestBudgetExceededError

if TYPE_CHECKING:
    from krosai_calls.archive import ArchivePlan, ArchiveReport
    from krosai_calls.client import AsyncCallsClient

MOST_FAILURES_SHOWN = 20


@click.command(
    "archive", epilog="Example:  krosai-calls archive ./calls --from 30d   (every night: it does only what is new)"
)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@filters
@click.option("--recordings/--no-recordings", default=True, show_default=True, help="Save recordings.")
@click.option("--transcripts/--no-transcripts", default=True, show_default=True, help="Save transcripts.")
@click.option("--events", is_flag=True, help="Save timelines, too: one more request for each call.")
@click.option("--dry-run", is_flag=True, help="Only tell what is to come, with one request.")
@click.option("--max-requests", type=click.IntRange(min=1), metavar="N", help="API requests at most.")
@click.option("--max-bytes", type=how_much, metavar="SIZE", help="Bytes of recordings, such as 500MB, about.")
@click.option(
    "--max-duration", "max_seconds", type=how_long, metavar="TIME", help="How long at most, such as 90s, 45m, 6h."
)
@click.option(
    "--late",
    "late",
    type=how_long,
    default="24h",
    show_default=True,
    metavar="TIME",
    help="How long after a call its recording and transcript may still appear.",
)
@click.pass_obj
def archive_command(
    setup: Setup, /, directory: Path, max_requests: int | None, late: float, dry_run: bool, **choices: Any
) -> int:
    """Bring a folder up to the call history: recordings, transcripts and a catalogue.

    A later run asks only for what can have changed, and goes on where one was cut short: run it as often as you
    like. It ends with 6 where a limit or the day's quota ended it early.
    """
    choices["late_hours"] = late / 3600
    import asyncio

    from krosai_calls.cli.meters import shown
    from krosai_calls.cli.progress import ArchiveMeter, Quota

    quota = Quota()
    meter = ArchiveMeter(time.monotonic(), quota)

    def note(report: ArchiveReport) -> None:
        meter.note(report, time.monotonic())

    async def job(client: AsyncCallsClient) -> int:
        if dry_run:
            foreseen = await client.archive(directory, dry_run=True, **choices)
            assert foreseen.plan is not None
            _show_plan(setup.out, foreseen, foreseen.plan)
            return Exit.DONE
        what = "invented calls from the sandbox" if setup.sandbox else "calls"
        setup.out.note(f"Archiving {what} into {directory}")
        try:
            async with shown(meter, setup.out):
                report = await client.archive(directory, progress=note, **choices)
        except asyncio.CancelledError:
            setup.out.note(f"So far: {meter.line()}")
            raise
        except RequestBudgetExceededError as used_up:
            if used_up.report is not None:
                show_report(setup.out, directory, used_up.report)
            raise
        show_report(setup.out, directory, report)
        return Exit.PARTLY if report.failures else Exit.DONE

    return setup.run(job, max_requests=max_requests, on_event=quota.note, when_ended=TO_GO_ON)


COMMANDS: tuple[click.Command, ...] = (archive_command,)


def _show_plan(out: Output, report: ArchiveReport, plan: ArchivePlan) -> None:
    if out.as_json:
        out.data(report.to_dict())
        return
    out.table(
        (Column("to come"), Column("about", is_number=True)),
        [
            ("calls", f"{plan.calls:,}"),
            ("recordings", f"{plan.recordings:,}"),
            ("size", size_of(plan.bytes)),
            ("API requests", f"{plan.requests:,}"),
            *((f"days on the plan {name}", f"{days:,}") for name, days in plan.days.items()),
        ],
    )


def show_report(out: Output, directory: Path, report: ArchiveReport) -> None:
    """Show what a run has done."""
    if out.as_json:
        out.data(report.to_dict())
    else:
        titles = ("saved", "present", "left", "to come", "gone", "failed")
        out.table((Column(""), *(Column(title, is_number=True) for title in titles)), _report_rows(report))
    out.note(
        f"{count_of(report.calls_seen, 'call')} looked at ({report.calls_new:,} new) for"
        f" {directory / 'catalog.sqlite'};"
        f" {count_of(report.recordings_saved, 'recording')} ({size_of(report.bytes_downloaded)})"
        f" and {count_of(report.transcripts_saved, 'transcript')} saved"
        f" with {count_of(report.requests, 'API request')} in {duration_of(report.seconds)}"
    )
    if report.recordings_pending or report.recordings_gone:
        out.note(
            f"{count_of(report.recordings_pending, 'recording')} may still appear (run again later);"
            f" {report.recordings_gone:,} gone for good (past retention, or never made)"
        )
    if report.recordings_expiring:
        out.note(
            f"{count_of(report.recordings_expiring, 'recording')} will be gone within a week, as recordings are"
            " usually kept for 90 days, and not saved yet: run again soon"
        )
    for failure in report.failures[:MOST_FAILURES_SHOWN]:
        out.note(f"failed: {failure.kind} of {failure.call_id}: {failure.reason}")
    if len(report.failures) > MOST_FAILURES_SHOWN:
        out.note(f"and {len(report.failures) - MOST_FAILURES_SHOWN:,} more; --json has them all")


def _report_rows(report: ArchiveReport) -> list[tuple[object, ...]]:
    return [
        (
            "recordings",
            report.recordings_saved,
            report.recordings_present,
            report.recordings_left,
            report.recordings_pending,
            report.recordings_gone,
            report.recordings_failed,
        ),
        (
            "transcripts",
            report.transcripts_saved,
            report.transcripts_present,
            report.transcripts_left,
            report.transcripts_pending,
            report.transcripts_missing,
            report.transcripts_failed,
        ),
    ]
