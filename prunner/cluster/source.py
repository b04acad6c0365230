"""The source of a project, on its way to workers that have not got it.

Covers: what belongs to it, a digest that tells versions apart, the archive and its end in a worker.
Does not cover: whether it is needed (``setting_up``).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import NamedTuple

_NOT_BESIDE = {"setup.py", "conftest.py", "test", "tests"}
_SENT = "prunner-source-"  # begins the name of a folder with what was sent
_INSTALLED = {"site-packages", "dist-packages"}


class Source(NamedTuple):
    """The source of a project's package.

    Attributes:
        digest: Tells one version of the package from another.
        version: Tells one version of all that is in the archive from another.
        archive: The files, zipped; ``None`` if they are not to be sent.
        modules: The top-level modules and packages in the archive.
        always: Whether the archive is used even where the package is there already.
    """

    digest: str
    version: str
    archive: bytes | None
    modules: tuple[str, ...]
    always: bool


def package_folder(package: str) -> Path | None:
    """Where the files of a package are; ``None`` if it is none, or has none."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    return _folder_of(spec)


def own_package_folder(package: str) -> Path | None:
    """In a worker: the same of its own package, whatever it has been sent or has imported."""
    own = [path for path in sys.path if not os.path.basename(path).startswith(_SENT)]
    for finder in sys.meta_path:
        path = own if finder is PathFinder else None
        spec = finder.find_spec(package, path) if hasattr(finder, "find_spec") else None
        if spec is not None:
            return _folder_of(spec)
    return None


def _folder_of(spec: ModuleSpec | None) -> Path | None:
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return Path(places[0]) if places and Path(places[0]).is_dir() else None


def digest_of(folder: Path) -> str:
    """Tells one version of a package's modules from another."""
    return _digest(folder, (path for path in sorted(_files(folder)) if path.suffix == ".py"))


def _digest(root: Path, paths: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(path.relative_to(root).as_posix().encode() + b"\0")
        found.update(path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def source_of(package: str, upload: bool | None) -> Source | None:
    """The source of a package of this process.

    Args:
        package: Name of the package.
        upload: ``True`` to send it to every worker, ``None`` to those that have not got it,
            ``False`` to nobody.

    Returns:
        The source; ``None`` if the package has no folder of its own.
    """
    folder = package_folder(package)
    if folder is None:
        return None
    digest = digest_of(folder)
    parts = [folder, *_beside(folder)]
    paths = [path for part in parts for path in _all_of(part)]
    return Source(
        digest,
        _digest(folder.parent, paths),
        None if upload is False else _zipped(folder.parent, paths),
        tuple(part.stem for part in parts),
        bool(upload),
    )


def unpack(source: Source, folder: str) -> str:
    """Write the files of an archive into a folder of their own.

    Args:
        source: The source, with an archive.
        folder: Where that folder is made.

    Returns:
        Its path.
    """
    assert source.archive is not None
    target = os.path.join(folder, f"{_SENT}{source.version}")
    with zipfile.ZipFile(io.BytesIO(source.archive)) as archive:
        archive.extractall(target)
    return target


def forget_modules(names: tuple[str, ...]) -> None:
    """Let the next import of these packages find them anew."""
    importlib.invalidate_caches()
    for loaded in list(sys.modules):
        if loaded.partition(".")[0] in names:
            del sys.modules[loaded]


def _beside(folder: Path) -> list[Path]:
    """Other modules of the project; what is installed beside the package is none."""
    if folder.parent.name in _INSTALLED:
        return []
    found = []
    for path in sorted(folder.parent.iterdir()):
        is_module = path.suffix == ".py" and path.is_file() and path.stem.isidentifier()
        is_package = path.is_dir() and (path / "__init__.py").is_file()
        if path != folder and path.name not in _NOT_BESIDE and (is_module or is_package):
            found.append(path)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if f != "__pycache__" and not f.startswith("."))
        yield from (Path(root, name) for name in names)


def _all_of(part: Path) -> list[Path]:
    return [part] if part.is_file() else sorted(_files(part))


def _zipped(root: Path, paths: Iterable[Path]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            # Not write(): a time before 1980 would be an error.
            archive.writestr(path.relative_to(root).as_posix(), path.read_bytes())
    return stream.getvalue()
