"""The command that makes a shell complete the others: completion."""

from __future__ import annotations

import click

from krosai_calls.cli.setup import Setup


@click.command("completion", epilog="""Example:  krosai-calls completion bash >> ~/.bashrc""")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> int:
    """Print what makes a shell complete commands and options.

    For bash and zsh it goes into ~/.bashrc or ~/.zshrc, for fish into a file krosai-calls.fish in
    ~/.config/fish/completions.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    setup: Setup = context.obj
    program = context.find_root()
    name = program.info_name or ""
    complete = get_completion_class(shell)
    assert complete is not None
    made = complete(program.command, {}, name, f"_{name.replace('-', '_').upper()}_COMPLETE")
    # Of the root class: bash's own first runs the bash there is, to tell its version.
    setup.out.write(ShellComplete.source(made).rstrip() + "\n")
    return 0


COMMANDS: tuple[click.Command, ...] = (completion_command,)
