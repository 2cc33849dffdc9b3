"""Rates with the contribution of every patient to their variance, so that means and differences have a standard
error.
"""

from __future__ import annotations

import numpy as np

from overread.evaluation.context.auc_terms import AucTerm, per_patient
from overread.evaluation.context.estimate_rows import Counts
from overread.evaluation.context.score_matrix import Bools, Codes, Floats, ScoreMatrix
from overread.evaluation.context.strata import merge_small_strata
from overread.stats.estimate import Estimate
from overread.stats.rates.proportions import clustered_proportion


def rate_term(panel: ScoreMatrix, index: Codes, hit: Bools, counts: Counts) -> AucTerm:
    """Compute the weighted proportion of hits (n,) among the cases at `index` (n,), of which there must be at least
    one.

    A rate of 0 or 1 has an estimated variance of 0, which would make every difference from it appear certain. Its
    variance is computed at (x + 1) / (m + 2) for its m patients instead, Agresti & Caffo (2000)
    doi:10.1080/00031305.2000.10474560.
    """
    weight = np.ones(index.size) if panel.weight is None else panel.weight[index]
    total = float(weight.sum())
    value = float((weight * hit).sum() / total)
    patients, influence = per_patient(panel, panel.patient[index], weight * (hit - value) / total)
    unseen = 0.0
    if hit.all() or not hit.any():
        m = int(np.count_nonzero(np.bincount(panel.patient[index])))
        p = (value * m + 1) / (m + 2)
        unseen = p * (1 - p) / m
    return AucTerm(value, patients, influence, counts, unseen=unseen)


def rate_estimate(panel: ScoreMatrix, index: Codes, hit: Bools, *, confidence: float) -> Estimate:
    """Estimate the same proportion with its Wilson score interval at the effective sample size."""
    patient = panel.patient[index]
    weights: Floats | None = None if panel.weight is None else panel.weight[index]
    strata = None if panel.strata is None else merge_small_strata(panel.strata[index], patient)
    return clustered_proportion(
        hit, cluster=patient, weights=weights, strata=strata, finite=panel.finite, confidence=confidence
    )
