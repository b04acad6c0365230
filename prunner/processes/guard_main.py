"""What the guard process runs, as a script in a bare interpreter (``guard``).

It waits for the end of the process that has started it, which is the end of its standard input.
Until then it imports nothing, unless something is left of others: it starts with every pool.
"""

import os
import sys


def main(pid: str, created: str, folders: str, paths: str) -> None:
    """Do what is described above.

    Args:
        pid: Id of the process that has started this one.
        created: When that was created.
        folders: Where files may be left, one in a line.
        paths: Where packages are, one in a line.
    """
    where = folders.splitlines()
    if _are_there_others(where, f"prunner-{pid}-{created}-"):
        _find_packages(paths)
        from prunner.bridge.owners import sweep

        sweep(where)
    watched: dict[str, list[str]] = {}
    for line in sys.stdin:
        process, *known = line[1:].split()
        if line[0] == "+":
            watched[process] = known
        else:
            watched.pop(process, None)
    if not watched:
        return
    _find_packages(paths)
    from prunner.bridge.owners import Owner, sweep_after
    from prunner.processes import tree

    tree.kill_those(Owner(int(process), int(when)) for process, (when, _) in watched.items())
    tree.kill_left_by({mark for _, mark in watched.values()})
    sweep_after(Owner(int(pid), int(created)), where)


def _are_there_others(folders: list[str], own: str) -> bool:
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            if name.startswith("prunner-") and not name.startswith(own) and name.count("-") > 2:
                return True
    return False


def _find_packages(paths: str) -> None:
    sys.path += [path for path in paths.splitlines() if path not in sys.path]


main(*sys.argv[1:])
os._exit(0)  # nothing is left to be tidied up
