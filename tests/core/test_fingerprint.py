"""A function is the same one as long as its code is, in whichever process."""

from __future__ import annotations

import functools
import subprocess
import sys

import numpy as np
import pytest

from prunner.fingerprint import digest_of, name_of


def one(x):
    return x in {"a", "b", "c"} and [y for y in x]


def compiled(source):
    names: dict[str, object] = {"functools": functools}
    exec(source, names)
    return names["f"]


SAME = [
    ("def f(x): return x + 1", "def f(x):\n    # a comment\n    return x + 1\n"),
    ("def f(x): return x", "def f(x) -> int: return x"),
]
OTHERS = [
    ("def f(x): return x + 1", "def f(x): return x + 2"),
    ("def f(x): return x.a", "def f(x): return x.b"),
    ("def f(x): return x + 1", "def f(x): return x - 1"),
    ("def f(x): return (lambda y: y + 1)(x)", "def f(x): return (lambda y: y + 2)(x)"),
    ("def f(x): return 1", "def f(x): return 1.0"),
    ("f = functools.partial(int, base=2)", "f = functools.partial(str)"),
    (
        "def g(x): return 1\n@functools.wraps(g)\ndef f(x): return g(x)",
        "def g(x): return 2\n@functools.wraps(g)\ndef f(x): return g(x)",
    ),
    (
        "class C:\n    def __call__(self, x): return 1\nf = C()",
        "class C:\n    def __call__(self, x): return 2\nf = C()",
    ),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_comments_and_lines_do_not_count(first, second):
    assert digest_of(compiled(first)) == digest_of(compiled(second))


@pytest.mark.parametrize(("first", "second"), OTHERS)
def test_every_change_of_code_counts(first, second):
    assert digest_of(compiled(first)) != digest_of(compiled(second))
    assert digest_of(compiled(first)) == digest_of(compiled(first))


def test_another_process_finds_the_same():
    code = "from tests.core.test_fingerprint import *; print(digest_of(one))"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            encoding="utf-8",
            env={**__import__("os").environ, "PYTHONHASHSEED": seed},
        )
        assert done.stdout.strip() == digest_of(one), done.stderr


@pytest.mark.parametrize("function", [len, np.add, np.mean, str.upper, functools.partial(one, 1)])
def test_any_callable_has_one(function):
    assert len(digest_of(function)) == 16
    assert name_of(function)


class Model:
    wrapped = np.arange(3)

    @property
    def func(self):
        raise RuntimeError("not fitted")

    def __getattr__(self, name):
        if name == "__wrapped__":
            return self.wrapped  # which is neither true nor false
        raise AttributeError(name)

    def __call__(self, x):
        return x


def test_no_property_of_a_callable_gets_in_the_way():
    assert len(digest_of(Model())) == 16


def test_names_say_where_a_function_is():
    assert name_of(one) == f"{__name__}.one"
    assert name_of(functools.partial(functools.partial(one, 1))) == f"{__name__}.one"
    assert name_of(compiled("class C:\n    def __call__(self): pass\nf = C()")).endswith("C")
