"""Makes ``RESULTS.md`` and its plots from the JSON files of the suites."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from benchmarks import start_methods_report
from benchmarks.floors import report as floors_report
from benchmarks.hosts import report as hosts_report
from benchmarks.load import report as load_report
from benchmarks.peers import report as peers_report
from benchmarks.reliability import report as reliability_report

_HOME = Path(__file__).resolve().parent
_HEAD = """\
# Results

Written by `python -m benchmarks report`; do not edit.
"""

# In the order in which they stand in the report.
_SECTIONS = {
    "floors": floors_report.section,
    "peers": peers_report.section,
    "start-methods": start_methods_report.section,
    "reliability": reliability_report.section,
    "load": load_report.section,
    "hosts": hosts_report.section,
}


def write_report(sources: Iterable[Path], home: Path = _HOME) -> Path:
    """Write the report, with its plots and a copy of the measurements.

    What an earlier report has said about other suites stays.

    Args:
        sources: JSON files of suites.
        home: The folder for ``RESULTS.md``; the rest goes to ``results`` below it.

    Returns:
        The report.
    """
    folder = home / "results"
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        _keep(source, folder)
    files = {folder / f"{suite}.json": section for suite, section in _SECTIONS.items()}
    parts = [section(file, folder) for file, section in files.items() if file.exists()]
    report = home / "RESULTS.md"
    report.write_text("\n\n".join([_HEAD.rstrip(), *parts]) + "\n", encoding="utf-8")
    return report


def _keep(source: Path, folder: Path) -> None:
    suite = json.loads(source.read_text(encoding="utf-8"))["suite"]
    if suite not in _SECTIONS:
        raise ValueError(f"{source} is of an unknown suite: {suite}.")
    copy = folder / f"{suite}.json"
    if source.resolve() != copy.resolve():
        shutil.copyfile(source, copy)
