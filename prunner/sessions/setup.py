"""Where a project's settings say that its sessions are on record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from prunner.errors import RecordError
from prunner.sessions.database import file_of

DEFAULT_FOLDER = "sessions"  # as Kedro's own default, below the project's folder
EXAMPLE = (
    "from prunner.sessions import SQLiteSessionStore\n\nSESSION_STORE_CLASS = SQLiteSessionStore"
)


class StoreSetup(NamedTuple):
    """A store as it is set up for a project.

    Attributes:
        file: The file with the records.
        environment: Patterns of variables that are recorded beside those of Kedro and prunner.
        project_path: Folder of the project.
        project: Name of its package, or of its folder if it has none.
    """

    file: Path
    environment: Sequence[str]
    project_path: Path
    project: str


def current_setup(project_path: Path) -> StoreSetup | None:
    """What the settings of the project say that this process has configured.

    Args:
        project_path: Folder of the project.

    Returns:
        The set-up; ``None`` if another store is set up, or none.
    """
    from kedro.framework import project

    from prunner.sessions.store import SQLiteSessionStore

    if not issubclass(project.settings.SESSION_STORE_CLASS, SQLiteSessionStore):
        return None
    arguments = dict(project.settings.SESSION_STORE_ARGS)
    return StoreSetup(
        file_of(arguments.get("path", DEFAULT_FOLDER), project_path),
        tuple(arguments.get("environment", ())),
        project_path,
        name_of_project(project.PACKAGE_NAME, project_path),
    )


def settings_of_project(project_path: Path | None) -> StoreSetup:
    """Configure a project, and say where its sessions are on record.

    Args:
        project_path: Its folder; ``None`` for the project of the current folder.

    Raises:
        RecordError: If there is no project, or no store is set up.
    """
    from kedro.framework.startup import bootstrap_project
    from kedro.utils import find_kedro_project

    folder = find_kedro_project(project_path or Path.cwd())
    if folder is None:
        raise RecordError(f"{project_path or Path.cwd()} is no Kedro project.")
    try:
        bootstrap_project(folder)
        setup = current_setup(folder)
    except Exception as error:
        raise RecordError(f"The settings of {folder} cannot be read: {error}") from error
    if setup is None:
        raise RecordError(
            f"No session of {folder} is on record: no store is set up. Put this into its "
            f"settings.py:\n\n{EXAMPLE}"
        )
    return setup


def name_of_project(package: str | None, project_path: Path) -> str:
    """What tells the records of a project from those of others in the same file."""
    return package or project_path.name
