"""The run status that Kedro-Viz shows: its hooks are told to track a run of prunner, too.

Kedro-Viz decides before a run, by the text that Kedro has of the runner, and takes part in none but
those of Kedro's ``SequentialRunner``: with other runners hooks fire in other processes, or not at
all. With prunner they fire where they should. Nothing of Kedro-Viz is changed or imported here:
its hooks are called once more, as Kedro may call them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from prunner.bridge.worker_hooks import local_hook_manager
from prunner.kedro_internals import is_default_pipeline

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node
    from pluggy import PluginManager


class RunStatus:
    """Lets Kedro-Viz track a run, and says to it at the end where a node has failed.

    Kedro-Viz blames the dataset that was loaded or saved last. With several nodes at once that
    may be another node's, or none.

    Args:
        hook_manager: The session's.
        hooks_of_workers: The plugins that are called in the workers, by the names under which they
            are registered. None of their copies sees the whole run.
        logger: Where it is written that the run is tracked.
    """

    def __init__(
        self,
        hook_manager: PluginManager,
        hooks_of_workers: Mapping[str, object],
        logger: logging.Logger,
    ) -> None:
        self._manager = hook_manager
        self._logger = logger
        # Kedro's null manager answers None to everything.
        self._viz = {
            name: plugin
            for name, plugin in hook_manager.list_name_plugin() or ()
            if _tracks_runs(plugin) and name not in hooks_of_workers
        }
        self._tracked = False
        self._doing: dict[str, tuple[str, dict[str, Any]]] = {}  # by the name of the node

    def begin(self, pipeline: Pipeline) -> None:
        """Before the first node.

        Args:
            pipeline: What is run; Kedro-Viz tracks whole runs of the default pipeline alone.
        """
        if not self._viz or not is_default_pipeline(pipeline):
            return
        # "If no runner specified, default is SequentialRunner", it says.
        self._tracked = self._tell("before_pipeline_run", run_params={}, pipeline=pipeline)
        if self._tracked:
            self._manager.register(self)
            self._logger.info("Kedro-Viz tracks this run, though it is not sequential.")

    def end(self, failed: Node | None) -> None:
        """After the last node.

        Args:
            failed: The node whose error ends the run.
        """
        if not self._tracked:
            return
        self._manager.unregister(self)
        if failed is not None and failed.name in self._doing:
            hook, arguments = self._doing[failed.name]
            self._tell(hook, **arguments)

    @hook_impl
    def before_dataset_loaded(self, dataset_name: str, node: Node) -> None:
        """A node loads a dataset."""
        self._note("before_dataset_loaded", node, dataset_name=dataset_name)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """A node has all its inputs."""
        self._note("before_node_run", node)

    @hook_impl
    def before_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """A node saves a dataset."""
        self._note("before_dataset_saved", node, dataset_name=dataset_name)

    def _note(self, hook: str, node: Node, **arguments: str) -> None:
        self._doing[node.name] = hook, {"node": node, **arguments}

    def _tell(self, hook: str, **arguments: Any) -> bool:
        """Call a hook of Kedro-Viz alone; False if it cannot cope with that."""
        caller = getattr(local_hook_manager(self._viz).hook, hook)
        try:
            caller(**(dict.fromkeys(caller.spec.argnames) | arguments))
        except Exception as error:  # of another release: no reason for a run to fail
            self._logger.warning("Kedro-Viz does not track this run.", exc_info=error)
            return False
        return True


def _tracks_runs(plugin: object) -> bool:
    package = type(plugin).__module__.partition(".")[0]
    return package == "kedro_viz" and hasattr(plugin, "before_pipeline_run")
