"""How figures are written for people. Pure; whatever came from a server is made harmless here."""

from __future__ import annotations

from datetime import UTC, datetime

from krosai_calls._text import visible

NOTHING = "-"

STATUS_STYLES = {
    "completed": "green",
    "in_progress": "cyan",
    "ringing": "cyan",
    "initiated": "cyan",
    "queued": "cyan",
    "answered": "cyan",
    "failed": "red",
    "busy": "yellow",
    "no_answer": "yellow",
}

_DAY = 86_400.0
# Up to how many seconds an age is told in which unit.
_AGES = (
    ("s", 1.0, 60.0),
    ("m", 60.0, 3600.0),
    ("h", 3600.0, 2 * _DAY),
    ("d", _DAY, 21 * _DAY),
    ("w", 7 * _DAY, 2 * 365 * _DAY),
    ("y", 365.25 * _DAY, float("inf")),
)


def text_of(value: object) -> str:
    """Anything as one harmless line; nothing as a dash."""
    return NOTHING if value is None or value == "" else visible(str(value))


def time_of(moment: datetime | None) -> str:
    """A moment to the second, UTC."""
    return NOTHING if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def ago_of(moment: datetime | None, now: datetime) -> str:
    """How long ago a moment was, roughly: 12s ago, 5m ago, 3h ago, 6d ago, 11w ago, 2y ago; or in 5m."""
    if moment is None:
        return NOTHING
    seconds = (now - moment).total_seconds()
    amount = abs(seconds)
    for unit, length, most in _AGES:
        if amount < most:
            words = f"{int(amount // length)}{unit}"
            return f"{words} ago" if seconds >= 0 else f"in {words}"
    return NOTHING


def after_of(moment: datetime | None, start: datetime | None) -> str:
    """How long after another a moment is: +0s, +3m05s."""
    if moment is None or start is None or moment < start:
        return NOTHING
    return f"+{duration_of((moment - start).total_seconds())}"


def duration_of(seconds: float | None) -> str:
    """A length of time: 8s, 3m05s, 1h02m03s."""
    if seconds is None:
        return NOTHING
    if not 0 <= seconds < 1e9:
        return f"{seconds:g}s"  # whatever it is, it is no length of a call
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}h{minutes:02}m{rest:02}s"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def cost_of(cents: float | None) -> str:
    """A price: $0.12; fractions of a cent are kept."""
    if cents is None:
        return NOTHING
    digits = 2 if float(cents).is_integer() else 4
    return f"${cents / 100:.{digits}f}"


def size_of(count: int) -> str:
    """A number of bytes: 0 B, 412 kB, 48.1 MB."""
    amount = float(count)
    for unit, digits in (("B", 0), ("kB", 0), ("MB", 1)):
        if round(amount, digits) < 1000:
            return f"{amount:.{digits}f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def count_of(number: int, noun: str) -> str:
    """A number with its noun: 1 call, 250 calls."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def excerpt_of(text: str, width: int, *, around: str = "") -> str:
    """A text on one line and no longer than so, cut to what stands around a mark.

    Args:
        text: Any text.
        width: How many characters it may have.
        around: What marks the words that matter; they are a third of the way in.
    """
    line = " ".join(visible(text.replace("\n", " ").replace("\t", " ")).split())
    if len(line) <= width:
        return line
    start = max(0, min(line.find(around) - width // 3, len(line) - width)) if around else 0
    cut = line[start : start + width]
    before, after = "…" if start else "", "…" if start + width < len(line) else ""
    return before + cut[len(before) : width - len(after)] + after
