"""``SQLiteSessionStore``: the session store to name in a project's ``settings.py``.

Kedro makes one for each ``KedroSession``, puts what it knows of the session into it, and calls
``save`` when the session is closed, if it was created with ``save_on_close=True``.

Workers import the settings, and with them this module, but make no store: what it needs is imported
when there is one (``keeping``).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from kedro.framework.session.store import BaseSessionStore

# Of sessions that are open, by their ids: hooks are told no more than that.
_open: weakref.WeakValueDictionary[str, SQLiteSessionStore] = weakref.WeakValueDictionary()


class SQLiteSessionStore(BaseSessionStore):
    """Keeps sessions and their runs in one SQLite file, as JSON, without secrets.

    Example::

        # settings.py
        from prunner.sessions import SQLiteSessionStore

        SESSION_STORE_CLASS = SQLiteSessionStore
        SESSION_STORE_ARGS = {"environment": ["CUDA_VISIBLE_DEVICES", "SLURM_*"]}

    Args:
        path: A folder, or a file that ends with ``.db``; Kedro's default is ``sessions`` in the
            project. A relative one is below the project's folder.
        session_id: Id of the session.
        environment: Environment variables to record beside ``KEDRO_*`` and ``PRUNNER_*``: names, or
            patterns with ``*``.

    Attributes:
        keeper: Writes and reads it.

    Raises:
        TypeError: If ``environment`` is not a list of texts.
    """

    def __init__(self, path: str, session_id: str, environment: Iterable[str] = ()) -> None:
        from prunner.sessions.keeping import Keeper

        self.keeper = Keeper(path, session_id, environment)
        super().__init__(path, session_id)
        if self.keeper.has_session:
            _open[session_id] = self

    def read(self) -> dict[str, Any]:
        """What was saved of the session with this id; nothing for one that is being created."""
        return self.keeper.read()

    def save(self) -> None:
        """Write the session. A problem is a warning: nothing fails because of its record."""
        self.keeper.save(self.data)


def store_of(session_id: str) -> SQLiteSessionStore | None:
    """The store of an open ``KedroSession``; ``None`` if there is no such session."""
    return _open.get(session_id)
