"""Benchmarks of prunner's start methods against Kedro's own runners.

``python -m benchmarks`` lists what there is. Every measurement is one fresh Python process, timed
from outside, and the processes of one round alternate (A B C, A B C), so that a machine that
becomes slower for a while does so for all of them.

Why not ``pyperf.Runner``: it repeats one benchmark until it is done and only then starts the
next, it has no time limit after which a whole tree of processes is ended, and it knows the memory
of one process only. ``pyperf`` is used for what fits: it describes the machine, and the times are
also written as a file of its own format, so that ``pyperf stats``, ``pyperf hist`` and
``pyperf compare_to`` work with them.
"""
