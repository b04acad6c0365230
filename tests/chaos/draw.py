"""Random cases: the same seed and number give the same case."""

from __future__ import annotations

from random import Random

from tests.chaos.cases import RETRY_ON, Case, NodeCase, Options
from tests.chaos.faults import DEATHS, EXCEPTIONS, HANGS, NOT_HERE, UNPICKLABLE, Fault
from tests.chaos.places import add_handle, place_fault

_MOST_NODES = 12
_MAKES = ("number", "number", "number", "list", "array", "array", "large")
_PLACES = {  # what can happen where
    "run": (*DEATHS, *EXCEPTIONS, *HANGS, UNPICKLABLE),
    "load": (*DEATHS, "ordinary", "odd", "base", *HANGS),
    "save": (*DEATHS, "ordinary", "odd", "leave", *HANGS),
    "pickle": (*DEATHS, "ordinary", "wait"),
    "unpickle": (*DEATHS, "ordinary", "wait"),
    "load hook": ("kill",),
    "run hook": ("kill",),
}
_HOW_OFTEN = {"run": 8, "load": 2, "save": 2, "pickle": 2, "unpickle": 2}


def draw_case(seed: int, number: int, most_workers: int = 4) -> Case:
    """Draw a case.

    Args:
        seed: Of all cases.
        number: Of this one.
        most_workers: The number of workers at most.
    """
    return _Drawing(Random(f"{seed}-{number}"), most_workers).case


class _Drawing:
    def __init__(self, random: Random, most_workers: int) -> None:
        self._random = random
        self._available = ["raw"]
        self._handles: set[str] = set()  # what cannot leave the process that made it
        self.case = Case([], {"raw": random.choice(["memory", "file"])}, {"raw": 7}, Options())
        self.case.has_hooks = random.random() < 0.25
        self._draw_options(most_workers)
        chance = random.choice([0.0, 0.1, 0.1, 0.3])
        for index in range(random.randint(1, _MOST_NODES)):
            self._add_node(f"n{index}")
        for each in self.case.nodes:
            if random.random() < chance:
                self._add_fault(each)

    def _draw_options(self, most_workers: int) -> None:
        random, options = self._random, self.case.options
        options.workers = random.randint(1, most_workers)
        options.is_async = random.random() < 0.3
        options.keep_going = random.random() < 0.6
        options.retries = random.choice([0, 0, 1, 2])
        options.retry_on = random.choice(list(RETRY_ON))
        options.retry_delay = random.choice([0.0, 0.0, 0.01])
        options.idle_timeout = random.choice([300.0] * 9 + [0.0])

    def _add_node(self, name: str) -> None:
        random = self._random
        inputs = random.sample(self._available, min(random.randint(0, 3), len(self._available)))
        makes = random.choices(_MAKES, k=random.choice([0, 1, 1, 1, 2, 3]))
        node = NodeCase(name, inputs, {f"{name}_{i}": kind for i, kind in enumerate(makes)})
        node.delay = random.choice([0.0] * 6 + [0.002, 0.03])
        if self._handles.intersection(inputs):
            node.stays = "input"
        elif random.random() < 0.15:
            node.stays = random.choice(["tag", "function"])
        for output in node.outputs:
            kind = random.choice(["", "", "memory", "file"])
            if kind:
                self.case.kinds[output] = kind
        self._available += node.outputs
        if node.stays and random.random() < 0.1:
            handle = add_handle(self.case, node)  # is right where it stays
            self._handles.add(handle)
            self._available.append(handle)
        self.case.nodes.append(node)

    def _add_fault(self, node: NodeCase) -> None:
        random = self._random
        places = list(_PLACES)
        place = random.choices(places, [_HOW_OFTEN.get(each, 1) for each in places])[0]
        kind = random.choice(_PLACES[place])
        if node.stays and (kind not in EXCEPTIONS or kind in NOT_HERE or "pickle" in place):
            return
        once = random.random() < 0.5 and kind != UNPICKLABLE
        if kind == "kill" and not self.case.options.retries:
            once = False  # where memory is scarce, it would be tried again all the same
        if place == "pickle" and kind in EXCEPTIONS:
            once = False  # it is pickled twice, in two ways
        earlier = self.case.nodes[: self.case.nodes.index(node)]
        maker = random.choice([None, *earlier])
        place_fault(self.case, Fault(kind, place, node.name, once), maker)
        if kind in HANGS:
            self._limit_time(node.name, once)

    def _limit_time(self, name: str, once: bool) -> None:
        # Enough tries that the node, once it does not hang, is quick enough on any machine.
        limit = {"timeout": 0.5, "retries": 4} if once else {"timeout": 0.2}
        self.case.options.node_options[name] = limit
