"""``krosai-calls`` as a process of its own: on pipes, or on a pseudo-terminal of any width.

done = run(["list"], key=sandbox.api_key, url=sandbox.base_url)
screen = on_terminal(["hangup", call_id], key=..., url=..., columns=60, answers={"[y/N]": "y\n"})

The process is forked by one that has imported the program (see `warm_program`), and is an interpreter of its own
where a test asks for that, or for a variable that is read when one starts.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import functools
import os
import pty
import re
import selectors
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from raw_server import Answer, RawServer, Request
from warm_program import Order, WarmProcess, package_path

from krosai_calls._portal import Portal

PROGRAM = (sys.executable, "-m", "krosai_calls")
SECONDS = 20  # in which every process here has ended many times over

# What a developer's shell may hold and a test must not hang on.
_FOREIGN = re.compile(
    r"KROSAI_|LC_|LANG|PYTHON|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|TTY_|TERM|COLORTERM|.*_proxy", re.I
)
# What an interpreter reads when it starts, or a library when it is imported.
_READ_AT_START = re.compile(r"PYTHON|LC_|LANG|SSL_|TZ$")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
# What moves or hides a cursor, or clears a line: how a display changes in place.
_CONTROL = re.compile(r"\x1b\[\??[0-9;]*[A-Za-ln-z]")


def environment(key: str = "", url: str = "", others: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a plain terminal, with the API's key and address where they are given."""
    plain = {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}
    given = {"KROSAI_API_KEY": key, "KROSAI_BASE_URL": url}
    given = {name: value for name, value in given.items() if value}
    # Whatever is installed, the package that is tested is this one.
    ours = {"TERM": "xterm", "LANG": "C.UTF-8", "PYTHONPATH": package_path()}
    return {**plain, **ours, **given, **(others or {})}


class Process(Protocol):
    """What `subprocess.Popen` and `WarmProcess` have in common."""

    def send_signal(self, number: int, /) -> None:
        """Send it a signal."""

    def wait(self, seconds: float, /) -> int:
        """Its exit code."""


@contextlib.contextmanager
def begun(
    words: Sequence[str],
    variables: Mapping[str, str],
    files: tuple[int, int, int],
    *,
    folder: Path | None = None,
    is_leader: bool = False,
    is_new: bool = False,
) -> Iterator[Process]:
    """The program under way; leaving ends it.

    Args:
        words: Its arguments.
        variables: All of its environment.
        files: Its stdin, stdout and stderr.
        folder: The one it is in; the test's own where None.
        is_leader: Whether it has a session of its own.
        is_new: Whether it is an interpreter of its own.
    """
    if is_new:
        stdin, stdout, stderr = files
        with subprocess.Popen(
            [*PROGRAM, *words],
            env=variables,
            cwd=folder,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=is_leader,
        ) as process:
            try:
                yield process
            finally:
                process.kill()
        return
    order = Order(
        words=[*words],
        environment={**variables},
        folder=str(folder or Path.cwd()),
        is_leader=is_leader,
    )
    warm = WarmProcess(order, files)
    try:
        yield warm
    finally:
        warm.close()


def run(
    words: Sequence[str],
    *,
    key: str = "",
    url: str = "",
    folder: Path | None = None,
    stdout: int | IO[str] = subprocess.PIPE,
    stderr: int | IO[str] = subprocess.PIPE,
    variables: Mapping[str, str] | None = None,
    is_new: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run the program on pipes to its end."""
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as lent:
        nothing = lent.enter_context(open(os.devnull, "rb"))
        pipes, files = [], [nothing.fileno()]
        for given in (stdout, stderr):
            if given == subprocess.PIPE:
                inlet, given = os.pipe()
                pipes.append(ours.enter_context(open(inlet, "rb")))
                lent.callback(os.close, given)
            files.append(given if isinstance(given, int) else given.fileno())
        surroundings = environment(key, url, variables)
        is_new = is_new or _matters_at_start(variables)
        with begun(words, surroundings, (files[0], files[1], files[2]), folder=folder, is_new=is_new) as process:
            lent.close()
            said = iter(_all_of(pipes))
            code = process.wait(SECONDS)
    out, err = (next(said) if given == subprocess.PIPE else None for given in (stdout, stderr))
    return subprocess.CompletedProcess([*PROGRAM, *words], code, out, err)


def _matters_at_start(variables: Mapping[str, str] | None) -> bool:
    return any(map(_READ_AT_START.match, variables or ()))


def _all_of(pipes: Sequence[IO[bytes]]) -> list[str]:
    """What comes out of some pipes to their end."""
    said = {pipe: bytearray() for pipe in pipes}
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ, pipe)
        while selector.get_map():
            ready = selector.select(SECONDS)
            assert ready, f"the program has said nothing for {SECONDS} seconds"
            for key, _ in ready:
                piece = os.read(key.fd, 65536)
                said[key.data] += piece
                if not piece:
                    selector.unregister(key.fileobj)
    return [words.decode() for words in said.values()]


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
    reactions: Mapping[str, Callable[[], object]] | None = None,
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
        reactions: What the test does, each as soon as its words stand on the screen.
        variables: Variables of its environment, besides those of a plain terminal.
        stdout: A file for stdout; the terminal where None.
    """
    due: dict[str, Callable[[], object]] = {**(reactions or {})}
    keyboard, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    seen = ""
    with (
        open(keyboard, "r+b", buffering=0),
        open(terminal, "r+b", buffering=0) as lent,
        begun(
            words,
            environment(key, url, variables),
            (terminal, stdout.fileno() if stdout else terminal, terminal),
            is_leader=True,
            is_new=_matters_at_start(variables),
        ) as process,
    ):
        lent.close()
        for question, typed in (answers or {}).items():
            due[question] = functools.partial(os.write, keyboard, typed.encode())
        for shown, number in (signals or {}).items():
            due[shown] = functools.partial(process.send_signal, number)
        with contextlib.suppress(OSError):  # how Linux says that nobody holds the terminal any more
            while piece := os.read(keyboard, 65536):
                seen += decoder.decode(piece)
                for shown in [shown for shown in due if shown in seen]:
                    due.pop(shown)()
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
