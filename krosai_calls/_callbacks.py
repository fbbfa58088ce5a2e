"""Calling what a caller gave us, whose mistakes are not ours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")

_log = logging.getLogger("krosai_calls")


def tell(callback: Callable[P, object] | None, *args: P.args, **kwargs: P.kwargs) -> None:
    """Call back, if there is anything to call; an error in it is logged and breaks nothing."""
    if callback is None:
        return
    try:
        callback(*args, **kwargs)
    except Exception:  # noqa: BLE001 - whatever it is, it is logged, and the work goes on
        _log.exception("a callback failed; the work goes on")
