"""What the commands have in common. Imports nothing, as their heads import click alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

_Command = Callable[..., Any]


def with_options(options: Sequence[Callable[[_Command], Any]]) -> Callable[[_Command], Any]:
    """Give a command several options at once.

    Args:
        options: Decorators of click, in the order in which the help shows them.
    """

    def decorate(function: _Command) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
