"""Tests of the model against a random sample of readers, by multi-reader multi-case analysis.

Calls are compared by U-statistics on sensitivity and specificity, for any design. AUCs are compared (Obuchowski and
Rockette) only if reads are graded scores and every reader read every case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from overread import codes, tables
from overread.codes import Metric, Text
from overread.evaluation.context.auc_terms import FEWEST, Cases, auc_estimate
from overread.evaluation.context.estimate_rows import EstimateKey, Row, add_notes, count, not_estimable, row
from overread.evaluation.context.reader_context import ReaderContext, ReadSelection
from overread.evaluation.context.score_matrix import Bools, Floats
from overread.evaluation.context.thresholds import point_at
from overread.evaluation.join.read_matching import READERS
from overread.evaluation.readers.pooled_readers import DIFFERENCES, RATES, call_at
from overread.stats.estimate import Estimate
from overread.stats.multiplicity import holm
from overread.stats.reader_studies import mrmc
from overread.stats.reader_studies.study_results import ReaderStudy

U_STATISTIC, OBUCHOWSKI_ROCKETTE = "u-statistic", "obuchowski-rockette"
CENTRED = "u-centred"  # the U-statistics that hold where a difference is far from 0, or arms have other reads


@dataclass(frozen=True, slots=True, eq=False)
class ReaderTable:
    """First reads as an array (n_readers, n_cases), NaN = not read, of the cases with a reference standard."""

    truth: Bools
    patient: np.ndarray
    cases: np.ndarray  # where they stand in the panel
    answers: Floats

    @property
    def readers(self) -> Bools:
        """Which readers have an answer."""
        return np.asarray((~np.isnan(self.answers)).any(axis=1))

    def n_readers(self, metric: str) -> int:
        """Return the number of readers with an estimate of the metric: they answered cases of the classes it needs."""
        masks: tuple[Bools, ...] = (self.truth, ~self.truth)
        if metric.startswith(Metric.SENSITIVITY):
            masks = masks[:1]
        elif metric.startswith(Metric.SPECIFICITY):
            masks = masks[1:]
        answered = ~np.isnan(self.answers)
        return int(np.logical_and.reduce([answered[:, mask].any(axis=1) for mask in masks]).sum())

    @property
    def crossed(self) -> bool:
        """Whether every reader with an answer read every case."""
        return bool(self.answers.size) and not np.isnan(self.answers[self.readers]).any()


def random_reader_rows(context: ReaderContext) -> list[Row]:
    """Compare the model with random readers, for every reference standard."""
    rows: list[Row] = []
    policy = context.config.uncertain_calls
    for finding in context.panel.findings:
        for reference in context.panel.references:
            truth = context.panel.truths(finding, reference, policy)
            if np.isnan(truth).all():
                continue
            for arm in context.panel.arms:
                reads = context.reads(finding, arm, policy)
                if reads.index.size:
                    rows += _calls_against_model(context, reads, reference, truth)
                rows += _areas(context, reads, reference, truth)
    return _adjusted(rows)


def _adjusted(rows: list[Row]) -> list[Row]:
    """Adjust p by Holm over findings, outputs and both rates, per arm, reference standard and threshold.

    A comparison without a test counts as p = 1, so that the others are not adjusted less because of it.
    """
    families: dict[tuple[str, str, str], list[Row]] = {}
    for comparison in rows:
        if comparison["estimate"] == comparison["estimate"] and comparison["contrast"]:
            families.setdefault((comparison["level"], comparison["reference"], comparison["at"]), []).append(comparison)
    for (arm, reference, at), family in families.items():
        words = f"model against {arm} readers, {reference}, {at}: {tables.counted(len(family), 'tests')}"
        tested = [1.0 if m["p"] != m["p"] else m["p"] for m in family]
        for comparison, p in zip(family, holm(tested), strict=True):
            comparison |= {"p_adjusted": float(p) if comparison["p"] == comparison["p"] else np.nan, "family": words}
    return rows


def first_reads(
    context: ReaderContext, reads: ReadSelection, truth: Floats, *, reference: str, graded: bool = False
) -> ReaderTable:
    """Return the array of first reads: calls, or with `graded` the scores of all reads of the finding in the arm.

    Reads that `reference` does not judge, because their reader made it, are left out; "" = no reference.
    """
    panel = context.panel
    index, answer = reads.index, reads.call.astype(np.float64)
    if graded:
        mine = (panel.finding == panel.findings.index(reads.finding)) & (panel.arm == panel.arms.index(reads.arm))
        index = np.flatnonzero(mine & ~np.isnan(panel.graded) & panel.scored(reads.finding)[panel.case])
        answer = panel.graded[index]
    table = np.full((len(panel.readers), len(panel.case_id)), np.nan)
    table[panel.reader[index], panel.case[index]] = answer
    table[panel.not_judged(reads.finding, reference)] = np.nan
    columns = np.flatnonzero(~np.isnan(truth) & ~np.isnan(table).all(axis=0))
    return ReaderTable(truth[columns] == 1, panel.patient[columns], columns, table[:, columns])


def why_no_test(context: ReaderContext, table: ReaderTable, metric: str) -> Text:
    """Return the reason why there is no test; empty if there is one."""
    n = count(table.truth.astype(np.float64), table.patient)
    needed = {"sensitivity": (n.patients_present,), "specificity": (n.patients_absent,)}
    few = min(needed.get(metric, (n.patients_present, n.patients_absent)))
    if context.panel.weight is not None:
        return codes.note("test_without_weights")
    if few < FEWEST:
        return codes.note("few_patients_for_test", n=few, least=FEWEST)
    return codes.note("few_readers_for_test") if table.n_readers(metric) < 2 else codes.NONE


def _calls_against_model(context: ReaderContext, reads: ReadSelection, reference: str, truth: Floats) -> list[Row]:
    rows = []
    for rater in context.panel.outputs[reads.finding]:
        points = context.points[reads.finding, rater]
        score = context.panel.score[reads.finding, rater]
        table = first_reads(context, reads, np.where(points.tested, truth, np.nan), reference=reference)
        place = context.place(reads.finding, rater, reads=reads, reference=reference).to(contrast=f"rater:{READERS}")
        for name, threshold in points.thresholds.items():
            at = f"{point_at(name)};test={U_STATISTIC}"
            for metric in RATES:
                why = why_no_test(context, table, metric)
                if np.isnan(threshold.value):
                    why = threshold.note or codes.note("no_threshold")
                estimate = not_estimable(why)
                if not why:
                    call = call_at(score, threshold.value)[table.cases].astype(np.float64)
                    estimate = _noted(_study(context, table, call, metric, CENTRED))
                rows.append(_row(context, place, DIFFERENCES[metric], estimate, at, table))
    return rows


def _study(context: ReaderContext, table: ReaderTable, model: Floats, metric: str, covariance: str) -> ReaderStudy:
    return mrmc.model_against_readers(
        table.truth,
        model,
        table.answers[table.readers],
        metric=metric,
        covariance=covariance,
        cluster=table.patient,
        confidence=context.config.confidence,
    )


def _noted(found: ReaderStudy) -> Estimate:
    return add_notes(found.difference, found.note)


def _row(
    context: ReaderContext, place: EstimateKey, metric: str, estimate: Estimate, at: str, table: ReaderTable
) -> Row:
    test: dict[str, Any] = {"n_readers": table.n_readers(metric)} | ({"null": 0.0} if place.contrast else {})
    counts = count(table.truth.astype(np.float64), table.patient)
    noted = add_notes(estimate, context.note_on(place.finding, place.reference))
    return row(place, metric, noted, at=at, counts=counts, test=test, confidence=context.config.confidence)


def _areas(context: ReaderContext, reads: ReadSelection, reference: str, truth: Floats) -> list[Row]:
    """Return the AUC of the model and its difference from the mean of the readers, for graded reads."""
    table = first_reads(context, reads, truth, reference=reference, graded=True)
    if not table.readers.any():
        return []
    rows = []
    at = f"test={OBUCHOWSKI_ROCKETTE}"
    ranked = context.ranked(reads.finding)
    for rater in ranked:
        why = why_no_test(context, table, Metric.AUC)
        if not table.crossed:
            why = codes.note("not_fully_crossed")
        area = difference = not_estimable(why)
        score = context.panel.score[reads.finding, rater][table.cases]
        if any(code.name == "few_readers_for_test" for code in why.codes):
            area, difference = _against_one(context, table, score)
        if not why:
            found = _study(context, table, score, Metric.AUC, "jackknife")
            area, difference = found.arms[0], _noted(found)
        model = context.place(reads.finding, rater, reads=reads, reference=reference)
        rows.append(_row(context, model, Metric.AUC, area, at, table))
        against = model.to(contrast=f"rater:{READERS}")
        rows.append(_row(context, against, Metric.AUC_DIFFERENCE, difference, at, table))
    return rows


def _against_one(context: ReaderContext, table: ReaderTable, score: Floats) -> tuple[Estimate, Estimate]:
    """Return the AUC of the model, and its difference from the AUC of the only reader, without an interval."""
    counts = count(table.truth.astype(np.float64), table.patient)
    model, reader = (
        auc_estimate(Cases(table.truth, s, table.patient, None, None), counts, confidence=context.config.confidence)
        for s in (score, table.answers[table.readers][0])
    )
    return model, Estimate(model.value - reader.value, note=codes.note("no_second_reader"))
