"""The commands that use an archive: search, verify, export. They need neither a key nor a network."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from krosai_calls.cli.display import count_of, excerpt_of, size_of, time_of
from krosai_calls.cli.exits import EndedError, Exit
from krosai_calls.cli.options import filters
from krosai_calls.cli.output import Column, Output
from krosai_calls.cli.setup import Setup
from krosai_calls.cli.status import StatusLine

if TYPE_CHECKING:
    from krosai_calls.client import AsyncCallsClient
    from krosai_calls.library import SearchHit, VerifyReport

_HIT_COLUMNS = (
    Column("created (UTC)", rank=1),
    Column("speaker", rank=2),
    Column("words"),
    Column("from", rank=3),
    Column("to", rank=4),
    Column("recording", rank=5),
    Column("id"),
)
_MOST_WORDS, _FEWEST_WORDS = 60, 20
_MOST_FINDINGS = 100
_MARK = "*"

_DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))


@click.command(
    "search", epilog="Example:  krosai-calls search ./calls 'refund OR \"money back\"' --speaker Caller"
)
@_DIRECTORY
@click.argument("query", metavar="QUERY")
@filters
@click.option("--speaker", metavar="LABEL", help="Only what this speaker said: Agent, Caller, …")
@click.option(
    "--max-items", type=click.IntRange(min=1), default=20, show_default=True, help="How many turns at most."
)
@click.pass_obj
def search_command(setup: Setup, /, directory: Path, query: str, max_items: int, **choices: Any) -> int:
    """Find what was said in an archive's calls, one row a turn.

    Words must all occur in a turn; "a phrase", begin*, OR, NOT and NEAR(a b) work as in SQLite's FTS5. Up to 2,000
    turns that match are ranked, the best first; where more match, the newest come first.
    """
    from krosai_calls.library import Archive

    markers = ("", "") if setup.out.as_json else (_MARK, _MARK)
    archive = Archive(directory)
    hits = archive.search(query, limit=max_items, markers=markers, **choices)
    if setup.out.as_json:
        for hit in hits:
            setup.out.data(hit.to_dict())
    elif hits:
        _show_hits(setup.out, archive.directory, hits)
    if not hits:
        setup.out.note("No turn matches.")
    elif hits[0].rank is None:
        setup.out.note("So many turns match that they are not ranked: the newest come first.")
    if len(hits) == max_items:
        setup.out.note(f"The first {count_of(max_items, 'turn')}; there may be more: --max-items N")
    return Exit.DONE


@click.command("verify", epilog="Example:  krosai-calls verify ./calls || krosai-calls verify ./calls --repair")
@_DIRECTORY
@click.option("--repair", is_flag=True, help="Fetch again what is missing or changed; that needs the API key.")
@click.pass_obj
def verify_command(setup: Setup, directory: Path, repair: bool) -> int:
    """Read every file of an archive again, and tell what is missing, changed or foreign.

    Ends with 8 where anything is. The beginnings of recordings that a run goes on with are no fault. A repair puts
    a changed file aside under a name that ends in .damaged, and never touches a foreign one.
    """
    from krosai_calls.library import Archive

    archive = Archive(directory)
    with _ended_in_order(), StatusLine("looking at the catalogue") as line:
        report = archive.verify(
            progress=lambda done, total: line.say(lambda: f"{done:,} of {count_of(total, 'file')} looked at")
        )
    _show_findings(setup.out, archive.directory, report)
    if repair and not report.is_sound:
        return _repair(setup, archive.directory, report)
    return Exit.DONE if report.is_sound else Exit.DAMAGED


def _repair(setup: Setup, directory: Path, report: VerifyReport) -> int:
    from krosai_calls.cli.archiving import show_report

    async def job(client: AsyncCallsClient) -> int:
        done = await client.archive(directory, repair=report)
        show_report(setup.out, directory, done)
        if done.failures:
            return Exit.PARTLY
        is_mended = done.recordings_saved + done.transcripts_saved >= len(report.repairable)
        return Exit.DONE if is_mended and len(report.repairable) == len(report.faults) else Exit.DAMAGED

    return setup.run(job)


@click.command("export", epilog="Example:  krosai-calls export ./calls --format csv --from 30d --to calls.csv")
@_DIRECTORY
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    help="CSV for spreadsheets, JSON lines for programs, or Parquet (pip install 'krosai-calls[parquet]').",
)
@filters
@click.option(
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write it; stdout if not given.",
)
@click.option("--sums", is_flag=True, help="Write DIR/SHA256SUMS, for  sha256sum -c SHA256SUMS  in DIR.")
@click.pass_obj
def export_command(
    setup: Setup, /, directory: Path, file_format: str | None, target: Path | None, sums: bool, **choices: Any
) -> int:
    """Write an archive's calls as a table, one row a call, newest first.

    Every field of a call has its column, and so have the state, path and digest of its recording and transcript.
    """
    from krosai_calls.library import Archive

    if (file_format is None) is not sums:
        raise click.UsageError("say either --format or --sums")
    if sums:
        with _ended_in_order():
            written = Archive(directory).write_checksums()
        setup.out.note(f"{count_of(written, 'file')} in {directory / 'SHA256SUMS'}")
        return Exit.DONE
    if file_format == "parquet" and target is None and sys.stdout.isatty():
        raise click.UsageError("Parquet is nothing for a terminal: say --output FILE")
    archive = Archive(directory)
    with _ended_in_order():
        written = archive.export(file_format, target or setup.out.file(), **choices)  # type: ignore[arg-type] # checked by click
    setup.out.note(f"{count_of(written, 'call')} exported" + (f" to {target}" if target else ""))
    return Exit.DONE


COMMANDS: tuple[click.Command, ...] = (search_command, verify_command, export_command)


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """While something takes long, let SIGTERM end it like an error: what is not whole is removed."""

    def end(*_: object) -> None:
        raise EndedError(Exit.TERMINATED)

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not on the main thread, where nobody can be told
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show_hits(out: Output, directory: Path, hits: list[SearchHit]) -> None:
    others = len("2025-01-10 12:00:00") + max(len(hit.call_id) for hit in hits) + 4
    room = shutil.get_terminal_size().columns - others
    words = max(_FEWEST_WORDS, min(_MOST_WORDS, room))
    rows = [
        (
            time_of(hit.created_at),
            hit.speaker,
            excerpt_of(hit.snippet, words, around=_MARK),
            hit.from_number,
            hit.to_number,
            hit.recording_path and hit.recording_path.relative_to(directory),
            hit.call_id,
        )
        for hit in hits
    ]
    out.table(_HIT_COLUMNS, rows)


def _show_findings(out: Output, directory: Path, report: VerifyReport) -> None:
    if out.as_json:
        out.data(report.to_dict())
    elif report.findings:
        columns = (Column("problem"), Column("file"), Column("what is wrong", rank=1), Column("call", rank=2))
        rows = [
            (
                finding.problem,
                finding.path and finding.path.relative_to(directory),
                finding.detail,
                finding.call_id,
            )
            for finding in report.findings[:_MOST_FINDINGS]
        ]
        out.table(columns, rows)
        if len(report.findings) > _MOST_FINDINGS:
            out.note(f"The first {_MOST_FINDINGS} of {len(report.findings):,}; --json tells all")
    counts = Counter(finding.problem for finding in report.findings)
    found = ", ".join(f"{count:,} {problem}" for problem, count in sorted(counts.items())) or "all is well"
    out.note(
        f"{count_of(report.recordings, 'recording')} and {count_of(report.transcripts, 'transcript')} looked at"
        f" ({size_of(report.bytes_read)} read): {found}"
    )
