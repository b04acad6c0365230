"""The commands ``rerun`` and ``resume``: they print a ``kedro run``, or carry it out.

Its head imports click alone, as that of ``command``.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prunner.click_options import with_options
from prunner.sessions.commands.console import (
    JSON,
    clear_errors,
    encoding_of_console,
    import_kedro,
    say,
    say_json,
    setup_of,
)

if TYPE_CHECKING:
    from prunner.sessions.commands.repeating import Repetition
    from prunner.sessions.setup import StoreSetup

_OPTIONS = (
    click.argument("id"),
    click.option("--go", is_flag=True, help="Run it, instead of printing the command."),
    click.option("--params", help="Parameters that replace recorded ones: a=1,b.c=2."),
    JSON,
    click.pass_context,
)
_UNSAFE = re.compile(r"[^\w.~-]")


@click.command()
@with_options(_OPTIONS)
def rerun(context: click.Context, /, **options: Any) -> None:
    """Print the 'kedro run' that repeats a run.

    What options cannot say is in a file, which is written next to the records.
    """
    _repeat(context, options, is_resume=False)


@click.command()
@with_options(_OPTIONS)
def resume(context: click.Context, /, **options: Any) -> None:
    """Print the 'kedro run' that completes a run which did not complete."""
    _repeat(context, options, is_resume=True)


def _repeat(context: click.Context, options: dict[str, Any], *, is_resume: bool) -> None:
    if options["go"] and options["as_json"]:
        raise click.UsageError("--go and --json cannot be used together.")
    import_kedro()
    from prunner.kedro_internals import parse_params

    given = parse_params(options["params"])
    with clear_errors():
        setup = setup_of(context)
        key, repetition = _repetition(setup, options["id"], given, is_resume)
    from prunner.sessions.commands import kedro_run

    said = kedro_run.say(repetition.options, encoding_of_console())
    missing = {**repetition.missing, **said.unsaid}
    file = None if said.config is None else _file_for(setup, key, options["go"])
    argv = ["kedro", "run", *(said.arguments if file is None else ["--config", str(file)])]
    _tell(repetition, missing)
    if options["go"] and missing:
        raise click.ClickException("Not run: it would not be the same run.")
    if file is not None and said.config is not None:
        _write(file, f"# {kedro_run.as_line(argv)}\n{kedro_run.as_file(said.config)}")
        if given and not options["go"]:
            click.echo(f"Note: {file} holds what --params gives, secrets as well.", err=True)
    if options["go"]:
        context.exit(_run(argv[1:], setup.project_path, file, repetition.options.get("env")))
    elif options["as_json"]:
        more = {"config": said.config, "missing": missing, "notes": repetition.notes}
        say_json({"argv": argv, **more})
    else:
        say(kedro_run.as_line(argv))


def _repetition(
    setup: StoreSetup, prefix: str, given: dict[str, Any], is_resume: bool
) -> tuple[str, Repetition]:
    """The key of a run, and what repeats it."""
    from kedro.framework.project import settings

    from prunner.sessions.archive import Archive
    from prunner.sessions.commands import kedro_run, repeating

    entry = Archive(setup.file, setup.project).find(prefix)
    found = repeating.rerun_of(entry, setup.project_path, settings.CONF_SOURCE, given)
    if is_resume:
        found = repeating.resume_of(entry, found, kedro_run.can("only_missing_outputs"))
    return entry.key, found


def _tell(repetition: Repetition, missing: Mapping[str, str]) -> None:
    for note in repetition.notes:
        click.echo(f"Note: {note}", err=True)
    if os.environ.get("KEDRO_ENV") and "env" not in repetition.options:
        click.echo("Note: KEDRO_ENV is set here, and was not for that run.", err=True)
    from prunner.sessions.commands.texts import one_line

    for name, why in missing.items():
        click.echo(one_line(f"Missing: {name} ({why}). {_what_to_do(name)}"), err=True)


def _what_to_do(name: str) -> str:
    nested = name.removeprefix("params.")
    return "Choose it by hand." if nested == name else f"Give it: --params {nested}=..."


def _file_for(setup: StoreSetup, key: str, go: bool) -> Path:
    name = _UNSAFE.sub("_", key)
    if go:  # it is removed afterwards, and another one may be in a command that was printed
        name += f"_{os.getpid()}"
    return setup.file.parent / "rerun" / f"{name}.yml"


def _write(file: Path, text: str) -> None:
    """For nobody else to read: what was given may be a secret."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)


def _run(arguments: list[str], folder: Path, file: Path | None, env: str | None) -> int:
    """Run Kedro to its end, and say how that has ended as a shell would."""
    environment = dict(os.environ)
    if env is None:
        environment.pop("KEDRO_ENV", None)  # the run had none
    command = [sys.executable, "-m", "kedro", *arguments]
    try:
        with subprocess.Popen(command, cwd=folder, env=environment) as process:  # noqa: S603
            while process.poll() is None:
                with contextlib.suppress(KeyboardInterrupt):  # it got that as well
                    process.wait()
            code = process.returncode
    finally:
        if file is not None:
            file.unlink(missing_ok=True)
    return 128 - code if code < 0 else code
