"""Calling what a caller gave us."""

from __future__ import annotations

import logging

import pytest

from krosai_calls._callbacks import tell


def test_a_callback_is_called_with_what_there_is_to_tell() -> None:
    told: list[tuple[int, str]] = []

    def note(number: int, *, word: str) -> None:
        told.append((number, word))

    tell(note, 1, word="a")
    assert told == [(1, "a")]


def test_where_nobody_listens_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    tell(None)
    assert caplog.records == []


def test_a_callbacks_mistake_is_logged_and_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ZeroDivisionError("theirs")

    tell(fail)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("krosai_calls", logging.ERROR)
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_whoever_wants_to_stop_is_not_held(stop: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    def end() -> None:
        raise stop

    with pytest.raises(stop):
        tell(end)
    assert caplog.records == []
