"""The sessions on record in one file: written, found, read and removed.

Covers: keys, what is of which project, what has become of a run whose process is gone.
Does not cover: tables (``rows``), what is recorded when (``recording``).
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from prunner.bridge.owners import Owner
from prunner.errors import RecordError
from prunner.sessions import rows
from prunner.sessions.database import opened, shrink
from prunner.sessions.records import Outcome, RunRecord, SessionRecord
from prunner.sessions.rows import KnownNode

if TYPE_CHECKING:
    import sqlite3

_SHOWN = 5  # ids in an error

_Record = TypeVar("_Record", RunRecord, SessionRecord)


@dataclass(frozen=True, slots=True)
class Entry:
    """A run on record, or a session that ran nothing.

    Attributes:
        session: The session.
        run: The run.
    """

    session: SessionRecord
    run: RunRecord | None = None

    @property
    def key(self) -> str:
        """What it is found by."""
        return self._record.key

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return self._record.outcome

    @property
    def started(self) -> float:
        """When it began."""
        return self._record.started

    @property
    def ended(self) -> float | None:
        """When it ended."""
        return self._record.ended

    @property
    def _record(self) -> RunRecord | SessionRecord:
        return self.run or self.session


class Archive:
    """The records in one file.

    Args:
        file: The file (``database.file_of``); it need not exist.
        project: Name of the project whose records are read; ``None`` for all that are in the file.
    """

    def __init__(self, file: Path, project: str | None = None) -> None:
        self.file = file
        self.project = project

    # --- reading ------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """All runs, and sessions that ran nothing, the newest first.

        What there is most of is left out, and found by ``find``: nodes, memory, tracebacks.

        Raises:
            RecordError: If the file cannot be read.
        """
        with opened(self.file) as connection:
            found = _entries(connection)
        if self.project is None:
            return found
        return [each for each in found if each.session.project == self.project]

    def find(self, prefix: str) -> Entry:
        """The run, with its nodes, or the session that ran nothing, that has this id.

        Args:
            prefix: The beginning of its key; that of a session stands for its last run.

        Raises:
            RecordError: If there is none, or more than one, or the file cannot be read.
        """
        entry = self._only(prefix)
        if entry.run is None:
            return entry
        with opened(self.file) as connection:
            whole = rows.run(connection, entry.run.key) or entry.run
        is_as_before = whole.outcome is Outcome.RUNNING  # and did not end since
        return replace(entry, run=replace(whole, outcome=entry.outcome) if is_as_before else whole)

    def progress(self, keys: Sequence[str]) -> dict[str, tuple[int, int]]:
        """How many nodes of runs completed, and how many there were.

        Args:
            keys: Of the runs; those whose nodes are not on record are left out.

        Raises:
            RecordError: If the file cannot be read.
        """
        with opened(self.file) as connection:
            return rows.progress(connection, keys)

    def _only(self, prefix: str) -> Entry:
        entries = self.entries()
        if not entries:
            raise RecordError(self.why_empty())
        for names in (_keys_of_runs, _keys_of_sessions):
            exact = [each for each in entries if prefix == names(each)]
            found = exact or [each for each in entries if prefix and names(each).startswith(prefix)]
            if len({names(each) for each in found}) == 1:
                return found[0]  # of a session's runs, the newest
            if found:
                raise RecordError(
                    f"'{prefix}' is the beginning of {len(found)} ids: {_listed(found)}. Give more "
                    "of the one that you mean."
                )
        raise RecordError(
            f"No session or run on record has an id that begins with '{prefix}'. The newest are "
            f"{_listed(entries)} ('prunner sessions' lists all)."
        )

    def why_empty(self) -> str:
        """What to say where there are no entries."""
        others = {each.session.project for each in Archive(self.file).entries()}
        if others:
            named = ", ".join(f"'{name}'" for name in sorted(others))
            return f"{self.file} has no session of '{self.project}', but of {named}."
        return f"There is no session on record in {self.file}."

    def mapping_of(self, session_id: str) -> Mapping[str, Any] | None:
        """The mapping of the session with this key or id; ``None`` if there is none.

        Raises:
            RecordError: If the file cannot be read.
        """
        if not self.file.is_file():
            return None
        with opened(self.file) as connection:
            return rows.mapping_of(connection, session_id)

    def known(
        self, project: str, nodes: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], KnownNode]:
        """What is known of nodes.

        Args:
            project: Name of their project.
            nodes: The name and the digest of the function of each.

        Raises:
            RecordError: If the file cannot be read.
        """
        with opened(self.file) as connection:
            return rows.known(connection, project, nodes)

    # --- writing ------------------------------------------------------------------------------

    def begin(self, session: SessionRecord, run: RunRecord | None = None) -> tuple[str, str]:
        """Write a new session, or one that is there already, and a run that begins.

        Args:
            session: The session. Its key is empty if it is a new one.
            run: The run; its key is empty.

        Returns:
            The keys of both; that of the run is empty if there is none.

        Raises:
            RecordError: If that is not possible.
        """
        with opened(self.file, to_write=True) as connection:
            key = session.key or rows.free_key(connection, "sessions", session.session_id)
            rows.put_session(connection, replace(session, key=key))
            if run is None:
                return key, ""
            run_key = run.key or rows.free_key(connection, "runs", run.run_id)
            rows.put_run(connection, replace(run, key=run_key, session=key))
            return key, run_key

    def end(self, session: SessionRecord, run: RunRecord) -> None:
        """Write how a run has ended, with all its nodes.

        Args:
            session: Its session.
            run: The run.

        Raises:
            RecordError: If that is not possible.
        """
        with opened(self.file, to_write=True) as connection:
            rows.put_session(connection, session)
            rows.put_run(connection, run)
            rows.put_nodes(connection, run)
            rows.learn(connection, run, session.project)

    def prune(self, keep: int) -> int:
        """Remove the oldest records, but none of a run that goes on.

        Args:
            keep: How many entries stay.

        Returns:
            How many entries were removed.

        Raises:
            RecordError: If the file cannot be read or written.
        """
        entries = self.entries()
        old = [each for each in entries[keep:] if each.outcome is not Outcome.RUNNING]
        if not old:
            return 0
        left = {each.session.key for each in entries if each not in old}
        runs = [each.run.key for each in old if each.run is not None]
        with opened(self.file, to_write=True) as connection:
            rows.remove(connection, {each.session.key for each in old} - left, runs)
        with contextlib.suppress(RecordError):  # another process may read
            shrink(self.file)
        return len(old)


def open_archive(project_path: Path | None = None) -> Archive:
    """The records of a project, where its settings say that they are.

    Args:
        project_path: Folder of the project; ``None`` for that of the current folder.

    Raises:
        RecordError: If there is no project, or no store is set up.
    """
    from prunner.sessions.setup import settings_of_project

    found = settings_of_project(project_path)
    return Archive(found.file, found.project)


def _entries(connection: sqlite3.Connection) -> list[Entry]:
    host, seen = socket.gethostname(), dict[Owner, bool]()
    sessions = {k: _as_it_is(s, host, seen) for k, s in rows.sessions(connection).items()}
    runs = [_as_it_is(run, host, seen) for run in rows.runs(connection)]
    entries = [Entry(sessions[run.session or ""], run) for run in runs]
    with_runs = {run.session for run in runs}
    entries += [Entry(session) for key, session in sessions.items() if key not in with_runs]
    return sorted(entries, key=lambda each: (each.started, each.key), reverse=True)


def _as_it_is(record: _Record, host: str, seen: dict[Owner, bool]) -> _Record:
    """What goes on by what was written is lost if its process is gone."""
    if record.outcome is not Outcome.RUNNING or record.host != host:
        return record
    owner = Owner(record.pid, record.pid_created)
    if owner not in seen:
        seen[owner] = owner.is_gone()
    return replace(record, outcome=Outcome.LOST) if seen[owner] else record


def _keys_of_runs(entry: Entry) -> str:
    return entry.key


def _keys_of_sessions(entry: Entry) -> str:
    return entry.session.key


def _listed(entries: Sequence[Entry]) -> str:
    shown = ", ".join(each.key for each in entries[:_SHOWN])
    return f"{shown} and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else shown
