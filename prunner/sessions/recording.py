"""One run, from its beginning until its record is written.

It is on record from its first moment, so that of a process that is killed is known what it was
doing. Its end, and all of its nodes, are written at once. Whoever ends it without saying so (Ctrl-C
in a runner that is not prunner's) lets go of its catalog.

Covers: when what is written. Does not cover: what is known of nodes (``tracing``).
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
import traceback
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from loky import cpu_count

from prunner.bridge.owners import this_process
from prunner.errors import text_of
from prunner.history import Known, NodeKey
from prunner.sessions import facts
from prunner.sessions.database import is_writing
from prunner.sessions.records import Outcome, RunRecord
from prunner.sessions.rows import KnownNode
from prunner.sessions.safely import safely
from prunner.sessions.setup import StoreSetup, current_setup
from prunner.sessions.store import SQLiteSessionStore, store_of
from prunner.sessions.tracing import Traced, memory_samples, node_records

_MOST_SERVICES = 1000  # sessions without a store of which this process remembers the key
_SEQUENTIAL = "kedro.runner.SequentialRunner"

_lock = threading.Lock()
_services: OrderedDict[str, SQLiteSessionStore] = OrderedDict()
recordings: dict[int, Recording] = {}  # that go on, by the id of the catalog


class Recording:
    """The record of a run that goes on.

    Args:
        store: Of its session.
        run_params: What hooks are told of the run.
        catalog: Its catalog.
    """

    def __init__(
        self, store: SQLiteSessionStore, run_params: Mapping[str, Any], catalog: Any
    ) -> None:
        self._keeper, self._data = store.keeper, store.data
        self._project = ""
        pid, created = this_process()
        self._run = RunRecord(
            key="",
            run_id=run_params["run_id"],
            parameters=store.keeper.scrubbed(dict(run_params)),
            runner=_class_path(run_params.get("runner")),
            started=time.time(),
            host=socket.gethostname(),
            pid=pid,
            pid_created=created,
            cpus=cpu_count(),
        )
        # However the run ends: nobody has a catalog for longer than its run. Before anything is
        # written: what cannot be referred to like this, nobody could say the end of.
        self._catalog = weakref.finalize(catalog, self._let_go)
        self._number = id(catalog)
        with safely(f"Run {self._run.run_id} is not on record"):
            session = self._keeper.record(self._data, Outcome.RUNNING)
            self._project = session.project
            self._keeper.key, key = self._keeper.archive.begin(session, self._run)
            self._run = replace(self._run, key=key, session=self._keeper.key)
        recordings[self._number] = self

    def known(self, keys: Sequence[NodeKey]) -> Known:
        """What earlier runs tell of nodes."""
        found: dict[NodeKey, KnownNode] = {}
        with safely("What earlier runs tell of nodes is not used"):
            found.update(self._keeper.archive.known(self._project, keys))
        known = {index: found[key] for index, key in enumerate(keys) if key in found}
        return Known(
            {index: each.seconds for index, each in known.items()},
            {index: each.need for index, each in known.items() if each.need is not None},
        )

    def trace(self, traced: Traced) -> None:
        """Note what has become of each node; called once, when no further one will run.

        Args:
            traced: What has happened.
        """
        with safely("What became of the nodes of this run is not on record"):
            traced = traced.seen_from(self._run.host)
            places = traced.processes.items()
            self.note(
                nodes=node_records(traced, self._run.started, self._keeper.scrubber.text),
                memory=memory_samples(traced.journal),
                memory_total=traced.journal.memory_total,
                pids={worker: pid for worker, (_, pid) in places},
                hosts={worker: host for worker, (host, _) in places if host},
            )

    def note(self, **what: Any) -> None:
        """Note more of the run.

        Args:
            what: Attributes of its ``RunRecord``.
        """
        self._run = replace(self._run, **what)

    def resume_from(self, names: Sequence[str]) -> None:
        """Note the nodes from which what did not complete can be run; none for all of it."""
        if names:
            self.note(resume={"from_nodes": list(names)})

    def interrupted(self, error: BaseException) -> None:
        """The run was interrupted, of which Kedro tells no hook."""
        self.end(Outcome.INTERRUPTED, error)

    def end(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Write how the run has ended, if nobody has done so.

        Args:
            outcome: How.
            error: What it has ended with.
        """
        if recordings.get(self._number) is not self:
            return
        if self._run.pid == os.getpid() and self._run.key:  # neither of a fork, nor never begun
            with safely(f"How run {self._run.run_id} has ended is not on record"):
                self._write_end(outcome, error)
        # Not before: where Ctrl-C comes meanwhile, the end of the catalog is the next chance.
        recordings.pop(self._number, None)
        self._catalog.detach()

    def _let_go(self) -> None:
        """The catalog is gone, and nobody has said how the run has ended."""
        if is_writing():  # a garbage collection in the middle of another record
            threading.Thread(target=self.end, args=(Outcome.INTERRUPTED,)).start()
        else:
            self.end(Outcome.INTERRUPTED)

    def _write_end(self, outcome: Outcome, error: BaseException | None) -> None:
        now = time.time()
        described = None if error is None else self._described(error)
        self.note(outcome=outcome, ended=now, error=described)
        self._keeper.outcome = outcome
        self._keeper.archive.end(self._keeper.record(self._data, outcome, now), self._run)

    def _described(self, error: BaseException) -> dict[str, Any]:
        kind = type(error)
        return {
            "type": f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."),
            "value": self._keeper.scrubber.text(text_of(error)),
            "traceback": self._keeper.scrubber.text(
                "".join(traceback.format_exception(kind, error, error.__traceback__))
            ),
        }


def begin(run_params: Mapping[str, Any], catalog: Any) -> None:
    """A run begins: record it, if the project wants that.

    Args:
        run_params: What hooks are told of it.
        catalog: Its catalog.
    """
    setup = current_setup(Path(run_params["project_path"]))
    if setup is None:
        return
    run_params = {"run_id": run_params.get("session_id"), **run_params}  # Kedro 1.0 has one id
    store = _store_for(run_params, setup)
    if store.keeper.wants_runs:
        Recording(store, run_params, catalog)


def _store_for(run_params: Mapping[str, Any], setup: StoreSetup) -> SQLiteSessionStore:
    """The store of a run's session; made here for sessions that have none."""
    session_id = run_params.get("session_id", run_params["run_id"])
    store = store_of(session_id)
    if store is not None:
        return store
    with _lock:
        if session_id not in _services:
            made = SQLiteSessionStore(str(setup.file), session_id, setup.environment)
            made.update(facts.of_service(run_params))
            _services[session_id] = made
        if len(_services) > _MOST_SERVICES:
            _services.popitem(last=False)
        return _services[session_id]


def _class_path(runner: Any) -> str:
    """The class of a runner as Kedro describes it: by name, by ``repr``, or not at all."""
    text = str(runner)
    found = re.match(r"<?([A-Za-z_][\w.]*)", text)
    if found is None or text == "None":
        return _SEQUENTIAL
    return re.sub(r"^kedro\.runner\.\w+\.", "kedro.runner.", found[1])  # as it is known by
