"""Sessions and runs on record: who ran what, with which parameters, where the time went.

Covers: the store, what is recorded of a run, and what is made of records (texts, reports).
Does not cover: how a run is carried out (``execution``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunner.sessions.archive import Archive, Entry, open_archive
    from prunner.sessions.records import NodeRecord, Outcome, RunRecord, SessionRecord
    from prunner.sessions.store import SQLiteSessionStore

__all__ = [
    "Archive",
    "Entry",
    "NodeRecord",
    "Outcome",
    "RunRecord",
    "SQLiteSessionStore",
    "SessionRecord",
    "open_archive",
]

_HOMES = {
    "Archive": "archive",
    "Entry": "archive",
    "NodeRecord": "records",
    "Outcome": "records",
    "RunRecord": "records",
    "SQLiteSessionStore": "store",
    "SessionRecord": "records",
    "open_archive": "archive",
}


def __getattr__(name: str) -> Any:
    # Lazy, because a hook of this package is loaded in every session, also without a store.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
