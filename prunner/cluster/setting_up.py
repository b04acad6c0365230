"""The project in a process that may serve several, one after the other.

Kedro's project is a global of its process: a step may only run while the process is set up for
its own. Steps of one project run beside each other, those of another one wait.

Covers: which project this process is set up for, and setting it up. Does not cover: runs.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prunner.cluster.source import forget_modules, own_package_folder, unpack

if TYPE_CHECKING:
    from prunner.cluster.source import Source

Project = tuple["str | None", "str | None", bool]  # package, its source, is it in place of another


class PackageMissingError(Exception):
    """The project's package cannot be imported here, and is not to be sent."""


class Slot:
    """Which project this process is set up for, and how many steps rely on it."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._project: Project | None = None
        self._folders: dict[str, str] = {}  # of sources that were sent, by their version
        self._users = 0

    @contextlib.contextmanager
    def held(
        self,
        package: str | None,
        source: Source | None,
        pipelines: tuple[str, ...] | None,
        folder: str,
    ) -> Iterator[None]:
        """Within this context the process is set up for a project.

        Args:
            package: The project's package, ``None`` without one.
            source: Its source.
            pipelines: The pipelines that the session asked for, ``None`` for all.
            folder: Where a source that was sent may be written.

        Raises:
            PackageMissingError: If the package is not there.
            Exception: Whatever the project raises when it is imported.
        """
        project = package, source and source.version, source is not None and source.always
        with self._turn:
            while self._users and self._project != project:
                self._turn.wait()
            if self._project != project:
                self._project = None  # until it has succeeded
                self._set_up(package, source, pipelines, folder)
                self._project = project
            self._users += 1
        try:
            yield
        finally:
            with self._turn:
                self._users -= 1
                self._turn.notify_all()

    def _set_up(
        self,
        package: str | None,
        source: Source | None,
        pipelines: tuple[str, ...] | None,
        folder: str,
    ) -> None:
        from prunner.bridge.logs import bare_kedro_logging

        # The import of Kedro would set up handlers; the client's are those of the run.
        with bare_kedro_logging():
            from prunner.processes.project import configure, keep_logging

            keep_logging(package)
        if package is not None:
            if source is not None:
                self._find(package, source, folder)
            configure(package, pipelines)

    def _find(self, package: str, source: Source, folder: str) -> None:
        """Let the next import of the package find the right version of it."""
        for former in self._folders.values():
            with contextlib.suppress(ValueError):
                sys.path.remove(former)
        here = None if source.always else own_package_folder(package)
        if here is None:
            if source.archive is None:
                raise PackageMissingError(
                    f"the package '{package}' is not there, and upload_project=False keeps it "
                    "from being sent"
                )
            if source.version not in self._folders:
                self._folders[source.version] = unpack(source, folder)
            sys.path.insert(0, self._folders[source.version])
        forget_modules(source.modules)


slot = Slot()  # this process's
