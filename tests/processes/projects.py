"""Real Kedro projects and scripts for the tests, and a way to run them as whole processes.

Kedro keeps its state in globals, so that each project needs a process of its own. What happens
there, in which process and in which order is read from a trace: a folder with one file for each
process, which only that process appends to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kedro

import prunner

PACKAGE = "orchard"
LIMIT = 100  # seconds until a process is taken to hang; no test waits for that

PYPROJECT = f"""
[project]
name = "{PACKAGE}"
version = "0.1"

[tool.kedro]
package_name = "{PACKAGE}"
project_name = "{PACKAGE}"
kedro_init_version = "{kedro.__version__}"
source_dir = "src"
"""

# As "kedro new" makes it.
MAIN = """
import sys
from pathlib import Path

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project


def main(*args, **kwargs):
    package_name = Path(__file__).parent.name
    configure_project(package_name)

    interactive = hasattr(sys, "ps1")
    kwargs["standalone_mode"] = not interactive

    run = find_run_command(package_name)
    return run(*args, **kwargs)


if __name__ == "__main__":
    main()
"""

REGISTRY = """
from kedro.framework.project import find_pipelines

from .trace import note


def register_pipelines():
    note("register_pipelines")
    pipelines = find_pipelines(raise_errors=True)
    pipelines["__default__"] = sum(pipelines.values())
    return pipelines
"""

TRACE = """
import json
import os


def note(event, **facts):
    path = os.path.join(os.environ["TRACE"], f"{os.getpid()}.txt")
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"event": event, **facts}) + "\\n")
"""

SETTINGS = """
from .trace import note

note("settings")
"""

LOGGING = """
version: 1
disable_existing_loggers: false
formatters:
  plain:
    format: "%(levelname)s %(name)s %(message)s"
handlers:
  file:
    class: logging.FileHandler
    filename: run.log
    mode: w
    formatter: plain
    encoding: utf-8
loggers:
  orchard:
    level: INFO
root:
  handlers: [file]
"""

BASIC_FILES = {
    "pyproject.toml": PYPROJECT,
    "conf/base/catalog.yml": "",
    "conf/base/parameters.yml": "",
    "conf/local/credentials.yml": "",
    f"src/{PACKAGE}/__init__.py": '__version__ = "0.1"\n',
    f"src/{PACKAGE}/__main__.py": MAIN,
    f"src/{PACKAGE}/settings.py": SETTINGS,
    f"src/{PACKAGE}/pipeline_registry.py": REGISTRY,
    f"src/{PACKAGE}/trace.py": TRACE,
    f"src/{PACKAGE}/pipelines/__init__.py": "",
}

RUN_SESSION = f"""
import sys
from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

import prunner

if __name__ == "__main__":
    bootstrap_project(Path.cwd())
    from {PACKAGE}.trace import note

    with KedroSession.create() as session:
        session.run(runner=prunner.ParallelRunner(max_workers=2, start_method=sys.argv[1]))
"""


# With SequentialRunner, or with the start method that is given.
RUN_WITH = """
import sys
from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner

import prunner

if __name__ == "__main__":
    bootstrap_project(Path.cwd())
    from orchard.trace import note

    note("main")
    if sys.argv[1] == "sequential":
        runner = SequentialRunner()
    else:
        runner = prunner.ParallelRunner(max_workers=2, start_method=sys.argv[1])
    with KedroSession.create() as session:
        session.run(runner=runner)
"""


# Several commands in one process, since importing Kedro is what takes time.
SEVERAL = """
import contextlib, io, json, sys

from prunner.cli import main

answers = []
for arguments in json.loads(sys.argv[1]):
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=sys.argv[2]) for _ in range(2))
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as end:
            code = end.code
    texts = [file.flush() or file.buffer.getvalue().decode(sys.argv[2]) for file in (out, err)]
    answers.append([code or 0, *texts])
print(json.dumps(answers))
"""


@dataclass(frozen=True)
class Done:
    """A process that ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return f"exit code {self.returncode}\n{self.stdout}\n{self.stderr}"

    @property
    def answer(self) -> Any:
        """The JSON on the last line of a script that went well."""
        assert self.returncode == 0, self.output
        return json.loads(self.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Folder:
    """A folder with files in which processes are run.

    Attributes:
        root: The folder.
        trace: The folder of the trace.
        import_path: Where else modules are found.
    """

    root: Path
    trace: Path
    import_path: tuple[Path, ...] = ()

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, *arguments: str, **environment: str) -> Done:
        """Run Python with these arguments to its end."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=LIMIT,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def run_script(self, text: str, *arguments: str, **environment: str) -> Done:
        """Run a script from the folder to its end."""
        return self.run(str(self.write("script.py", text)), *arguments, **environment)

    def run_commands(
        self, commands: Sequence[Sequence[str]], encoding: str = "utf-8", **environment: str
    ) -> list[Done]:
        """What each of these commands of ``prunner`` answers, on a console with this encoding."""
        done = self.run_script(SEVERAL, json.dumps(commands), encoding, **environment)
        return [Done(*answer) for answer in done.answer]

    def notes(self, event: str | None = None) -> dict[int, list[dict[str, Any]]]:
        """What each process noted, by its id and in its order; only this event if given."""
        found = {}
        for path in self.trace.iterdir():
            lines = path.read_text(encoding="utf-8").splitlines()
            notes = [json.loads(line) for line in lines]
            kept = [note for note in notes if event in (None, note["event"])]
            if kept:
                found[int(path.stem)] = kept
        return found

    def environment(self, **more: str) -> dict[str, str]:
        """The environment in which processes of the folder run."""
        path = [*self.import_path, Path(prunner.__file__).parents[1]]
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "PYTHONUTF8": "1",
            "TRACE": str(self.trace),
            **more,
        }


def make_folder(root: Path, *import_path: Path) -> Folder:
    """An empty folder with a trace beside it."""
    trace = root.with_name(f"{root.name}-trace")
    trace.mkdir(parents=True)
    root.mkdir(exist_ok=True)
    return Folder(root, trace, import_path)


def make_project(root: Path, files: dict[str, str]) -> Folder:
    """A small project with a ``trace`` module.

    Args:
        root: Its folder, which does not exist yet.
        files: Text by path; those of the package begin with ``src/`` and its name.
    """
    folder = make_folder(root)
    for name, text in {**BASIC_FILES, **files}.items():
        folder.write(name, text)
    return folder


def pipeline_files(name: str, nodes: str, pipeline: str) -> dict[str, str]:
    """The files of a pipeline: its node functions, and the expression that makes it."""
    folder = f"src/{PACKAGE}/pipelines/{name}"
    head = f"from kedro.pipeline import Pipeline, node\n\nfrom {PACKAGE}.pipelines.{name}.nodes"
    return {
        f"{folder}/__init__.py": "from .pipeline import create_pipeline\n",
        f"{folder}/nodes.py": nodes,
        f"{folder}/pipeline.py": f"{head} import *\n\n\n"
        f"def create_pipeline(**kwargs):\n    return {pipeline}\n",
    }
