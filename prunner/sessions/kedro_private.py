"""Every private name of Kedro's sessions that is used here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from kedro.framework import project
from kedro.framework.session import KedroSession
from kedro.framework.session.session import _describe_git

_MOST_FRAMES = 20  # between a store and the call of create


def session_in_the_making() -> tuple[Any, bool]:
    """The session whose constructor makes a store just now, and whether it is a new one.

    A store is told its id and nothing else: neither whether the session is to be saved, nor where
    the project is, nor whether the id is new or that of a session to be read.

    Returns:
        The session, ``None`` if the store is made for none; and whether ``create`` has begun it.
    """
    frame, session = sys._getframe(1), None
    for _ in range(_MOST_FRAMES):
        owner = frame.f_locals.get("self")
        if session is None and isinstance(owner, KedroSession):
            session = owner
        if session is not None and frame.f_code.co_name == "create":
            return session, True
        if frame.f_back is None:
            break
        frame = frame.f_back
    return session, False


def project_path_of(session: Any) -> Path | None:
    """The folder of a session's project."""
    return getattr(session, "_project_path", None)


def package_of(session: Any) -> str | None:
    """The package of a session's project, or of the project that this process has configured."""
    return getattr(session, "_package_name", None) or project.PACKAGE_NAME


def conf_source_of(session: Any) -> str | None:
    """Where a session's configuration is."""
    return getattr(session, "_conf_source", None)


def describe_git(project_path: Path) -> dict[str, Any]:
    """The commit of a project's folder, as Kedro's sessions note it; empty without git."""
    return _describe_git(project_path)
