"""Intra-reader agreement: the first and second reading of the same case by the same reader in the same arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from overread import codes
from overread.codes import Analysis, Metric, Text
from overread.evaluation.context.auc_terms import FEWEST
from overread.evaluation.context.estimate_rows import Row, add_notes, not_estimable, patients_in, row, without_interval
from overread.evaluation.context.reader_context import ReaderContext, ReadSelection
from overread.evaluation.context.score_matrix import Codes, Floats
from overread.evaluation.join.counted_reads import READING
from overread.evaluation.join.read_matching import READERS
from overread.evaluation.readers.reader_kappas import WEIGHTS, measured, with_rater_names
from overread.stats import agreement
from overread.stats.estimate import Estimate

AT = "readings=first,second"


@dataclass(frozen=True, slots=True, eq=False)
class TwoReadings:
    """First and second answers (n_pairs, 2), with the reader and the patient of each pair."""

    answers: Floats
    reader: Codes
    patient: Codes
    note: Text

    def of(self, reader: int) -> TwoReadings:
        """The pairs of one reader."""
        mine = self.reader == reader
        return TwoReadings(self.answers[mine], self.reader[mine], self.patient[mine], self.note)


def intra_reader_rows(context: ReaderContext) -> list[Row]:
    """Estimate percent agreement and kappa of two readings, per reader and pooled, for every finding and arm."""
    if context.joined.repeats.is_empty():
        return []
    ranked = context.joined.repeats.with_columns(pl.col("round").rank("dense").over(READING).alias("reading"))
    rows: list[Row] = []
    for finding in context.panel.findings:
        for arm in context.panel.arms:
            reads = context.reads(finding, arm, context.config.uncertain_calls, every=True)
            mine = ranked.filter(finding=finding, arm=arm)
            rows += _rows(context, reads, _two(context, mine, context.config.uncertain_calls), None)
            grades = _two(context, mine, "score")
            if grades.answers.size and not measured(grades.answers):
                for weights in WEIGHTS:
                    rows += _rows(context, reads, grades, weights)
    return rows


def _two(context: ReaderContext, mine: pl.DataFrame, column: str) -> TwoReadings:
    """Return the pairs of readings with an answer in both; later readings are counted in the note."""
    answered = mine.filter(pl.col(column).is_not_null())
    first, second = (answered.filter(reading=k).select("reader", "case_id", column) for k in (1, 2))
    both = first.join(second, on=["reader", "case_id"], suffix="_2").sort("reader", "case_id")
    later = int((answered["reading"] > 2).sum())
    panel = context.panel
    patient = dict(zip(panel.case_id, panel.patient.tolist(), strict=True))
    return TwoReadings(
        both.select(pl.col(column, f"{column}_2").cast(pl.Float64)).to_numpy(),
        np.array([panel.readers.index(r) for r in both["reader"]], dtype=np.intp),
        np.array([patient[c] for c in both["case_id"]], dtype=np.intp),
        codes.note("later_readings", n=later) if later else codes.NONE,
    )


def _kappa(pair: Floats, *, weights: str | None, cluster: Codes, confidence: float) -> Estimate:
    kappa = agreement.cohen_kappa(pair[:, 0], pair[:, 1], weights=weights, cluster=cluster, confidence=confidence)
    return with_rater_names(kappa, "the first reading", "the second reading")


def _rows(context: ReaderContext, reads: ReadSelection, pairs: TwoReadings, weights: str | None) -> list[Row]:
    """Return the rows of the pooled pairs and of each reader; weighted ones have no percent agreement."""
    statistics: dict[Metric, Callable[..., Estimate]] = {Metric.COHEN_KAPPA: partial(_kappa, weights=weights)}
    if weights is None:
        statistics = {Metric.PERCENT_AGREEMENT: agreement.percent_agreement} | statistics
    at = AT if weights is None else f"{AT};weights={weights}"
    everyone = np.unique(pairs.reader)
    rows = []
    for name, mine in ((READERS, pairs), *((context.panel.readers[r], pairs.of(int(r))) for r in everyone)):
        if not mine.reader.size:
            continue
        patients = patients_in(mine.patient)
        place = context.place(reads.finding, name, reads=reads, analysis=Analysis.AGREEMENT)
        numbers = {
            "n_readers": int(everyone.size) if name == READERS else 1,
            "n_cases": len(mine.answers),
            "n_patients": patients,
        }
        for metric, statistic in statistics.items():
            estimate = statistic(mine.answers, cluster=mine.patient, confidence=context.config.confidence)
            if np.isnan(estimate.value) and not estimate.note:
                estimate = not_estimable(codes.note("single_category"))
            elif patients < FEWEST and not np.isnan(estimate.value):
                few = codes.note("few_patients_in_all", n=patients, least=FEWEST)
                estimate = without_interval(estimate, few)
            noted = add_notes(estimate, mine.note, context.unweighted)
            rows.append(row(place, metric, noted, at=at, test=numbers, confidence=context.config.confidence))
    return rows
