"""KROSAI_LOG: what goes over the wire, told on stderr."""

from __future__ import annotations

import json

import pytest
from cli_process import run

from krosai_calls.sandbox import Sandbox


@pytest.mark.parametrize(
    ("level", "lines"),
    [("debug", ["DEBUG GET /v1/calls/stats 200 in"]), ("info", []), ("", [])],
    ids=["debug", "info", "unset"],
)
def test_a_level_says_how_much_is_told_and_stdout_stays_data(level: str, lines: list[str]) -> None:
    with Sandbox(calls=3) as sandbox:
        done = run(["stats"], key=sandbox.api_key, url=sandbox.base_url, variables={"KROSAI_LOG": level})
    assert done.returncode == 0
    assert json.loads(done.stdout)["total_calls"] == 3
    told = done.stderr.splitlines()
    assert len(told) == len(lines)
    assert all(line in said for line, said in zip(lines, told, strict=True))
    assert sandbox.api_key not in done.stderr


def test_a_level_that_is_none_is_told_before_any_request() -> None:
    with Sandbox(calls=3) as sandbox:
        done = run(["stats"], key=sandbox.api_key, url=sandbox.base_url, variables={"KROSAI_LOG": "loud"})
        assert sandbox.requests == []
    assert done.returncode == 2
    assert "KROSAI_LOG is 'loud': it is debug or info" in done.stderr
