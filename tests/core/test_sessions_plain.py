"""What is stored is what comes back, and never more than data."""

from __future__ import annotations

import datetime
import json
import math
from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunner.sessions import plain
from prunner.sessions.plain import Described


def without_fold(value):
    return value.replace(fold=0)  # isoformat() leaves it out


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.datetimes(timezones=st.none() | st.just(datetime.timezone.utc)).map(without_fold)
    | st.dates()
    | st.times().map(without_fold)
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.binary()
    | st.complex_numbers(allow_nan=False, allow_infinity=False)
)
keys = st.text() | st.integers() | st.dates() | st.tuples(st.integers(), st.text())
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(keys, inner)
        | st.sets(st.integers() | st.text())
    ),
    max_leaves=20,
)


@settings(max_examples=40)
@given(values)
def test_every_value_comes_back_as_it_was(value):
    text = plain.dumps(value)
    text.encode("ascii")  # so that lone surrogates cannot break a database
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    found = plain.loads(text)
    assert found == value
    assert repr(found) == repr(value) or isinstance(value, (dict, set, list, tuple))


def test_paths_come_back_as_paths():
    assert plain.loads(plain.dumps({"at": Path("data") / "01"})) == {"at": Path("data") / "01"}


def test_what_is_no_number_comes_back():
    found = plain.loads(plain.dumps([math.nan, math.inf, -math.inf, np.float32("nan")]))
    assert math.isnan(found[0]) and found[1:3] == [math.inf, -math.inf] and math.isnan(found[3])


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        (np.float64(1.5), 1.5),
        (np.int32(-3), -3),
        (np.bool_(True), True),
        (np.str_("é"), "é"),
        (np.datetime64("2026-11-26"), datetime.date(2026, 11, 26)),
    ],
)
def test_scalars_of_numpy_become_those_of_python(scalar, expected):
    found = plain.loads(plain.dumps({"x": scalar}))["x"]
    assert (found, type(found)) == (expected, type(expected))


class Colour(Enum):
    RED = 1


class Broken:
    def __repr__(self):
        raise RuntimeError("no")


class Text(str):
    pass


class Level(IntEnum):
    HIGH = 3


class Lazy(Mapping[str, int]):
    """As a configuration in which a value is missing."""

    def __getitem__(self, name):
        raise RuntimeError("no")

    def __iter__(self):
        return iter(("a",))

    def __len__(self):
        return 1

    def __repr__(self):
        return "<lazy>"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Colour.RED, "<Colour.RED: 1>"),
        (len, "<built-in function len>"),
        (np.arange(3), "array([0, 1, 2])"),
        (np.longdouble("1.5"), repr(np.longdouble("1.5"))),
        (Broken(), f"<{__name__}.Broken, whose repr() raised RuntimeError>"),
        (Lazy(), "<lazy>"),
    ],
)
def test_an_object_is_described(value, text):
    found = plain.loads(plain.dumps([value]))
    assert isinstance(found[0], Described)
    assert repr(found[0]) == text


def test_subclasses_of_what_json_knows_keep_their_values():
    value = [Text("a"), OrderedDict(b=1), MappingProxyType({"c": 2})]
    found = plain.loads(plain.dumps([*value, Level.HIGH]))
    assert found == ["a", {"b": 1}, {"c": 2}, 3]
    assert [type(each) for each in found] == [str, dict, dict, int]


def test_a_long_text_and_a_long_description_are_cut():
    found = plain.loads(plain.dumps(["x" * 1_000_000, list(range(3)), set(range(10**5))]))
    assert isinstance(found[0], Described)
    assert len(repr(found[0])) < 1000 and "1,000,002 characters" in repr(found[0])


def test_a_number_of_which_there_is_no_text_is_described():
    found = plain.loads(plain.dumps([10**3000, 10**5000]))
    assert found[0] == 10**3000
    assert isinstance(found[1], Described)


def test_what_contains_itself_ends():
    value: list[object] = [1]
    value.append(value)
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    found = plain.loads(plain.dumps([value, deep]))
    assert found[0][0] == 1
    assert isinstance(found[0][1], Described)


def test_a_name_that_looks_like_one_of_ours_is_no_tag():
    value = {"$path": "x", "$object": {"text": "y"}, "$float": 3}
    assert plain.loads(plain.dumps(value)) == value


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda i: (
            st.lists(i)
            | st.dictionaries(
                st.text()
                | st.sampled_from(["$float", "$items", "$tuple", "$set", "$object", "$path"]),
                i,
            )
        ),
    )
)
def test_reading_runs_nothing(written):
    """Whatever somebody has written into the file: data comes out, or an error."""
    try:
        found = plain.from_plain(written)
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError):
        return
    assert type(found).__module__ in ("builtins", "pathlib", "prunner.sessions.plain", "decimal")


def test_types_that_are_kept_are_these():
    kept = [Decimal("1.10"), UUID(int=5), b"\x00\xff", 1 + 2j, (1, 2), {3}, Path("a")]
    assert plain.loads(plain.dumps(kept)) == kept
