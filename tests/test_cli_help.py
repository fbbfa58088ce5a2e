"""Before any command: help, versions, and what is said where a part is not installed."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from cli_process import environment, run

from krosai_calls import __version__
from krosai_calls.cli import main
from krosai_calls.cli.app import program

# Of section 6 of the design, what is there by now.
COMMANDS = {
    "list",
    "get",
    "stats",
    "events",
    "wait",
    "hangup",
    "download",
    "archive",
    "search",
    "verify",
    "export",
    "sandbox",
    "doctor",
    "completion",
}
CALL_FILTERS = {"--status", "--direction", "--phone-number-id", "--endpoint-id", "--from", "--to"}
EVERY_HELP = [["--help"], *([name, "--help"] for name in program.commands)]


def test_the_program_has_the_commands_of_the_design() -> None:
    assert set(program.commands) == COMMANDS


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("list", {*CALL_FILTERS, "--max-items"}),
        ("archive", CALL_FILTERS),
        ("stats", CALL_FILTERS - {"--status", "--direction"}),
        ("events", {"--follow"}),
        ("wait", {"--timeout"}),
        ("hangup", {"--yes"}),
        ("download", {"--to"}),
        ("search", {*CALL_FILTERS, "--max-items", "--speaker"}),
        ("export", {*CALL_FILTERS, "--format", "--output", "--sums"}),
    ],
)
def test_a_command_takes_the_options_of_the_design(command: str, options: set[str]) -> None:
    assert options <= {name for parameter in program.commands[command].params for name in parameter.opts}


@pytest.mark.parametrize("words", EVERY_HELP, ids=" ".join)
def test_help_goes_to_stdout_and_shows_an_example(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"Usage: krosai-calls {'' if words == ['--help'] else words[0]}")
    assert err == ""
    assert max(map(len, out.splitlines())) <= 100
    if words == ["--help"]:
        assert "KROSAI_API_KEY" in out
        assert "krosai-calls --sandbox list" in " ".join(out.split())
    else:
        assert f"Example:  krosai-calls {words[0]}" in out


@pytest.mark.parametrize("command", program.commands.values(), ids=list(program.commands))
def test_every_option_is_explained(command: click.Command) -> None:
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []
    assert command.help


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("words", EVERY_HELP, ids=" ".join)
def test_help_loads_no_library_that_it_does_not_need(words: list[str]) -> None:
    script = (
        f"import sys\nfrom krosai_calls.cli import main\ncode = main({words!r})\n"
        "print(code, {'aiohttp', 'cattrs', 'rich'} & set(sys.modules), file=sys.stderr)\n"
    )
    done = run_python(script)
    assert done.stderr == "0 set()\n"


@pytest.mark.parametrize(
    ("hidden", "named"), [(["click"], ["click"]), (["rich"], ["rich"]), (["click", "rich"], ["click", "rich"])]
)
def test_without_a_library_it_says_in_a_line_what_to_install(hidden: list[str], named: list[str]) -> None:
    script = f"""
import sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, *others):
        return None if name in {hidden!r} else self.finder.find_spec(name, *others)

sys.meta_path[:] = map(Hiding, sys.meta_path)
from krosai_calls.cli import main
sys.exit(main(["--help"]))
"""
    done = run_python(script)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "pip install 'krosai-calls[cli]'" in done.stderr
    assert [name for name in ("click", "rich") if f" {name}" in done.stderr.partition("install")[0]] == named


def run_python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize("words", [[], ["--help"], ["list", "--help"]], ids=" ".join)
@pytest.mark.parametrize(
    "variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_help_can_be_read_where_only_ascii_can_be_shown(words: list[str], variables: dict[str, str]) -> None:
    done = run(words, variables=variables)
    assert done.returncode == (0 if words else 2)
    assert "Usage: krosai-calls" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_python_dash_m_is_the_program() -> None:
    done = run(["--version"], is_new=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"krosai-calls, version {__version__}\n", "")
