"""Where the cluster is, how it is reached, and what is said where it is not."""

from __future__ import annotations

import socket
import threading

import pytest
import trustme
from distributed.security import Security
from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline

from prunner import DaskRunner
from prunner.errors import ClusterError
from tests.cluster import nodes
from tests.cluster.processes import HOME, Cluster
from tests.processes.projects import make_folder

pytestmark = pytest.mark.timeout(120)

ONE = [node(nodes.pid, None, "pid", name="one")]


def run(**options):
    outputs = DaskRunner(**options).run(pipeline(ONE), DataCatalog())
    return outputs["pid"].load()


def test_scheduler_by_file_and_by_address(own):
    worker = own.worker()
    client = own.client(1)

    assert run(scheduler_file=own.file) == worker.pid
    assert run(address=client.scheduler.address) == worker.pid
    assert run(scheduler_file=str(own.file)) == worker.pid


def test_scheduler_by_the_configuration_of_dask(own, monkeypatch):
    import dask

    worker = own.worker()
    client = own.client(1)

    with dask.config.set({"scheduler-address": client.scheduler.address}):
        assert run() == worker.pid


def test_address_where_nothing_answers():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        port = unused.getsockname()[1]

        with pytest.raises(ClusterError, match=f"tcp://127.0.0.1:{port}"):
            run(address=f"tcp://127.0.0.1:{port}", connect_timeout=1)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_address_where_something_else_answers(answer):
    """A web server, and a server that says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        thread = threading.Thread(target=answer_all, args=(server, answer), daemon=True)
        thread.start()

        with pytest.raises(ClusterError, match=f"tcp://127.0.0.1:{port}"):
            run(address=f"tcp://127.0.0.1:{port}", connect_timeout=1)


def answer_all(server, answer):
    """Answer until the server is closed."""
    open_ = []
    try:
        while True:
            connection, _ = server.accept()
            open_.append(connection)
            if answer:
                connection.sendall(answer)
    except OSError:
        for each in open_:
            each.close()


# --- encryption -------------------------------------------------------------------------------

SCRIPT = """
import sys

from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline

import prunner
from tests.cluster import nodes

if __name__ == "__main__":
    steps = pipeline([node(nodes.pid, None, "pid")])
    outputs = prunner.DaskRunner(sys.argv[1], connect_timeout=20).run(steps, DataCatalog())
    print(outputs["pid"].load())
"""


@pytest.fixture
def certificates(tmp_path):
    """Dask's settings with certificates of an authority of the test's own."""
    authority = trustme.CA()
    ours = authority.issue_cert("127.0.0.1", "localhost")
    ca, cert = tmp_path / "ca.pem", tmp_path / "cert.pem"
    authority.cert_pem.write_to_path(str(ca))
    ours.private_key_and_cert_chain_pem.write_to_path(str(cert))
    prefix = "DASK_DISTRIBUTED__COMM__"
    found = {f"{prefix}TLS__CA_FILE": str(ca), f"{prefix}REQUIRE_ENCRYPTION": "true"}
    for who in ("CLIENT", "SCHEDULER", "WORKER"):
        found |= {f"{prefix}TLS__{who}__{what}": str(cert) for what in ("CERT", "KEY")}
    return found


def test_encrypted_cluster(tmp_path, certificates):
    folder = make_folder(tmp_path / "scripts", HOME)
    (tmp_path / "cluster").mkdir()
    with Cluster(tmp_path / "cluster", **certificates) as cluster:
        worker = cluster.worker(**certificates)
        cert = certificates["DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT"]
        ca = certificates["DASK_DISTRIBUTED__COMM__TLS__CA_FILE"]
        security = Security(
            tls_ca_file=ca, tls_client_cert=cert, tls_client_key=cert, require_encryption=True
        )
        address = cluster.client(1, security).scheduler.address

        done = folder.run_script(SCRIPT, address, **certificates)
        without = folder.run("script.py", address)

    assert address.startswith("tls://")
    assert done.answer == worker.pid
    assert without.returncode == 1
    assert "ClusterError: No Dask scheduler answers at tls://" in without.stderr
