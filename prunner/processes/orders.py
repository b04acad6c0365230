"""What the parent wants of a worker, in order, and what can be taken back from it.

Orders come over a pipe of their own, which a thread reads: a step that has not begun can be
recalled while another one runs, and the end of the pipe is the end of the parent.

Covers: the queue of a worker. Does not cover: what a step is (``steps``).
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from prunner.bridge.link import Link
from prunner.processes import crashes, tree

if TYPE_CHECKING:
    from prunner.bridge.messages import Returned

# Says that nothing follows. Not a message of its own: it may arrive before the worker is
# ready, and unpickling it must import nothing then.
STOP = None


class Orders:
    """The orders that a worker has not begun to carry out.

    Args:
        say: Tells the parent which steps it gets back.
    """

    def __init__(self, say: Callable[[Returned], Any]) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._say = say

    def next(self) -> Any:
        """Wait for the next order.

        Returns:
            ``BeginRun``, ``RunStep`` or ``STOP``.
        """
        return self._queue.get()

    def has_none(self) -> bool:
        """True while there is nothing to do."""
        return self._queue.empty()

    def take(self, message: Any) -> None:
        """Add what the parent has sent; a ``Recall`` takes steps out again instead."""
        if message is STOP:
            self._queue.put(STOP)
            return
        from prunner.bridge.messages import Recall, RunSteps, WriteStacks

        match message:
            case WriteStacks():
                crashes.write_stacks()
            case RunSteps(steps):
                for step in steps:
                    self._queue.put(step)
            case Recall():
                self.give_back()
            case _:
                self._queue.put(message)

    def give_back(self) -> None:
        """Tell the parent which steps have not begun, and forget them."""
        from prunner.bridge.messages import Returned, RunStep

        found = []
        while True:
            try:
                found.append(self._queue.get_nowait())
            except queue.Empty:
                break
        for other in found:
            if not isinstance(other, RunStep):
                self._queue.put(other)
        self._say(Returned(tuple(each.step for each in found if isinstance(each, RunStep))))

    def listen(self, connection: Connection) -> None:
        """Take orders as long as there is a parent; end this process with it."""
        link = Link(connection)
        try:
            while True:
                self.take(link.receive())
        except EOFError:
            try:
                crashes.leave_nothing()
                tree.kill_below()
            finally:
                os._exit(1)  # nobody is left to whom an orderly end matters
