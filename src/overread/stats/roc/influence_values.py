"""Influence values of an AUC: what each case adds to its error, so that errors of means and contrasts can be joined."""

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
    """The AUC and what each case contributes to its error: the building block of joint errors over findings.

    Parameters: y bool (n_cases,); score float (n_cases,); cluster (n_cases,), the patient of each case; weights float
    (n_cases,), inverse inclusion probabilities; stratum (n_cases,): only pairs that share it (`stratified_auc`),
    a case in no pair has influence 0.

    Returns (auc, influence (n_cases,)). The influence values sum to 0, those of the cases of one patient are added,
    and I/(I-1) times the sum of the squared patient sums (`influence_covariance`) is the variance of the AUC. For a
    mean or a contrast over findings with different cases of the same patients, put the values of each finding at its
    cases, 0 elsewhere, combine them as the estimates are combined, and do the same.

    The values carry Obuchowski's small-sample factors sqrt(I10/(I10-1)) and sqrt(I01/(I01-1)), relative to
    sqrt(I/(I-1)), so that without cluster the variance is DeLong's exactly. With clusters it differs from `auc` only
    in the covariance of the two classes, by sqrt(I10/(I10-1) I01/(I01-1)) in place of I/(I-1): a relative O(1/I10) of
    that term.

    One class only: (NaN, NaN). One case (patient) in a class: the AUC, influence NaN. Raises InputError as `auc`
    does. DeLong, DeLong & Clarke-Pearson (1988) doi:10.2307/2531595; Obuchowski (1997) doi:10.2307/2533958.

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
    found = _found(truth, scores, weight, stratum)
    if not found.paired.any():
        return nan, np.full(truth.size, nan)
    if groups.cluster is not None and not found.paired.all():
        groups = groups_of(int(found.paired.sum()), groups.cluster[found.paired], None, where=where)
    f_present, f_absent, f_both, note = factors(truth[found.paired], groups)
    if note:
        return found.auc, np.full(truth.size, nan)
    scale = np.where(truth, sqrt(f_present / f_both), sqrt(f_absent / f_both))
    return found.auc, found.influence * scale


def _found(truth: Bools, scores: Floats, weights: Floats | None, stratum: ArrayLike | None) -> PairsWithin:
    if stratum is not None:
        return pairs_within(truth, scores, stratum, weights, where="influence")
    if one_class(truth):
        return PairsWithin(nan, np.full(truth.size, nan), np.zeros(truth.size, dtype=np.bool_))
    value, placed = placements(truth, scores, weights)
    return PairsWithin(value, centred(truth, value, placed, weights), np.ones(truth.size, dtype=np.bool_))


def influence_covariance(influences: ArrayLike, *, cluster: ArrayLike | None = None) -> Floats:
    """The covariance of several estimates from their influence values on one set of cases, patients independent.

    Parameters: influences float (k, n_cases), each row summing to 0, 0 where a case takes no part; cluster
    (n_cases,). Returns I/(I-1) times the cross products of the patient sums, (k, k), I = patients; NaN for fewer than
    two.

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
    return values @ values.T * (n_clusters / (n_clusters - 1))
