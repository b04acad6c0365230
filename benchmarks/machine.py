"""A description of the machine and of the software that was measured."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import psutil

import prunner
from benchmarks.memory import measure_name

_PACKAGES = ("kedro", "loky", "cloudpickle", "numpy", "psutil", "pyperf")


def describe() -> dict[str, str]:
    """Describe this machine.

    Returns:
        What is known about it, by what it is called in a report.
    """
    # Only the names that say something about the speed; others would tell who measured.
    import pyperf

    known = pyperf.Run([1.0], collect_metadata=True).get_metadata()
    found = {
        "CPU": str(known.get("cpu_model_name") or _cpu_model()),
        "Cores": f"{os.cpu_count()} logical, {psutil.cpu_count(logical=False) or '?'} physical",
        "CPU settings": str(known.get("cpu_config", "")),
        "RAM": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "System": str(known.get("platform", platform.platform())),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Load before the first round": str(known.get("load_avg_1min", "")),
        "Measure of memory": measure_name(),
        "prunner": prunner.__version__,
        **{name: _version(name) for name in _PACKAGES},
    }
    return {name: value for name, value in found.items() if value}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpu_model() -> str:
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.stdout.strip():
            return found.stdout.strip()
    return platform.processor() or platform.machine()
