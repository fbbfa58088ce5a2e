"""``krosai-calls`` in a process of its own, without the wait for an interpreter.

A process that has imported all of it forks one for each run: the same program, with its own environment, folder,
terminal, signals and exit code. What a fork cannot show is how an interpreter starts (what PYTHON… and the locale
say of it, and what is imported when): `cli_process` starts one for that.

As a program this is the process that forks; as a module, how a test asks it to.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TypedDict

import krosai_calls

# What a command imports when it runs, besides the program's own modules.
_LIBRARIES = ("aiohttp", "cattrs", "click", "rich.cells", "rich.console", "rich.live", "rich.table", "sqlite3")
_LEFT_OUT = ("__main__", "_parquet", "pytest_plugin")  # they run something, or load much that few runs need


class Order(TypedDict):
    """What is to be run, and in which surroundings.

    Attributes:
        words: The program's arguments.
        environment: All of its variables.
        folder: The one it is in.
        is_leader: Whether it has a session of its own.
    """

    words: list[str]
    environment: dict[str, str]
    folder: str
    is_leader: bool


class WarmProcess:
    """A run that is under way: as much of `subprocess.Popen` as a test of the command line needs."""

    def __init__(self, order: Order, files: tuple[int, int, int]) -> None:
        """Begin it.

        Args:
            order: What is to be run.
            files: Its stdin, stdout and stderr.
        """
        self._ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(_forker(), [b"!"], [*files, theirs.fileno()])
        self._ours.sendall(json.dumps(order).encode() + b"\n")

    def send_signal(self, number: int) -> None:
        """Send it a signal; where it has ended, nobody gets it."""
        with contextlib.suppress(ConnectionError):
            self._ours.sendall(bytes([number]))

    def wait(self, seconds: float) -> int:
        """Its exit code, or the negative number of the signal that ended it.

        Raises:
            TimeoutError: It goes on.
        """
        self._ours.settimeout(seconds)
        return int(self._ours.makefile("r").readline())

    def close(self) -> None:
        """End it where it goes on."""
        self._ours.close()


@functools.cache
def _forker() -> socket.socket:
    """The process that forks, of this process; it ends with it."""
    ours, theirs = socket.socketpair()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LC_"))}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            env={**kept, "LANG": "C.UTF-8", "PYTHONPATH": package_path()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def package_path() -> str:
    """Where the package lies that this process tests, so that another process tests the same one."""
    return str(Path(krosai_calls.__file__).parent.parent)


# ---- the process that forks


def _import_all() -> None:
    for module in pkgutil.walk_packages(krosai_calls.__path__, "krosai_calls."):
        if not module.name.endswith(_LEFT_OUT):
            importlib.import_module(module.name)
    for name in _LIBRARIES:
        importlib.import_module(name)


def _next_order(requests: socket.socket) -> Order | None:
    """An order, in the process that has to carry it out; None where nobody asks any more."""
    while True:
        said, files, _, _ = socket.recv_fds(requests, 1, 4)
        if not said:
            return None
        if os.fork() == 0:
            requests.close()
            return _watched(files)
        for file in files:
            os.close(file)
        _bury_the_dead()


def _bury_the_dead() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _watched(files: list[int]) -> Order:
    """The order, in a process whose end this one tells."""
    *streams, talk = files
    connection = socket.socket(fileno=talk)
    order: Order = json.loads(connection.makefile("r").readline())
    inlet, outlet = os.pipe()  # it ends when the process does
    child = os.fork()
    if child == 0:
        connection.close()
        os.close(inlet)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        return order
    for descriptor in (outlet, *streams):
        os.close(descriptor)
    try:
        _watch(child, inlet, connection)
    finally:
        os._exit(0)


def _watch(child: int, inlet: int, connection: socket.socket) -> None:
    """Pass signals on to a process; say its exit code when it has ended; where nobody listens any more, end it."""
    while True:
        ready, _, _ = select.select([inlet, connection.fileno()], [], [])
        if inlet in ready:
            break
        numbers = connection.recv(100)
        for number in numbers or [signal.SIGKILL]:
            os.kill(child, number)
        if not numbers:
            break
    _, status = os.waitpid(child, 0)
    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _become(order: Order) -> None:
    """Take on the surroundings that an order names, as an interpreter that starts in them does."""
    if order["is_leader"]:
        os.setsid()
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    sys.argv[1:] = order["words"]
    sys.path[0] = order["folder"]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        stream = os.fdopen(number, old.mode, encoding=old.encoding, errors=old.errors, closefd=False)
        stream.reconfigure(line_buffering=name == "stderr" or stream.isatty())
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    _import_all()
    gc.collect()
    gc.freeze()
    given = _next_order(socket.socket(fileno=int(sys.argv.pop())))
    if given is not None:
        _become(given)
        runpy.run_module("krosai_calls", run_name="__main__", alter_sys=True)
