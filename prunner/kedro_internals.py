"""Everything of Kedro that is private or only agreed on by custom, in one place.

A Kedro release that moves one of these is mended here and nowhere else.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from kedro.framework.hooks.manager import _create_hook_manager, _NullPluginManager
from kedro.io import (
    CatalogConfigResolver,
    CatalogProtocol,
    DataCatalog,
    MemoryDataset,
    SharedMemoryDataset,
)
from kedro.io.memory_dataset import _EMPTY, _copy_with_mode, _infer_copy_mode
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.pipeline.transcoding import _strip_transcoding

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from pluggy import PluginManager

NO_DATA = _EMPTY


def pipelines_of_command_line() -> list[str] | None:
    """The pipelines that ``kedro run`` was asked for; ``None`` where it is not what runs."""
    import click

    context = click.get_current_context(silent=True)
    asked = {} if context is None else context.params
    if "runner" not in asked or "pipeline" not in asked:  # the options of kedro run
        return None
    names = asked.get("pipelines") or [asked["pipeline"] or "__default__"]
    return split_names(names) if isinstance(names, str) else list(names)


def nodes_to_resume_from(
    pipeline: Pipeline, done: Sequence[Node], catalog: CatalogProtocol[Any, Any]
) -> list[str]:
    """The nodes that Kedro suggests to go on with after a failed run; empty for all of them."""
    from kedro.runner.runner import _find_nodes_to_resume_from

    unfinished = set(pipeline.nodes) - set(done)
    if not done:
        return []
    names: Iterable[str] = _find_nodes_to_resume_from(pipeline, unfinished, catalog)
    return sorted(names)


class IndexedPipeline(Pipeline):
    """A pipeline that finds at once which nodes make datasets, for suggestions how to resume.

    Kedro's own first collects the names of all datasets, and is asked once for each node: with
    thousands of these an exception would reach the caller after minutes.

    Args:
        pipeline: The pipeline.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        vars(self).update(vars(pipeline))
        exact = {output: node for node in pipeline.nodes for output in node.outputs}
        self._makers = {strip_transcoding(name): node for name, node in exact.items()} | exact

    def only_nodes_with_outputs(self, *outputs: str) -> Pipeline:
        """Like Kedro's own; what the pipeline does not know has no node."""
        return Pipeline({self._makers[name] for name in outputs if name in self._makers})


def no_hooks() -> PluginManager:
    """The hook manager that Kedro uses where there is none."""
    return cast("PluginManager", _NullPluginManager())


def new_hook_manager() -> PluginManager:
    """A hook manager that knows Kedro's hooks and no plugin."""
    return _create_hook_manager()


def strip_transcoding(name: str) -> str:
    """The name of a dataset without what stands behind its ``@``."""
    stripped: str = _strip_transcoding(name)
    return stripped


def node_parts(node: Node) -> dict[str, Any] | None:
    """What a node consists of beside its function; ``None`` if its class is not Kedro's own."""
    if type(node) is not Node:
        return None
    return {name: value for name, value in vars(node).items() if name != "_func"}


def made_node(function: Callable[..., Any], parts: dict[str, Any]) -> Node:
    """Make a node of its function and what ``node_parts`` has found."""
    node = Node.__new__(Node)
    vars(node).update(parts, _func=function)
    return node


def is_in_memory(dataset: Any) -> bool:
    """True for the datasets that only hold an object, so that another may stand for them.

    A class derived from them may do more than that; it is left alone.
    """
    return type(dataset) in (MemoryDataset, SharedMemoryDataset)


def why_single_process(dataset: Any) -> str | None:
    """Why a dataset may only be used in the process that made it, ``None`` if it may travel."""
    kind = type(dataset).__name__
    if getattr(dataset, "_SINGLE_PROCESS", False):
        return f"{kind} says that it works in a single process only"
    if getattr(dataset, "_EPHEMERAL", False):
        return f"{kind} keeps its data in the memory of one process"
    return None


def memory_value(dataset: Any) -> Any:
    """What an in-memory dataset holds, uncopied, or ``NO_DATA``."""
    if isinstance(dataset, MemoryDataset):
        return dataset._data
    return dataset.load() if dataset.exists() else NO_DATA


def set_memory_value(catalog: CatalogProtocol[Any, Any], name: str, value: Any) -> None:
    """Let an in-memory dataset of the catalog hold an object that nobody else has."""
    dataset = catalog._datasets[name]
    if not isinstance(dataset, MemoryDataset):
        # Kedro's SharedMemoryDataset needs a manager process of Kedro's own ParallelRunner.
        dataset = catalog._datasets[name] = MemoryDataset()
    dataset._data = value


def without_datasets(catalog: CatalogProtocol[Any, Any]) -> CatalogProtocol[Any, Any]:
    """A copy of a catalog that keeps its class and settings and holds no dataset."""
    shell = copy.copy(catalog)
    shell._datasets = {}
    if hasattr(shell, "_lazy_datasets"):
        shell._lazy_datasets = {}
    return shell


def add_dataset(catalog: CatalogProtocol[Any, Any], name: str, dataset: Any) -> None:
    """Put a dataset into a catalog without what ``catalog[name] = ...`` does to its settings."""
    catalog._datasets[name] = dataset


def drop_datasets(catalog: CatalogProtocol[Any, Any], names: Iterable[str]) -> None:
    """Take datasets out of a catalog."""
    for name in names:
        catalog._datasets.pop(name, None)


def size_of_file(catalog: CatalogProtocol[Any, Any], name: str) -> int | None:
    """Bytes of the local file of a dataset; ``None`` for one that has none."""
    dataset = dataset_itself(catalog, name)
    try:
        if dataset._protocol != "file":
            return None
        return os.stat(dataset._get_load_path()).st_size
    except Exception:  # it may be of any class, and the file gone
        return None


def local_paths(catalog: CatalogProtocol[Any, Any], names: Iterable[str]) -> dict[str, str]:
    """Where the local files of datasets are, of those that have one."""
    found = {}
    for name in names:
        dataset = dataset_itself(catalog, name)
        protocol, path = getattr(dataset, "_protocol", "file"), getattr(dataset, "_filepath", None)
        if protocol == "file" and isinstance(path, (str, os.PathLike)):
            found[name] = os.fspath(path)
    return found


def copy_modes(catalog: CatalogProtocol[Any, Any], names: Iterable[str]) -> dict[str, str | None]:
    """How in-memory datasets are copied when they are loaded and saved."""
    return {name: getattr(dataset_itself(catalog, name), "_copy_mode", None) for name in names}


_modes: dict[type, Any] = {}  # how data is copied, by its type


def copied(value: Any, mode: str | None) -> Any:
    """Copy data as an in-memory dataset does it.

    Args:
        value: The data.
        mode: The copy mode of the dataset; ``None`` if that depends on the type of the data.
    """
    if mode is None:
        kind = type(value)
        if kind not in _modes:
            _modes[kind] = _infer_copy_mode(value)
        mode = _modes[kind]
    return _copy_with_mode(value, copy_mode=mode)  # type: ignore[arg-type]


def dataset_itself(catalog: CatalogProtocol[Any, Any], name: str) -> Any:
    """The dataset that the catalog holds, ``None`` if it holds none."""
    return catalog._datasets.get(name)


_LOOK_UPS = ("get", "__contains__", "__setitem__", "_add_from_config")
_RUNTIME_PATTERNS = {"{default}": {"type": "kedro.io.MemoryDataset"}}


def materialize(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
    """Do with the datasets of a pipeline what Kedro does before a run, but quickly.

    Kedro parses its patterns and looks for the class anew for each unregistered dataset, which
    takes longer than a small node. The catalog is the same afterwards, and in the same order.
    Stops at an input that is not in the catalog: Kedro has an error for it.
    """
    plain = _PlainDatasets.of(catalog)
    if plain is None:
        return
    inputs = pipeline.inputs()
    for name in pipeline.datasets():
        if name not in inputs and plain.has(name):
            catalog._datasets[name] = plain.make()
        elif name in inputs and name not in catalog:
            return
        else:
            catalog.get(name, fallback_to_runtime_pattern=True)


class _PlainDatasets:
    """The datasets for which a catalog has nothing but Kedro's own default.

    Raises:
        AttributeError: If this is another release of Kedro.
        ImportError: The same.
    """

    def __init__(self, catalog: DataCatalog) -> None:
        # Kedro reads its patterns with it.
        import parse  # type: ignore[import-untyped, unused-ignore]

        resolver = catalog._config_resolver
        self._known = (catalog._datasets, catalog._lazy_datasets, resolver.config)
        self._patterns = [parse.compile(each) for each in resolver._dataset_patterns]
        self._parts = vars(MemoryDataset())
        self.are_none = (
            type(resolver) is not CatalogConfigResolver
            or resolver._default_runtime_patterns != _RUNTIME_PATTERNS
            or bool(resolver._user_catch_all_pattern)
        )

    @classmethod
    def of(cls, catalog: Any) -> _PlainDatasets | None:
        """``None`` where there are none, or the catalog may do more than Kedro's own class."""
        if not isinstance(catalog, DataCatalog):
            return None
        for name in _LOOK_UPS:
            look_up = getattr(catalog, name, None)
            if getattr(look_up, "__module__", None) != DataCatalog.__module__:
                return None
        try:
            found = cls(catalog)
        except (AttributeError, ImportError, ValueError):
            return None
        return None if found.are_none else found

    def has(self, name: str) -> bool:
        """True for a dataset that nobody has registered and no pattern of the user matches."""
        return not (
            any(name in known for known in self._known)
            or any(pattern.parse(name) for pattern in self._patterns)
        )

    def make(self) -> MemoryDataset:
        """What Kedro would make, without a look at its signature each time."""
        dataset = MemoryDataset.__new__(MemoryDataset)
        vars(dataset).update(self._parts)
        if "_init_args" in self._parts:  # to keep the arguments for a catalog file
            vars(dataset)["_init_args"] = dict(self._parts["_init_args"])
        return dataset


def request_pipelines(names: Sequence[str]) -> None:
    """Let Kedro load these registered pipelines only, all of them if there are no names."""
    from kedro.framework.project import pipelines

    # Kedro 1.0 loads all pipelines always.
    if hasattr(pipelines, "set_requested"):
        wanted = [name for name in names if name != "__default__"]
        pipelines.set_requested(wanted if len(wanted) == len(names) and names else None)


def is_default_pipeline(pipeline: Pipeline) -> bool:
    """True for all nodes of the project's default pipeline."""
    from kedro.framework.project import pipelines

    # Where some pipelines alone are loaded, the default one is often their sum.
    requested = getattr(pipelines, "_requested_pipelines", None) or ["__default__"]
    default = pipelines.get("__default__") if requested == ["__default__"] else None
    return default is not None and set(pipeline.nodes) == set(default.nodes)


def catalog_of(
    context: KedroContext, save_version: str, pipeline_names: Sequence[str]
) -> CatalogProtocol[Any, Any]:
    """The catalog of a project as a session makes it for a run of these pipelines."""
    from kedro.framework.project import settings

    # The parameters of other pipelines need not be valid.
    if hasattr(context, "_pipelines_to_validate") and "__default__" not in pipeline_names:
        context._pipelines_to_validate = list(pipeline_names)
    return context._get_catalog(
        catalog_class=settings.DATA_CATALOG_CLASS, save_version=save_version
    )


def split_names(text: str | None) -> list[str]:
    """Names with commas between them, as ``kedro run`` takes them."""
    from kedro.framework.cli.utils import split_node_names

    split: Any = split_node_names  # a callback, which looks at its last argument alone
    return list(split(None, None, text or ""))


def parse_params(text: str | None) -> dict[str, Any]:
    """Parameters as ``kedro run --params`` takes them.

    Raises:
        click.UsageError: If one has no name or no value.
    """
    import click
    from kedro.framework.cli.utils import _split_params

    option = click.Option(["--params"])
    return cast("dict[str, Any]", _split_params(click.get_current_context(), option, text or ""))
