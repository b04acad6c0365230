"""A snapshot as a few lines of text for a terminal of a certain size. Pure.

The line with the bar comes first, so that it stays where it is when nodes come and go.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from prunner.progress.snapshot import Running, Snapshot

_MOST_RUNNING = 8  # nodes that are listed
_LEAST_BAR, _LONGEST_BAR = 8, 40  # cells
_PART_OF_BAR = 5  # of the width
_GAP = "  "
_BAR = "bar"
_MINUTE, _HOUR = 60, 3600


def draw(snapshot: Snapshot, console: Console) -> list[str]:
    """The lines to be written, none longer than the terminal is wide.

    Args:
        snapshot: What is to be shown.
        console: Knows the terminal; nothing is written to it.
    """
    width = console.width - 1  # the last cell would wrap the line
    height = console.height // 2  # the rest is for what is printed
    if width < 1 or height < 1:
        return []
    lines = [_summary(snapshot, width, console), *_running(snapshot.running, width, height - 1)]
    for line in lines:
        line.truncate(width, overflow="crop" if _is_ascii(console) else "ellipsis")
    with console.capture() as written:
        console.print(Text("\n").join(lines), end="", no_wrap=True, overflow="ignore", crop=False)
    return written.get().split("\n")


def _is_ascii(console: Console) -> bool:
    return not console.encoding.startswith("utf")


# --- the line with the bar --------------------------------------------------------------------


def _summary(snapshot: Snapshot, width: int, console: Console) -> Text:
    """The most important things first, as many as there is room for."""
    line = Text().append(f"{snapshot.done} of {snapshot.total}", "bold")
    room = width - cell_len(line.plain)
    cells = min(_LONGEST_BAR, width // _PART_OF_BAR)
    bar = None
    for text, style in _parts(snapshot):
        if text == _BAR:
            if _LEAST_BAR <= cells <= room - len(_GAP):
                bar = _bar(snapshot, cells, console).append(_GAP)
                room -= cells + len(_GAP)
        elif text and len(_GAP) + len(text) <= room:
            line.append(_GAP).append(text, style)
            room -= len(_GAP) + len(text)
    return line if bar is None else bar.append(line)


def _parts(snapshot: Snapshot) -> list[tuple[str, str]]:
    left = "" if snapshot.left is None else about(snapshot.left)
    return [
        (_count(snapshot.failed, "failed"), "red"),
        (clock(snapshot.elapsed), "cyan"),
        (left, "cyan"),
        (_BAR, ""),
        (_count(snapshot.retrying, "retrying"), "yellow"),
        (_count(snapshot.skipped, "skipped"), "yellow"),
        *_memory(snapshot),
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number else ""


def _memory(snapshot: Snapshot) -> list[tuple[str, str]]:
    if snapshot.used is None:
        return []
    found = [(f"workers {size(snapshot.used)}", "dim")]
    if snapshot.free is not None:
        found.append((f"{size(snapshot.free)} free", "dim"))
    return found


def _bar(snapshot: Snapshot, cells: int, console: Console) -> Text:
    full, empty = ("#", "-") if _is_ascii(console) else ("━", "━")
    if console.no_color and full == empty:
        empty = " "  # nothing but the colour would tell them apart
    ended = snapshot.done + snapshot.failed + snapshot.skipped
    done = cells * ended // max(1, snapshot.total)
    return Text().append(full * done, "bar.complete").append(empty * (cells - done), "bar.back")


# --- the nodes that run -----------------------------------------------------------------------


def _running(running: tuple[Running, ...], width: int, height: int) -> list[Text]:
    room = max(0, min(_MOST_RUNNING, height))
    shown = running if len(running) <= room else running[: max(0, room - 1)]
    times = [clock(each.seconds) for each in shown]
    longest = max(map(len, times), default=0)
    lines = [
        _node(each, f"{time:>{longest}}", width) for each, time in zip(shown, times, strict=True)
    ]
    if len(shown) < len(running) and room:
        lines.append(Text(f"{_GAP}and {len(running) - len(shown)} more", "dim"))
    return lines


def _node(node: Running, time: str, width: int) -> Text:
    line = Text(_GAP).append(time, "cyan").append(_GAP)
    again = f"{_GAP}try {node.tries + 1}" if node.tries else ""
    name = Text(printable(node.name, width))
    name.truncate(max(1, width - cell_len(line.plain) - len(again)), overflow="ellipsis")
    return line.append(name).append(again, "yellow")


def printable(name: str, most: int) -> str:
    """The beginning of a name, with what would move the cursor written as an escape.

    Args:
        name: The name.
        most: Characters that are needed at most.
    """
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in name[: most + 1]
    )


# --- times and sizes --------------------------------------------------------------------------


def clock(seconds: float) -> str:
    """A duration as ``0:07``, ``12:34`` or ``1:23:45``."""
    minutes, rest = divmod(int(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def about(seconds: float) -> str:
    """What is left, no more exact than anybody can know it."""
    if seconds < 10:
        return "a few seconds left"
    if seconds < _MINUTE - 5:
        return f"about {-5 * int(-seconds // 5)} s left"
    minutes = max(1, round(seconds / _MINUTE))
    if minutes < _MINUTE:
        return f"about {minutes} min left"
    hours, minutes = divmod(5 * round(minutes / 5), _MINUTE)
    return f"about {hours} h {minutes} min left" if minutes else f"about {hours} h left"


def size(count: float) -> str:
    """Bytes as ``3.2 GB``."""
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5:
            return f"{count:.1f} {unit}" if count < 9.95 else f"{count:.0f} {unit}"
    count /= 1000
    return f"{count:.1f} TB"
