"""The command line: ``prunner`` or ``python -m prunner``."""

from __future__ import annotations

from pathlib import Path

import click

from prunner import __version__
from prunner.check.command import check
from prunner.demo import run_demo
from prunner.options import available_start_methods
from prunner.report.command import report, trace
from prunner.sessions.commands.command import sessions


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="prunner")
def main() -> None:
    """A multiprocessing-safe parallel runner for Kedro pipelines."""


main.add_command(check)
main.add_command(report)
main.add_command(trace)
main.add_command(sessions)


@main.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("prunner-demo"),
    show_default=True,
    help="Where to put the project; an earlier demo there is replaced.",
)
@click.option(
    "--max-workers",
    type=click.IntRange(min=1),
    help="Worker processes of the parallel run.  [default: one per CPU]",
)
@click.option(
    "--start-method",
    type=click.Choice(available_start_methods()),
    help="How the workers are started.  [default: loky]",
)
@click.option("--quick", is_flag=True, help="The same nodes with less work in each.")
def demo(folder: Path, max_workers: int | None, start_method: str | None, quick: bool) -> None:
    """Run a Kedro project sequentially and in parallel, and compare.

    Makes a small Kedro project, runs it once with Kedro's SequentialRunner and once with
    prunner.ParallelRunner, and ends with both times and a check that the results are identical.
    """
    run_demo(folder, quick, {"max_workers": max_workers, "start_method": start_method})
