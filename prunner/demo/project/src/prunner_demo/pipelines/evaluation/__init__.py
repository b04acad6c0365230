"""Cross-validation of several kinds of models."""

from prunner_demo.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
