"""Benchmarks: against what the machine allows, other libraries, start methods, failures and load.

``python -m benchmarks`` lists the suites. ``start-methods``, ``peers`` and ``reliability`` time
fresh processes, which alternate in each round (A B C, A B C); ``load`` has one for each case;
``floors`` measures a limit and prunner in turns in one process. Either way, if the machine is slow
for a while, so is all that is compared.

Why not ``pyperf.Runner``: it repeats one benchmark until it is done and only then starts the
next, it has no time limit after which a whole tree of processes is ended, and it knows the memory
of one process only. ``pyperf`` is used for what fits: it describes the machine, and the times are
also written as a file of its own format, so that ``pyperf stats``, ``pyperf hist`` and
``pyperf compare_to`` work with them.
"""
