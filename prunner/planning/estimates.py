"""How long a step will probably take: by earlier runs, and by what its function took in this one.

Pure: the durations are given, nobody looks at a clock here.
"""

from __future__ import annotations

from prunner.planning.plan import RunPlan

_MEMORY = 0.9  # of the longest duration, for each further one that was shorter


class Estimates:
    """What is known of durations.

    Args:
        plan: The plan of the run.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._function = [step.function for step in plan.steps]
        self._before = plan.seconds
        self._longest: dict[int, float] = {}

    def learn(self, step: int, seconds: float) -> None:
        """A step has taken so many seconds."""
        function = self._function[step]
        self._longest[function] = max(seconds, _MEMORY * self._longest.get(function, 0.0))

    def of(self, step: int) -> float | None:
        """Seconds that a step will take at most, as far as is known.

        Returns:
            The larger one of what the step took in an earlier run and what steps with the same
            function took lately; ``None`` where nothing is known.
        """
        before = self._before.get(step)
        lately = self._longest.get(self._function[step])
        if before is None or lately is None:
            return lately if before is None else before
        return max(before, lately)
