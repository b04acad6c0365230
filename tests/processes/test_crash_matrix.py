"""A worker dies: where, how, and under which start method. Each time its node is to blame, alone.

Not the full product: all places with one way, all ways at two places.
"""

from __future__ import annotations

import psutil
import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

from prunner import ParallelRunner, PipelineFailed, WorkerDied
from tests.chaos.cases import Case, NodeCase, Options
from tests.chaos.check import EXIT_CODES, POSIX
from tests.chaos.faults import DEATHS, Fault
from tests.chaos.nodes import WorkerId, WorkerIdDataset
from tests.chaos.places import place_fault
from tests.chaos.run import run_case
from tests.processes import failing_nodes as nodes
from tests.processes.conftest import NEW_AND_COPIED, UNDER_ALL

pytestmark = NEW_AND_COPIED


@pytest.fixture(autouse=True)
def _few_logs(caplog):
    """Kedro's own handler takes longer for the lines of a node than the node."""
    caplog.set_level("WARNING", "kedro")


INSIDE = ("load", "run", "save", "pickle", "unpickle")  # the worker itself does it
HOOKS = ("load hook", "run hook")  # it is killed while it waits for the main process
TEXTS = {
    "exit": "exit code 7",
    "kill": "signal SIGKILL" if POSIX else "exit code 15",
    "crash": "signal SIGSEGV" if POSIX else "exit code 0xc0000005",
    "abort": "signal SIGABRT" if POSIX else "exit code",
}


def case_of(fault, **options):
    """The guilty node between one that it needs and one that needs it, and one beside these."""
    case = Case(
        nodes=[
            NodeCase("above", ["raw"], {"a": "array"}),
            NodeCase("guilty", ["a"], {"g": "number"}),
            NodeCase("below", ["g"], {"b": "number"}),
            NodeCase("beside", ["raw"], {"c": "list"}),
        ],
        kinds={"b": "file"},
        values={"raw": 7},
        options=Options(keep_going=True, **options),
    )
    place_fault(case, fault, maker=case.nodes[0])
    return case


def short_nodes(guilty, chained=False):
    """So many that they go to a worker in batches; each behind the one before if chained."""
    names = ["first", *(f"n{i}" for i in range(18))]
    behind = dict(zip(names[1:], names, strict=False)) if chained else {"n0": "first"}
    steps = [
        NodeCase(name, [behind[name] if name in behind else "raw"], {name: "number"})
        for name in names
    ]
    case = Case(steps, {}, {"raw": 7}, Options(keep_going=True))
    return case, Fault("kill", "run", guilty)


@pytest.mark.parametrize("place", [*INSIDE, *HOOKS])
def test_a_death_is_pinned_on_the_node_that_it_happened_to(place, start_method):
    got, wrong = run_case(case_of(Fault("kill", place, "guilty")), start_method)
    assert not wrong
    assert isinstance(got.error, PipelineFailed)
    assert got.error.failures.keys() == {"guilty"}
    assert (got.error.skipped, set(got.error.completed)) == (("below",), {"above", "beside"})


@pytest.mark.parametrize("place", [*INSIDE, *HOOKS])
def test_after_a_death_the_node_is_tried_again_with_the_right_results(place, start_method):
    case = case_of(Fault("kill", place, "guilty", once=True), workers=2, retries=1)
    got, wrong = run_case(case, start_method)
    assert not wrong
    assert got.left.keys() >= {"b", "c"}


@UNDER_ALL
@pytest.mark.parametrize("how", DEATHS)
def test_a_death_tells_its_way(how, start_method):
    assert_death_tells_its_way(how, "run", start_method)


@pytest.mark.parametrize("how", DEATHS)
def test_a_death_while_an_input_is_made_tells_its_way(how, start_method):
    assert_death_tells_its_way(how, "unpickle", start_method)


def assert_death_tells_its_way(how, place, start_method):
    case = case_of(Fault(how, place, "guilty"))
    case.options.keep_going = False
    got, wrong = run_case(case, start_method)
    assert not wrong

    error, text = got.error, str(got.error)
    assert isinstance(error, WorkerDied)
    assert EXIT_CODES[how] in (None, error.exitcode)
    assert f"while it ran node 'guilty' ({TEXTS[how]}" in text
    assert error.free_memory is not None
    crashed = how in ("crash", "abort")
    assert bool(error.frames) == crashed
    if crashed:
        assert f"in _{how}\n" in error.frames
        assert "It crashed in native code." in text


@pytest.mark.parametrize(("guilty", "chained"), [("first", False), ("n9", False), ("n9", True)])
def test_a_death_in_a_batch_is_blamed_on_the_one_that_ran(guilty, chained, start_method):
    case, fault = short_nodes(guilty, chained)
    assert not run_case(case, start_method)[1]  # from now on it is known that they are short

    place_fault(case, fault)
    got, wrong = run_case(case, start_method)
    assert not wrong
    assert isinstance(got.error, PipelineFailed)
    assert got.error.failures.keys() == {guilty}


class DiesBefore:
    """A hook that runs in the worker."""

    @hook_impl
    def before_node_run(self, node):
        if node.name == "guilty":
            nodes.die("kill")


def test_a_death_in_a_hook_in_the_worker(start_method):
    manager = _create_hook_manager()
    manager.register(DiesBefore())
    runner = ParallelRunner(
        max_workers=1, start_method=start_method, worker_hooks=[f"{__name__}.DiesBefore"]
    )
    steps = [
        node(nodes.count, "one", "two", name="above"),
        node(nodes.count, "two", "three", name="guilty"),
    ]
    with pytest.raises(WorkerDied, match="node 'guilty'"):
        runner.run(pipeline(steps), DataCatalog({"one": MemoryDataset(1)}), manager)


class KillsAll:
    """Ends all workers when there are as many as it waits for."""

    def __init__(self, count):
        self._count = count
        self._pids = set()

    @hook_impl
    def after_dataset_loaded(self, data):
        if isinstance(data, WorkerId):
            self._pids.add(data.pid)
            if len(self._pids) == self._count:
                for pid in self._pids:
                    psutil.Process(pid).kill()


def test_all_workers_die_at_once(start_method):
    manager = _create_hook_manager()
    manager.register(KillsAll(2))
    steps = [node(nodes.take_forever_here, "worker", n, name=n) for n in "ab"]
    steps.append(node(nodes.count, "one", "two", name="beside"))
    steps.append(node(nodes.count, "two", "three", name="goes_on"))
    catalog = DataCatalog({"one": MemoryDataset(1), "worker": WorkerIdDataset()})
    runner = ParallelRunner(max_workers=2, start_method=start_method, on_error="continue")
    with pytest.raises(PipelineFailed) as found:
        runner.run(pipeline(steps), catalog, manager)
    for name, error in found.value.failures.items():
        assert isinstance(error, WorkerDied)
        assert (error.node, error.exitcode) == (name, EXIT_CODES["kill"])
    assert found.value.failures.keys() == {"a", "b"}
    assert set(found.value.completed) == {"beside", "goes_on"}
    assert catalog.load("three") == 3


def test_a_worker_that_dies_between_two_nodes_is_replaced(start_method):
    steps = [
        node(nodes.own_pid, "one", ["pid", "first"], name="before"),
        node(nodes.kill, "pid", "killed", name="killer", tags="prunner.main"),
        node(nodes.own_pid, "killed", ["other_pid", "second"], name="after"),
    ]
    # If the end of the worker is not known yet, it gets the next node, which is tried again then.
    runner = ParallelRunner(max_workers=1, start_method=start_method, retries=1)
    found = runner.run(pipeline(steps), DataCatalog({"one": MemoryDataset(1)}))
    assert found["first"].load() != found["second"].load()
