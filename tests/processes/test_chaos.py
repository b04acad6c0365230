"""Random graphs with random faults end as they have to, and leave nothing (``tests.chaos``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import randrange

import pytest

from tests.processes.conftest import is_asked_for

# How many runs, and how many workers at most. A new worker takes a second where it imports Kedro
# anew: most runs fork theirs, unless the environment asks for one method after the other.
FORKED, OTHERS = ((120, 4), (60, 4)) if is_asked_for() else ((240, 4), (20, 2))
_SECONDS = 900  # as a sign that nothing goes on; a run that hangs is ended much earlier


@pytest.mark.timeout(_SECONDS + 60)
def test_random_faults(start_method):
    """In a process of its own: what hangs there is shown, and ends no other test."""
    seed = randrange(1_000_000)
    runs, workers = FORKED if start_method == "fork" else OTHERS
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.chaos", "--seed", str(seed)),
            *("--runs", str(runs), "--start-method", start_method, "--workers", str(workers)),
        ],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "All is right." in done.stdout
