"""The times in pyperf's own file format, for ``python -m pyperf stats`` or ``compare_to``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.records import OK, Measurement, Results


def write_pyperf(results: Results, path: Path) -> bool:
    """Write the times of whole processes as one pyperf benchmark per case and subject.

    Args:
        results: What was measured.
        path: The file; it is replaced.

    Returns:
        Whether there was anything to write.
    """
    import pyperf

    groups: dict[str, list[Measurement]] = {}
    for measurement in results.measurements:
        if measurement.status == OK:
            name = f"{measurement.case}: {measurement.subject}"
            groups.setdefault(name, []).append(measurement)
    # One pyperf run per process, which is what it means there too.
    benchmarks = [
        pyperf.Benchmark(
            [
                pyperf.Run(
                    [one.wall],
                    metadata={"name": name, "unit": "second", "loops": 1},
                    collect_metadata=False,
                )
                for one in group
            ]
        )
        for name, group in groups.items()
    ]
    if not benchmarks:
        return False
    pyperf.BenchmarkSuite(benchmarks).dump(str(path), replace=True)
    return True
