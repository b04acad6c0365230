"""Makes ``RESULTS.md`` and its plots from the JSON file of a suite."""

from __future__ import annotations

from pathlib import Path

from benchmarks.cases import WARM
from benchmarks.plots import draw_all
from benchmarks.records import Results
from benchmarks.tables import case_table, markdown_table, sentences

_HOME = Path(__file__).resolve().parent

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


def document(results: Results, plots: list[str]) -> str:
    """Write the report.

    Args:
        results: What was measured.
        plots: The plots, relative to the report.

    Returns:
        Markdown.
    """
    kind = "A first look (`--quick`)" if results.quick else "Measured"
    parts = [
        f"# Results of `{results.suite}`",
        "Written by `python -m benchmarks report`; do not edit.",
        f"{kind} on {results.started}, {results.complete_rounds} of {results.rounds} round(s), "
        f"at most {results.limit:g} s per process.",
        "## Machine",
        markdown_table(["What", "Value"], [[*pair] for pair in results.machine.items()]),
        "## How it was measured",
        _HOW.rstrip(),
        "## In words",
        "\n".join(f"- {line}" for line in sentences(results)),
    ]
    for case, title in results.cases.items():
        parts.append(f"## {case}: {title}")
        if case == WARM:
            parts.append(_WARM_HOW.rstrip())
        parts.append(case_table(results, case))
    parts.append("## Plots")
    parts += [f"![{Path(plot).stem}]({plot})" for plot in plots]
    return "\n\n".join(parts) + "\n"


def write_report(source: Path, home: Path = _HOME) -> Path:
    """Write the report of a suite, with its plots and a copy of the measurements.

    Args:
        source: The JSON file of the suite.
        home: The folder for ``RESULTS.md``; the rest goes to ``results`` below it.

    Returns:
        The report.
    """
    results = Results.read(source)
    folder = home / "results"
    folder.mkdir(parents=True, exist_ok=True)
    results.write(folder / f"{results.suite}.json")
    plots = [path.relative_to(home).as_posix() for path in draw_all(results, folder)]
    report = home / "RESULTS.md"
    report.write_text(document(results, plots), encoding="utf-8")
    return report
