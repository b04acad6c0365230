"""Small rooms of the cluster: parcels, sources, notes of deaths, differences, options, marks."""

from __future__ import annotations

import io
import os
import pickle
import sys
import threading
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from dask.sizeof import sizeof

from prunner import DaskRunner, OptionError
from prunner.cluster.connection import environment_kept
from prunner.cluster.deaths import Deaths
from prunner.cluster.findings import differences
from prunner.cluster.marks import Left, Marks
from prunner.cluster.messages import Died
from prunner.cluster.parcel import Parcel
from prunner.cluster.probe import ancestor_of, look
from prunner.cluster.setting_up import PackageMissingError, Slot
from prunner.cluster.source import digest_of, source_of, unpack
from prunner.errors import DataTransferError, NodeTimeout, WorkerDied

# --- parcels ----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_parcel_arrives(protocol):
    array = np.arange(10_000)
    buffers: list[pickle.PickleBuffer] = []
    keep = buffers.append if protocol == 5 else None
    moved = pickle.loads(
        pickle.dumps(Parcel(array), protocol, buffer_callback=keep), buffers=buffers
    )
    np.testing.assert_array_equal(moved.open(), array)
    assert moved.open() is moved.open()
    moved.open()[0] = 7  # a private copy, and writable
    assert array[0] == 0


def test_large_buffers_of_a_parcel_are_not_copied_into_the_pickle():
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(Parcel(np.zeros(100_000)), 5, buffer_callback=buffers.append)
    assert len(pickled) < 10_000
    assert sum(buffer.raw().nbytes for buffer in buffers) > 800_000


def test_a_parcel_can_be_moved_twice_without_being_opened():
    once = pickle.loads(pickle.dumps(Parcel({"a": 1})))
    assert pickle.loads(pickle.dumps(once)).open() == {"a": 1}


def test_a_parcel_that_cannot_be_pickled_says_so_where_it_is_opened():
    parcel = Parcel(threading.Lock())
    assert isinstance(parcel.open(), type(threading.Lock()))  # here it can be used
    moved = pickle.loads(pickle.dumps(parcel))
    for attempt in (moved.open, moved.packed, pickle.loads(pickle.dumps(moved)).open):
        with pytest.raises(DataTransferError, match="lock"):
            attempt()


class Unreadable:
    def __reduce__(self):
        return (eval, ("1/0",))


def test_a_parcel_that_cannot_be_unpickled_says_so_where_it_is_opened():
    moved = pickle.loads(pickle.dumps(Parcel(Unreadable())))
    with pytest.raises(DataTransferError, match=f"Python {sys.version.split()[0]}.*division"):
        moved.open()


def test_dask_knows_the_size_of_a_parcel():
    assert sizeof(Parcel(np.zeros(100_000))) >= 800_000
    assert sizeof(pickle.loads(pickle.dumps(Parcel(np.zeros(100_000))))) >= 800_000


# --- sources ----------------------------------------------------------------------------------


@pytest.fixture
def orchard(tmp_path, monkeypatch):
    """A package of which this process knows the folder."""
    src = tmp_path / "src"
    package = src / "plum_orchard"
    (package / "pipelines").mkdir(parents=True)
    (package / "__pycache__").mkdir()
    (package / "__init__.py").write_text("VALUE = 1\n", encoding="utf-8")
    (package / "pipelines" / "__init__.py").write_text("", encoding="utf-8")
    (package / "größe.txt").write_text("größer", encoding="utf-8")
    (package / "__pycache__" / "junk.pyc").write_bytes(b"junk")
    (src / "plum_tools.py").write_text("", encoding="utf-8")
    (src / "tests").mkdir()
    (src / "tests" / "__init__.py").write_text("", encoding="utf-8")
    (src / "data").mkdir()
    (src / "data" / "large.bin").write_bytes(b"x" * 1000)
    monkeypatch.syspath_prepend(str(src))
    return package


def test_the_source_has_the_package_and_the_modules_beside_it(orchard, tmp_path):
    source = source_of("plum_orchard", None)
    assert source is not None
    assert source.modules == ("plum_orchard", "plum_tools")
    assert not source.always
    folder = unpack(source, str(tmp_path / "worker"))
    found = {
        os.path.relpath(os.path.join(r, n), folder) for r, _, ns in os.walk(folder) for n in ns
    }
    assert found == {
        os.path.join("plum_orchard", "__init__.py"),
        os.path.join("plum_orchard", "größe.txt"),
        os.path.join("plum_orchard", "pipelines", "__init__.py"),
        "plum_tools.py",
    }
    assert digest_of(orchard) == digest_of(type(orchard)(folder) / "plum_orchard")


def test_another_text_is_another_digest(orchard):
    before = digest_of(orchard)
    (orchard / "__init__.py").write_text("VALUE = 2\n", encoding="utf-8")
    assert digest_of(orchard) != before


def test_nothing_is_packed_where_nothing_is_to_be_sent(orchard):
    source = source_of("plum_orchard", False)
    assert source is not None
    assert source.archive is None


def test_of_what_is_installed_only_the_package_is_sent():
    source = source_of("kedro", None)
    assert source is not None
    assert source.modules == ("kedro",)


def test_a_package_without_files_has_no_source():
    assert source_of("no_such_package_anywhere", None) is None


def test_an_old_file_can_be_sent(orchard):
    os.utime(orchard / "__init__.py", (0, 0))  # before the times that zip knows
    source = source_of("plum_orchard", None)
    assert source is not None
    assert source.archive is not None
    assert zipfile.is_zipfile(io.BytesIO(source.archive))


def test_a_package_that_is_missing_and_not_sent_is_named(tmp_path):
    source = source_of("kedro", False)
    with pytest.raises(PackageMissingError, match="no_such_package_anywhere"):
        with Slot().held("no_such_package_anywhere", source, None, str(tmp_path)):
            pass


# --- what workers see -------------------------------------------------------------------------


def test_a_folder_that_is_another_one_there_is_noticed(tmp_path):
    here = ancestor_of(str(tmp_path / "not" / "yet" / "there.csv"))
    assert here.path == str(tmp_path)
    seen = look({"same": here, "other": here._replace(identity=here.identity + 1)}, None)
    assert seen.unseen == ("other",)
    assert look({"gone": here._replace(path=str(tmp_path / "gone"))}, None).unseen == ("gone",)


def test_versions_that_differ_are_told_by_worker():
    here = {"python": "3.11.7", "kedro": "1.7.0", "numpy": "2.0.0", "pandas": None}
    there = {"python": "3.11.7", "kedro": "1.6.0", "numpy": None, "pandas": "2.0"}
    found = differences(here, {"tcp://a:1": there, "tcp://b:1": here})
    assert [str(each) for each in found] == [
        "kedro: 1.7.0 here, 1.6.0 on tcp://a:1",
        "numpy: 2.0.0 here, none on tcp://a:1",
    ]


# --- deaths -----------------------------------------------------------------------------------


def test_who_did_not_run_when_workers_ended_is_innocent():
    deaths = Deaths()
    assert not deaths.is_innocent(2)  # nobody knows anything
    deaths.note(Died((1,), 77, "b", "frames"))
    deaths.note(Died((1,), 78, "b", ""))
    assert deaths.is_innocent(2)
    assert not deaths.is_innocent(1)
    assert deaths.count(1) == 2
    assert deaths.of(1) == Died((1,), 78, "b", "")
    assert deaths.of(2) is None


def test_errors_name_node_and_host():
    died = WorkerDied("train", None, 77, host="b", deaths=4)
    assert "on host 'b'" in str(died)
    assert "'train'" in str(died)
    assert "time 4" in str(died)
    late = NodeTimeout("train", 2.0, 77, "frames", "b")
    assert "worker process 77 on host 'b'" in str(late)
    for error in (died, late):
        again = pickle.loads(pickle.dumps(error))
        assert str(again) == str(error)
        assert again.host == "b"


@pytest.fixture
def worker(tmp_path):
    (tmp_path / "worker").mkdir()
    return SimpleNamespace(nanny="tcp://a:1", local_directory=str(tmp_path / "worker"))


def test_the_next_process_reads_what_ran_in_the_former_one(worker):
    first = Marks(worker)
    assert first.left is None
    first.begin("a-long-token", 123456)
    first.begin("t", 7)  # shorter than what stood there
    second = Marks(worker)
    assert second.left == Left(os.getpid(), (("t", 7),), "")
    second.begin("t", 8)
    second.end()
    assert Marks(worker).left == Left(os.getpid(), (), "")


def test_who_leaves_in_peace_leaves_no_note(worker, tmp_path):
    marks = Marks(worker)
    marks.begin("t", 1)
    marks.remove()
    marks.end()  # of a step that went on
    assert [path.name for path in tmp_path.iterdir()] == ["worker"]
    assert Marks(worker).left is None


def test_without_a_nanny_nothing_is_written(worker, tmp_path):
    worker.nanny = None
    Marks(worker).begin("t", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["worker"]


# --- environment ------------------------------------------------------------------------------


def test_variables_that_dask_sets_are_taken_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("OWN", "before")
    with environment_kept():
        os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OWN="set by a hook")
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ
    assert os.environ["OWN"] == "set by a hook"


# --- options ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"address": 8786}, "tcp://host:8786"),
        ({"address": " "}, "tcp://host:8786"),
        ({"address": "tcp://a:1", "scheduler_file": "x"}, "address and scheduler_file"),
        ({"address": "tcp://a:1", "max_workers": 2}, "max_workers"),
        ({"scheduler_file": "/no/such/file"}, "no file"),
        ({"scheduler_file": 3}, "scheduler_file"),
        ({"client": "tcp://a:1"}, "distributed.Client"),
        ({"cluster": 5}, "cluster"),
        ({"upload_project": "yes"}, "upload_project"),
        ({"connect_timeout": 0}, "connect_timeout"),
        ({"connect_timeout": "soon"}, "connect_timeout"),
        ({"max_workers": 0}, "max_workers"),
        ({"is_async": "no"}, "is_async"),
        ({"on_error": "retry"}, "on_error"),
        ({"retries": -1}, "retries"),
        ({"timeout": -1}, "timeout"),
        ({"node_options": {"a": {"resources": ["GPU"]}}}, "resources of node or tag 'a'"),
        ({"node_options": {"a": {"resources": {"GPU": 0}}}}, "GPU"),
        ({"node_options": {"a": {"cores": 2}}}, "resources"),
        ({"progress": 2}, "progress"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        DaskRunner(**options)


def test_resources_are_for_a_cluster_only():
    from prunner import ParallelRunner

    with pytest.raises(OptionError, match="resources"):
        ParallelRunner(node_options={"train": {"resources": {"GPU": 1}}})
    runner = DaskRunner(node_options={"train": {"resources": {"GPU": 1}, "retries": 2}})
    assert runner._options.node_options == {"train": {"resources": {"GPU": 1.0}, "retries": 2}}
    runner = DaskRunner(node_options={"a": {"b": {"resources": {"GPU": 1}}}})  # as a command has it
    assert runner._options.node_options == {"a.b": {"resources": {"GPU": 1.0}}}


def test_the_levels_of_dasks_own_loggers_stay():
    from prunner.bridge.logs import LogLevels
    from prunner.cluster.recorder import levels_for_workers

    levels = LogLevels({"": 30, "kedro": 20, "distributed.worker": 50}, {"": 10}, ("x",), 0, False)
    assert levels_for_workers(levels).levels == {"": 30, "kedro": 20}
    assert levels_for_workers(levels).switched_off == ()
