"""Records as rows of the tables in ``database``, and rows as records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from prunner.sessions import plain
from prunner.sessions.records import (
    MemorySample,
    NodeRecord,
    Outcome,
    RunRecord,
    SessionRecord,
    Transfer,
    Try,
)

if TYPE_CHECKING:
    import sqlite3

_SESSION = "key, session_id, project, outcome, started, ended, host, pid, pid_created, data"
_RUN = "key, run_id, session, outcome, started, ended, host, pid, pid_created, data"
_NODE = "run, step, name, outcome, worker, started, ended, peak_memory"

# What is in "data", since nobody looks for it.
_RUN_DATA = (
    "parameters runner options error cpus memory_total start_method pids hosts memory resume"
).split()


class KnownNode(NamedTuple):
    """What was seen of a node when it ran to its end last.

    Attributes:
        seconds: How long it took.
        need: How much memory it needed, in bytes; ``None`` if nobody looked.
    """

    seconds: float
    need: int | None


# --- writing ----------------------------------------------------------------------------------


def free_key(connection: sqlite3.Connection, table: str, wanted: str) -> str:
    """The key that is wanted, or the first one like it that is nobody's."""
    key, number = wanted, 1
    while connection.execute(f"SELECT 1 FROM {table} WHERE key = ?", (key,)).fetchone():  # noqa: S608
        number += 1
        key = f"{wanted}~{number}"
    return key


def put_session(connection: sqlite3.Connection, session: SessionRecord) -> None:
    """Write a session, in the place of what is there."""
    _put(connection, "sessions", _SESSION, session, plain.dumps(session.data))


def put_run(connection: sqlite3.Connection, run: RunRecord) -> None:
    """Write a run without its nodes, in the place of what is there."""
    data = {name: getattr(run, name) for name in _RUN_DATA}
    data["memory"] = [astuple(sample) for sample in run.memory]
    _put(connection, "runs", _RUN, run, plain.dumps(data))


def put_nodes(connection: sqlite3.Connection, run: RunRecord) -> None:
    """Write the nodes of a run."""
    connection.executemany(
        f"INSERT OR REPLACE INTO nodes ({_NODE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (_node_row(run.key, node) for node in run.nodes),
    )
    # All at once, and lists: there may be tens of thousands, and each text takes its time.
    details = json.dumps([_node_details(node) for node in run.nodes], separators=(",", ":"))
    connection.execute(
        "INSERT OR REPLACE INTO details (run, nodes) VALUES (?, ?)", (run.key, details)
    )


def learn(connection: sqlite3.Connection, run: RunRecord, project: str) -> None:
    """Note how long the nodes of a run took and what they needed, for runs to come."""
    rows = (
        (project, node.name, node.source, node.seconds, node.peak_memory, run.ended)
        for node in run.nodes
        if node.outcome is Outcome.COMPLETED and node.seconds is not None
    )
    connection.executemany(
        "INSERT INTO known (project, name, source, seconds, need, seen) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET seconds = excluded.seconds, seen = excluded.seen, "
        # What nobody saw this time is as it was; what was less fades, as within a process.
        "need = coalesce(max(excluded.need, cast(0.9 * need AS INTEGER)), excluded.need, need)",
        rows,
    )


def remove(connection: sqlite3.Connection, sessions: Iterable[str], runs: Iterable[str]) -> None:
    """Remove runs with their nodes, sessions, and what is known of nodes that ran in none left."""
    keys = [(key,) for key in runs]
    connection.executemany("DELETE FROM details WHERE run = ?", keys)
    connection.executemany("DELETE FROM nodes WHERE run = ?", keys)
    connection.executemany("DELETE FROM runs WHERE key = ?", keys)
    connection.executemany("DELETE FROM sessions WHERE key = ?", [(key,) for key in sessions])
    connection.execute(
        "DELETE FROM known WHERE seen < coalesce((SELECT min(started) FROM runs), 1e99)"
    )


def _put(connection: sqlite3.Connection, table: str, columns: str, record: Any, data: str) -> None:
    values = [getattr(record, name) for name in columns.split(", ")[:-1]]
    values = [str(value) if isinstance(value, Outcome) else value for value in values]
    marks = ", ".join("?" * (len(values) + 1))
    connection.execute(
        f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608
        [*values, data],
    )


def _node_row(run: str, node: NodeRecord) -> tuple[Any, ...]:
    return (
        run,
        node.step,
        node.name,
        node.outcome.value,
        node.worker,
        node.started,
        node.ended,
        node.peak_memory,
    )


def _node_details(node: NodeRecord) -> list[Any]:
    return [
        node.function,
        node.source,
        node.parents,
        node.pid,
        node.queued,
        [[t.dataset, t.began, t.seconds, t.size] for t in node.loads],
        node.run_seconds,
        [[t.dataset, t.began, t.seconds, t.size] for t in node.saves],
        [[t.worker, t.started, t.ended, t.error] for t in node.tries],
        node.error,
        node.pinned,
        node.host,
    ]


# --- reading ----------------------------------------------------------------------------------


def sessions(connection: sqlite3.Connection) -> dict[str, SessionRecord]:
    """All sessions by their keys."""
    found = {}
    for row in connection.execute(f"SELECT {_SESSION} FROM sessions"):  # noqa: S608
        values = dict(zip(_SESSION.split(", "), row, strict=True))
        values["outcome"] = Outcome(values["outcome"])
        values["data"] = plain.loads(values["data"])
        found[values["key"]] = SessionRecord(**values)
    return found


def runs(connection: sqlite3.Connection) -> list[RunRecord]:
    """All runs, without what there is most of: nodes, memory, tracebacks."""
    columns = _RUN.replace("data", "json_remove(data, '$.memory', '$.error.traceback')")
    return [_run(row) for row in connection.execute(f"SELECT {columns} FROM runs")]  # noqa: S608


def run(connection: sqlite3.Connection, key: str) -> RunRecord | None:
    """A run with all that is known of it; ``None`` if it has been removed meanwhile."""
    query = f"SELECT {_RUN} FROM runs WHERE key = ?"  # noqa: S608
    row = connection.execute(query, (key,)).fetchone()
    return None if row is None else replace(_run(row), nodes=nodes(connection, key))


def nodes(connection: sqlite3.Connection, run: str) -> tuple[NodeRecord, ...]:
    """The nodes of a run."""
    query = f"SELECT {_NODE} FROM nodes WHERE run = ? ORDER BY step"  # noqa: S608
    found = connection.execute("SELECT nodes FROM details WHERE run = ?", (run,)).fetchone()
    details = [] if found is None else json.loads(found[0])
    rows = connection.execute(query, (run,))
    return tuple(_node(row, detail) for row, detail in zip(rows, details, strict=True))


def progress(connection: sqlite3.Connection, runs: Sequence[str]) -> dict[str, tuple[int, int]]:
    """How many nodes of runs completed, and how many there were; without runs that have none."""
    found = connection.execute(
        "SELECT run, sum(outcome = ?), count(*) FROM nodes "
        "WHERE run IN (SELECT value FROM json_each(?)) GROUP BY run",
        (Outcome.COMPLETED.value, json.dumps(runs)),
    )
    return {run: (completed, nodes) for run, completed, nodes in found}


def mapping_of(connection: sqlite3.Connection, session_id: str) -> Mapping[str, Any] | None:
    """The mapping of the session with this key, or the newest one with this id."""
    found = connection.execute(
        "SELECT data FROM sessions WHERE key = ?1 OR session_id = ?1 "
        "ORDER BY key = ?1 DESC, started DESC LIMIT 1",
        (session_id,),
    ).fetchone()
    return None if found is None else plain.loads(found[0])


def known(
    connection: sqlite3.Connection, project: str, wanted: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], KnownNode]:
    """What is known of nodes of a project, by their names and the digests of their functions."""
    found = connection.execute(
        "SELECT name, source, seconds, need FROM known WHERE project = ? "
        "AND name IN (SELECT value FROM json_each(?))",
        (project, json.dumps(sorted({name for name, _ in wanted}))),
    )
    return {(name, source): KnownNode(seconds, need) for name, source, seconds, need in found}


def _run(row: tuple[Any, ...]) -> RunRecord:
    values = dict(zip(_RUN.split(", "), row, strict=True))
    values["outcome"] = Outcome(values["outcome"])
    values |= plain.loads(values.pop("data"))
    values["memory"] = tuple(MemorySample(*sample) for sample in values.get("memory", ()))
    return RunRecord(**values)


def _node(row: tuple[Any, ...], details: Sequence[Any]) -> NodeRecord:
    _, step, name, outcome, worker, started, ended, peak_memory = row
    function, source, parents, pid, queued, loads, run_seconds, saves, tries, error, *places = (
        details
    )
    pinned, host = (*places, None)[:2]
    return NodeRecord(
        step=step,
        name=name,
        outcome=Outcome(outcome),
        worker=worker,
        started=started,
        ended=ended,
        peak_memory=peak_memory,
        function=function,
        source=source,
        parents=tuple(parents),
        pid=pid,
        queued=queued,
        loads=tuple(Transfer(*each) for each in loads),
        run_seconds=run_seconds,
        saves=tuple(Transfer(*each) for each in saves),
        tries=tuple(Try(*each) for each in tries),
        error=error,
        pinned=pinned,
        host=host,
    )
