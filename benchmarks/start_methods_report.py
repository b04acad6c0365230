"""The part of ``RESULTS.md`` about the suite ``start-methods``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.cases import WARM
from benchmarks.plots import draw_all
from benchmarks.records import Results
from benchmarks.tables import case_table, head, sentences

_HOW = """\
Every measurement is one fresh Python process, timed from outside (*Process*); inside it,
`runner.run()` is timed (*run()*). The processes alternate: all runners, then all again. Figures
are medians of the rounds (at most two of the demo, which takes long). Kedro's `ParallelRunner`
got its start method through `KEDRO_MP_CONTEXT`. Logging is set to warnings for all but the demo,
and numeric libraries use one thread per process.

*Peak* is the largest sum of the memory of all processes of the tree, sampled every 50 ms (20 ms
for the array); what prunner keeps in files in memory is part of it. *Extra* is by how much it is
larger than that of the case `nothing`. *Sequential / this* and *Kedro's / this* are ratios of the
times of whole processes, the latter against Kedro's `ParallelRunner` with the same start method
(loky: with spawn). `> N` stands for a process that was ended after N seconds.
"""

_WARM_HOW = """\
One process runs a small and a larger pipeline of trivial nodes; the difference of the two times,
divided by the difference of the numbers of nodes, is the cost of a node without start-up. Where
the numbers of nodes differ between runners, the slower ones got fewer, to end in time.
"""


def section(source: Path, folder: Path) -> str:
    """Write the suite's part of the report.

    Args:
        source: The JSON file of the suite.
        folder: Where its plots go; the report lies in the folder above.

    Returns:
        Markdown.
    """
    results = Results.read(source)
    return document(results, [f"{folder.name}/{path.name}" for path in draw_all(results, folder)])


def document(results: Results, plots: list[str]) -> str:
    """Write the suite's part of the report.

    Args:
        results: What was measured.
        plots: The plots, relative to the report.

    Returns:
        Markdown.
    """
    title = "`start-methods`: how workers are started, and Kedro's own runners"
    parts = [
        *head(title, results, results.limit),
        _HOW.rstrip(),
        "\n".join(f"- {line}" for line in sentences(results)),
    ]
    for case, title in results.cases.items():
        parts.append(f"### {case}: {title}")
        if case == WARM:
            parts.append(_WARM_HOW.rstrip())
        parts.append(case_table(results, case))
    parts.append("### Plots")
    parts += [f"![{Path(plot).stem}]({plot})" for plot in plots]
    return "\n\n".join(parts)
