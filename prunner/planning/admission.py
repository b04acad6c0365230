"""Whether there is memory for one more step. Pure: what is seen of memory is told.

What a step needs is known from an earlier run, or from steps with the same function in this one:
by how much its worker has grown, and how large its in-memory outputs were. What the steps that run
have not taken yet of what they will is promised to them.

Covers: what is known of needs, and whether a step may begin. Does not cover: who looks at memory
(``processes.usage``), and which step is asked for (``scheduler``).
"""

from __future__ import annotations

from collections.abc import Mapping

from prunner.planning.decisions import PARENT, Hold
from prunner.planning.plan import RunPlan
from prunner.planning.policy import MemoryPolicy

RESERVE = 0.05  # the part of all memory that nobody is to take
MOST_LOOKS = 20  # during which a step of which nothing is known is held back; there are 10 a second


class Admission:
    """The memory of a run.

    Args:
        plan: The plan of the run.
        policy: What is to be done about memory.

    Attributes:
        needs: How much memory steps have needed in this run, in bytes.
        free: How much there was when somebody looked last; ``None`` before that.
        room: How much of it may be used.
    """

    def __init__(self, plan: RunPlan, policy: MemoryPolicy) -> None:
        self.needs: dict[int, int] = {}
        self.free: int | None = None
        self.room = 0
        self._policy = policy
        self._before = plan.needs
        self._function = [step.function for step in plan.steps]
        self._by_function: dict[int, int] = {}
        self._largest = max(plan.needs.values(), default=0)
        self._used: Mapping[int, int] = {}
        self._least: dict[int, int] = {}  # that each worker has used since its step began
        self._most: dict[int, int] = {}
        self._has_begun: set[int] = set()  # workers
        self._at_first: dict[int, int] = {}  # that each of them used, before it had kept anything
        self._seen: set[int] = set()  # workers that were looked at since then
        self._looks: dict[int, int] = {}  # since each step is held back

    def see(self, free: int, total: int, used: Mapping[int, int], data: int) -> None:
        """Somebody has looked.

        Args:
            free: Bytes that processes can still get.
            total: Bytes that there are at all.
            used: Bytes that each worker has for itself alone.
            data: Bytes of the in-memory datasets that exist.
        """
        self.free = free
        self.room = free - int(RESERVE * total)
        limit = self._policy.limit_of(total)
        if limit is not None:
            self.room = min(self.room, limit - sum(used.values()) - data)
        self._used = used
        self._seen.update(used)
        for worker, size in used.items():
            self._least[worker] = min(size, self._least.get(worker, size))
            self._most[worker] = max(size, self._most.get(worker, size))
            if worker in self._has_begun:
                self._at_first.setdefault(worker, size)
        self.room -= self._wanted_by_new_workers()
        for step in self._looks:
            self._looks[step] += 1

    def begin(self, worker: int) -> None:
        """A step begins on a worker."""
        self._has_begun.add(worker)
        self._seen.discard(worker)
        if worker in self._used:
            self._at_first.setdefault(worker, self._used[worker])
            self._least[worker] = self._most[worker] = self._used[worker]

    def finish(self, worker: int, step: int, outputs: int) -> None:
        """A step has ended well; what it needed is known if somebody has looked meanwhile.

        Args:
            worker: Where it ran.
            step: The step.
            outputs: Bytes of its in-memory outputs.
        """
        if worker in self._seen:
            self.learn(step, self._grown(worker) + outputs)

    def learn(self, step: int, need: int) -> None:
        """A step needs at least so many bytes."""
        self.needs[step] = max(need, self.needs.get(step, 0))
        function = self._function[step]
        if function >= 0:
            self._by_function[function] = max(need, self._by_function.get(function, 0))
        self._largest = max(need, self._largest)

    def has_died_for_memory(self, worker: int, step: int) -> None:
        """A worker was ended since it took too much for a step."""
        self.learn(step, self._grown(worker))

    def need_of(self, step: int) -> int | None:
        """Bytes that a step will need, as far as is known."""
        known = self._before.get(step, self._by_function.get(self._function[step]))
        here = self.needs.get(step)
        return known if here is None else max(here, known or 0)

    def fits(self, step: int, running: Mapping[int, int]) -> bool:
        """Whether there is memory for a step.

        Args:
            step: The step.
            running: The step that runs on each busy worker.
        """
        if self.free is None or self._policy.mode == "off":
            return True
        if self.room > self._largest * (len(running) + 1):
            return True
        others = {worker: each for worker, each in running.items() if worker != PARENT}
        if not others:
            return True
        need = self.need_of(step)
        if need is None and self._looks.get(step, 0) >= MOST_LOOKS:
            return True
        left = self.room - sum(map(self._promised, others, others.values()))
        return left > 0 if need is None else left >= need

    def hold(self, step: int) -> Hold | None:
        """Note that a step is held back; what to say of it, if that has not been said."""
        if step in self._looks:
            return None
        self._looks[step] = 0
        only_said = self._policy.mode == "log"
        return Hold(step, self.need_of(step), max(0, self.room), only_said)

    def _wanted_by_new_workers(self) -> int:
        """Bytes that workers will take until they have imported what others have."""
        usual = min(self._at_first.values(), default=0)
        new = self._used.keys() - self._has_begun
        return sum(max(0, usual - self._used[worker]) for worker in new)

    def _promised(self, worker: int, step: int) -> int:
        return max(0, (self.need_of(step) or 0) - self._grown(worker))

    def _grown(self, worker: int) -> int:
        return self._most.get(worker, 0) - self._least.get(worker, 0)
