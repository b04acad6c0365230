"""What went wrong in a run: which error each step has ended with, and what the log says of it.

Covers: errors and the history of tries. Does not cover: what follows (``planning.scheduler``), and
which error reaches the caller (``runner``).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

from prunner.errors import described
from prunner.planning.decisions import GiveUp, Hold, Retry


class Outcomes:
    """The outcomes of steps that did not end well at once.

    Args:
        names: The names of the nodes by their step.
        logger: Where it is written.

    Attributes:
        errors: What went wrong for good, in the order in which it was noticed.
        failed: The steps that failed for good, each with its error.
        skipped: The steps that were not run since one that they depend on had failed.
    """

    def __init__(self, names: Sequence[str], logger: logging.Logger) -> None:
        self.errors: list[BaseException] = []
        self.failed: dict[int, BaseException] = {}
        self.skipped: set[int] = set()
        self._history: defaultdict[int, list[str]] = defaultdict(list)  # of tries that failed
        self._names = names
        self._logger = logger

    def note(
        self,
        step: int,
        error: BaseException,
        outcome: Retry | GiveUp,
        place: tuple[str, str] | None = None,
    ) -> None:
        """A step has failed: remember the error, or say that it is tried again.

        Args:
            step: The step.
            error: What it has ended with.
            outcome: What follows.
            place: What the node was doing, and in which process.
        """
        name = self._names[step]
        before = self._history[step]
        if isinstance(outcome, Retry):
            before.append(described(error))
            when = f" in {outcome.delay:g} s" if outcome.delay else ""
            how = ", with nothing else beside it" if outcome.alone else ""
            self._logger.warning(
                "Node '%s' failed and will be tried again%s%s. %s", name, when, how, before[-1]
            )
            return
        if place is not None:
            self._add_note(error, f"Node '{name}' failed while {place[0]}, in {place[1]}.")
        if before:
            told = "\n".join(f"{number}. {text}" for number, text in enumerate(before, 1))
            self._add_note(error, f"Node '{name}' was tried {len(before) + 1} times:\n{told}")
        self.failed[step] = error
        self.skipped.update(outcome.skipped)
        self.append(error)

    def history(self, step: int) -> Sequence[str]:
        """What the tries of a step have ended with after which it was tried again."""
        return self._history.get(step, ())

    def append(self, error: BaseException) -> None:
        """Remember an error, whatever it concerns."""
        if self.errors:  # where the run stops, only one can be raised
            self._logger.error("Another error of this run: %s", described(error))
        self.errors.append(error)

    def note_held(self, hold: Hold) -> None:
        """A step waits for memory."""
        room = f"{hold.room / 1e6:,.0f} MB"
        waits = "would have waited" if hold.only_said else "waits"
        reason = (
            f"less than {room} may be used"
            if hold.need is None
            else f"it has needed {hold.need / 1e6:,.0f} MB, and {room} may be used"
        )
        self._logger.info("Node '%s' %s for memory: %s.", self._names[hold.step], waits, reason)

    def _add_note(self, error: BaseException, text: str) -> None:
        try:
            error.add_note(text)  # type: ignore[attr-defined, unused-ignore]
        except Exception:  # Python 3.10 has no notes, a frozen exception takes none
            self._logger.error(text)
