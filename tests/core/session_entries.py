"""Records as they could be in an archive, for the tests of what is made of them."""

from __future__ import annotations

from typing import Any

from prunner.sessions.archive import Entry
from prunner.sessions.records import NodeRecord, Outcome, RunRecord, SessionRecord, Transfer

BEGAN = 1_700_000_000.0
DATA = {
    "project_path": "/home/ada/shop",
    "conf_source": "/home/ada/shop/conf",
    "username": "ada",
    "git": {"commit_sha": "abc1234", "dirty": False},
    "kedro_version": "1.7.0",
    "prunner_version": "0.1.0",
    "python_version": "3.11.7",
    "environment": {},
}


def an_entry(
    key: str = "2024-01-01T10.00.00.000Z",
    *,
    data: dict[str, Any] | None = None,
    runtime_params: dict[Any, Any] | None = None,
    parameters: dict[str, Any] | None = None,
    **run: Any,
) -> Entry:
    """A run of a session with the same key."""
    given: dict[str, Any] = {"outcome": Outcome.COMPLETED, "started": BEGAN, "ended": BEGAN + 2.5}
    given |= run
    session = SessionRecord(
        key=key, session_id=key, project="shop", host="here", data={**DATA, **(data or {})}
    )
    told = {"pipeline_names": [], "tags": (), **(parameters or {})}
    return Entry(
        session,
        RunRecord(
            key=key,
            run_id=key,
            session=key,
            runner=given.pop("runner", "prunner.ParallelRunner"),
            parameters={**told, "runtime_params": runtime_params or {}},
            **given,
        ),
    )


def a_session(key: str = "2024-01-01T09.00.00.000Z", **more: Any) -> Entry:
    """A session that ran nothing."""
    given: dict[str, Any] = {"outcome": Outcome.FAILED, "started": BEGAN - 60} | more
    return Entry(SessionRecord(key=key, session_id=key, project="shop", data=DATA, **given))


def a_node(name: str, step: int = 0, *, seconds: float | None = 1.0, **more: Any) -> NodeRecord:
    """A node that ran for so long; with ``None`` one that did not run."""
    if seconds is None:
        return NodeRecord(step=step, name=name, **more)
    given: dict[str, Any] = {
        "outcome": Outcome.COMPLETED,
        "worker": 0,
        "started": BEGAN + step,
        "ended": BEGAN + step + seconds,
        "run_seconds": seconds / 2,
        "loads": (Transfer("in", BEGAN, seconds / 4, 2_500_000),),
        "saves": (Transfer("out", BEGAN, seconds / 4, 10),),
    }
    return NodeRecord(step=step, name=name, **{**given, **more})
