"""The commands ``report`` and ``trace``: what is on record of a run, as a file.

Kedro imports this module for each of its commands in a project, so its head imports click alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prunner.sessions.commands.console import archive_of, clear_errors

if TYPE_CHECKING:
    from prunner.sessions.records import RunRecord, SessionRecord

_OUTPUT = click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.  [default: one with the run's id in its name, in this folder]",
)


@click.command()
@click.argument("run_id", metavar="ID")
@_OUTPUT
@click.option("--open", "show", is_flag=True, help="Open it in a browser.")
@click.pass_context
def report(context: click.Context, /, run_id: str, output: Path | None, show: bool) -> None:
    """Write a report on a run: one HTML file that works without a network.

    ID is the id of a run, or the beginning of one.
    """
    with _said_clearly():
        run, session = _find(context, run_id)
        from prunner.report.page import report_html

        path = output or Path(f"prunner-report-{file_name(run.key)}.html")
        _write(path, report_html(run, session))
    if show:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


@click.command()
@click.argument("run_id", metavar="ID")
@_OUTPUT
@click.pass_context
def trace(context: click.Context, /, run_id: str, output: Path | None) -> None:
    """Write a trace of a run, which ui.perfetto.dev opens.

    ID is the id of a run, or the beginning of one.
    """
    with _said_clearly():
        run, session = _find(context, run_id)
        from prunner.report.trace import trace_json

        _write(output or Path(f"prunner-trace-{file_name(run.key)}.json"), trace_json(run, session))


def file_name(key: str) -> str:
    """A key as a part of a file's name on every system.

    Windows allows neither colons nor a dot at the end; the rest is for people who type names.
    """
    return re.sub(r"[^A-Za-z0-9._~-]+", "-", key).strip(".-")[:100] or "run"


def _find(context: click.Context, prefix: str) -> tuple[RunRecord, SessionRecord | None]:
    entry = archive_of(context).find(prefix)
    if entry.run is None:
        raise click.ClickException(f"'{prefix}' is a session that has no run.")
    return entry.run, entry.session


@contextmanager
def _said_clearly() -> Iterator[None]:
    try:
        with clear_errors():
            yield
    except OSError as error:
        raise click.FileError(str(error.filename), error.strerror or str(error)) from error


def _write(path: Path, text: str) -> None:
    # As it is: browsers compare the digests of scripts, also on Windows.
    path.write_bytes(text.encode())
    click.echo(path)
