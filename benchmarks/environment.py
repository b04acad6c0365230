"""The environment variables of measured processes: the same for all, whoever measures."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_QUIET = ROOT / "benchmarks" / "quiet_logging.yml"

# Of the person who measures; they would change what is measured.
_FOREIGN = (
    "KEDRO_ENV",
    "KEDRO_LOGGING_CONFIG",
    "KEDRO_MP_CONTEXT",
    "PRUNNER_START_METHOD",
    "PYTHONDONTWRITEBYTECODE",  # every process would compile the project anew
)

# With more threads than one, a numeric library would be parallel without any runner.
_THREADS = (
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def measured_environment(*, quiet: bool = True) -> dict[str, str]:
    """Make the environment of a measured process.

    Args:
        quiet: Whether Kedro logs warnings only; otherwise as it does by default.

    Returns:
        All of its environment variables.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    kept.update(dict.fromkeys(_THREADS, "1"))
    # Wide, so that the last line of an error is a whole one.
    kept.update(PYTHONUTF8="1", DO_NOT_TRACK="1", COLUMNS="300")
    if quiet:
        kept["KEDRO_LOGGING_CONFIG"] = str(_QUIET)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    kept["PYTHONPATH"] = os.pathsep.join(paths)
    return kept
