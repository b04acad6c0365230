"""The commands ``prunner sessions ...``: what is on record, as text, as JSON, and run again.

``listing``, ``showing``, ``comparing`` and ``repeating`` are pure; ``kedro_run`` knows what
Kedro's command line takes; ``command``, ``rerun_command`` and ``console`` are what a terminal sees.
"""

from __future__ import annotations
