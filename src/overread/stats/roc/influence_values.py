"""Influence values of an AUC, from which joint covariances of means and contrasts over findings are computed."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from overread.stats.arrays import Bools, Floats, group_codes, score_array, truth_array, weight_array
from overread.stats.roc.delong import centred, factors, groups_of, one_class, placements
from overread.stats.roc.stratified import PairsWithin, pairs_within


def influence(
    y: ArrayLike,
    score: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    stratum: ArrayLike | None = None,
) -> tuple[float, Floats]:
    """AUC and influence value of each case.

    An influence value is the contribution of a case to the error of the AUC. Influence values of several findings on
    the same patients give the joint covariance of their AUCs (`influence_covariance`).

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    score : array_like of float, shape (n_cases,)
        Score of each case; higher means more likely present.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.
    stratum : array_like, shape (n_cases,), optional
        Restricts the AUC to pairs of cases of the same stratum (see `stratified_auc`). A case in no pair has influence
        0.

    Returns
    -------
    auc : float
        The AUC; NaN if a class is empty.
    influence : ndarray of float64, shape (n_cases,)
        Influence values, which sum to 0. NaN if a class is empty or has one case (patient) only.

    Raises
    ------
    InputError
        As for `auc`.

    Notes
    -----
    Influence values of the cases of a patient are added; I/(I-1) times the sum of their squares over I patients is the
    variance of the AUC. For a mean or contrast over findings with different cases of the same patients, place the
    values of each finding at its cases with 0 elsewhere and combine them as the estimates are combined.

    The values carry the small-sample factors sqrt(I10/(I10-1)) and sqrt(I01/(I01-1)) of Obuchowski (1997), relative to
    sqrt(I/(I-1)), so that without clusters the variance is exactly that of DeLong et al. (1988). With clusters the
    variance differs from that of `auc` only in the covariance of the two classes, by sqrt(I10/(I10-1) I01/(I01-1))
    instead of I/(I-1), a relative difference of order 1/I10 in that term.

    References
    ----------
    * DeLong ER, DeLong DM, Clarke-Pearson DL (1988). Comparing the areas under two or more correlated receiver
      operating characteristic curves: a nonparametric approach. Biometrics 44:837-845. doi:10.2307/2531595
    * Obuchowski NA (1997). Nonparametric analysis of clustered ROC curve data. Biometrics 53:567-578.
      doi:10.2307/2533958

    Examples
    --------
    >>> value, contribution = influence([1, 1, 0, 0, 0], [0.9, 0.4, 0.4, 0.1, 0.3])
    >>> round(value, 4), contribution.round(3).tolist()
    (0.9167, [0.053, -0.053, -0.061, 0.03, 0.03])
    >>> round(float(influence_covariance(contribution)[0, 0]) ** 0.5, 4)
    0.1179
    """
    where = "influence"
    truth = truth_array(y, where=where)
    scores = score_array(score, truth.shape, where=where)
    weight = None if weights is None else weight_array(weights, truth.size, where=where)
    groups = groups_of(truth.size, cluster, None, where=where)
    pairs = _influence_of_pairs(truth, scores, weight, stratum)
    if not pairs.paired.any():
        return nan, np.full(truth.size, nan)
    if groups.cluster is not None and not pairs.paired.all():
        groups = groups_of(int(pairs.paired.sum()), groups.cluster[pairs.paired], None, where=where)
    f_present, f_absent, f_both, note = factors(truth[pairs.paired], groups)
    if note:
        return pairs.auc, np.full(truth.size, nan)
    scale = np.where(truth, sqrt(f_present / f_both), sqrt(f_absent / f_both))
    return pairs.auc, pairs.influence * scale


def _influence_of_pairs(truth: Bools, scores: Floats, weights: Floats | None, stratum: ArrayLike | None) -> PairsWithin:
    """AUC and uncorrected influence values, over all pairs or over pairs within strata."""
    if stratum is not None:
        return pairs_within(truth, scores, stratum, weights, where="influence")
    if one_class(truth):
        return PairsWithin(nan, np.full(truth.size, nan), np.zeros(truth.size, dtype=np.bool_))
    value, placement = placements(truth, scores, weights)
    return PairsWithin(value, centred(truth, value, placement, weights), np.ones(truth.size, dtype=np.bool_))


def influence_covariance(influences: ArrayLike, *, cluster: ArrayLike | None = None) -> Floats:
    """Covariance matrix of several estimates from their influence values on one set of cases.

    Parameters
    ----------
    influences : array_like of float, shape (k, n_cases) or (n_cases,)
        Influence values of k estimates. Each row sums to 0 and is 0 at cases that the estimate does not use.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.

    Returns
    -------
    ndarray of float64, shape (k, k)
        I/(I-1) times the cross products of the patient sums, where I is the number of patients; NaN for fewer than two
        patients.

    Raises
    ------
    InputError
        If `cluster` has another shape or a missing label.

    Notes
    -----
    Patients are assumed to be independent.

    References
    ----------
    * Obuchowski NA (1997). Nonparametric analysis of clustered ROC curve data. Biometrics 53:567-578.
      doi:10.2307/2533958

    Examples
    --------
    >>> influence_covariance([[0.5, -0.5, 0.0, 0.0]], cluster=["a", "b", "c", "d"]).round(4).tolist()
    [[0.6667]]
    """
    where = "influence_covariance"
    values = np.atleast_2d(np.asarray(influences, dtype=np.float64))  # (k, n_cases)
    if cluster is not None:
        codes, size = group_codes(cluster, values.shape[1], where=where)
        values = np.array([np.bincount(codes, row, minlength=size) for row in values])
    n_clusters = values.shape[1]
    if n_clusters < 2:
        return np.full((len(values), len(values)), nan)
    covariance: Floats = values @ values.T * (n_clusters / (n_clusters - 1))
    return covariance
