"""Whether a function is the one that ran before: a digest of its code. Pure.

Compiled code and not the text of the source: that takes a file to be read and parsed for each
function, and would change with every comment. What is compiled differs between versions of Python;
then nothing is known of the function.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

_DEEPEST = 20  # decorators


def digest_of(function: Callable[..., Any]) -> str:
    """A digest of what a function is.

    Args:
        function: Any callable; of a ``partial``, and of a decorated function, what it calls counts,
            too.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in _parts_of(function):
        digest.update(part.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()


def name_of(function: Callable[..., Any]) -> str:
    """The full name of a function, or of the class of another callable."""
    while isinstance(function, functools.partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{getattr(named, '__module__', '')}.{named.__qualname__}"


def _parts_of(function: Any) -> Iterator[str]:
    for _ in range(_DEEPEST):
        yield name_of(function)
        code = _attribute(function, "__code__")
        if code is None and not isinstance(function, (type, functools.partial)):
            code = getattr(type(function).__call__, "__code__", None)  # of an object
        if isinstance(code, CodeType):
            yield from _parts_of_code(code)
        called = (_attribute(function, name) for name in ("func", "__wrapped__"))
        function = next(filter(callable, called), None)
        if function is None:
            return


def _attribute(function: Any, name: str) -> Any:
    """An attribute; ``None`` also where a property of the user's own class raises."""
    try:
        return getattr(function, name, None)
    except Exception:
        return None


def _parts_of_code(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield " ".join(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts_of_code(constant)
        elif isinstance(constant, frozenset):
            yield repr(sorted(map(repr, constant)))  # in no order of its own
        else:
            yield repr(constant)
