"""What a verification finds missing or damaged is fetched again, and nothing else is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from krosai_calls import Archive, AsyncCallsClient
from krosai_calls.cli import main
from krosai_calls.sandbox import Sandbox


def files_in(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.rglob(pattern))


def damage(folder: Path) -> tuple[Path, Path, Path]:
    """A recording that is longer, one that is gone, a transcript that is gone."""
    longer, gone = files_in(folder, "*.mp3")[:2]
    words = files_in(folder, "*.txt")[0]
    longer.write_bytes(longer.read_bytes() + b"\0")
    gone.unlink()
    words.unlink()
    return longer, gone, words


async def test_a_repair_fetches_what_is_missing_or_changed_and_keeps_what_was_there(
    sandbox: Sandbox, client: AsyncCallsClient, tmp_path: Path
) -> None:
    await client.archive(tmp_path)
    before = {path: path.read_bytes() for path in files_in(tmp_path, "*.mp3") + files_in(tmp_path, "*.txt")}
    longer, gone, words = damage(tmp_path)
    found = Archive(tmp_path).verify()
    assert {finding.path for finding in found.repairable} == {longer, gone, words}
    fetched_before = len(sandbox.storage_requests)
    report = await client.archive(tmp_path, repair=found)
    assert (report.recordings_saved, report.transcripts_saved) == (2, 1)
    assert len(sandbox.storage_requests) == fetched_before + 2
    assert {path: path.read_bytes() for path in before} == before
    aside = longer.with_name(f"{longer.name}.damaged")
    assert aside.read_bytes() == before[longer] + b"\0"
    assert Archive(tmp_path).verify().is_sound


async def test_a_repair_asks_for_no_new_calls(sandbox: Sandbox, client: AsyncCallsClient, tmp_path: Path) -> None:
    await client.archive(tmp_path)
    files_in(tmp_path, "*.mp3")[0].unlink()
    newest = sandbox.add_call(status="completed")
    report = await client.archive(tmp_path, repair=Archive(tmp_path).verify())
    assert report.recordings_saved == 1
    assert report.calls_new == 0
    assert Archive(tmp_path).count() == len(sandbox.calls) - 1
    assert (await client.archive(tmp_path)).calls_new == 1
    assert newest["id"] in {call.id for call in Archive(tmp_path).calls()}


@pytest.fixture
def archived(krosai_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KROSAI_API_KEY", krosai_sandbox.api_key)
    monkeypatch.setenv("KROSAI_BASE_URL", krosai_sandbox.base_url)
    assert main(["archive", str(tmp_path / "calls")]) == 0
    return tmp_path / "calls"


@pytest.mark.krosai_sandbox(calls=30)
def test_verify_ends_with_8_and_with_repair_with_0_once_all_is_mended(archived: Path) -> None:
    damage(archived)
    assert main(["verify", str(archived)]) == 8
    assert main(["verify", "--repair", str(archived)]) == 0
    assert main(["verify", str(archived)]) == 0


@pytest.mark.krosai_sandbox(calls=30)
def test_what_no_repair_can_mend_still_ends_with_8(archived: Path) -> None:
    (archived / "recordings" / "stranger.mp3").touch()
    files_in(archived, "*.txt")[0].unlink()
    assert main(["verify", "--repair", str(archived)]) == 8
    assert (archived / "recordings" / "stranger.mp3").exists()
