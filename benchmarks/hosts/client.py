"""One run, on the client's host: ``python -m benchmarks.hosts.client REQUEST.json ANSWER.json``."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from time import perf_counter
from typing import Any


class _Kept(logging.Handler):
    """Keeps what is logged, and prints it for whoever waits for a line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        self.lines.append(f"{record.levelname} {line}")
        print(line.splitlines()[0] if line else "", flush=True)


def main(request_file: Path, answer_file: Path) -> None:
    """Do what is asked for in one file, and answer in another."""
    request = json.loads(request_file.read_text(encoding="utf-8"))
    answer_file.write_text(json.dumps(_run(**request)), encoding="utf-8")


def _run(project: str, environment: str, address: str | None, seconds: float) -> dict[str, Any]:
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project
    from kedro.runner import SequentialRunner

    from prunner import DaskRunner

    bootstrap_project(Path(project))
    kept = _Kept()
    logging.root.handlers[:] = [kept]
    runner = SequentialRunner() if address is None else DaskRunner(address)
    error, total, start = None, None, perf_counter()
    # The type of create() does not tell which session it makes.
    session: Any = KedroSession.create(
        project_path=project, env=environment, runtime_params={"seconds": seconds}
    )
    with session:
        try:
            total = session.run(runner=runner)["total"].load()
        except Exception as caught:
            error = f"{type(caught).__name__}: {caught}"
    used = perf_counter() - start
    return {"total": total, "error": error, "lines": kept.lines, "seconds": used}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
