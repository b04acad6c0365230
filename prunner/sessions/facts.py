"""What is true of this process, and worth knowing of a session later."""

from __future__ import annotations

import contextlib
import getpass
import platform
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from prunner import __version__
from prunner.sessions import kedro_private

ALWAYS = ("KEDRO_*", "PRUNNER_*")  # variables


def versions() -> dict[str, str]:
    """The versions that a session depends on most."""
    from kedro import __version__ as kedro_version

    return {
        "kedro_version": kedro_version,
        "prunner_version": __version__,
        "python_version": platform.python_version(),
    }


def chosen_variables(patterns: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that are recorded.

    Args:
        patterns: Names, or patterns with ``*``, beside those of Kedro and prunner.
        environment: All variables.
    """
    chosen = (*ALWAYS, *patterns)
    return {
        name: value
        for name, value in sorted(environment.items())
        if any(fnmatch(name, pattern) for pattern in chosen)
    }


def of_service(run_params: Mapping[str, Any]) -> dict[str, Any]:
    """What a ``KedroSession`` would put into its store; for sessions that have none.

    Args:
        run_params: What hooks are told of a run.
    """
    project_path = Path(run_params["project_path"])
    facts: dict[str, Any] = {
        "project_path": project_path,
        "session_id": run_params.get("session_id", run_params["run_id"]),
        **kedro_private.describe_git(project_path),
    }
    if env := run_params.get("env"):
        facts["env"] = env
    with contextlib.suppress(Exception):  # as Kedro: no name is no reason to fail
        facts["username"] = getpass.getuser()
    return facts
