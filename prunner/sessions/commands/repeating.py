"""The ``kedro run`` that repeats a run on record, or completes it. Pure.

The options of ``kedro run`` are called here as Kedro calls them inside: ``node_names`` for
``--nodes``. How they are written is a matter of ``kedro_run``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prunner.errors import RecordError
from prunner.sessions.archive import Entry
from prunner.sessions.commands import showing, texts
from prunner.sessions.plain import Described
from prunner.sessions.records import Outcome, RunRecord, SessionRecord

_NAMES = (
    "tags node_names from_nodes to_nodes from_inputs to_outputs namespaces load_versions"
).split()
_USUAL_RUNNER = "kedro.runner.SequentialRunner"


@dataclass(frozen=True, slots=True)
class Repetition:
    """What ``kedro run`` is to be told to repeat a run.

    Attributes:
        options: By the names of its options; without those that would say nothing.
        missing: What cannot be repeated, by its name, and why; a parameter is ``params.name``.
        notes: What somebody should know who repeats it.
    """

    options: Mapping[str, Any]
    missing: Mapping[str, str]
    notes: tuple[str, ...] = ()


def rerun_of(
    entry: Entry,
    project_path: Path,
    conf_source: str = "conf",
    given: Mapping[str, Any] | None = None,
) -> Repetition:
    """What repeats a run.

    Args:
        entry: The run.
        project_path: Folder of the project.
        conf_source: Where the project has its configuration, as its settings say.
        given: Runtime parameters that replace recorded ones.

    Raises:
        RecordError: If it is a session that ran nothing.
    """
    run = entry.run
    if run is None:
        raise RecordError(f"Session {entry.key} ran nothing that could be repeated.")
    runner = run.runner
    told = {
        "pipelines": _pipelines(entry),
        **{name: run.parameters.get(name) for name in _NAMES},
        "only_missing_outputs": run.parameters.get("only_missing_outputs"),
        "env": entry.session.data.get("env") or run.parameters.get("env"),
        "conf_source": _conf_source(entry.session, project_path, conf_source),
        "runner": None if runner == _USUAL_RUNNER else runner,
    }
    missing = {
        name: "a secret, which is not on record"
        for name, value in told.items()
        if texts.is_secret(value)
    }
    if runner and not _can_be_imported(runner):
        missing["runner"] = f"'{runner}' is no class that can be imported"
    nested = {
        "params": merged(showing.parameters_of(entry), given or {}),
        "runner_params": _runner_options(run, entry.session),
    }
    for name, values in nested.items():
        told[name], lost = without_missing(values)
        missing |= {f"{name}.{path}": why for path, why in lost.items()}
    options = {name: value for name, value in told.items() if value and name not in missing}
    return Repetition(options, missing, _notes(runner, entry.session))


def resume_of(entry: Entry, repetition: Repetition, can_skip: bool) -> Repetition:
    """What completes a run that did not complete.

    Args:
        entry: The run.
        repetition: What repeats it.
        can_skip: Whether ``kedro run`` can skip nodes whose outputs are there.

    Raises:
        RecordError: If there is nothing to complete.
    """
    run = entry.run
    assert run is not None
    if run.outcome is Outcome.COMPLETED:
        raise RecordError(
            f"Run {run.key} has completed: there is nothing to resume. 'prunner sessions rerun "
            f"{run.key}' repeats it."
        )
    if run.outcome is Outcome.RUNNING:
        raise RecordError(f"Run {run.key} goes on: process {run.pid} on {run.host}.")
    more: Mapping[str, Any] = run.resume or {}
    if run.resume:
        note = "Runs what is missing, and what has to run again for that."
    elif run.outcome is Outcome.LOST and can_skip:
        more = {"only_missing_outputs": True}
        note = (
            "Its process is gone without a word, so that nothing is known of its nodes: skips "
            "those whose outputs are all there and stored, also if they are of an earlier run."
        )
    else:
        note = "Runs everything: nothing is known that would not have to run again."
    return replace(
        repetition,
        options={**repetition.options, **more},
        notes=(note, *repetition.notes),
    )


def merged(recorded: Mapping[Any, Any], given: Mapping[Any, Any]) -> dict[Any, Any]:
    """Nested parameters, some of them replaced."""
    whole = dict(recorded)
    for name, value in given.items():
        old = whole.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = merged(old, value)
        whole[name] = value
    return whole


def without_missing(
    values: Mapping[Any, Any], above: str = ""
) -> tuple[dict[Any, Any], dict[str, str]]:
    """Nested values without those that are not on record, and these by their dotted paths."""
    kept: dict[Any, Any] = {}
    missing: dict[str, str] = {}
    for name, value in values.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            inner, lost = without_missing(value, f"{path}.")
            missing |= lost
            if inner:
                kept[name] = inner
        elif why := _why_missing(value) or _why_missing(name):
            missing[path] = why
        else:
            kept[name] = value
    return kept, missing


def _pipelines(entry: Entry) -> list[str]:
    names = texts.pipelines_of(entry)
    return [] if names == ["__default__"] else names


def _can_be_imported(path: str) -> bool:
    return not path.startswith("__main__.") and all(map(str.isidentifier, path.split(".")))


def _why_missing(value: Any) -> str | None:
    if texts.is_secret(value):
        return "a secret, which is not on record"
    described = _described_in(value)
    return None if described is None else f"an object of {described.kind}, which is not on record"


def _described_in(value: Any) -> Described | None:
    if isinstance(value, Described):
        return value
    parts = value.values() if isinstance(value, Mapping) else value
    if not isinstance(value, (Mapping, list, tuple, set)):
        return None
    return next((each for each in map(_described_in, parts) if each is not None), None)


def _conf_source(session: SessionRecord, project_path: Path, usual: str) -> str | None:
    """Where its configuration was, if that is not where the project has it."""
    found = session.data.get("conf_source")
    # A project may have been moved since.
    folders = (project_path, Path(str(session.data.get("project_path", ""))))
    if not found or Path(str(found)) in [folder / usual for folder in folders]:
        return None
    return str(found)


def _runner_options(run: RunRecord, session: SessionRecord) -> Mapping[str, Any]:
    """The options of the runner: of prunner's they are on record, of others the command's are."""
    told = _of_command(session)
    if run.options or told is None:
        return run.options
    more = {"is_async": True} if told.get("is_async") else {}
    return {**(told.get("runner_params") or {}), **more}


def _of_command(session: SessionRecord) -> Mapping[str, Any] | None:
    """The options of the ``kedro run`` that it was started with; ``None`` if it was not."""
    cli = session.data.get("cli")
    params = cli.get("params") if isinstance(cli, Mapping) else None
    return params if isinstance(params, Mapping) and "runner" in params else None


def _notes(runner: str, session: SessionRecord) -> tuple[str, ...]:
    if runner.startswith("prunner.") or _of_command(session) is not None:
        return ()
    name = runner or "the runner"
    return (f"The options of {name} are not on record, since no 'kedro run' was told them.",)
