from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from prunner.bridge import owners
from prunner.bridge.data import INLINE_LIMIT, Exchange
from prunner.bridge.owners import Owner
from prunner.processes.crashes import crash_file

POSIX = sys.platform != "win32"


@pytest.fixture
def gone() -> Owner:
    """A process that has been there."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = owners.owner_of(process.pid)
    assert not owner.is_gone()
    process.communicate()
    return owner


def folder_of(owner, base, random="0" * 16):
    folder = base / f"prunner-{owner.pid}-{owner.created}-{random}"
    folder.mkdir()
    (folder / "data").write_bytes(b"data")
    return folder


def crash_of(owner, base):
    path = base / f"prunner-{owner.pid}-{owner.created}-{'0' * 16}.crash"
    path.touch()
    return path


def test_what_a_process_has_left_that_is_gone_is_removed(gone, tmp_path):
    left = {str(folder_of(gone, tmp_path)), str(crash_of(gone, tmp_path))}
    assert set(owners.sweep([str(tmp_path), str(tmp_path / "missing")])) == left
    assert list(tmp_path.iterdir()) == []


def test_what_a_process_has_that_is_there_is_kept(tmp_path):
    here = owners.this_process()
    kept = [folder_of(here, tmp_path), crash_of(here, tmp_path)]
    assert owners.sweep([str(tmp_path)]) == []
    assert all(path.exists() for path in kept)


def test_another_process_with_the_same_id_is_not_the_owner(tmp_path):
    pid, created = owners.this_process()
    folder_of(Owner(pid, created - 1000), tmp_path)
    nearly = folder_of(Owner(pid, created + 100), tmp_path)  # as exact as it is known
    owners.sweep([str(tmp_path)])
    assert list(tmp_path.iterdir()) == [nearly]


@pytest.mark.skipif(not POSIX, reason="Windows removes nothing that is in use")
def test_what_is_in_use_is_kept_whatever_its_name_says(gone, tmp_path):
    """Its owner may be in another container that shares the folder."""
    folder = tmp_path / f"prunner-{gone.pid}-{gone.created}-{'1' * 16}"
    lock = owners.make_folder(str(folder))
    assert owners.sweep([str(tmp_path)]) == []
    owners.let_go(lock)
    assert owners.sweep([str(tmp_path)]) == [str(folder)]


@pytest.mark.parametrize(
    "name",
    [
        "prunner-{pid}-{created}-0123456789abcdef.txt",
        "prunner-{pid}-{created}",
        "prunner-{pid}-0123456789abcdef",
        "my-prunner-{pid}-{created}-0123456789abcdef",
        "prunner-{pid}-{created}-0123456789ABCDEF",
    ],
)
def test_other_names_are_nobodys_business(name, gone, tmp_path):
    folder = tmp_path / name.format(pid=gone.pid, created=gone.created)
    folder.mkdir()
    assert owners.sweep([str(tmp_path)]) == []
    assert folder.exists()


def test_what_is_not_what_it_should_be_is_kept(gone, tmp_path):
    base, precious = tmp_path / "base", tmp_path / "precious"
    base.mkdir()
    precious.mkdir()
    name = f"prunner-{gone.pid}-{gone.created}-{'0' * 16}"
    (base / name).write_bytes(b"a file")
    (base / f"{name}.crash").mkdir()
    if POSIX:
        (base / f"{name[:-1]}1").symlink_to(precious, target_is_directory=True)
    assert owners.sweep([str(base)]) == []
    assert precious.exists()
    assert len(list(base.iterdir())) == 2 + POSIX


@pytest.mark.skipif(not POSIX or os.geteuid() != 0, reason="only root may give files away")
def test_what_belongs_to_another_user_is_kept(gone, tmp_path):
    folder = folder_of(gone, tmp_path)
    os.chown(folder, 12345, 12345)
    assert owners.sweep([str(tmp_path)]) == []


def test_after_its_end_all_of_a_process_is_removed_and_nothing_of_others(gone, tmp_path):
    folder_of(gone, tmp_path)
    other = folder_of(Owner(gone.pid, gone.created + 1), tmp_path, "1" * 16)
    owners.sweep_after(gone, [str(tmp_path)])
    assert list(tmp_path.iterdir()) == [other]


def test_the_files_of_a_run_and_of_a_worker_have_such_names(tmp_path):
    here = owners.this_process()
    with Exchange.create() as exchange:
        paths = [*map(Path, exchange.folders), crash_file()]
        found = [owner for path in paths for _, owner in owners._found([str(path.parent)])]
        assert all(owners._NAME.fullmatch(path.name) for path in paths)
        assert here in found


@pytest.mark.skipif(not POSIX, reason="there are no such permissions")
def test_nobody_else_can_look_into_the_data(monkeypatch):
    former = os.umask(0)
    try:
        with Exchange.create() as exchange:
            ref = exchange.put(bytes(INLINE_LIMIT + 1))
            assert ref.path is not None
            modes = [stat.S_IMODE(os.stat(folder).st_mode) for folder in exchange.folders]
            assert modes == [0o700] * len(exchange.folders)
            assert stat.S_IMODE(os.stat(ref.path).st_mode) == 0o600
    finally:
        os.umask(former)
