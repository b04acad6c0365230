"""The record of a run that goes on, for those who must not import what records where none is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunner.sessions.recording import Recording


def recording_of(catalog: Any) -> Recording | None:
    """The record of the run with this catalog; ``None`` if it is not recorded.

    Args:
        catalog: The catalog that hooks and runner are given.
    """
    room: Any = sys.modules.get("prunner.sessions.recording")  # since a run is recorded
    return None if room is None else room.recordings.get(id(catalog))
