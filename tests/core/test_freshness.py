from __future__ import annotations

import importlib
import itertools
import os
import sys

import pytest

from prunner.processes.freshness import CodeWatch, LoadedModules, are_unchanged

_numbers = itertools.count()
LONG_AGO = 1_000_000_000  # seconds


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Makes a module of code, last changed long ago."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = []

    def make(code):
        name = f"edited_{next(_numbers)}"
        path = tmp_path / f"{name}.py"
        path.write_text(code, encoding="utf-8")
        os.utime(path, (LONG_AGO, LONG_AGO))
        made.append(name)
        return name, path

    yield make
    for name in made:
        sys.modules.pop(name, None)


def files_of(watch, path):
    return {file: stamp for file, stamp in watch.new_files().items() if file == str(path)}


def test_a_module_is_told_once_with_what_its_file_was(module):
    watch = CodeWatch(None)
    name, path = module("x = 1")
    importlib.import_module(name)
    files = files_of(watch, path)
    assert files == {str(path): (LONG_AGO * 10**9, 5)}
    assert are_unchanged(files)
    assert files_of(watch, path) == {}


@pytest.mark.parametrize("change", ["x = 22", None])
def test_a_file_that_has_changed_or_gone_is_noticed(module, change):
    watch = CodeWatch(None)
    name, path = module("x = 1")
    importlib.import_module(name)
    files = files_of(watch, path)
    if change is None:
        path.unlink()
    else:
        path.write_text(change, encoding="utf-8")
    assert not are_unchanged(files)


def test_an_older_version_put_in_its_place_is_noticed_too(module):
    watch = CodeWatch(None)
    name, path = module("x = 1")
    importlib.import_module(name)
    files = files_of(watch, path)
    os.utime(path, (LONG_AGO - 1, LONG_AGO - 1))
    assert not are_unchanged(files)


def test_a_file_that_may_have_changed_after_its_import_is_stale(module):
    watch = CodeWatch(None)
    name, path = module("x = 1")
    importlib.import_module(name)
    path.write_text("x = 2", encoding="utf-8")  # after the import, before the look
    assert not are_unchanged(files_of(watch, path))


def test_what_python_and_pip_have_installed_does_not_count():
    files = CodeWatch(None).new_files()
    assert str(importlib.import_module("json").__file__) not in files
    assert str(pytest.__file__) not in files
    assert str(pytest.__file__) in CodeWatch("pytest").new_files()  # a packaged project does


def test_a_module_that_is_loaded_anew_is_noticed(module):
    name, _ = module("x = 1")
    loaded = importlib.import_module(name)
    before = LoadedModules(None)
    assert before.are_the_same()
    importlib.reload(loaded)
    assert not before.are_the_same()


def test_a_module_that_is_taken_out_is_noticed(module):
    name, _ = module("x = 1")
    importlib.import_module(name)
    before = LoadedModules(None)
    del sys.modules[name]
    assert not before.are_the_same()


def test_a_module_that_is_new_makes_nothing_stale(module):
    before = LoadedModules(None)
    name, _ = module("x = 1")
    importlib.import_module(name)
    assert before.are_the_same()
