"""The evaluation pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from prunner_demo.pipelines.evaluation.nodes import (
    FOLDS,
    collect_metrics,
    fit_and_score,
    split_folds,
    tabulate_confusion,
)

# No underscores: the dataset factory tells model and fold apart by the one between them.
MODELS = ("forest", "extratrees", "boosting", "histograms")


def create_pipeline(**kwargs: object) -> Pipeline:
    """One node per model and fold, between the split and the collecting nodes."""
    return Pipeline(
        [
            Node(
                split_folds,
                inputs=["labels", "params:seed"],
                outputs=[f"split_{fold}" for fold in range(FOLDS)],
                name="split_folds",
            ),
            *(_fit(model, fold) for model in MODELS for fold in range(FOLDS)),
            *(_confusion(model) for model in MODELS),
            Node(
                collect_metrics,
                inputs={
                    f"{model}_{fold}": f"score_{model}_{fold}"
                    for model in MODELS
                    for fold in range(FOLDS)
                },
                outputs=["metrics_csv", "metrics_json"],
                name="collect_metrics",
            ),
        ]
    )


def _fit(model: str, fold: int) -> Node:
    return Node(
        fit_and_score,
        inputs=["features", "labels", f"split_{fold}", f"params:models.{model}", "params:seed"],
        outputs=[f"score_{model}_{fold}", f"predicted_{model}_{fold}"],
        name=f"fit_{model}_{fold}",
    )


def _confusion(model: str) -> Node:
    return Node(
        tabulate_confusion,
        inputs=["labels", *(f"predicted_{model}_{fold}" for fold in range(FOLDS))],
        outputs=f"confusion_{model}",
        name=f"confusion_{model}",
    )
