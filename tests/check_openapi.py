"""Runs schemathesis against the sandbox by its own description; `.ci/run` calls it.

    python tests/check_openapi.py

It is no test of pytest's, for schemathesis brings more than those who only run the tests should have to install.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

from krosai_calls.sandbox import Dialect, Sandbox

DIALECTS = (
    Dialect(),
    Dialect(
        order="oldest_first",
        date_bounds="half_open",
        envelope="data",
        total=False,
        events_envelope="list",
        event_names="other_pages",
        event_name_key="type",
        hangup_answer="empty",
        ended_call_status=404,
    ),
)
CHECKS = ("--checks=all", "--phases=examples,coverage,fuzzing,stateful", "--max-examples=60", "--seed=1")


def findings(dialect: Dialect) -> int:
    """Tell the exit code of a run: 0 where nothing was found."""
    with Sandbox(calls=60, dialect=dialect) as sandbox, tempfile.TemporaryDirectory() as folder:
        for _ in range(20):
            sandbox.add_call(status="in_progress")
        origin = sandbox.base_url.removesuffix("/v1")
        key = f"--header=x-api-key:{sandbox.api_key}"
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{origin}/openapi.json", key, *CHECKS]
        return subprocess.run(command, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(max(map(findings, DIALECTS)))
