"""Records in a file: several processes, other versions, damage, ids."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from prunner.bridge.owners import this_process
from prunner.errors import RecordError
from prunner.sessions import database
from prunner.sessions.archive import Archive
from prunner.sessions.database import MIGRATIONS, file_of, opened
from prunner.sessions.records import (
    MemorySample,
    NodeRecord,
    Outcome,
    RunRecord,
    SessionRecord,
    Transfer,
    Try,
)

NODES = (
    NodeRecord(
        step=0,
        name="één <b> node",
        function="pkg.nodes.one",
        source="00ff",
        outcome=Outcome.COMPLETED,
        worker=1,
        pid=123,
        queued=10.0,
        started=10.5,
        ended=12.5,
        loads=(Transfer("raw", 10.5, 0.25, 1000), Transfer("db", 10.75, 0.25)),
        run_seconds=1.0,
        saves=(Transfer("x", 12.0, 0.5, 8),),
        peak_memory=5_000_000,
        host="lemon",
        tries=(Try(0, 10.0, 10.4, "ValueError: no"),),
    ),
    NodeRecord(step=1, name="two", parents=(0,), outcome=Outcome.SKIPPED, pinned="it is tagged"),
)


def session(session_id="s1", **more):
    return SessionRecord(
        key="", session_id=session_id, project="shop", data={"env": "base"}, started=9.0, **more
    )


def run(run_id="r1", started=10.0, **more):
    return RunRecord(key="", run_id=run_id, started=started, **more)


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "sessions" / "sessions.db")


def put(archive, run_id, started=10.0, project="shop", outcome=Outcome.COMPLETED, nodes=NODES):
    """A session with one run that has ended."""
    key, run_key = archive.begin(replace(session(run_id), project=project), run(run_id, started))
    ended = replace(session(run_id), key=key, project=project, outcome=outcome)
    whole = run(run_id, started, outcome=outcome, ended=started + 5, nodes=nodes, session=key)
    archive.end(ended, replace(whole, key=run_key))
    return run_key


def test_a_run_is_read_as_it_was_written(archive):
    whole = run(
        "r1",
        parameters={"runtime_params": {"n": 1}, "tags": ("a",)},
        runner="prunner.ParallelRunner",
        options={"retries": 2},
        outcome=Outcome.FAILED,
        error={"type": "ValueError", "value": "no", "traceback": "..."},
        ended=15.0,
        host="here",
        pid=77,
        pid_created=88,
        cpus=4,
        memory_total=10**10,
        start_method="spawn",
        pids={0: 78, 1: 79},
        hosts={1: "lemon"},
        nodes=NODES,
        memory=(MemorySample(10.1, 10**9, {0: 5, 1: 6}),),
        resume={"from_nodes": ["two"]},
    )
    key, run_key = archive.begin(session(), run("r1"))
    written = replace(whole, key=run_key, session=key)
    archive.end(replace(session(), key=key, ended=16.0, outcome=Outcome.FAILED), written)
    entry = archive.find("r1")
    assert entry.run == written
    (listed,) = archive.entries()  # of thousands of runs, which have to be read quickly
    shorter = {"type": "ValueError", "value": "no"}
    assert listed.run == replace(written, nodes=(), memory=(), error=shorter)
    assert (entry.session.data, entry.session.ended) == ({"env": "base"}, 16.0)
    assert archive.mapping_of("s1") == {"env": "base"}


def test_records_of_before_there_were_other_hosts_are_read(archive):
    key = put(archive, "old")
    with sqlite3.connect(archive.file) as connection:
        (text,) = connection.execute("SELECT nodes FROM details").fetchone()
        for each in (details := json.loads(text)):
            assert each.pop() in ("lemon", None)  # the host is the last one
        connection.execute("UPDATE details SET nodes = ?", (json.dumps(details),))
        connection.execute("UPDATE runs SET data = json_remove(data, '$.hosts')")
    connection.close()
    found = archive.find(key).run
    assert found.nodes == tuple(replace(node, host=None) for node in NODES)
    assert found.hosts == {}


def test_the_same_id_twice_is_two_records(archive):
    assert [put(archive, "id", at, nodes=()) for at in (1.0, 2.0, 3.0)] == ["id", "id~2", "id~3"]
    assert [each.key for each in archive.entries()] == ["id~3", "id~2", "id"]
    assert {each.session.key for each in archive.entries()} == {"id", "id~2", "id~3"}
    assert archive.find("id").run.started == 1.0
    assert archive.find("id~2").run.started == 2.0


def test_a_prefix_is_enough_if_it_is_of_one(archive):
    for number in range(7):
        put(archive, f"2026-0{number}", number)
    assert archive.find("2026-03").key == "2026-03"
    with pytest.raises(RecordError, match=r"beginning of 7 ids: 2026-06, .* and 2 more"):
        archive.find("2026")
    with pytest.raises(RecordError, match=r"begins with 'x'.* 2026-06, .*'prunner sessions'"):
        archive.find("x")
    with pytest.raises(RecordError, match="begins with ''"):
        archive.find("")


def test_a_file_that_somebody_does_not_let_go_of_says_so(archive, monkeypatch):
    monkeypatch.setattr(database, "_PATIENCE", 0.01)
    put(archive, "a")
    with opened(archive.file, to_write=True):
        with pytest.raises(RecordError, match="Another process has been writing") as raised:
            put(archive, "b")
    assert "locked" not in str(raised.value)
    assert put(archive, "b") == "b"


def test_a_session_of_several_runs_stands_for_its_last_one(archive):
    key, _ = archive.begin(session("uuid"), run("r1", 1.0))
    archive.begin(replace(session("uuid"), key=key), run("r2", 2.0))
    assert archive.find("uuid").key == "r2"
    assert archive.find("r1").session.key == "uuid"
    assert len(archive.entries()) == 2


def test_a_session_that_ran_nothing_is_an_entry(archive):
    archive.begin(session("s1"))
    (entry,) = archive.entries()
    assert (entry.key, entry.run, archive.find("s").run) == ("s1", None, None)


def test_what_goes_on_is_lost_when_its_process_is_gone(archive):
    pid, created = this_process()
    host = os.uname().nodename if hasattr(os, "uname") else __import__("socket").gethostname()
    for name, owner in {"here": (pid, created), "gone": (pid, created - 10**6)}.items():
        alive = {"host": host, "pid": owner[0], "pid_created": owner[1]}
        archive.begin(session(name, **alive), run(name, **alive))
    archive.begin(session("far", host="elsewhere"), run("far", host="elsewhere", pid=1))
    found = {each.key: each.outcome for each in archive.entries()}
    assert found == {"here": Outcome.RUNNING, "gone": Outcome.LOST, "far": Outcome.RUNNING}


def test_records_of_other_projects_are_others(archive):
    put(archive, "a", project="shop")
    put(archive, "b", project="orchard")
    orchard = Archive(archive.file, "orchard")
    assert [each.key for each in orchard.entries()] == ["b"]
    with pytest.raises(RecordError, match="no session of 'bank', but of 'orchard', 'shop'"):
        Archive(archive.file, "bank").find("a")
    assert orchard.prune(0) == 1
    assert [each.key for each in archive.entries()] == ["a"]


def test_an_empty_store_and_none_at_all_say_so(archive):
    with pytest.raises(RecordError, match="does not exist"):
        archive.find("x")
    with opened(archive.file, to_write=True):
        pass
    with pytest.raises(RecordError, match="no session on record"):
        archive.find("x")
    assert archive.entries() == []


def test_what_is_known_is_of_the_last_run_of_the_same_function(archive):
    put(archive, "a", 1.0)
    name = NODES[0].name
    keys = [(name, "00ff"), (name, "other"), ("two", "")]
    assert archive.known("shop", keys) == {keys[0]: (2.0, 5_000_000)}
    slower = replace(NODES[0], ended=14.5, peak_memory=1_000_000)
    put(archive, "b", 2.0, nodes=(slower,))
    assert archive.known("shop", keys) == {keys[0]: (4.0, 4_500_000)}
    put(archive, "c", 3.0, nodes=(replace(NODES[0], peak_memory=None),))
    assert archive.known("shop", keys) == {keys[0]: (2.0, 4_500_000)}
    assert archive.known("orchard", keys) == {}


def test_pruning_keeps_the_newest_and_what_goes_on(archive):
    archive.begin(session("runs", host="elsewhere"), run("runs", 0.0, host="elsewhere"))
    for number in range(5):
        put(archive, f"r{number}", 10.0 + number)
    assert archive.prune(2) == 3
    assert [each.key for each in archive.entries()] == ["r4", "r3", "runs"]
    with opened(archive.file) as connection:
        left = {"sessions": 3, "runs": 3, "nodes": 4, "details": 2, "known": 1}
        for table, count in left.items():
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (count,)
    assert archive.prune(2) == 0


# --- the file ----------------------------------------------------------------------------------


def test_a_path_is_a_folder_or_a_file(tmp_path):
    assert file_of("sessions", tmp_path) == tmp_path / "sessions" / "sessions.db"
    assert file_of("a/b.db", tmp_path) == tmp_path / "a" / "b.db"
    assert file_of(tmp_path / "x.sqlite", "elsewhere") == tmp_path / "x.sqlite"


def test_the_file_is_in_wal_mode(archive):
    put(archive, "a")
    with opened(archive.file) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_of_a_newer_version_is_left_alone(archive):
    put(archive, "a")
    newer = len(MIGRATIONS) + 1
    with opened(archive.file, to_write=True) as connection:
        connection.execute(f"PRAGMA user_version = {newer}")
    before = archive.file.read_bytes()
    for use in (archive.entries, lambda: put(archive, "b"), lambda: archive.prune(0)):
        with pytest.raises(RecordError, match=rf"newer version.*schema {newer}.*Upgrade prunner"):
            use()
    assert archive.file.read_bytes() == before


def test_an_older_file_is_brought_up_to_date_with_what_is_in_it(archive, monkeypatch):
    put(archive, "a")
    more = ("ALTER TABLE runs ADD COLUMN mood TEXT; UPDATE runs SET mood = 'fine'",)
    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, *more))
    assert archive.find("a").run.nodes == NODES
    with opened(archive.file) as connection:
        assert connection.execute("SELECT mood FROM runs").fetchall() == [("fine",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)


def test_a_migration_that_fails_leaves_the_file_as_it_was(archive, monkeypatch):
    put(archive, "a")
    more = ("ALTER TABLE runs ADD COLUMN mood TEXT; SELECT * FROM nowhere",)
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", (*MIGRATIONS, *more))
        with pytest.raises(RecordError, match="cannot be used"):
            archive.entries()
    assert archive.find("a").run.nodes == NODES


@pytest.mark.parametrize("damage", ["text", "head", "middle", "folder"])
def test_a_damaged_file_is_said_to_be_so_and_left_alone(archive, damage):
    for number in range(20):
        put(archive, f"r{number}", number)
    with sqlite3.connect(archive.file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    written = bytearray(archive.file.read_bytes())
    generator = random.Random(7)
    match damage:
        case "text":
            written = bytearray(b"no database at all, but some text\n" * 50)
        case "head":
            written[:16] = b"x" * 16
        case "middle":
            written[100:] = generator.randbytes(len(written) - 100)
    if damage == "folder":
        archive.file.unlink()
        archive.file.mkdir()
    else:
        archive.file.write_bytes(written)
    with pytest.raises(RecordError, match=r"sessions\.db (is damaged|cannot be used|does not)"):
        put(archive, "b")
    with pytest.raises(RecordError):
        archive.entries()
    assert damage == "folder" or archive.file.read_bytes() == bytes(written)


def test_a_file_of_another_program_is_left_alone(archive):
    archive.file.parent.mkdir()
    with sqlite3.connect(archive.file) as connection:
        connection.execute("CREATE TABLE runs (id)")
    connection.close()
    with pytest.raises(RecordError, match="belongs to another program"):
        put(archive, "a")


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(RecordError, match="cannot be used"):
        put(Archive(tmp_path / "file" / "sessions.db"), "a")


WRITER = """
import sys
from pathlib import Path
from tests.core.test_sessions_archive import Archive, put

archive = Archive(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    print(put(archive, "same", float(number)), flush=True)
"""


def test_four_processes_write_at_once_and_one_is_killed(tmp_path):
    """Nothing is lost that was said to be written, nothing is half there, nobody is locked out."""
    file = tmp_path / "new" / "sessions.db"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file), count],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        for count in ("25", "25", "25", "1000000")
    ]
    victim = writers.pop()
    assert victim.stdout is not None
    said = [victim.stdout.readline().strip() for _ in range(5)]
    victim.kill()
    with victim:
        # Not communicate(): it passes over what readline() has read ahead.
        said += victim.stdout.read().split()
    for each in writers:
        out, err = each.communicate()
        assert (each.returncode, err) == (0, "")
        said += out.split()
    assert len(said) == len(set(said)) >= 80
    archive = Archive(file)
    found = {each.key: each for each in archive.entries()}
    assert found.keys() >= set(said)
    assert len(found.keys() - set(said)) <= 1  # written, but nobody has said so
    runs = [archive.find(key).run for key in said]
    assert all(run is not None and run.nodes == NODES for run in runs)
    with opened(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
