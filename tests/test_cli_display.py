"""How figures are written for people, what options mean, which columns fit, and how errors end. All of it pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import click
import pytest

from krosai_calls import errors
from krosai_calls.cli.display import cost_of, count_of, duration_of, size_of, text_of, time_of
from krosai_calls.cli.exits import exit_for
from krosai_calls.cli.options import how_many, point_in_time
from krosai_calls.cli.output import Column, fitting

# Section 6 of the design, class by class.
EXIT_CODES = {
    "SettingsError": 2,
    "InvalidArgumentError": 2,
    "AuthenticationError": 4,
    "PaymentRequiredError": 4,
    "PermissionDeniedError": 4,
    "ConflictError": 4,
    "BadRequestError": 4,
    "ApiError": 4,
    "NotFoundError": 5,
    "RecordingNotReadyError": 5,
    "RecordingGoneError": 5,
    "TranscriptUnavailableError": 5,
    "RateLimitedError": 6,
    "RequestBudgetExceededError": 6,
    "ConnectionFailedError": 7,
    "RequestTimeoutError": 7,
    "StreamInterruptedError": 7,
    "HangupUncertainError": 7,
    "ServerError": 7,
    "DecodeError": 7,
    "ListingInconsistentError": 7,
    "DownloadError": 7,
    "IntegrityError": 8,
    "ArchiveError": 9,
    "LocalFileError": 9,
    "ClientStateError": 1,
    "KrosaiError": 1,
}


def test_the_table_of_exit_codes_has_every_error() -> None:
    assert set(EXIT_CODES) == set(errors.__all__)


@pytest.mark.parametrize(("name", "code"), EXIT_CODES.items())
def test_an_error_ends_the_program_with_its_code(name: str, code: int) -> None:
    assert exit_for(getattr(errors, name)("x")) == code


def test_an_error_ends_like_its_nearest_kin_and_a_stranger_as_a_fault_of_ours() -> None:
    class NewError(errors.NotFoundError):
        """One that the table does not know."""

    assert exit_for(NewError()) == 5
    assert exit_for(ZeroDivisionError()) == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        ("", "-"),
        (0, "0"),
        (False, "False"),
        ("Grüße 日本", "Grüße 日本"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred\x07\x7f", r"\x1b[31mred\x07\x7f"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\u2066a\u2069\u200b\ufeff", r"\u2066a\u2069\u200b\ufeff"),
        ("\ud800", r"\ud800"),
        ({"a": "\x1b"}, r"{'a': '\x1b'}"),
    ],
)
def test_anything_becomes_one_harmless_line(value: object, shown: str) -> None:
    assert text_of(value) == shown


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (None, "-"),
        (datetime(2025, 1, 10, 9, 5, 7, 999_000, UTC), "2025-01-10 09:05:07"),
        (datetime(2025, 1, 10, 9, 5, 7, tzinfo=timezone(timedelta(hours=9, minutes=30))), "2025-01-09 23:35:07"),
    ],
)
def test_a_moment_is_shown_in_utc(moment: datetime | None, shown: str) -> None:
    assert time_of(moment) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (0, "0s"),
        (8, "8s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (60, "1m00s"),
        (185, "3m05s"),
        (3599.7, "1h00m00s"),
        (3723, "1h02m03s"),
        (90_000, "25h00m00s"),
    ],
)
def test_a_length_of_time_reads_as_people_say_it(seconds: float | None, shown: str) -> None:
    assert duration_of(seconds) == shown


@pytest.mark.parametrize(
    ("cents", "shown"),
    [(None, "-"), (0, "$0.00"), (12, "$0.12"), (12.0, "$0.12"), (0.25, "$0.0025"), (123_456, "$1234.56")],
)
def test_a_price_keeps_its_fractions(cents: float | None, shown: str) -> None:
    assert cost_of(cents) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (412_300, "412 kB"),
        (999_999, "1.0 MB"),
        (48_123_456, "48.1 MB"),
        (999_999_999, "1.0 GB"),
        (5_000_000_000_000, "5000.0 GB"),
    ],
)
def test_a_size_has_the_unit_that_fits(count: int, shown: str) -> None:
    assert size_of(count) == shown


@pytest.mark.parametrize(("number", "shown"), [(0, "0 calls"), (1, "1 call"), (1250, "1,250 calls")])
def test_a_number_goes_with_its_noun(number: int, shown: str) -> None:
    assert count_of(number, "call") == shown


# ---- options

NOW = datetime(2025, 3, 14, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("36h", NOW - timedelta(hours=36)),
        ("90m", NOW - timedelta(minutes=90)),
        ("2w", NOW - timedelta(weeks=2)),
        ("0d", NOW),
        ("2025-01-10", "2025-01-10"),
        ("-7d", "-7d"),
        ("7D", "7D"),
        ("\N{ARABIC-INDIC DIGIT SEVEN}d", "\N{ARABIC-INDIC DIGIT SEVEN}d"),
        ("1234567d", "1234567d"),
    ],
)
def test_a_span_reaches_back_from_now_and_all_else_stays_as_it_is(text: str, meant: datetime | str) -> None:
    assert point_in_time(text, now=NOW) == meant


def test_a_span_before_the_calendar_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="999999w"):
        point_in_time("999999w", now=NOW)


@pytest.mark.parametrize(("text", "meant"), [("1", 1), ("050", 50), ("1000000", 1_000_000), ("all", 0)])
def test_a_count_is_a_number_or_all(text: str, meant: int) -> None:
    assert how_many(text) == meant


@pytest.mark.parametrize(
    "text", ["0", "-1", "", "1.5", "1e3", " 1", "\N{ARABIC-INDIC DIGIT THREE}", "ALL", "none"]
)
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="all"):
        how_many(text)


# ---- columns

COLUMNS = (Column("time", rank=1), Column("from", rank=2), Column("cost", rank=3), Column("id"))
WIDTHS = (19, 12, 5, 20)


@pytest.mark.parametrize(
    ("room", "kept"),
    [(200, [0, 1, 2, 3]), (62, [0, 1, 2, 3]), (61, [0, 1, 3]), (55, [0, 1, 3]), (54, [0, 3]), (40, [3]), (5, [3])],
)
def test_the_most_dispensable_columns_go_first_and_the_id_never(room: int, kept: list[int]) -> None:
    assert fitting(COLUMNS, WIDTHS, room) == kept
