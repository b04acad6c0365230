"""Nodes of the preparation pipeline."""

from __future__ import annotations

import pandas as pd
from sklearn.datasets import load_digits

SIDE = 8
BRIGHTEST = 16


def export_digits(rows: int) -> pd.DataFrame:
    """Write out the first images as a table with one pixel per column."""
    digits = load_digits(as_frame=True)
    return digits.frame.head(rows).astype(int)


def make_features(digits: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Scale the pixels, add the mean of each row and column, and set the labels apart."""
    labels = digits["target"]
    pixels = digits.drop(columns="target") / BRIGHTEST
    means = {}
    for line in range(SIDE):
        means[f"row_{line}_mean"] = pixels[[f"pixel_{line}_{other}" for other in range(SIDE)]].mean(
            axis=1
        )
        means[f"column_{line}_mean"] = pixels[
            [f"pixel_{other}_{line}" for other in range(SIDE)]
        ].mean(axis=1)
    return pixels.assign(**means), labels
