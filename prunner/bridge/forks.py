"""Moments in which this process must not be forked, whichever thread wants to.

A fork copies the table of open files as it is in that moment. A descriptor that another thread is
about to close, or has closed without having noted it yet, means something else to the child: it
would keep a pipe open that somebody waits for the end of, or close a file of its own.

Covers: keeping forks away. Does not cover: what a child must not have (``link``).
"""

from __future__ import annotations

import os
import threading

no_forks = threading.RLock()  # held while descriptors are made or closed

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=no_forks.acquire,
        after_in_parent=no_forks.release,
        after_in_child=no_forks.release,
    )
