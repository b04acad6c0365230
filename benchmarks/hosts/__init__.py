"""A run across several hosts: ``python -m benchmarks.hosts`` (as root, on Linux).

The hosts are network namespaces of one machine, each with an address, a host name and a view of
the file system of its own. What it shows needs root and iproute2, so it is no part of the tests.
"""
