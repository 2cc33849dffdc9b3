"""Each reader and the model against the majority of the other readers.

A reader who contributed to the reference standard is favoured by it. Here the vote of the evaluated reader is excluded,
and the model is evaluated against the same reference standard, case by case.
"""

from __future__ import annotations

import numpy as np

from overread.evaluation.context.estimate_rows import Row
from overread.evaluation.context.reader_context import ReaderContext
from overread.evaluation.context.thresholds import point_at
from overread.evaluation.join.reference_standards import OTHERS
from overread.evaluation.readers.pooled_readers import Side, call_at, side_by_side, side_of
from overread.evaluation.readers.reader_points import ReaderPoint, point, point_rows, rates_of


def others_rows(context: ReaderContext) -> list[Row]:
    """Compare pooled readers with the model, and each reader with the model on the cases of that reader."""
    rows: list[Row] = []
    policy = context.config.uncertain_calls
    for finding in context.panel.findings:
        for arm in context.panel.arms:
            reads = context.reads(finding, arm, policy)
            truth = context.panel.others[policy][reads.index]
            if np.isnan(truth).all():
                continue
            side = side_of(context, reads, OTHERS, truth)
            rows += side_by_side(side)
            for reader in np.unique(reads.reader):
                rows += _reader_rows(side, int(reader))
    return rows


def _reader_rows(side: Side, reader: int) -> list[Row]:
    """Return the rates of the reader, and of every output at its first frozen threshold, on the same cases."""
    own_point = point(side, reader)
    if own_point is None:
        return []
    context, finding = side.context, side.reads.finding
    name = context.panel.readers[reader]
    own = context.place(finding, name, reads=side.reads, reference=side.reference)
    rows = point_rows(side, own, own_point)
    for rater in context.panel.outputs[finding]:
        points = context.points[finding, rater]
        usable = {n: t for n, t in points.thresholds.items() if not np.isnan(t.value)}
        place = context.place(finding, rater, reads=side.reads, reference=side.reference)
        for at, threshold in list(usable.items())[:1]:
            found = _model(side, reader, call_at(context.panel.score[finding, rater], threshold.value), points.tested)
            if found is not None:
                rows += point_rows(side, place, found, at=f"{point_at(at)};others={name}")
    return rows


def _model(side: Side, reader: int, call: np.ndarray, tested: np.ndarray) -> ReaderPoint | None:
    reads = side.reads
    mine = np.flatnonzero((reads.reader == reader) & ~np.isnan(side.truth) & tested[reads.case])
    return rates_of(side, mine, call[reads.case[mine]]) if mine.size else None
