"""The portal's thread and its process: first use, forks, scripts that never close."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading

import pytest

from krosai_calls._portal import Portal


async def double(number: int) -> int:
    return 2 * number


def test_nothing_starts_before_the_first_use_and_one_thread_with_it() -> None:
    before = set(threading.enumerate())
    portal = Portal("a name of its own")
    assert set(threading.enumerate()) <= before
    portal.run(double, 1)
    started = set(threading.enumerate()) - before
    assert [(thread.name, thread.daemon) for thread in started] == [("a name of its own", True)]
    portal.close()
    assert set(threading.enumerate()) <= before


def test_a_portal_that_nobody_holds_ends_its_thread() -> None:
    before = set(threading.enumerate())
    portal = Portal()
    portal.run(double, 1)
    del portal
    gc.collect()
    assert set(threading.enumerate()) <= before


def run_script(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script that has a portal, a coroutine function and a source at hand."""
    prologue = (
        "import asyncio, os, sys\n"
        "from krosai_calls._portal import Portal\n"
        "from krosai_calls.errors import ClientStateError\n"
        "portal = Portal()\n"
        "async def double(number):\n    return 2 * number\n"
        "async def numbers():\n    for number in range(9):\n        yield number\n"
        "def said(*words):\n    print(*words, flush=True)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDEVMODE"}
    return subprocess.run(
        [sys.executable, *options, "-c", prologue + script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


FORK = """
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    said("child ended with", os.waitstatus_to_exitcode(status))
"""
# Python 3.12 warns of every fork with threads about, which is what these two are about.
LENIENT = ("-W", "ignore::DeprecationWarning")


def test_a_portal_made_before_a_fork_and_not_used_works_in_the_child_too() -> None:
    done = run_script(f"{FORK}said(portal.run(double, 21))\nsys.exit(0 if child else 3)\n", *LENIENT)
    assert (done.stdout, done.stderr) == ("42\nchild ended with 3\n42\n", "")


def test_one_used_before_a_fork_says_so_in_the_child_and_goes_on_in_the_parent() -> None:
    script = f"""
half_read = portal.iterate(numbers())
next(half_read)
{FORK}
else:
    try:
        portal.run(double, 1)
    except ClientStateError as error:
        said(error)
    portal.close()
    sys.exit(3)
said(portal.run(double, 21), next(half_read))
portal.close()
"""
    done = run_script(script, *LENIENT)
    told, *others = done.stdout.splitlines()
    assert "fork" in told
    assert others == ["child ended with 3", "42 1"]
    assert done.stderr == ""


@pytest.mark.parametrize(
    "mess",
    [
        "portal.run(double, 1)",
        "half_read = portal.iterate(numbers()); next(half_read)",
        "half_read = [portal.iterate(numbers())]; next(half_read[0]); half_read.append(half_read)",
    ],
)
def test_a_script_that_never_closes_ends_with_its_own_code_and_in_silence(mess: str) -> None:
    done = run_script(f"{mess}\nsaid('done')\nsys.exit(7)\n", "-W", "error")
    assert (done.returncode, done.stdout, done.stderr) == (7, "done\n", "")


def test_ctrl_c_ends_a_script_as_ctrl_c_does_and_runs_its_clean_up() -> None:
    script = """
import signal, threading
async def job():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    try:
        await asyncio.Event().wait()
    finally:
        said("tidied up")
portal.run(job)
"""
    done = run_script(script, "-W", "error")
    assert (done.returncode, done.stdout) == (-signal.SIGINT, "tidied up\n")
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"
