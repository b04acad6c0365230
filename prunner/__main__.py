"""Makes ``python -m prunner`` the same as the command ``prunner``."""

from __future__ import annotations

from prunner.cli import main

# The guard matters here more than elsewhere: a worker started by 'spawn' imports this module again.
if __name__ == "__main__":
    main(prog_name="prunner")
