"""Notes that nodes leave in files: when they got somewhere, and in which process."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

_PAUSE = 0.005  # seconds between two looks


class Mark(NamedTuple):
    """A note.

    Attributes:
        at: When it was left, by ``time.monotonic``.
        pid: The process that left it.
    """

    at: float
    pid: int


def leave(folder: str, name: str) -> None:
    """Note the time and the process under a name."""
    new = Path(folder, f"{name}.{os.getpid()}.new")
    new.write_text(json.dumps(Mark(time.monotonic(), os.getpid())), encoding="ascii")
    new.replace(Path(folder, name))  # nobody reads half of it


def find(folder: str, name: str) -> Mark | None:
    """Find a note; ``None`` if there is none."""
    try:
        return Mark(*json.loads(Path(folder, name).read_text(encoding="ascii")))
    except FileNotFoundError:
        return None


def wait_for(folder: str, names: Collection[str], count: int, limit: float = 60.0) -> list[Mark]:
    """Wait until there are notes of so many of these names, and return them."""
    deadline = time.monotonic() + limit
    while True:
        found = [mark for name in names if (mark := find(folder, name)) is not None]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, f"{len(found)} of {names} after {limit:g} s"
        time.sleep(_PAUSE)
