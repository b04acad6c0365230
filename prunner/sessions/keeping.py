"""What a session store does: reads and writes what is known of one session.

Covers: the session and its mapping. Does not cover: its runs (``recording``).
"""

from __future__ import annotations

import os
import socket
import time
import weakref
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from prunner.bridge.owners import this_process
from prunner.sessions import facts, kedro_private, plain
from prunner.sessions.archive import Archive
from prunner.sessions.database import file_of
from prunner.sessions.records import Outcome, SessionRecord
from prunner.sessions.safely import safely
from prunner.sessions.secrets import Scrubber, secrets_of
from prunner.sessions.setup import name_of_project

_INTERRUPTS = ("KeyboardInterrupt", "SystemExit", "prunner.interrupts.Terminated")


class Keeper:
    """Keeps one session.

    Args:
        path: As for ``SQLiteSessionStore``.
        session_id: The same.
        environment: The same.

    Attributes:
        archive: The file with the records.
        scrubber: Replaces secrets.
        key: What the session is found by; empty before it is written for the first time.
        outcome: How its last run ended.

    Raises:
        TypeError: If ``environment`` is not a list of texts.
    """

    def __init__(self, path: str, session_id: str, environment: Iterable[str]) -> None:
        if isinstance(environment, str) or not all(isinstance(e, str) for e in environment):
            raise TypeError(f"environment must be a list of texts, not {environment!r}")
        session, self._is_new = kedro_private.session_in_the_making()
        self._session = None if session is None else weakref.ref(session)
        self._session_id = session_id
        self._environment = tuple(environment)
        self._started = time.time()
        self.archive = Archive(file_of(path, kedro_private.project_path_of(session)))
        self.scrubber = Scrubber(secrets_of(os.environ))
        self.key = ""
        self.outcome = Outcome.COMPLETED

    @property
    def has_session(self) -> bool:
        """Whether a ``KedroSession`` has made the store for itself."""
        return self._session is not None

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

    def save(self, data: dict[str, Any]) -> None:
        """Write the session, as it is when it is closed.

        Args:
            data: Its mapping.
        """
        with safely(f"Session {self._session_id} is not on record"):
            if "exception" in data:
                is_interrupt = data["exception"].get("type") in _INTERRUPTS
                self.outcome = Outcome.INTERRUPTED if is_interrupt else Outcome.FAILED
            self.key, _ = self.archive.begin(self.record(data, self.outcome, time.time()))

    def record(
        self, data: dict[str, Any], outcome: Outcome, ended: float | None = None
    ) -> SessionRecord:
        """The session as it is now, without secrets.

        Args:
            data: Its mapping, to which is added what Kedro does not put there.
            outcome: How it ended, or that it goes on.
            ended: When it ended.
        """
        session = None if self._session is None else self._session()
        data |= facts.versions()
        data |= {
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
            project=name_of_project(data["package_name"], data["project_path"]),
            data=self.scrubbed(data),
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


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
