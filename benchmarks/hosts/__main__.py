"""The command: ``python -m benchmarks.hosts``."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType

from benchmarks import machine
from benchmarks.hosts.checks import WORKER_HOSTS, Check, Cluster, all_checks
from benchmarks.hosts.network import hosts, what_is_missing
from benchmarks.hosts.project import make_project
from benchmarks.hosts.report import Found, table

_OUTPUT = Path("build", "benchmarks", "hosts.json")


def main() -> int:
    """Make hosts, run a project across them, and remove all of it; the exit code."""
    missing = what_is_missing()
    if missing is not None:
        print(missing, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _as_interrupt)
    found = Found(
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        machine=machine.describe(),
    )
    try:
        _measure(found)
    except KeyboardInterrupt:
        print("Stopped; hosts, processes and files are removed.", file=sys.stderr)
        return 130
    print(f"\n{table(found)}")
    _OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"suite": "hosts", **asdict(found)}, indent=1)
    _OUTPUT.write_text(text + "\n", encoding="utf-8")
    print(f"\nWritten: {_OUTPUT}")
    return 0 if all(check.is_well for check in found.checks) else 1


def _measure(found: Found) -> None:
    with tempfile.TemporaryDirectory(prefix="prunner-hosts-", ignore_cleanup_errors=True) as base:
        project, private, shared = (Path(base, name) for name in ("project", "private", "shared"))
        for folder in (project, private, shared):
            folder.mkdir()
        make_project(project, shared)
        # Where the client's host has the project, the others have an empty folder.
        views = {name: (project, private) for name in ("scheduler", *WORKER_HOSTS)}
        with hosts({**views, "client": (private,)}) as made:
            addresses = ", ".join(f"{host.name} {host.address}" for host in made.values())
            print(f"Hosts: {addresses}", file=sys.stderr, flush=True)
            cluster = Cluster(made, project, private)
            cluster.start()
            cluster.wait()
            for check in all_checks(cluster, made):
                found.checks.append(Check(*check))
                word = "well" if check.is_well else "WRONG"
                print(f"{word:5}  {check.what}: {check.found}", file=sys.stderr, flush=True)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())
