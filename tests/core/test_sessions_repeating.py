"""What repeats a run, read again by Kedro's own command."""

from __future__ import annotations

import datetime
import shlex
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kedro.framework.cli.project import run as kedro_run_command

from prunner.errors import RecordError
from prunner.sessions.archive import Entry
from prunner.sessions.commands import kedro_run
from prunner.sessions.commands.kedro_run import Said, as_file, as_line, say
from prunner.sessions.commands.repeating import Repetition, rerun_of, resume_of
from prunner.sessions.plain import Described
from prunner.sessions.records import Outcome
from tests.core.session_entries import a_session, an_entry

PROJECT = Path("/home/ada/shop")
NASTY = (
    "1", "1e3", "0x1", "true", "no", "null", "~", "", " ", " a", "a ", "a,b", "a=b", "a:b", "a.b",
    "${x}", "${", "[1", "{", "'", '"', "\\", "\n", "\x00", "\x85", "\u2028", "2024-01-01", "1:30",
    "ünï", "🎉", "-x", "#x", "???", "<<", "$HOME", "`ls`", "a&b", "%PATH%", "!x", "*", "(a)",
)  # fmt: skip
TEXTS = st.sampled_from(NASTY) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=8
).filter(lambda text: "***" not in text)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
PARAMETERS = st.dictionaries(TEXTS, VALUES, max_size=4)


def repetition(entry: Entry, **more: Any) -> Repetition:
    return rerun_of(entry, PROJECT, "conf", **more)


def understood(said: Said) -> dict[str, Any]:
    """What Kedro's own command makes of what it is told, by a shell."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = list(said.arguments)
        if said.config is not None:
            file = Path(folder, "run.yml")
            file.write_text(as_file(said.config), encoding="utf-8")
            arguments = ["--config", str(file)]
        line = as_line(["kedro", "run", *arguments], on_windows=False)
        context = kedro_run_command.make_context("run", shlex.split(line)[2:])
        return {name: each for name, each in context.params.items() if each and name != "config"}


def without(nested: Mapping[Any, Any], lost: set[str], above: str = "params.") -> dict[Any, Any]:
    found = {}
    for key, value in nested.items():
        path = f"{above}{key}"
        if isinstance(value, Mapping) and value and path not in lost:
            value = without(value, lost, f"{path}.")
            if not value:
                continue
        if path not in lost:
            found[key] = value
    return found


# --- runtime parameters -----------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(PARAMETERS, st.booleans())
@example({"a": "${", "b": {"c": "${", "d": 1}}, False)
@example({"a": {"b": {}}, "c": [], "d": [1, "2", {"e": None}]}, False)
def test_kedro_gets_the_parameters_that_were_on_record(
    params: dict[str, Any], on_windows: bool
) -> None:
    found = repetition(an_entry(runtime_params=params))
    assert not found.missing
    said = say(found.options, on_windows=on_windows)
    # What Kedro's own files cannot hold is named, and nothing else is.
    assert all("${" in repr(params) or "$" in name for name in said.unsaid), said.unsaid
    left = without(params, set(said.unsaid))
    assert repr(understood(said).get("params", {})) == repr(left)


@pytest.mark.parametrize(
    ("params", "argument"),
    [
        ({"a": 1, "b": {"c": "x y", "d": False}}, "--params=a=1,b.c=x y,b.d=false"),
        ({"a": None, "b": {}, "c": -1.5e-7}, "--params=a=null,b={},c=-1.5e-07"),
        ({"ünï": "Ω"}, "--params=ünï=Ω"),
        ({"a": ["b"]}, '--params=a=["b"]'),
    ],
)
def test_what_options_can_say_is_said_by_options(params: dict[str, Any], argument: str) -> None:
    said = say(repetition(an_entry(runtime_params=params, runner="")).options, on_windows=False)
    assert said.arguments == [argument]
    assert said.config is None


@pytest.mark.parametrize(
    "value", ["1", "true", "a,b", " a", "", [1, 2], 1e400, "a\nb", "\x1b[2J", "x" * 3000]
)
def test_what_options_cannot_say_is_in_a_file(value: Any) -> None:
    said = say(repetition(an_entry(runtime_params={"a": {"b": value}})).options)
    assert said.arguments == []
    assert said.config == {
        "run": {"runner": "prunner.ParallelRunner", "params": {"a": {"b": value}}}
    }
    assert not said.unsaid


def test_a_tuple_is_a_list_and_a_path_is_a_path() -> None:
    said = say(repetition(an_entry(runtime_params={"t": (1, (2,)), "p": Path("a/b")})).options)
    assert understood(said)["params"] == {"t": [1, [2]], "p": Path("a/b")}


@pytest.mark.parametrize(
    "value", [datetime.date(2024, 1, 2), Decimal("1.5"), {1}, "${", "\ud800", {None: 1}]
)
def test_what_kedro_cannot_be_told_is_named(value: Any) -> None:
    said = say({"params": {"a": {"b": value}, "c": 1}})
    assert [name.removesuffix(".None") for name in said.unsaid] == ["params.a.b"]
    assert understood(said)["params"] == {"c": 1}


def test_secrets_and_objects_are_missing() -> None:
    params = {
        "db": {"password": "***", "host": "h", "url": "x://u:***@h"},
        "models": [1, Described("shop.Model", "Model()")],
        "only": {"token": "***"},
        "key ***": 1,
    }
    found = repetition(an_entry(runtime_params=params))
    assert found.options["params"] == {"db": {"host": "h"}}
    assert found.missing == {
        "params.db.password": "a secret, which is not on record",
        "params.db.url": "a secret, which is not on record",
        "params.models": "an object of shop.Model, which is not on record",
        "params.only.token": "a secret, which is not on record",
        "params.key ***": "a secret, which is not on record",
    }


def test_given_parameters_replace_recorded_ones() -> None:
    entry = an_entry(runtime_params={"db": {"password": "***", "host": "h"}, "a": 1, "b": 2})
    found = repetition(entry, given={"db": {"password": "x"}, "a": {"new": 3}})
    assert not found.missing
    assert found.options["params"] == {
        "db": {"password": "x", "host": "h"},
        "a": {"new": 3},
        "b": 2,
    }


# --- everything else --------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXTS | st.just("f([a,b]) -> [c]"), max_size=3), st.sampled_from(
    ["node_names", "from_nodes", "to_nodes", "namespaces", "tags", "from_inputs", "to_outputs"]
))  # fmt: skip
@example(["a,b"], "node_names")
@example(["f([a,b]) -> [c]", "x y"], "node_names")
def test_names_are_what_they_were_or_named(names: list[str], option: str) -> None:
    said = say(repetition(an_entry(parameters={option: names})).options, on_windows=False)
    found = understood(said)
    assert list(found.get(option, ())) == ([] if option in said.unsaid else names)
    if option in said.unsaid:
        assert any({*",[]\x00\n$"} & {*name} or name != name.strip() or not name for name in names)


def test_all_that_a_run_was_told() -> None:
    entry = an_entry(
        parameters={
            "pipeline_names": ["b", "a"],
            "tags": ("x", "y"),
            "node_names": ["f([a,b]) -> [c]"],
            "to_outputs": ["out"],
            "load_versions": {"model": "2024-01-01T00.00.00.000Z"},
            "namespaces": ["n"],
            "only_missing_outputs": True,
        },
        data={"env": "prod"},
        options={"max_workers": 2, "node_options": {"f": {"tries": 3}}, "is_async": True},
    )
    found = repetition(entry)
    assert not found.missing
    assert not found.notes
    said = {
        "pipelines": ["b", "a"],
        "tags": ["x", "y"],
        "node_names": ["f([a,b]) -> [c]"],
        "to_outputs": ["out"],
        "load_versions": {"model": "2024-01-01T00.00.00.000Z"},
        "namespaces": ["n"],
        "only_missing_outputs": True,
        "env": "prod",
        "runner": "prunner.ParallelRunner",
        "runner_params": {"max_workers": 2, "node_options": {"f": {"tries": 3}}, "is_async": True},
    }
    # Not all of these are options of Kedro 1.0.
    known = {name: value for name, value in said.items() if kedro_run.can(name)}
    assert understood(say(found.options)) == known
    assert say(found.options).unsaid.keys() == said.keys() - known.keys()


def test_defaults_are_not_said() -> None:
    entry = an_entry(
        runner="kedro.runner.SequentialRunner",
        parameters={"pipeline_names": ["__default__"]},
    )
    assert repetition(entry).options == {}
    assert say({}) == Said([])
    both = an_entry(parameters={"pipeline_names": ["__default__", "a"]})
    assert repetition(both).options["pipelines"] == ["__default__", "a"]


@pytest.mark.parametrize(
    ("conf_source", "said"),
    [
        ("/home/ada/shop/conf", None),
        ("/elsewhere/conf", "/elsewhere/conf"),
        ("s3://bucket/conf", "s3://bucket/conf"),
    ],
)
def test_configuration_of_another_place(conf_source: str, said: str | None) -> None:
    moved = Path("/srv/shop")
    found = rerun_of(an_entry(data={"conf_source": conf_source}), moved, "conf")
    assert found.options.get("conf_source") == said
    if said is not None:
        assert f"--conf-source={said}" in say(found.options, on_windows=False).arguments


def test_options_of_other_runners_are_those_of_the_command() -> None:
    runner = "kedro.runner.ThreadRunner"
    cli = {"params": {"runner": runner, "runner_params": {"max_workers": 3}, "is_async": True}}
    found = repetition(an_entry(runner=runner, data={"cli": cli}))
    assert found.options["runner_params"] == {"max_workers": 3, "is_async": True}
    assert not found.notes
    found = repetition(an_entry(data={"cli": cli}, options={"max_workers": 4}))
    assert found.options["runner_params"] == {"max_workers": 4}
    assert "are not on record" in repetition(an_entry(runner=runner)).notes[0]


@pytest.mark.parametrize("runner", ["__main__.Mine", "shop.make.", ""])
def test_a_runner_that_nobody_can_import(runner: str) -> None:
    found = repetition(an_entry(runner=runner))
    assert "runner" not in found.options
    assert bool(found.missing) is bool(runner)


def test_a_name_with_a_secret_in_it() -> None:
    found = repetition(an_entry(parameters={"tags": ["a", "***"]}))
    assert found.missing == {"tags": "a secret, which is not on record"}


def test_a_session_that_ran_nothing() -> None:
    with pytest.raises(RecordError, match="ran nothing that could be repeated"):
        repetition(a_session())


# --- shells -----------------------------------------------------------------------------------


def test_lines_for_shells() -> None:
    argv = ["kedro", "run", "--nodes=a b,it's"]
    assert as_line(argv, on_windows=False) == """kedro run '--nodes=a b,it'"'"'s'"""
    assert as_line([*argv[:2], "--nodes=a b"], on_windows=True) == 'kedro run "--nodes=a b"'


@pytest.mark.parametrize("name", ["a&b", "%PATH%", "a|b", '"', "f(x) -> y", "$x", "it's"])
def test_what_shells_of_windows_take_for_something_else(name: str) -> None:
    assert say({"node_names": [name]}, on_windows=True).config == {"run": {"node_names": name}}
    assert say({"node_names": [name]}, on_windows=False).config is None


def test_a_console_that_does_not_know_a_character() -> None:
    options = {"tags": ["ü", "π"]}
    assert say(options, "cp1252", on_windows=False).config == {"run": {"tags": "ü,π"}}
    assert say(options, "utf-8", on_windows=False).config is None


def test_nothing_of_a_command_gets_at_the_terminal() -> None:
    assert say({"tags": ["a\x1b[2J"]}).config == {"run": {"tags": "a\x1b[2J"}}


def test_a_name_that_a_file_cannot_hold() -> None:
    names = {"tags": ["${"], "node_names": ["a"]}
    assert not say(names, on_windows=False).unsaid
    said = say({**names, "params": {"needs": "a, file"}})
    assert said.config == {"run": {"node_names": "a", "params": {"needs": "a, file"}}}
    assert said.unsaid.keys() == {"tags"}


# --- earlier releases of Kedro ----------------------------------------------------------------


def test_options_that_this_kedro_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [each for each in kedro_run_command.params if each.name not in NEW]
    monkeypatch.setattr(kedro_run_command, "params", known)
    options = {
        "pipelines": ["a"],
        "runner_params": {"is_async": True},
        "only_missing_outputs": True,
    }
    said = say(options)
    assert list(said.arguments) == ["--pipeline=a", "--async"]
    assert said.unsaid == {"only_missing_outputs": "this Kedro has no such option"}
    said = say({"pipelines": ["a", "b"], "runner_params": {"max_workers": 2}})
    assert said.unsaid.keys() == {"pipelines", "runner_params"}


NEW = ("pipelines", "runner_params", "only_missing_outputs")


# --- resume -----------------------------------------------------------------------------------


def resumed(entry: Entry, *, can_skip: bool = True) -> Repetition:
    return resume_of(entry, repetition(entry), can_skip)


def test_a_failed_run_goes_on_where_it_failed() -> None:
    entry = an_entry(
        outcome=Outcome.FAILED,
        resume={"from_nodes": ["b", "c"]},
        parameters={"from_nodes": ["a"], "tags": ["t"]},
    )
    found = resumed(entry)
    assert found.options["from_nodes"] == ["b", "c"]
    assert found.options["tags"] == ["t"]
    assert found.notes == ("Runs what is missing, and what has to run again for that.",)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.INTERRUPTED])
def test_nothing_is_known_to_be_gained(outcome: Outcome) -> None:
    entry = an_entry(outcome=outcome)
    found = resumed(entry)
    assert found.options == repetition(entry).options
    assert found.notes[0].startswith("Runs everything")


def test_a_lost_run_skips_what_is_there() -> None:
    entry = an_entry(outcome=Outcome.LOST, ended=None)
    found = resumed(entry)
    assert found.options["only_missing_outputs"] is True
    assert "Its process is gone" in found.notes[0]
    assert "only_missing_outputs" not in resumed(entry, can_skip=False).options


@pytest.mark.parametrize(
    ("outcome", "text"), [(Outcome.COMPLETED, "nothing to resume"), (Outcome.RUNNING, "goes on")]
)
def test_nothing_to_resume(outcome: Outcome, text: str) -> None:
    with pytest.raises(RecordError, match=text):
        resumed(an_entry(outcome=outcome))


def test_this_kedro_has_an_option_or_not() -> None:
    assert kedro_run.can("params")
    assert not kedro_run.can("nothing_like_that")
