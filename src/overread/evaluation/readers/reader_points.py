"""Operating points of single readers, their position below the ROC curve of the model, and Dawid-Skene estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from overread import codes
from overread.codes import Metric, Text
from overread.evaluation.context.auc_terms import FEWEST
from overread.evaluation.context.estimate_rows import (
    EstimateKey,
    Row,
    add_notes,
    not_estimable,
    patients_in,
    row,
    without_interval,
)
from overread.evaluation.context.reader_context import ReaderContext, ReadSelection
from overread.evaluation.context.score_matrix import Bools, Codes, Floats
from overread.evaluation.join.read_matching import FEW_READS, READERS
from overread.evaluation.readers.pooled_readers import RATES, Side
from overread.stats import rates
from overread.stats.estimate import Estimate

_ESTIMATED = {
    Metric.SENSITIVITY: Metric.ESTIMATED_SENSITIVITY,
    Metric.SPECIFICITY: Metric.ESTIMATED_SPECIFICITY,
}


@dataclass(frozen=True, slots=True, eq=False)
class ReaderPoint:
    """Rates of one reader with the numbers of present and absent reads and patients."""

    sensitivity: Estimate
    specificity: Estimate
    present: int
    absent: int
    patients: tuple[int, int, int]  # with it, without it, in all

    @property
    def few(self) -> bool:
        """Whether a class has too few reads to count the reader."""
        return min(self.present, self.absent) < FEW_READS


def point(side: Side, reader: int) -> ReaderPoint | None:
    """Return the operating point of one reader; None without a read with a reference standard."""
    mine = np.flatnonzero((side.reads.reader == reader) & ~np.isnan(side.truth))
    return rates_of(side, mine, side.reads.call[mine]) if mine.size else None


def rates_of(side: Side, mine: Codes, call: Bools) -> ReaderPoint:
    """Estimate the rates of calls on the reads at `mine`."""
    reads, panel = side.reads, side.context.panel
    y, patient = side.truth[mine] == 1, panel.patient[reads.case[mine]]
    point = rates.operating_point(
        y,
        call,
        cluster=patient,
        weights=None if panel.weight is None else panel.weight[reads.case[mine]],
        confidence=side.context.config.confidence,
    )
    patients = (patients_in(patient[y]), patients_in(patient[~y]), patients_in(patient))
    found = ReaderPoint(point.sensitivity, point.specificity, int(y.sum()), int((~y).sum()), patients)
    return ReaderPoint(
        _limited(point.sensitivity, found, 0),
        _limited(point.specificity, found, 1),
        found.present,
        found.absent,
        patients,
    )


def _limited(estimate: Estimate, point: ReaderPoint, k: int) -> Estimate:
    """Remove the interval if the reader has few reads of the class, or the class few patients."""
    if np.isnan(estimate.value):
        return estimate
    if (point.present, point.absent)[k] < FEW_READS:
        note = codes.note("few_reads", present=point.present, absent=point.absent, least=FEW_READS)
    elif point.patients[k] < FEWEST:
        note = codes.note("few_patients_in_class", n=point.patients[k], least=FEWEST)
    else:
        return estimate
    return without_interval(estimate, note)


def reader_point_rows(side: Side, reader: int, own_point: ReaderPoint | None) -> list[Row]:
    """Return sensitivity and specificity of one reader; NaN with the reason without a reference standard."""
    context = side.context
    name = context.panel.readers[reader]
    place = context.place(side.reads.finding, name, reads=side.reads, reference=side.reference)
    if own_point is None:
        read = (side.reads.reader == reader).any()
        why = codes.note("no_read_labelled") if read else codes.note("no_reads_in_arm", arm=side.reads.arm)
        if context.panel.not_judged(side.reads.finding, side.reference)[reader].any():
            why = codes.note("reader_made_reference")
        missing = not_estimable(why)
        return [row(place, m, missing, confidence=context.config.confidence) for m in RATES]
    return point_rows(side, place, own_point)


def point_rows(side: Side, place: EstimateKey, own_point: ReaderPoint, *, at: str = "") -> list[Row]:
    """Return the two rows of an operating point."""
    numbers = {
        "n_readers": 1,
        "n_present": own_point.present,
        "n_absent": own_point.absent,
        "n_cases": own_point.present + own_point.absent,
        "n_patients": own_point.patients[2],
    }
    return [
        row(place, m, add_notes(e, side.note), at=at, test=numbers, confidence=side.context.config.confidence)
        for m, e in zip(RATES, (own_point.sensitivity, own_point.specificity), strict=True)
    ]


def below_rows(side: Side, rater: str, own: Mapping[int, ReaderPoint | None]) -> list[Row]:
    """Count the readers below the ROC curve of the model, on all read cases and on the cases of each reader."""
    context, pool = side.context, side.pool
    place = context.place(side.reads.finding, rater, reads=side.reads, reference=side.reference)
    score = context.panel.score[side.reads.finding, rater][pool.case]
    counted = {r: p for r, p in own.items() if p is not None and not p.few}
    few = [context.panel.readers[r] for r, p in own.items() if p is not None and p.few]
    rows = []
    for which in ("read", "own"):
        below: list[str] = []
        above: list[str] = []
        for r, p in counted.items():
            weight = pool.reads.sum(axis=0) if which == "read" else pool.reads[r]
            line = attained(pool.truth, score, weight, 1 - p.specificity.value)
            (below if p.sensitivity.value < line - 1e-12 else above).append(context.panel.readers[r])
        note = codes.notes(
            codes.note("readers_below", readers=tuple(below)) if below else None,
            codes.note("readers_not_below", readers=tuple(above)) if above else None,
            codes.note("readers_excluded", n=len(few), least=FEW_READS) if few else None,
        )
        value = float(len(below)) if counted else np.nan
        estimate = Estimate(value, method=codes.method("below_empirical_curve"), note=note)
        rows.append(
            row(
                place,
                Metric.READERS_BELOW_CURVE,
                add_notes(estimate, side.note),
                at=f"cases={which}",
                counts=context.counts(pool),
                test={"n_readers": len(counted)},
                confidence=context.config.confidence,
            )
        )
    return rows


def attained(truth: Bools, score: Floats, weight: Floats, false_positive_rate: float) -> float:
    """Interpolate the sensitivity of the empirical ROC curve at a false positive rate.

    >>> attained(np.array([True, False, True, False]), np.array([4.0, 3.0, 2.0, 1.0]), np.ones(4), 0.25)
    0.5
    """
    weighted = weight > 0
    truth, score, weight = truth[weighted], score[weighted], weight[weighted]
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.append(ranked[1:] != ranked[:-1], True) if order.size else np.empty(0, dtype=bool)
    hits = np.concatenate(([0.0], np.cumsum(np.where(truth, weight, 0.0)[order])[last]))
    alarms = np.concatenate(([0.0], np.cumsum(np.where(truth, 0.0, weight)[order])[last]))
    if not (hits[-1] > 0 and alarms[-1] > 0):
        return np.nan
    x, y = alarms / alarms[-1], hits / hits[-1]
    at = int(np.searchsorted(x, false_positive_rate + 1e-12, side="right")) - 1
    if at == x.size - 1:
        return float(y[-1])
    share = max(false_positive_rate - x[at], 0.0) / (x[at + 1] - x[at])
    return float(y[at] + share * (y[at + 1] - y[at]))


def _expected(rate: float, cases: float) -> Text:
    """Report the number of expected cases behind an estimated rate."""
    if np.isnan(rate):
        return codes.note("no_expected_cases")
    if cases < FEW_READS:
        return codes.note("few_expected_cases", n=float(cases), least=FEW_READS)
    return codes.note("expected_cases", n=float(cases))


def refused_rows(context: ReaderContext, reads: ReadSelection, reference: str) -> list[Row]:
    """Return rows without numbers for a reference standard that does not exist, with the reason; () otherwise."""
    if not context.joined.truths.refused(reads.finding, reference, reads.policy):
        return []
    place = context.place(reads.finding, READERS, reads=reads, reference=reference)
    missing = not_estimable(context.joined.truths.note(reads.finding, reference, reads.policy))
    return [row(place, metric, missing, confidence=context.config.confidence) for metric in RATES]


def estimated_rows(side: Side) -> list[Row]:
    """Return the sensitivity and specificity of each reader by the model of Dawid and Skene."""
    context = side.context
    found = context.joined.truths.rates(side.reads.finding, side.reads.policy)
    rows = []
    for name, values in found.items():
        place = context.place(side.reads.finding, name, reads=side.reads, reference=side.reference)
        for metric, value, cases in zip(RATES, values[:2], values[2:], strict=True):
            estimate = Estimate(value, method=codes.method("dawid_skene_rates"), note=_expected(value, cases))
            rows.append(
                row(
                    place,
                    _ESTIMATED[metric],
                    add_notes(estimate, side.note),
                    test={"n_readers": 1},
                    confidence=context.config.confidence,
                )
            )
    return rows
