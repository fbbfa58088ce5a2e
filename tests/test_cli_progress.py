"""What is said of work under way: speeds, bars, lines that fit, and what is left of the day. All of it pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from krosai_calls.archive import ArchiveFailure, ArchiveReport
from krosai_calls.cli.charts import DRAWN, PLAIN, chart, glyphs_for, share_bar
from krosai_calls.cli.display import after_of, ago_of
from krosai_calls.cli.progress import MOST_BARS, ArchiveMeter, DownloadMeter, Piece, Quota, Speed, fitted
from krosai_calls.observing import RateLimit, RequestAnswered, RequestStarted

NOW = datetime(2025, 3, 14, 9, tzinfo=UTC)
STARTED = RequestStarted("api", "GET", "/calls", "/calls", 1)


def answered(limit: float | None) -> RequestAnswered:
    return RequestAnswered(STARTED, 200, 0.1, None, None, RateLimit(limit, None))


# ---- times


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (timedelta(), "0s ago"),
        (timedelta(seconds=59.9), "59s ago"),
        (timedelta(seconds=60), "1m ago"),
        (timedelta(minutes=59, seconds=59), "59m ago"),
        (timedelta(hours=47), "47h ago"),
        (timedelta(hours=48), "2d ago"),
        (timedelta(days=20), "20d ago"),
        (timedelta(days=21), "3w ago"),
        (timedelta(days=729), "104w ago"),
        (timedelta(days=731), "2y ago"),
        (timedelta(minutes=-5), "in 5m"),
    ],
)
def test_an_age_is_told_in_the_unit_that_fits(age: timedelta, shown: str) -> None:
    assert ago_of(NOW - age, NOW) == shown


def test_a_time_that_nobody_told_has_no_age() -> None:
    assert ago_of(None, NOW) == after_of(None, NOW) == after_of(NOW, None) == "-"


@pytest.mark.parametrize(("seconds", "shown"), [(0, "+0s"), (185, "+3m05s"), (-1, "-")])
def test_a_step_of_a_timeline_is_told_from_its_start(seconds: int, shown: str) -> None:
    assert after_of(NOW + timedelta(seconds=seconds), NOW) == shown


# ---- bars


@pytest.mark.parametrize(
    ("share", "bar"),
    [(0, "...."), (0.001, "#..."), (0.5, "##.."), (0.999, "###."), (1, "####"), (-1, "...."), (7, "####")],
)
def test_a_bar_is_full_only_when_all_is_done(share: float, bar: str) -> None:
    assert share_bar(share, 4, PLAIN) == bar


@pytest.mark.parametrize(("encoding", "glyphs"), [("utf-8", DRAWN), ("ascii", PLAIN), (None, PLAIN), ("x", PLAIN)])
def test_bars_are_made_of_what_the_terminal_can_show(encoding: str | None, glyphs: object) -> None:
    assert glyphs_for(encoding) is glyphs


@pytest.mark.parametrize("room", [10, 20, 30, 60, 200])
def test_a_chart_fits_and_its_bars_stand_to_one_another_as_its_numbers(room: int) -> None:
    rows = chart([("completed", 1000), ("busy", 500), ("failed", 1), ("none", 0)], room, PLAIN)
    assert [row.label for row in rows] == ["completed", "busy", "failed", "none"]
    assert [row.value.split() for row in rows] == [["1,000", "67%"], ["500", "33%"], ["1", "0%"], ["0", "0%"]]
    lengths = [row.bar.count("#") for row in rows]
    if room < 30:
        assert lengths == [0, 0, 0, 0]
    else:
        assert max(len(row.label) + len(row.bar) + len(row.value) + 4 for row in rows) <= room + 5
        assert lengths[0] >= 4
        assert lengths[1:] == [round(lengths[0] / 2), 1, 0]


def test_a_chart_of_what_is_no_number_shows_it_without_a_bar() -> None:
    rows = chart(
        [("a", "many"), ("b\x1b", -1), ("c", float("nan")), ("d", None), ("e", 4), ("f", True)], 60, PLAIN
    )
    assert [row.label for row in rows] == ["a", r"b\x1b", "c", "d", "e", "f"]
    assert [row.value.split()[0] for row in rows] == ["many", "-1", "nan", "-", "4", "True"]
    assert [row.bar.count("#") > 0 for row in rows] == [False, False, False, False, True, False]


def test_a_chart_of_nothing_is_nothing() -> None:
    assert chart([], 80, PLAIN) == []
    assert [row.bar.strip() for row in chart([("completed", 0)], 80, PLAIN)] == [""]


# ---- lines


@pytest.mark.parametrize(
    ("room", "line"), [(80, "one  two  three"), (14, "one  two"), (7, "one"), (2, "on"), (0, ""), (-1, "")]
)
def test_the_most_dispensable_words_go_first(room: int, line: str) -> None:
    assert fitted([Piece("one"), Piece(""), Piece("two", 1), Piece("three", 2)], room) == line


# ---- speeds


def test_a_speed_is_told_only_when_there_was_time_to_measure_it() -> None:
    speed = Speed(100.0)
    speed.note(101.0, 1000)
    assert (speed.per_second, speed.seconds_for(500)) == (None, None)
    speed.note(104.0, 4000)
    assert (speed.per_second, speed.seconds_for(500)) == (1000, 0.5)


def test_a_speed_is_that_of_the_last_while() -> None:
    speed = Speed(0.0)
    for second in range(1, 101):
        speed.note(float(second), 1000 * second if second <= 50 else 50_000)
    assert speed.per_second == 0
    assert speed.seconds_for(1) is None


def test_a_speed_remembers_no_more_than_it_needs() -> None:
    speed = Speed(0.0)
    for step in range(100_000):
        speed.note(step / 1000, step)
    assert len(speed._samples) <= 130
    assert speed.per_second == pytest.approx(1000, rel=0.02)


# ---- the day's requests


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (10, "at most 998 left today"),
        (50, "at most 49,998 left today"),
        (200, "at most 499,998 left today"),
        (100, ""),  # the listing's own limit: it tells no plan
        (None, ""),
    ],
)
def test_what_is_left_today_is_told_where_the_pace_gives_the_plan_away(limit: float | None, words: str) -> None:
    quota = Quota()
    assert quota.words == ""
    for _ in range(2):
        quota.note(STARTED)
        quota.note(RequestStarted("storage", "GET", "/", "/x", 1))
        quota.note(answered(limit))
    assert quota.words == words


# ---- meters


def test_an_archive_says_what_it_knows_and_nothing_else() -> None:
    meter = ArchiveMeter(0.0, Quota())
    assert meter.line() == "asking for the first page"
    meter.note(ArchiveReport(calls_total=1500, calls_seen=100, recordings_left=80, requests=1), 1.0)
    assert meter.line() == "0 of 80 recordings, 100 of 1,500 calls looked at, 0 B, 1 request"


def test_an_archive_says_how_long_it_takes_still() -> None:
    quota = Quota()
    quota.note(STARTED)
    quota.note(answered(10))
    meter = ArchiveMeter(0.0, quota)
    report = ArchiveReport(
        calls_total=200,
        calls_seen=200,
        recordings_saved=40,
        recordings_left=60,
        bytes_downloaded=40_000_000,
        requests=2,
    )
    meter.note(report, 10.0)
    told = "40 of 100 recordings, 200 calls looked at, 40.0 MB, 4.0 MB/s, 15s left, 2 requests"
    assert meter.line() == f"{told}, at most 999 left today"
    meter.note(evolve(report, calls_total=400), 10.0)
    assert "about 40s left" in meter.line()  # 100 recordings in 200 calls: another 100 are to come


def test_an_archive_counts_what_failed() -> None:
    meter = ArchiveMeter(0.0, Quota())
    failure = ArchiveFailure("call_1", "recording", "gone")
    meter.note(ArchiveReport(recordings_failed=1, recordings_left=1, failures=(failure,)), 1.0)
    assert meter.line().endswith("1 failed")
    assert meter.lines(80, 9, PLAIN)[0].startswith("############............  0 of 1 recording  ")


@pytest.mark.parametrize("room", [1, 10, 40, 60, 80, 120])
@pytest.mark.parametrize("most", [1, 2, 3, 5, 24])
def test_meters_fit_any_terminal(room: int, most: int) -> None:
    downloads = DownloadMeter(20, 0.0, Quota())
    for number in range(15):
        downloads.note(f"call_{number}" * 5, 1_000_000, 2_000_000 if number % 2 else None, 5.0)
    archive = ArchiveMeter(0.0, Quota())
    report = ArchiveReport(calls_total=9, calls_seen=5, recordings_saved=3, recordings_left=7)
    archive.note(report, 5.0)
    for meter in (downloads, archive):
        lines = meter.lines(room, most, DRAWN)
        assert 1 <= len(lines) <= min(most, MOST_BARS + 2)
        assert max(map(len, lines)) <= room


def test_downloads_are_shown_one_a_line_and_all_in_the_last() -> None:
    meter = DownloadMeter(3, 0.0, Quota())
    meter.note("call_1", 500_000, 1_000_000, 0.0)  # an earlier run had brought this much
    meter.note("call_1", 750_000, 1_000_000, 5.0)
    meter.note("call_22", 100, None, 5.0)
    assert meter.lines(80, 24, PLAIN) == [
        "call_1   ##################......   75%  750 kB of 1.0 MB",
        "call_22  100 B",
        "0 of 3 recordings  750 kB  50 kB/s",
    ]


def test_the_time_left_is_told_once_all_sizes_are_known() -> None:
    meter = DownloadMeter(3, 0.0, Quota())
    meter.note("call_1", 0, 1_000_000, 0.0)
    meter.note("call_1", 1_000_000, 1_000_000, 4.0)
    meter.ended("call_1", 4.0, failed=False)
    meter.ended("call_2", 4.0, failed=True)
    assert meter.line() == "1 of 3 recordings, 1.0 MB, 250 kB/s, 1 failed"
    meter.note("call_3", 0, 2_000_000, 4.0)
    assert "8s left" in meter.line()
    meter.ended("call_3", 4.0, failed=False)
    assert meter.line() == "2 of 3 recordings, 1.0 MB, 250 kB/s, 1 failed"


def test_a_recording_that_is_begun_again_is_counted_once() -> None:
    meter = DownloadMeter(1, 0.0, Quota())
    meter.note("call_1", 800_000, 1_000_000, 0.0)
    meter.note("call_1", 0, 1_000_000, 1.0)
    meter.note("call_1", 500_000, 1_000_000, 5.0)
    assert "100 kB/s" in meter.line()
