"""Which data is still needed, and how much of it goes when a step is done. Pure."""

from __future__ import annotations

from collections import defaultdict

from prunner.planning.plan import RunPlan, Step


class Needs:
    """How often each dataset will still be loaded.

    Args:
        plan: The plan of the run.

    Attributes:
        loads_left: The number for each dataset.
        sizes: Bytes of the in-memory datasets that exist.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self.loads_left = dict(plan.load_counts)
        self.sizes: dict[str, int] = {}
        self._loading: defaultdict[str, set[int]] = defaultdict(set)
        for step in plan.steps:
            for name in step.inputs:
                self._loading[name].add(step.index)

    def frees(self, step: Step) -> int:
        """Bytes of data that nobody needs when this step is done, and somebody does before."""
        if not self.sizes:
            return 0
        return sum(
            self.sizes.get(name, 0)
            for name in set(step.inputs) - self._plan.kept_inputs
            if len(self._loading[name]) == 1
        )

    def done(self, step: Step) -> tuple[list[str], set[int]]:
        """A step has loaded and saved all that it will.

        Returns:
            The datasets that nobody loads any more, as Kedro's ``AbstractRunner`` finds them:
            inputs after their last load, and outputs that nobody loads. And the steps that are
            now the only ones to load some dataset.
        """
        unneeded, last = [], set()
        for name in step.inputs:
            self.loads_left[name] -= 1
            if not self.loads_left[name] and name not in self._plan.kept_inputs:
                unneeded.append(name)
        for name in step.outputs:
            if not self.loads_left.get(name) and name not in self._plan.kept_outputs:
                unneeded.append(name)
        for name in set(step.inputs):
            loading = self._loading[name]
            loading.discard(step.index)
            if len(loading) == 1:
                last |= loading
        for name in unneeded:
            self.sizes.pop(name, None)
        return unneeded, last
