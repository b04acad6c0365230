"""Functions for the nodes of the tests: importable in a worker without pytest."""

from __future__ import annotations

import os
from multiprocessing.connection import Client
from typing import Any


def identity(value: Any) -> Any:
    return value


def add(*values: Any) -> Any:
    return sum(values)


def worker_pid(*_: Any) -> int:
    return os.getpid()


def fail(*_: Any) -> None:
    raise ValueError("a node failed")


def double(value: Any) -> Any:
    return value * 2


def ones(size: int) -> Any:
    import numpy as np

    return np.ones(size)


def spoil(array: Any) -> float:
    array[0] += 6  # in place: the array must be writable, and this process's own
    return float(array.sum())


def fit(frame: Any) -> Any:
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(frame[["n"]].to_numpy(), 2 * frame["n"].to_numpy())


def sum_of_x(frame: Any) -> int:
    return int(frame["x"].sum())


def frames_by_name(names: list[str]) -> dict[str, Any]:
    import pandas as pd

    return {name: pd.DataFrame({"x": [1]}) for name in names}


def sum_of_parts(parts: dict[str, Any]) -> int:
    return sum(sum_of_x(load()) for load in parts.values())


def with_pid(value: Any) -> tuple[Any, int]:
    return value, os.getpid()


def three_lines() -> Any:
    for number in range(3):
        yield f"line {number}\n"


def last_of_three() -> Any:
    yield from range(3)


def write_trace(path: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write("ran")


def joined(parts: dict[str, str]) -> str:
    return "".join(parts.values())


def both(left: Any, right: Any) -> tuple[Any, Any]:
    return left, right


class Stuck:
    """Cannot be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("stuck to its process")

    def __deepcopy__(self, memo: Any) -> Stuck:
        return self


class Positive:
    """A catalog validator."""

    def validate(self, data: Any) -> Any:
        if data < 0:
            raise ValueError("not positive")
        return data


def children_of_parent(_: Any) -> int:
    import psutil

    return len(psutil.Process(os.getppid()).children())


def start_method_here() -> str:
    import sys

    return "spawn" if any("spawn_main" in argument for argument in sys.orig_argv) else "other"


def leave_a_thread() -> int:
    import threading

    threading.Thread(target=threading.Event().wait).start()
    return os.getpid()


def print_pid_and_wait() -> None:
    import threading

    print(f" worker {os.getpid()} ", flush=True)
    threading.Event().wait()


def type_name(value: Any) -> str:
    return type(value).__name__


def begin_and_wait(address: tuple[str, int]) -> int:
    """Go on until another node has failed; the two are in different processes."""
    with Client(address) as meeting:
        meeting.send("goes_on")
        meeting.recv()
    return 1


def fail_when(address: tuple[str, int]) -> None:
    """Fail once another node has begun."""
    with Client(address) as meeting:
        meeting.send("fails")
        meeting.recv()
    fail()


def log_lines(count: int) -> int:
    import logging

    for number in range(count):
        logging.getLogger(__name__).info("line %d", number)
    return count


def log_lines_and_die(count: int) -> None:
    log_lines(count)
    os._exit(7)


def log_levels(_: Any) -> int:
    import logging

    logger = logging.getLogger(__name__)
    logger.info("unheard")
    logger.warning("careful")
    try:
        return 1 // 0
    except ZeroDivisionError:
        logger.exception("it failed")
        return 0


def warn(_: Any) -> int:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("take care", stacklevel=1)
    return 0


def say(text: str) -> int:
    import sys

    print(f"{text} from {os.getpid()} ")
    print("complaint", file=sys.stderr)
    return 0
