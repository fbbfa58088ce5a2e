"""``krosai-calls`` as a process of its own: on pipes, or on a pseudo-terminal of any width.

done = run(["list"], key=sandbox.api_key, url=sandbox.base_url)
screen = on_terminal(["hangup", call_id], key=..., url=..., columns=60, answers={"[y/N]": "y\n"})
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from raw_server import Answer, RawServer, Request

from krosai_calls._portal import Portal

PROGRAM = (sys.executable, "-m", "krosai_calls")
SECONDS = 20  # in which every process here has ended many times over

# What a developer's shell may hold and a test must not hang on.
_FOREIGN = re.compile(
    r"KROSAI_|LC_|LANG|PYTHON|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|TTY_|TERM|COLORTERM|.*_proxy", re.I
)
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
# What moves or hides a cursor, or clears a line: how a display changes in place.
_CONTROL = re.compile(r"\x1b\[\??[0-9;]*[A-Za-ln-z]")


def environment(key: str = "", url: str = "", others: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a plain terminal, with the API's key and address where they are given."""
    plain = {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}
    given = {"KROSAI_API_KEY": key, "KROSAI_BASE_URL": url}
    given = {name: value for name, value in given.items() if value}
    return {**plain, "TERM": "xterm", "LANG": "C.UTF-8", **given, **(others or {})}


def run(
    words: Sequence[str],
    *,
    key: str = "",
    url: str = "",
    folder: Path | None = None,
    stdout: int | IO[str] = subprocess.PIPE,
    stderr: int | IO[str] = subprocess.PIPE,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the program on pipes to its end."""
    return subprocess.run(
        [*PROGRAM, *words],
        env=environment(key, url, variables),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@dataclass(frozen=True)
class Screen:
    """What a terminal got to see.

    Attributes:
        code: The process's exit code.
        raw: Every character, with the line ends of a terminal made plain.
    """

    code: int
    raw: str

    @property
    def text(self) -> str:
        """What can be read: without bold and colours."""
        return _STYLE.sub("", self.raw)

    @property
    def frames(self) -> str:
        """All that a display in place has shown, one state after the other."""
        return _CONTROL.sub("", self.text).replace("\r", "\n")

    @property
    def lines(self) -> list[str]:
        """The same, line by line."""
        return [line.rstrip() for line in self.text.splitlines()]


def on_terminal(
    words: Sequence[str],
    *,
    key: str = "",
    url: str = "",
    columns: int = 80,
    rows: int = 40,
    answers: Mapping[str, str] | None = None,
    signals: Mapping[str, int] | None = None,
    variables: Mapping[str, str] | None = None,
    stdout: IO[str] | None = None,
) -> Screen:
    """Run the program on a terminal to its end.

    Args:
        words: Its arguments.
        key: The API key.
        url: The API's address.
        columns: How wide the terminal is.
        rows: How high it is.
        answers: What is typed, each as soon as its question stands on the screen.
        signals: What is sent to the program, each as soon as its words stand on the screen.
        variables: Variables of its environment, besides those of a plain terminal.
        stdout: A file for stdout; the terminal where None.
    """
    waiting, due = dict(answers or {}), dict(signals or {})
    keyboard, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    seen = ""
    with subprocess.Popen(
        [*PROGRAM, *words],
        env=environment(key, url, variables),
        stdin=terminal,
        stdout=stdout or terminal,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        try:
            with contextlib.suppress(OSError):  # how Linux says that nobody holds the terminal any more
                while piece := os.read(keyboard, 65536):
                    seen += decoder.decode(piece)
                    for question in [question for question in waiting if question in seen]:
                        os.write(keyboard, waiting.pop(question).encode())
                    for words in [words for words in due if words in seen]:
                        process.send_signal(due.pop(words))
        finally:
            os.close(keyboard)
            if process.poll() is None and sys.exc_info()[0] is not None:
                process.kill()
        code = process.wait(SECONDS)
    return Screen(code, seen.replace("\r\n", "\n"))


@contextlib.contextmanager
def raw_server(handler: Callable[[Request], Answer] | None = None) -> Iterator[RawServer]:
    """A raw server on a thread of its own, for a program that blocks."""
    server, portal = RawServer(handler), Portal("raw-server")
    portal.run(server.__aenter__)
    try:
        yield server
    finally:
        portal.run(server.__aexit__, None, None, None)
        portal.close()
