"""The options about nodes that fail, checked, and what they mean for the steps of a pipeline."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prunner.errors import OptionError
from prunner.planning.policy import NO_POLICY, MemoryPolicy, RunPolicy, StepPolicy, full_name

if TYPE_CHECKING:
    from kedro.pipeline.node import Node

_ON_ERROR = ("stop", "continue")
_NAMES = ("retries", "retry_on", "retry_delay", "retry_backoff", "timeout")


def check_on_error(on_error: str) -> str:
    """Check what is to happen when a node has failed.

    Args:
        on_error: The option as given.

    Returns:
        ``stop`` or ``continue``.

    Raises:
        OptionError: If it is neither.
    """
    if on_error not in _ON_ERROR:
        raise OptionError(f"on_error must be 'stop' or 'continue', not {on_error!r}.")
    return on_error


def check_policy(
    options: Mapping[str, Any], where: str = "", has_resources: bool = False
) -> dict[str, Any]:
    """Check options about nodes that fail.

    Args:
        options: Some of ``retries``, ``retry_on``, ``retry_delay``, ``retry_backoff``, ``timeout``.
        where: Of what they are the options, to be read behind a name.
        has_resources: Whether ``resources`` is one of them, as on a Dask cluster.

    Returns:
        The same, as ``StepPolicy`` takes them.

    Raises:
        OptionError: If one of them has a value that cannot be used, or is not known.
    """
    names = (*_NAMES, "resources") if has_resources else _NAMES
    unknown = options.keys() - set(names)
    if unknown:
        raise OptionError(
            f"Unknown option{where}: {', '.join(map(repr, sorted(map(str, unknown))))}. "
            f"There are {', '.join(names)}."
        )
    return {name: _CHECKS[name](value, name + where) for name, value in options.items()}


def check_defaults(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Check the options about nodes that fail among the arguments of a runner.

    Args:
        arguments: All arguments, by name.

    Returns:
        Those options, as ``StepPolicy`` takes them.

    Raises:
        OptionError: If one of them has a value that cannot be used.
    """
    return check_policy({name: arguments[name] for name in _NAMES})


def check_node_options(node_options: Any, has_resources: bool = False) -> dict[str, dict[str, Any]]:
    """Check the options of single nodes and tags.

    Args:
        node_options: Options by the name of a node or a tag; as ``--runner-params`` makes them,
            a name with dots may be several levels of a mapping.
        has_resources: Whether ``resources`` is one of the options, as on a Dask cluster.

    Returns:
        Checked options by name.

    Raises:
        OptionError: If they cannot be used.
    """
    if node_options is None:
        return {}
    if not isinstance(node_options, Mapping):
        raise OptionError(
            "node_options must be a mapping from names of nodes or tags to options, such as "
            f"{{'train': {{'retries': 2}}}}, not {node_options!r}."
        )
    return {
        name: check_policy(options, f" of node or tag '{name}'", has_resources)
        for name, options in _flat(node_options)
    }


def _flat(node_options: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node_options.items():
        name = f"{above}{key}"
        if not isinstance(value, Mapping):
            raise OptionError(f"node_options of '{name}' must be a mapping, not {value!r}.")
        deeper = [each for each in value.values() if isinstance(each, Mapping)]
        if deeper and len(deeper) == len(value) and value.keys() != {"resources"}:
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def policy_of(
    nodes: Iterable[Node],
    keep_going: bool,
    default: Mapping[str, Any],
    node_options: Mapping[str, Mapping[str, Any]],
    memory: MemoryPolicy = NO_POLICY.memory,
) -> tuple[RunPolicy, list[str]]:
    """The rules for the steps of a pipeline.

    Args:
        nodes: The nodes by their step.
        keep_going: Whether a run goes on when a node has failed.
        default: Checked options of all nodes.
        node_options: Checked options of nodes and tags; those of a node come before those of
            its tags, and of these the later ones before the earlier ones.
        memory: What is to be done about memory.

    Returns:
        The rules, and the names that fit no node and no tag.
    """
    steps = {}
    used: set[str] = set()
    for step, node in enumerate(nodes):
        tags = [name for name in node_options if name in node.tags and name != node.name]
        names = [*tags, *([node.name] if node.name in node_options else [])]
        used.update(names)
        if names:
            merged = dict(default)
            for name in names:
                merged.update(node_options[name])
            steps[step] = StepPolicy(**merged)
    policy = RunPolicy(keep_going, StepPolicy(**default), steps, memory)
    return policy, [name for name in node_options if name not in used]


def _count(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise OptionError(f"{name} must be a whole number, 0 or more, not {value!r}.")
    return int(value)


def _seconds(value: Any, name: str) -> float:
    return _number(value, name, 0.0, "a number of seconds, 0 or more")


def _factor(value: Any, name: str) -> float:
    return _number(value, name, 1.0, "a number, 1 or more")


def check_seconds_or_none(value: Any, name: str) -> float | None:
    """Check a number of seconds above 0, or ``None`` for no limit.

    Raises:
        OptionError: If it is something else.
    """
    if value is None:
        return None
    seconds = _number(value, name, 0.0, "a number of seconds above 0, or None")
    if not seconds:
        raise OptionError(f"{name} must be a number of seconds above 0, or None, not {value!r}.")
    return seconds


def _number(value: Any, name: str, least: float, what: str) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or math.isnan(value) or not least <= value <= threading.TIMEOUT_MAX:
        raise OptionError(f"{name} must be {what}, not {value!r}.")
    return float(value)


def _exceptions(value: Any, name: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split()  # as a command line has it
    each = tuple(value) if isinstance(value, Iterable) else (value,)
    return tuple(_exception(one, name) for one in each)


def _exception(value: Any, name: str) -> str:
    if isinstance(value, type) and issubclass(value, BaseException):
        return full_name(value)
    if isinstance(value, str) and value.strip():
        return value.strip().removeprefix("builtins.")
    raise OptionError(f"{name} must be exception classes or their full names, not {value!r}.")


def _resources(value: Any, name: str) -> dict[str, float]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) and key for key in value):
        raise OptionError(
            f"{name} must be a mapping from names of resources to how much of each, such as "
            f"{{'GPU': 1}}, not {value!r}."
        )
    what = "a number above 0"
    return {key: _number(each, f"'{key}' in {name}", 1e-9, what) for key, each in value.items()}


_CHECKS = {
    "retries": _count,
    "retry_on": _exceptions,
    "retry_delay": _seconds,
    "retry_backoff": _factor,
    "timeout": check_seconds_or_none,
    "resources": _resources,
}
