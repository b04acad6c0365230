"""Hosts that are network namespaces, on a bridge that is in a namespace, too.

Nothing is changed in the network of the machine itself: what is made is gone with its namespaces.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any

from benchmarks.environment import ROOT, measured_environment

_NET = "10.213.7"
_ENDING = 10.0  # seconds for processes that were killed to be gone

# A host name; a folder that nobody else sees in place of each that is to be private.
_ENTER = """\
mount --make-rprivate / && hostname "$1" || exit 71; shift
while [ "$1" != -- ]; do mount -t tmpfs tmpfs "$1" || exit 72; shift; done; shift
cd "$1" || exit 73; shift
exec "$@"
"""


class Host:
    """A namespace with an address and a name.

    Args:
        name: Its host name.
        namespace: What ``ip netns`` calls it.
        address: Its address.
        private: Folders of which it has its own.
    """

    def __init__(self, name: str, namespace: str, address: str, private: Sequence[Path]) -> None:
        self.name = name
        self.namespace = namespace
        self.address = address
        self._private = [str(path) for path in private]

    def start(
        self, module: str, *arguments: str, folder: Path, output: int | IO[Any]
    ) -> subprocess.Popen[str]:
        """Start ``python -m MODULE`` on the host."""
        environment = measured_environment(quiet=False)
        environment["PYTHONPATH"] = str(ROOT)
        enter = ["ip", "netns", "exec", self.namespace, "unshare", "--mount", "--uts"]
        own = ["sh", "-c", _ENTER, "sh", self.name, *self._private, "--", str(folder)]
        return subprocess.Popen(
            [*enter, *own, sys.executable, "-m", module, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def pids(self) -> list[int]:
        """The processes of the host."""
        found = _ip("netns", "pids", self.namespace, check=False)
        return [int(line) for line in found.split()]

    def end(self) -> int:
        """End all processes of the host; how many these were."""
        pids, deadline = self.pids(), monotonic() + _ENDING
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while self.pids() and monotonic() < deadline:
            sleep(0.05)
        return len(pids)


@contextlib.contextmanager
def hosts(private: dict[str, Sequence[Path]]) -> Iterator[dict[str, Host]]:
    """Within this context there are hosts that reach each other.

    Args:
        private: By the name of each host, the folders of which it has its own.
    """
    token = f"prunner{os.getpid()}"
    switch = f"{token}-switch"
    with contextlib.ExitStack() as stack:
        stack.callback(_remove, switch)
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        made = {}
        for number, (name, folders) in enumerate(private.items(), start=1):
            host = Host(name, f"{token}-{name}", f"{_NET}.{number}", folders)
            stack.callback(_remove, host.namespace)
            stack.callback(host.end)
            _ip("netns", "add", host.namespace)
            _connect(host, switch, f"port{number}")
            made[name] = host
        yield made


def _connect(host: Host, switch: str, port: str) -> None:
    peer = ("type", "veth", "peer", "name", "eth0", "netns", host.namespace)
    _ip("-n", switch, "link", "add", port, *peer)
    _ip("-n", switch, "link", "set", port, "master", "bridge", "up")
    _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
    _ip("-n", host.namespace, "link", "set", "eth0", "up")
    _ip("-n", host.namespace, "link", "set", "lo", "up")


def what_is_missing() -> str | None:
    """What has to be there for hosts to be made; ``None`` if all is."""
    if sys.platform != "linux":
        return "Network namespaces exist on Linux only."
    if os.geteuid() != 0:
        return "Only root may make network namespaces: run it with sudo."
    for tool, package in (("ip", "iproute2"), ("unshare", "util-linux"), ("mount", "mount")):
        if shutil.which(tool) is None:
            return f"There is no command '{tool}'. Install it: apt-get install {package}"
    return None


def _remove(namespace: str) -> None:
    _ip("netns", "delete", namespace, check=False)


def _ip(*arguments: str, check: bool = True) -> str:
    command = ["ip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
