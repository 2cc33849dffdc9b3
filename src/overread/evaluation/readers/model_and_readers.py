"""A model beside readers: operating points, rates, ROC curves and AUC, by reference standard and policy."""

from __future__ import annotations

import numpy as np

from overread import codes
from overread.codes import Metric
from overread.evaluation.context.auc_terms import Cases, auc_estimate
from overread.evaluation.context.estimate_rows import Row, add_notes, row
from overread.evaluation.context.reader_context import ReaderContext, ReadSelection
from overread.evaluation.evaluation_config import UNCERTAIN
from overread.evaluation.join.reference_standards import DAWID_SKENE
from overread.evaluation.models.roc_rates import GRID, curve_rows
from overread.evaluation.progress import advancing
from overread.evaluation.readers.pooled_readers import Side, side_by_side, side_of
from overread.evaluation.readers.reader_points import below_rows, estimated_rows, point, reader_point_rows, refused_rows
from overread.stats import roc
from overread.stats.reader_studies.product_bootstrap import matched_rates
from overread.stats.roc.mean_curves import mean_curve


def reader_rows(context: ReaderContext) -> tuple[list[Row], list[Row]]:
    """Return rows and curves of every finding, arm, policy on uncertain calls and reference standard."""
    rows: list[Row] = []
    curves: list[Row] = []
    for reads in advancing(read_selections(context)):
        main = reads.policy == context.config.uncertain_calls
        for reference in context.panel.references:
            truth = context.truth(reads, reference)
            if np.isnan(truth).all():
                rows += refused_rows(context, reads, reference) if main else []
                continue
            side = side_of(context, reads, reference, truth)
            rows += side_by_side(side)
            for rater in context.ranked(reads.finding):
                rows.append(_area_row(side, rater))
                if main:
                    curves += _curve(side, rater)
            if main:
                rows += _one_by_one(side)
    return rows, curves


def _one_by_one(side: Side) -> list[Row]:
    """Return the operating point of every reader, and the number of readers below the ROC curve of each output."""
    own = {r: point(side, r) for r in range(len(side.context.panel.readers))}
    rows = [made for r in own for made in reader_point_rows(side, r, own[r])]
    for rater in side.context.ranked(side.reads.finding):
        rows += below_rows(side, rater, own)
    # The model of Dawid and Skene is of the reads of the baseline arm: its rates are not those of another arm.
    estimated = side.reference == DAWID_SKENE and side.reads.arm == side.context.panel.arms[0]
    return rows + (estimated_rows(side) if estimated else [])


def read_selections(context: ReaderContext) -> list[ReadSelection]:
    """Return the reads of every finding and arm; under alternative policies only if a call changes."""
    selections, config = [], context.config
    for finding in context.panel.findings:
        for arm in context.panel.arms:
            main = context.reads(finding, arm, config.uncertain_calls)
            if not main.index.size and not context.reads(finding, arm, "present").index.size:
                continue
            selections.append(main)
            for policy in (p for p in UNCERTAIN if p != config.uncertain_calls):
                other = context.reads(finding, arm, policy)
                same = np.array_equal(other.index, main.index) and np.array_equal(other.call, main.call)
                selections += [] if same or not other.index.size else [other]
    return selections


def _area_row(side: Side, rater: str) -> Row:
    """Estimate the AUC on the read cases, weighted by number of reads."""
    context, pool = side.context, side.pool
    place = context.place(side.reads.finding, rater, reads=side.reads, reference=side.reference)
    weight = pool.reads.sum(axis=0)
    even = bool((weight == weight[0]).all()) if weight.size else True
    score = context.panel.score[side.reads.finding, rater][pool.case]
    counts = context.counts(pool)
    estimate = auc_estimate(
        Cases(pool.truth, score, pool.patient, None, None if even else weight),
        counts,
        confidence=context.config.confidence,
    )
    words = codes.NONE if even else codes.note("weighted_by_reads")
    return row(
        place,
        Metric.AUC,
        add_notes(estimate, words, side.note),
        counts=counts,
        test={"n_readers": side.n_readers()},
        confidence=context.config.confidence,
    )


def _curve(side: Side, rater: str) -> list[Row]:
    """Return the ROC curve on the read cases, weighted by number of reads, with a product-bootstrap band."""
    context, pool = side.context, side.pool
    place = context.place(side.reads.finding, rater, reads=side.reads, reference=side.reference)
    score = context.panel.score[side.reads.finding, rater]
    once, drawn = side.weights
    wanted = np.tile(1 - GRID, (len(drawn), 1))
    draws = matched_rates(pool, score, drawn, specificity=wanted, sensitivity=np.empty((len(drawn), 0)), lines=True)[0]
    weighted = once[0] > 0
    curve = roc.roc_curve(pool.truth[weighted], score[pool.case][weighted], weights=once[0][weighted])
    return curve_rows(place, mean_curve([curve], GRID), draws, context.config.confidence)
