"""Rows of the joined table for reads: first reads and mapped scores with the first reference standard."""

from __future__ import annotations

import polars as pl

from overread.evaluation.context.reader_context import ReaderContext
from overread.evaluation.join.reference_standards import KEY


def joined_reads(setting: ReaderContext) -> pl.DataFrame:
    """Return rows of joined for reads and mapped outputs; `source` is the reference standard.

    Only the first read of a reader and case is included, because round is not part of the key.
    """
    joined, reference = setting.joined, next(iter(setting.panel.references), "")
    policy = pl.col("uncertain_call").is_in(["", setting.config.uncertain_calls])
    truth = joined.truths.frame.filter((pl.col("reference") == reference) & policy).select(*KEY, "truth")
    first = joined.reads.sort("round").unique(["reader", *KEY, "arm"], keep="first", maintain_order=True)
    answers = first.select(*KEY, pl.col("reader").alias("rater"), "arm", "score", "call")
    made = joined_makers(setting, reference)
    mapped = [r for r, model in setting.models.items() if r != model]
    scores = joined.scores.filter(pl.col("rater").is_in(mapped)).select(
        *KEY, "rater", pl.lit("model").alias("arm"), "score", pl.lit(None, dtype=pl.String).alias("call")
    )
    both = pl.concat([answers, scores], how="vertical_relaxed")
    return (
        both.join(truth, on=list(KEY), how="left")
        .join(made, on=["rater", *KEY], how="left")
        .with_columns(pl.when(pl.col("own").is_null()).then(pl.col("truth")).alias("truth"))
        .drop("own")
        .join(joined.cases, on="case_id")
        .with_columns(
            pl.lit(reference).alias("source"),
            pl.lit(setting.population).alias("population"),
            pl.lit("none").alias("shift"),
        )
    )


def joined_makers(setting: ReaderContext, reference: str) -> pl.DataFrame:
    """Return the reads that the reference standard does not judge because their reader made it, marked in `own`."""
    none = pl.DataFrame(schema={"reader": pl.String, "case_id": pl.String, "finding": pl.String})
    made = setting.joined.made.get(reference, none)
    return made.select(pl.col("reader").alias("rater"), *KEY, pl.lit(True).alias("own"))
