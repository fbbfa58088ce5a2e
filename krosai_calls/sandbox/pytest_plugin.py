"""The pytest fixture ``krosai_sandbox``.

Every run of pytest loads this module, so it imports the rest only when the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from krosai_calls.sandbox import Sandbox


@pytest.fixture
def krosai_sandbox() -> Iterator[Sandbox]:
    """A running sandbox with sixty calls, on a thread of its own, fresh for each test."""
    from krosai_calls.sandbox import Sandbox

    with Sandbox(calls=60) as sandbox:
        yield sandbox
