"""ROC curves of the ratings of every reader and of the mean of the readers in each arm."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from overread.evaluation.arms.arm_reads import ArmReads
from overread.evaluation.context.estimate_rows import Row
from overread.evaluation.context.score_matrix import Floats
from overread.evaluation.join.read_matching import READERS
from overread.evaluation.models.roc_rates import GRID, curve_point
from overread.stats import roc
from overread.stats.roc.mean_curves import CORNERS, mean_curve


def curve_rows_of_readers(reads: ArmReads) -> list[Row]:
    """Return the empirical curve of every reader, and their mean at each false positive rate, for every arm.

    The area under the mean curve is the mean of the AUCs (up to 150 vertices; above, on a grid).
    """
    rows: list[Row] = []
    names = reads.context.panel.readers
    for k, arm in enumerate(reads.answers.arms):
        curves = {r: curve for r, curve in _curves(reads, reads.values[k]) if not curve.note}
        for r, curve in curves.items():
            drawn = curve.false_positive_rate, curve.true_positive_rate
            rows += _points(reads, names[r], arm, drawn if drawn[0].size <= CORNERS else mean_curve([curve], GRID))
        if curves:
            rows += _points(reads, READERS, arm, mean_curve(list(curves.values()), GRID))
    return rows


def _curves(reads: ArmReads, values: Floats) -> Iterator[tuple[int, roc.RocCurve]]:
    weight = reads.weight
    for r, answer in enumerate(values):
        read = ~np.isnan(answer)
        if read.any():
            yield (
                r,
                roc.roc_curve(reads.truth[read], answer[read], weights=None if weight is None else weight[read]),
            )


def _points(reads: ArmReads, rater: str, arm: str, drawn: tuple[Floats, Floats]) -> list[Row]:
    place = reads.place(rater, arm)
    points = zip(*(axis.tolist() for axis in drawn), strict=True)
    return [curve_point(place, "roc", i, (x, y, np.nan, np.nan)) for i, (x, y) in enumerate(points)]
