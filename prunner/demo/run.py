"""The course of the demo: make the project, run it twice, compare, report."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

import click
import kedro
from rich.console import Console
from rich.table import Table

from prunner.demo.compare import find_differences, relative_files
from prunner.demo.folder import make_project
from prunner.demo.kedro_run import KedroRun

_NEEDED = ("kedro_datasets", "pandas", "pyarrow.parquet", "sklearn.ensemble")
_RUNNER_PARAMS_SINCE = (1, 6)


def run_demo(folder: Path, quick: bool, runner_options: Mapping[str, int | str | None]) -> None:
    """Run the demo from beginning to end.

    Args:
        folder: Where the project is put.
        quick: Whether to use smaller models and fewer rows.
        runner_options: Arguments of ``prunner.ParallelRunner``; those that are ``None`` are left
            out.

    Raises:
        click.ClickException: If something the demo needs is missing, a run fails, or the results
            of the two runs differ.
    """
    options = ("--env=quick",) if quick else ()
    sequential = KedroRun("Sequential run", "SequentialRunner", "sequential", options)
    parallel_options = (*options, *_runner_params(runner_options))
    parallel = KedroRun("Parallel run", "prunner.ParallelRunner", "parallel", parallel_options)

    _import_libraries()
    project = make_project(folder)
    click.echo(f"The project is in {project}")
    click.echo("Both runs use one thread per process (OMP_NUM_THREADS=1 and the like).")
    seconds = {run.runner: run.execute(project) for run in (sequential, parallel)}

    _show_times(seconds)
    if quick:
        click.echo("--quick makes the nodes too small to gain from processes; see the full demo.")
    _check_results(project / "data" / sequential.results, project / "data" / parallel.results)


def _import_libraries() -> None:
    # Imported, and not just looked for: otherwise the first run alone would pay for reading
    # them from disk, and the comparison would be unfair to it.
    for name in _NEEDED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise click.ClickException(
                f"The demo cannot import {name} ({error}). Install what it needs with:\n"
                '  pip install "prunner[demo]"'
            ) from error


def _runner_params(options: Mapping[str, int | str | None]) -> tuple[str, ...]:
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    if not given:
        return ()
    major, minor = kedro.__version__.split(".")[:2]
    if (int(major), int(minor)) < _RUNNER_PARAMS_SINCE:
        raise click.ClickException(
            "--max-workers and --start-method need 'kedro run --runner-params' of Kedro 1.6, and "
            f"this is Kedro {kedro.__version__}. Leave them out, or upgrade Kedro."
        )
    return (f"--runner-params={','.join(given)}",)


def _show_times(seconds: Mapping[str, float]) -> None:
    table = Table("Runner")
    table.add_column("Seconds", justify="right")
    table.add_column("Speed-up", justify="right")
    baseline = seconds["SequentialRunner"]
    for runner, own in seconds.items():
        table.add_row(runner, f"{own:.1f}", f"{baseline / own:.2f}x")
    click.echo("\nTimes of the whole process, from the start of Python to its end:")
    Console().print(table)


def _check_results(sequential: Path, parallel: Path) -> None:
    count = len(relative_files(sequential))
    differences = find_differences(sequential, parallel)
    if differences or not count:
        listed = "\n".join(f"  {line}" for line in differences) or "  no files were written"
        raise click.ClickException(f"The results of the two runs are not the same:\n{listed}")
    click.echo(f"Results: identical ({count} files compared, byte by byte)")
