"""The suite ``peers``: the same graphs through other libraries and through prunner.

Each library has a module of its own, ``with_*``, that uses it as its documentation recommends, and
each measurement is one fresh process with two workers. A *cold* one runs the graph once and is
timed as a whole, from outside; a *warm* one runs it several times and times all but the first.
"""
