"""Differences between arms: of the mean of the readers, Holm-adjusted, of every reader, and against a margin."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from overread import codes, tables
from overread.codes import Metric
from overread.evaluation.arms.arm_reads import ArmReads
from overread.evaluation.arms.arm_studies import ArmStudy, studies_of
from overread.evaluation.context.estimate_rows import EstimateKey, Row, add_notes, not_estimable, row
from overread.evaluation.join.read_matching import READERS
from overread.evaluation.readers.pooled_readers import DIFFERENCES
from overread.evaluation.readers.reader_tests import U_STATISTIC
from overread.stats.estimate import Estimate
from overread.stats.multiplicity import holm

MARGIN = "margin="


def difference_rows(studies: Sequence[ArmStudy]) -> list[Row]:
    """Return every difference of two arms, later minus earlier, of the mean of the readers and of every reader."""
    rows: list[Row] = []
    for study in studies:
        for pair, estimate in study.pairs.items():
            rows.append(_row(study, pair, READERS, add_notes(estimate, study.note), study.n_readers))
            for reader, pairs in study.readers.items():
                name = study.reads.context.panel.readers[reader]
                rows.append(_row(study, pair, name, add_notes(pairs[pair], study.reads.note), 1))
    return rows


def margin_rows(reads: ArmReads, metric: Metric) -> list[Row]:
    """Return the tests of non-inferiority of the mean of the readers: one-sided, difference above minus the margin."""
    margin = reads.context.config.margin
    if not margin:
        return []
    rows = []
    for study in studies_of(reads, metric, margin=margin):
        for pair, estimate in study.pairs.items():
            made = _row(study, pair, READERS, add_notes(estimate, study.note), study.n_readers)
            rows.append(made | {"at": reads.at(f"{MARGIN}{margin:g}", f"test={study.test}"), "null": -margin})
    return rows


def unjudged_rows(reads: ArmReads, metric: Metric) -> list[Row]:
    """Return the differences that are not made, because the same readers made the reference standard."""
    why = not_estimable(codes.note("arms_not_judged_by_own_reads"))
    arms = reads.answers.arms
    at, confidence = reads.at(f"test={U_STATISTIC}"), reads.context.config.confidence
    return [
        row(_place(reads, pair, READERS), _difference(metric), why, at=at, confidence=confidence)
        for pair in ((b, a) for a, b in combinations(range(len(arms)), 2))
    ]


def adjust(rows: Sequence[Row], cutoff: str) -> None:
    """Adjust the p values of the mean of the readers by Holm over findings and pairs of arms, in place.

    The families are the AUCs, and both rates together, for each reference standard; the rows are those of one rating
    cut-off, "" = none. A difference without a test counts as p = 1; a family of one test needs no adjustment, and
    tests of a margin (whose null value is not 0) are not adjusted.
    """
    families: dict[tuple[str, str], list[Row]] = {}
    for one in rows:
        if one["rater"] == READERS and one["contrast"] and one["estimate"] == one["estimate"] and one["null"] == 0:
            kind = "AUC" if one["metric"] == Metric.AUC_DIFFERENCE else "sensitivity and specificity"
            families.setdefault((kind, one["reference"]), []).append(one)
    for (kind, reference), family in families.items():
        if len(family) < 2:
            continue
        words = (
            ", ".join(w for w in (f"arms, {kind}", reference, cutoff) if w)
            + f": {tables.counted(len(family), 'tests')}"
        )
        tested = [1.0 if m["p"] != m["p"] else m["p"] for m in family]
        for one, p in zip(family, holm(tested), strict=True):
            one |= {"p_adjusted": float(p) if one["p"] == one["p"] else np.nan, "family": words}


def _difference(metric: Metric) -> Metric:
    return Metric.AUC_DIFFERENCE if metric == Metric.AUC else DIFFERENCES[metric]


def _place(reads: ArmReads, pair: tuple[int, int], rater: str) -> EstimateKey:
    arms = reads.answers.arms
    return reads.place(rater, arms[pair[0]]).to(contrast=f"arm:{arms[pair[1]]}")


def _row(study: ArmStudy, pair: tuple[int, int], rater: str, estimate: Estimate, n_readers: int) -> Row:
    return row(
        _place(study.reads, pair, rater),
        _difference(study.metric),
        estimate,
        at=study.at,
        counts=study.counts,
        test={"n_readers": n_readers, "null": 0.0, **study.classes},
        confidence=study.reads.context.config.confidence,
    )
