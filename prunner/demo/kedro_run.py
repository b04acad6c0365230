"""One ``kedro run`` of the demo's project, as a user would start it, timed from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

# With more threads per process than one, the sequential run would be parallel too.
THREAD_VARIABLES = (
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

# Of a user's other project; they would change what is run here, and how it is shown.
_FOREIGN_VARIABLES = ("KEDRO_ENV", "KEDRO_LOGGING_CONFIG")


@dataclass(frozen=True)
class KedroRun:
    """One run to do.

    Attributes:
        title: What the run is called towards the user.
        runner: The value for ``--runner``.
        results: Name of the folder below ``data`` that the run writes to.
        options: Further options of ``kedro run``.
    """

    title: str
    runner: str
    results: str
    options: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """What stands behind ``kedro`` on the command line."""
        return ["run", f"--runner={self.runner}", f"--params=results={self.results}", *self.options]

    def execute(self, project: Path) -> float:
        """Run to the end, with the output of the run on the terminal.

        Args:
            project: The project's folder.

        Returns:
            Seconds from the start of the Python process to its end.

        Raises:
            click.ClickException: If the run fails.
        """
        click.echo(f"\n{self.title}: kedro {' '.join(self.arguments)}")
        start = time.perf_counter()
        code = _wait_for([sys.executable, "-m", "kedro", *self.arguments], project)
        seconds = time.perf_counter() - start
        if code != 0:
            raise click.ClickException(
                f"The {self.title.lower()} failed: kedro ended with exit code {code}, and its own "
                f"error stands above. To repeat it, run in {project}:\n"
                f"  kedro {' '.join(self.arguments)}"
            )
        return seconds


def child_environment() -> dict[str, str]:
    """The environment of both runs: one thread per process, UTF-8, no telemetry."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN_VARIABLES}
    kept.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    kept.update(PYTHONUTF8="1", DO_NOT_TRACK="1")
    return kept


def _wait_for(command: list[str], folder: Path) -> int:
    with subprocess.Popen(command, cwd=folder, env=child_environment()) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The run got the same Ctrl-C; let it end its workers before the prompt is back.
            process.wait()
            raise
