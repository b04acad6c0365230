"""What ``DaskRunner`` would find of a cluster; nothing runs there but the questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prunner.errors import ClusterError

if TYPE_CHECKING:
    from prunner.cluster.findings import Findings


def look_at(
    address: str | None,
    scheduler_file: str | None,
    package: str | None,
    paths: Mapping[str, str],
) -> Findings:
    """Ask the workers of a cluster, as a run would do before its first node.

    Args:
        address: Of the scheduler.
        scheduler_file: In place of an address, the file that the scheduler has written.
        package: The project's package.
        paths: Where the local files of datasets are, by the names of these.

    Raises:
        ClusterError: If Dask is not installed, the cluster cannot be reached, or a worker has not
            got this version of prunner.
    """
    try:
        import prunner.cluster.runner  # noqa: F401 - knows what is to be said without Dask
    except ImportError as error:
        raise ClusterError(str(error)) from error
    from prunner.cluster.connection import connected
    from prunner.cluster.environment import examine
    from prunner.cluster.options import ClusterOptions, check_target
    from prunner.cluster.source import source_of

    options = ClusterOptions(*check_target(address, scheduler_file, None, None, None))
    source = None if package is None else source_of(package, options.upload_project)
    with connected(options) as client:
        return examine(client, package, source, paths)
