"""What is suggested after a failed run is what Kedro suggests, and found in time."""

from __future__ import annotations

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from prunner.kedro_internals import IndexedPipeline, nodes_to_resume_from

PIPELINE = Pipeline(
    [
        node(lambda a: a, "a", "b@one", name="first"),
        node(lambda b: (b, b), "b@two", ["c", "d"], name="second"),
        node(lambda c, x: c, ["c", "x"], "e", name="third"),
        node(lambda d, e: d, ["d", "e"], "f", name="last"),
    ]
)


@pytest.mark.parametrize("names", [["b@one"], ["b@two"], ["b"], ["c", "d"], ["f", "x"], ["a"], []])
def test_the_same_nodes_are_found(names):
    indexed = IndexedPipeline(PIPELINE)
    assert isinstance(indexed, Pipeline)
    assert indexed.nodes == PIPELINE.nodes
    found, expected = (each.only_nodes_with_outputs(*names) for each in (indexed, PIPELINE))
    assert found.nodes == expected.nodes


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_the_same_is_suggested(count):
    catalog = DataCatalog({name: MemoryDataset(1) for name in ("a", "x")})
    done = PIPELINE.nodes[:count]
    suggested = nodes_to_resume_from(IndexedPipeline(PIPELINE), done, catalog)
    assert suggested == nodes_to_resume_from(PIPELINE, done, catalog)
