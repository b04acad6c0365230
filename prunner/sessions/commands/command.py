"""The commands of ``prunner sessions``: what is on record, and what changed between runs.

Kedro imports this module for each of its commands in a project, so its head imports click alone.
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

import click

from prunner.sessions.commands.console import (
    JSON,
    archive_of,
    clear_errors,
    entries_of,
    say,
    say_json,
)
from prunner.sessions.commands.rerun_command import rerun, resume

_OUTCOMES = ("completed", "failed", "interrupted", "running", "lost")


def _moment(_: click.Context, option: click.Parameter, text: str | None) -> float | None:
    from prunner.sessions.commands.listing import parse_moment

    try:
        return (
            None if text is None else parse_moment(text, time.time(), is_end=option.name == "until")
        )
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--pipeline", "-p", help="Only runs of this pipeline.")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice(_OUTCOMES),
    help="Only those that ended like this; may be repeated.",
)
@click.option(
    "--since",
    callback=_moment,
    help="Only from then on: 2026-01-31, 2026-01-31T14:30, or 2d for two days ago.",
)
@click.option("--until", callback=_moment, help="Only until then, a date included.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So many at most."
)
@JSON
@click.pass_context
def sessions(context: click.Context, /, limit: int, as_json: bool, **wanted: Any) -> None:
    """List runs on record, the newest first, or do something with one.

    An ID may be cut where no other one begins like that.
    """
    if context.invoked_subcommand is not None:
        return
    from prunner.sessions.commands import listing
    from prunner.sessions.records import Outcome

    outcomes = frozenset(map(Outcome, wanted.pop("outcomes")))
    chosen = listing.Wanted(outcomes=outcomes, **wanted)
    with clear_errors():
        archive = archive_of(context)
        found = [entry for entry in entries_of(archive) if chosen.includes(entry)]
        shown = found[:limit]
        progress = archive.progress([entry.key for entry in shown])
    if as_json:
        say_json(listing.as_data(shown, progress))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    say(listing.as_text(shown, progress, more=len(found) - len(shown), width=width))


@sessions.command()
@click.argument("id")
@click.option("--all-nodes", is_flag=True, help="All nodes, however many there are.")
@click.option("--verbose", "-v", is_flag=True, help="The traceback, too.")
@JSON
@click.pass_context
def show(context: click.Context, /, id: str, all_nodes: bool, verbose: bool, as_json: bool) -> None:
    """Show all that is on record of a run."""
    from prunner.sessions.commands import showing

    with clear_errors():
        entry = archive_of(context).find(id)
    if as_json:
        say_json(showing.as_data(entry))
    else:
        say(showing.as_text(entry, verbose=verbose, all_nodes=all_nodes))


@sessions.command()
@click.argument("a")
@click.argument("b")
@JSON
@click.pass_context
def diff(context: click.Context, /, a: str, b: str, as_json: bool) -> None:
    """Say what changed from run A to run B.

    Durations of nodes are compared that differ by more than 20 % and 0.1 seconds.
    """
    from prunner.sessions.commands import comparing

    with clear_errors():
        archive = archive_of(context)
        comparison = comparing.compare(archive.find(a), archive.find(b))
    if as_json:
        say_json(comparing.as_data(comparison))
    else:
        say(comparing.as_text(comparison))


@sessions.command()
@click.option(
    "--keep", type=click.IntRange(min=0), required=True, help="How many stay, the newest ones."
)
@click.option("--yes", "-y", is_flag=True, help="Without a question.")
@JSON
@click.pass_context
def prune(context: click.Context, /, keep: int, yes: bool, as_json: bool) -> None:
    """Remove old records, but none of a run that goes on."""
    with clear_errors():
        archive = archive_of(context)
        entries = entries_of(archive)
        if len(entries) > keep and not yes:
            click.confirm(
                f"Remove {len(entries) - keep} of {len(entries)} records?", abort=True, err=True
            )
        removed = archive.prune(keep)
    if as_json:
        say_json({"removed": removed, "kept": len(entries) - removed})
    else:
        say(f"{removed} of {len(entries)} records removed.")


sessions.add_command(rerun)
sessions.add_command(resume)
