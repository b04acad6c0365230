"""What is found of a cluster before a run, from what its workers say."""

from __future__ import annotations

from typing import Any

from prunner.cluster.findings import (
    Difference,
    Findings,
    Host,
    Told,
    Unseen,
    Version,
    find,
    warnings,
    why_unusable,
)
from prunner.cluster.probe import Seen
from prunner.cluster.source import Source

HERE = {"python": "3.11.7", "prunner": "0.1.0", "numpy": "2.1", "pandas": None}
SOURCE = Source("d1", "v1", b"zip", ("orchard",), False)


def told(**workers: tuple[dict[str, str | None], int, Seen]) -> Told:
    return Told(
        "tcp://s:1",
        {address: HERE | versions for address, (versions, _, _) in workers.items()},
        {address: threads for address, (_, threads, _) in workers.items()},
        {address: seen for address, (_, _, seen) in workers.items()},
    )


def found(source: Source | None = SOURCE, **workers: Any) -> Findings:
    return find(HERE, told(**workers), "orchard", source)


def test_workers_like_this_process_give_no_warning():
    findings = found(a=({}, 2, Seen("pear", (), "d1")))
    assert list(warnings(findings, "here")) == []
    assert (findings.without_package, findings.other_source) == ((), ())


def test_hosts_have_numbers_of_workers_and_threads():
    findings = found(
        a=({}, 2, Seen("pear", (), "d1")),
        b=({}, 1, Seen("apple", (), "d1")),
        c=({}, 4, Seen("pear", (), "d1")),
    )
    assert findings.hosts == (Host("apple", 1, 1), Host("pear", 2, 6))
    assert findings.scheduler == "tcp://s:1"
    assert found().hosts == ()


def test_versions_that_differ():
    findings = found(
        b=({"numpy": "2.0", "pandas": "2.2"}, 1, Seen("pear", (), "d1")),
        a=({"numpy": "2.0"}, 1, Seen("pear", (), "d1")),
        c=({"numpy": None}, 1, Seen("pear", (), "d1")),
    )
    # What this process has not got, no node of it needs.
    versions = (Version("2.0", ("a", "b")), Version(None, ("c",)))
    assert set(findings.differences[0].there) == set(versions)
    assert [(each.package, each.here) for each in findings.differences] == [("numpy", "2.1")]
    text = str(Difference("numpy", "2.1", versions))
    assert text == "numpy: 2.1 here, 2.0 on a, b; none on c"
    said = "Workers have another version of numpy: 2.1 here, "
    assert [each[: len(said)] for each in warnings(findings, "here")] == [said]


def test_a_worker_without_prunner_or_with_another_one_is_of_no_use():
    assert why_unusable(HERE, {"a": HERE, "b": HERE}) is None
    none = why_unusable(HERE, {"a": HERE, "b": {"python": "3.12.1"}})
    assert none is not None
    assert none.startswith(
        "Worker b has no prunner, and this process has prunner 0.1.0 (Python 3.12.1 there, "
    )
    other = why_unusable(HERE, {"b": HERE | {"prunner": "0.2"}})
    assert other is not None and other.startswith("Worker b has prunner 0.2, and this")
    bare = why_unusable(HERE | {"kedro": "1.7"}, {"b": HERE})
    assert bare is not None and bare.startswith("Worker b has no Kedro, and this process has Kedro")


def test_source_that_is_missing_is_sent_and_other_source_is_told():
    workers: dict[str, Any] = {
        "a": ({}, 1, Seen("pear", (), "d2")),
        "b": ({}, 1, Seen("pear", (), None)),
        "c": ({}, 1, Seen("pear", (), "d1")),
    }
    findings = found(**workers)
    assert (findings.without_package, findings.sends_package) == (("b",), True)
    assert findings.other_source == ("a",)
    said = "The source of the package 'orchard' on a is not the same as here."
    assert [each[: len(said)] for each in warnings(findings, "here")] == [said]

    assert not found(Source("d1", "v1", None, (), False), **workers).sends_package
    # Where all workers use what they are sent, it does not matter what they have.
    assert found(SOURCE._replace(always=True), **workers).other_source == ()
    nothing = found(None, **workers)
    assert (nothing.without_package, nothing.other_source) == ((), ())


def test_files_that_some_machine_does_not_see_are_named_with_it():
    findings = found(
        a=({}, 1, Seen("pear", ("stored", "raw"), "d1")),
        b=({}, 1, Seen("apple", ("raw",), "d1")),
        c=({}, 1, Seen("fig", (), "d1")),
    )
    assert findings.unseen == (Unseen("raw", ("apple", "pear")), Unseen("stored", ("pear",)))
    (text,) = warnings(findings, "here")
    assert "for workers on apple, pear as for here: 'raw', 'stored'. " in text
