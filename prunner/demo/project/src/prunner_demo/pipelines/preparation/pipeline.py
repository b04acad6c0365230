"""The preparation pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from prunner_demo.pipelines.preparation.nodes import export_digits, make_features


def create_pipeline(**kwargs: object) -> Pipeline:
    """Two nodes, one after the other."""
    return Pipeline(
        [
            Node(export_digits, inputs="params:rows", outputs="digits", name="export_digits"),
            Node(
                make_features, inputs="digits", outputs=["features", "labels"], name="make_features"
            ),
        ]
    )
