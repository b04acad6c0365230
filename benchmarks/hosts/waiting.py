"""Waits on the client's host for workers: ``python -m benchmarks.hosts.waiting ADDRESS COUNT``."""

from __future__ import annotations

import sys

from distributed import Client

_LIMIT = 120  # seconds

if __name__ == "__main__":
    with Client(sys.argv[1], timeout=_LIMIT) as client:
        client.wait_for_workers(int(sys.argv[2]), timeout=_LIMIT)
