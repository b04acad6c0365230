"""From the images that scikit-learn ships to a table of features."""

from prunner_demo.pipelines.preparation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
