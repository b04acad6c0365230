"""``prunner demo``: the whole of it once, and each way in which it can refuse or fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from prunner.cli import main
from prunner.demo.compare import find_differences
from prunner.demo.folder import MARKER, make_project
from prunner.demo.kedro_run import KedroRun, child_environment

NODES = 28


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# Three processes and each worker import scikit-learn, which takes long on a busy CI machine.
@pytest.mark.timeout(300)
def test_quick_demo_ends_with_identical_results(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="needs prunner[demo]")
    folder = tmp_path / "a demo"
    command = [sys.executable, "-m", "prunner", "demo", "--quick", "--folder", str(folder)]

    done = subprocess.run(
        command, cwd=tmp_path, env=child_environment(), capture_output=True, encoding="utf-8"
    )

    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "Results: identical (29 files compared, byte by byte)" in done.stdout
    assert output.count(f"Hook NodeCounter saw {NODES} nodes run.") == 2
    sequential, parallel = folder / "data" / "sequential", folder / "data" / "parallel"
    assert len(list(sequential.rglob("*.*"))) == len(list(parallel.rglob("*.*"))) == 29
    assert (sequential / "reports" / "metrics.csv").read_bytes() == (
        parallel / "reports" / "metrics.csv"
    ).read_bytes()


def test_demo_refuses_a_folder_it_did_not_make(tmp_path: Path) -> None:
    theirs = write(tmp_path / "thesis.txt", "three years of work")

    result = CliRunner().invoke(main, ["demo", "--quick", "--folder", str(tmp_path)])

    assert result.exit_code == 1
    assert "is not empty and was not made by 'prunner demo'" in result.output
    assert list(tmp_path.iterdir()) == [theirs]


def test_demo_refuses_a_file_as_folder(tmp_path: Path) -> None:
    file = write(tmp_path / "file", "")

    result = CliRunner().invoke(main, ["demo", "--folder", str(file)])

    assert result.exit_code == 2
    assert "is a file" in result.output


def test_project_replaces_what_an_earlier_demo_left(tmp_path: Path) -> None:
    project = make_project(tmp_path / "demo")
    stale = write(project / "data" / "parallel" / "stale.csv", "")
    edited = write(project / "conf" / "base" / "parameters.yml", "rows: 1")

    assert make_project(tmp_path / "demo") == project

    assert not stale.exists()
    assert edited.read_text(encoding="utf-8") != "rows: 1"
    assert (project / MARKER).is_file()
    assert (project / "conf" / "local").is_dir()
    assert not list(project.rglob("__pycache__"))


@pytest.mark.parametrize("library", ["sklearn.ensemble", "kedro_datasets", "pandas"])
def test_demo_names_what_to_install(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prunner.demo.run._NEEDED", (library,))
    monkeypatch.setitem(sys.modules, library, None)

    result = CliRunner().invoke(main, ["demo", "--folder", str(tmp_path / "demo")])

    assert result.exit_code == 1
    assert library in result.output
    assert 'pip install "prunner[demo]"' in result.output
    assert not (tmp_path / "demo").exists()


def test_failed_kedro_run_is_one_clear_error(tmp_path: Path) -> None:
    project = make_project(tmp_path / "demo")
    run = KedroRun("Parallel run", "nowhere.Runner", "parallel")

    with pytest.raises(click.ClickException, match="The parallel run failed") as caught:
        run.execute(project)

    assert "kedro run --runner=nowhere.Runner --params=results=parallel" in caught.value.message


def test_differences_are_named_by_file(tmp_path: Path) -> None:
    one, other = tmp_path / "sequential", tmp_path / "parallel"
    for folder in (one, other):
        write(folder / "same.csv", "1")
        write(folder / "scores" / "changed.json", folder.name)
    write(one / "lost.csv", "1")
    write(other / "new.csv", "1")

    assert find_differences(one, other) == [
        "lost.csv: only in sequential",
        "new.csv: only in parallel",
        "scores/changed.json: not the same in sequential and parallel",
    ]


def test_differing_results_fail_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(run: KedroRun, project: Path) -> float:
        write(project / "data" / run.results / "metrics.csv", run.results)
        return 1.0

    monkeypatch.setattr("prunner.demo.run._NEEDED", ())
    monkeypatch.setattr(KedroRun, "execute", pretend)

    result = CliRunner().invoke(main, ["demo", "--folder", str(tmp_path / "demo")])

    assert result.exit_code == 1
    assert "metrics.csv: not the same in sequential and parallel" in result.output
    assert "identical" not in result.output


def test_runner_options_reach_kedro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedro.__version__", "1.6.0")
    arguments: list[list[str]] = []
    monkeypatch.setattr("prunner.demo.run._NEEDED", ())

    def note(run: KedroRun, project: Path) -> float:
        arguments.append(run.arguments)
        return 1.0

    monkeypatch.setattr(KedroRun, "execute", note)

    CliRunner().invoke(
        main,
        ["demo", "--folder", str(tmp_path / "demo"), "--max-workers=3", "--start-method=spawn"],
    )

    sequential, parallel = arguments
    assert "--runner=SequentialRunner" in sequential
    assert "--runner-params=max_workers=3,start_method=spawn" in parallel


def test_runner_options_need_a_kedro_that_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedro.__version__", "1.5.2")

    result = CliRunner().invoke(
        main, ["demo", "--folder", str(tmp_path / "demo"), "--max-workers=3"]
    )

    assert result.exit_code == 1
    assert "this is Kedro 1.5.2" in result.output
    assert not (tmp_path / "demo").exists()
