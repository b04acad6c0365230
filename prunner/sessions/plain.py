"""Any mapping as JSON and back, whatever a user has put into it. Never pickle.

What JSON knows stays as it is. A few further types of the standard library are an object with a
single key that begins with ``$``; a scalar of numpy becomes one of Python. Everything else is
described, since nothing that was stored may be run when it is read.
"""

from __future__ import annotations

import datetime
import json
import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

_DEEPEST = 50  # levels
_LONGEST = 100_000  # characters of a text
_LONGEST_DESCRIPTION = 500
_LARGEST = 10_000  # bits of a number: Python makes no text of a much larger one


@dataclass(frozen=True)
class Described:
    """What stands for an object that is not kept.

    Attributes:
        kind: Its class.
        text: What ``repr`` said, cut where it was long.
    """

    kind: str
    text: str

    def __repr__(self) -> str:
        return self.text


# How each type is written, and read again. The first one that fits counts: a datetime is a date.
_TAGS: tuple[tuple[type, str, Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    (datetime.datetime, "$datetime", lambda v: v.isoformat(), datetime.datetime.fromisoformat),
    (datetime.date, "$date", lambda v: v.isoformat(), datetime.date.fromisoformat),
    (datetime.time, "$time", lambda v: v.isoformat(), datetime.time.fromisoformat),
    (
        datetime.timedelta,
        "$timedelta",
        lambda v: [v.days, v.seconds, v.microseconds],
        lambda v: datetime.timedelta(*v),
    ),
    (PurePath, "$path", str, Path),
    (Decimal, "$decimal", str, Decimal),
    (UUID, "$uuid", str, UUID),
    (bytes, "$bytes", lambda v: b64encode(v).decode("ascii"), b64decode),
    (complex, "$complex", lambda v: [v.real, v.imag], lambda v: complex(*v)),
)
# What is of a class of its own, such as an enum of texts, equals this.
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
)
_READERS = {tag: read for _, tag, _, read in _TAGS}


def dumps(value: Any) -> str:
    """Write any value as JSON."""
    return json.dumps(to_plain(value), allow_nan=False, separators=(",", ":"))


def loads(text: str) -> Any:
    """Read what ``dumps`` has written."""
    return from_plain(json.loads(text))


def to_plain(value: Any) -> Any:
    """Make a value of dicts, lists, texts, finite numbers, booleans and ``None`` only."""
    return _plain(value, ())


def from_plain(plain: Any) -> Any:
    """Make the value again of which ``to_plain`` has made this."""
    if isinstance(plain, list):
        return [from_plain(each) for each in plain]
    if not isinstance(plain, dict):
        return plain
    tag = next(iter(plain), "")
    if not tag.startswith("$"):
        return {name: from_plain(each) for name, each in plain.items()}
    return _untagged(tag, plain)


def _untagged(tag: str, plain: dict[str, Any]) -> Any:
    content = plain[tag]
    match tag:
        case "$float":
            return float(content)
        case "$items":
            return {_hashable(from_plain(key)): from_plain(each) for key, each in content}
        case "$tuple":
            return tuple(from_plain(each) for each in content)
        case "$set":
            return {_hashable(from_plain(each)) for each in content}
        case "$object":
            return Described(content, plain["text"])
    return _READERS[tag](content)


def _hashable(value: Any) -> Any:
    return repr(value) if isinstance(value, (list, dict, set)) else value


def _plain(value: Any, above: tuple[int, ...]) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if value.bit_length() <= _LARGEST else _described(value)
    if kind is str:
        return value if len(value) <= _LONGEST else _described(value)
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if id(value) in above or len(above) >= _DEEPEST:
        return {"$object": _name_of(kind), "text": "..."}
    try:
        return _tagged(value, (*above, id(value)))
    except Exception:  # of the user's own class, or of a lazy one
        return _described(value)


def _tagged(value: Any, above: tuple[int, ...]) -> Any:
    for base, value_of in _BASES:
        if isinstance(value, base):
            return _plain(value_of(value), above)
    if isinstance(value, Mapping):
        return _plain_mapping(value, above)
    if isinstance(value, list):
        return [_plain(each, above) for each in value]
    if isinstance(value, tuple):
        return {"$tuple": [_plain(each, above) for each in value]}
    if isinstance(value, (set, frozenset)):
        return {"$set": sorted((_plain(each, above) for each in value), key=repr)}
    for kind, tag, write, _ in _TAGS:
        if isinstance(value, kind):
            return {tag: write(value)}
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        scalar = value.item()
        is_same = type(scalar) is type(value)  # Python has nothing like it
        return _described(value) if is_same else _plain(scalar, above)
    return _described(value)


def _plain_mapping(value: Mapping[Any, Any], above: tuple[int, ...]) -> dict[str, Any]:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: _plain(each, above) for key, each in value.items()}
    return {"$items": [[_plain(key, above), _plain(each, above)] for key, each in value.items()]}


def _described(value: Any) -> dict[str, str]:
    try:
        text = repr(value)
    except Exception as error:  # of the user's own class
        text = f"<{_name_of(type(value))}, whose repr() raised {type(error).__name__}>"
    if len(text) > _LONGEST_DESCRIPTION:
        text = f"{text[:_LONGEST_DESCRIPTION]}... ({len(text):,} characters)"
    return {"$object": _name_of(type(value)), "text": text}


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
