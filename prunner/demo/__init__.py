"""The demo: a Kedro project, run sequentially and in parallel, and compared."""

from __future__ import annotations

from prunner.demo.run import run_demo

__all__ = ["run_demo"]
