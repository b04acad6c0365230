"""What the runs across hosts have shown, as a table and as a part of ``RESULTS.md``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.hosts.checks import Check
from benchmarks.tables import markdown_table

_HOW = """\
`python -m benchmarks.hosts` makes four hosts of one machine: network namespaces with an address, a
host name and a view of the file system of their own. One has the scheduler, two have two workers
each, one the client, and only that one has the project. Each run is a process of its own; seconds
are those of `session.run`, the loading of the context included.
"""


@dataclass
class Found:
    """What was found.

    Attributes:
        started: When it began.
        machine: What it ran on.
        checks: Each with what was found.
    """

    started: str
    machine: Mapping[str, str]
    checks: list[Check] = field(default_factory=list)


def table(found: Found) -> str:
    """Write the checks as a table."""
    lines = [[what, "yes" if is_well else "NO", words] for what, is_well, words in found.checks]
    return markdown_table(["Check", "Holds", "Found"], lines)


def section(source: Path, folder: Path) -> str:
    """Write the suite's part of the report; it has no plots."""
    content = json.loads(source.read_text(encoding="utf-8"))
    checks = [Check(*check) for check in content["checks"]]
    found = Found(content["started"], content["machine"], checks)
    parts = [
        "## `hosts`: a run across several hosts",
        f"Measured on {found.started}.",
        markdown_table(["What", "Value"], [[*pair] for pair in found.machine.items()]),
        _HOW.rstrip(),
        table(found),
    ]
    return "\n\n".join(parts)
