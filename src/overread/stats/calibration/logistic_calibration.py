"""Logistic calibration (intercept and slope), calibration in the large, and tests of calibration."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, logit, ndtr, ndtri

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Floats, check_confidence, probability_array, truth_array
from overread.stats.calibration.binning import bin_codes
from overread.stats.calibration.logistic_fits import LogisticFit, logistic_fit, no_level, unfit
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.result_text import described
from overread.stats.sampling_design import Sampling, everyone, involved, sampling


@dataclass(frozen=True, slots=True)
class CalibrationLine:
    """Logistic calibration: logit P(present) = intercept + slope logit(probability).

    Attributes
    ----------
    intercept : Estimate
        Intercept of the joint fit, 0 under perfect calibration.
    slope : Estimate
        Slope of the joint fit, 1 under perfect calibration.
    in_the_large : Estimate
        Calibration in the large: intercept with the slope fixed at 1.
    covariance : float
        Covariance of intercept and slope.

    Notes
    -----
    `calibration_line` returns this result.
    """

    __repr__ = described

    intercept: Estimate
    slope: Estimate
    in_the_large: Estimate
    covariance: float  # of intercept and slope


@named()
def calibration_line(
    y: ArrayLike,
    probability: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    finite: bool = False,
    confidence: float = 0.95,
) -> CalibrationLine:
    """Calibration intercept and slope (joint fit) and calibration in the large (slope fixed at 1).

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    probability : array_like of float, shape (n_cases,)
        Predicted probability of each case, in [0, 1].
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.
    strata : array_like, shape (n_cases,), optional
        Sampling stratum of each case; all cases of a patient must be in one stratum.
    finite : bool, default False
        Whether to apply the finite-population correction 1 - n_h/N_h to the variance of each stratum h, where N_h is
        the sum of the weights of the stratum.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    CalibrationLine
        Estimates with Wald intervals and p values of slope 1 and intercepts 0. NaN with a note for an empty class,
        equal probabilities or separated classes.

    Raises
    ------
    InputError
        If a probability is outside [0, 1] or an array has another shape.

    Notes
    -----
    Standard errors are those of the model; with `cluster`, `weights` or `strata` those of the sandwich estimator.
    Probabilities of exactly 0 or 1 have no logit: they are omitted and the note counts them and the wrong ones among
    them. The logit of the truth is assumed to be linear in the logit of the probability; cases or clusters are assumed
    to be independent. Checked against R 4.2.2, `glm`, and rms 6.5.0, `val.prob` (whose "Intercept" is that of the joint
    fit).

    References
    ----------
    * Cox DR (1958). Two further applications of a model for binary regression. Biometrika 45:562-565.
      doi:10.1093/biomet/45.3-4.562
    * Van Calster B et al. (2016). A calibration hierarchy for risk models was defined: from utopia to empirical data.
      Journal of Clinical Epidemiology 74:167-176. doi:10.1016/j.jclinepi.2015.12.005

    Examples
    --------
    >>> line = calibration_line([0, 0, 1, 0, 1, 1], [0.2, 0.3, 0.4, 0.5, 0.6, 0.9])
    >>> round(line.slope.value, 3), round(line.in_the_large.value, 3)
    (2.63, 0.084)
    """
    where = "calibration_line"
    check_confidence(confidence, where=where)
    truth = truth_array(y, where=where)
    p = probability_array(probability, truth.size, where=where)
    sample = sampling(truth.size, where=where, cluster=cluster, weights=weights, strata=strata, finite=finite)
    x, y_used, keep, note = _with_logit(truth, p)
    no_line, flat = unfit(y_used, x), no_level(y_used)
    z = float(ndtri(0.5 + confidence / 2))
    intercept = slope = Estimate(nan, method=codes.method("logistic_calibration"), note=codes.notes(no_line, note))
    in_the_large = Estimate(nan, method=codes.method("logistic_calibration"), note=codes.notes(flat, note))
    covariance = nan
    weight = None if sample.weights is None else sample.weights[keep]
    if not no_line:
        terms = np.stack([np.ones(x.size), x])
        fit = logistic_fit(terms, y_used.astype(np.float64), weights=weight)
        spread = _spread(fit, terms, keep, sample)
        intercept = _wald(fit.coefficients[0], spread[0, 0], 0, z, sample, note)
        slope, covariance = _wald(fit.coefficients[1], spread[1, 1], 1, z, sample, note), float(spread[0, 1])
    if not flat:
        level = np.ones((1, x.size))
        fit = logistic_fit(level, y_used.astype(np.float64), offset=x, weights=weight)
        in_the_large = _wald(fit.coefficients[0], _spread(fit, level, keep, sample)[0, 0], 0, z, sample, note)
    return CalibrationLine(intercept, slope, in_the_large, covariance)


@named("Spiegelhalter's z")
def spiegelhalter(y: ArrayLike, probability: ArrayLike) -> Estimate:
    """Spiegelhalter's z test of calibration, based on the Brier score.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    probability : array_like of float, shape (n_cases,)
        Predicted probability of each case, in [0, 1].

    Returns
    -------
    Estimate
        The value is z; p is two-sided. NaN with a note if every probability is 0, 0.5 or 1.

    Raises
    ------
    InputError
        If a probability is outside [0, 1] or an array has another shape.

    Notes
    -----
    z = sum (y - p)(1 - 2p) / sqrt(sum (1 - 2p)^2 p (1 - p)). Cases are assumed to be independent. Checked against rms
    6.5.0 (R 4.2.2).

    References
    ----------
    * Spiegelhalter DJ (1986). Probabilistic prediction in patient management and clinical trials. Statistics in
      Medicine 5:421-433. doi:10.1002/sim.4780050506

    Examples
    --------
    >>> round(spiegelhalter([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.7]).value, 4)
    -1.0835
    """
    where = "spiegelhalter"
    truth = truth_array(y, where=where)
    p = probability_array(probability, truth.size, where=where)
    spread = float(np.sum((1 - 2 * p) ** 2 * p * (1 - p)))
    if not spread:
        note = codes.note("no_spiegelhalter") if p.size else codes.note("no_cases")
        return Estimate(nan, method=codes.method("spiegelhalter"), note=note)
    z = float(np.sum((truth - p) * (1 - 2 * p))) / sqrt(spread)
    return Estimate(z, p=float(2 * ndtr(-abs(z))), method=codes.method("spiegelhalter"))


@named("Hosmer-Lemeshow chi-square")
def hosmer_lemeshow(y: ArrayLike, probability: ArrayLike, *, groups: int = 10, external: bool = True) -> Estimate:
    """Hosmer-Lemeshow test of calibration: chi-square of observed and expected numbers in groups of equal size.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    probability : array_like of float, shape (n_cases,)
        Predicted probability of each case, in [0, 1].
    groups : int, default 10
        Number of groups, divided at quantiles with ties together; at least 2, or 3 if not `external`.
    external : bool, default True
        Whether the probabilities were fitted on other cases (df = groups); otherwise df = groups - 2.

    Returns
    -------
    Estimate
        The value is chi-square; the method gives the number of groups after ties. NaN with a note if in a group none or
        all of the cases are expected to be present.

    Raises
    ------
    InputError
        If a probability is outside [0, 1], an array has another shape, or there are too few groups.

    Notes
    -----
    Cases are assumed to be independent, with about five expected cases of each class per group. The result depends on
    the grouping; report the calibration curve with it. Checked against ResourceSelection 0.3.6 (R 4.2.2).

    References
    ----------
    * Hosmer DW, Lemeshow S (1980). Goodness of fit tests for the multiple logistic regression model. Communications in
      Statistics - Theory and Methods 9:1043-1069. doi:10.1080/03610928008827941

    Examples
    --------
    >>> round(hosmer_lemeshow([0, 1, 0, 1], [0.2, 0.3, 0.6, 0.8], groups=2).value, 4)
    1.0476
    """
    where = "hosmer_lemeshow"
    truth = truth_array(y, where=where)
    p = probability_array(probability, truth.size, where=where)
    if groups < (2 if external else 3):
        raise InputError(f"{where}: groups", "at least 2 (3 when not external)", str(groups))
    if not p.size:
        return Estimate(nan, note=codes.note("no_cases"))
    group, used = bin_codes(p, groups, "mass")
    df = used if external else used - 2
    method = codes.method("hosmer_lemeshow", groups=used, df=df)
    size = np.bincount(group, minlength=used)
    expected, observed = np.bincount(group, p, minlength=used), np.bincount(group, truth, minlength=used)
    if (expected <= 0).any() or (expected >= size).any() or df < 1:
        return Estimate(nan, method=method, note=codes.note("no_hosmer_lemeshow"))
    value = float(np.sum((observed - expected) ** 2 * (1 / expected + 1 / (size - expected))))
    return Estimate(value, p=float(chdtrc(df, value)), method=method)


def _with_logit(truth: Bools, p: Floats) -> tuple[Floats, Bools, Bools, codes.Text]:
    """Logits of the probabilities that have one, their truth, a mask of these cases, and a note on the others."""
    has_logit = (p > 0) & (p < 1)
    if has_logit.all():
        return logit(p), truth, has_logit, codes.NONE
    wrong = int(np.count_nonzero((p == 1) & ~truth) + np.count_nonzero((p == 0) & truth))
    n_omitted = int(np.count_nonzero(~has_logit))
    note = codes.note("exact_probabilities", n=n_omitted, wrong=wrong)
    return logit(p[has_logit]), truth[has_logit], has_logit, note


def _spread(fit: LogisticFit, terms: Floats, keep: Bools, sample: Sampling) -> Floats:
    """Covariance of the coefficients: inverse information, or the sandwich with scores summed by patient."""
    if sample.simple:
        return fit.covariance
    scores = np.zeros((len(terms), sample.n_cases))
    scores[:, keep] = terms * fit.residual
    size = sample.totals(keep if keep.any() else everyone(sample.n_cases))
    return sample.covariance(fit.covariance @ sample.totals(scores), involved(size))


def _wald(value: float, variance: float, null: float, z: float, sample: Sampling, note: codes.Text) -> Estimate:
    """Estimate of a coefficient with its Wald interval and test."""
    method = codes.method("logistic_calibration")
    if not sample.simple:
        method = codes.methods(method, codes.method("sandwich"), sample.words)
    if isnan(value):
        return Estimate(nan, method=method, note=codes.notes(codes.note("not_converged"), note))
    if sample.census:
        note = codes.notes(codes.note("whole_population"), note)
        return Estimate(float(value), float(value), float(value), se=0.0, method=method, note=note)
    if not variance > 0:
        return Estimate(float(value), method=method, note=codes.notes(sample.note or codes.note("one_patient"), note))
    se, value = sqrt(variance), float(value)
    p = float(2 * ndtr(-abs(value - null) / se))
    return Estimate(value, value - z * se, value + z * se, se=se, p=p, method=method, note=note)
