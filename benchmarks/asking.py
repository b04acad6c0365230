"""A measured process that is asked for something: a request in one file, its answer in another."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.process import Outcome, run_process


def ask(
    module: str,
    request: Mapping[str, Any],
    environment: Mapping[str, str],
    limit: float,
    interval: float,
) -> tuple[Outcome, Any]:
    """Run ``python -m MODULE REQUEST.json ANSWER.json`` in a folder of its own.

    Args:
        module: The module.
        request: What the process shall do.
        environment: All of its environment variables.
        limit: After how many seconds it is ended.
        interval: Seconds between two samples of its memory.

    Returns:
        How it went, and its answer; ``None`` if it has not given one.
    """
    # Windows may keep a file of a process that was ended for a moment longer.
    with tempfile.TemporaryDirectory(
        prefix="prunner-benchmark-", ignore_cleanup_errors=True
    ) as name:
        asked, answer = Path(name, "request.json"), Path(name, "answer.json")
        asked.write_text(json.dumps(request), encoding="utf-8")
        command = [sys.executable, "-m", module, str(asked), str(answer)]
        outcome = run_process(command, environment, Path(name), limit, interval)
        if outcome.status != "ok" or not answer.exists():
            return outcome, None
        return outcome, json.loads(answer.read_text(encoding="utf-8"))
