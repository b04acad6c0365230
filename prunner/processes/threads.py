"""How many threads numeric libraries use in a worker.

Each BLAS or OpenMP pool takes as many threads as there are cores. Where several workers do so,
they are in each other's way. The variables are those that joblib sets for its workers; libraries
that are loaded already (in a forked worker, or in one that has been used before) are told by
threadpoolctl.
"""

from __future__ import annotations

import os
import sys

VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class ThreadLimit:
    """In a worker: the number of threads, unless the user has set it.

    To be made when the environment is the user's.
    """

    def __init__(self) -> None:
        self._ours = [name for name in VARIABLES if name not in os.environ]
        self._threads = 0

    def apply(self, threads: int) -> None:
        """Let the libraries of this process use so many threads each.

        Args:
            threads: The number, for every variable that the user has not set.
        """
        if threads == self._threads:
            return
        self._threads = threads
        for name in self._ours:
            os.environ[name] = str(threads)
        if len(self._ours) == len(VARIABLES) and "numpy" in sys.modules:
            from threadpoolctl import threadpool_limits

            threadpool_limits(threads)  # as a call, not as a context: it stays
