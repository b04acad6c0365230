"""The measured process: ``python -m benchmarks.floors.child REQUEST.json ANSWER.json``.

What it needs is imported late, as ``spawn`` imports this module in each worker again.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

# By the name of the probe, or by what stands before its first hyphen.
_PROBES = {
    "dispatch": "dispatch:against_loky",
    "growth": "dispatch:growth",
    "catalog": "dispatch:unused_datasets",
    "info": "dispatch:at_info",
    "handoff": "handoff:to_next_node",
    "handoff-8-consumers": "handoff:to_many",
    "handoff-8-memory": "peak:of_eight_consumers",
    "handoff-million": "handoff:of_small_objects",
    "order": "order:against_lower_bound",
    "cold": "cold_start:against_sequential",
    "warm": "warm:second_run",
    "record": "record:cost",
    "record-trivial": "record:trivial_nodes",
    "cpu": "cpu:against_sequential",
    "dask": "cluster:against_dask",
    "dask-start": "cluster:start",
    "dask-apart-10000": "cluster:apart",
}


def main(request_file: Path, answer_file: Path) -> None:
    """Do what is asked for in one file, and answer in another."""
    from benchmarks.floors.samples import Probe, Request

    request = Request(**json.loads(request_file.read_text(encoding="utf-8")))
    module, _, function = place_of(request.probe).partition(":")
    probe: Probe = getattr(import_module(f"benchmarks.floors.{module}"), function)
    answer_file.write_text(json.dumps(list(probe(request))), encoding="utf-8")


def place_of(probe: str) -> str:
    """Say in which module a probe is, and its function there."""
    return _PROBES.get(probe) or _PROBES[probe.partition("-")[0]]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
