"""Ends a worker that imports it, as often as an environment variable says."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "PRUNNER_TEST_DIES_AT_IMPORT"  # the number of times, a colon, a folder for marks


def _perhaps() -> None:
    times, _, folder = os.environ.get(VARIABLE, "0").partition(":")
    for number in range(int(times)):
        try:
            Path(folder, str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        os._exit(7)


def count(left: int) -> int:
    return left + 1


_perhaps()
