"""AUC over pairs of cases within the same stratum, such as the site."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.stats.arrays import (
    Bools,
    Codes,
    Floats,
    check_confidence,
    group_codes,
    score_array,
    truth_array,
    weight_array,
)
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.result_text import described
from overread.stats.roc.auc_interval import auc_estimate, check_interval
from overread.stats.roc.delong import describe, groups_of, placements, satterthwaite, spread


@dataclass(frozen=True, slots=True)
class PairsWithin:
    """Pair-weighted AUC over strata, with influence values of the cases.

    Attributes
    ----------
    auc : float
        AUC over pairs within strata.
    influence : ndarray of float64, shape (n_cases,)
        Influence values; 0 for a case in no pair.
    paired : ndarray of bool, shape (n_cases,)
        Whether the stratum of the case contains both classes.
    note : str
        Number of strata without pairs, or "".

    Notes
    -----
    `pairs_within` returns this result.
    """

    __repr__ = described

    auc: float
    influence: Floats  # (n_cases,), 0 where a case is in no pair
    paired: Bools  # (n_cases,), whether the stratum of the case holds both classes
    note: codes.Text = codes.NONE


def pairs_within(
    truth: Bools, scores: Floats, stratum: ArrayLike, weights: Floats | None, *, where: str
) -> PairsWithin:
    """AUC over pairs of a present and an absent case of the same stratum, with influence values.

    Parameters
    ----------
    truth : ndarray of bool, shape (n_cases,)
        Reference standard.
    scores : ndarray of float64, shape (n_cases,)
        Finite scores.
    stratum : array_like, shape (n_cases,)
        Stratum of each case.
    weights : ndarray of float64, shape (n_cases,), or None
        Inverse inclusion probabilities.
    where : str
        Name of the calling function, used in error messages.

    Returns
    -------
    PairsWithin
        The AUC and influence values; NaN with a note if no stratum contains both classes.

    Raises
    ------
    InputError
        If `stratum` has another shape or a missing label.

    Notes
    -----
    The formula is that of `stratified_auc`.

    Examples
    --------
    >>> pairs = pairs_within(np.array([True, False, True]), np.array([2.0, 1.0, 0.0]), ["a", "a", "b"], None, where="t")
    >>> pairs.auc, pairs.paired.tolist(), pairs.note
    (1.0, [True, True, False], '1 of 2 strata without pairs (1 case excluded)')
    """
    strata, n_strata = group_codes(stratum, truth.size, where=where, name="stratum")
    w = np.ones(truth.size) if weights is None else weights
    present = np.bincount(strata[truth], w[truth], minlength=n_strata)
    absent = np.bincount(strata[~truth], w[~truth], minlength=n_strata)
    usable = (present > 0) & (absent > 0)
    paired = usable[strata]
    note = codes.NONE
    if not paired.all():
        single, alone = int((~usable).sum()), int((~paired).sum())
        note = codes.note("strata_without_pairs", n=single, strata=n_strata, cases=alone)
    if not usable.any():
        return PairsWithin(nan, np.zeros(truth.size), paired, note or codes.note("no_cases"))
    pairs = float((present * absent)[usable].sum())
    placement, total = np.zeros(truth.size), 0.0
    for members in _members(strata, usable):
        k = strata[members[0]]
        value, placement[members] = placements(
            truth[members], scores[members], None if weights is None else weights[members]
        )
        total += value * present[k] * absent[k]
    value = total / pairs
    opposite = np.where(truth, absent[strata], present[strata])
    influence = np.where(paired, w * opposite * (placement - value) / pairs, 0.0)
    return PairsWithin(float(value), influence, paired, note)


def _members(strata: Codes, usable: Bools) -> list[Codes]:
    """Indices of the cases of each stratum that contains both classes."""
    order = np.argsort(strata, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(strata[order])) + 1)
    return [members for members in groups if usable[strata[members[0]]]]


@named("AUC within strata")
def stratified_auc(
    y: ArrayLike,
    score: ArrayLike,
    stratum: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    interval: str = "wald",
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """AUC over pairs of cases within the same stratum.

    The estimand is the probability that a present case has a higher score than an absent case of the same stratum (such
    as a site), sum of m_k n_k AUC_k / sum of m_k n_k, where stratum k has m_k present and n_k absent cases. Differences
    between strata do not contribute.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    score : array_like of float, shape (n_cases,)
        Score of each case; higher means more likely present.
    stratum : array_like, shape (n_cases,)
        Stratum of each case; only cases of the same stratum are compared.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    interval : {"wald", "logit", "logit-t"}, default "wald"
        Scale and quantile of the interval: Wald on the scale of the AUC (clipped to [0, 1] unless `cluster` is given),
        Wald on the logit scale, or logit scale with a t quantile (recommended below 50 cases of a class).
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        The AUC with interval, standard error and p value as in `auc`. The note gives the number of strata with one
        class only, which contribute no pair.

    Raises
    ------
    InputError
        As for `auc`.

    Notes
    -----
    Harrell's concordance restricted to comparable pairs. The influence value of a present case of stratum k is n_k
    (placement within k - AUC) / pairs, that of an absent case m_k (placement within k - AUC) / pairs; the variance is
    that of Obuchowski (1997) on these values. The numbers m_k and n_k are treated as random, so that strata with a
    single present case contribute to the variance. Patients are assumed to be independent. Checked against a
    brute-force computation over pairs, the bootstrap by patient, and by simulated coverage.

    References
    ----------
    * Obuchowski NA (1997). Nonparametric analysis of clustered ROC curve data. Biometrics 53:567-578.
      doi:10.2307/2533958

    Examples
    --------
    >>> round(stratified_auc([1, 0, 0, 1, 0], [0.9, 0.2, 0.95, 0.3, 0.1], ["a", "a", "a", "b", "b"]).value, 4)
    0.6667
    """
    where = "stratified_auc"
    check_interval(interval, where=where)
    check_confidence(confidence, where=where)
    truth = truth_array(y, where=where)
    scores = score_array(score, truth.shape, where=where)
    weight = None if weights is None else weight_array(weights, truth.size, where=where)
    groups = groups_of(truth.size, cluster, None, where=where)
    method = codes.methods(codes.method("pairs_within_strata"), describe(groups, weighted=weight is not None))
    pairs = pairs_within(truth, scores, stratum, weight, where=where)
    if not pairs.paired.any():
        return Estimate(nan, method=method, note=pairs.note)
    used = pairs.paired
    groups = groups_of(int(used.sum()), None if groups.cluster is None else groups.cluster[used], None, where=where)
    variance = spread(pairs.influence[None, used], truth[used], groups)
    se = nan if variance.note else sqrt(max(variance.covariance[0, 0], 0.0))
    df = satterthwaite(pairs.influence[used], truth[used], groups) if interval == "logit-t" and se > 0 else inf
    raw = Estimate(pairs.auc, se=se, method=method, note=codes.notes(pairs.note, variance.note))
    return auc_estimate(raw, df, interval=interval, clip=cluster is None, confidence=confidence)
