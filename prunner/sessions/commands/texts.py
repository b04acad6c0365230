"""How records are put into words: times, sizes, values, aligned columns. Pure."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from rich.cells import cell_len

from prunner.sessions.archive import Entry
from prunner.sessions.plain import Described
from prunner.sessions.secrets import REPLACED

GAP = "  "  # between columns
_LONGEST = 200  # characters of a value in a text
_UNITS = ("B", "kB", "MB", "GB", "TB")


def readable(value: Any) -> Any:
    """A value of a record in types of JSON, for somebody to read."""
    if isinstance(value, Mapping):
        return {_key(key): readable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [readable(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted((readable(each) for each in value), key=repr)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return str(value)  # an Outcome, too
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _text_of(value)


def in_words(value: Any) -> str:
    """A value in one line of a text, in quotation marks if it could be taken for another one."""
    plain = readable(value)
    as_it_is = isinstance(plain, str) and not (isinstance(value, str) and _is_ambiguous(plain))
    text = plain if as_it_is else json.dumps(plain, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"


def is_secret(value: Any) -> bool:
    """True if a secret was replaced anywhere in a value."""
    if isinstance(value, Mapping):
        return any(is_secret(key) or is_secret(each) for key, each in value.items())
    if isinstance(value, (list, tuple, set)):
        return any(map(is_secret, value))
    return isinstance(value, (str, Described)) and REPLACED in str(value)


def flat(nested: Mapping[Any, Any], above: str = "") -> dict[str, Any]:
    """What is in nested mappings, by dotted paths; an empty mapping stands for itself."""
    found: dict[str, Any] = {}
    for key, value in nested.items():
        path = f"{above}{_key(key)}"
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{path}.")
        else:
            found[path] = value
    return found


def moment(seconds: float) -> str:
    """A time in the time zone of this machine."""
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def in_utc(seconds: float | None) -> str | None:
    """A time for programs, as ISO 8601 has it."""
    if seconds is None:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat()


def duration(seconds: float | None) -> str:
    """How long something took; a dash if that is not known."""
    if seconds is None:
        return "-"
    if abs(seconds) < 99.95:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def size(number: int | None) -> str:
    """So many bytes; a dash if that is not known."""
    if number is None:
        return "-"
    amount, unit = float(number), 0
    while abs(amount) >= 999.5 and unit + 1 < len(_UNITS):
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit < 2 else f"{amount:.1f} {_UNITS[unit]}"


def short_class(path: str) -> str:
    """A class as it is usually named: its package and its own name."""
    package, *others = path.split(".")
    return f"{package}.{others[-1]}" if others else package


def pipeline_of(entry: Entry) -> str:
    """The names of the pipelines that a run was of; a dash for a session that ran nothing."""
    return ", ".join(pipelines_of(entry)) or "-"


def pipelines_of(entry: Entry) -> list[str]:
    """The names of the pipelines that a run was of; none for a session that ran nothing."""
    if entry.run is None:
        return []
    single = entry.run.parameters.get("pipeline_name")  # Kedro 1.0
    named = entry.run.parameters.get("pipeline_names") or ([single] if single else ["__default__"])
    return [str(name) for name in named]


def columns(rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Lines with aligned columns, also where characters are two columns wide.

    Args:
        rows: The cells of each line.
        right: Which columns are aligned at their right end.
    """
    table = [[one_line(cell) for cell in row] for row in rows]
    counts = range(max(map(len, table), default=0))  # a short row has no further cells
    widths = [max(cell_len(row[i]) for row in table if i < len(row)) for i in counts]
    at_right = set(right)
    return [
        GAP.join(
            _padded(cell, widths[index], index in at_right) for index, cell in enumerate(row)
        ).rstrip()
        for row in table
    ]


def section(title: str, lines: Sequence[str], count: int | None = None) -> list[str]:
    """Lines below a title; none if there are none.

    Args:
        title: The title.
        lines: The lines.
        count: What it counts, if that is not the lines.
    """
    if not lines:
        return []
    return ["", f"{title} ({len(lines) if count is None else count})", *(f"  {x}" for x in lines)]


def pairs(values: Mapping[str, Any]) -> list[str]:
    """Names and their values, a line each."""
    return columns([name, in_words(value)] for name, value in values.items())


def one_line(text: str) -> str:
    """A text without anything that would break a line, or do something to a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _padded(cell: str, width: int, at_right: bool) -> str:
    space = " " * (width - cell_len(cell))
    return space + cell if at_right else cell + space


def _is_ambiguous(text: str) -> bool:
    """True for the text "1", which is no number, and for texts that one would not see."""
    try:
        json.loads(text)
    except ValueError:
        return not text or text != text.strip() or not text.isprintable()
    return True


def _text_of(value: Any) -> str:
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (PurePath, Described)):
        return str(value)
    return str(value) if type(value).__module__ in ("decimal", "uuid", "datetime") else repr(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else str(readable(key))
