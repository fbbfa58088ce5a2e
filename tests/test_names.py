"""Where in an archive a call's files stand."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krosai_calls._names import recording_name, safe_name, transcript_name

# The documented alphabet of a file's name, and the names that Windows keeps for its devices.
SAFE = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}

any_id = st.text(st.characters(categories=None, exclude_categories=()), max_size=150)
# Ids that are near to one another, to a path, to a device's name, or to another id's rendering.
near = st.lists(
    st.sampled_from(["a", "A", "-", "_", ".", "/", "\\", "..", "con", "COM1", "é", "\ud800", ":", " ", "x" * 50]),
    max_size=4,
).map("".join)
ids = any_id | near | (any_id | near).map(safe_name) | near.map(safe_name).map(str.upper)


@pytest.mark.parametrize(
    "call_id",
    [
        pytest.param("call_abc123", id="the documented form"),
        pytest.param("6f9619ff-8b86-d011-b42d-00c04fc964ff", id="a UUID"),
        pytest.param("a", id="one letter"),
        pytest.param("x" * 100, id="a hundred letters"),
        pytest.param("console", id="the beginning of a device"),
        pytest.param("com10", id="a port too many"),
        pytest.param("a-" + "0" * 39, id="nearly a rendering"),
    ],
)
def test_an_id_that_is_a_safe_name_is_kept(call_id: str) -> None:
    assert safe_name(call_id) == call_id


@pytest.mark.parametrize(
    ("call_id", "beginning"),
    [
        pytest.param("", "id-", id="empty"),
        pytest.param("..", "id-", id="dots"),
        pytest.param("../../etc/passwd", "etc-passwd-", id="a path"),
        pytest.param("C:\\x", "c-x-", id="a drive"),
        pytest.param("Call_1", "call-1-", id="a capital"),
        pytest.param("call_1\n", "call-1-", id="a line end"),
        pytest.param("_x", "x-", id="an underscore in front"),
        pytest.param("-rf", "rf-", id="a dash in front"),
        pytest.param("con", "con-", id="a device"),
        pytest.param("lpt9", "lpt9-", id="a port"),
        pytest.param("x" * 101, "x" * 40 + "-", id="too long"),
        pytest.param("a-" + "0" * 40, "a-" + "0" * 38 + "-", id="what looks like a rendering"),
        pytest.param("\ud800", "id-", id="a lone surrogate"),
        pytest.param("٣", "id-", id="a digit beyond ASCII"),
    ],
)
def test_another_id_is_rendered_readably_with_a_digest(call_id: str, beginning: str) -> None:
    name = safe_name(call_id)
    assert name.startswith(beginning)
    assert re.fullmatch(r"[0-9a-f]{40}", name[len(beginning) :])


def test_a_rendering_stays_the_same_between_versions() -> None:
    # An archive finds its files again by it: SHA-256 of "A/b", the first 40 digits.
    assert safe_name("A/b") == "a-b-3646f792d48811a310b807f46780c3fbd9057f5a"


@settings(max_examples=300, deadline=None)
@given(ids)
def test_every_id_gets_a_name_of_the_safe_alphabet_that_is_no_device(call_id: str) -> None:
    name = safe_name(call_id)
    assert SAFE.fullmatch(name)
    assert name not in DEVICES


@settings(max_examples=300, deadline=None)
@given(ids, ids)
def test_no_two_ids_share_a_name_also_where_case_is_folded(one: str, other: str) -> None:
    for second in (other, one.upper(), one.casefold(), safe_name(one), safe_name(one).upper(), f"{one} "):
        assert (safe_name(one).casefold() == safe_name(second).casefold()) is (one == second)


def test_an_id_that_equals_anothers_rendering_is_rendered_itself() -> None:
    rendering = safe_name("A/b")
    assert safe_name(rendering) != rendering
    assert safe_name(safe_name(rendering)) not in (rendering, safe_name(rendering))


def test_a_pair_of_surrogates_and_the_character_they_mean_are_two_ids() -> None:
    assert safe_name("\ud83c\udfa7") != safe_name("🎧")


@pytest.mark.parametrize(
    ("created_at", "day"),
    [
        pytest.param(datetime(2025, 1, 10, 23, 59, tzinfo=UTC), "2025/01/10", id="UTC"),
        pytest.param(datetime(2025, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2024/12/31", id="east"),
        pytest.param(datetime(2025, 1, 10, 23, tzinfo=timezone(timedelta(hours=-8))), "2025/01/11", id="west"),
        pytest.param(None, "undated", id="nobody knows"),
    ],
)
def test_files_stand_under_the_day_in_utc(created_at: datetime | None, day: str) -> None:
    assert recording_name("call_1", created_at) == f"recordings/{day}/call_1.mp3"
    assert transcript_name("call_1", created_at) == f"transcripts/{day}/call_1.txt"


@settings(max_examples=200, deadline=None)
@given(ids, st.datetimes(timezones=st.just(UTC)) | st.none())
def test_no_id_leaves_its_folder(call_id: str, created_at: datetime | None) -> None:
    for path, folder in (
        (PurePosixPath(recording_name(call_id, created_at)), "recordings"),
        (PurePosixPath(transcript_name(call_id, created_at)), "transcripts"),
    ):
        assert path.parts[0] == folder
        assert ".." not in path.parts
        assert len(path.parts) == (3 if created_at is None else 5)
        assert PureWindowsPath(path).parts == path.parts
        assert not PureWindowsPath(path).is_absolute()
