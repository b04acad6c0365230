"""The project's set-up: captured in the parent, restored in every worker.

A new process knows nothing of the project: ``kedro.framework.project.PACKAGE_NAME`` is
``None`` there, hooks and settings are Kedro's defaults, and code that needs the project ends in
"ValueError: Package name not found". So the parent sends the name, and the process reruns
``configure_project`` with it before anything else. The only room that touches
``kedro.framework.project``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ProjectState:
    """What a new process needs to stand in for the one that made it.

    Attributes:
        package_name: The project's package, ``None`` without a project.
        requested_pipelines: The pipelines that the session asked for, ``None`` for all.
        sys_path: Where modules are found.
        environ: The environment variables.
        folder: The current working directory.
    """

    package_name: str | None
    requested_pipelines: tuple[str, ...] | None
    sys_path: tuple[str, ...]
    environ: Mapping[str, str]
    folder: str

    @classmethod
    def capture(cls) -> ProjectState:
        """The state of this process.

        Raises:
            WorkerStartError: If the current working directory has been removed.
        """
        from kedro.framework import project

        from prunner.errors import WorkerStartError

        # Kedro 1.0 loads all pipelines always and has no such attribute.
        requested = getattr(project.pipelines, "_requested_pipelines", None)
        try:
            folder = os.getcwd()
        except FileNotFoundError as error:
            # multiprocessing and loky could not start a process there either.
            cause = "the current working directory does not exist any more"
            raise WorkerStartError(project.PACKAGE_NAME, cause) from error
        return cls(
            package_name=project.PACKAGE_NAME,
            requested_pipelines=None if requested is None else tuple(requested),
            sys_path=tuple(path or folder for path in sys.path),
            environ=dict(os.environ),
            folder=folder,
        )

    def restore(self) -> None:
        """Make this process like the captured one and configure the project in it.

        Raises:
            Exception: Whatever the project's ``settings`` module raises when it is imported.
        """
        self._restore_process()
        if self.package_name is not None:
            configure(self.package_name, self.requested_pipelines)

    def _restore_process(self) -> None:
        os.chdir(self.folder)
        sys.path[:] = self.sys_path
        # A fork server keeps the environment of the moment when it was started.
        for name in os.environ.keys() - self.environ.keys():
            del os.environ[name]
        for name, value in self.environ.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


def configure(package_name: str, requested_pipelines: tuple[str, ...] | None = None) -> None:
    """Configure a project in this process.

    Args:
        package_name: The project's package.
        requested_pipelines: The pipelines that the session asked for, ``None`` for all.

    Raises:
        Exception: Whatever the project's ``settings`` module raises when it is imported.
    """
    from kedro.framework import project

    project.configure_project(package_name)
    # Kedro swallows an import error of settings.py unless it is asked to validate it; where
    # there is no such file, it would say so again in every worker.
    if importlib.util.find_spec(f"{package_name}.settings") is not None:
        project.validate_settings()
    if requested_pipelines is not None:
        request_pipelines(requested_pipelines)


def request_pipelines(names: tuple[str, ...] | None) -> None:
    """Let Kedro load these registered pipelines only, when somebody asks for one.

    Args:
        names: The pipelines, ``None`` for all.
    """
    from kedro.framework import project

    if hasattr(project.pipelines, "set_requested"):  # not so in Kedro 1.0
        project.pipelines.set_requested(None if names is None else list(names))


def import_modules(names: Iterable[str]) -> None:
    """Import modules; what goes wrong is not said here: it does again where a node needs them."""
    for name in names:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)


def import_pipelines(package_name: str | None, names: Collection[str]) -> None:
    """Import what the parent imports to make pipelines, without making any.

    Args:
        package_name: The project's package.
        names: Names of the pipelines; ``__default__`` stands for all.
    """
    registry = f"{package_name}.pipeline_registry"
    if not names:
        return
    import_modules([registry])
    if hasattr(sys.modules.get(registry), "find_pipelines"):  # else it imports them by itself
        home = f"{package_name}.pipelines"
        import_modules([home])
        found = pkgutil.iter_modules(getattr(sys.modules.get(home), "__path__", []))
        wanted = [each.name for each in found if each.name in names or "__default__" in names]
        import_modules(f"{home}.{name}" for name in wanted)


@dataclass(frozen=True)
class ProjectInitializer:
    """A picklable callable that configures the project in a new process."""

    state: ProjectState

    def __call__(self, *_: Any) -> None:
        """Configure the project here."""
        self.state.restore()


def project_initializer() -> ProjectInitializer:
    """Make an ``initializer=`` for a process pool of one's own.

    Under ``spawn`` and ``forkserver`` a pool's processes do not know the Kedro project, so that
    code which needs it ends in "Package name not found". With this initializer they do::

        with ProcessPoolExecutor(initializer=prunner.project_initializer()) as pool: ...
        with multiprocessing.Pool(initializer=prunner.project_initializer()) as pool: ...
        loky.get_reusable_executor(initializer=prunner.project_initializer())
        joblib.parallel_config("loky", initializer=prunner.project_initializer())  # joblib 1.5

    Call it where the project is configured (in a node, in a hook, after
    ``bootstrap_project``); it captures the package name, ``sys.path``, the environment and
    the working directory of that moment. Such a process logs as every one that imports Kedro:
    through handlers of its own, made from the project's logging configuration.

    Returns:
        A picklable callable.
    """
    return ProjectInitializer(ProjectState.capture())


def keep_logging(package_name: str | None) -> None:
    """Let ``configure_project`` find the package in Kedro's logging configuration.

    It applies the configuration where the package is missing; a worker's log goes to the parent.

    Args:
        package_name: The project's package.
    """
    from kedro.framework import project

    if package_name is not None:
        loggers = project.LOGGING.data.setdefault("loggers", {})
        loggers.setdefault(package_name, {"level": "INFO"})
