"""Whether the workers of a cluster can run a project; said before any node runs.

Covers: Python and packages that differ, workers without prunner or the project, files that other
machines do not see. Does not cover: setting up the project (``plugin``).
"""

from __future__ import annotations

import logging
import socket
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from prunner import kedro_internals
from prunner.cluster import steps
from prunner.cluster.faults import refusal
from prunner.cluster.probe import ancestor_of, look
from prunner.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

    from prunner.cluster.messages import ClusterRun
    from prunner.planning.plan import RunPlan
    from prunner.processes.book import RunBook

# What pickles and data go through; the project's own package is added.
_PACKAGES = ("kedro", "kedro_datasets", "prunner", "cloudpickle", "numpy", "pandas", "pyarrow")


class Difference(NamedTuple):
    """A package of which workers have another version.

    Attributes:
        package: Its name; ``python`` for Python itself.
        here: The version in this process.
        there: The workers that differ, by their version.
    """

    package: str
    here: str | None
    there: Mapping[str | None, tuple[str, ...]]

    def __str__(self) -> str:
        versions = "; ".join(
            f"{version or 'none'} on {', '.join(workers)}"
            for version, workers in self.there.items()
        )
        return f"{self.package}: {self.here or 'none'} here, {versions}"


class Environment:
    """The workers of a cluster, as they are when a run begins.

    Args:
        client: Dask's.
        told: What they will be told of the run.
        logger: Where it is said what differs.

    Attributes:
        threads: How many nodes can run at once.
    """

    threads = 1

    def __init__(self, client: Client, told: ClusterRun, logger: logging.Logger) -> None:
        self._client = client
        self._told = told
        self._logger = logger

    def check(self, catalog: Any, plan: RunPlan, book: RunBook) -> None:
        """Say what differs between here and the workers.

        Args:
            catalog: The catalog.
            plan: The plan of the run.
            book: What of the run goes to workers.

        Raises:
            ClusterError: If a worker has no prunner, or another version of it.
        """
        here, workers = self._versions()
        self._check_prunner(here, workers)
        for difference in differences(here, workers, self._told.package):
            self._logger.warning("Workers have another version of %s", difference)
        paths = kedro_internals.local_paths(catalog, book.datasets)
        self._check_views(paths)

    def check_set_up(self) -> None:
        """See whether the project could be set up in every worker.

        Raises:
            WorkerStartError: If it could not.
        """
        answers = self._client.run(steps.refusal_of, self._told.token)
        self.threads = max(1, sum(self._client.nthreads().values()))
        for address, refused in answers.items():
            if refused is not None:
                raise refusal(self._told.package, address, refused)

    def _versions(self) -> tuple[dict[str, str | None], dict[str, dict[str, str | None]]]:
        """Versions here and in each worker, as Dask tells them."""
        told = self._client.get_versions(packages=list(_PACKAGES))
        here = _flat(told["client"])
        return here, {address: _flat(each) for address, each in told["workers"].items()}

    def _check_prunner(
        self, here: Mapping[str, str | None], workers: Mapping[str, Mapping[str, str | None]]
    ) -> None:
        for address, there in workers.items():
            if there.get("prunner") != here["prunner"]:
                had = there.get("prunner")
                what = f"has prunner {had}" if had else "has no prunner"
                raise ClusterError(
                    f"Worker {address} {what}, and this process has prunner {here['prunner']} "
                    f"(Python {there['python']} there, {here['python']} here). Install the same "
                    "version in the environment of the workers."
                )

    def _check_views(self, paths: Mapping[str, str]) -> None:
        """Name the datasets with local files that some worker does not see."""
        ancestors = {name: ancestor_of(path) for name, path in paths.items()}
        seen = self._client.run(look, ancestors, self._told.package)
        unseen: defaultdict[str, set[str]] = defaultdict(set)
        for found in seen.values():
            for name in found.unseen:
                unseen[name].add(found.host)
        if unseen:
            hosts = ", ".join(sorted(set().union(*unseen.values())))
            names = ", ".join(f"'{name}'" for name in sorted(unseen))
            self._logger.warning(
                "Local files of these datasets are not the same for workers on %s as for %s: %s. "
                "Let them be on a file system that all machines have at the same place, or in a "
                "store such as S3.",
                hosts,
                socket.gethostname(),
                names,
            )
        self._compare_sources({a: found.digest for a, found in seen.items()})

    def _compare_sources(self, digests: Mapping[str, str | None]) -> None:
        source = self._told.source
        if source is None or source.always:
            return
        others = [a for a, digest in digests.items() if digest not in (None, source.digest)]
        if others:
            self._logger.warning(
                "The source of the package '%s' on %s is not the same as here. Run with "
                "upload_project=True to let workers use that of this machine.",
                self._told.package,
                ", ".join(others),
            )


def differences(
    here: Mapping[str, str | None],
    workers: Mapping[str, Mapping[str, str | None]],
    package: str | None,
) -> list[Difference]:
    """The packages whose versions differ.

    Args:
        here: Versions in this process.
        workers: The same in each worker.
        package: The project's package.
    """
    found = []
    for name, version in here.items():
        there: defaultdict[str | None, list[str]] = defaultdict(list)
        for address, versions in workers.items():
            if versions.get(name) != version:
                there[versions.get(name)].append(address)
        if there and version is not None:
            by_version = {v: tuple(sorted(each)) for v, each in there.items()}
            found.append(Difference(name, version, by_version))
    return found


def _flat(told: Mapping[str, Any]) -> dict[str, str | None]:
    """What Dask tells of a process: versions of packages, Python among them."""
    python = dict(told["host"])["python"]
    versions = dict(told["packages"])
    versions["python"] = ".".join(str(python).split(".")[:3])
    return versions
