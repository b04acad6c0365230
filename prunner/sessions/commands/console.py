"""What the commands on records have in common. Imports click alone, as they do."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from prunner.sessions.archive import Archive, Entry
    from prunner.sessions.setup import StoreSetup

JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")


def say(text: str) -> None:
    """Print a text, also on a console that does not know all of its characters."""
    encoding = encoding_of_console()
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding))


def say_json(value: Any) -> None:
    """Print a value of a record as JSON."""
    from prunner.sessions.commands.texts import readable

    plain = readable(value)
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(encoding_of_console())
    except UnicodeEncodeError:
        text = json.dumps(plain, indent=2, allow_nan=False)
    click.echo(text)


def encoding_of_console() -> str:
    """What standard output is written in."""
    return getattr(sys.stdout, "encoding", None) or "utf-8"


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Say what cannot be done in one line."""
    from prunner.errors import RecordError

    try:
        yield
    except RecordError as error:
        from prunner.sessions.commands.texts import one_line

        # Names on record, and what was typed, may have escape sequences in them.
        lines = map(one_line, str(error).splitlines())
        raise click.ClickException("\n".join(lines)) from error


def import_kedro() -> None:
    """Import Kedro, which configures logging meanwhile, without the project's own configuration.

    That might open its log files, and empty them.
    """
    from prunner.bridge.logs import bare_kedro_logging

    with bare_kedro_logging():
        from kedro.framework import project
    # Kedro 1.0 adds the project's logger there, and an empty configuration has no such entry.
    project.LOGGING.data.setdefault("loggers", {})


def setup_of(context: click.Context) -> StoreSetup:
    """Where the sessions of the project are on record in which a command is used.

    Args:
        context: Of the command.

    Raises:
        RecordError: If there is no project, or no store is set up.
    """
    import_kedro()
    from prunner.sessions.setup import settings_of_project

    former = logging.root.manager.disable
    logging.disable(max(former, logging.INFO))
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what the project's own modules print
            return settings_of_project(getattr(context.obj, "project_path", None))
    finally:
        logging.disable(former)


def archive_of(context: click.Context) -> Archive:
    """The records of the project in which a command is used.

    Args:
        context: Of the command.

    Raises:
        RecordError: If there is no project, or no store is set up.
    """
    setup = setup_of(context)
    from prunner.sessions.archive import Archive

    return Archive(setup.file, setup.project)


def entries_of(archive: Archive) -> list[Entry]:
    """All that is on record.

    Args:
        archive: Where.

    Raises:
        RecordError: If nothing is, or it cannot be read.
    """
    entries = archive.entries()
    if not entries:
        from prunner.errors import RecordError

        raise RecordError(archive.why_empty())
    return entries
