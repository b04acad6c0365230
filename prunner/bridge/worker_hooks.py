"""Hooks that run inside the workers, on copies: chosen ones, and those that must.

A heavy hook without a state of its own, such as the validation of large frames, is better run
where the data is. It gives up what hooks in the parent have: one instance that sees everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING

import cloudpickle

from prunner import kedro_internals
from prunner.errors import OptionError

if TYPE_CHECKING:
    from pluggy import PluginManager

# Its datasets, and what nodes log, go into the run that is active in their process; its own hook
# before each node opens that run there. Elsewhere they would begin another run, and not say so.
NEED_THE_PROCESS = ("kedro-mlflow",)


def choose(hook_manager: PluginManager, names: Iterable[str] | None) -> dict[str, object]:
    """Find the registered plugins that are meant.

    Args:
        hook_manager: The session's.
        names: Class paths (``package.hooks.Validation``), names under which plugins are
            registered, or names of distributions (``kedro-mlflow``). ``None`` for those in
            ``NEED_THE_PROCESS`` that are registered.

    Returns:
        The plugins, by the names under which they are registered.

    Raises:
        OptionError: If a name is nobody's.
    """
    known = _registered(hook_manager)
    if names is None:
        return {key: plugin for key, plugin, aliases in known if aliases & set(NEED_THE_PROCESS)}
    chosen: dict[str, object] = {}
    for name in names:
        found = {key: plugin for key, plugin, aliases in known if _plain(name) in aliases}
        if not found:
            listed = ", ".join(sorted({_class_path(plugin) for _, plugin, _ in known})) or "none"
            raise OptionError(
                f"worker_hooks names '{name}', but no such hooks are registered. Registered are: "
                f"{listed}."
            )
        chosen |= found
    return chosen


def without(hook_manager: PluginManager, chosen: dict[str, object]) -> PluginManager:
    """The hooks that are called in the parent.

    Args:
        hook_manager: The session's.
        chosen: The plugins that are not.
    """
    if not chosen:
        return hook_manager
    others = {k: p for k, p in hook_manager.list_name_plugin() if k not in chosen and p is not None}
    return local_hook_manager(others)


def pack_hooks(chosen: dict[str, object]) -> bytes | None:
    """Copies of plugins, as they are now, for the workers.

    Args:
        chosen: Plugins by their names.

    Returns:
        The pickled plugins, None where there are none.

    Raises:
        OptionError: If one cannot be pickled.
    """
    if not chosen:
        return None
    for plugin in chosen.values():
        try:
            cloudpickle.dumps(plugin)
        except Exception as error:
            raise OptionError(
                f"worker_hooks names {_class_path(plugin)}, which cannot be pickled "
                f"({type(error).__name__}: {error}). Without the option it runs in the parent."
            ) from error
    pickled: bytes = cloudpickle.dumps(chosen)
    return pickled


def local_hook_manager(plugins: dict[str, object]) -> PluginManager:
    """A hook manager with these plugins."""
    manager = kedro_internals.new_hook_manager()
    for name, plugin in plugins.items():
        manager.register(plugin, name)
    return manager


def _registered(hook_manager: PluginManager) -> list[tuple[str, object, set[str]]]:
    """Each plugin with the name that it is registered under and all that a user may call it."""
    distributions: dict[int, set[str]] = {}
    # Kedro's null manager answers None to everything.
    for plugin, dist in hook_manager.list_plugin_distinfo() or ():
        distributions.setdefault(id(plugin), set()).add(_plain(dist.project_name))
    return [
        (
            name,
            plugin,
            {_plain(_class_path(plugin)), _plain(name)} | distributions.get(id(plugin), set()),
        )
        for name, plugin in hook_manager.list_name_plugin() or ()
        if plugin is not None
    ]


def _class_path(plugin: object) -> str:
    if isinstance(plugin, ModuleType):
        return plugin.__name__
    kind = plugin if isinstance(plugin, type) else type(plugin)
    return f"{kind.__module__}.{kind.__qualname__}"


def _plain(name: str) -> str:
    return name.replace("_", "-").lower()  # as names of distributions are compared
