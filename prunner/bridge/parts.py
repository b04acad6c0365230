"""The parts of an object that pickle and cloudpickle would pickle, each with the way to it.

Pure: it looks at an object as the pickler does, and at nothing that the pickler would not touch
(no property, no ``__getattr__``).
"""

from __future__ import annotations

import copyreg
import functools
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import (
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
)
from typing import Any

import cloudpickle

Part = tuple[str, Any]

# What cloudpickle leaves out of a class, or makes anew.
_NOT_OF_A_CLASS = {"__dict__", "__weakref__", "_abc_impl"}


def parts_of(value: Any) -> Iterator[Part]:
    """The parts of an object, in no particular order.

    Args:
        value: An object that cannot be pickled as a whole. Functions and classes are taken for
            those that cloudpickle pickles by value: by reference, they could be pickled.

    Yields:
        How the part is reached from the object, as Python writes it (``.name``, ``[0]``,
        ``['key']``; ``{...}`` for an item of a set), and the part.

    Raises:
        Exception: Whatever the object's own ``__reduce_ex__`` or ``__getstate__`` raises.
    """
    if issubclass(type(value), type):  # isinstance() would ask the object for its __class__
        yield from _parts_of_class(value)
        return
    for kind, parts in _BY_TYPE.items():
        if type(value) is kind:
            yield from parts(value)
            return
    yield from _parts_of_reduced(value, _reduce(value))


def _pairs(pairs: Iterable[tuple[Any, Any]]) -> Iterator[Part]:
    for key, part in pairs:
        yield f"[{_in_short(key)}]", part
        yield f".key({_in_short(key)})", key


def _items(items: Iterable[Any]) -> Iterator[Part]:
    for i, part in enumerate(items):
        yield f"[{i}]", part


def _parts_of_set(items: Iterable[Any]) -> Iterator[Part]:
    for part in items:
        yield "{...}", part


def _parts_of_function(function: FunctionType) -> Iterator[Part]:
    for i, cell in enumerate(function.__closure__ or ()):
        try:
            part = cell.cell_contents
        except ValueError:  # a variable that has no value yet
            continue
        yield f".__closure__[{i}]", part
    yield from _below(".__defaults__", _items(function.__defaults__ or ()))
    yield from _below(".__kwdefaults__", _pairs((function.__kwdefaults__ or {}).items()))
    for name in _global_names(function.__code__):
        if name in function.__globals__:
            yield f".__globals__[{name!r}]", function.__globals__[name]
    yield from _attributes(vars(function))
    yield from _below(".__annotations__", _pairs(function.__annotations__.items()))


def _global_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


def _parts_of_class(kind: type) -> Iterator[Part]:
    made_by_slots = (GetSetDescriptorType, MemberDescriptorType)
    for name, part in type.__getattribute__(kind, "__dict__").items():
        if name not in _NOT_OF_A_CLASS and type(part) not in made_by_slots:
            yield f".{name}", part
    yield from _below(".__bases__", _items(kind.__bases__))


def _parts_of_partial(partial: functools.partial[Any]) -> Iterator[Part]:
    yield ".func", partial.func
    yield from _below(".args", _items(partial.args))
    yield from _below(".keywords", _pairs(partial.keywords.items()))
    yield from _attributes(vars(partial))


def _named(*names: str) -> Callable[[Any], Iterator[Part]]:
    def parts(value: Any) -> Iterator[Part]:
        for name in names:
            yield f".{name}", getattr(value, name)

    return parts


_BY_TYPE: dict[type, Callable[[Any], Iterator[Part]]] = {
    dict: lambda value: _pairs(value.items()),
    list: _items,
    tuple: _items,
    set: _parts_of_set,
    frozenset: _parts_of_set,
    FunctionType: _parts_of_function,
    MethodType: _named("__self__", "__func__"),
    functools.partial: _parts_of_partial,
    staticmethod: _named("__func__"),
    classmethod: _named("__func__"),
    property: _named("fget", "fset", "fdel"),
}


def _reduce(value: Any) -> Any:
    known = getattr(cloudpickle.Pickler, "dispatch_table", copyreg.dispatch_table)
    reducer = known.get(type(value))
    return value.__reduce_ex__(5) if reducer is None else reducer(value)


def _parts_of_reduced(value: Any, reduced: Any) -> Iterator[Part]:
    if not isinstance(reduced, tuple):
        return  # the name of a global
    function, arguments, state, items, pairs, *_ = (*reduced, None, None, None, None)
    yield ".__reduce__()[0]", function
    stored = ".args" if issubclass(type(value), BaseException) else ".__reduce__()[1]"
    for label, part in _below(stored, _items(arguments or ())):
        yield (".__class__" if part is type(value) else label), part
    yield from _state(state)
    yield from _items(items or ())
    yield from _pairs(pairs or ())


def _state(state: Any) -> Iterator[Part]:
    if _is_dict_and_slots(state):
        for each in state:
            yield from _attributes(each or {})
    elif type(state) is dict:
        yield from _attributes(state)
    elif state is not None:
        yield ".__getstate__()", state


def _is_dict_and_slots(state: Any) -> bool:
    pair = type(state) is tuple and len(state) == 2
    return pair and all(each is None or type(each) is dict for each in state)


def _attributes(state: Mapping[Any, Any]) -> Iterator[Part]:
    for name, part in state.items():
        plain = type(name) is str and name.isidentifier()
        yield (f".{name}" if plain else f".__getstate__()[{_in_short(name)}]"), part


def _below(label: str, parts: Iterable[Part]) -> Iterator[Part]:
    for further, part in parts:
        yield label + further, part


def _in_short(key: Any) -> str:
    try:
        return reprlib.repr(key)
    except Exception:
        return "..."
