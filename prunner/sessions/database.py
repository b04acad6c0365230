"""The file with the records: SQLite in WAL mode, for several processes at once.

A file is never changed that is damaged or was made by a newer version: whoever opens it gets a
``RecordError`` that says what to do.

Covers: opening, the schema and its versions, transactions. Does not cover: what is in the tables
(``archive``).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prunner.errors import RecordError

if TYPE_CHECKING:
    import sqlite3

FILE_NAME = "sessions.db"
_PATIENCE = 30.0  # seconds to wait for another process that writes
_APPLICATION = int.from_bytes(b"prnr", "big")  # in the head of the file
_threads = threading.local()
_SUFFIXES = (".db", ".sqlite", ".sqlite3")

# Each brings a file from one version to the next; a published one is never changed.
MIGRATIONS: Sequence[str] = (
    """
    CREATE TABLE sessions (
        key TEXT PRIMARY KEY,
        session_id TEXT NOT NULL,
        project TEXT NOT NULL,
        outcome TEXT NOT NULL,
        started REAL NOT NULL,
        ended REAL,
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        pid_created INTEGER NOT NULL,
        data TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE runs (
        key TEXT PRIMARY KEY,
        run_id TEXT NOT NULL,
        session TEXT NOT NULL REFERENCES sessions (key),
        outcome TEXT NOT NULL,
        started REAL NOT NULL,
        ended REAL,
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        pid_created INTEGER NOT NULL,
        data TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX runs_by_session ON runs (session);
    CREATE TABLE nodes (
        run TEXT NOT NULL REFERENCES runs (key),
        step INTEGER NOT NULL,
        name TEXT NOT NULL,
        outcome TEXT NOT NULL,
        worker INTEGER,
        started REAL,
        ended REAL,
        peak_memory INTEGER,
        PRIMARY KEY (run, step)
    ) WITHOUT ROWID;
    CREATE TABLE details (
        run TEXT PRIMARY KEY REFERENCES runs (key),
        nodes TEXT NOT NULL
    );
    CREATE TABLE known (
        project TEXT NOT NULL,
        name TEXT NOT NULL,
        source TEXT NOT NULL,
        seconds REAL NOT NULL,
        need INTEGER,
        seen REAL NOT NULL,
        PRIMARY KEY (project, name, source)
    ) WITHOUT ROWID;
    """,
)


def file_of(path: str | Path, project_path: str | Path | None = None) -> Path:
    """The file that a ``path`` in ``SESSION_STORE_ARGS`` stands for.

    Args:
        path: A folder, or a file that ends with ``.db``, ``.sqlite`` or ``.sqlite3``.
        project_path: What it is relative to, if it is; the current folder by default.
    """
    whole = Path(project_path or "", path).expanduser()
    return whole if whole.suffix.lower() in _SUFFIXES else whole / FILE_NAME


@contextlib.contextmanager
def opened(file: Path, *, to_write: bool = False) -> Iterator[sqlite3.Connection]:
    """Open a file for one transaction, which is undone if an exception leaves the block.

    Args:
        file: The file; made where it is missing, if it is to be written to.
        to_write: Whether something is to be written: no other process can meanwhile.

    Yields:
        The connection.

    Raises:
        RecordError: If the file cannot be used.
    """
    with _clear_errors(file):
        if to_write:
            file.parent.mkdir(parents=True, exist_ok=True)
        elif not file.is_file():
            raise RecordError(f"There are no sessions on record: {file} does not exist.")
        with _connected(file) as connection:
            connection.execute("BEGIN IMMEDIATE" if to_write else "BEGIN")
            _threads.is_writing = to_write
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            finally:
                _threads.is_writing = False
            connection.execute("COMMIT")


def is_writing() -> bool:
    """True if this thread is writing: what it wrote besides would wait for itself."""
    return getattr(_threads, "is_writing", False)


def shrink(file: Path) -> None:
    """Give room back that removed records have left.

    Args:
        file: The file.

    Raises:
        RecordError: If that is not possible now, as where another process reads.
    """
    with _clear_errors(file), _connected(file) as connection:
        connection.execute("VACUUM")


@contextlib.contextmanager
def _connected(file: Path) -> Iterator[sqlite3.Connection]:
    import sqlite3

    with contextlib.closing(
        sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None)
    ) as connection:
        _prepare(connection, file)
        yield connection


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    import sqlite3

    version = _version(connection)
    if version > len(MIGRATIONS):
        raise RecordError(
            f"{file} was written by a newer version of prunner (schema {version}, this one knows "
            f"{len(MIGRATIONS)}). Upgrade prunner, or set another path in SESSION_STORE_ARGS."
        )
    if version < len(MIGRATIONS):
        _migrate(connection, file)
    # It stays in the file, and is no matter of life and death: on a file system without shared
    # memory, as of a network, the answer is "delete".
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")
    # Enough for WAL: a power failure may lose the last records, never the file.
    connection.execute("PRAGMA synchronous = NORMAL")


def _migrate(connection: sqlite3.Connection, file: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        _check_owner(connection, file)
        for version in range(_version(connection), len(MIGRATIONS)):  # another may have been faster
            for statement in MIGRATIONS[version].split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _check_owner(connection: sqlite3.Connection, file: Path) -> None:
    """Let nobody's tables be put among those of another program."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
        raise RecordError(
            f"{file} belongs to another program. Set another path in SESSION_STORE_ARGS."
        )
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


@contextlib.contextmanager
def _clear_errors(file: Path) -> Iterator[None]:
    try:
        import sqlite3  # not at the head: no session fails where Python was built without it
    except ImportError as error:
        raise RecordError(
            f"{file} cannot be used: this Python has no sqlite3 ({error}). Use one that has it."
        ) from error
    try:
        yield
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            problem = (
                f"Another process has been writing to {file} for more than {_PATIENCE:.0f} s, or "
                "keeps it open in a way that lets nobody else write."
            )
        elif isinstance(error, sqlite3.OperationalError):
            problem = f"{file} cannot be used ({error}). Is there room, and may you write there?"
        else:
            problem = (
                f"{file} is damaged, or no file of prunner's ({error}). Move it away; a new one is "
                "made by the next run."
            )
        raise RecordError(problem) from error
    except OSError as error:
        raise RecordError(f"{file} cannot be used ({error}).") from error
