"""ROC curves and the area under them: estimates, intervals, comparisons; patients, weights and strata respected."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import t

from overread.errors import InputError, did_you_mean
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
from overread.stats.contrast import compare_aucs, compare_independent_aucs
from overread.stats.estimate import Estimate
from overread.stats.partial import partial_auc
from overread.stats.placement import (
    centred,
    describe,
    factors,
    groups_of,
    one_class,
    placements,
    satterthwaite,
    spread,
)

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

INTERVALS = ("wald", "logit", "logit-t")


@dataclass(frozen=True, slots=True)
class AucCovariance:
    """The AUCs of several raters on the same cases and their covariance; NaN with a note where undefined."""

    aucs: Floats  # (n_raters,)
    covariance: Floats  # (n_raters, n_raters)
    method: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class RocCurve:
    """The attainable points of an ROC curve, from (0, 0) to (1, 1); a call is present when score >= threshold."""

    false_positive_rate: Floats  # (n_points,)
    true_positive_rate: Floats  # (n_points,)
    threshold: Floats  # (n_points,), falling, the first one infinite
    note: str = ""


def auc(
    y: ArrayLike,
    score: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    interval: str = "wald",
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
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
    (0.9167, 0.6857, 1.0, 'DeLong, Wald')
    """
    where = "auc"
    _check_interval(interval, where)
    check_confidence(confidence, where=where)
    truth = truth_array(y, where=where)
    scores = score_array(score, truth.shape, where=where)
    weight = None if weights is None else weight_array(weights, truth.size, where=where)
    groups = groups_of(truth.size, cluster, strata, where=where)
    method = describe(groups, weighted=weight is not None)
    if note := one_class(truth):
        return Estimate(nan, method=method, note=note)
    value, placed = placements(truth, scores, weight)
    values = centred(truth, value, placed, weight)
    variance = spread(values[None], truth, groups)
    se = sqrt(max(variance.covariance[0, 0], 0.0)) if not variance.note else nan
    df = satterthwaite(values, truth, groups) if interval == "logit-t" and se > 0 else inf
    return _auc_estimate(value, se, df, interval=interval, clip=cluster is None, confidence=confidence,
                         method=method, note=variance.note)  # fmt: skip


def _check_interval(interval: str, where: str) -> None:
    if interval not in INTERVALS:
        raise InputError(f"{where}: interval", " or ".join(INTERVALS), interval, do=did_you_mean(interval, INTERVALS))


def _auc_estimate(
    value: float, se: float, df: float, *, interval: str, clip: bool, confidence: float, method: str, note: str
) -> Estimate:
    """Interval and p on the scale asked for; the special cases say why they are special."""
    name = {"wald": "Wald", "logit": "logit", "logit-t": "logit, t"}[interval]
    if isnan(se):
        return Estimate(value, method=f"{method}, {name}", note=note)
    if se == 0 or value in (0.0, 1.0):
        why = f"AUC of {value:g}: every pair is ordered" if value in (0.0, 1.0) else "the placement values do not vary"
        why += "; the variance is 0 and the zero-width interval understates the uncertainty"
        note = f"{note}; {why}" if note else why
        return Estimate(value, value, value, se, method=f"{method}, {name}", note=note)
    quantile = float(t.isf((1 - confidence) / 2, df))
    if interval == "wald":
        low, high, z = value - quantile * se, value + quantile * se, (value - 0.5) / se
        low, high = (max(low, 0.0), min(high, 1.0)) if clip else (low, high)
    else:
        centre, spread_ = float(logit(value)), se / (value * (1 - value))
        low, high = (float(expit(centre + sign * quantile * spread_)) for sign in (-1, 1))
        z = centre / spread_
        name += f" with {df:.1f} df" if df < inf else ""
    return Estimate(value, low, high, se, 2 * float(t.sf(abs(z), df)), f"{method}, {name}", note)


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


def influence(
    y: ArrayLike, score: ArrayLike, *, cluster: ArrayLike | None = None, weights: ArrayLike | None = None
) -> tuple[float, Floats]:
    """The AUC and what each case contributes to its error: the building block of joint errors over findings.

    Parameters: y bool (n_cases,); score float (n_cases,); cluster (n_cases,), the patient of each case; weights float
    (n_cases,), inverse inclusion probabilities.

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
    >>> variance = 5 / 4 * float((contribution**2).sum())
    >>> round(variance, 10) == round(auc([1, 1, 0, 0, 0], [0.9, 0.4, 0.4, 0.1, 0.3]).se ** 2, 10)
    True
    """
    where = "influence"
    truth = truth_array(y, where=where)
    scores = score_array(score, truth.shape, where=where)
    weight = None if weights is None else weight_array(weights, truth.size, where=where)
    groups = groups_of(truth.size, cluster, None, where=where)
    if one_class(truth):
        return nan, np.full(truth.size, nan)
    value, placed = placements(truth, scores, weight)
    f_present, f_absent, f_both, note = factors(truth, groups)
    if note:
        return value, np.full(truth.size, nan)
    scale = np.where(truth, sqrt(f_present / f_both), sqrt(f_absent / f_both))
    return value, centred(truth, value, placed, weight) * scale


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


def stratified_auc(
    y: ArrayLike, score: ArrayLike, stratum: ArrayLike, *, cluster: ArrayLike | None = None, confidence: float = 0.95
) -> Estimate:
    """The AUC over pairs within one stratum (such as a site): what is left when telling the strata apart is no help.

    Parameters: y bool (n_cases,); score float (n_cases,); stratum (n_cases,), what a pair must share; cluster
    (n_cases,).

    Returns an Estimate, sum of m_k n_k AUC_k / sum of m_k n_k; its note says how many strata have one class only and
    give no pair. Wald interval (clipped to [0, 1] without cluster). Influence of a present case of stratum k: n_k
    (placement within k - AUC) / pairs, of an absent one m_k (…); m_k and n_k count as random, so that strata with a
    single present case still contribute to the variance. Raises InputError as `auc` does.

    Assumes independent patients. The AUC within strata is Harrell's concordance restricted to comparable pairs;
    variance as in Obuchowski (1997) doi:10.2307/2533958 on these influence values. Checked against its definition
    pair by pair and the bootstrap.

    >>> round(stratified_auc([1, 0, 0, 1, 0], [0.9, 0.2, 0.95, 0.3, 0.1], ["a", "a", "a", "b", "b"]).value, 4)
    0.6667
    """
    where = "stratified_auc"
    check_confidence(confidence, where=where)
    truth = truth_array(y, where=where)
    scores = score_array(score, truth.shape, where=where)
    codes, n_strata = group_codes(stratum, truth.size, where=where, name="stratum")
    m = np.bincount(codes[truth], minlength=n_strata)
    n = np.bincount(codes[~truth], minlength=n_strata)
    usable = (m > 0) & (n > 0)
    unused = int((~usable[codes]).sum())
    note = (
        f"{int((~usable).sum())} of {n_strata} strata hold one class only ({unused} cases, no pairs)" if unused else ""
    )
    method = "AUC within strata, pair-weighted"
    if not usable.any():
        return Estimate(nan, method=method, note=note or one_class(truth))
    keep = usable[codes]
    labels = None if cluster is None else np.asarray(cluster)[keep]
    groups = groups_of(int(keep.sum()), labels, None, where=where)
    value, values = _within(truth[keep], scores[keep], codes[keep], m, n)
    variance = spread(values[None], truth[keep], groups)
    se = nan if variance.note else sqrt(max(variance.covariance[0, 0], 0.0))
    notes = "; ".join(text for text in (note, variance.note) if text)
    method += ", " + describe(groups, weighted=False)
    return _auc_estimate(value, se, inf, interval="wald", clip=cluster is None, confidence=confidence,
                         method=method, note=notes)  # fmt: skip


def _within(truth: Bools, scores: Floats, codes: Codes, m: Codes, n: Codes) -> tuple[float, Floats]:
    """Pair-weighted AUC over strata and the influence value of every case."""
    order = np.argsort(codes, kind="stable")
    edges = np.flatnonzero(np.diff(codes[order])) + 1
    placed = np.empty(truth.size)
    pairs = float((m * n).sum())
    total = 0.0
    for members in np.split(order, edges):
        value, placed[members] = placements(truth[members], scores[members])
        total += value * m[codes[members[0]]] * n[codes[members[0]]]
    auc_within = float(total / pairs)
    return auc_within, np.where(truth, n[codes], m[codes]) * (placed - auc_within) / pairs


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
