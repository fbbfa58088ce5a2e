"""The command line. Importing it is cheap: what a command needs is loaded when the command runs."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

_NEEDED = ("click", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``krosai-calls`` and give its exit code.

    Args:
        arguments: The words after the program's name; the process's own where None.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"krosai-calls: the command line needs {' and '.join(missing)}:"
            " install them with  pip install 'krosai-calls[cli]'\n"
        )
        return 2
    try:
        from krosai_calls.cli.app import run

        return run(arguments)
    except KeyboardInterrupt:  # before a command could take it
        return 130
