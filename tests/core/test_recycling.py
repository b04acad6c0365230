from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from prunner.bridge import recycling
from prunner.bridge.data import Exchange
from prunner.bridge.recycling import RECYCLED_FROM

LARGE = RECYCLED_FROM // 8  # numbers in an array whose file is written over


def in_memory() -> bool:
    path = recycling.MEMORY_FOLDER + "/any"
    return os.access(recycling.MEMORY_FOLDER, os.W_OK) and recycling.is_recycled(path, 1 << 30)


pytestmark = pytest.mark.skipif(not in_memory(), reason="files are written over in memory only")


@pytest.fixture
def parent():
    with Exchange.create() as exchange:
        yield exchange


@pytest.fixture
def worker(parent):
    worker = Exchange(parent.folders)
    yield worker
    worker.close()


def put(parent, worker, value):
    ref = worker.put(value)
    parent.count(ref)
    return ref


def array(value, size=LARGE):
    return np.full(size, value)


def files(exchange):
    return sorted(Path(exchange.folders[0]).glob("*"))


def inode(ref):
    return os.stat(ref.path).st_ino


def test_a_released_file_is_written_over_again_and_again(parent, worker):
    inodes = set()
    for number in range(5):
        ref = put(parent, worker, array(number))
        inodes.add(inode(ref))
        assert (parent.get(ref) == number).all()
        parent.release(ref)
        assert len(files(parent)) == 1
    assert len(inodes) == 1


def test_each_time_it_has_a_new_name_and_the_former_one_says_that_it_is_released(parent, worker):
    first = put(parent, worker, array(1))
    parent.release(first)
    second = put(parent, worker, array(2))
    assert first.path != second.path
    with pytest.raises(Exception, match="has been released"):
        parent.get(first)
    assert (parent.get(second) == 2).all()


@pytest.mark.parametrize("keep", [lambda v: v, lambda v: v[5:], lambda v: memoryview(v)[3:]])
def test_who_keeps_an_array_never_sees_it_change(parent, worker, keep):
    first = put(parent, worker, array(1))
    kept = keep(parent.get(first))  # no page of it has been read
    parent.release(first)
    second = put(parent, worker, array(2))
    assert (np.asarray(kept) == 1).all()
    assert (parent.get(second) == 2).all()
    del kept
    parent.release(second)
    third = put(parent, worker, array(3))
    assert (parent.get(third) == 3).all()


def _map_and_wait(folders, ref, conn):
    value = Exchange(folders).get(ref)
    conn.send("mapped")
    conn.recv()
    conn.send(bool((value == 1).all()))


def test_another_process_that_keeps_an_array_never_sees_it_change(parent, worker):
    first = put(parent, worker, array(1))
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_map_and_wait, args=(parent.folders, first, there))
    process.start()
    assert here.recv() == "mapped"
    parent.release(first)
    second = put(parent, worker, array(2))
    assert (parent.get(second) == 2).all()
    here.send("look")
    assert here.recv() is True
    process.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_copy_of_a_process_that_closed_its_handles_never_sees_an_array_change(parent, worker):
    first = put(parent, worker, array(1))
    value = parent.get(first)
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        for number in map(int, os.listdir("/proc/self/fd")):
            if number > 2 and number not in (*ready, *go):
                with contextlib.suppress(OSError):
                    os.close(number)
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        os._exit(0 if (value == 1).all() else 1)
    os.read(ready[0], 1)
    del value
    parent.release(first)
    second = put(parent, worker, array(2))
    assert (parent.get(second) == 2).all()
    os.write(go[1], b"x")
    _, status = os.waitpid(child, 0)
    for fd in (*ready, *go):
        os.close(fd)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("factor", [0.6, 0.99, 1.0, 1.01, 1.9])
def test_what_is_a_bit_larger_or_smaller_arrives_whole(parent, worker, factor):
    refs = []
    for number in range(3):
        for size in (4 * LARGE, int(4 * LARGE * factor)):
            ref = put(parent, worker, [array(number, size), array(-number, 7)])
            arrived = parent.get(ref)
            assert (arrived[0] == number).all()
            assert (arrived[1] == -number).all()
            assert arrived[0].size == size
            refs.append(ref)
            del arrived
            if len(refs) > 1:
                parent.release(refs.pop(0))


def test_a_file_grows_with_what_is_written_into_it(parent, worker):
    inodes = set()
    for number, size in enumerate([4 * LARGE, 5 * LARGE, 5 * LARGE, 6 * LARGE, 5 * LARGE]):
        ref = put(parent, worker, array(number, size))
        inodes.add(inode(ref))
        arrived = parent.get(ref)
        assert (arrived == number).all()
        assert arrived.size == size
        del arrived
        parent.release(ref)
    assert len(inodes) == 1


def test_a_much_smaller_object_does_not_take_a_large_file(parent, worker):
    first = put(parent, worker, array(1, 4 * LARGE))
    former = inode(first)
    parent.release(first)
    assert inode(put(parent, worker, array(2))) != former


def test_free_files_and_data_take_no_more_room_than_data_alone_has_taken(parent, worker):
    others = [Exchange(parent.folders) for _ in range(4)]
    largest = 0
    for number, each in enumerate([worker, *others]):
        ref = put(parent, each, array(number))
        largest = max(largest, ref.size)
        assert sum(path.stat().st_size for path in files(parent)) <= largest
        parent.release(ref)
    for each in others:
        each.close()


def test_what_is_removed_gives_its_memory_back_though_its_maker_has_it_mapped(parent, worker):
    first = put(parent, worker, array(1))
    parent.release(first)
    second = put(parent, worker, array(2))  # the worker has a map of it from now on
    with open(str(second.path), "rb") as file:
        parent.close()
        assert os.fstat(file.fileno()).st_size == 0
    assert (worker.get(put(parent, worker, array(3))) == 3).all()


def test_what_is_removed_stays_with_those_who_have_it_mapped(parent, worker):
    value = parent.get(put(parent, worker, array(1)))
    parent.close()
    assert (value == 1).all()


def test_where_there_is_no_room_free_files_are_removed_first(parent, worker, monkeypatch):
    first = put(parent, worker, array(1))
    parent.release(first)
    whole = recycling.write_all

    def full_while_there_is_a_free_file(file, part):
        if any(path.suffix == ".free" for path in files(parent)):
            raise OSError(28, "No space left on device")
        whole(file, part)

    monkeypatch.setattr("prunner.bridge.data.write_all", full_while_there_is_a_free_file)
    other = Exchange(parent.folders)
    ref = other.put(array(2))
    assert os.path.dirname(str(ref.path)) == parent.folders[0]
    assert [str(path) for path in files(parent)] == [ref.path]
    assert (other.get(ref) == 2).all()


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_file_that_cannot_grow_is_an_error_and_harms_nobody(parent, worker):
    import resource

    first = put(parent, worker, array(1))
    parent.release(first)
    _, hard = former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (first.size, hard))
    try:
        with pytest.raises(Exception, match="no room for in-memory data of"):
            worker.put(array(2, LARGE + 10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert (parent.get(put(parent, worker, array(3))) == 3).all()
