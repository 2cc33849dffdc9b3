"""Readers as a sample of readers: the model against them, by the analyses of reader studies.

Calls are compared by U-statistics on sensitivity and specificity, whatever the design. Areas are compared (Obuchowski
and Rockette) only where reads are graded scores and every reader read every case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from overread import codes
from overread.codes import Metric, Text
from overread.evaluation.context.auc_terms import FEWEST, Cases, auc_estimate
from overread.evaluation.context.estimate_rows import EstimateKey, Row, add_notes, count, not_estimable, row
from overread.evaluation.context.reader_context import ReaderContext, ReadSelection
from overread.evaluation.context.score_matrix import Bools, Floats
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
    """First reads as a table (n_readers, n_cases), NaN = not read, on the cases whose truth is stated."""

    truth: Bools
    patient: np.ndarray
    cases: np.ndarray  # where they stand in the panel
    answers: Floats

    @property
    def readers(self) -> Bools:
        """Which readers have an answer."""
        return np.asarray((~np.isnan(self.answers)).any(axis=1))

    @property
    def crossed(self) -> bool:
        """Whether every reader with an answer answered on every case."""
        return bool(self.answers.size) and not np.isnan(self.answers[self.readers]).any()


def random_reader_rows(context: ReaderContext) -> list[Row]:
    """The model against random readers, under every reference."""
    rows: list[Row] = []
    policy = context.config.uncertain_calls
    for finding in (f for f in context.panel.findings if context.panel.outputs.get(f)):
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
    """The rows with p adjusted by Holm over findings, outputs and both rates, per arm, reference and threshold.

    A difference whose test could not be made counts as one that was not found (p = 1): the others are no easier for it.
    """
    families: dict[tuple[str, str, str], list[Row]] = {}
    for made in rows:
        if made["estimate"] == made["estimate"] and made["contrast"]:
            families.setdefault((made["level"], made["reference"], made["at"]), []).append(made)
    for (arm, reference, at), family in families.items():
        words = f"model against {arm} readers, {reference}, {at}: {len(family)} tests"
        tested = [1.0 if m["p"] != m["p"] else m["p"] for m in family]
        for made, p in zip(family, holm(tested), strict=True):
            made |= {"p_adjusted": float(p) if made["p"] == made["p"] else np.nan, "family": words}
    return rows


def first_reads(context: ReaderContext, reads: ReadSelection, truth: Floats, *, graded: bool = False) -> ReaderTable:
    """The table of first reads: calls, or with `graded` the scores of all reads of the finding in the arm."""
    of = context.panel
    index, answer = reads.index, reads.call.astype(np.float64)
    if graded:
        mine = (of.finding == of.findings.index(reads.finding)) & (of.arm == of.arms.index(reads.arm))
        index = np.flatnonzero(mine & ~np.isnan(of.graded) & of.scored(reads.finding)[of.case])
        answer = of.graded[index]
    order = np.argsort(-of.round[index], kind="stable")  # the first round is written last, and stays
    table = np.full((len(of.readers), len(of.case_id)), np.nan)
    table[of.reader[index][order], of.case[index][order]] = answer[order]
    kept = np.flatnonzero(~np.isnan(truth) & ~np.isnan(table).all(axis=0))
    return ReaderTable(truth[kept] == 1, of.patient[kept], kept, table[:, kept])


def why_no_test(context: ReaderContext, table: ReaderTable, metric: str) -> Text:
    """Why there is no test; empty where there is one."""
    n = count(table.truth.astype(np.float64), table.patient)
    needed = {"sensitivity": (n.patients_present,), "specificity": (n.patients_absent,)}
    few = min(needed.get(metric, (n.patients_present, n.patients_absent)))
    if context.panel.weight is not None:
        return codes.note("test_without_weights")
    if few < FEWEST:
        return codes.note("few_patients_for_test", n=few, least=FEWEST)
    return codes.note("few_readers_for_test") if int(table.readers.sum()) < 2 else codes.NONE


def _calls_against_model(context: ReaderContext, reads: ReadSelection, reference: str, truth: Floats) -> list[Row]:
    rows = []
    for rater in context.panel.outputs[reads.finding]:
        points = context.points[reads.finding, rater]
        score = context.panel.score[reads.finding, rater]
        table = first_reads(context, reads, np.where(points.tested, truth, np.nan))
        place = context.place(reads.finding, rater, reads=reads, reference=reference).to(contrast=f"rater:{READERS}")
        for name, threshold in points.thresholds.items():
            at = f"operating_point={name};test={U_STATISTIC}"
            for metric in RATES:
                why = why_no_test(context, table, metric)
                if np.isnan(threshold.value):
                    why = threshold.note or codes.note("no_threshold")
                made = not_estimable(why)
                if not why:
                    call = call_at(score, threshold.value)[table.cases].astype(np.float64)
                    made = _noted(_study(context, table, call, metric, CENTRED))
                rows.append(_row(context, place, DIFFERENCES[metric], made, at, table))
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


def _row(context: ReaderContext, place: EstimateKey, metric: str, made: Estimate, at: str, table: ReaderTable) -> Row:
    test: dict[str, Any] = {"n_readers": int(table.readers.sum())} | ({"null": 0.0} if place.contrast else {})
    counts = count(table.truth.astype(np.float64), table.patient)
    said = add_notes(made, context.note_on(place.finding, place.reference))
    return row(place, metric, said, at=at, counts=counts, test=test, confidence=context.config.confidence)


def _areas(context: ReaderContext, reads: ReadSelection, reference: str, truth: Floats) -> list[Row]:
    """AUCs of graded reads: each reader's, the mean reader's beside the model's, and the difference; none of calls."""
    table = first_reads(context, reads, truth, graded=True)
    if not table.readers.any():
        return []
    rows = [_own_area(context, reads, reference, table, int(r)) for r in np.flatnonzero(table.readers)]
    at = f"test={OBUCHOWSKI_ROCKETTE}"
    for rater in context.panel.outputs[reads.finding]:
        why = why_no_test(context, table, Metric.AUC)
        if not table.crossed:
            why = codes.note("not_fully_crossed")
        made = [not_estimable(why)] * 3
        if not why:
            score = context.panel.score[reads.finding, rater][table.cases]
            found = _study(context, table, score, Metric.AUC, "jackknife")
            made = [*found.arms, _noted(found)]
        model, mean = (context.place(reads.finding, r, reads=reads, reference=reference) for r in (rater, READERS))
        rows.append(_row(context, model, Metric.AUC, made[0], at, table))
        rows.append(_row(context, model.to(contrast=f"rater:{READERS}"), Metric.AUC_DIFFERENCE, made[2], at, table))
        if rater == context.panel.outputs[reads.finding][0]:
            rows.append(_row(context, mean, Metric.AUC, made[1], at, table))
    return rows


def _own_area(context: ReaderContext, reads: ReadSelection, reference: str, table: ReaderTable, reader: int) -> Row:
    """The AUC of one reader's scores on the cases that the reader read."""
    kept = ~np.isnan(table.answers[reader])
    truth, patient = table.truth[kept], table.patient[kept]
    weight = None if context.panel.weight is None else context.panel.weight[table.cases[kept]]
    counts = count(truth.astype(np.float64), patient)
    made = auc_estimate(
        Cases(truth, table.answers[reader][kept], patient, None, weight), counts, confidence=context.config.confidence
    )
    place = context.place(reads.finding, context.panel.readers[reader], reads=reads, reference=reference)
    return row(
        place,
        Metric.AUC,
        add_notes(made, context.note(reads, reference)),
        counts=counts,
        test={"n_readers": 1},
        confidence=context.config.confidence,
    )
