"""Which runs are on record: chosen, and listed for people and for programs. Pure."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len

from prunner.sessions.archive import Entry
from prunner.sessions.commands import texts
from prunner.sessions.records import Outcome

OUTCOMES = (
    Outcome.COMPLETED,
    Outcome.FAILED,
    Outcome.INTERRUPTED,
    Outcome.RUNNING,
    Outcome.LOST,
)
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.I)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_HEADS = ("ID", "OUTCOME", "STARTED", "DURATION", "PIPELINE", "NODES", "RUNNER", "ENV")
_AT_RIGHT = (3, 5)
# What is left out first where there is no room, by its place. The id stays.
_LEAST_WANTED = (7, 2, 6, 5, 3, 4, 1)


# How many nodes of runs completed, and how many there were, by the keys of the runs.
Progress = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries are wanted.

    Attributes:
        pipeline: Runs of this pipeline.
        outcomes: Those that ended like this; empty for all.
        since: Those that began then or later, in seconds since the epoch.
        until: Those that began before.
    """

    pipeline: str | None = None
    outcomes: frozenset[Outcome] = frozenset()
    since: float | None = None
    until: float | None = None

    def includes(self, entry: Entry) -> bool:
        """True for an entry that is wanted."""
        return (
            (self.pipeline is None or self.pipeline in texts.pipelines_of(entry))
            and (not self.outcomes or entry.outcome in self.outcomes)
            and (self.since is None or entry.started >= self.since)
            and (self.until is None or entry.started < self.until)
        )


def parse_moment(text: str, now: float, *, is_end: bool = False) -> float:
    """A time as somebody writes it.

    Args:
        text: A date or date and time of ISO 8601, local if it says nothing else; or so long before
            now: ``30m``, ``3h``, ``2d``, ``1w``.
        now: The time now, in seconds since the epoch.
        is_end: Whether a date stands for its end.

    Returns:
        Seconds since the epoch.

    Raises:
        ValueError: If it is none of these.
    """
    text = text.strip()
    if ago := _AGO.fullmatch(text.removesuffix("ago").strip()):
        return now - float(ago[1]) * _SECONDS[ago[2].lower()]
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        pass
    else:
        day += datetime.timedelta(days=1 if is_end else 0)
        return datetime.datetime.combine(day, datetime.time()).timestamp()
    try:  # Z is known from Python 3.11 on
        whole = re.sub("[zZ]$", "+00:00", text)
        return datetime.datetime.fromisoformat(whole).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"'{text}' is neither a date such as 2026-01-31 or 2026-01-31T14:30 nor a time ago "
            "such as 3h or 2d"
        ) from None


def as_data(entries: Sequence[Entry], progress: Progress) -> list[dict[str, Any]]:
    """The entries for programs.

    Args:
        entries: The entries.
        progress: How far runs came, by their keys.
    """
    return [_data(entry, progress.get(entry.key)) for entry in entries]


def as_text(
    entries: Sequence[Entry],
    progress: Progress,
    *,
    more: int = 0,
    width: int | None = None,
) -> str:
    """The entries for people, a line each.

    Args:
        entries: The entries.
        progress: How far runs came, by their keys.
        more: How many there are that are not shown.
        width: Columns of the terminal; ``None`` if there is none.
    """
    if not entries:
        return "No session on record is like that."
    rows = [_HEADS, *(_cells(entry, progress.get(entry.key)) for entry in entries)]
    lines = _fitting(rows, width)
    if more:
        lines += ["", f"{len(entries)} of {len(entries) + more}. --limit shows more."]
    return "\n".join(lines)


def _fitting(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    shown = [
        index
        for index in range(len(_HEADS))
        if any(row[index] not in ("", "-") for row in rows[1:])  # else the column says nothing
    ]
    for dropped in (None, *_LEAST_WANTED):
        shown = [index for index in shown if index != dropped]
        at_right = [shown.index(index) for index in _AT_RIGHT if index in shown]
        lines = texts.columns([[row[index] for index in shown] for row in rows], at_right)
        if width is None or max(map(cell_len, lines)) <= width:
            break
    return lines


def _cells(entry: Entry, progress: tuple[int, int] | None) -> list[str]:
    run = entry.run
    seconds = None if entry.ended is None else entry.ended - entry.started
    return [
        entry.key,
        str(entry.outcome),
        texts.moment(entry.started),
        texts.duration(seconds),
        texts.pipeline_of(entry),
        "-" if progress is None else f"{progress[0]}/{progress[1]}",
        "-" if run is None else texts.short_class(run.runner),
        str(entry.session.data.get("env") or "-"),
    ]


def _data(entry: Entry, progress: tuple[int, int] | None) -> dict[str, Any]:
    run = entry.run
    return {
        "id": entry.key,
        "session": entry.session.key,
        "outcome": str(entry.outcome),
        "started": texts.in_utc(entry.started),
        "seconds": None if entry.ended is None else entry.ended - entry.started,
        "pipelines": texts.pipelines_of(entry),
        "runner": None if run is None else run.runner,
        "env": entry.session.data.get("env"),
        "nodes": progress and dict(zip(("completed", "all"), progress, strict=True)),
    }
