"""The command that serves the sandbox to other programs."""

from __future__ import annotations

import click

from krosai_calls.cli.setup import Setup


@click.command("sandbox", epilog="Example:  krosai-calls sandbox --port 8080 --calls 1000")
@click.option("--calls", type=click.IntRange(min=0), default=250, show_default=True, help="How many calls it has.")
@click.option("--seed", type=int, default=1, show_default=True, help="Which invented world it serves.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The API's port; any free one if 0.")
@click.option(
    "--plan",
    type=click.Choice(["free", "pro", "business"]),
    help="Ration requests like this plan; without it nothing is refused.",
)
@click.pass_obj
def sandbox_command(setup: Setup, calls: int, seed: int, port: int, plan: str | None) -> int:
    """Serve an invented account on this machine until Ctrl-C."""
    import asyncio

    from krosai_calls.sandbox import Sandbox

    async def serve() -> None:
        async with Sandbox(calls=calls, seed=seed, plan=plan, port=port) as sandbox:
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


COMMANDS: tuple[click.Command, ...] = (sandbox_command,)
