"""The memory that Linux lets a control group have: a container, a Slurm job or a service.

A process is in one group of each hierarchy, and the limits of all groups above count, too. Where
the name of the group means nothing here (a container sees its own group as the root), the root
counts.

Source: Linux, ``Documentation/admin-guide/cgroup-v2.rst`` and ``cgroup-v1/memory.rst``.

Covers: versions 1 and 2. Elsewhere there are no groups.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")


class _Files(NamedTuple):
    """The names of one version."""

    limit: str
    used: str
    inactive: str  # in memory.stat: pages of files that nobody needs, and that go when they must
    events: str


_V1 = _Files(
    "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "memory.oom_control"
)
_V2 = _Files("memory.max", "memory.current", "inactive_file", "memory.events")


class Group(NamedTuple):
    """A group with a limit.

    Attributes:
        folder: Where the system tells about it.
        files: How.
        limit: Bytes.
    """

    folder: Path
    files: _Files
    limit: int

    def free(self) -> int:
        """Bytes that processes of the group can still get."""
        used = _number(self.folder / self.files.used) or 0
        inactive = _entry(self.folder / "memory.stat", self.files.inactive)
        return max(0, self.limit - used + inactive)

    def killings(self) -> int:
        """How often the system has ended a process of the group for lack of memory."""
        return _entry(self.folder / self.files.events, "oom_kill")


def groups_of_this_process(total: int, proc: Path = _PROC, root: Path = _ROOT) -> list[Group]:
    """The groups of this process that have a limit.

    Args:
        total: All memory of the machine in bytes; a limit above it is none.
        proc: The file that names the groups of this process.
        root: Where they are mounted.
    """
    found: dict[Path, Group] = {}
    for files, top, name in _named(proc, root):
        inner = top / name.strip("/")
        for folder in [inner, *inner.parents]:
            if folder == top.parent:
                break
            limit = _number(folder / files.limit)
            if limit is not None and limit < total:
                found[folder] = Group(folder, files, limit)
    return list(found.values())


def _named(proc: Path, root: Path) -> list[tuple[_Files, Path, str]]:
    """The version, the root and the name of each group that has to do with memory."""
    try:
        lines = proc.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    named = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if "memory" in controllers.split(","):
            named.append((_V1, root / "memory", name))
        elif not controllers:
            named.append((_V2, root, name))
    return named


def _number(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text(encoding="utf-8"))
    return None  # there is no such file, or it says "max"


def _entry(path: Path, key: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{key} "):
                return int(line.split()[1])
    return 0
