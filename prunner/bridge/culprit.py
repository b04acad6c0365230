"""Which part of an object keeps it from being pickled, and where it is.

The pickler's own error names a type at best ("cannot pickle '_thread.lock' object"). Here the
object is taken apart as the pickler does, and each part pickled by itself, until one is found
that cannot be pickled and has no part to blame. That costs as much as pickling the object many
times over, so it is asked for only where pickling has failed.

Pure: no file, no process, no clock. The work is limited by counts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sized
from itertools import islice
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from prunner.bridge.parts import parts_of

_MAX_DEPTH = 30  # steps; a longer path says nothing to a reader
_MAX_PARTS = 100_000  # that are looked at in one object
_MAX_PICKLES = 10_000  # in one search
_MAX_FAILURES = 100  # in one search; more than the depth only where objects refer to each other
_MAX_BYTES = 1 << 28  # pickled in one search, about a second's work

_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, type(...)})
# Shown by the path alone; every other object on the way is shown with its class.
_TRANSPARENT = (
    dict,
    list,
    tuple,
    set,
    frozenset,
    FunctionType,
    MethodType,
    functools.partial,
    staticmethod,
    classmethod,
    property,
)


class _Step(NamedTuple):
    owner: Any
    label: str
    part: Any


def find_culprit(value: Any, dumps: Callable[[Any], Sized], name: str | None = None) -> str | None:
    """Find what keeps an object from being pickled.

    Args:
        value: The object.
        dumps: Pickles an object, or raises. Called for ``value`` and for its parts.
        name: What the object is called in the answer; by default after its class.

    Returns:
        The path of attributes to the culprit and its type, such as
        ``func.__closure__[0] -> Model._lock (_thread.lock)``. ``None`` where the object can be
        pickled, or where no part of it is to blame and it has no name.
        Where the limits of the search are met, the path ends early, with `` -> ...``.
    """
    try:
        search = _Search(dumps)
        trail = None if search.can_pickle(value) else search.follow(value)
        return None if trail is None else _as_text(value, trail, name, search.met_limit)
    except Exception:
        return None  # an object so odd that nothing can be said; the pickler's error says enough


def explain(
    error: Exception,
    value: Any,
    dumps: Callable[[Any], Sized],
    name: str | None = None,
) -> str:
    """Say why an object could not be pickled.

    Args:
        error: What the pickler raised.
        value: The object.
        dumps: See ``find_culprit``.
        name: See ``find_culprit``.

    Returns:
        Type and text of the error, and where the culprit was found if it was.
    """
    text = f"{type(error).__name__}: {error}"
    place = find_culprit(value, dumps, name)
    return text if place is None else f"{text}, found at {place}"


class _Search:
    """One search: what it has learnt, and what it may still spend."""

    def __init__(self, dumps: Callable[[Any], Sized]) -> None:
        self._dumps = dumps
        self._known: dict[int, tuple[Any, bool]] = {}  # holds the object, so that its id is its own
        self._pickles = _MAX_PICKLES
        self._bytes = _MAX_BYTES
        self._failures = _MAX_FAILURES
        self.met_limit = False

    def follow(self, value: Any, depth: int = 0) -> list[_Step] | None:
        """The steps to the culprit, none if it is the object itself.

        ``None`` if the object cannot be pickled only because of objects that have been followed
        before: the culprit is in another part of those.
        """
        if depth == _MAX_DEPTH:
            self.met_limit = True
            return []
        seen_before = False
        for label, part in _all_parts(value):
            if id(part) in self._known:
                seen_before = seen_before or not self._known[id(part)][1]
            elif not self.can_pickle(part):
                rest = self.follow(part, depth + 1)
                if rest is not None:
                    return [_Step(value, label, part), *rest]
                seen_before = True
        return None if seen_before and not self.met_limit else []

    def can_pickle(self, part: Any) -> bool:
        """True too where it is not known: nobody is blamed without a proof."""
        if type(part) in _ATOMS:
            return True
        if min(self._pickles, self._bytes, self._failures) <= 0:
            self.met_limit = True
            return True
        self._pickles -= 1
        try:
            self._bytes -= len(self._dumps(part))
            innocent = True
        except Exception as error:
            innocent = _is_for_size(error)
            self._failures -= not innocent
        self._known[id(part)] = (part, innocent)
        return innocent


def _all_parts(value: Any) -> Iterator[tuple[str, Any]]:
    try:
        yield from islice(parts_of(value), _MAX_PARTS)
    except Exception:
        return  # it cannot even be taken apart, so it is the culprit


def _is_for_size(error: Exception) -> bool:
    # cloudpickle raises a PicklingError from the RecursionError.
    return isinstance(error.__cause__ or error, (RecursionError, MemoryError))


def _as_text(value: Any, trail: list[_Step], name: str | None, early: bool) -> str | None:
    if not trail and name is None:
        return None
    text = _called(value) if name is None else name
    for i, step in enumerate(trail):
        if i and step.label.startswith(".") and type(step.owner) not in _TRANSPARENT:
            text += f" -> {_called(step.owner)}"
        text += step.label
    if early:
        text += " -> ..."
    return f"{text} ({_type_name(trail[-1].part if trail else value)})"


def _called(value: Any) -> str:
    # Not isinstance(), which asks the object for its __class__.
    own = issubclass(type(value), type) or type(value) is FunctionType
    return str(value.__name__ if own else type(value).__name__)


def _type_name(value: Any) -> str:
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"
