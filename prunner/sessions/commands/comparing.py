"""What changed between two runs: what they were told, where they ran, how long it took. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from prunner.sessions.archive import Entry
from prunner.sessions.commands import showing, texts
from prunner.sessions.records import NodeRecord

_NONE = "(none)"
_LEAST_SECONDS = 0.1
_LEAST_PART = 0.2
_MOST_NODES = 50  # in a text


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not the same in two runs.

    Attributes:
        name: Its name; that of a nested parameter has dots.
        before: What it was in the first run; ``None`` also if there was nothing.
        after: What it was in the second run.
        unknown: Why nobody knows whether it is the same; ``None`` if it is not.
        only_in: ``"a"`` or ``"b"`` if the other run has nothing of this name.
    """

    name: str
    before: Any
    after: Any
    unknown: str | None = None
    only_in: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed between two runs.

    Attributes:
        a: The first run.
        b: The second run.
        sections: Changes by what they are about.
        nodes: Nodes with another outcome, or in one run only.
        code: Nodes whose function has other code.
        times: Nodes that took longer or shorter, in seconds; the largest change first.
        total: All nodes together, in seconds; ``None`` if a run has none on record.
    """

    a: Entry
    b: Entry
    sections: Mapping[str, Sequence[Change]]
    nodes: Sequence[Change]
    code: Sequence[Change]
    times: Sequence[Change]
    total: Change | None

    @property
    def changes(self) -> list[Change]:
        """All changes, without those that cannot be compared."""
        parts = (*self.sections.values(), self.nodes, self.code, self.times)
        return [change for part in parts for change in part if change.unknown is None]


_ABOUT: Mapping[str, Callable[[Entry], Mapping[str, Any]]] = {
    "Parameters": lambda entry: texts.flat(showing.parameters_of(entry)),
    "Flags": showing.flags_of,
    "Environment variables": showing.variables_of,
    "Versions": showing.versions_of,
    "Runner and its options": lambda entry: _runner(entry),
    "Project": lambda entry: _project(entry),
    "Outcome": lambda entry: _outcome(entry),
}


def compare(a: Entry, b: Entry) -> Comparison:
    """Compare two runs.

    Args:
        a: The first one, with its nodes.
        b: The second one, with its nodes.
    """
    mine, others = _nodes_of(a), _nodes_of(b)
    common = [(mine[name], others[name]) for name in mine if name in others]
    times = sorted(_times(common), key=lambda each: -abs(each.after - each.before))
    return Comparison(
        a,
        b,
        {title: list(_changes(told(a), told(b))) for title, told in _ABOUT.items()},
        list(_outcomes(mine, others)),
        [
            Change(x.name, x.source, y.source)
            for x, y in common
            if x.source and y.source and x.source != y.source
        ],
        times,
        Change("all nodes", _sum(mine), _sum(others)) if mine and others else None,
    )


def as_data(comparison: Comparison) -> dict[str, Any]:
    """What changed, for programs."""
    names = {title: title.lower().replace(" ", "_") for title in comparison.sections}
    return {
        "a": comparison.a.key,
        "b": comparison.b.key,
        "same": not comparison.changes,
        **{names[title]: _data(changes) for title, changes in comparison.sections.items()},
        "nodes": _data(comparison.nodes),
        "code": _data(comparison.code),
        "node_seconds": _data(comparison.times),
        "all_nodes_seconds": _data([comparison.total])[0] if comparison.total else None,
    }


def as_text(comparison: Comparison) -> str:
    """What changed, for people."""
    lines = texts.columns(
        [label, entry.key, str(entry.outcome), texts.moment(entry.started), _how_long(entry)]
        for label, entry in (("a", comparison.a), ("b", comparison.b))
    )
    for title, changes in comparison.sections.items():
        lines += texts.section(title, texts.columns(map(_cells, changes)))
    lines += _few("Nodes", [_cells(change) for change in comparison.nodes])
    lines += _few("Nodes whose code changed", [[change.name] for change in comparison.code])
    lines += _times_in_words(comparison)
    if not comparison.changes:
        told = any(comparison.sections.values())
        lines += ["", f"Nothing {'else ' if told else ''}differs in what is on record."]
    return "\n".join(lines)


def _few(title: str, rows: Sequence[Sequence[str]]) -> list[str]:
    lines = texts.columns(rows[:_MOST_NODES])
    if len(rows) > _MOST_NODES:
        lines.append(f"... and {len(rows) - _MOST_NODES} more: --json shows them.")
    return texts.section(title, lines, len(rows))


def _times_in_words(comparison: Comparison) -> list[str]:
    if not comparison.times or comparison.total is None:
        return []
    shown = [*comparison.times[:_MOST_NODES], comparison.total]
    rows = [
        [
            change.name,
            texts.duration(change.before),
            "->",
            texts.duration(change.after),
            _percent(change.before, change.after),
        ]
        for change in shown
    ]
    lines = texts.columns(rows, (1, 3, 4))
    return texts.section("Durations of nodes", lines, len(comparison.times))


def _percent(before: float, after: float) -> str:
    return f"{(after / before - 1) * 100:+.0f} %" if before > 0 else ""


def _cells(change: Change) -> list[str]:
    if change.unknown is not None:
        return [change.name, f"cannot be compared: {change.unknown}"]
    before = _NONE if change.only_in == "b" else texts.in_words(change.before)
    after = _NONE if change.only_in == "a" else texts.in_words(change.after)
    return [change.name, f"{before} -> {after}"]


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    for name in [*a, *(name for name in b if name not in a)]:
        before, after = a.get(name), b.get(name)
        if (name in a) != (name in b):
            yield Change(name, before, after, only_in="a" if name in a else "b")
        elif not _same(before, after):
            yield Change(name, before, after)
        elif why := _why_unknown(name, before):
            yield Change(name, before, after, why)


def _why_unknown(name: str, value: Any) -> str | None:
    """Why what is the same on record may differ all the same."""
    if texts.is_secret(value):
        return "a secret"
    if name == "git" and str(value).endswith(showing.WITH_CHANGES):
        return f"{value} in both, which are not on record"
    return None


def _same(before: Any, after: Any) -> bool:
    """1 and True are not the same, but a list of names and a tuple of them are."""
    return repr(texts.readable(before)) == repr(texts.readable(after)) and (
        before == after or isinstance(before, (list, tuple))
    )


def _runner(entry: Entry) -> dict[str, Any]:
    if entry.run is None:
        return {}
    run = entry.run
    facts = {"runner": run.runner, "start_method": run.start_method, "cpus": run.cpus}
    return {name: each for name, each in facts.items() if each} | texts.flat(run.options)


def _project(entry: Entry) -> dict[str, Any]:
    data = entry.session.data
    facts = {
        "pipelines": sorted(texts.pipelines_of(entry)),
        "env": data.get("env"),
        "conf_source": data.get("conf_source"),
        "git": showing.commit_of(entry),
        "host": entry.session.host,
    }
    return {name: value for name, value in facts.items() if value}


def _outcome(entry: Entry) -> dict[str, Any]:
    error = showing.error_of(entry)
    told = {"outcome": str(entry.outcome)}
    return told if not error else told | {"error": f"{error.get('type')}: {error.get('value')}"}


def _nodes_of(entry: Entry) -> dict[str, NodeRecord]:
    return {} if entry.run is None else {node.name: node for node in entry.run.nodes}


def _outcomes(a: Mapping[str, NodeRecord], b: Mapping[str, NodeRecord]) -> Iterator[Change]:
    if not a or not b:  # of one run nothing is known
        return
    for name, node in a.items():
        if name not in b:
            yield Change(name, str(node.outcome), None, only_in="a")
        elif node.outcome is not b[name].outcome:
            yield Change(name, str(node.outcome), str(b[name].outcome))
    for name, node in b.items():
        if name not in a:
            yield Change(name, None, str(node.outcome), only_in="b")


def _times(common: Sequence[tuple[NodeRecord, NodeRecord]]) -> Iterator[Change]:
    for mine, other in common:
        before, after = mine.seconds, other.seconds
        if before is None or after is None:
            continue
        if abs(after - before) > max(_LEAST_PART * before, _LEAST_SECONDS):
            yield Change(mine.name, before, after)


def _sum(nodes: Mapping[str, NodeRecord]) -> float:
    return sum(node.seconds or 0.0 for node in nodes.values())


def _how_long(entry: Entry) -> str:
    return texts.duration(None if entry.ended is None else entry.ended - entry.started)


def _data(changes: Sequence[Change]) -> list[dict[str, Any]]:
    # Not with asdict, which looks into values, too.
    return [{part.name: getattr(each, part.name) for part in fields(each)} for each in changes]
