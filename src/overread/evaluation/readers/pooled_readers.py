"""Pooled readers and a model on the same reads, at frozen thresholds and at thresholds matched to the readers.

Calls of readers give an operating point, not an AUC: sensitivity and specificity are compared with those of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from overread import codes
from overread.codes import Metric, Text
from overread.evaluation.context.auc_terms import FEWEST
from overread.evaluation.context.estimate_rows import (
    EstimateKey,
    Row,
    add_notes,
    not_estimable,
    row,
    without_interval,
)
from overread.evaluation.context.reader_context import ReaderContext, ReadSelection
from overread.evaluation.context.score_matrix import Bools, Codes, Floats
from overread.evaluation.context.thresholds import point_at
from overread.evaluation.join.read_matching import READERS
from overread.evaluation.join.reference_standards import OTHERS
from overread.stats import rates
from overread.stats.rates.fixed_specificity import UNDEFINED
from overread.stats.reader_studies.product_bootstrap import (
    PooledReads,
    ProductDraws,
    cell_weights,
    matched_rates,
    once,
    pooled_rates,
    score_rates,
)
from overread.stats.resampling.patient_bootstrap import percentile_interval

RATES = (Metric.SENSITIVITY, Metric.SPECIFICITY)
DIFFERENCES = {
    Metric.SENSITIVITY: Metric.SENSITIVITY_DIFFERENCE,
    Metric.SPECIFICITY: Metric.SPECIFICITY_DIFFERENCE,
}
_MATCHED = {
    Metric.SENSITIVITY: Metric.SENSITIVITY_AT_SPECIFICITY,
    Metric.SPECIFICITY: Metric.SPECIFICITY_AT_SENSITIVITY,
}
METHOD = codes.method("reader_patient_bootstrap")
FEW_READERS = (
    10  # below which the product bootstrap covers less than it says (validation/product_bootstrap_coverage.py)
)


@dataclass(frozen=True, slots=True, eq=False)
class Replicated:
    """An estimate and its replicates (replicates,)."""

    value: float
    draws: Floats
    reason: Text = codes.NONE  # why there is no number

    def __sub__(self, other: Replicated) -> Replicated:
        return Replicated(self.value - other.value, self.draws - other.draws, self.reason or other.reason)


@dataclass(frozen=True, eq=False)
class Side:
    """Pooled reads with a reference standard, and the notes of their rows."""

    context: ReaderContext
    reads: ReadSelection
    reference: str
    truth: Floats  # (n_reads,) NaN where not stated
    pool: PooledReads
    note: Text

    def n_readers(self, classes: str = "both") -> int:
        """Return the number of readers with a read in the pool; for a rate, with a read of a case of its class."""
        cells = {"sensitivity": self.pool.truth, "specificity": ~self.pool.truth}.get(classes)
        reads = self.pool.reads if cells is None else self.pool.reads[:, cells]
        return int((reads.sum(axis=1) > 0).sum())

    @cached_property
    def weights(self) -> tuple[Floats, Floats]:
        """Return the weight of each cell in the estimate (1, n_cells) and in every replicate (replicates, n_cells)."""
        return cell_weights(self.pool, self._everyone), cell_weights(self.pool, self.context.drawn)

    @cached_property
    def readers(self) -> tuple[Replicated, Replicated]:
        """Compute sensitivity and specificity of the pooled reads."""
        value, draws = (pooled_rates(self.pool, d) for d in (self._everyone, self.context.drawn))
        return Replicated(float(value[0, 0]), draws[:, 0]), Replicated(float(value[0, 1]), draws[:, 1])

    def calls(self, calls: Sequence[Bools]) -> list[tuple[Replicated, Replicated]]:
        """Compute sensitivity and specificity of calls (n_cases,), with each case weighted by its number of reads."""
        if not calls:
            return []
        value, draws = (score_rates(self.pool, np.stack(calls), w) for w in self.weights)
        return [
            (Replicated(float(value[0, k, 0]), draws[:, k, 0]), Replicated(float(value[0, k, 1]), draws[:, k, 1]))
            for k in range(len(calls))
        ]

    def matched(self, score: Floats) -> tuple[Replicated, Replicated]:
        """Compute the sensitivity of the score at the specificity of the pooled readers, and the reverse."""
        se, sp = self.readers
        value, draws = (
            matched_rates(self.pool, score, w, specificity=b[:, None], sensitivity=a[:, None])
            for w, a, b in zip(
                self.weights, (np.array([se.value]), se.draws), (np.array([sp.value]), sp.draws), strict=True
            )
        )
        scores, weight = np.asarray(score)[self.pool.case], self.weights[0][0]
        weighted, results = weight > 0, []
        for k, (fixed, rate) in enumerate((("specificity", sp), ("sensitivity", se))):
            why = codes.NONE
            if not np.isnan(rate.value):
                at = {fixed: rate.value, "weights": weight[weighted]}
                if rates.unattained(self.pool.truth[weighted], scores[weighted], **at):
                    why = codes.note(f"readers_{fixed}_not_attainable")
            results.append(Replicated(np.nan if why else float(value[k][0, 0]), draws[k][:, 0], why))
        return results[0], results[1]

    def on(self, cases: Bools) -> Side:
        """Return the pool of the reads of some cases (n_cases,)."""
        return side_of(self.context, self.reads, self.reference, self.truth, cases=cases)

    @property
    def _everyone(self) -> ProductDraws:
        return once(len(self.context.panel.readers), self.context.panel.n_patients)

    def row(
        self,
        place: EstimateKey,
        metric: str,
        drawn: Replicated,
        *,
        at: str = "",
        note: Text = codes.NONE,
        classes: str = "both",
        matched: bool = False,
    ) -> Row:
        """Return a row with the percentile interval of the product bootstrap; no interval below ten patients of a
        class.
        """
        counts = self.context.counts(self.pool)
        confidence, n_readers = self.context.config.confidence, self.n_readers(classes)
        needed = {"sensitivity": (counts.patients_present,), "specificity": (counts.patients_absent,)}
        few = min(needed.get(classes, (counts.patients_present, counts.patients_absent)))
        because = UNDEFINED if matched else codes.NONE
        estimate = percentile_interval(drawn.draws, value=drawn.value, confidence=confidence, undefined_because=because)
        if np.isnan(drawn.value):
            estimate = not_estimable(drawn.reason or codes.note("cases_of_one_class"), method=METHOD)
        elif few < FEWEST:
            note_few = codes.note("few_patients_smaller_class", n=few, least=FEWEST)
            estimate = without_interval(replace(estimate, method=METHOD), note_few)
        elif n_readers < 2:
            estimate = without_interval(replace(estimate, method=METHOD), codes.note("no_second_reader"))
        else:
            estimate = replace(
                estimate, method=codes.methods(METHOD, codes.method("replicates", n=len(self.context.drawn)))
            )
        estimate = add_notes(estimate, *self._reads_notes(0 if np.isnan(estimate.low) else n_readers), note, self.note)
        test = {"n_readers": n_readers, **counts_by_others(self.reference, self.pool.case)}
        return row(place, metric, estimate, at=at, counts=counts, test=test, confidence=confidence)

    def _reads_notes(self, resampled: int) -> tuple[Text, ...]:
        """Report the number of pooled reads, and if too few readers were resampled for an interval (0 = none)."""
        n = int(self.pool.reads.sum())
        return (
            codes.note("reads_pooled", n=n) if self.context.panel.weight is None else codes.NONE,
            codes.note("few_readers", n=resampled) if 0 < resampled < FEW_READERS else codes.NONE,
        )


def counts_by_others(reference: str, case: Codes) -> dict[str, int | None]:
    """Return what replaces the counts of a row about several readers under the majority of the other readers.

    A case can be present for one reader and absent for another: no count of the classes exists, and a case counts once.

    >>> counts_by_others(OTHERS, np.array([0, 1, 1]))
    {'n_present': None, 'n_absent': None, 'n_cases': 2}
    >>> counts_by_others("panel", np.array([0, 1, 1]))
    {}
    """
    classes = {"n_present": None, "n_absent": None}
    return {**classes, "n_cases": int(np.unique(case).size)} if reference == OTHERS else {}


def side_of(
    context: ReaderContext, reads: ReadSelection, reference: str, truth: Floats, *, cases: Bools | None = None
) -> Side:
    """Pool these reads with the truth (n_reads,) of a reference standard."""
    pool = context.pooled(reads, truth, cases=cases)
    sites = np.unique(context.panel.site.codes[pool.case])
    several = codes.note("sites_pooled", n=int(sites.size)) if sites.size > 1 else codes.NONE
    note = codes.notes(several, context.note(reads, reference))
    return Side(context, reads, reference, truth, pool, note)


def side_by_side(side: Side) -> list[Row]:
    """Return rows of the pooled readers, and of every output at frozen thresholds and at thresholds matched to the
    readers.
    """
    rows = []
    place = side.context.place(side.reads.finding, READERS, reads=side.reads, reference=side.reference)
    rows += [side.row(place, m, d, classes=m) for m, d in zip(RATES, side.readers, strict=True)]
    tested: dict[bytes, Side] = {}  # most outputs are tested on the same cases
    for rater in side.context.panel.outputs[side.reads.finding]:
        points = side.context.points[side.reads.finding, rater]
        cases = points.tested.tobytes()
        if cases not in tested:
            tested[cases] = side if points.tested.all() else side.on(points.tested)
        rows += _frozen_rows(tested[cases], rater)
        rows += [] if points.decided else _matched_rows(side, rater)
    return rows


def _frozen_rows(side: Side, rater: str) -> list[Row]:
    """Return the rates of an output at its frozen thresholds on the cases on which they may be tested."""
    context, finding = side.context, side.reads.finding
    place = context.place(finding, rater, reads=side.reads, reference=side.reference)
    points = context.points[finding, rater]
    score, against = context.panel.score[finding, rater], place.to(contrast=f"rater:{READERS}")
    fixed = {n: t for n, t in points.thresholds.items() if not np.isnan(t.value)}
    found = dict(zip(fixed, side.calls([call_at(score, t.value) for t in fixed.values()]), strict=True))
    rows = []
    for name, threshold in points.thresholds.items():
        at, note = point_at(name), codes.notes(points.words, threshold.note)
        if name in fixed and not points.decided:
            note = codes.notes(codes.note("threshold_value", threshold=float(threshold.value)), note)
        nothing = Replicated(np.nan, np.full(len(context.drawn), np.nan), threshold.note or codes.note("no_threshold"))
        for metric, mine, theirs in zip(RATES, found.get(name, (nothing, nothing)), side.readers, strict=True):
            rows.append(side.row(place, metric, mine, at=at, note=note, classes=metric))
            rows.append(side.row(against, DIFFERENCES[metric], mine - theirs, at=at, note=note, classes=metric))
    return rows


def call_at(score: Floats, threshold: float) -> Bools:
    """Apply a threshold to scores (n_cases,); a missing score gives no present call."""
    with np.errstate(invalid="ignore"):
        return np.asarray(score >= threshold)


def _matched_rows(side: Side, rater: str) -> list[Row]:
    place = side.context.place(side.reads.finding, rater, reads=side.reads, reference=side.reference)
    against = place.to(contrast=f"rater:{READERS}")
    mine = side.matched(side.context.panel.score[side.reads.finding, rater])
    rows = []
    for k, (metric, fixed) in enumerate((RATES, RATES[::-1])):
        mark = side.readers[1 - k].value
        rate = codes.note("readers_rate_undefined", rate=str(fixed))
        if mark == mark:
            rate = codes.note("readers_rate", rate=str(fixed), value=float(mark))
        at, note = f"{fixed}=readers", codes.notes(codes.note("matched_to_readers"), rate)
        rows.append(side.row(place, _MATCHED[metric], mine[k], at=at, note=note, matched=True))
        rows.append(side.row(against, DIFFERENCES[metric], mine[k] - side.readers[k], at=at, note=note, matched=True))
    return rows
