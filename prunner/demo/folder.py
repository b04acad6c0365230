"""The folder of the demo: made from the project that is shipped with the package."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

TEMPLATE = Path(__file__).parent / "project"
MARKER = ".prunner-demo"
_MARKER_TEXT = (
    "Made by 'prunner demo', which replaces everything in this folder when it runs again.\n"
)


def make_project(folder: Path) -> Path:
    """Put a fresh copy of the project into the folder.

    Args:
        folder: Need not exist; what an earlier demo left there is removed.

    Returns:
        The folder as an absolute path.

    Raises:
        click.ClickException: If the folder holds anything that no demo put there, or cannot be
            written.
    """
    folder = folder.resolve()
    try:
        _clear(folder)
        # Before all else, so that a copy that was cut short can be replaced as well.
        (folder / MARKER).write_text(_MARKER_TEXT, encoding="utf-8")
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(TEMPLATE, folder, ignore=ignore, dirs_exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"Cannot make the project in {folder}: {error}") from error
    return folder


def _clear(folder: Path) -> None:
    # The folder itself stays: it may be the current one, which Windows refuses to remove.
    folder.mkdir(parents=True, exist_ok=True)
    content = list(folder.iterdir())
    marker = folder / MARKER
    if content and marker not in content:
        raise click.ClickException(
            f"{folder} is not empty and was not made by 'prunner demo'. "
            "Nothing was changed; choose another folder with --folder."
        )
    # The marker goes last, so that a removal that was cut short can be repeated.
    for path in sorted(content, key=lambda path: path == marker):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
