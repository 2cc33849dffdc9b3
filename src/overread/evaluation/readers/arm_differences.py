"""Comparison of the same readers in two arms, such as aided and unaided: AUC of graded crossed reads, and rates of
calls.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from overread import codes
from overread.codes import Metric
from overread.evaluation.context.estimate_rows import Row, add_notes, count, not_estimable, row
from overread.evaluation.context.reader_context import ReaderContext, ReadSelection
from overread.evaluation.context.score_matrix import Floats
from overread.evaluation.join.read_matching import READERS
from overread.evaluation.readers.pooled_readers import DIFFERENCES, RATES
from overread.evaluation.readers.reader_tests import (
    CENTRED,
    OBUCHOWSKI_ROCKETTE,
    U_STATISTIC,
    ReaderTable,
    first_reads,
    why_no_test,
)
from overread.stats.estimate import Estimate
from overread.stats.reader_studies import mrmc


def arm_rows(context: ReaderContext) -> list[Row]:
    """Estimate differences between arms of the same readers ("unaided" is first), for every reference standard."""
    rows: list[Row] = []
    policy = context.config.uncertain_calls
    for finding in context.panel.findings:
        for reference in context.panel.references:
            truth = context.panel.truths(finding, reference, policy)
            for other, arm in combinations(context.panel.arms, 2):
                both = [context.reads(finding, a, policy) for a in (arm, other)]
                rows += [] if np.isnan(truth).all() else _differences(context, both, reference, truth)
    return rows


def _differences(context: ReaderContext, both: list[ReadSelection], reference: str, truth: Floats) -> list[Row]:
    rows = []
    graded = [first_reads(context, r, truth, reference=reference, graded=True) for r in both]
    if all(t.readers.any() for t in graded):
        rows.append(_row(context, both, reference, graded, Metric.AUC))
    calls = [first_reads(context, r, truth, reference=reference) for r in both]
    if all(t.readers.any() for t in calls):
        rows += [_row(context, both, reference, calls, metric) for metric in RATES]
    return rows


def _row(
    context: ReaderContext, both: list[ReadSelection], reference: str, tables: list[ReaderTable], metric: Metric
) -> Row:
    whole, answers = _stacked(context, tables, common=metric == Metric.AUC)
    whole = ReaderTable(
        context.panel.truths(both[0].finding, reference, both[0].policy)[whole.cases] == 1,
        whole.patient,
        whole.cases,
        whole.answers,
    )
    estimate = _estimate(context, whole, answers, metric)
    read = (~np.isnan(answers)).any(axis=2)  # (arms, readers)
    lacking = [context.panel.readers[r] for r in np.flatnonzero(read.any(axis=0) & ~read.all(axis=0))]
    if lacking:
        estimate = add_notes(estimate, codes.note("readers_in_one_arm", readers=tuple(lacking)))
    place = context.place(both[0].finding, READERS, reads=both[0], reference=reference)
    at = f"test={OBUCHOWSKI_ROCKETTE if metric == 'auc' else U_STATISTIC}"
    return row(
        place.to(contrast=f"arm:{both[1].arm}"),
        Metric.AUC_DIFFERENCE if metric == Metric.AUC else DIFFERENCES[metric],
        add_notes(estimate, context.note(both[0], reference)),
        at=at,
        counts=count(whole.truth.astype(np.float64), whole.patient),
        test={"n_readers": int(read.any(axis=0).sum()), "null": 0.0},
        confidence=context.config.confidence,
    )


def _stacked(context: ReaderContext, tables: list[ReaderTable], *, common: bool) -> tuple[ReaderTable, Floats]:
    """Return both arms on the same cases (`common`: read in both, otherwise in either), (n_arms, n_readers,
    n_cases).
    """
    join = np.intersect1d if common else np.union1d
    cases = join(tables[0].cases, tables[1].cases)
    answers = np.full((2, len(context.panel.readers), cases.size), np.nan)
    for k, table in enumerate(tables):
        at = np.flatnonzero(np.isin(table.cases, cases))
        answers[k][:, np.searchsorted(cases, table.cases[at])] = table.answers[:, at]
    flat = answers.reshape(2 * len(context.panel.readers), cases.size)
    return ReaderTable(np.zeros(cases.size, dtype=bool), context.panel.patient[cases], cases, flat), answers


def _estimate(context: ReaderContext, whole: ReaderTable, answers: Floats, metric: Metric) -> Estimate:
    mine = (~np.isnan(answers)).any(axis=(0, 2))
    why = why_no_test(context, whole, metric)
    if int(mine.sum()) < 2:
        why = why or codes.note("few_readers_for_test")
    if metric == Metric.AUC and np.isnan(answers[:, mine]).any():
        why = codes.note("arms_not_fully_crossed")
    if why:
        return not_estimable(why)
    found = mrmc.compare_arms(
        whole.truth,
        answers[:, mine],
        metric=metric,
        covariance="jackknife" if metric == Metric.AUC else CENTRED,
        cluster=whole.patient,
        confidence=context.config.confidence,
    )
    return add_notes(found.difference, found.note)
