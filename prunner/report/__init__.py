"""What is made of the record of a run: a report to look at, and a trace for Perfetto.

Everything is computed from ``sessions.records`` alone; only ``command`` reads and writes files.
"""

from __future__ import annotations
