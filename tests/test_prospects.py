"""Whether a call's recording or transcript is there, may still come, or never will."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from krosai_calls._prospects import Prospect, no_recording, recording_prospect, transcript_prospect
from krosai_calls.errors import DownloadError, RecordingGoneError, RecordingNotReadyError
from krosai_calls.models import Call

NOW = datetime(2025, 1, 10, 12, tzinfo=UTC)
JUST_NOW = NOW - timedelta(minutes=1)
NEARLY_A_DAY = NOW - timedelta(hours=23, minutes=59)
A_DAY = NOW - timedelta(hours=24)
IN_AN_HOUR = NOW + timedelta(hours=1)
LAST_YEAR = NOW - timedelta(days=365)


def call(status: Any, *, ended: datetime | None = None, begun: datetime | None = None, **fields: Any) -> Call:
    return Call("call_1", status=status, completed_at=ended, created_at=begun, **fields)


STORIES = [
    pytest.param(call("completed", ended=JUST_NOW), Prospect.PENDING, id="just ended"),
    pytest.param(call("completed", ended=NEARLY_A_DAY), Prospect.PENDING, id="ended nearly a day ago"),
    pytest.param(call("completed", ended=A_DAY), Prospect.GONE, id="ended a day ago"),
    pytest.param(call("completed", ended=LAST_YEAR), Prospect.GONE, id="ended a year ago"),
    pytest.param(call("completed", begun=LAST_YEAR), Prospect.GONE, id="begun a year ago, no end told"),
    pytest.param(call("completed", begun=JUST_NOW), Prospect.PENDING, id="just begun, no end told"),
    pytest.param(
        call("completed", begun=LAST_YEAR, ended=JUST_NOW),
        Prospect.PENDING,
        id="begun a year ago, just ended",
    ),
    pytest.param(call("completed"), Prospect.PENDING, id="ended, and no time is told"),
    pytest.param(call("completed", ended=IN_AN_HOUR), Prospect.PENDING, id="the service's clock is fast"),
    pytest.param(call("in_progress", begun=LAST_YEAR), Prospect.PENDING, id="going on"),
    pytest.param(call("ringing"), Prospect.PENDING, id="ringing"),
    pytest.param(call("parked", begun=LAST_YEAR), Prospect.PENDING, id="unknown, not ended"),
    pytest.param(call("parked", ended=LAST_YEAR), Prospect.GONE, id="unknown, ended a year ago"),
    pytest.param(call(None), Prospect.PENDING, id="no status"),
    pytest.param(call("failed", ended=JUST_NOW), Prospect.NEVER, id="failed"),
    pytest.param(call("busy"), Prospect.NEVER, id="busy"),
    pytest.param(call("no_answer", begun=LAST_YEAR), Prospect.NEVER, id="no answer"),
]


@pytest.mark.parametrize(("seen", "prospect"), STORIES)
def test_without_a_link_or_words_the_calls_end_decides(seen: Call, prospect: Prospect) -> None:
    assert recording_prospect(seen, NOW) is prospect
    assert transcript_prospect(seen, NOW) is prospect


@pytest.mark.parametrize("status", ["completed", "failed", "parked", None])
def test_what_is_there_is_ready_whatever_the_call_says(status: str | None) -> None:
    seen = call(status, ended=LAST_YEAR, recording_url="https://h/a.mp3", transcript="[A]: hi")
    assert recording_prospect(seen, NOW) is Prospect.READY
    assert transcript_prospect(seen, NOW) is Prospect.READY


def test_the_words_of_a_call_that_goes_on_are_not_all_of_them() -> None:
    seen = call("in_progress", recording_url="https://h/a.mp3", transcript="[A]: hi")
    assert recording_prospect(seen, NOW) is Prospect.READY
    assert transcript_prospect(seen, NOW) is Prospect.PENDING


def test_a_link_brings_no_words_and_words_bring_no_link() -> None:
    with_link = call("completed", ended=LAST_YEAR, recording_url="https://h/a.mp3", transcript="")
    with_words = call("completed", ended=LAST_YEAR, recording_url="", transcript="[A]: hi")
    assert transcript_prospect(with_link, NOW) is Prospect.GONE
    assert recording_prospect(with_words, NOW) is Prospect.GONE


@pytest.mark.parametrize(
    ("seen", "error_class", "words"),
    [
        pytest.param(call("in_progress"), RecordingNotReadyError, "still going on", id="going on"),
        pytest.param(call("completed", ended=JUST_NOW), RecordingNotReadyError, "just ended", id="just ended"),
        pytest.param(call("busy"), RecordingGoneError, r"did not connect \(busy\)", id="busy"),
        pytest.param(call("completed", ended=LAST_YEAR), RecordingGoneError, "past its retention", id="old"),
    ],
)
def test_the_error_tells_why_there_is_none(seen: Call, error_class: type[DownloadError], words: str) -> None:
    error = no_recording(seen, NOW)
    assert type(error) is error_class
    assert error.call_id == "call_1"
    with pytest.raises(error_class, match=f"call_1 .*{words}|recording of call call_1 .*{words}"):
        raise error
