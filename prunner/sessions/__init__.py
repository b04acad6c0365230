"""Sessions and runs on record: who ran what, with which parameters, where the time went.

Covers: the store, what is recorded of a run, and what is made of records (texts, reports).
Does not cover: how a run is carried out; nothing of the runner depends on this package.
"""

from __future__ import annotations
