"""Hook calls of workers, answered by the session's own hook instances in the parent.

A worker's hook manager is a relay: it asks the parent, which calls the hook on the very
instances that the session registered, and waits for the answer. A hook that nobody implements
is never sent, and data travels only where some implementation takes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunner.bridge.failure import Failure
from prunner.bridge.messages import HookCall, HookReply
from prunner.errors import DataTransferError

if TYPE_CHECKING:
    from pluggy import PluginManager

    from prunner.bridge.data import DataRef, Exchange

RELAYED = (
    "before_node_run",
    "after_node_run",
    "on_node_error",
    "before_dataset_loaded",
    "after_dataset_loaded",
    "before_dataset_saved",
    "after_dataset_saved",
)
_MAPPINGS = ("inputs", "outputs")  # from names of datasets to data


def implemented_hooks(hook_manager: PluginManager) -> dict[str, frozenset[str]]:
    """The hooks around a node that somebody implements.

    Args:
        hook_manager: The session's, or Kedro's null manager.

    Returns:
        Names of the hooks, each with the arguments that some implementation takes.
    """
    found = {}
    for name in RELAYED:
        # Kedro's null manager answers None to everything.
        implementations = getattr(hook_manager.hook, name).get_hookimpls() or ()
        if implementations:
            found[name] = frozenset(arg for impl in implementations for arg in impl.argnames)
    return found


class HookRelay:
    """What Kedro's ``Task`` takes for a hook manager in a worker.

    Args:
        implemented: What ``implemented_hooks`` found in the parent.
        exchange: The data files of the run.
        ask: Sends a call and waits for the reply; called from several threads where the
            node loads and saves asynchronously.
    """

    def __init__(
        self,
        implemented: Mapping[str, frozenset[str]],
        exchange: Exchange,
        ask: Callable[[HookCall], HookReply],
    ) -> None:
        self._implemented = implemented
        self._exchange = exchange
        self._ask = ask
        self.step = -1

    @property
    def hook(self) -> HookRelay:
        """The hooks are attributes of this, as with pluggy."""
        return self

    def __getattr__(self, name: str) -> Callable[..., list[Any]]:
        if name not in RELAYED:
            raise AttributeError(name)
        taken = self._implemented.get(name)
        if taken is None:
            return lambda **_: []
        return lambda **arguments: self._relay(name, taken, arguments)

    def _relay(self, name: str, taken: frozenset[str], arguments: dict[str, Any]) -> list[Any]:
        error = arguments.get("error")
        call = HookCall(
            step=self.step,
            hook=name,
            plain={key: value for key, value in arguments.items() if key == "dataset_name"},
            data={path: self._put(value) for path, value in _flatten(arguments, taken)},
            error=None if error is None else Failure.capture(error),
        )
        reply = self._ask(call)
        if reply.failure is not None:
            raise reply.failure.restore()
        if reply.result is None:
            return []
        result: list[Any] = self._exchange.get(reply.result)
        self._exchange.release(reply.result)
        return [_without_stand_ins(each) for each in result]

    def _put(self, value: Any) -> DataRef:
        if not isinstance(value, Iterator):
            with contextlib.suppress(DataTransferError):
                return self._exchange.put(value)
        kind = type(value)
        return self._exchange.put(StaysWithNode(f"{kind.__module__}.{kind.__qualname__}"))


def _flatten(
    arguments: Mapping[str, Any], taken: frozenset[str]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    if "data" in arguments and "data" in taken:
        yield ("data",), arguments["data"]
    for name in _MAPPINGS:
        if name in arguments and name in taken:
            for dataset, value in arguments[name].items():
                yield (name, dataset), value


@dataclass(frozen=True)
class StaysWithNode:
    """Stands in a hook for an object that cannot leave the worker.

    That is what cannot be pickled, and every iterator, such as the generator of a node that
    yields its output in chunks: a hook that took something out of it would take it away from
    the node. Each chunk goes to ``before_dataset_saved`` when it is there.

    Attributes:
        type_name: Full name of the object's class.
    """

    type_name: str

    def __iter__(self) -> Iterator[Any]:
        """Refuse, as this is not the object.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"an object of type {self.type_name} stays with its node, not here")


def _without_stand_ins(result: Any) -> Any:
    # A hook that hands back what it was given must not replace an object by its stand-in.
    if isinstance(result, dict):
        return {
            name: value for name, value in result.items() if not isinstance(value, StaysWithNode)
        }
    return result


def answer_hook(
    hook_manager: PluginManager, call: HookCall, known: Mapping[str, Any], exchange: Exchange
) -> HookReply:
    """In the parent: call a hook for a worker.

    Args:
        hook_manager: The session's.
        call: What the worker asks for.
        known: Arguments that the parent has itself: node, catalog, run id and so on.
        exchange: The data files of the run.

    Returns:
        The answer, with the exception that a hook raised, if any.
    """
    arguments: dict[str, Any] = {"data": None, "inputs": {}, "outputs": {}, **known, **call.plain}
    try:
        for (name, *dataset), ref in call.data.items():
            value = exchange.get(ref)
            exchange.release(ref)
            if dataset:
                arguments[name][dataset[0]] = value
            else:
                arguments[name] = value
        if call.error is not None:
            arguments["error"] = call.error.restore()
        caller = getattr(hook_manager.hook, call.hook)
        results = caller(**{name: arguments[name] for name in caller.spec.argnames})
        useful = [result for result in results if result is not None]
        return HookReply(result=exchange.put(useful) if useful else None)
    except Exception as error:
        return HookReply(failure=Failure.capture(error))
