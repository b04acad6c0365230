from __future__ import annotations

import pytest

from prunner.processes.cgroups import groups_of_this_process

TOTAL = 1000


@pytest.fixture
def groups(tmp_path):
    def find(lines, files):
        proc = tmp_path / "proc"
        proc.write_text("\n".join(lines), encoding="utf-8")
        root = tmp_path / "cgroup"
        root.mkdir()
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return groups_of_this_process(TOTAL, proc, root)

    return find


def test_version_2_with_the_limit_of_a_group_above(groups):
    (group,) = groups(
        ["0::/slurm/job/step"],
        {
            "slurm/job/step/memory.max": "max\n",
            "slurm/job/memory.max": "400\n",
            "slurm/job/memory.current": "350\n",
            "slurm/job/memory.stat": "anon 250\ninactive_file 60\n",
            "slurm/job/memory.events": "low 0\noom 3\noom_kill 2\n",
            "memory.max": "5000",
        },
    )
    assert (group.limit, group.free(), group.killings()) == (400, 110, 2)


def test_version_1(groups):
    inner, outer = groups(
        ["12:cpu,cpuacct:/other", "4:memory:/docker/abc", "0::/"],
        {
            "memory/docker/abc/memory.limit_in_bytes": "300",
            "memory/docker/abc/memory.usage_in_bytes": "100",
            "memory/docker/abc/memory.stat": "inactive_file 1\ntotal_inactive_file 20\n",
            "memory/docker/abc/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n",
            "memory/memory.limit_in_bytes": "900",
            "memory/memory.usage_in_bytes": "950",
        },
    )
    assert (inner.limit, inner.free(), inner.killings()) == (300, 220, 7)
    assert (outer.limit, outer.free(), outer.killings()) == (900, 0, 0)


def test_in_a_container_that_does_not_see_its_name_the_root_counts(groups):
    files = {"memory.max": "700", "memory.current": "100"}
    (group,) = groups(["0::/docker/0123456789abcdef"], files)
    assert group.free() == 600


@pytest.mark.parametrize("lines", [[], ["nonsense"], ["0::/a"], ["4:memory:/a"]])
def test_without_a_limit_there_is_no_group(lines, groups):
    assert groups(lines, {"memory.max": "max", "memory/memory.limit_in_bytes": "1000"}) == []


def test_without_groups_there_is_none(tmp_path):
    assert groups_of_this_process(TOTAL, tmp_path / "missing", tmp_path) == []
