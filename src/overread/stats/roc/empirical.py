"""Empirical ROC curves and areas under them."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Floats, check_confidence, group_codes, score_array, truth_array, weight_array
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.result_text import described
from overread.stats.roc.auc_interval import auc_estimate, check_interval
from overread.stats.roc.delong import centred, describe, groups_of, one_class, placements, satterthwaite, spread


@dataclass(frozen=True, slots=True)
class AucCovariance:
    """AUCs of several raters on the same cases and their covariance matrix.

    Attributes
    ----------
    aucs : ndarray of float64, shape (n_raters,)
        Area under the ROC curve of each rater.
    covariance : ndarray of float64, shape (n_raters, n_raters)
        Covariance matrix of the AUCs; NaN where undefined.
    method : str
        Variance estimator.
    note : str
        Reason for values that are NaN, otherwise "".

    Notes
    -----
    `auc_covariance` returns this result and gives the formula.
    """

    __repr__ = described

    aucs: Floats  # (n_raters,)
    covariance: Floats  # (n_raters, n_raters)
    method: codes.Text = codes.NONE
    note: codes.Text = codes.NONE


@dataclass(frozen=True, slots=True)
class RocCurve:
    """Attainable points of an ROC curve, from (0, 0) to (1, 1).

    A case is called present if its score is at or above the threshold of a point.

    Attributes
    ----------
    false_positive_rate : ndarray of float64, shape (n_points,)
        1 - specificity at each point.
    true_positive_rate : ndarray of float64, shape (n_points,)
        Sensitivity at each point.
    threshold : ndarray of float64, shape (n_points,)
        Threshold of each point in decreasing order; the first one is infinite.
    note : str
        Reason for rates that are NaN, otherwise "".

    Notes
    -----
    `roc_curve` returns this result.
    """

    __repr__ = described

    false_positive_rate: Floats  # (n_points,)
    true_positive_rate: Floats  # (n_points,)
    threshold: Floats  # (n_points,), falling, the first one infinite
    note: codes.Text = codes.NONE


@named("AUC")
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
    """Area under the receiver operating characteristic (ROC) curve.

    The estimand is the probability that a randomly chosen case with the finding has a higher score than a randomly
    chosen case without it, where ties count one half.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    score : array_like of float, shape (n_cases,)
        Score of each case; higher means more likely present. The direction is never reversed.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case; the variance is then that of Obuchowski (1997). By default every case is
        treated as an independent patient.
    interval : {"wald", "logit", "logit-t"}, default "wald"
        Scale and quantile of the interval: Wald on the scale of the AUC (clipped to [0, 1] unless `cluster` is given),
        Wald on the logit scale, or logit scale with a t quantile (recommended below 50 cases of a class).
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities; gives the Hajek estimate with a linearised variance.
    strata : array_like, shape (n_cases,), optional
        Sampling stratum of each case, constant within a patient; the variance is the sum over strata of n_h/(n_h-1)
        times the centred sum of squares over patients.
    finite : bool, default False
        Whether the estimate refers to the finite population that was sampled, whose size is the sum of the weights. The
        variance of stratum h is then multiplied by 1 - n_h/N_h.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        The AUC, its interval, standard error and p value of the test of AUC = 0.5 on the scale of the interval. If a
        class is empty, the value is NaN with a note. With one case (patient) in a class there is a value without a
        variance. An AUC of 0 or 1 and constant scores have a zero-width interval and a note.

    Raises
    ------
    InputError
        If an array has another shape, a score is NaN or infinite (the number is given), or `interval` is unknown.

    Notes
    -----
    Patients are assumed to be independent. The degrees of freedom of "logit-t" are those of Welch and Satterthwaite,
    (S10/m + S01/n)^2 / ((S10/m)^2/(m-1) + (S01/n)^2/(n-1)), with the clustered form in `overread.stats.roc.delong`. The
    finite-population correction is described in `overread.stats.sampling_design.undrawn`. Checked against pROC 1.18.0,
    the worked example of Obuchowski (1997), and by simulated coverage.

    References
    ----------
    * DeLong ER, DeLong DM, Clarke-Pearson DL (1988). Comparing the areas under two or more correlated receiver
      operating characteristic curves: a nonparametric approach. Biometrics 44:837-845. doi:10.2307/2531595
    * Obuchowski NA (1997). Nonparametric analysis of clustered ROC curve data. Biometrics 53:567-578.
      doi:10.2307/2533958

    Examples
    --------
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
    value, placement = placements(truth, scores, weight)
    values = centred(truth, value, placement, weight)
    variance = spread(values[None], truth, groups)
    se = sqrt(max(variance.covariance[0, 0], 0.0)) if not variance.note else nan
    df = satterthwaite(values, truth, groups) if interval == "logit-t" and se > 0 else inf
    raw = Estimate(value, se=se, method=method, note=variance.note)
    return auc_estimate(raw, df, interval=interval, clip=cluster is None, confidence=confidence)


def auc_covariance(y: ArrayLike, scores: ArrayLike, *, cluster: ArrayLike | None = None) -> AucCovariance:
    """AUCs of several raters who scored the same cases, and the covariance matrix of these AUCs.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    scores : array_like of float, shape (n_raters, n_cases)
        Scores of each rater; higher means more likely present.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.

    Returns
    -------
    AucCovariance
        The AUCs (n_raters,) and their covariance matrix (n_raters, n_raters). NaN with a note if a class is empty or
        has one case (patient) only.

    Raises
    ------
    InputError
        If an array has another shape or a score is NaN or infinite.

    Notes
    -----
    Patients are assumed to be independent. Checked against pROC 1.18.0, `cov`, and the worked example of Obuchowski
    (1997).

    References
    ----------
    * DeLong ER, DeLong DM, Clarke-Pearson DL (1988). Comparing the areas under two or more correlated receiver
      operating characteristic curves: a nonparametric approach. Biometrics 44:837-845. doi:10.2307/2531595
    * Obuchowski NA (1997). Nonparametric analysis of clustered ROC curve data. Biometrics 53:567-578.
      doi:10.2307/2533958

    Examples
    --------
    >>> result = auc_covariance([1, 1, 0, 0], [[3, 2, 1, 2], [4, 1, 2, 0]])
    >>> result.aucs.tolist(), result.covariance.round(4).tolist()
    ([0.875, 0.75], [[0.0312, 0.0], [0.0, 0.125]])
    """
    where = "auc_covariance"
    truth = truth_array(y, where=where)
    shape = np.asarray(scores, dtype=object).shape  # also of rows that differ in length
    if len(shape) != 2 or shape[1] != truth.size:
        do = "Transpose it: one row per rater." if shape[:1] == truth.shape and len(shape) == 2 else ""
        expected, found = f"an array of shape (n_raters, {truth.size})", f"an array of shape {shape}"
        raise InputError(f"{where}: scores", expected, found, do=do)
    n_raters = shape[0]
    score_matrix = score_array(scores, (n_raters, truth.size), where=where, name="scores")
    groups = groups_of(truth.size, cluster, None, where=where)
    method = describe(groups, weighted=False)
    if note := one_class(truth):
        return AucCovariance(np.full(n_raters, nan), np.full((n_raters, n_raters), nan), method, note)
    placements_by_rater = [placements(truth, row) for row in score_matrix]
    values = np.array([centred(truth, value, row) for value, row in placements_by_rater])
    variance = spread(values, truth, groups)
    return AucCovariance(
        np.array([value for value, _ in placements_by_rater]), variance.covariance, method, variance.note
    )


def roc_curve(
    y: ArrayLike, score: ArrayLike, *, weights: ArrayLike | None = None, strata: ArrayLike | None = None
) -> RocCurve:
    """Empirical ROC curve: sensitivity against 1 - specificity at every attainable threshold.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    score : array_like of float, shape (n_cases,)
        Score of each case; higher means more likely present.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities; the rates are then Hajek estimates.
    strata : array_like, shape (n_cases,), optional
        Sampling strata. They are validated but do not change the points, because a curve has no variance here.

    Returns
    -------
    RocCurve
        Points from (0, 0) at an infinite threshold to (1, 1). The thresholds are observed scores; a case is called
        present if its score is at or above the threshold. A rate whose class is empty is NaN with a note.

    Raises
    ------
    InputError
        As for `auc`.

    Notes
    -----
    The area under the curve by the trapezoidal rule is the AUC. pROC reports midpoints between observed scores as
    thresholds; the points are the same. Checked against pROC 1.18.0.

    References
    ----------
    * Fawcett T (2006). An introduction to ROC analysis. Pattern Recognition Letters 27:861-874.
      doi:10.1016/j.patrec.2005.10.010

    Examples
    --------
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
    true_positives = np.cumsum(np.where(truth[order], weight[order], 0.0))[last]
    false_positives = np.cumsum(np.where(truth[order], 0.0, weight[order]))[last]
    return RocCurve(
        _shares(false_positives), _shares(true_positives), np.concatenate(([inf], ranked[last])), one_class(truth)
    )


def _shares(cumulative: Floats) -> Floats:
    """Cumulative counts divided by the last count, with a leading 0; NaN if the last count is 0."""
    if cumulative.size == 0 or cumulative[-1] == 0:
        return np.full(cumulative.size + 1, nan)
    return np.concatenate(([0.0], cumulative / cumulative[-1]))
