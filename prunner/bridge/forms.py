"""The forms in which an exception can be pickled, and stand-ins for what cannot.

An exception unpickles by a call of its class with ``args``. That fails, or loses something, for
classes whose ``__init__`` takes other arguments than it passes on, for attributes that cannot be
pickled, and for groups of such exceptions. So several forms are tried, each by unpickling it.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import cloudpickle
from tblib.pickling_support import pickle_exception


class RemoteError(Exception):
    """Stands in for an exception that cannot be pickled or unpickled.

    Where the original class can travel, the stand-in is of a class derived from both, so that
    ``except`` finds it. Attributes that cannot be pickled are missing.

    Args:
        type_name: Full name of the original class.
        message: The original message.
    """

    def __init__(self, type_name: str, message: str) -> None:
        self.type_name = type_name
        self.message = message
        super().__init__(type_name, message)

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}"


class PackedException(NamedTuple):
    """An exception without its traceback and what is behind it.

    Attributes:
        pickled: The exception, None where it cannot be pickled and unpickled.
        kind: Its class or, where that cannot travel, the nearest base that can; pickled.
        rest: For a stand-in: its arguments and attributes, as far as they can travel; pickled.
        type_name: Full name of its class.
        message: ``str()`` of it.
        name: The name that a NameError or an AttributeError is about; pickle forgets it.
    """

    pickled: bytes | None
    kind: bytes
    rest: bytes
    type_name: str
    message: str
    name: str | None = None


def pack_exception(error: BaseException) -> PackedException:
    """Find a form in which an exception can be unpickled again."""
    kind = type(error)
    pickled = _pickled(error)
    return PackedException(
        pickled=pickled,
        kind=b"" if pickled else _pickled_kind(kind),
        rest=b"" if pickled else _dumps((_args(error), _state(error))),
        type_name=f"{kind.__module__}.{kind.__qualname__}",
        message=_text(error),
        name=error.name if type(error) in (NameError, AttributeError) else None,  # type: ignore[attr-defined]
    )


def unpack_exception(packed: PackedException, members: list[BaseException]) -> BaseException:
    """The exception again, or a stand-in.

    Args:
        packed: What ``pack_exception`` made.
        members: What it holds if it is a group.
    """
    if packed.pickled is not None:
        try:
            error = pickle.loads(packed.pickled)
            error = error(members) if isinstance(error, _GroupMaker) else error
        except BaseException:
            error = None
        if isinstance(error, BaseException):
            if packed.name is not None:
                _set_state(error, {"name": packed.name})
            return error
    return _stand_in(packed, members)


def members_of(error: BaseException) -> tuple[BaseException, ...]:
    """The exceptions in a group, none if it is no group."""
    return tuple(getattr(error, "exceptions", ())) if _is_group(error) else ()


def _stand_in(packed: PackedException, members: list[BaseException]) -> BaseException:
    try:
        kind = pickle.loads(packed.kind)
        args, state = pickle.loads(packed.rest)
        if kind in (object, BaseException, Exception):
            raise TypeError(kind)  # says nothing of the original
        module, _, name = packed.type_name.rpartition(".")
        bases = (kind, RemoteError) if issubclass(kind, Exception) else (kind,)
        derived = type(name, bases, {"__module__": module, "__str__": lambda _: packed.message})
        given = (packed.message, members) if members else ()
        error: BaseException = _native_base(kind).__new__(derived, *given)
        _set_args(error, args)
        _set_state(error, {"type_name": packed.type_name, "message": packed.message, **state})
    except BaseException:
        return RemoteError(packed.type_name, packed.message)
    return error


class _WithoutInit:
    """Pickles an exception so that its ``__init__`` is not called when it is unpickled.

    An exception unpickles by a call of its class with ``args``, which fails where ``__init__``
    takes other arguments than it passes on. Attributes that cannot be pickled are left out.
    """

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_without_init, (type(self._error), self._error.args, _state(self._error))


class _Group:
    """Pickles an exception group as a function that makes it of its members."""

    def __init__(self, error: Any) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return _GroupMaker, (type(self._error), self._error.message, _state(self._error))


@dataclass(frozen=True)
class _GroupMaker:
    kind: type[BaseException]
    message: str
    state: dict[str, Any]

    def __call__(self, members: list[BaseException]) -> BaseException:
        group: BaseException = _native_base(self.kind).__new__(self.kind, self.message, members)
        _set_state(group, self.state)
        return group


def _made_without_init(
    kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]
) -> BaseException:
    base = _native_base(kind)
    error: BaseException = base.__new__(kind, *args)
    base.__init__(error, *args)  # sets what is no attribute of Python's, such as SystemExit.code
    _set_args(error, args)
    _set_state(error, state)
    return error


def _native_base(kind: type[BaseException]) -> Any:
    """The class of the interpreter's own that a class is derived from."""
    return next(base for base in kind.__mro__ if base.__module__ == "builtins")


def _state(error: BaseException) -> dict[str, Any]:
    slots = [name for name in _slots(type(error)) if hasattr(error, name)]
    found = {name: getattr(error, name) for name in slots}
    found.update(error.__dict__)
    return {name: value for name, value in found.items() if _can_travel(value)}


def _set_args(error: BaseException, args: tuple[Any, ...]) -> None:
    BaseException.__dict__["args"].__set__(error, args)  # past a __setattr__ that refuses


def _set_state(error: BaseException, state: dict[str, Any]) -> None:
    for name, value in state.items():
        # Past a __setattr__ that refuses, as that of a frozen dataclass.
        object.__setattr__(error, name, value)


def _args(error: BaseException) -> tuple[Any, ...]:
    return tuple(arg if _can_travel(arg) else _described(arg) for arg in error.args)


def _described(value: Any) -> str:
    try:
        return repr(value)
    except BaseException:
        return f"<{type(value).__name__} that cannot be shown>"


def _can_travel(value: Any) -> bool:
    return _survives(value, lambda _: True) is not None


def _is_group(error: BaseException) -> bool:
    # Python 3.10 has none; a backport of it is a class of its own, and pickled like any other.
    return any(base.__name__ == "BaseExceptionGroup" for base in type(error).__mro__)


def _pickled(error: BaseException) -> bytes | None:
    if _is_group(error):
        return _survives(_Group(error), lambda again: isinstance(again, _GroupMaker))
    wanted = type(error).__qualname__, _text(error)
    forms = [error, _WithoutInit(error)]
    if _loses_by_its_own_way(type(error)):
        forms.reverse()
    for form in forms:
        # One that comes back as something else has not survived either.
        pickled = _survives(form, lambda again: (type(again).__qualname__, _text(again)) == wanted)
        if pickled is not None:
            return pickled
    return None


def _loses_by_its_own_way(kind: type[BaseException]) -> bool:
    """True where an inherited ``__reduce__`` calls an ``__init__`` again, or forgets slots."""
    native = _native_base(kind)

    def own(name: str) -> bool:
        return getattr(kind, name) is not getattr(native, name)

    loses = own("__init__") or bool(_slots(kind))
    return loses and not own("__reduce__") and not own("__reduce_ex__")


def _slots(kind: type[BaseException]) -> list[str]:
    names: list[str] = copyreg._slotnames(kind)  # type: ignore[attr-defined]
    return names


def _pickled_kind(kind: type[BaseException]) -> bytes:
    for base in kind.__mro__:
        pickled = _survives(base, lambda again: isinstance(again, type))
        if pickled is not None:
            return pickled
    raise AssertionError("object can be pickled")


def _survives(value: Any, is_right: Callable[[Any], bool]) -> bytes | None:
    try:
        pickled = _dumps(value)
        return pickled if is_right(pickle.loads(pickled)) else None
    except BaseException:  # code of the user's, which may raise anything
        return None


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles exceptions in their own way.

    Whoever imports Dask has all of them pickled by tblib, each with its traceback and chain. These
    travel apart from it, and SystemExit would lose its code.
    """

    def reducer_override(self, obj: Any) -> Any:
        if copyreg.dispatch_table.get(type(obj)) is pickle_exception:
            return obj.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
        return super().reducer_override(obj)


def _dumps(value: Any) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream).dump(value)
    return stream.getvalue()


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:
        return f"<{type(error).__name__} whose message cannot be made>"
