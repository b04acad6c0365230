"""A project's pipeline and catalog, made as ``session.run`` makes them, and the report on them.

Hooks that belong to the context and to the catalog fire, since they may change the catalog;
those of pipelines, nodes and datasets do not. No node runs, no dataset is loaded or saved.
"""

from __future__ import annotations

import contextlib
import difflib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunner.bridge.logs import bare_kedro_logging

with bare_kedro_logging():
    # The project's own logging configuration might open its log files, and empty them.
    from kedro.framework import project

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline
from kedro.runner import AbstractRunner
from kedro.utils import find_kedro_project

from prunner import kedro_internals
from prunner.check.rehearsal import rehearse
from prunner.check.report import Report, Scope
from prunner.errors import ProjectError
from prunner.options import check_max_workers, resolve_start_method

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol

    from prunner.cluster.findings import Findings


@dataclass(frozen=True)
class Selection:
    """What of a project is checked, in the terms of ``kedro run``.

    Attributes:
        pipelines: Names of registered pipelines.
        filters: Arguments of ``Pipeline.filter``.
        session: Arguments of ``KedroSession.create``.
        max_workers: How many workers there may be at most; ``None`` for the number of CPUs.
        address: Of a Dask scheduler, whose workers are looked at.
        scheduler_file: In place of an address, the file that the scheduler has written.
    """

    pipelines: tuple[str, ...]
    filters: dict[str, Any]
    session: dict[str, Any]
    max_workers: int | None
    address: str | None = None
    scheduler_file: str | None = None


def check_project(selection: Selection, root: Path | None) -> Report:
    """Say what ``prunner.ParallelRunner`` would do with a project.

    Args:
        selection: What of the project is checked.
        root: Folder of the project where it is configured already; ``None`` to look for it from
            the working directory upwards, and to configure it.

    Returns:
        The report.

    Raises:
        ProjectError: If there is no project, or no such pipeline.
        ClusterError: If the cluster cannot be reached, or cannot run anything.
        Exception: Whatever Kedro or the project raises while pipeline and catalog are made.
    """
    with _quiet():
        folder = _configured() if root is None else root
        session = KedroSession.create(folder, save_on_close=False, **selection.session)
        pipeline, catalog = _prepare(session, selection)
        scope = Scope(
            project=project.PACKAGE_NAME or folder.name,
            pipelines=selection.pipelines,
            start_method=resolve_start_method(None),
            max_workers=check_max_workers(selection.max_workers),
        )
        return rehearse(scope, pipeline, catalog, _asking(selection))


def _asking(selection: Selection) -> Callable[[Mapping[str, str]], Findings] | None:
    """What looks at the cluster that was named; ``None`` without one."""
    if selection.address is None and selection.scheduler_file is None:
        return None
    from prunner.check.cluster import look_at

    package = project.PACKAGE_NAME
    return lambda paths: look_at(selection.address, selection.scheduler_file, package, paths)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Standard output is for the report: what the project says goes to standard error."""
    former = logging.root.manager.disable
    logging.disable(max(former, logging.INFO))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        logging.disable(former)


def _configured() -> Path:
    here = Path.cwd()
    folder = find_kedro_project(here)
    if folder is None:
        raise ProjectError(
            f"There is no Kedro project in {here} or in a folder above it: none of them has a "
            "pyproject.toml with a section [tool.kedro]."
        )
    # Kedro 1.0 adds the project's logger there, and an empty configuration has no such entry.
    project.LOGGING.data.setdefault("loggers", {})
    bootstrap_project(folder)
    return Path(folder)


class _Preparation(AbstractRunner):
    """What each runner of Kedro does before the first node: it completes and checks the catalog."""

    def _get_executor(self, max_workers: int) -> None:
        """None is needed."""

    def _run(self, *_: Any, **__: Any) -> None:
        """Nothing runs."""


def _prepare(
    session: KedroSession, selection: Selection
) -> tuple[Pipeline, CatalogProtocol[Any, Any]]:
    kedro_internals.request_pipelines(selection.pipelines)
    context = session.load_context()
    pipeline = _registered(selection.pipelines).filter(**selection.filters)
    catalog = kedro_internals.catalog_of(context, session.session_id, selection.pipelines)
    _Preparation().run(pipeline, catalog)
    return pipeline, catalog


def _registered(names: tuple[str, ...]) -> Pipeline:
    try:
        return sum((project.pipelines[name] for name in names), Pipeline([]))
    except Exception as error:
        # Kedro imports the modules of the pipelines that are asked for, there or not.
        known = _all_registered()
        for name in names:
            if known is not None and name not in known:
                text = f"There is no pipeline '{name}'. {_suggest(name, known)}"
                raise ProjectError(text) from error
        raise


def _all_registered() -> list[str] | None:
    """Names of all pipelines, ``None`` where some cannot be made."""
    try:
        kedro_internals.request_pipelines(())
        return sorted(project.pipelines.keys())
    except Exception:
        return None


def _suggest(name: str, known: list[str]) -> str:
    similar = difflib.get_close_matches(name, known)
    if not known:
        return "None is registered."
    listed = ", ".join(f"'{each}'" for each in similar or known)
    return f"Did you mean {listed}?" if similar else f"There are {listed}."
