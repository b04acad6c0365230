"""Whether two runs wrote the same files."""

from __future__ import annotations

from pathlib import Path


def relative_files(folder: Path) -> set[Path]:
    """All files below a folder, relative to it."""
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def find_differences(one: Path, other: Path) -> list[str]:
    """Compare all files below two folders, byte by byte.

    Args:
        one: The first folder.
        other: The second folder.

    Returns:
        One line for each file that differs or is missing on one side, in order of names.
    """
    here, there = relative_files(one), relative_files(other)
    lines = []
    for path in sorted(here | there):
        if path not in there:
            lines.append(f"{path.as_posix()}: only in {one.name}")
        elif path not in here:
            lines.append(f"{path.as_posix()}: only in {other.name}")
        elif (one / path).read_bytes() != (other / path).read_bytes():
            lines.append(f"{path.as_posix()}: not the same in {one.name} and {other.name}")
    return lines
