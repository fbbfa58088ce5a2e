"""The pytest fixtures ``krosai_sandbox`` and ``krosai_session_sandbox``.

Every run of pytest loads this module, so it imports the rest only when a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from krosai_calls.sandbox import Sandbox

_CALLS = 60


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "krosai_sandbox(**settings): what the fixture krosai_sandbox is told, such as plan='free'"
    )


@pytest.fixture(scope="session")
def krosai_sandbox_settings() -> dict[str, Any]:
    """What these fixtures' sandboxes are told; to be overridden in a ``conftest.py``. The marker adds to it."""
    return {}


@pytest.fixture(scope="session")
def krosai_recorder() -> Any:
    """What makes the sandboxes' recordings: one for all of them, so that each recording is made once."""
    from krosai_calls.sandbox.audio import Recorder

    return Recorder()


@pytest.fixture
def krosai_sandbox(
    request: pytest.FixtureRequest, krosai_sandbox_settings: dict[str, Any], krosai_recorder: Any
) -> Iterator[Sandbox]:
    """A running sandbox, on a thread of its own, fresh for each test: with sixty calls, unless told otherwise.

    The marker ``krosai_sandbox`` says otherwise, in the words of ``Sandbox``::

        @pytest.mark.krosai_sandbox(calls=5, plan="free")
        def test_of_mine(krosai_sandbox): ...
    """
    from krosai_calls.sandbox import Sandbox

    marker = request.node.get_closest_marker("krosai_sandbox")
    told = {} if marker is None else marker.kwargs
    with Sandbox(**{"calls": _CALLS, "recorder": krosai_recorder, **krosai_sandbox_settings, **told}) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def krosai_session_sandbox(krosai_sandbox_settings: dict[str, Any], krosai_recorder: Any) -> Iterator[Sandbox]:
    """One running sandbox for the whole session; a test that changes it calls ``reset()`` when it is done."""
    from krosai_calls.sandbox import Sandbox

    with Sandbox(**{"calls": _CALLS, "recorder": krosai_recorder, **krosai_sandbox_settings}) as sandbox:
        yield sandbox
