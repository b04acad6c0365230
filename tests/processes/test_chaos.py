"""Random graphs with random faults end as they have to, and leave nothing (``tests.chaos``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import randrange

import pytest

from tests.processes.conftest import chosen_start_methods, is_asked_for

_SECONDS = 900  # as a sign that nothing goes on; a run that hangs is ended much earlier


def cases():
    """A start method each, how many runs, and how many workers at most.

    A new worker takes a second where it imports Kedro anew: most runs fork theirs, unless the
    environment asks for start methods. In parts, which can be run side by side.
    """
    others = (60, 4) if is_asked_for() else (20, 2)
    for method in chosen_start_methods():
        if method == "fork":
            yield from [(method, 60, 4)] * (2 if is_asked_for() else 4)
        else:
            yield method, *others


@pytest.mark.timeout(_SECONDS + 60)
@pytest.mark.parametrize(("method", "runs", "workers"), list(cases()))
def test_random_faults(method, runs, workers):
    """In a process of its own: what hangs there is shown, and ends no other test."""
    seed = randrange(1_000_000)
    options = {"seed": seed, "runs": runs, "workers": workers, "start-method": method}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.chaos"),
            *(f"--{name}={value}" for name, value in options.items()),
        ],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "All is right." in done.stdout
