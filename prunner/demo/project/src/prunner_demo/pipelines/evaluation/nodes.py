"""Nodes of the evaluation pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from kedro.utils import load_obj
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.model_selection import StratifiedKFold

# Not among the parameters, because the number of folds gives the pipeline its shape.
FOLDS = 5

Split = tuple[np.ndarray, np.ndarray]


def split_folds(labels: pd.Series, seed: int) -> list[Split]:
    """Divide the rows into folds, each with the same mix of digits."""
    folds = StratifiedKFold(n_splits=FOLDS, shuffle=True, random_state=seed)
    return list(folds.split(labels, labels))


def fit_and_score(
    features: pd.DataFrame, labels: pd.Series, split: Split, model: dict[str, Any], seed: int
) -> tuple[dict[str, float], pd.Series]:
    """Fit one model on all folds but one, and score it on the one left out."""
    train, test = split
    estimator = load_obj(model["class"])(random_state=seed, **model["arguments"])
    estimator.fit(features.iloc[train], labels.iloc[train])
    truth = labels.iloc[test]
    predicted = pd.Series(estimator.predict(features.iloc[test]), index=truth.index)
    score = {
        "accuracy": round(float(accuracy_score(truth, predicted)), 6),
        "f1": round(float(f1_score(truth, predicted, average="macro")), 6),
    }
    return score, predicted


def tabulate_confusion(labels: pd.Series, *predictions: pd.Series) -> pd.DataFrame:
    """Count how often one model took each digit for each other digit, over all folds."""
    predicted = pd.concat(predictions).sort_index()
    digits = sorted(labels.unique())
    counts = confusion_matrix(labels, predicted, labels=digits)
    return pd.DataFrame(counts, index=pd.Index(digits, name="digit"), columns=digits)


def collect_metrics(**scores: dict[str, float]) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """Put all scores into one table, and the mean of each model beside it."""
    rows = []
    for name, score in sorted(scores.items()):
        model, fold = name.rsplit("_", 1)
        rows.append({"model": model, "fold": int(fold), **score})
    table = pd.DataFrame(rows)
    means = table.groupby("model")[["accuracy", "f1"]].mean().round(6)
    return table, means.to_dict(orient="index")
