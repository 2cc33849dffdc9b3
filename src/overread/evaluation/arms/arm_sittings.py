"""Reading time and trust in each arm, and their comparison between arms, from the sittings of readers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl

from overread import codes
from overread.codes import Analysis, Metric, Text
from overread.evaluation.arms.arm_settings import ordered_arms
from overread.evaluation.context.estimate_rows import EstimateKey, Row, add_notes, row
from overread.evaluation.context.reader_context import ReaderContext
from overread.evaluation.join.account import Dropped, examples_of
from overread.evaluation.join.counted_reads import READING, SITTING
from overread.evaluation.join.read_matching import READERS, ReadJoin
from overread.stats.estimate import Estimate
from overread.stats.reader_studies import trust_difference
from overread.stats.reading_time import reading_time_ratio

_KEY = ("reader", "case_id")


def first_sittings(sittings: pl.DataFrame, joined: ReadJoin, dropped: list[Dropped]) -> pl.DataFrame:
    """Return the sittings of the first readings of the read cases, and count the others.

    The first reading is that of the reads: of two sittings the first may have been practice, which is removed before.
    """
    readings = pl.concat([joined.reads.select(SITTING), sittings.select(SITTING)], how="vertical_relaxed")
    firsts = readings.group_by(READING).agg(pl.col("round").min().alias("_first"))
    sittings = sittings.join(firsts, on=list(READING), how="left", maintain_order="left")
    for name, out in (
        ("sittings_again", pl.col("round") > pl.col("_first")),
        ("sittings_of_other_cases", ~pl.col("case_id").is_in(joined.cases["case_id"].to_list())),
    ):
        lost = sittings.filter(out)
        if lost.height:
            dropped.append(Dropped("sittings", codes.note(name), lost.height, examples_of(lost, _KEY)))
        sittings = sittings.filter(~out)
    for name, empty in (
        ("sittings_without_seconds", pl.col("seconds").is_null() | (pl.col("seconds") <= 0)),
        ("sittings_without_trust", pl.col("trust").is_null()),
    ):
        lost = sittings.filter(empty)
        if 0 < lost.height < sittings.height:  # a table without the column has nothing to lose
            dropped.append(Dropped("sittings", codes.note(name), lost.height, examples_of(lost, _KEY)))
    return sittings.drop("_first")


def sitting_rows(context: ReaderContext) -> list[Row]:
    """Return the median reading time and the mean trust of every arm, and their comparisons between arms."""
    if context.sittings is None:
        return []
    rows: list[Row] = []
    for column, value in (("seconds", pl.col("seconds") > 0), ("trust", pl.col("trust").is_not_null())):
        mine = context.sittings.filter(value)
        arms = ordered_arms(mine["arm"].unique().to_list(), context.config)
        for arm in arms:
            rows += _arm_rows(context, mine.filter(pl.col("arm") == arm), arm, column)
        for base, arm in combinations(arms, 2):
            both = mine.filter(pl.col("arm").is_in([base, arm])).sort("reader", "case_id", "arm")
            compared = _ratio if column == "seconds" else _trust
            rows.append(compared(context, both, arm, base))
    return rows


def _place(context: ReaderContext, arm: str, rater: str = READERS, contrast: str = "") -> EstimateKey:
    return EstimateKey(Analysis.READERS, "", rater, context.population, "read", arm, contrast, "", "", arm)


def _arm_rows(context: ReaderContext, mine: pl.DataFrame, arm: str, column: str) -> list[Row]:
    """Return the summary of one arm: of every reader, and of all readers."""
    by_reader = {
        str(r): part[column].to_numpy() for (r,), part in sorted(mine.partition_by("reader", as_dict=True).items())
    }
    if column == "seconds":
        metric, pooled, method = Metric.MEDIAN_SECONDS, float(np.median(mine[column].to_numpy())), "median_of_sittings"
        values = {r: float(np.median(v)) for r, v in by_reader.items()}
    else:
        values = {r: float(np.mean(v)) for r, v in by_reader.items()}
        metric, pooled, method = Metric.MEAN_TRUST, float(np.mean(list(values.values()))), "mean_of_readers"
    rows = []
    for rater, value in {READERS: pooled, **values}.items():
        one = mine if rater == READERS else mine.filter(pl.col("reader") == rater)
        numbers = {"n_cases": one["case_id"].n_unique(), "n_readers": one["reader"].n_unique()}
        estimate = Estimate(value, method=codes.method(method), note=context.unweighted)
        confidence = context.config.confidence
        rows.append(row(_place(context, arm, rater), metric, estimate, test=numbers, confidence=confidence))
    return rows


def _ratio(context: ReaderContext, both: pl.DataFrame, arm: str, base: str) -> Row:
    """Return the ratio of geometric mean reading times, with periods where every arm was read in every period."""
    period = both["period"]
    levels = period.n_unique()
    crossed = both.select("arm", "period").unique().height == 2 * levels
    adjusted = not period.has_nulls() and levels > 1 and crossed
    found = reading_time_ratio(
        both["seconds"].to_numpy(),
        arm=both["arm"].to_numpy(),
        reader=both["reader"].to_numpy(),
        case=both["case_id"].to_numpy(),
        period=period.to_numpy() if adjusted else None,
        baseline=base,
        confidence=context.config.confidence,
    )
    note = codes.note("adjusted_for_period") if adjusted else codes.NONE
    return _compared(context, both, (arm, base), Metric.READING_TIME_RATIO, add_notes(found.ratio, note), 1.0)


def _trust(context: ReaderContext, both: pl.DataFrame, arm: str, base: str) -> Row:
    """Return the difference in trust over readers, within cases where every such reader read some in both arms."""
    cells = both.group_by("reader", "case_id").agg(pl.col("arm").n_unique().alias("arms"))
    readers = both.group_by("reader").agg(pl.col("arm").n_unique().alias("arms")).filter(pl.col("arms") == 2)
    paired = readers.join(cells.filter(pl.col("arms") == 2), on="reader", how="anti").is_empty()
    found = trust_difference(
        both["trust"].to_numpy(),
        arm=both["arm"].to_numpy(),
        reader=both["reader"].to_numpy(),
        case=both["case_id"].to_numpy() if paired else None,
        baseline=base,
        confidence=context.config.confidence,
    )
    mean = found.mean
    method = codes.methods(found.method, codes.method("scale_t", df=mean.df) if mean.df == mean.df else None)
    estimate = Estimate(mean.value, mean.low, mean.high, se=mean.se, p=mean.p, method=method, note=_text(mean.note))
    return _compared(context, both, (arm, base), Metric.TRUST_DIFFERENCE, estimate, 0.0)


def _text(note: str) -> Text:
    return note if isinstance(note, Text) else codes.NONE


def _compared(
    context: ReaderContext, both: pl.DataFrame, arms: tuple[str, str], metric: Metric, estimate: Estimate, null: float
) -> Row:
    readers = both.group_by("reader").agg(pl.col("arm").n_unique().alias("arms")).filter(pl.col("arms") == 2).height
    numbers = {"n_cases": both["case_id"].n_unique(), "n_readers": readers, "null": null}
    place = _place(context, arms[0], contrast=f"arm:{arms[1]}")
    noted = add_notes(estimate, context.unweighted)
    return row(place, metric, noted, test=numbers, confidence=context.config.confidence)
