"""The command ``check``, for ``prunner`` and for ``kedro``.

Kedro imports this module for each of its commands in a project, so its head imports click alone.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import click

from prunner.click_options import with_options

if TYPE_CHECKING:
    from prunner.check.project import Selection

_OPTIONS = (
    click.option("--pipeline", "-p", help="Name of the registered pipeline."),
    click.option(
        "--pipelines", help="Names of registered pipelines, with commas.  [default: __default__]"
    ),
    click.option("--env", "-e", help="Name of the configuration environment."),
    click.option("--tags", "-t", help="Only nodes with one of these tags."),
    click.option("--nodes", "-n", help="Only these nodes."),
    click.option("--from-nodes", help="Only these nodes and those after them."),
    click.option("--to-nodes", help="Only these nodes and those before them."),
    click.option("--namespaces", "-ns", help="Only nodes of these namespaces."),
    click.option("--params", help="Parameters that replace configured ones: a=1,b.c=2."),
    click.option("--conf-source", help="Folder of the configuration."),
    click.option(
        "--max-workers", type=click.IntRange(min=1), help="Worker processes.  [default: CPUs]"
    ),
    click.option("--address", help="Of a Dask scheduler, whose workers are looked at, too."),
    click.option("--scheduler-file", help="In place of its address, the file that it has written."),
    click.option(
        "--format",
        "layout",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="For people or for programs.",
    ),
    click.option("--verbose", "-v", is_flag=True, help="Show where an error comes from."),
)


@click.command()
@with_options(_OPTIONS)
@click.pass_context
def check(context: click.Context, /, layout: str, verbose: bool, **options: Any) -> None:
    """Say which nodes of a project would run where, without running any.

    Reports the nodes that prunner.ParallelRunner would send to workers and those that stay in the
    main process, each with the reason, and the data in memory that would go between processes.
    With the address of a Dask scheduler, also what prunner.DaskRunner would find there: hosts,
    versions that differ, workers without the project, files that they do not see.
    The options are those of 'kedro run'.
    """
    if options["address"] and options["scheduler_file"]:
        raise click.UsageError("--address and --scheduler-file cannot be used together.")
    if options["pipeline"] and options["pipelines"]:
        raise click.UsageError("--pipeline and --pipelines cannot be used together.")
    try:
        # Late: importing Kedro takes time, and configures logging.
        from prunner.check.project import check_project
        from prunner.check.text import as_json, as_text

        report = check_project(_selection(options), getattr(context.obj, "project_path", None))
    except click.ClickException:
        raise
    except Exception as error:
        if verbose:
            click.echo(traceback.format_exc(), err=True)
        raise click.ClickException(_one_line(error)) from error
    click.echo((as_json if layout == "json" else as_text)(report))


def _selection(options: dict[str, Any]) -> Selection:
    from prunner.check.project import Selection
    from prunner.kedro_internals import parse_params, split_names

    filters = {
        "tags": "tags",
        "node_names": "nodes",
        "from_nodes": "from_nodes",
        "to_nodes": "to_nodes",
        "node_namespaces": "namespaces",
    }
    pipelines = split_names(options["pipelines"]) or [options["pipeline"] or "__default__"]
    return Selection(
        pipelines=tuple(dict.fromkeys(pipelines)),
        filters={name: split_names(options[option]) or None for name, option in filters.items()},
        session={
            "env": options["env"],
            "conf_source": options["conf_source"],
            "runtime_params": parse_params(options["params"]),
        },
        max_workers=options["max_workers"],
        address=options["address"],
        scheduler_file=options["scheduler_file"],
    )


def _one_line(error: Exception) -> str:
    from prunner.errors import PrunnerError

    if isinstance(error, PrunnerError):
        return str(error)
    text = f"{type(error).__name__}: {error}"
    if error.__cause__ is not None:
        text += f" ({type(error.__cause__).__name__}: {error.__cause__})"
    return " ".join(text.split())
