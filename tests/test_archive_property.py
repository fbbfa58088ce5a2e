"""Whatever happens to an archive's runs, it ends as one that was made undisturbed.

`python tests/archive_torture.py --seeds 200` runs more seeds than these.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from archive_torture import disturbed


@pytest.mark.parametrize("seed", range(1, 7))
async def test_runs_that_end_at_random_in_a_world_that_changes_come_to_the_same_archive(
    tmp_path: Path, seed: int
) -> None:
    story = await disturbed(seed, tmp_path)
    assert not story.problems, str(story)
