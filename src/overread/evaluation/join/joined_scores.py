"""The joined table: every score beside its reference standard, with population, call and case attributes."""

from __future__ import annotations

import polars as pl

from overread import tables
from overread.evaluation.context.analysis_context import AnalysisContext
from overread.evaluation.context.reader_context import ReaderContext
from overread.evaluation.join.label_states import DECISION
from overread.evaluation.join.matching import Join
from overread.evaluation.join.read_rows import joined_reads


def joined_table(joined: Join, context: AnalysisContext, reading: ReaderContext | None) -> pl.DataFrame:
    """Return the joined table with population and call (at the first operating point) and the subgroup columns.

    The table is built and checked one finding at a time (the finding is part of the key), so that only one copy of it
    is in memory.
    """
    inside, first = _inside(context), _first_threshold(context)
    parts = []
    for finding in joined.scores["finding"].unique().sort():
        scores = joined.scores.filter(pl.col("finding") == finding)
        frame = scores.join(joined.cases, on="case_id").join(inside, on=["rater", "site"], how="left")
        frame = frame.join(first, on=["rater", "finding"], how="left")
        call = pl.when(pl.col("score") >= pl.col("_threshold")).then(pl.lit("present")).otherwise(pl.lit("absent"))
        frame = frame.with_columns(
            pl.when(pl.col("_threshold").is_not_null()).then(call).alias("call"),
            pl.when(pl.col("call_at").ne_missing(DECISION)).then("score").alias("score"),  # a decision has no score
            pl.lit("model").alias("arm"),
            pl.lit("none").alias("shift"),
        )
        parts.append(tables.check(frame.drop("_threshold"), "joined", where="joined"))
    if reading is not None:
        parts.append(tables.check(joined_reads(reading), "joined", where="joined"))
    return pl.concat(parts, how="diagonal_relaxed", rechunk=False)


def _inside(context: AnalysisContext) -> pl.DataFrame:
    """Return the population of every rater (for a member, that of its ensemble) at every site."""
    members = context.config.member_names()
    mine = {m: context.populations[r] for m, r in members.items() if r in context.populations}
    rows = [(r, s, p.name) for r, ps in {**context.populations, **mine}.items() for p in ps for s in p.sites]
    return pl.DataFrame(rows, schema=["rater", "site", "population"], orient="row")


def _first_threshold(context: AnalysisContext) -> pl.DataFrame:
    """Return the threshold of the first operating point by rater and finding."""
    return pl.DataFrame(
        [
            (rater, finding, name, t.value)
            for rater, f in context.frozen.items()
            for finding, points in f.thresholds.items()
            for name, t in list(points.items())[:1]
            if t.value == t.value
        ],
        schema={"rater": pl.String, "finding": pl.String, "call_at": pl.String, "_threshold": pl.Float64},
        orient="row",
    )
