"""The join of tables that a test writes by hand: validated first, as an evaluation does."""

from __future__ import annotations

from typing import Any

import polars as pl

from overread import tables
from overread.evaluation import EvaluationConfig
from overread.evaluation.join import matching


def join_tables(
    images: pl.DataFrame,
    labels: pl.DataFrame,
    predictions: pl.DataFrame,
    config: EvaluationConfig,
    *,
    reads: pl.DataFrame | None = None,
    **more: Any,
) -> matching.Join:
    scores = "predictions" if "image_id" in predictions.columns else "case_predictions"
    return matching.join_tables(
        tables.check(images, "images", where="images"),
        tables.check(labels, "labels", where="labels", vocabulary=config.vocabulary),
        tables.check(predictions, scores, where="predictions", vocabulary=config.vocabulary),
        config,
        reads=None if reads is None else tables.check(reads, "reads", where="reads", vocabulary=config.vocabulary),
        **more,
    )
