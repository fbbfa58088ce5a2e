"""The commands that do something to a call: hangup, download."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from krosai_calls.cli.display import size_of, text_of
from krosai_calls.cli.exits import Exit, advice_for, exit_for
from krosai_calls.cli.output import Output
from krosai_calls.cli.setup import TO_GO_ON, Setup
from krosai_calls.errors import KrosaiError

if TYPE_CHECKING:
    from krosai_calls.cli.progress import DownloadMeter
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

    return setup.run(job, when_ended=f"the order may have been sent: krosai-calls get {call_id}  tells")


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
    from krosai_calls._names import safe_name
    from krosai_calls.cli.meters import shown
    from krosai_calls.cli.progress import DownloadMeter, Quota

    wanted = list(dict.fromkeys(call_ids))
    quota = Quota()
    meter = DownloadMeter(len(wanted), time.monotonic(), quota)

    async def job(client: AsyncCallsClient) -> int:
        def save(call_id: str) -> Awaitable[Download]:
            def note(received: int, size: int | None) -> None:
                meter.note(call_id, received, size, time.monotonic())

            return client.download_recording(call_id, folder / f"{safe_name(call_id)}.mp3", progress=note)

        outcomes: dict[str, Download | KrosaiError] = {}
        try:
            async with shown(meter, setup.out):
                await _save_all(wanted, save, meter, outcomes)
        finally:  # also what is done when it is ended early
            _show_downloads(setup.out, {call_id: outcomes[call_id] for call_id in wanted if call_id in outcomes})
        failed = [outcome for outcome in outcomes.values() if isinstance(outcome, KrosaiError)]
        if len(wanted) == 1 and failed:
            return exit_for(failed[0])
        return Exit.PARTLY if failed else Exit.DONE

    return setup.run(job, on_event=quota.note, when_ended=TO_GO_ON)


async def _save_all(
    wanted: list[str],
    save: Callable[[str], Awaitable[Download]],
    meter: DownloadMeter,
    outcomes: dict[str, Download | KrosaiError],
) -> None:
    """Save recordings, and note what becomes of each as it ends."""
    import asyncio

    async def save_one(call_id: str) -> None:
        try:
            outcomes[call_id] = await save(call_id)
        except KrosaiError as error:
            outcomes[call_id] = error
        meter.ended(call_id, time.monotonic(), failed=isinstance(outcomes[call_id], KrosaiError))

    # The client bounds what is under way; nothing more than a task waits for each.
    await asyncio.gather(*map(save_one, wanted))


COMMANDS: tuple[click.Command, ...] = (hangup_command, download_command)


def _show_downloads(out: Output, outcomes: Mapping[str, Download | KrosaiError]) -> None:
    advice: dict[str, None] = {}
    for call_id, outcome in outcomes.items():
        _show_download(out, call_id, outcome)
        if isinstance(outcome, KrosaiError):
            advice[advice_for(outcome)] = None
    for words in filter(None, advice):  # each once, however many failed alike
        out.note(f"  {words}")


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
