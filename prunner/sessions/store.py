"""``SQLiteSessionStore``: the session store to name in a project's ``settings.py``.

Kedro makes one for each ``KedroSession``, puts what it knows of the session into it, and calls
``save`` when the session is closed, if it was created with ``save_on_close=True``.

Covers: the session's mapping. Does not cover: its runs (``recording``).
"""

from __future__ import annotations

import os
import socket
import time
import weakref
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from kedro.framework.session.store import BaseSessionStore

from prunner.bridge.owners import this_process
from prunner.sessions import facts, kedro_private, plain
from prunner.sessions.archive import Archive
from prunner.sessions.database import file_of
from prunner.sessions.records import Outcome, SessionRecord
from prunner.sessions.safely import safely
from prunner.sessions.secrets import Scrubber, secrets_of
from prunner.sessions.setup import name_of_project

_INTERRUPTS = ("KeyboardInterrupt", "SystemExit", "prunner.interrupts.Terminated")

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
        archive: The file with the records.
        scrubber: Replaces secrets.
        key: What the session is found by; empty before it is written for the first time.
        outcome: How its last run ended.

    Raises:
        TypeError: If ``environment`` is not a list of texts.
    """

    def __init__(self, path: str, session_id: str, environment: Iterable[str] = ()) -> None:
        if isinstance(environment, str) or not all(isinstance(e, str) for e in environment):
            raise TypeError(f"environment must be a list of texts, not {environment!r}")
        session, self._is_new = kedro_private.session_in_the_making()
        self._session = None if session is None else weakref.ref(session)
        self._environment = tuple(environment)
        self._started = time.time()
        self.archive = Archive(file_of(path, kedro_private.project_path_of(session) or ""))
        self.scrubber = Scrubber(secrets_of(os.environ))
        self.key = ""
        self.outcome = Outcome.COMPLETED
        super().__init__(path, session_id)
        if session is not None:
            _open[session_id] = self

    @property
    def wants_runs(self) -> bool:
        """Whether the session is to be saved, and so its runs are."""
        session = None if self._session is None else self._session()
        return bool(getattr(session, "save_on_close", True))

    def read(self) -> dict[str, Any]:
        """What was saved of the session with this id; nothing for one that is being created."""
        found: dict[str, Any] = {}
        if not self._is_new:
            with safely(f"Session {self._session_id} cannot be read"):
                found.update(self.archive.mapping_of(self._session_id) or {})
        return found

    def save(self) -> None:
        """Write the session. A problem is a warning: nothing fails because of its record."""
        with safely(f"Session {self._session_id} is not on record"):
            if "exception" in self.data:
                is_interrupt = self.data["exception"].get("type") in _INTERRUPTS
                self.outcome = Outcome.INTERRUPTED if is_interrupt else Outcome.FAILED
            self.key, _ = self.archive.begin(self.record(self.outcome, time.time()))

    def record(self, outcome: Outcome, ended: float | None = None) -> SessionRecord:
        """The session as it is now, without secrets.

        Args:
            outcome: How it ended, or that it goes on.
            ended: When it ended.
        """
        session = None if self._session is None else self._session()
        self.data |= facts.versions()
        self.data |= {
            "package_name": kedro_private.package_of(session),
            "conf_source": kedro_private.conf_source_of(session),
            "environment": facts.chosen_variables(self._environment, os.environ),
            "started": _moment(self._started),
            "ended": None if ended is None else _moment(ended),
            "outcome": str(outcome),
        }
        pid, created = this_process()
        return SessionRecord(
            key=self.key,
            session_id=self._session_id,
            project=name_of_project(self.data["package_name"], self.data["project_path"]),
            data=self.scrubbed(self.data),
            outcome=outcome,
            started=self._started,
            ended=ended,
            host=socket.gethostname(),
            pid=pid,
            pid_created=created,
        )

    def scrubbed(self, value: Any) -> Any:
        """A value as it is written: without secrets, and without objects."""
        return plain.from_plain(self.scrubber.scrub(plain.to_plain(value)))


def store_of(session_id: str) -> SQLiteSessionStore | None:
    """The store of an open ``KedroSession``; ``None`` if there is no such session."""
    return _open.get(session_id)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
