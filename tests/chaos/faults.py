"""What goes wrong in a node, how, where, and how often."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from tests.processes.failing_nodes import WAYS, hold_the_interpreter, is_first, take_forever

DEATHS = tuple(WAYS)
HANGS = ("wait", "hold")
UNPICKLABLE = "unpicklable"


class OrdinaryFault(ValueError):
    pass


class OddFault(Exception):
    """Pickles, and cannot be unpickled in the ordinary way."""

    def __init__(self, node: str, number: int) -> None:
        self.number = number
        super().__init__(f"an odd fault of node {node}")


class LockedFault(OrdinaryFault):
    """Has an attribute that cannot be pickled."""

    def __init__(self, node: str) -> None:
        super().__init__(node)
        self.lock = threading.Lock()


class BaseFault(BaseException):
    pass


def _raise_group(node: str) -> NoReturn:
    members = [OrdinaryFault(node), OddFault(node, 2)]
    if sys.version_info >= (3, 11):
        raise ExceptionGroup(f"faults of node {node}", members)  # noqa: F821 - not there before
    raise members[1] from members[0]


def _raise(kind: Callable[..., BaseException], *args: Any) -> Callable[[str], None]:
    def strike(node: str) -> None:
        raise kind(node, *args)

    return strike


EXCEPTIONS: dict[str, tuple[type[BaseException], Callable[[str], None]]] = {
    "ordinary": (OrdinaryFault, _raise(OrdinaryFault)),
    "odd": (OddFault, _raise(OddFault, 1)),
    "locked": (LockedFault, _raise(LockedFault)),
    "group": (Exception, _raise_group),
    "leave": (SystemExit, _raise(SystemExit)),
    "interrupt": (KeyboardInterrupt, _raise(KeyboardInterrupt)),
    "base": (BaseFault, _raise(BaseFault)),
}
# Nothing but the user's own Ctrl-C raises this in the main process.
NOT_HERE = ("interrupt",)

_STRIKES: dict[str, Callable[[str], None]] = {
    **{kind: lambda _, way=way: way() for kind, way in WAYS.items()},  # type: ignore[misc]
    **{kind: strike for kind, (_, strike) in EXCEPTIONS.items()},
    "wait": lambda _: take_forever(),
    "hold": lambda _: hold_the_interpreter(),
}


@dataclass(frozen=True)
class Fault:
    """One fault of one node.

    Attributes:
        kind: What happens.
        place: Where: ``run``, ``load`` and ``save`` of a persistent dataset, ``pickle`` an output,
            ``unpickle`` an input, ``load hook`` and ``run hook``, which end the worker while it
            waits for them.
        node: The node to which it happens.
        once: Whether it happens at the first try only.
        mark: A file that is there after the first try.
        main_pid: The process that must survive.
    """

    kind: str
    place: str
    node: str
    once: bool = False
    mark: str = ""
    main_pid: int = 0

    def strike(self) -> None:
        """Do it, unless it is done."""
        if self.kind == UNPICKLABLE or not self.is_due():
            return
        if os.getpid() == self.main_pid and self.kind not in EXCEPTIONS:
            raise AssertionError(f"node {self.node} was to {self.kind} in the main process")
        _STRIKES[self.kind](self.node)

    def is_due(self) -> bool:
        """Whether it is to happen now; asked once for each try."""
        return not self.once or is_first(self.mark)

    @property
    def raises(self) -> type[BaseException] | None:
        """What the node's own code raises."""
        return EXCEPTIONS[self.kind][0] if self.kind in EXCEPTIONS else None

    def __str__(self) -> str:
        return f"{self.kind} in {self.place}{' once' if self.once else ''}"
