"""Whether what somebody passes to the sandbox can be right; each error names the parameter."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from krosai_calls.errors import SettingsError


def whole(name: str, value: Any, lowest: int, highest: int) -> None:
    """Let a whole number pass that lies within its bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise SettingsError(f"{name} must be a whole number from {lowest:,} to {highest:,}: {value!r}")


def number(name: str, value: Any, lowest: float, highest: float) -> None:
    """Let a number pass that lies within its bounds."""
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or not lowest <= value <= highest:
        raise SettingsError(f"{name} must be a number from {lowest:,} to {highest:,}: {value!r}")


def one_of(name: str, value: Any, choices: Collection[str]) -> None:
    """Let one of some words pass."""
    if not isinstance(value, str) or value not in choices:
        raise SettingsError(f"{name} must be one of {', '.join(choices)}: {value!r}")


def flag(name: str, value: Any) -> None:
    """Let True and False pass."""
    if not isinstance(value, bool):
        raise SettingsError(f"{name} must be True or False: {value!r}")
