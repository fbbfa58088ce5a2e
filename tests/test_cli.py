"""The commands: what each asks, what each writes to stdout, and what it leaves on disk."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from krosai_calls.cli import main
from krosai_calls.sandbox import Sandbox
from krosai_calls.sandbox.audio import Recorder, join_ready_made

Said = Callable[[], tuple[list[dict[str, Any]], str]]
RECORDER = Recorder(join_ready_made)
ENDED_UNANSWERED = ("failed", "busy", "no_answer")


@pytest.fixture(autouse=True)
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that the environment points to, and an empty folder to be in."""
    monkeypatch.chdir(tmp_path)
    with Sandbox(calls=30, recorder=RECORDER) as sandbox:
        monkeypatch.setenv("KROSAI_API_KEY", sandbox.api_key)
        monkeypatch.setenv("KROSAI_BASE_URL", sandbox.base_url)
        yield sandbox


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """What was written since: stdout, whose every line must be a JSON object, and stderr."""

    def read() -> tuple[list[dict[str, Any]], str]:
        out, err = capsys.readouterr()
        records = [json.loads(line) for line in out.splitlines()]
        assert all(isinstance(record, dict) for record in records)
        return records, err

    return read


def ids(sandbox: Sandbox, matches: Callable[[dict[str, Any]], Any]) -> list[str]:
    return [str(call["id"]) for call in sandbox.calls if matches(call)]


def recorded(sandbox: Sandbox) -> list[str]:
    return ids(sandbox, lambda call: call["recording_url"])


def unsigned(record: dict[str, Any]) -> dict[str, Any]:
    """Without the link, which is signed anew each time it is told."""
    return record | {"recording_url": bool(record["recording_url"])}


# ---- looking


def test_list_gives_each_call_as_the_server_told_it(sandbox: Sandbox, said: Said) -> None:
    assert main(["list"]) == 0
    calls, _ = said()
    assert [unsigned(call) for call in calls] == [unsigned(call) for call in sandbox.calls]


@pytest.mark.parametrize(("most", "count"), [("7", 7), ("30", 30), ("all", 30), ("9999", 30)])
def test_list_stops_where_it_is_told_to_and_says_if_there_may_be_more(said: Said, most: str, count: int) -> None:
    assert main(["list", "--max-items", most]) == 0
    calls, words = said()
    assert len(calls) == count
    assert ("more" in words) == (most == str(count))


def test_list_says_beside_the_data_that_nothing_matches(said: Said) -> None:
    assert main(["list", "--status", "voicemail"]) == 0
    calls, words = said()
    assert calls == []
    assert "No call matches" in words


FILTERS = {
    "--phone-number-id": ("phone_number_id", "pn_1"),
    "--endpoint-id": ("endpoint_id", "ep_shop"),
    "--from": ("from_date", "2025-01-10T12:00:00Z"),
    "--to": ("to_date", "2030-01-10T12:00:00Z"),
}
STATES = {"--status": ("status", "completed"), "--direction": ("direction", "inbound")}


@pytest.mark.parametrize(
    ("words", "filters"),
    [(["list"], FILTERS | STATES), (["stats"], FILTERS), (["archive", "calls"], FILTERS | STATES)],
)
def test_each_filter_reaches_the_server(
    sandbox: Sandbox, words: list[str], filters: dict[str, tuple[str, str]]
) -> None:
    options = [word for option, (_, value) in filters.items() for word in (option, value)]
    assert main([*words, *options]) == 0
    [asked] = sandbox.api_requests
    assert dict(filters.values()).items() <= asked.query.items()


def test_a_span_means_the_calls_since_then(sandbox: Sandbox, said: Said) -> None:
    assert main(["list", "--from", "3d"]) == 0
    some, _ = said()
    assert main(["list", "--to", "3d"]) == 0
    others, _ = said()
    told = [str(call["id"]) for call in sandbox.calls]
    assert [call["id"] for call in some + others] == told
    assert 0 < len(some) < len(told)


def test_get_gives_the_call_with_its_transcript(sandbox: Sandbox, said: Said) -> None:
    told = next(call for call in sandbox.calls if call["transcript"])
    assert main(["get", told["id"]]) == 0
    [call], words = said()
    assert unsigned(call) == unsigned(told)
    assert words == ""


def test_stats_and_events_give_what_the_server_told(sandbox: Sandbox, said: Said) -> None:
    assert main(["stats"]) == 0
    [stats], _ = said()
    assert (stats["total_calls"], sum(stats["by_status"].values())) == (30, 30)
    assert main(["events", recorded(sandbox)[0]]) == 0
    events, _ = said()
    assert [event["event"] for event in events][:2] == ["call.initiated", "call.ringing"]


# ---- hanging up


def test_hangup_ends_a_call_and_says_how_it_stands(sandbox: Sandbox, said: Said) -> None:
    [live] = ids(sandbox, lambda call: call["status"] == "in_progress")
    assert main(["hangup", live, "--yes"]) == 0
    [result], _ = said()
    assert (result["id"], result["status"]) == (live, "completed")
    assert main(["hangup", live, "--yes"]) == 4  # it has ended already


def test_hangup_wants_a_yes_where_nobody_can_be_asked(sandbox: Sandbox, said: Said) -> None:
    assert main(["hangup", "call_1"]) == 2
    records, words = said()
    assert (records, sandbox.requests) == ([], [])
    assert "--yes" in words


# ---- downloading


def test_download_writes_a_recording_here_under_its_name(sandbox: Sandbox, said: Said, tmp_path: Path) -> None:
    call_id = recorded(sandbox)[0]
    assert main(["download", call_id]) == 0
    [saved], _ = said()
    [file] = tmp_path.iterdir()
    assert file.name == saved["path"] == f"{call_id}.mp3"
    assert file.stat().st_size == saved["size_bytes"]
    assert (saved["id"], saved["suspect"], len(saved["sha256"])) == (call_id, None, 64)


def test_download_takes_many_each_once_into_a_folder_that_it_makes(
    sandbox: Sandbox, said: Said, tmp_path: Path
) -> None:
    one, two = recorded(sandbox)[:2]
    assert main(["download", one, two, one, "--to", "new/folder"]) == 0
    saved, _ = said()
    assert [record["id"] for record in saved] == [one, two]
    assert {path.name for path in (tmp_path / "new/folder").iterdir()} == {f"{one}.mp3", f"{two}.mp3"}


def test_download_of_what_is_not_there_leaves_nothing(sandbox: Sandbox, said: Said, tmp_path: Path) -> None:
    [missing, *_] = ids(sandbox, lambda call: call["status"] in ENDED_UNANSWERED)
    for call_id in (missing, "call_nosuch"):
        assert main(["download", call_id]) == 5
        records, words = said()
        assert records == []
        assert call_id in words
    assert list(tmp_path.iterdir()) == []


def test_download_saves_what_it_can_and_says_that_some_failed(
    sandbox: Sandbox, said: Said, tmp_path: Path
) -> None:
    [missing, *_] = ids(sandbox, lambda call: call["status"] in ENDED_UNANSWERED)
    present = recorded(sandbox)[0]
    assert main(["download", missing, present]) == 3
    [saved], words = said()
    assert saved["id"] == present
    assert missing in words
    assert [path.name for path in tmp_path.iterdir()] == [f"{present}.mp3"]


# ---- archiving


def test_archive_leaves_files_and_a_catalogue_and_does_nothing_twice(
    sandbox: Sandbox, said: Said, tmp_path: Path
) -> None:
    folder = tmp_path / "calls"
    assert main(["archive", "calls"]) == 0
    [first], words = said()
    assert main(["archive", "calls"]) == 0
    [second], _ = said()

    wanted = recorded(sandbox)
    assert sorted(path.stem for path in folder.glob("recordings/*/*/*/*.mp3")) == sorted(wanted)
    texts = {path.stem: path.read_text("utf-8") for path in folder.glob("transcripts/*/*/*/*.txt")}
    assert texts == {call["id"]: call["transcript"] for call in sandbox.calls if call["transcript"]}
    assert (first["calls_seen"], first["recordings_saved"], first["requests"]) == (30, len(wanted), 1)
    assert str(folder.name) in words
    assert (second["calls_new"], second["recordings_saved"], second["transcripts_saved"]) == (0, 0, 0)
    assert second["recordings_present"] == len(wanted)
    assert len(sandbox.api_requests) == 2
    assert len(sandbox.storage_requests) == len(wanted)

    rows = sqlite3.connect(folder / "catalog.sqlite")
    assert {row[0] for row in rows.execute("SELECT id FROM calls")} == {call["id"] for call in sandbox.calls}
    rows.close()


def test_archive_leaves_out_what_it_is_told_to_and_adds_timelines(
    sandbox: Sandbox, said: Said, tmp_path: Path
) -> None:
    assert main(["archive", "calls", "--no-recordings", "--no-transcripts", "--events", "--to", "9d"]) == 0
    [report], _ = said()
    assert report["requests"] == 1 + report["calls_seen"] > 1
    assert [path.name for path in (tmp_path / "calls").iterdir() if path.is_dir()] == []
    rows = sqlite3.connect(tmp_path / "calls" / "catalog.sqlite")
    assert rows.execute("SELECT count(DISTINCT call_id) FROM events").fetchone() == (report["calls_seen"],)
    rows.close()


# ---- the sandbox's own


def test_with_sandbox_a_command_needs_neither_key_nor_network(
    sandbox: Sandbox, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KROSAI_API_KEY")
    assert main(["--sandbox", "list", "--max-items", "all"]) == 0
    calls, _ = said()
    assert len(calls) == 250
    assert sandbox.requests == []


def test_an_address_given_as_an_option_goes_before_the_environments(
    sandbox: Sandbox, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KROSAI_BASE_URL", "https://nowhere.invalid/v1")
    assert main(["--base-url", sandbox.base_url, "stats"]) == 0
    [stats], _ = said()
    assert stats["total_calls"] == 30
