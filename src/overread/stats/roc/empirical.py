"""ROC curves and the area under them: estimates, intervals, comparisons; patients, weights and strata respected."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.stats.arrays import Floats, check_confidence, group_codes, score_array, truth_array, weight_array
from overread.stats.estimate import Estimate
from overread.stats.roc.auc_comparison import compare_aucs, compare_independent_aucs
from overread.stats.roc.auc_interval import auc_estimate, check_interval
from overread.stats.roc.delong import centred, describe, groups_of, one_class, placements, satterthwaite, spread
from overread.stats.roc.influence_values import influence, influence_covariance
from overread.stats.roc.partial_area import partial_auc
from overread.stats.roc.stratified import stratified_auc

__all__ = [
    "AucCovariance",
    "RocCurve",
    "auc",
    "auc_covariance",
    "compare_aucs",
    "compare_independent_aucs",
    "influence",
    "influence_covariance",
    "partial_auc",
    "roc_curve",
    "stratified_auc",
]


@dataclass(frozen=True, slots=True)
class AucCovariance:
    """The AUCs of several raters on the same cases and their covariance; NaN with a note where undefined."""

    aucs: Floats  # (n_raters,)
    covariance: Floats  # (n_raters, n_raters)
    method: codes.Text = codes.NONE
    note: codes.Text = codes.NONE


@dataclass(frozen=True, slots=True)
class RocCurve:
    """The attainable points of an ROC curve, from (0, 0) to (1, 1); a call is present when score >= threshold."""

    false_positive_rate: Floats  # (n_points,)
    true_positive_rate: Floats  # (n_points,)
    threshold: Floats  # (n_points,), falling, the first one infinite
    note: codes.Text = codes.NONE


def auc(
    y: ArrayLike,
    score: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    interval: str = "wald",
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    finite: bool = False,
    confidence: float = 0.95,
) -> Estimate:
    """Area under the ROC curve: the chance that a case with the finding scores above one without it, ties one half.

    Parameters
    ----------
    y : bool (n_cases,), the truth.
    score : float (n_cases,), higher = more likely present; never flipped.
    cluster : (n_cases,), the patient of each case; the variance then is Obuchowski's.
    interval : "wald" (clipped to [0, 1] without cluster, raw with it, as the reference programs do); "logit"; or
        "logit-t", the logit interval with a t quantile and Welch-Satterthwaite df (S10/m + S01/n)^2 /
        ((S10/m)^2/(m-1) + (S01/n)^2/(n-1)), for few cases of a class; with patients see `placement.satterthwaite`.
    weights : float (n_cases,), inverse inclusion probabilities: the Hajek estimate, linearised variance.
    strata : (n_cases,), sampling strata; patients are drawn within them, n_h/(n_h-1) centred sums of squares.
    finite : the estimate is about the population that was drawn from, as large as the sum of the weights: the variance
        of each stratum times 1 - n_h/N_h, 0 where it was taken whole; see `sampling.undrawn`.

    Returns
    -------
    Estimate. `p` tests AUC = 0.5 on the scale of the interval. One class only: NaN. One case (patient) in a class:
    the value without variance. AUC of 0 or 1, or constant scores: the value, a zero-width interval and a note.

    Raises
    ------
    InputError on NaN or infinite scores (how many), mismatched shapes, an unknown interval.

    Notes
    -----
    Assumes independent patients. DeLong, DeLong & Clarke-Pearson (1988) doi:10.2307/2531595; Obuchowski (1997)
    doi:10.2307/2533958. Checked against pROC 1.18.0 and the paper's worked example; coverage by simulation.

    >>> result = auc([1, 1, 0, 0, 0], [0.9, 0.4, 0.4, 0.1, 0.3])
    >>> round(result.value, 4), round(result.low, 4), result.high, result.method
    (0.9167, 0.6857, 1.0, 'DeLong, Wald interval')
    """
    where = "auc"
    check_interval(interval, where=where)
    check_confidence(confidence, where=where)
    truth = truth_array(y, where=where)
    scores = score_array(score, truth.shape, where=where)
    weight = None if weights is None else weight_array(weights, truth.size, where=where)
    groups = groups_of(truth.size, cluster, strata, where=where, weights=weight, finite=finite)
    method = describe(groups, weighted=weight is not None)
    if note := one_class(truth):
        return Estimate(nan, method=method, note=note)
    value, placed = placements(truth, scores, weight)
    values = centred(truth, value, placed, weight)
    variance = spread(values[None], truth, groups)
    se = sqrt(max(variance.covariance[0, 0], 0.0)) if not variance.note else nan
    df = satterthwaite(values, truth, groups) if interval == "logit-t" and se > 0 else inf
    raw = Estimate(value, se=se, method=method, note=variance.note)
    return auc_estimate(raw, df, interval=interval, clip=cluster is None, confidence=confidence)


def auc_covariance(y: ArrayLike, scores: ArrayLike, *, cluster: ArrayLike | None = None) -> AucCovariance:
    """The AUCs of several raters who scored the same cases, and the covariance of these AUCs.

    Parameters: y bool (n_cases,); scores float (n_raters, n_cases); cluster (n_cases,), the patient of each case.

    Returns an AucCovariance: aucs (n_raters,), covariance (n_raters, n_raters); NaN with a note for one class only or
    one case (patient) in a class. Raises InputError on NaN scores or mismatched shapes. Assumes independent patients.

    DeLong, DeLong & Clarke-Pearson (1988) doi:10.2307/2531595; Obuchowski (1997) doi:10.2307/2533958. Checked against
    pROC 1.18.0 `cov` and the paper's worked example.

    >>> result = auc_covariance([1, 1, 0, 0], [[3, 2, 1, 2], [4, 1, 2, 0]])
    >>> result.aucs.tolist(), result.covariance.round(4).tolist()
    ([0.875, 0.75], [[0.0312, 0.0], [0.0, 0.125]])
    """
    where = "auc_covariance"
    truth = truth_array(y, where=where)
    n_raters = len(np.atleast_2d(np.asarray(scores)))
    given = score_array(scores, (n_raters, truth.size), where=where, name="scores")
    groups = groups_of(truth.size, cluster, None, where=where)
    method = describe(groups, weighted=False)
    if note := one_class(truth):
        return AucCovariance(np.full(n_raters, nan), np.full((n_raters, n_raters), nan), method, note)
    placed = [placements(truth, row) for row in given]
    values = np.array([centred(truth, value, row) for value, row in placed])
    variance = spread(values, truth, groups)
    return AucCovariance(np.array([value for value, _ in placed]), variance.covariance, method, variance.note)


def roc_curve(
    y: ArrayLike, score: ArrayLike, *, weights: ArrayLike | None = None, strata: ArrayLike | None = None
) -> RocCurve:
    """The ROC curve: sensitivity against 1 - specificity at every threshold that the scores make attainable.

    Parameters: y bool (n_cases,); score float (n_cases,); weights float (n_cases,), inverse inclusion probabilities
    (Hajek rates); strata (n_cases,) is checked and changes no point, for a curve has no variance.

    Returns a RocCurve from (0, 0) at an infinite threshold to (1, 1); the thresholds are observed scores and a case
    is called present when score >= threshold (pROC prints the midpoints between them: same points). The trapezium
    area is the AUC. A rate whose class does not occur is NaN with a note. Raises InputError as `auc` does.

    Checked against pROC 1.18.0. Fawcett (2006) doi:10.1016/j.patrec.2005.10.010.

    >>> curve = roc_curve([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1])
    >>> curve.threshold.tolist(), curve.true_positive_rate.tolist(), curve.false_positive_rate.tolist()
    ([inf, 0.9, 0.5, 0.1], [0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0])
    """
    where = "roc_curve"
    truth = truth_array(y, where=where)
    scores = score_array(score, truth.shape, where=where)
    weight = np.ones(truth.size) if weights is None else weight_array(weights, truth.size, where=where)
    if strata is not None:
        group_codes(strata, truth.size, where=where, name="strata")
    order = np.argsort(scores)[::-1]
    ranked = scores[order]
    last = np.flatnonzero(np.concatenate((ranked[1:] != ranked[:-1], [True] if truth.size else [])))
    hits = np.cumsum(np.where(truth[order], weight[order], 0.0))[last]
    alarms = np.cumsum(np.where(truth[order], 0.0, weight[order]))[last]
    return RocCurve(_shares(alarms), _shares(hits), np.concatenate(([inf], ranked[last])), one_class(truth))


def _shares(cumulative: Floats) -> Floats:
    """Cumulative counts as shares of the last, from 0; NaN where there is nothing to share."""
    if cumulative.size == 0 or cumulative[-1] == 0:
        return np.full(cumulative.size + 1, nan)
    return np.concatenate(([0.0], cumulative / cumulative[-1]))
