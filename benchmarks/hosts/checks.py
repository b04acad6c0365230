"""The runs across hosts, and what is checked of each."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

from benchmarks.hosts.network import Host
from benchmarks.hosts.project import PACKAGE, PARTS

PORT = 8786
WORKER_HOSTS = ("worker-a", "worker-b")
_PER_HOST = 2  # worker processes
_LIMIT = 180.0  # seconds that a run may take
_RAN = re.compile(r"part (\d+) on (\S+) with (\S+)")


class Check(NamedTuple):
    """What was found.

    Attributes:
        what: What was looked at.
        is_well: Whether it is as it should be.
        found: In words.
    """

    what: str
    is_well: bool
    found: str


class Cluster:
    """A scheduler and workers on hosts.

    Args:
        hosts: The hosts by their names.
        project: Folder of the project.
        private: A folder of which each host has its own.
    """

    def __init__(self, hosts: Mapping[str, Host], project: Path, private: Path) -> None:
        self._hosts = hosts
        self._project = project
        self._private = private
        self._address = f"tcp://{hosts['scheduler'].address}:{PORT}"

    def start(self) -> None:
        """Start all but the client."""
        self._start("scheduler", "scheduler", "--port", str(PORT), "--no-dashboard")
        for name in WORKER_HOSTS:
            self.start_workers(name)

    def start_workers(self, name: str) -> None:
        """Start the workers of a host."""
        options = ("--nworkers", str(_PER_HOST), "--nthreads", "1", "--no-dashboard")
        own = ("--local-directory", str(self._private))
        self._start(name, "worker", self._address, *options, *own)

    def _start(self, host: str, kind: str, *options: str) -> None:
        module = f"distributed.cli.dask_{kind}"
        self._hosts[host].start(module, *options, folder=self._private, output=subprocess.DEVNULL)

    def wait(self) -> None:
        """Wait until all workers have joined."""
        client = "benchmarks.hosts.waiting"
        count = str(len(WORKER_HOSTS) * _PER_HOST)
        process = self._hosts["client"].start(
            client, self._address, count, folder=self._private, output=subprocess.PIPE
        )
        text, _ = process.communicate(timeout=_LIMIT)
        if process.returncode:
            raise RuntimeError(f"The workers have not joined: {text.strip()[-500:]}")

    def run(
        self,
        environment: str,
        *,
        sequential: bool = False,
        seconds: float = 0.3,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> dict[str, Any]:
        """Run the project on the client's host; what its answer is."""
        with tempfile.TemporaryDirectory(dir=self._project) as folder:
            request, answer = Path(folder, "request.json"), Path(folder, "answer.json")
            asked = {
                "project": str(self._project),
                "environment": environment,
                "address": None if sequential else self._address,
                "seconds": seconds,
            }
            request.write_text(json.dumps(asked), encoding="utf-8")
            process = self._hosts["client"].start(
                "benchmarks.hosts.client",
                str(request),
                str(answer),
                folder=self._project,
                output=subprocess.PIPE,
            )
            assert process.stdout is not None
            last, deadline = "", monotonic() + _LIMIT
            for line in process.stdout:
                last = line.strip() or last
                on_line(line)
                if monotonic() > deadline:
                    process.kill()
            process.wait()
            if not answer.exists():
                raise RuntimeError(f"A run has ended without an answer: {last}")
            found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
            return found


def all_checks(cluster: Cluster, hosts: Mapping[str, Host]) -> Iterator[Check]:
    """Make all runs."""
    expected = cluster.run("shared", sequential=True)["total"]
    yield from _of_local_paths(cluster)
    yield from _of_shared_folder(cluster, expected)
    yield from _of_killed_host(cluster, hosts["worker-b"], expected)


def _of_local_paths(cluster: Cluster) -> Iterator[Check]:
    answer = cluster.run("base")
    named = _reported(answer)
    words = f"before the run: {', '.join(named) or 'none'}"
    yield Check("datasets with a local path are named", named == ["raw", "total"], words)
    lines = (answer["error"] or "no error").splitlines()
    # The paths of one run say nothing to whoever reads the table.
    words = re.sub(r"'?/\S*/", "'", f"{lines[0].partition(':')[0]}: {lines[-1].strip()}")
    yield Check("the run fails when a node loads one", bool(answer["error"]), words[:110])


def _of_shared_folder(cluster: Cluster, expected: Any) -> Iterator[Check]:
    answer = cluster.run("shared")
    yield Check("a shared folder is not named", not _reported(answer), "no warning")
    same = answer["total"] == expected and answer["error"] is None
    words = f"total {answer['total']}, {answer['seconds']:.1f} s {answer['error'] or ''}"
    yield Check("results are those of SequentialRunner", same, words.strip())
    ran = _ran(answer)
    count = Counter(host for host, _ in ran)
    words = ", ".join(f"{number} on {host}" for host, number in sorted(count.items()))
    is_well = set(count) == set(WORKER_HOSTS) and len(ran) == PARTS
    yield Check("nodes ran on both hosts, and their logs are here", is_well, words)
    folders = {Path(file).parent for _, file in ran}
    sent = all(f.name == PACKAGE and "prunner-source-" in str(f) for f in folders)
    words = "imported from an uploaded copy" if sent else ", ".join(map(str, folders))
    yield Check("the project was uploaded", sent and bool(folders), words)


def _of_killed_host(cluster: Cluster, victim: Host, expected: Any) -> Iterator[Check]:
    ended = 0

    def end(line: str) -> None:
        nonlocal ended
        found = _RAN.search(line)
        if not ended and found is not None and found[2] == victim.name:
            ended = victim.end()

    answer = cluster.run("shared", seconds=1.0, on_line=end)
    same = answer["total"] == expected and answer["error"] is None
    last = Counter(dict(_by_part(answer)).values())
    words = ", ".join(f"{number} on {host}" for host, number in sorted(last.items()))
    error = (answer["error"] or "").splitlines()
    words = f"{ended} processes ended, {answer['seconds']:.1f} s; {words} {''.join(error[:1])}"
    yield Check("a host that is killed is survived", same and ended > 0, words.strip())
    cluster.start_workers(victim.name)
    sleep(1)
    cluster.wait()
    again = cluster.run("shared")
    back = victim.name in {host for host, _ in _ran(again)} and again["total"] == expected
    yield Check("a host that joins again is used", back, f"{again['seconds']:.1f} s")


def _ran(answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = (_RAN.search(line) for line in answer["lines"])
    return [(match[2], match[3]) for match in found if match is not None]


def _by_part(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for match in map(_RAN.search, answer["lines"]):
        if match is not None:
            yield match[1], match[2]


def _reported(answer: Mapping[str, Any]) -> list[str]:
    lines = [line for line in answer["lines"] if "Local files of these datasets" in line]
    return sorted(set(re.findall(r"'(\w+)'", " ".join(lines))))
