from __future__ import annotations

import abc
import collections
import dataclasses
import functools
import pickle
import re
import threading
import types
from typing import Any

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.pipeline import node

from prunner.bridge.culprit import explain, find_culprit

LOCK = type(threading.Lock())


class Box:
    """By reference, as classes of modules are."""

    def __init__(self, **content: Any) -> None:
        self.__dict__.update(content)

    def method(self, value: Any) -> Any:
        return value


class Slots:
    __slots__ = ("_lock", "unset")

    def __init__(self) -> None:
        self._lock = threading.Lock()


class SlotsAndMore(Slots):
    def __init__(self) -> None:
        super().__init__()
        self.name = "n"


@dataclasses.dataclass(frozen=True)
class Frozen:
    lock: Any


class OwnState:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.gone = threading.Lock()

    def __getstate__(self) -> Any:
        return {"lock": self.lock}


class StateOfAnotherKind:
    def __getstate__(self) -> Any:
        return ["s", threading.Lock()]


class Reduced:
    def __reduce__(self) -> Any:
        return Box, ("a", threading.Lock())


class Refuses:
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError("no")


class Evil:
    """Everything that is looked up raises."""

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError(name)

    @property
    def trap(self) -> Any:
        raise ZeroDivisionError

    def __repr__(self) -> str:
        raise ZeroDivisionError

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    def __hash__(self) -> int:
        return 1

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise ZeroDivisionError

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise ZeroDivisionError


class Nameless(type):
    @property
    def __name__(cls) -> Any:  # type: ignore[override]
        raise ZeroDivisionError


class HasNoName(Box, metaclass=Nameless):
    pass


class Passing:
    """Its parts exist only while they are asked for."""

    def __reduce__(self) -> Any:
        parts = ([threading.Lock()] if i == 9 else [i] for i in range(10))
        return Box, (), None, parts


class OddReduce:
    def __reduce_ex__(self, protocol: Any) -> Any:
        return 3, "of no use"


def culprit(value: Any, name: str | None = None) -> str | None:
    return find_culprit(value, cloudpickle.dumps, name)


def closure_over(value: Any) -> Any:
    return lambda: value


def with_defaults(first: Any = 1, second: Any = threading.Lock(), *, third: Any = 2) -> Any:  # noqa: B008
    return first, second, third


def by_value(function: Any, **more: Any) -> Any:
    """The same function as one of a script, which cloudpickle pickles by value."""
    copied = types.FunctionType(
        function.__code__,
        {**function.__globals__, "__name__": "__main__", **more},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copied.__module__ = "__main__"
    return copied


def uses_a_global() -> Any:
    return [hidden for _ in range(3)]  # type: ignore[name-defined] # noqa: F821


def test_the_lock_of_an_attribute_in_a_closure():
    path = culprit(closure_over(Box(name="n", _lock=threading.Lock())), "func")
    assert path == "func.__closure__[0] -> Box._lock (_thread.lock)"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Box(a=[1, {"k": threading.Lock()}]), "Box.a[1]['k']"),
        (Box(a=Box(b=threading.Lock())), "Box.a -> Box.b"),
        ({"a": (0, Box(b=threading.Lock()))}, "dict['a'][1] -> Box.b"),
        ({threading.Lock(): 1}, "dict.key("),
        ([{1, threading.Lock()}], "list[0]{...}"),
        (frozenset([threading.Lock()]), "frozenset{...}"),
        (Slots(), "Slots._lock"),
        (SlotsAndMore(), "SlotsAndMore._lock"),
        (Frozen(threading.Lock()), "Frozen.lock"),
        (OwnState(), "OwnState.lock"),
        (StateOfAnotherKind(), "StateOfAnotherKind.__getstate__()[1]"),
        (Reduced(), "Reduced.__reduce__()[1][1]"),
        (Box(**{"no name": threading.Lock()}), "Box.__getstate__()['no name']"),
        (ValueError("text", threading.Lock()), "ValueError.args[1]"),
        (functools.partial(print, 1, threading.Lock()), "partial.args[1]"),
        (functools.partial(print, end=threading.Lock()), "partial.keywords['end']"),
        (functools.partial(Box(l=threading.Lock()).method), "partial.func.__self__ -> Box.l"),
        (Box(l=threading.Lock()).method, "method.__self__ -> Box.l"),
        (by_value(with_defaults), "with_defaults.__defaults__[1]"),
        (by_value(uses_a_global, hidden=threading.Lock()), "uses_a_global.__globals__['hidden']"),
        (collections.OrderedDict(a=threading.Lock()), "OrderedDict['a']"),
        (collections.deque([1, threading.Lock()]), "deque[1]"),
        (types.SimpleNamespace(x=threading.Lock()), "SimpleNamespace.x"),
        (types.MappingProxyType({"a": threading.Lock()}), "mappingproxy.__reduce__()[1][0]['a']"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_way_down(value, path):
    found = culprit(value)
    assert found is not None
    assert found.startswith(path)
    assert found.endswith(" (_thread.lock)")


def test_keyword_defaults_and_attributes_of_functions():
    def function(*, option: Any = threading.Lock()) -> None:  # noqa: B008
        pass

    assert culprit(function) == "function.__kwdefaults__['option'] (_thread.lock)"

    def other() -> None:
        pass

    other.lock = threading.Lock()  # type: ignore[attr-defined]
    assert culprit(other) == "other.lock (_thread.lock)"


def test_a_variable_of_a_closure_that_has_no_value_yet():
    def outer(late: Any) -> Any:
        def inner() -> Any:
            return late, lock  # noqa: F821

        lock = threading.Lock()
        del late
        return inner

    assert culprit(outer(1)) == "inner.__closure__[1] (_thread.lock)"


def test_attributes_of_a_class_that_is_pickled_by_value():
    class Base(abc.ABC):  # noqa: B024
        lock = threading.Lock()

        @property
        def it(self) -> Any:
            return self.lock

    class Local(Base):
        __slots__ = ("a",)

        def method(self) -> Any:
            return super().lock

    assert culprit(Base) == "Base.lock (_thread.lock)"
    assert culprit(Local()) == "Local.__class__ -> Local.__bases__[0] -> Base.lock (_thread.lock)"


@pytest.mark.parametrize("kind", [staticmethod, classmethod, property])
def test_what_a_method_holds(kind):
    class Local:
        pass

    Local.it = kind(closure_over(threading.Lock()))  # type: ignore[attr-defined]
    found = str(culprit(Local))
    assert re.fullmatch(r"Local\.it\.(__func__|fget)\.__closure__\[0\] \(_thread\.lock\)", found)


def test_what_can_be_pickled_has_no_culprit():
    assert culprit(Box(a=[1, "x"], b=print), "value") is None


def test_an_object_that_is_itself_to_blame():
    assert culprit(threading.Lock()) is None
    assert culprit(threading.Lock(), "func") == "func (_thread.lock)"
    assert culprit(Box(a=Refuses())) == "Box.a (tests.core.test_culprit.Refuses)"
    assert culprit([OddReduce()]) == "list[0] (tests.core.test_culprit.OddReduce)"


def test_the_first_of_several_is_named():
    assert culprit([1, Refuses(), threading.Lock()]) == (
        "list[1] (tests.core.test_culprit.Refuses)"
    )


def test_cycles_end_and_lead_to_the_lock():
    parent = Box()
    parent.children = [Box(parent=parent), Box(parent=parent)]  # type: ignore[attr-defined]
    parent.itself = parent  # type: ignore[attr-defined]
    parent.lock = threading.Lock()  # type: ignore[attr-defined]
    assert culprit(parent) == "Box.lock (_thread.lock)"
    assert culprit(parent.children[1]) == "Box.parent -> Box.lock (_thread.lock)"  # type: ignore[attr-defined]


def test_deep_objects_end():
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert culprit(deep) is None
    chain: Any = threading.Lock()
    for _ in range(60):
        chain = [chain]
    assert culprit(chain) == f"list{'[0]' * 30} -> ... (list)"


def test_large_objects_end():
    calls = []

    def dumps(value: Any) -> Any:
        calls.append(1)
        return cloudpickle.dumps(value)

    many = [[i] for i in range(50_000)]
    assert find_culprit([*many, threading.Lock()], dumps) is None
    assert len(calls) <= 10_000
    numbers = list(range(50_000))
    assert find_culprit([*numbers, threading.Lock()], dumps) == "list[50000] (_thread.lock)"


def test_objects_that_all_refer_to_each_other_end():
    failures = []

    def dumps(value: Any) -> Any:
        try:
            return cloudpickle.dumps(value)
        except TypeError:
            failures.append(1)
            raise

    def crowd(size: int) -> Any:
        boxes = [Box() for _ in range(size)]
        for each in boxes:
            each.all = boxes  # type: ignore[attr-defined]
        boxes[-1].lock = threading.Lock()  # type: ignore[attr-defined]
        return boxes[0]

    assert find_culprit(crowd(50), dumps) == "Box.all[49] -> Box.lock (_thread.lock)"
    failures.clear()
    assert find_culprit(crowd(500), dumps) == "Box.all -> ... (list)"
    assert len(failures) <= 100


def test_the_bytes_of_a_search_are_limited():
    sizes = []

    def dumps(value: Any) -> Any:
        pickle.dumps(value)
        sizes.append(1 << 27)
        return range(1 << 27)

    assert find_culprit([[1], [2], [3], threading.Lock()], dumps) is None
    assert len(sizes) == 2


@pytest.mark.parametrize(
    "wrap",
    [
        lambda evil: evil,
        lambda evil: [evil],
        lambda evil: {"a": evil},
        lambda evil: {evil: 1},
        lambda evil: Box(e=evil),
        closure_over,
    ],
)
def test_odd_objects_raise_nothing_and_are_found(wrap):
    path = str(culprit(wrap(Evil()), "it"))
    assert "Evil" in path


def test_where_nothing_can_be_said_nothing_is():
    assert culprit(HasNoName(a=threading.Lock())) is None


def test_parts_that_do_not_last_are_not_mixed_up():
    assert culprit(Passing()) == "Passing[9][0] (_thread.lock)"


def test_long_keys_are_shortened():
    path = culprit({"k" * 10_000: threading.Lock()})
    assert path is not None
    assert len(path) < 100


def test_a_nodes_function_and_the_text_of_the_pickler():
    lock = threading.Lock()
    func = node(lambda value: (value, lock), "a", "b").func
    try:
        cloudpickle.dumps(func)
    except TypeError as error:
        text = explain(error, func, cloudpickle.dumps, "func")
        assert text == f"TypeError: {error}, found at func.__closure__[0] (_thread.lock)"
    assert explain(KeyError("k"), 1, cloudpickle.dumps) == "KeyError: 'k'"


# --- random objects -----------------------------------------------------------------------------

LEAVES = st.none() | st.integers() | st.text(max_size=3) | st.binary(max_size=3)
KEYS = st.text(max_size=3) | st.integers()
NAMES = st.sampled_from(["a", "b", "_c", "d1"])


def nested(leaves: Any) -> Any:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.lists(inner, max_size=4).map(tuple),
            st.dictionaries(KEYS, inner, max_size=4),
            st.dictionaries(NAMES, inner, max_size=4).map(lambda content: Box(**content)),
        ),
        max_leaves=12,
    )


@st.composite
def with_one_lock(draw: Any) -> Any:
    value: Any = threading.Lock()
    for _ in range(draw(st.integers(1, 6))):
        others = draw(st.lists(nested(LEAVES), max_size=3))
        at = draw(st.integers(0, len(others)))
        items = [*others[:at], value, *others[at:]]
        shape = draw(st.sampled_from(["list", "tuple", "dict", "Box"]))
        if shape == "list":
            value = items
        elif shape == "tuple":
            value = tuple(items)
        elif shape == "dict":
            keys = draw(st.lists(KEYS, min_size=len(items), max_size=len(items), unique_by=str))
            value = dict(zip(keys, items, strict=True))
        else:
            value = Box(**{f"x{i}": item for i, item in enumerate(items)})
    return value


@settings(max_examples=50)
@given(with_one_lock())
def test_whoever_follows_the_path_finds_the_lock(value):
    path = culprit(value)
    assert path is not None
    assert path.startswith(type(value).__name__)
    way = path.removeprefix(type(value).__name__).removesuffix(" (_thread.lock)")
    found = eval("value" + way.replace(" -> Box", ""), {"value": value})
    assert type(found) is LOCK


@given(nested(LEAVES))
def test_nothing_is_found_where_nothing_is(value):
    assert culprit(value, "it") is None
