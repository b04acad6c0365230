"""Whether the workers of a cluster can run a project; asked before any node runs.

Covers: asking them, with the fewest calls. Does not cover: what follows from what they say
(``findings``), setting up the project (``plugin``).
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prunner import kedro_internals
from prunner.cluster import steps
from prunner.cluster.faults import refusal
from prunner.cluster.findings import Findings, Told, find, warnings, why_unusable
from prunner.cluster.probe import ancestor_of, look
from prunner.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

    from prunner.cluster.messages import ClusterRun
    from prunner.cluster.source import Source
    from prunner.processes.book import RunBook

# What pickles and data go through; Dask adds Python and its own packages.
_PACKAGES = ("kedro", "kedro_datasets", "prunner", "cloudpickle", "numpy", "pandas", "pyarrow")


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

    def check(self, catalog: Any, book: RunBook) -> None:
        """Say what differs between here and the workers.

        Args:
            catalog: The catalog.
            book: What of the run goes to workers.

        Raises:
            ClusterError: If a worker has no prunner, or another version of it.
        """
        if not self._client.nthreads():
            self._logger.info("The cluster has no worker yet: the run begins with the first one.")
            self._client.wait_for_workers(1)
        paths = kedro_internals.local_paths(catalog, book.datasets)
        findings = examine(self._client, self._told.package, self._told.source, paths)
        for text in warnings(findings, socket.gethostname()):
            self._logger.warning("%s", text)

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


def examine(
    client: Client, package: str | None, source: Source | None, paths: Mapping[str, str]
) -> Findings:
    """Ask the workers of a cluster what they have; nothing changes there.

    Args:
        client: Dask's.
        package: The project's package.
        source: Its source.
        paths: Where the local files of datasets are, by the names of these.

    Raises:
        ClusterError: If a worker has no prunner, or another version of it.
    """
    versions = client.get_versions(packages=list(_PACKAGES))
    here = _flat(versions["client"])
    workers = {address: _flat(each) for address, each in versions["workers"].items()}
    if (why := why_unusable(here, workers)) is not None:
        raise ClusterError(why)
    ancestors = {name: ancestor_of(path) for name, path in paths.items()}
    seen = client.run(look, ancestors, package)
    told = Told(client.scheduler.address, workers, client.nthreads(), seen)
    return find(here, told, package, source)


def _flat(told: Mapping[str, Any]) -> dict[str, str | None]:
    """What Dask tells of a process: versions of packages, Python among them."""
    python = dict(told["host"])["python"]
    versions = dict(told["packages"])
    versions["python"] = ".".join(str(python).split(".")[:3])
    return versions
