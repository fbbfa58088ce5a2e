"""The program: global options, the commands, and how each ends."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence

import click

from krosai_calls._text import redacted
from krosai_calls._version import __version__
from krosai_calls.cli import acting, archiving, completing, doctoring, following, library, reading, serving
from krosai_calls.cli.exits import EndedError, Exit, advice_for, exit_for
from krosai_calls.cli.output import Output, ReaderGoneError, give_up, has_room
from krosai_calls.cli.setup import Setup
from krosai_calls.errors import KrosaiError

PROGRAM = "krosai-calls"
LOG_LEVELS = ("debug", "info")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="The API key comes from KROSAI_API_KEY. Without an account: krosai-calls --sandbox list."
    " KROSAI_LOG=debug or info tells on stderr what goes over the wire.",
)
@click.option("--sandbox", is_flag=True, help="Use an embedded stand-in: no account, no network, invented calls.")
@click.option("--base-url", metavar="URL", help="The API's address, if not KROSAI_BASE_URL or the default.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON lines on a terminal, too.")
@click.version_option(__version__, prog_name=PROGRAM)
@click.pass_context
def program(context: click.Context, sandbox: bool, base_url: str | None, as_json: bool) -> None:
    """Look at KrosAI calls, save their recordings and transcripts, keep an archive of them."""
    context.obj = Setup(sandbox=sandbox, base_url=base_url, out=Output(as_json=as_json))


for _module in (reading, following, acting, archiving, library, serving, doctoring, completing):
    for _command in _module.COMMANDS:
        program.add_command(_command)


def run(arguments: Sequence[str] | None) -> int:
    """Run the program and give its exit code; whatever happens is said in a line on stderr.

    Args:
        arguments: The words after the program's name; the process's own where None.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        switch_on_log()
        code = program.main(args=words, prog_name=PROGRAM, standalone_mode=False)
        Output(as_json=False).flush()
        return int(code or Exit.DONE)
    except click.Abort:  # what click makes of Ctrl-C
        return _say("interrupted", Exit.INTERRUPTED)
    except EndedError as ended:
        if not has_room(sys.stdout):
            give_up(sys.stdout)
        said = "interrupted" if ended.code is Exit.INTERRUPTED else "told to end"
        command = shlex.join([PROGRAM, *words])
        return _say("; ".join(filter(None, (said, ended.advice.replace("{command}", command)))), ended.code)
    except click.ClickException as wrong:
        _with_place(wrong).show(sys.stderr)
        return Exit.USAGE
    except KrosaiError as error:
        return _say("\n  ".join(filter(None, (str(error), advice_for(error)))), exit_for(error))
    except (ReaderGoneError, SystemExit):  # the latter is what click makes of a reader that has gone
        give_up(sys.stdout)
        return Exit.DONE
    except OSError as fault:
        give_up(sys.stdout)
        return _say(f"the output cannot be written: {fault.strerror}", Exit.UNUSABLE)
    except Exception as fault:  # noqa: BLE001 - a fault of ours: a traceback helps nobody but us
        return _say(_fault_of_ours(fault), Exit.UNEXPECTED)


def _with_place(wrong: click.ClickException) -> click.ClickException:
    """The same, or for an option of the program's that stands behind a command, where it belongs."""
    own = {name: option for option in program.params for name in option.opts}
    if not isinstance(wrong, click.NoSuchOption) or wrong.option_name not in own or wrong.ctx is None:
        return wrong
    words = filter(None, (PROGRAM, wrong.option_name, own[wrong.option_name].metavar, wrong.ctx.info_name))
    return click.UsageError(f"{wrong.option_name} stands before the command: {' '.join(words)}", wrong.ctx)


def _fault_of_ours(fault: Exception) -> str:
    """What is said of a fault of ours; where the log is on, all of it, but for keys and signatures."""
    if os.environ.get("KROSAI_LOG"):
        import traceback

        return redacted("".join(traceback.format_exception(fault))).rstrip()
    words = redacted(f"{type(fault).__name__}: {fault}")
    return f"a fault of this program: {words}\n  with KROSAI_LOG=info it says where; please report that"


def switch_on_log() -> None:
    """Let the package's log lines go to stderr, where KROSAI_LOG asks for them."""
    level = os.environ.get("KROSAI_LOG", "")
    if not level:
        return
    if level not in LOG_LEVELS:
        raise click.UsageError(f"KROSAI_LOG is {level!r}: it is {' or '.join(LOG_LEVELS)}")
    import logging

    logger = logging.getLogger("krosai_calls")
    logger.setLevel(level.upper())
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)


def _say(words: str, code: Exit) -> int:
    out = Output(as_json=False)
    for line in f"{PROGRAM}: {words}".splitlines():
        out.note(line)
    return code
