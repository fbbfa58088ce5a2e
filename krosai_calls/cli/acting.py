"""The commands that do something: hangup, download, archive."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from krosai_calls._names import safe_name
from krosai_calls.cli.display import count_of, size_of, text_of
from krosai_calls.cli.exits import Exit, exit_for
from krosai_calls.cli.options import filters
from krosai_calls.cli.output import Column, Output
from krosai_calls.cli.progress import ArchiveProgressBar
from krosai_calls.cli.setup import Setup
from krosai_calls.errors import KrosaiError, RequestBudgetExceededError

if TYPE_CHECKING:
    from krosai_calls.archive import ArchiveReport
    from krosai_calls.client import AsyncCallsClient
    from krosai_calls.models import Download


@click.command("hangup", epilog="Example:  krosai-calls hangup call_abc123 --yes")
@click.argument("call_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody can be asked.")
@click.pass_obj
def hangup_command(setup: Setup, call_id: str, yes: bool) -> int:
    """End a call that is going on."""
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("this ends a call, and there is nobody to ask: say --yes")
        if not click.confirm(f"End call {text_of(call_id)}?", err=True):
            setup.out.note("The call goes on.")
            return Exit.INTERRUPTED

    async def job(client: AsyncCallsClient) -> int:
        result = await client.hang_up(call_id)
        if setup.out.as_json:
            setup.out.data({"id": result.id} | result.to_dict())
        else:
            setup.out.line(f"{result.id}: {text_of(result.status or 'hung up')}")
        return 0

    return setup.run(job)


@click.command("download", epilog="Example:  krosai-calls download call_abc123 call_def456 --to ./recordings")
@click.argument("call_ids", metavar="ID...", nargs=-1, required=True)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Where to put them; the current folder if not given.",
)
@click.pass_obj
def download_command(setup: Setup, call_ids: tuple[str, ...], folder: Path) -> int:
    """Save the recordings of calls as MP3 files."""

    async def job(client: AsyncCallsClient) -> int:
        async def save(call_id: str) -> Download | KrosaiError:
            try:
                return await client.download_recording(call_id, folder / f"{safe_name(call_id)}.mp3")
            except KrosaiError as error:
                return error

        import asyncio

        wanted = list(dict.fromkeys(call_ids))
        # The client bounds what is under way; nothing more than a task waits for each.
        outcomes = await asyncio.gather(*map(save, wanted))
        for call_id, outcome in zip(wanted, outcomes, strict=True):
            _show_download(setup.out, call_id, outcome)
        failed = [outcome for outcome in outcomes if isinstance(outcome, KrosaiError)]
        if len(wanted) == 1 and failed:
            return exit_for(failed[0])
        return Exit.PARTLY if failed else Exit.DONE

    return setup.run(job)


@click.command(
    "archive", epilog="Example:  krosai-calls archive ./calls --from 30d   (every night: it does only what is new)"
)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@filters
@click.option("--recordings/--no-recordings", default=True, show_default=True, help="Save recordings.")
@click.option("--transcripts/--no-transcripts", default=True, show_default=True, help="Save transcripts.")
@click.option("--events", is_flag=True, help="Save timelines, too: one more request for each call.")
@click.pass_obj
def archive_command(setup: Setup, /, directory: Path, **choices: Any) -> int:
    """Bring a folder up to the call history: recordings, transcripts and a catalogue.

    What is there already is not fetched again: run it as often as you like.
    """

    async def job(client: AsyncCallsClient) -> int:
        what = "invented calls from the sandbox" if setup.sandbox else "calls"
        setup.out.note(f"Archiving {what} into {directory}")
        try:
            with ArchiveProgressBar() as bar:
                report = await client.archive(directory, progress=bar.show, **choices)
        except RequestBudgetExceededError as used_up:
            if used_up.report is not None:
                _show_report(setup.out, directory, used_up.report)
            raise
        _show_report(setup.out, directory, report)
        return Exit.PARTLY if report.failures else Exit.DONE

    return setup.run(job)


COMMANDS: tuple[click.Command, ...] = (hangup_command, download_command, archive_command)


def _show_download(out: Output, call_id: str, outcome: Download | KrosaiError) -> None:
    if isinstance(outcome, KrosaiError):
        out.note(f"failed: {outcome}")
    elif out.as_json:
        out.data(
            {
                "id": call_id,
                "path": str(outcome.path),
                "size_bytes": outcome.size_bytes,
                "resumed_bytes": outcome.resumed_bytes,
                "sha256": outcome.sha256,
                "suspect": outcome.suspect,
            }
        )
    else:
        out.line(f"{outcome.path}  {size_of(outcome.size_bytes)}")


def _show_report(out: Output, directory: Path, report: ArchiveReport) -> None:
    if out.as_json:
        out.data(report.to_dict())
    else:
        titles = ("saved", "there already", "to come", "gone", "failed")
        out.table((Column(""), *(Column(title, is_number=True) for title in titles)), _report_rows(report))
    out.note(
        f"{count_of(report.calls_seen, 'call')} ({report.calls_new:,} new) in {directory / 'catalog.sqlite'};"
        f" {count_of(report.recordings_saved, 'recording')} ({size_of(report.bytes_downloaded)})"
        f" and {count_of(report.transcripts_saved, 'transcript')} saved"
        f" with {count_of(report.requests, 'API request')} in {report.seconds:.1f} s"
    )
    if report.recordings_pending or report.recordings_gone:
        out.note(
            f"{count_of(report.recordings_pending, 'recording')} may still appear (run again later);"
            f" {report.recordings_gone:,} gone for good (past retention, or never made)"
        )
    for failure in report.failures:
        out.note(f"failed: {failure.kind} of {failure.call_id}: {failure.reason}")


def _report_rows(report: ArchiveReport) -> list[tuple[object, ...]]:
    return [
        (
            "recordings",
            report.recordings_saved,
            report.recordings_present,
            report.recordings_pending,
            report.recordings_gone,
            report.recordings_failed,
        ),
        (
            "transcripts",
            report.transcripts_saved,
            report.transcripts_present,
            report.transcripts_pending,
            report.transcripts_missing,
            report.transcripts_failed,
        ),
    ]
