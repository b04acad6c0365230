"""What is known of a cluster before a run, and what of it is not as it is here. Pure.

The runner logs it, ``prunner check`` shows it. It knows no Dask.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from prunner.cluster.probe import Seen
from prunner.cluster.source import Source

Versions = Mapping[str, "str | None"]


@dataclass(frozen=True, slots=True)
class Host:
    """A machine with workers.

    Attributes:
        name: Its name.
        workers: How many worker processes it has.
        threads: How many nodes these can run at once.
    """

    name: str
    workers: int
    threads: int


@dataclass(frozen=True, slots=True)
class Version:
    """A version that workers have.

    Attributes:
        version: Which one; ``None`` where there is none.
        workers: Their addresses.
    """

    version: str | None
    workers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A package of which workers have another version.

    Attributes:
        package: Its name; ``python`` for Python itself.
        here: The version in this process.
        there: The versions of workers that differ.
    """

    package: str
    here: str
    there: tuple[Version, ...]

    def __str__(self) -> str:
        versions = "; ".join(
            f"{each.version or 'none'} on {', '.join(each.workers)}" for each in self.there
        )
        return f"{self.package}: {self.here} here, {versions}"


@dataclass(frozen=True, slots=True)
class Unseen:
    """A dataset with local files that some machines do not see.

    Attributes:
        dataset: Its name.
        hosts: The machines.
    """

    dataset: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of a cluster.

    Attributes:
        scheduler: Address of the scheduler.
        hosts: The machines with workers.
        differences: The packages of which workers have another version.
        package: The project's package, ``None`` without a project.
        without_package: Addresses of workers that have not got it.
        sends_package: Whether it is sent to these.
        other_source: Addresses of workers that have other source of it, and would use that.
        unseen: The datasets with local files that some machines do not see.
    """

    scheduler: str
    hosts: tuple[Host, ...]
    differences: tuple[Difference, ...]
    package: str | None
    without_package: tuple[str, ...]
    sends_package: bool
    other_source: tuple[str, ...]
    unseen: tuple[Unseen, ...]


class Told(NamedTuple):
    """What the workers of a cluster have said, by their addresses.

    Attributes:
        scheduler: Address of the scheduler.
        versions: Of packages.
        threads: How many nodes each one runs at once.
        seen: Which files and which source.
    """

    scheduler: str
    versions: Mapping[str, Versions]
    threads: Mapping[str, int]
    seen: Mapping[str, Seen]


def find(here: Versions, told: Told, package: str | None, source: Source | None) -> Findings:
    """Compare the workers of a cluster with this process.

    Args:
        here: Versions in this process.
        told: What the workers have said.
        package: The project's package.
        source: Its source here; ``None`` if it has no folder of its own.
    """
    digests = {} if source is None else {a: seen.digest for a, seen in told.seen.items()}
    own = set() if source is None or source.always else {None, source.digest}
    return Findings(
        scheduler=told.scheduler,
        hosts=_hosts(told),
        differences=tuple(differences(here, told.versions)),
        package=package,
        without_package=tuple(sorted(a for a, digest in digests.items() if digest is None)),
        sends_package=source is not None and source.archive is not None,
        other_source=tuple(sorted(a for a, d in digests.items() if own and d not in own)),
        unseen=tuple(_unseen(told.seen)),
    )


def differences(here: Versions, workers: Mapping[str, Versions]) -> list[Difference]:
    """The packages whose versions differ, of those that are here.

    Args:
        here: Versions in this process.
        workers: The same in each worker.
    """
    found = []
    for name, version in here.items():
        there: defaultdict[str | None, list[str]] = defaultdict(list)
        for address, versions in workers.items():
            if versions.get(name) != version:
                there[versions.get(name)].append(address)
        if there and version is not None:
            by_version = sorted(there.items(), key=lambda each: str(each[0]))
            others = tuple(Version(each, tuple(sorted(which))) for each, which in by_version)
            found.append(Difference(name, version, others))
    return found


def why_unusable(here: Versions, workers: Mapping[str, Versions]) -> str | None:
    """Why a cluster cannot run anything: a worker without Kedro or prunner, or with another one.

    Args:
        here: Versions in this process.
        workers: The same in each worker.
    """
    for address, there in workers.items():
        had = there.get("prunner")
        if had != here["prunner"]:
            what = f"has prunner {had}" if had else "has no prunner"
            return (
                f"Worker {address} {what}, and this process has prunner {here['prunner']} "
                f"(Python {there['python']} there, {here['python']} here). Install the same "
                "version in the environment of the workers."
            )
        if here.get("kedro") and not there.get("kedro"):
            return (
                f"Worker {address} has no Kedro, and this process has Kedro {here['kedro']}. "
                "Install it in the environment of the workers."
            )
    return None


def warnings(findings: Findings, host: str) -> Iterator[str]:
    """What is to be said of findings before a run.

    Args:
        findings: The findings.
        host: Name of this machine.
    """
    for difference in findings.differences:
        yield f"Workers have another version of {difference}"
    if findings.unseen:
        hosts = sorted({host for each in findings.unseen for host in each.hosts})
        names = ", ".join(f"'{each.dataset}'" for each in findings.unseen)
        yield (
            f"Local files of these datasets are not the same for workers on {', '.join(hosts)} as "
            f"for {host}: {names}. Let them be on a file system that all machines have at the same "
            "place, or in a store such as S3."
        )
    if findings.other_source:
        yield (
            f"The source of the package '{findings.package}' on "
            f"{', '.join(findings.other_source)} is not the same as here. Run with "
            "upload_project=True to let workers use that of this machine."
        )


def _hosts(told: Told) -> tuple[Host, ...]:
    workers = Counter(seen.host for seen in told.seen.values())
    threads: Counter[str] = Counter()
    for address, seen in told.seen.items():
        threads[seen.host] += told.threads.get(address, 0)
    return tuple(Host(name, workers[name], threads[name]) for name in sorted(workers))


def _unseen(seen: Mapping[str, Seen]) -> Iterator[Unseen]:
    hosts: defaultdict[str, set[str]] = defaultdict(set)
    for found in seen.values():
        for name in found.unseen:
            hosts[name].add(found.host)
    for name in sorted(hosts):
        yield Unseen(name, tuple(sorted(hosts[name])))
