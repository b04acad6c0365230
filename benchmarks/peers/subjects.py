"""Who is measured, and how each is used. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

PRUNNER = "prunner"


@dataclass(frozen=True)
class Peer:
    """A library, or one of Kedro's runners.

    Attributes:
        name: What it is called.
        package: What has to be installed.
        start: The module and the function that starts it.
        usage: How it is used, in words.
    """

    name: str
    package: str
    start: str
    usage: str

    @property
    def installed(self) -> bool:
        """Whether it can be measured here."""
        return find_spec(self.package) is not None


PEERS = (
    Peer(PRUNNER, "prunner", "with_kedro:prunner", "`ParallelRunner(2)`"),
    Peer("kedro sequential", "kedro", "with_kedro:sequential", "`SequentialRunner()`"),
    Peer("kedro thread", "kedro", "with_kedro:thread", "`ThreadRunner(2)`"),
    Peer("kedro parallel", "kedro", "with_kedro:parallel", "`ParallelRunner(2)`"),
    Peer(
        "dask",
        "distributed",
        "with_dask:started",
        "`LocalCluster` with two processes of one thread; `client.map`, and futures as arguments",
    ),
    Peer(
        "ray",
        "ray",
        "with_ray:started",
        "`ray.init(num_cpus=2)`; remote functions, and references as arguments",
    ),
    Peer(
        "joblib",
        "joblib",
        "with_joblib:started",
        "`Parallel(n_jobs=2)` with its default, loky; it knows no graphs, so the array is made "
        "in the calling process, and reaches the workers through joblib's memory map",
    ),
    Peer(
        "pipefunc",
        "pipefunc",
        "with_pipefunc:started",
        "`pipeline.map` with an executor of two processes that is kept; independent nodes are "
        "one function with a `mapspec`",
    ),
)
