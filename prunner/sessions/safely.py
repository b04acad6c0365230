"""No run fails because its record could not be written."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from prunner.errors import RecordError, described

_logger = logging.getLogger("kedro.prunner.sessions")
_said: set[str] = set()  # in this process


@contextlib.contextmanager
def safely(what: str) -> Iterator[None]:
    """Turn every error into a warning, each said once.

    Args:
        what: What is tried, as in "This run is not on record".
    """
    try:
        yield
    except Exception as error:
        is_ours = isinstance(error, RecordError)
        problem = str(error) if is_ours else described(error)
        if problem not in _said:
            _said.add(problem)
            _logger.warning("%s. %s", what, problem, exc_info=None if is_ours else error)
