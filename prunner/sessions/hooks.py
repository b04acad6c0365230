"""Hooks that record every run of a project that has the store set up, whichever session runs it.

Kedro finds them by an entry point in every process that makes a session, so that nothing is
imported here before it is needed. They do nothing where no store is set up.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from kedro.framework.hooks import hook_impl

from prunner.sessions.current import recording_of


class RecordingHooks:
    """Tells ``recording`` when a run begins and ends.

    First of all hooks: another one that raises is no part of the run.
    """

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: Mapping[str, Any], catalog: Any) -> None:
        """A run begins."""
        if "prunner.sessions.store" not in sys.modules:  # then no settings name it
            return
        from prunner.sessions.safely import safely

        with safely("This run is not on record"):
            from prunner.sessions import recording

            recording.begin(run_params, catalog)

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self, catalog: Any) -> None:
        """A run has completed."""
        self._end("COMPLETED", catalog)

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self, error: Exception, catalog: Any) -> None:
        """A run has failed."""
        self._end("FAILED", catalog, error)

    def _end(self, outcome: str, catalog: Any, error: Exception | None = None) -> None:
        found = recording_of(catalog)
        if found is not None:
            from prunner.sessions.records import Outcome

            found.end(Outcome[outcome], error)


hooks = RecordingHooks()
