"""The mean of the readers and every reader in each arm."""

from __future__ import annotations

import numpy as np

from overread.codes import Metric
from overread.evaluation.arms.arm_reads import ArmReads
from overread.evaluation.arms.arm_studies import ArmStudy
from overread.evaluation.context.auc_terms import Cases, auc_estimate
from overread.evaluation.context.estimate_rows import Row, add_notes, count, row
from overread.evaluation.context.reader_context import ReadSelection
from overread.evaluation.context.score_matrix import Floats
from overread.evaluation.join.read_matching import READERS
from overread.evaluation.readers.pooled_readers import side_of
from overread.evaluation.readers.reader_points import point, point_rows


def mean_rows(study: ArmStudy) -> list[Row]:
    """Return the value of the mean of the readers in every arm of a study."""
    reads, config = study.reads, study.reads.context.config
    return [
        row(
            reads.place(READERS, reads.answers.arms[arm]),
            study.metric,
            add_notes(estimate, study.note),
            at=study.at,
            counts=study.counts,
            test={"n_readers": study.readers_of.get(arm, study.n_readers), **study.classes},
            confidence=config.confidence,
        )
        for arm, estimate in sorted(study.arms.items())
    ]


def own_rows(reads: ArmReads) -> list[Row]:
    """Return the AUC of every reader in every arm, or the rates of every reader at the rating cut-off.

    Rates of calls without a cut-off are those of `overread.evaluation.readers.reader_points`.
    """
    rows: list[Row] = []
    for k, arm in enumerate(reads.answers.arms):
        if reads.answers.metrics == (Metric.AUC,):
            rows += [_area(reads, arm, int(r), answer) for r, answer in enumerate(reads.values[k]) if _any(answer)]
        elif reads.answers.cutoff:
            rows += _points(reads, arm, reads.values[k])
    return rows


def _any(answer: Floats) -> bool:
    return not bool(np.isnan(answer).all())


def _area(reads: ArmReads, arm: str, reader: int, answer: Floats) -> Row:
    """Estimate the AUC of the ratings of one reader on the cases of that reader."""
    read, context = ~np.isnan(answer), reads.context
    truth, patient, weight = reads.truth[read], reads.patient[read], reads.weight
    counts = count(truth.astype(np.float64), patient)
    cases = Cases(truth, answer[read], patient, None, None if weight is None else weight[read])
    estimate = auc_estimate(cases, counts, confidence=context.config.confidence)
    return row(
        reads.place(context.panel.readers[reader], arm),
        Metric.AUC,
        add_notes(estimate, reads.note),
        counts=counts,
        test={"n_readers": 1},
        confidence=context.config.confidence,
    )


def _points(reads: ArmReads, arm: str, calls: Floats) -> list[Row]:
    """Estimate the rates of every reader at the rating cut-off, as those of calls."""
    context = reads.context
    reader, column = np.nonzero(~np.isnan(calls))
    call, policy = calls[reader, column] == 1, context.config.uncertain_calls
    selection = ReadSelection(reads.answers.finding, arm, policy, column, reader, reads.case[column], call)
    side = side_of(context, selection, reads.reference, reads.truth[column].astype(np.float64))
    rows: list[Row] = []
    for r in np.unique(reader):
        found = point(side, int(r))
        if found is not None:
            rows += point_rows(side, reads.place(context.panel.readers[r], arm), found, at=reads.at())
    return rows
