"""Every example in the README does what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from archive_maker import making

from krosai_calls.cli.exits import Exit
from krosai_calls.client import AsyncCallsClient
from krosai_calls.sandbox import FaultFields, Sandbox, pytest_plugin
from krosai_calls.sandbox.config import Config
from krosai_calls.sandbox.controls import Controls

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHELL = [text for language, text in BLOCKS if language == "shell"]
PYTHON = [text for language, text in BLOCKS if language == "python"]


def block_with(words: str) -> str:
    """The one Python example with these words."""
    (block,) = [str(block) for block in PYTHON if words in block]
    return block


def run(command: list[str], folder: Path, **variables: str) -> str:
    """What a program prints, run in a folder of its own."""
    environment = {**os.environ, **variables}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=80, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def account_of(sandbox: Sandbox) -> dict[str, str]:
    return {"KROSAI_API_KEY": sandbox.api_key, "KROSAI_BASE_URL": sandbox.base_url}


def test_the_first_two_shell_blocks_are_one_command_each() -> None:
    # .ci/run takes them from here and runs them word for word in a fresh environment.
    assert [text.count("\n") for text in SHELL[:2]] == [1, 1]
    assert "krosai-calls --sandbox archive ./calls" in SHELL[0]
    assert SHELL[1].rstrip().endswith("pytest -n auto")


@pytest.mark.timeout(90)  # some 200 recordings are made, which is ten seconds' work for a processor
def test_the_main_job_leaves_recordings_transcripts_and_a_catalogue(tmp_path: Path) -> None:
    command = SHELL[0].split("&&")[1].split()
    assert command[0] == "krosai-calls"
    run([sys.executable, "-m", "krosai_calls", *command[1:]], tmp_path)
    assert (tmp_path / "calls" / "catalog.sqlite").is_file()
    assert len(list((tmp_path / "calls").glob("recordings/*/*/*/*.mp3"))) >= 20
    assert len(list((tmp_path / "calls").glob("transcripts/*/*/*/*.txt"))) >= 20


def test_the_example_for_async_services_runs(tmp_path: Path) -> None:
    with Sandbox(calls=30) as sandbox:
        printed = run(
            [sys.executable, "-c", block_with("await client.download_recording")], tmp_path, **account_of(sandbox)
        )
    assert printed.count("seconds") == 10
    assert list(tmp_path.glob("recordings/*.mp3"))


def test_the_example_for_long_histories_prints_every_call_once(tmp_path: Path) -> None:
    with Sandbox(calls=250) as sandbox:
        printed = run([sys.executable, "-c", block_with("aclosing")], tmp_path, **account_of(sandbox))
    assert printed.split() == [call["id"] for call in sandbox.calls]


def test_the_example_for_scripts_runs(tmp_path: Path) -> None:
    with Sandbox(calls=60) as sandbox:
        printed = run(
            [sys.executable, "-c", block_with("with CallsClient() as client")], tmp_path, **account_of(sandbox)
        )
    assert "'completed'" in printed


def test_the_commands_for_a_real_account_run(tmp_path: Path) -> None:
    commands = [line.split() for line in SHELL[2].splitlines() if line.startswith("krosai-calls")]
    assert [command[1] for command in commands] == ["list", "archive"]
    with Sandbox(calls=30) as sandbox:
        for command in commands:
            run([sys.executable, "-m", "krosai_calls", *command[1:]], tmp_path, **account_of(sandbox))
    assert (tmp_path / "calls" / "catalog.sqlite").is_file()


def test_the_example_for_using_an_archive_runs(tmp_path: Path) -> None:
    said = [("Caller", "I want my money back"), ("Agent", "A refund it is")]
    with making(tmp_path / "calls") as maker:
        maker.call("call_1", said=said, recording=b"an MP3", direction="inbound", duration=180)
    printed = run([sys.executable, "-c", block_with('Archive("calls")')], tmp_path).splitlines()
    assert "I want my money back" in printed[0]
    assert printed[0].endswith("call_1.mp3")
    assert printed[1:] == ["1 calls, 3 minutes inbound", "sound"]
    assert (tmp_path / "calls.csv").read_text(encoding="utf-8").count("call_1") == 3


def test_the_commands_for_using_an_archive_run(tmp_path: Path) -> None:
    (block,) = [text for text in SHELL if "krosai-calls verify" in text]
    with making(tmp_path / "calls") as maker:
        maker.call("call_1", said=[("Caller", "money back")], recording=b"an MP3")
    ours = f'krosai-calls() {{ {shlex.quote(sys.executable)} -m krosai_calls "$@"; }}\nset -e\n'
    printed = run(["bash", "-c", ours + block], tmp_path)
    assert '"snippet": "money back"' not in printed  # it was said longer than 30 days ago
    assert '"is_sound": true' in printed
    assert (tmp_path / "calls.csv").is_file()


def test_the_example_for_ones_own_tests_passes(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(block_with("def client(krosai_sandbox)"), encoding="utf-8")
    assert "6 passed" in run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], tmp_path)


def test_the_table_of_the_sandbox_names_what_there_is() -> None:
    table = README.split("| of the sandbox |")[1].split("\n\n")[0]
    names = [name for row in table.splitlines()[1:] for name in re.findall(r"`\.?(\w+)", row.split("|")[1])]
    places = (Sandbox, Config, pytest_plugin)
    assert [name for name in names if not any(hasattr(place, name) for place in places)] == []
    assert {name for name in vars(Controls) if not name.startswith("_")} - set(names) <= {"api_key", "reset"}


def test_what_the_table_says_of_faults_is_what_there_is() -> None:
    row = next(line for line in README.splitlines() if line.startswith("| `.fail_next("))
    told = set(re.findall(r"`(\w+)=`", row)) - {"times", "endpoint", "path"}
    assert told == FaultFields.__annotations__.keys() - {"stall_after_bytes"}


def test_the_table_of_verbs_is_the_client() -> None:
    verbs = {name for name in vars(AsyncCallsClient) if not name.startswith("_")}
    assert set(re.findall(r"^\| `(\w+)\(", README, re.MULTILINE)) == verbs


def test_the_table_of_exit_codes_is_the_programs() -> None:
    codes = re.findall(r"^\| ([\d, ]+) \|", README, re.MULTILINE)
    assert {int(code) for group in codes for code in group.split(",")} == set(map(int, Exit))


def test_every_path_in_the_table_of_places_is_there() -> None:
    table = README.split("| path | its purpose |")[1].split("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    for cell in first_cells:
        first, *more = re.findall(r"`([^`]+)`", cell)
        for name in (first, *(f"krosai_calls/{other}" for other in more)):
            assert (ROOT / name).exists(), name


def test_the_changelog_begins_with_what_is_unreleased() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", changelog, re.MULTILINE)[0] == "[Unreleased]"
