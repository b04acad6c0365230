"""``prunner sessions`` on a real project: what is on record, repeated, resumed and removed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prunner.sessions.archive import Archive
from prunner.sessions.commands.texts import pipelines_of
from prunner.sessions.records import Outcome
from tests.core.session_entries import BEGAN, a_node, an_entry
from tests.processes.projects import (
    PACKAGE,
    Done,
    Folder,
    make_folder,
    make_project,
    pipeline_files,
)

NODES = """
from pathlib import Path

from orchard.trace import note


def prepare(parameters):
    note("node", name="prepare", parameters=parameters)
    return parameters


def fit(rows):
    note("node", name="fit")
    if Path("broken").exists():
        raise ValueError("the model does not converge")
    return rows


def score(model):
    note("node", name="score")
    return len(model)
"""

PIPELINE = """Pipeline([
    node(prepare, "parameters", "rows", name="prepare"),
    node(fit, "rows", "model", name="fit"),
    node(score, "model", "score", name="score"),
])"""

SETTINGS = """
from prunner.sessions import SQLiteSessionStore

SESSION_STORE_CLASS = SQLiteSessionStore
print("chatter")
"""

CATALOG = "".join(
    f"{name}: {{type: pickle.PickleDataset, filepath: {name}.pkl}}\n"
    for name in ("rows", "model", "score")
)

FILES = {
    **pipeline_files("train", NODES, PIPELINE),
    f"src/{PACKAGE}/settings.py": SETTINGS,
    "conf/base/catalog.yml": CATALOG.replace("type: ", "type: kedro_datasets."),
}

# Started from Python, with what options of a command cannot say.
PARAMETERS = {"text": "1", "list": [1, "2", {"a": None}], "n": {"deep": {}}, "s": " a, b=c ünï🎉"}
RUN = f"""
from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
with KedroSession.create(runtime_params={PARAMETERS!r}) as session:
    session.run(pipeline_name="train", to_nodes=["fit"])
"""

QUIET = {"PYTHONWARNINGS": "ignore", "DO_NOT_TRACK": "1"}


@pytest.fixture
def project(tmp_path: Path) -> Folder:
    return make_project(tmp_path / "project", FILES)


def archive_of(folder: Folder) -> Archive:
    return Archive(folder.root / "sessions" / "sessions.db", PACKAGE)


def quiet(folder: Folder, *arguments: str, **environment: str) -> Done:
    return folder.run(*arguments, **QUIET, **environment)


def sessions(folder: Folder, *arguments: str, **environment: str) -> Done:
    return quiet(folder, "-m", "prunner", "sessions", *arguments, **environment)


def several(folder: Folder, *commands: list[str], encoding: str = "utf-8") -> list[Done]:
    """What each of these commands answers, on a console with this encoding."""
    return folder.run_commands([["sessions", *each] for each in commands], encoding, **QUIET)


def record(folder: Folder, *keys: str, **run: Any) -> None:
    """Put runs on record."""
    for key in keys:
        entry = an_entry(key, **run)
        session = replace(entry.session, key="", project=PACKAGE)
        assert entry.run is not None
        written = replace(session, key=archive_of(folder).begin(session)[0])
        archive_of(folder).end(written, replace(entry.run, session=written.key))


def nodes_run(folder: Folder) -> list[str]:
    """The nodes that ran, each process by itself."""
    return sorted(" ".join(each["name"] for each in x) for x in folder.notes("node").values())


# --- round trips ------------------------------------------------------------------------------


def test_a_run_is_repeated(project: Folder) -> None:
    assert project.run_script(RUN, PYTHONWARNINGS="ignore").returncode == 0
    (first,) = archive_of(project).entries()
    # The run had no environment, and its repetition has none.
    done = sessions(project, "rerun", first.key, "--go", KEDRO_ENV="elsewhere")
    assert done.returncode == 0, done.output
    assert nodes_run(project) == ["prepare fit", "prepare fit"]
    seen = [each[0]["parameters"] for each in project.notes("node").values()]
    assert seen == [PARAMETERS, PARAMETERS]
    assert not list(project.root.glob("sessions/rerun/*"))

    second = archive_of(project).entries()[0]
    assert first.run is not None
    assert second.run is not None
    assert second.run.parameters["runtime_params"] == PARAMETERS
    assert pipelines_of(second) == ["train"]
    assert second.session.data.get("env") is None
    listed, shown, differ, printed = several(
        project,
        ["--json"],
        ["show", second.key],
        ["diff", first.key, second.key, "--json"],
        ["rerun", second.key, "--params", "more=1"],
    )
    assert [each["id"] for each in json.loads(listed.stdout)] == [second.key, first.key]
    assert '\n  text    "1"\n' in shown.stdout
    assert differ.returncode == 0
    assert json.loads(differ.stdout)["same"] is True
    assert printed.stdout.startswith("kedro run --config ")
    (file,) = project.root.glob("sessions/rerun/*.yml")
    assert file.stem == second.key
    assert f"Note: {file} holds what --params gives" in printed.stderr
    assert "chatter" in listed.stderr


def test_a_failed_run_is_resumed(project: Folder) -> None:
    project.write("broken", "")
    failed = quiet(project, "-m", "kedro", "run", "--params=password=hunter22,a=1")
    assert failed.returncode == 1, failed.output
    (first,) = archive_of(project).entries()
    assert first.run is not None
    assert first.run.outcome is Outcome.FAILED
    # As prunner's own runner notes it.
    known = replace(first.run, resume={"from_nodes": ["fit"]}, nodes=())
    archive_of(project).end(first.session, known)
    (project.root / "broken").unlink()

    resume = ["resume", first.key, "--go"]
    refused, done = several(project, resume, [*resume, "--params=password=hunter23"])
    assert refused.returncode == 1
    assert "Missing: params.password" in refused.stderr
    assert done.returncode == 0, done.output
    assert nodes_run(project) == ["fit score", "prepare fit"]
    newest = archive_of(project).entries()[0]
    assert newest.run is not None
    assert newest.run.outcome is Outcome.COMPLETED
    assert newest.run.parameters["runtime_params"] == {"a": 1, "password": "***"}
    assert newest.run.parameters["from_nodes"] == ["fit"]


def test_the_exit_code_is_that_of_the_run(project: Folder) -> None:
    record(project, "one", runner="kedro.runner.SequentialRunner")
    project.write("broken", "")
    done = quiet(project, "-m", "kedro", "prunner", "sessions", "rerun", "one", "--go")
    assert done.returncode == 1
    assert nodes_run(project) == ["prepare fit"]


# --- what is said -----------------------------------------------------------------------------


def test_records_are_listed_and_removed(project: Folder) -> None:
    record(project, "old", started=BEGAN, parameters={"pipeline_names": ["train"]})
    record(project, "lost", started=BEGAN + 1, outcome=Outcome.LOST, ended=None)
    record(project, "new", started=BEGAN + 2, nodes=(a_node("a"), a_node("b", 1, seconds=None)))
    whole, limited, chosen, none, until, lost, pruned, left = several(
        project,
        [],
        ["--limit", "1"],
        ["-p", "train", "--outcome", "completed", "--json"],
        ["-p", "nope", "--json"],
        ["--until", "2001-01-01"],
        ["resume", "lost", "--json"],
        ["prune", "--keep", "1", "--yes", "--json"],
        ["--json"],
    )
    assert [line.split()[0] for line in whole.stdout.splitlines()] == ["ID", "new", "lost", "old"]
    assert " 1/2 " in whole.stdout.splitlines()[1]
    assert limited.stdout.endswith("\n\n1 of 3. --limit shows more.\n")
    assert [each["id"] for each in json.loads(chosen.stdout)] == ["old"]
    assert json.loads(none.stdout) == []
    assert until.stdout == "No session on record is like that.\n"
    answer = json.loads(lost.stdout)
    assert answer["argv"][-1] == "--only-missing-outputs"
    assert "process is gone" in answer["notes"][0]
    assert json.loads(pruned.stdout) == {"removed": 2, "kept": 1}
    assert [each["id"] for each in json.loads(left.stdout)] == ["new"]


LOGGING = """
version: 1
disable_existing_loggers: false
handlers: {file: {class: logging.FileHandler, filename: run.log, mode: w}}
root: {handlers: [file]}
"""


@pytest.mark.parametrize("command", [["sessions", "show", "key"], ["trace", "key", "-o", "x.json"]])
def test_no_command_empties_the_log_of_a_run_that_goes_on(project: Folder, command: list[str]):
    record(project, "key")
    logging_path = project.write("conf/logging.yml", LOGGING)
    log = project.write("run.log", "of the run")
    done = quiet(project, "-m", "prunner", *command, KEDRO_LOGGING_CONFIG=str(logging_path))
    assert done.returncode == 0, done.output
    assert command[-1] == "key" or done.stdout == "x.json\n"
    assert log.read_text(encoding="utf-8") == "of the run"


def errors(folder: Folder, *commands: list[str], code: int = 1) -> list[str]:
    found = several(folder, *commands)
    assert [each.returncode for each in found] == [code] * len(commands)
    assert not any(each.stdout for each in found)
    return [each.stderr.split("Error: ")[1].strip() for each in found]


def test_mistakes(project: Folder) -> None:
    record(project, "2024-a", "2024-b")
    unknown, many, done = errors(project, ["show", "1999"], ["rerun", "2024"], ["resume", "2024-a"])
    assert unknown.startswith("No session or run on record has an id that begins with '1999'")
    assert many.startswith("'2024' is the beginning of 2 ids: ")
    assert "there is nothing to resume" in done
    both, since = errors(
        project, ["rerun", "2024-a", "--go", "--json"], ["--since", "soon"], code=2
    )
    assert both == "--go and --json cannot be used together."
    assert "neither a date such as" in since


def test_no_name_on_record_does_anything_to_a_terminal(project: Folder) -> None:
    name = "evil\x1b]0;x\x07"
    secret = {f"{name}_password": "***"}
    record(project, f"a{name}", runtime_params=secret, nodes=(a_node(name),), error={"type": name})
    found = several(
        project,
        [],
        *([each, "a"] for each in ("show", "rerun")),
        ["diff", "a", "a"],
        ["show", name],
    )
    assert [each.returncode for each in found] == [0, 0, 0, 0, 1]
    for each in found:
        assert "evil\\x1b]0;x\\x07" in each.stdout + each.stderr
        assert "\x1b" not in each.stdout + each.stderr


def test_nothing_on_record(project: Folder) -> None:
    for text in errors(project, [], ["--json"], ["show", "1"], ["prune", "--keep", "1"]):
        assert text.startswith("There are no sessions on record: ")
    entry = an_entry("other")
    assert entry.run is not None
    archive_of(project).begin(replace(entry.session, key="", project="other"))
    for text in errors(project, [], ["--json"]):
        assert text.endswith(f"has no session of '{PACKAGE}', but of 'other'.")
    project.write(f"src/{PACKAGE}/settings.py", "")
    (text,) = errors(project, [])
    assert "no store is set up" in text
    assert "SESSION_STORE_CLASS = SQLiteSessionStore" in text


def test_no_project(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "empty")
    assert errors(folder, []) == [f"{folder.root} is no Kedro project."]


def test_a_console_with_few_characters(project: Folder) -> None:
    record(project, "one", runtime_params={"mood": "🎉"}, parameters={"tags": ["🎉"]})
    text, for_programs, command = several(
        project, ["show", "one"], ["show", "one", "--json"], ["rerun", "one"], encoding="cp1252"
    )
    assert "  mood  \\U0001f389\n" in text.stdout
    run = json.loads(for_programs.stdout)["run"]
    assert run["parameters"]["runtime_params"] == {"mood": "🎉"}
    assert command.stdout.startswith("kedro run --config ")
