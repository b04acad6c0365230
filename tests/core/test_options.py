from __future__ import annotations

import logging
import multiprocessing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loky import cpu_count

from prunner import OptionError, ParallelRunner
from prunner.options import DEFAULT_START_METHOD as DEFAULT
from prunner.options import (
    available_start_methods,
    check_idle_timeout,
    check_is_async,
    check_max_workers,
    check_threads,
    check_worker_hooks,
    resolve_start_method,
    threads_that_fit,
)

OURS, KEDROS = "PRUNNER_START_METHOD", "KEDRO_MP_CONTEXT"


@pytest.fixture
def as_on_windows(monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    monkeypatch.setattr("prunner.options.DEFAULT_START_METHOD", "loky")


def warnings_of(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


# --- max_workers ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 61, 1000])
def test_a_positive_number_of_workers_is_taken(number):
    assert check_max_workers(number) == number


def test_without_a_number_the_cpus_are_counted():
    assert check_max_workers(None) >= 1


@pytest.mark.parametrize("number", [0, -1])
def test_no_workers_at_all_are_refused(number):
    with pytest.raises(OptionError, match=f"max_workers must be at least 1, not {number}"):
        check_max_workers(number)


@pytest.mark.parametrize("value", [True, False, 2.0, "2", [2], float("nan")], ids=repr)
def test_what_is_no_whole_number_of_workers_is_refused_by_its_type(value):
    with pytest.raises(OptionError) as caught:
        check_max_workers(value)
    assert f"not {value!r} ({type(value).__name__})" in str(caught.value)


# --- is_async ---------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", [True, False])
def test_a_flag_is_taken(flag):
    assert check_is_async(flag) is flag


@pytest.mark.parametrize("value", [0, 1, "true", "", None], ids=repr)
def test_what_is_no_flag_is_refused(value):
    with pytest.raises(OptionError, match=f"is_async must be True or False, not {value!r}"):
        check_is_async(value)


# --- start_method -----------------------------------------------------------------------------


def test_the_default_is_lokys_way():
    assert DEFAULT == "loky"
    assert resolve_start_method(None) == DEFAULT
    assert available_start_methods()[0] == DEFAULT


@pytest.mark.parametrize("method", available_start_methods())
@pytest.mark.parametrize("source", ["option", OURS, KEDROS])
def test_every_start_method_can_be_chosen_everywhere(method, source, monkeypatch, caplog):
    if source != "option":
        monkeypatch.setenv(source, method)
    assert resolve_start_method(method if source == "option" else None) == method
    assert warnings_of(caplog) == []


def test_the_option_goes_before_our_variable_and_that_before_kedros(monkeypatch):
    monkeypatch.setenv(KEDROS, "spawn")
    assert resolve_start_method(None) == "spawn"
    monkeypatch.setenv(OURS, "loky")
    assert resolve_start_method(None) == "loky"
    assert resolve_start_method("spawn") == "spawn"


def test_a_good_option_does_not_look_at_bad_variables(monkeypatch, caplog):
    monkeypatch.setenv(OURS, "nonsense")
    monkeypatch.setenv(KEDROS, "nonsense")
    assert resolve_start_method("spawn") == "spawn"
    assert warnings_of(caplog) == []


@pytest.mark.parametrize("value", ["nonsense", "", "SPAWN", 3, ["spawn"]], ids=repr)
def test_an_unknown_option_is_refused_with_the_known_ones(value):
    with pytest.raises(OptionError) as caught:
        resolve_start_method(value)
    assert str(caught.value).startswith(
        f"start_method must be one of {', '.join(available_start_methods())}: {value!r} is unknown"
    )


def test_an_unknown_value_of_our_variable_is_refused_by_its_name(monkeypatch):
    monkeypatch.setenv(OURS, "nonsense")
    with pytest.raises(OptionError, match="environment variable PRUNNER_START_METHOD must be one"):
        resolve_start_method(None)


def test_our_variable_left_empty_is_as_good_as_unset(monkeypatch, caplog):
    monkeypatch.setenv(OURS, "")
    assert resolve_start_method(None) == DEFAULT
    monkeypatch.setenv(KEDROS, "spawn")
    assert resolve_start_method(None) == "spawn"
    assert warnings_of(caplog) == []


def test_an_unknown_value_of_kedros_variable_is_ignored_aloud(monkeypatch, caplog):
    monkeypatch.setenv(KEDROS, "nonsense")
    assert resolve_start_method(None) == DEFAULT
    (warning,) = warnings_of(caplog)
    assert "KEDRO_MP_CONTEXT='nonsense'" in warning
    assert f"'{DEFAULT}'" in warning


def test_an_empty_value_of_kedros_variable_is_ignored(monkeypatch):
    monkeypatch.setenv(KEDROS, "")
    assert resolve_start_method(None) == DEFAULT


@pytest.mark.usefixtures("as_on_windows")
def test_what_this_system_does_not_have_is_refused_with_the_reason(monkeypatch):
    assert available_start_methods() == ("loky", "spawn")
    with pytest.raises(OptionError) as caught:
        resolve_start_method("fork")
    assert str(caught.value) == (
        "start_method must be one of loky, spawn: 'fork' does not exist on this operating system."
    )
    monkeypatch.setenv(OURS, "forkserver")
    with pytest.raises(OptionError, match="'forkserver' does not exist on this operating system"):
        resolve_start_method(None)


@pytest.mark.usefixtures("as_on_windows")
def test_kedros_variable_may_name_what_this_system_does_not_have(monkeypatch, caplog):
    monkeypatch.setenv(KEDROS, "fork")
    assert resolve_start_method(None) == "loky"
    assert len(warnings_of(caplog)) == 1


# --- the runner -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"max_workers": 0}, {"is_async": "yes"}, {"start_method": "nonsense"}], ids=str
)
def test_the_runner_refuses_bad_options_when_it_is_made(options):
    with pytest.raises(OptionError):
        ParallelRunner(**options)


def test_the_runner_shows_its_options():
    runner = ParallelRunner(3, is_async=True, start_method="spawn")
    assert repr(runner) == (
        "prunner.ParallelRunner(max_workers=3, is_async=True, start_method='spawn')"
    )


def test_the_environment_is_asked_when_the_runner_is_made(monkeypatch):
    monkeypatch.setenv(OURS, "spawn")
    assert "start_method='spawn'" in repr(ParallelRunner(1))


def test_worker_hooks_are_names():
    assert check_worker_hooks(None) is None
    assert check_worker_hooks([]) == ()
    assert check_worker_hooks("a.B  c") == ("a.B", "c")
    assert check_worker_hooks(name for name in ("a", "b")) == ("a", "b")


@pytest.mark.parametrize("wrong", [7, [None], [""], [" "], [b"a"], object])
def test_worker_hooks_that_are_no_names_are_refused(wrong):
    with pytest.raises(OptionError, match="worker_hooks must be names"):
        check_worker_hooks(wrong)


# --- threads_per_worker, idle_timeout ---------------------------------------------------------


def test_threads_are_left_to_the_number_of_workers_or_chosen():
    assert check_threads(None) is None
    assert check_threads(3) == 3


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True], ids=repr)
def test_no_worker_can_use_such_a_number_of_threads(value):
    with pytest.raises(OptionError, match="threads_per_worker must be"):
        check_threads(value)


@given(st.integers(1, 64))
def test_all_threads_together_fit_the_cpus_and_each_worker_has_one(workers):
    threads = threads_that_fit(workers)
    assert threads == 1 or threads * workers <= cpu_count()
    assert (threads + 1) * workers > cpu_count()


@pytest.mark.parametrize("value", [0, 0.5, 300])
def test_workers_may_wait_so_long(value):
    assert check_idle_timeout(value) == value


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "10", None, True], ids=repr)
def test_workers_cannot_wait_so_long(value):
    with pytest.raises(OptionError, match="idle_timeout must be a number of seconds"):
        check_idle_timeout(value)
