"""Scores with two values only: decisions on another scale than 0 and 1."""

from __future__ import annotations

import polars as pl

from overread import codes, tables
from overread.evaluation.join.account import Dropped

FEWEST = 10  # scores; among fewer, a score of many values may have two by chance


def with_decisions(predictions: tables.Checked, dropped: list[Dropped]) -> tables.Checked:
    """Return the predictions with scores of two values as decisions: the higher value is 1, the lower 0; counted.

    Such scores do not rank the cases of one call, so that their AUC is the mean of the sensitivity and the specificity
    of the one decision, as it would be for the values 0 and 1. Models and findings with fewer than 10 scores are left
    as they are.
    """
    plain = pl.col("shift") == "none"
    pairs = (
        predictions.filter(plain)
        .group_by("model", "finding")
        .agg(
            pl.col("score").min().alias("_low"),
            pl.col("score").max().alias("_high"),
            pl.col("score").n_unique().alias("_values"),
            pl.len().alias("_n"),
        )
    )
    is_decision = (pl.col("_low") == 0) & (pl.col("_high") == 1)
    pairs = pairs.filter((pl.col("_values") == 2) & (pl.col("_n") >= FEWEST) & ~is_decision)
    if pairs.is_empty():
        return predictions
    for (model,), own in sorted(pairs.partition_by("model", as_dict=True).items()):
        values = (pl.col(c).round_sig_figs(4) for c in ("_low", "_high"))
        named = own.sort(pl.col("finding").cast(pl.String)).select(pl.format("{} ({}, {})", "finding", *values))
        shown = "; ".join(named.to_series().head(5))
        dropped.append(Dropped("findings", codes.note("two_values_recoded", rater=str(model)), own.height, shown))
    both = predictions.join(
        pairs.select("model", "finding", "_high"), on=["model", "finding"], how="left", maintain_order="left"
    )
    decision = (pl.col("score") == pl.col("_high")).cast(pl.Float64)
    recoded = pl.when(plain & pl.col("_high").is_not_null()).then(decision).otherwise("score")
    return tables.Checked(both.with_columns(recoded.alias("score")).drop("_high"))
