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

from prunner.bridge.failure import Failures
from prunner.bridge.messages import HookCall, HookReply
from prunner.errors import DataTransferError

if TYPE_CHECKING:
    from pluggy import PluginManager

    from prunner.bridge.data import Store
    from prunner.bridge.refs import DataRef
    from prunner.bridge.shelf import Shelf

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
# Before these, code of a node or of a dataset has run that may have changed what it was given: a
# generator runs between two chunks.
_AFTER_FOREIGN_CODE = (
    "after_node_run",
    "on_node_error",
    "before_dataset_saved",
    "after_dataset_saved",
)


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
        ask: Sends a call and waits for the reply; called from several threads where the
            node loads and saves asynchronously.
        local: The hook manager with the hooks that run in workers, if there are any.
    """

    def __init__(
        self,
        implemented: Mapping[str, frozenset[str]],
        ask: Callable[[HookCall], HookReply],
        local: PluginManager | None = None,
    ) -> None:
        self._implemented = implemented
        self._ask = ask
        self._local = local
        self._step = -1
        self._shelf: Shelf
        self._failures: Failures
        self._saved: Callable[[], Mapping[str, DataRef]]

    def begin_step(
        self,
        step: int,
        shelf: Shelf,
        failures: Failures,
        saved: Callable[[], Mapping[str, DataRef]],
    ) -> None:
        """The calls that follow are about this step.

        Args:
            step: The step.
            shelf: The step's data.
            failures: The step's exceptions.
            saved: Says which in-memory datasets the step has saved so far.
        """
        self._step = step
        self._shelf = shelf
        self._failures = failures
        self._saved = saved

    @property
    def hook(self) -> HookRelay:
        """The hooks are attributes of this, as with pluggy."""
        return self

    def __getattr__(self, name: str) -> Callable[..., list[Any]]:
        if name not in RELAYED:
            raise AttributeError(name)
        call = self._caller(name)
        self.__dict__[name] = call  # a step calls six of them and more
        return call

    def _caller(self, name: str) -> Callable[..., list[Any]]:
        if not self._implemented and self._local is None:
            return self._forget if name == "after_dataset_saved" else _call_nobody
        taken = self._implemented.get(name)
        return lambda **arguments: self._call(name, taken, arguments)

    def _forget(self, **arguments: Any) -> list[Any]:
        self._shelf.forget(arguments["data"])
        return []

    def _call(
        self, name: str, taken: frozenset[str] | None, arguments: dict[str, Any]
    ) -> list[Any]:
        if name in _AFTER_FOREIGN_CODE:
            self._shelf.doubt()
        results: list[Any] = []
        if self._local is not None:
            results += getattr(self._local.hook, name)(**arguments)
            self._shelf.doubt()
        if taken is not None:
            results += self._relay(name, taken, arguments)
        if name == "after_dataset_saved":
            self._shelf.forget(arguments["data"])
        return results

    def _relay(self, name: str, taken: frozenset[str], arguments: dict[str, Any]) -> list[Any]:
        error = arguments.get("error")
        call = HookCall(
            step=self._step,
            hook=name,
            plain={key: value for key, value in arguments.items() if key == "dataset_name"},
            data={path: self._lend(value) for path, value in _flatten(arguments, taken)},
            error=None if error is None else self._failures.capture(error),
            saved=self._saved(),
        )
        reply = self._ask(call)
        if reply.failure is not None:
            raise self._failures.restore(reply.failure)
        if reply.result is None:
            return []
        result: list[Any] = self._shelf.get(reply.result)
        self._shelf.release(reply.result)
        return [_without_stand_ins(each) for each in result]

    def _lend(self, value: Any) -> DataRef:
        if not isinstance(value, Iterator):
            with contextlib.suppress(DataTransferError):
                return self._shelf.lend(value)
        kind = type(value)
        return self._shelf.lend(StaysWithNode(f"{kind.__module__}.{kind.__qualname__}"))


def _call_nobody(**_: Any) -> list[Any]:
    return []


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


class HookDesk:
    """In the parent: answers the hook calls of one step.

    What a hook was given it is given again, the same object, as long as the step's own is the same.

    Args:
        hook_manager: The session's, or what of it is not called in the workers.
        known: Arguments that the parent has itself: node, catalog, run id and so on.
        exchange: The data files of the run.

    Attributes:
        failures: The step's exceptions.
    """

    def __init__(
        self,
        hook_manager: PluginManager,
        known: Mapping[str, Any],
        exchange: Store,
    ) -> None:
        self.failures = Failures()
        self._hook_manager = hook_manager
        self._known = known
        self._exchange = exchange
        self._values: dict[tuple[str, DataRef], Any] = {}

    def answer(self, call: HookCall) -> HookReply:
        """Call a hook for a worker.

        Args:
            call: What the worker asks for.

        Returns:
            The answer, with the exception that a hook raised, if any.
        """
        try:
            arguments = self._arguments(call)
            caller = getattr(self._hook_manager.hook, call.hook)
            results = _call(caller, {name: arguments[name] for name in caller.spec.argnames})
            useful = _new_inputs(results) if call.hook == "before_node_run" else []
            return HookReply(result=self._exchange.put(useful) if useful else None)
        except KeyboardInterrupt:
            raise  # it is the user's, not the hook's
        except BaseException as error:
            return HookReply(failure=self.failures.capture(error))

    def _arguments(self, call: HookCall) -> dict[str, Any]:
        arguments: dict[str, Any] = {"data": None, "inputs": {}, "outputs": {}}
        arguments.update(self._known)
        arguments.update(call.plain)
        for (name, *dataset), ref in call.data.items():
            owner = dataset[0] if dataset else call.plain["dataset_name"]
            value = self._value(owner, ref, keep="saved" not in call.hook)
            if dataset:
                arguments[name][dataset[0]] = value
            else:
                arguments[name] = value
        if call.error is not None:
            arguments["error"] = self.failures.restore(call.error)
        return arguments

    def _value(self, owner: str, ref: DataRef, keep: bool) -> Any:
        if (owner, ref) in self._values:
            return self._values[owner, ref]
        value = self._exchange.get(ref)
        if keep:  # not the chunks of a generator: there may be many
            self._values[owner, ref] = value
        return value


def _call(caller: Callable[..., list[Any]], arguments: Mapping[str, Any]) -> list[Any]:
    """Call a hook, inside an ``except`` if it is about an error, as Kedro does."""
    error = arguments.get("error")
    if error is None:
        return caller(**arguments)
    frames = error.__traceback__
    try:
        raise error
    except BaseException:  # what traceback.format_exc() tells of, from here on
        error.__traceback__ = frames
        return caller(**arguments)


def _new_inputs(results: list[Any]) -> list[Any]:
    useful = [result for result in results if result is not None]
    for result in useful:
        if not isinstance(result, dict):  # as Kedro says it, but where the hook is
            raise TypeError(
                "'before_node_run' must return either None or a dictionary mapping dataset names "
                f"to updated values, got '{type(result).__name__}' instead."
            )
    return useful
