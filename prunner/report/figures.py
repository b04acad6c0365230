"""Durations, sizes, shares and names as people read them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_UNKNOWN = "unknown"


def duration(seconds: float | None) -> str:
    """A duration with two or three digits that matter: ``12 ms``, ``3.4 s``, ``2 min 05 s``."""
    if seconds is None:
        return _UNKNOWN
    if seconds <= 0:
        return "0 s"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.0095 else f"{seconds * 1000:.1f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 120:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min"


def size(number: float | None) -> str:
    """A number of bytes in decimal units: ``820 bytes``, ``1.2 GB``."""
    if number is None:
        return _UNKNOWN
    value, unit = float(number), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return (
        f"{value:.0f} {_UNITS[unit]}" if value >= 10 or not unit else f"{value:.1f} {_UNITS[unit]}"
    )


def percent(share: float) -> str:
    """A share of 1 as a percentage."""
    return f"{share * 100:.0f} %"


def count(number: int, what: str) -> str:
    """A number of things: ``1 node``, ``2,000 nodes``."""
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def shorten(name: str, limit: int = 60) -> str:
    """A name in one line: white space runs together, and the middle is left out if it is long."""
    line = " ".join(name.split())
    if len(line) <= limit:
        return line
    head = (limit - 1) * 2 // 3
    return f"{line[:head]}\u2026{line[head + 1 - limit :]}"


def encodable(text: str) -> str:
    """The text without lone surrogates, which no file can have: they are question marks then."""
    return text.encode("utf-8", "replace").decode("utf-8")


def worker_name(worker: int, hosts: Mapping[int, str]) -> str:
    """What a worker is called: ``worker 3 on host b``, without a host if that is the run's own.

    Args:
        worker: Its number; -1 for the main process.
        hosts: The machines of workers on others, by their number.
    """
    if worker < 0:
        return "main process"
    return f"worker {worker}" + (f" on host {hosts[worker]}" if worker in hosts else "")
