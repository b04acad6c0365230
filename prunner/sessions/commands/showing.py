"""One run with all that is on record of it, for people and for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from prunner.sessions.archive import Entry
from prunner.sessions.commands import texts
from prunner.sessions.records import NodeRecord, RunRecord

MOST_NODES = 50  # in a text
WITH_CHANGES = " with changes"
_TIMES = ("started", "ended", "queued", "began", "at")
# Of what hooks are told of a run: what is shown elsewhere, or is no choice of anybody.
_NO_FLAGS = frozenset(
    "run_id session_id project_path env kedro_version runtime_params runner pipeline_name "
    "pipeline_names".split()
)
_VERSIONS = {"kedro_version": "Kedro", "prunner_version": "prunner", "python_version": "Python"}
_HEADS = (
    "NAME", "OUTCOME", "WORKER", "AFTER", "DURATION", "LOAD", "RUN", "SAVE", "MEMORY", "IN", "OUT",
    "TRIES",
)  # fmt: skip


def as_data(entry: Entry) -> dict[str, Any]:
    """Everything on record, for programs: times as ISO 8601, sizes in bytes."""
    found: dict[str, Any] = {"id": entry.key, "session": _data(entry.session)}
    if entry.run is not None:
        found["run"] = _data(entry.run) | {"seconds": entry.run.seconds}
        if not entry.run.hosts:
            del found["run"]["hosts"]
    return found


def as_text(entry: Entry, *, verbose: bool = False, all_nodes: bool = False) -> str:
    """What is on record, for people.

    Args:
        entry: The run, or the session that ran nothing.
        verbose: Whether tracebacks are shown.
        all_nodes: Whether all nodes are shown, however many there are.
    """
    lines = list(_head(entry))
    lines += texts.section("Flags", texts.pairs(flags_of(entry)))
    lines += texts.section("Parameters", texts.pairs(texts.flat(parameters_of(entry))))
    lines += texts.section("Environment variables", texts.pairs(variables_of(entry)))
    if entry.run is not None:
        lines += _nodes(entry.run, all_nodes)
    if verbose and (error := error_of(entry)):
        trace = error.get("traceback") or ""
        whole = trace if isinstance(trace, str) else "".join(trace)
        lines += ["", *map(texts.one_line, whole.rstrip().expandtabs().splitlines())]
    return "\n".join(lines)


def flags_of(entry: Entry) -> dict[str, Any]:
    """The filters and the like that a run was called with, without those that are empty."""
    if entry.run is None:
        return {}
    return {
        name: value
        for name, value in entry.run.parameters.items()
        if value and name not in _NO_FLAGS
    }


def parameters_of(entry: Entry) -> Mapping[str, Any]:
    """The runtime parameters."""
    of_run = {} if entry.run is None else entry.run.parameters.get("runtime_params")
    return of_run or entry.session.data.get("runtime_params") or {}


def variables_of(entry: Entry) -> Mapping[str, Any]:
    """The environment variables."""
    return entry.session.data.get("environment") or {}


def versions_of(entry: Entry) -> dict[str, Any]:
    """The versions of what a run depends on most, by their names."""
    data = entry.session.data
    return {name: data[key] for key, name in _VERSIONS.items() if key in data}


def error_of(entry: Entry) -> Mapping[str, Any] | None:
    """What a run, or a session without one, has ended with."""
    of_run = None if entry.run is None else entry.run.error
    return of_run or entry.session.data.get("exception")


def commit_of(entry: Entry) -> str | None:
    """The commit that was checked out, and whether there were changes."""
    git = entry.session.data.get("git")
    if not isinstance(git, Mapping):
        return None
    return f"{git.get('commit_sha')}{WITH_CHANGES if git.get('dirty') else ''}"


def _head(entry: Entry) -> Iterator[str]:
    facts = {**_what(entry), **_how(entry)}
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        if value:
            first, *others = str(value).splitlines() or [""]
            yield f"{name:<{width}}{texts.one_line(first)}"
            yield from (f"{'':<{width}}{texts.one_line(other)}" for other in others)


def _what(entry: Entry) -> dict[str, Any]:
    session, error = entry.session, error_of(entry)
    return {
        "Run" if entry.run else "Session": entry.key,
        "Session": session.key if entry.key != session.key or not entry.run else None,
        "Outcome": entry.outcome,
        "Error": error and f"{error.get('type')}: {error.get('value')}",
        "Started": texts.moment(entry.started),
        "Duration": entry.ended and texts.duration(entry.ended - entry.started),
        "Project": f"{session.project}, in {session.data.get('project_path')}",
        "Pipeline": entry.run and texts.pipeline_of(entry),
        "Command": command_of(entry),
        "To go on": entry.run and entry.run.resume and f"prunner sessions resume {entry.key}",
    }


def _how(entry: Entry) -> dict[str, Any]:
    run, data = entry.run, entry.session.data
    options = {} if run is None else run.options
    return {
        "Runner": "" if entry.run is None else entry.run.runner,
        "Options": ", ".join(f"{k}={texts.in_words(v)}" for k, v in texts.flat(options).items()),
        "Workers by": run and run.start_method,
        "Env": data.get("env"),
        "Conf source": data.get("conf_source"),
        "Versions": ", ".join(f"{name} {value}" for name, value in versions_of(entry).items()),
        "Git": commit_of(entry),
        "By": f"{data.get('username', 'somebody')} on {entry.session.host}",
        "CPUs": run and run.cpus,
        "Memory": run and run.memory_total and texts.size(run.memory_total),
    }


def command_of(entry: Entry) -> str | None:
    """The command that it was started with, as it was typed but for quotation marks."""
    cli = entry.session.data.get("cli")
    return str(cli.get("command_path")) if isinstance(cli, Mapping) else None


def _nodes(run: RunRecord, all_nodes: bool) -> list[str]:
    shown = run.nodes if all_nodes else run.nodes[:MOST_NODES]
    rows = [_HEADS, *(_cells(node, run.started) for node in shown)]
    lines = texts.columns(rows, range(2, len(_HEADS))) if shown else []
    if len(shown) < len(run.nodes):
        lines.append(f"... and {len(run.nodes) - len(shown)} more: --all-nodes shows them.")
    lines = texts.section("Nodes", lines, len(run.nodes))
    errors = {node.name: node.error for node in run.nodes if node.error}
    lines += texts.section("Errors of nodes", texts.pairs(errors))
    pinned = {node.name: node.pinned for node in shown if node.pinned}
    return lines + texts.section("Why in the main process", texts.pairs(pinned))


def _cells(node: NodeRecord, began: float) -> list[str]:
    ran = node.started is not None
    workers = {None: "-", -1: "main"}
    return [
        node.name,
        str(node.outcome),
        workers.get(node.worker, str(node.worker)) + (f" on {node.host}" if node.host else ""),
        texts.duration(None if node.started is None else node.started - began),
        texts.duration(node.seconds),
        texts.duration(node.load_seconds if ran else None),
        texts.duration(node.run_seconds),
        texts.duration(node.save_seconds if ran else None),
        texts.size(node.peak_memory),
        texts.size(node.bytes_in if ran else None),
        texts.size(node.bytes_out if ran else None),
        str(len(node.tries) + 1) if ran else "-",
    ]


def _data(value: Any) -> Any:
    """A record as a mapping, with times as texts; what is a user's own is as it is."""
    if isinstance(value, tuple):
        return [_data(each) for each in value]
    if not is_dataclass(value):
        return value
    found = {part.name: _data(getattr(value, part.name)) for part in fields(value)}
    return {name: texts.in_utc(x) if name in _TIMES else x for name, x in found.items()}
