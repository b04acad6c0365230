"""The commands for ``kedro``: those of ``prunner``, as ``kedro prunner ...``.

Kedro imports this module for each of its commands in a project, so the heads of all of these import
click alone.
"""

from __future__ import annotations

import click

from prunner.check.command import check
from prunner.report.command import report, trace
from prunner.sessions.commands.command import sessions


@click.group()
def commands() -> None:
    """The groups of commands that Kedro finds by the entry point ``kedro.project_commands``."""


@commands.group(name="prunner", context_settings={"help_option_names": ["-h", "--help"]})
def prunner() -> None:
    """A multiprocessing-safe parallel runner."""


for each in (check, sessions, report, trace):
    prunner.add_command(each)
