"""Each reader's own operating point, whether it lies below the model's ROC curve, and what Dawid-Skene makes of it."""

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
from overread.evaluation.context.score_matrix import Bools, Codes, Floats
from overread.evaluation.join.read_matching import FEW_READS
from overread.evaluation.readers.pooled_readers import RATES, Side
from overread.stats import rates
from overread.stats.estimate import Estimate

_ESTIMATED = {
    Metric.SENSITIVITY: Metric.ESTIMATED_SENSITIVITY,
    Metric.SPECIFICITY: Metric.ESTIMATED_SPECIFICITY,
}


@dataclass(frozen=True, slots=True, eq=False)
class ReaderPoint:
    """One reader's rates with the present and absent reads and patients behind them."""

    sensitivity: Estimate
    specificity: Estimate
    present: int
    absent: int
    patients: tuple[int, int, int]  # with it, without it, in all

    @property
    def few(self) -> bool:
        """Whether there are too few reads of a class to count the reader."""
        return min(self.present, self.absent) < FEW_READS


def point(side: Side, reader: int) -> ReaderPoint | None:
    """The operating point of one reader; None without a read whose truth is stated."""
    mine = np.flatnonzero((side.reads.reader == reader) & ~np.isnan(side.truth))
    return rates_of(side, mine, side.reads.call[mine]) if mine.size else None


def rates_of(side: Side, mine: Codes, call: Bools) -> ReaderPoint:
    """The rates of calls on the reads at `mine`, of whoever made them."""
    reads, panel = side.reads, side.context.panel
    y, patient = side.truth[mine] == 1, panel.patient[reads.case[mine]]
    made = rates.operating_point(
        y,
        call,
        cluster=patient,
        weights=None if panel.weight is None else panel.weight[reads.case[mine]],
        confidence=side.context.config.confidence,
    )
    patients = (patients_in(patient[y]), patients_in(patient[~y]), patients_in(patient))
    found = ReaderPoint(made.sensitivity, made.specificity, int(y.sum()), int((~y).sum()), patients)
    return ReaderPoint(
        _limited(made.sensitivity, found, 0),
        _limited(made.specificity, found, 1),
        found.present,
        found.absent,
        patients,
    )


def _limited(made: Estimate, of: ReaderPoint, k: int) -> Estimate:
    """The rate without an interval where the reader has few reads, or the class few patients."""
    if np.isnan(made.value):
        return made
    if of.few:
        note = codes.note("few_reads", present=of.present, absent=of.absent, least=FEW_READS)
    elif of.patients[k] < FEWEST:
        note = codes.note("few_patients_in_class", n=of.patients[k], least=FEWEST)
    else:
        return made
    return without_interval(made, note)


def reader_point_rows(side: Side, reader: int, made: ReaderPoint | None) -> list[Row]:
    """Sensitivity and specificity of one reader; NaN with the reason where nothing the reader read is stated."""
    context = side.context
    name = context.panel.readers[reader]
    place = context.place(side.reads.finding, name, reads=side.reads, reference=side.reference)
    if made is None:
        read = (side.reads.reader == reader).any()
        why = codes.note("no_read_labelled") if read else codes.note("no_reads_in_arm", arm=side.reads.arm)
        missing = not_estimable(why)
        return [row(place, m, missing, confidence=context.config.confidence) for m in RATES]
    return point_rows(side, place, made)


def point_rows(side: Side, place: EstimateKey, made: ReaderPoint, *, at: str = "") -> list[Row]:
    """The two rows of an operating point."""
    numbers = {
        "n_readers": 1,
        "n_present": made.present,
        "n_absent": made.absent,
        "n_cases": made.present + made.absent,
        "n_patients": made.patients[2],
    }
    return [
        row(place, m, add_notes(e, side.note), at=at, test=numbers, confidence=side.context.config.confidence)
        for m, e in zip(RATES, (made.sensitivity, made.specificity), strict=True)
    ]


def below_rows(side: Side, rater: str, own: Mapping[int, ReaderPoint | None]) -> list[Row]:
    """How many readers lie below the model's ROC curve, on all read cases and on each reader's own."""
    context, of = side.context, side.pool
    place = context.place(side.reads.finding, rater, reads=side.reads, reference=side.reference)
    score = context.panel.score[side.reads.finding, rater][of.case]
    counted = {r: p for r, p in own.items() if p is not None and not p.few}
    few = [context.panel.readers[r] for r, p in own.items() if p is not None and p.few]
    rows = []
    for which in ("read", "own"):
        below: list[str] = []
        above: list[str] = []
        for r, p in counted.items():
            weight = of.reads.sum(axis=0) if which == "read" else of.reads[r]
            line = attained(of.truth, score, weight, 1 - p.specificity.value)
            (below if p.sensitivity.value < line - 1e-12 else above).append(context.panel.readers[r])
        note = codes.notes(
            codes.note("readers_below", readers=tuple(below)) if below else None,
            codes.note("readers_not_below", readers=tuple(above)) if above else None,
            codes.note("readers_excluded", n=len(few), least=FEW_READS) if few else None,
        )
        value = float(len(below)) if counted else np.nan
        made = Estimate(value, method=codes.method("below_empirical_curve"), note=note)
        rows.append(
            row(
                place,
                Metric.READERS_BELOW_CURVE,
                add_notes(made, side.note),
                at=f"cases={which}",
                counts=context.counts(of),
                test={"n_readers": len(counted)},
                confidence=context.config.confidence,
            )
        )
    return rows


def attained(truth: Bools, score: Floats, weight: Floats, false_positive_rate: float) -> float:
    """The highest sensitivity of the empirical ROC curve (steps joined by lines) at a false positive rate.

    >>> attained(np.array([True, False, True, False]), np.array([4.0, 3.0, 2.0, 1.0]), np.ones(4), 0.25)
    0.5
    """
    kept = weight > 0
    truth, score, weight = truth[kept], score[kept], weight[kept]
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
    """How many expected cases an estimated rate is based on."""
    if np.isnan(rate):
        return codes.note("no_expected_cases")
    if cases < FEW_READS:
        return codes.note("few_expected_cases", n=float(cases), least=FEW_READS)
    return codes.note("expected_cases", n=float(cases))


def estimated_rows(side: Side) -> list[Row]:
    """What Dawid and Skene's model makes of each reader."""
    context = side.context
    found = context.joined.truths.rates(side.reads.finding, side.reads.policy)
    rows = []
    for name, values in found.items():
        place = context.place(side.reads.finding, name, reads=side.reads, reference=side.reference)
        for metric, value, cases in zip(RATES, values[:2], values[2:], strict=True):
            made = Estimate(value, method=codes.method("dawid_skene_rates"), note=_expected(value, cases))
            rows.append(
                row(
                    place,
                    _ESTIMATED[metric],
                    add_notes(made, side.note),
                    test={"n_readers": 1},
                    confidence=context.config.confidence,
                )
            )
    return rows
