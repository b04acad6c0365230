from __future__ import annotations

import gc
import logging

import pytest
from distributed import Client, LocalCluster

from prunner.cluster.connection import environment_kept
from tests.cluster.processes import Cluster, meeting


@pytest.fixture(scope="module")
def cluster():
    """A cluster that the tests of a file share, and that is not prunner's."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.ERROR)  # what its scheduler logs is not of the run
    with environment_kept():
        with LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=50,
        ) as cluster:
            yield cluster
    logger.setLevel(level)


@pytest.fixture(scope="module")
def client(cluster):
    with Client(cluster, set_as_default=False) as client:
        yield client


@pytest.fixture
def own(tmp_path_factory):
    """A cluster of separate processes for one test; it has no worker yet."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The same for all tests of a file."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def met():
    """Where nodes of a test wait."""
    with meeting() as found:
        yield found


@pytest.fixture(autouse=True)
def _nothing_kept():
    yield
    gc.collect()  # a future that goes later would want an event loop that has ended
