"""Whether a run ended as it had to, and what is wrong where it did not."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kedro.io import DatasetError

from prunner import NodeTimeout, PipelineFailed, WorkerDied
from tests.chaos.cases import Case, NodeCase
from tests.chaos.faults import DEATHS, HANGS, UNPICKLABLE

HAS_NOTES = hasattr(BaseException, "add_note")  # Python 3.11 and later
POSIX = sys.platform != "win32"
# Of abort on Windows it depends on the libraries of Python.
EXIT_CODES = {
    "exit": 7,
    "kill": -9 if POSIX else 15,
    "crash": -11 if POSIX else 0xC0000005,
    "abort": -6 if POSIX else None,
}
_PHASES = {"load": "loading", "unpickle": "loading", "save": "saving", "pickle": "saving"}


@dataclass
class Outcome:
    """What is left of a run.

    Attributes:
        outputs: What it returned, as numbers.
        left: What datasets hold that no node loads, as numbers, by name.
        error: What it raised.
    """

    outputs: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    error: BaseException | None = None

    @property
    def kind(self) -> str:
        if self.error is None:
            return "right results"
        return "PipelineFailed" if isinstance(self.error, PipelineFailed) else "error of a node"


def problems(case: Case, got: Outcome, expected: Outcome) -> Iterator[str]:
    """Everything that is wrong.

    Args:
        case: What was run.
        got: What it led to.
        expected: What it leads to without faults.
    """
    failing = case.failing()
    failing -= case.below(failing)
    if not failing:
        if got.error is not None:
            yield f"it failed, and had not to: {type(got.error).__name__}: {got.error}"
        elif got.outputs != expected.outputs:
            yield f"it returned {got.outputs}, not {expected.outputs}"
        yield from _wrong(got.left, expected.left, expected.left.keys())
    elif got.error is None:
        yield f"it ended well, though {sorted(failing)} fail"
    elif isinstance(got.error, PipelineFailed):
        yield from _problems_of_group(case, failing, got.error)
        done = {name for node in got.error.completed for name in case.node(node).outputs}
        yield from _wrong(got.left, expected.left, expected.left.keys() & done)
    else:
        yield from _problems_of_one(case, failing, got.error)


def _wrong(got: Mapping[str, int], expected: Mapping[str, int], names: Any) -> Iterator[str]:
    for name in sorted(names):
        if got.get(name) != expected[name]:
            yield f"dataset {name} holds {got.get(name)}, not {expected[name]}"


def _problems_of_group(case: Case, failing: set[str], error: PipelineFailed) -> Iterator[str]:
    if not case.options.keep_going:
        yield f"it raised {error!r} though it was to stop"
    skipped = case.below(failing)
    others = {each.name for each in case.nodes} - failing - skipped
    for what, names, wanted in (
        ("failed", error.failures, failing),
        ("were skipped", error.skipped, skipped),
        ("were completed", error.completed, others),
    ):
        if sorted(names) != sorted(wanted):
            yield f"{sorted(names)} {what}, not {sorted(wanted)}"
    for name in failing & error.failures.keys():
        yield from misfits(case, case.node(name), error.failures[name])


def _problems_of_one(case: Case, failing: set[str], error: BaseException) -> Iterator[str]:
    """One error stands for all: where the run stops, or where it is no ``Exception``."""
    candidates = [case.node(name) for name in sorted(failing)]
    if case.options.keep_going:
        candidates = [each for each in candidates if not _raises_exception(each)]
        if not candidates:
            yield f"it raised {type(error).__name__} and not PipelineFailed: {error}"
            return
    found = {each.name: list(misfits(case, each, error)) for each in candidates}
    if all(found.values()):
        yield f"it raised {type(error).__name__}: {error}; that of no node: {found}"


def _raises_exception(node: NodeCase) -> bool:
    assert node.fault is not None
    return node.fault.raises is None or issubclass(node.fault.raises, Exception)


def misfits(case: Case, node: NodeCase, error: BaseException) -> Iterator[str]:
    """Why an error is not that of a node."""
    fault = node.fault
    assert fault is not None
    kind = fault.kind
    if kind in DEATHS or kind in HANGS:
        wanted: type[BaseException] = WorkerDied if kind in DEATHS else NodeTimeout
        if type(error) is not wanted or error.node != node.name:  # type: ignore[attr-defined]
            yield f"{node.name}: {type(error).__name__}, not {wanted.__name__} of it"
        elif kind in DEATHS and EXIT_CODES[kind] not in (None, error.exitcode):  # type: ignore[attr-defined]
            yield f"{node.name}: exit code {error.exitcode} of {kind}"  # type: ignore[attr-defined]
    else:
        yield from _misfits_of_raised(node, error)
        yield from _missing_notes(node, error)
    yield from _missing_history(case, node, error)


def _misfits_of_raised(node: NodeCase, error: BaseException) -> Iterator[str]:
    fault = node.fault
    assert fault is not None
    named, wanted = node.name, fault.raises
    if fault.kind == UNPICKLABLE or "pickle" in fault.place:
        named, wanted = node.fault_at, DatasetError  # Kedro's around that of prunner
    elif fault.place != "run" and _raises_exception(node):
        wanted = DatasetError
    assert wanted is not None
    if not isinstance(error, wanted):
        yield f"{node.name}: {type(error).__name__}, not {wanted.__name__}"
    elif named not in str(error):
        yield f"{node.name}: {named} is not named in: {error}"


def _missing_notes(node: NodeCase, error: BaseException) -> Iterator[str]:
    assert node.fault is not None
    phase = _PHASES.get(node.fault.place, "running")
    if node.fault.kind == UNPICKLABLE:
        phase = "saving"
    wanted = f"Node '{node.name}' failed while {phase}"
    if HAS_NOTES and wanted not in "".join(_notes(error)):
        yield f"{node.name}: no note that says '{wanted}'"


def _missing_history(case: Case, node: NodeCase, error: BaseException) -> Iterator[str]:
    assert node.fault is not None
    if not HAS_NOTES or node.fault.kind == "kill":  # which scarce memory repeats
        return
    tries = 1 + case.options.retries_of(node.name) * case.is_tried_again(node)
    told = [each for each in _notes(error) if " was tried " in each]
    wanted = [f"Node '{node.name}' was tried {tries} times"] if tries > 1 else []
    if len(told) != len(wanted) or not all(map(str.startswith, told, wanted)):
        yield f"{node.name}: not tried {tries} times: {told}"


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])
