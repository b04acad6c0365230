"""How long a step will probably take: by earlier runs, and by what its function took in this one.

Pure: the durations are given, nobody looks at a clock here.
"""

from __future__ import annotations

from prunner.planning.plan import RunPlan

_MEMORY = 0.9  # of the longest duration, for each further one that was shorter
_SURPRISE = 2.0  # times as long as in the earlier run: others may take longer than then, too


class Estimates:
    """What is known of durations.

    Args:
        plan: The plan of the run.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._function = [step.function for step in plan.steps]
        self._before = plan.seconds
        # By function: of all its steps, and of those that took longer than was to be expected.
        self._longest: dict[int, float] = {}
        self._surprises: dict[int, float] = {}

    def learn(self, step: int, seconds: float) -> None:
        """A step has taken so many seconds."""
        function, before = self._function[step], self._before.get(step)
        self._longest[function] = max(seconds, _MEMORY * self._longest.get(function, 0.0))
        if before is not None and (seconds > _SURPRISE * before or function in self._surprises):
            surprise = seconds if seconds > _SURPRISE * before else 0.0
            former = _MEMORY * self._surprises.get(function, 0.0)
            self._surprises[function] = max(surprise, former)

    def of(self, step: int) -> float | None:
        """Seconds that a step will take at most, as far as is known.

        Returns:
            For a step that ran before: what it took then, or what steps with the same function
            took lately that surprised, if that is more. For another one: what steps with the same
            function took lately; ``None`` where nothing is known.
        """
        before = self._before.get(step)
        if before is None:
            return self._longest.get(self._function[step])
        surprise = self._surprises.get(self._function[step])
        return before if surprise is None or surprise < before else surprise
