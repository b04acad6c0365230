"""Random graphs with random faults end as they have to, and leave nothing (``tests.chaos``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import randrange

import pytest

# A new worker takes a second where it imports Kedro anew.
RUNS = {"fork": 120}
_SECONDS = 900  # as a sign that nothing goes on; a run that hangs is ended much earlier


@pytest.mark.timeout(_SECONDS + 60)
def test_random_faults(start_method):
    """In a process of its own: what hangs there is shown, and ends no other test."""
    seed = randrange(1_000_000)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.chaos", "--seed", str(seed)),
            *("--runs", str(RUNS.get(start_method, 60)), "--start-method", start_method),
        ],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "All is right." in done.stdout
