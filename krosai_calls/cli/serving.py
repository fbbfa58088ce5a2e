"""The command that serves the sandbox to other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from krosai_calls.cli.display import text_of
from krosai_calls.cli.options import how_long, how_often
from krosai_calls.cli.setup import Setup

if TYPE_CHECKING:
    from krosai_calls.sandbox import RecordedRequest


@click.command(
    "sandbox", epilog="Example:  krosai-calls sandbox --port 8080 --calls 1000 --latency 50ms --faults 5%"
)
@click.option("--calls", type=click.IntRange(min=0), default=250, show_default=True, help="How many calls it has.")
@click.option("--seed", type=int, default=1, show_default=True, help="Which invented world it serves.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The API's port; any free one if 0.")
@click.option(
    "--plan",
    type=click.Choice(["free", "pro", "business"]),
    help="Ration requests like this plan; without it nothing is refused.",
)
@click.option("--latency", type=how_long, metavar="TIME", help="How long each API answer is held back: 50ms.")
@click.option("--faults", type=how_often, metavar="SHARE", help="How many of the requests go wrong, such as 5%.")
@click.pass_obj
def sandbox_command(
    setup: Setup, calls: int, seed: int, port: int, plan: str | None, latency: float | None, faults: float | None
) -> int:
    """Serve an invented account on this machine until Ctrl-C, and tell of each request in a line.

    Its calls ring, are answered and end by the clock.
    """
    import asyncio

    from krosai_calls.sandbox import Sandbox

    async def serve() -> None:
        async with Sandbox(
            calls=calls,
            seed=seed,
            plan=plan,
            port=port,
            latency_seconds=latency or 0.0,
            fault_rate=faults or 0.0,
            real_time=True,
        ) as sandbox:
            sandbox.on_answer = lambda request: setup.out.note(_line_of(request))
            setup.out.note("Serving; Ctrl-C ends it. In another terminal:")
            if setup.out.as_json:
                setup.out.data({"KROSAI_BASE_URL": sandbox.base_url, "KROSAI_API_KEY": sandbox.api_key})
            else:
                setup.out.line(f"export KROSAI_BASE_URL={sandbox.base_url}")
                setup.out.line(f"export KROSAI_API_KEY={sandbox.api_key}")
            setup.out.flush()
            await asyncio.Event().wait()

    asyncio.run(serve())
    return 0


def _line_of(request: RecordedRequest) -> str:
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    # The query of a recording's link is its signature.
    shown = f"{request.path}?{query}" if query and request.server == "api" else request.path
    outcome = "cut" if request.status is None else request.status
    return f"{request.server:<7} {outcome} {request.method} {text_of(shown)}"


COMMANDS: tuple[click.Command, ...] = (sandbox_command,)
