"""Calibration in bins: calibration curve, expected calibration error, and Brier score with its decomposition."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from overread import codes
from overread.stats.arrays import Bools, Codes, Floats, check_confidence, check_word, probability_array, truth_array
from overread.stats.calibration.binning import BINNINGS, bin_codes
from overread.stats.calibration.logistic_fits import no_level
from overread.stats.calibration.recalibration import isotonic_fit
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.rates.proportions import rate, wilson
from overread.stats.result_text import described
from overread.stats.sampling_design import Sampling, everyone, involved, sampling

_NO_SPREAD = 1e-13  # standard errors below this are rounding error
_ALIKE = codes.notes(codes.note("equal_errors"), codes.note("zero_variance"))


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationCurve:
    """Calibration curve in bins that contain a case.

    Attributes
    ----------
    probability : ndarray of float64, shape (n_bins,)
        Mean predicted probability of the bin.
    observed : ndarray of float64, shape (n_bins,)
        Observed proportion of present cases.
    low : ndarray of float64, shape (n_bins,)
        Lower confidence limit of the proportion.
    high : ndarray of float64, shape (n_bins,)
        Upper confidence limit of the proportion.
    n : ndarray of intp, shape (n_bins,)
        Number of cases.
    method : str
        Interval and binning.

    Notes
    -----
    `calibration_curve` returns this result.
    """

    __repr__ = described

    probability: Floats  # (n_bins,)
    observed: Floats
    low: Floats
    high: Floats
    n: NDArray[np.intp]
    method: codes.Text


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """Calibration errors over bins.

    Attributes
    ----------
    ece : Estimate
        Expected calibration error: mean distance between probability and observed proportion.
    maximum : float
        Largest distance of a bin.
    root_mean_square : float
        Root mean square distance.
    expected_if_calibrated : float
        Expected ECE of perfectly calibrated probabilities with as many cases.
    debiased : float
        ECE times the square root of the proportion of its squared error that is not sampling error.
    bins_used : int
        Number of bins that contain a case.

    Notes
    -----
    `ece` returns this result.
    """

    __repr__ = described

    ece: Estimate
    maximum: float
    root_mean_square: float
    expected_if_calibrated: float  # the ECE that perfect probabilities would show on as many cases
    debiased: float  # the ECE times the root of the share of its squared error that is not noise
    bins_used: int


@dataclass(frozen=True, slots=True)
class Brier:
    """Brier score and its decompositions.

    Attributes
    ----------
    brier : Estimate
        Brier score.
    scaled : Estimate
        1 - Brier / (prevalence (1 - prevalence)).
    reliability : float
        Reliability in bins (Murphy), 0 is best.
    resolution : float
        Resolution in bins (Murphy).
    uncertainty : float
        prevalence (1 - prevalence).
    miscalibration : float
        Miscalibration by isotonic regression (CORP).
    discrimination : float
        Discrimination by isotonic regression (CORP).

    Notes
    -----
    `brier` returns this result.
    """

    __repr__ = described

    brier: Estimate
    scaled: Estimate
    reliability: float
    resolution: float
    uncertainty: float
    miscalibration: float
    discrimination: float


@dataclass(frozen=True, slots=True, eq=False)
class _Cases:
    """Validated cases; `mass` holds weights that sum to 1."""

    truth: Bools
    p: Floats
    sample: Sampling
    mass: Floats  # (n_cases,) weights, summing to 1


def calibration_curve(
    y: ArrayLike,
    probability: ArrayLike,
    *,
    bins: int = 10,
    binning: str = "mass",
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    finite: bool = False,
    confidence: float = 0.95,
) -> CalibrationCurve:
    """Calibration curve: observed proportion of present cases by predicted probability, in bins.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    probability : array_like of float, shape (n_cases,)
        Predicted probability of each case, in [0, 1].
    bins : int, default 10
        Number of bins.
    binning : {"mass", "width", "width-left", "mass-rank"}, default "mass"
        Equal numbers of cases with ties together, equal width (right-closed or left-closed), or equal numbers with ties
        split; see `overread.stats.calibration.binning`.
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
    CalibrationCurve
        Bins that contain cases, with pointwise Wilson score intervals; with `cluster` or `weights` the effective sample
        size is used.

    Raises
    ------
    InputError
        If a probability is outside [0, 1], an array has another shape, or an option is invalid.

    Notes
    -----
    Intervals are conditional on the bins. Cases or clusters are assumed to be independent. Checked against R 4.2.2 and
    a brute-force reference implementation.

    References
    ----------
    * Bröcker J, Smith LA (2007). Increasing the reliability of reliability diagrams. Weather and Forecasting
      22:651-661. doi:10.1175/WAF993.1

    Examples
    --------
    >>> c = calibration_curve([0, 0, 1, 1], [0.1, 0.3, 0.6, 0.8], bins=2)
    >>> c.probability.tolist(), c.observed.tolist(), c.n.tolist()
    ([0.2, 0.7], [0.0, 1.0], [2, 2])
    """
    where = "calibration_curve"
    check_confidence(confidence, where=where)
    cases = _cases(y, probability, sampling_of=(cluster, weights, strata, finite), where=where)
    code, used = _binned(cases, bins, binning, where)
    size = np.bincount(code, cases.mass, minlength=used)
    mean = np.bincount(code, cases.mass * cases.p, minlength=used) / size
    observed = np.bincount(code, cases.mass * cases.truth, minlength=used) / size
    observed = np.clip(observed, 0.0, 1.0)  # rounding error may exceed 1
    n = np.bincount(code, minlength=used)
    if cases.sample.simple:
        limits = [wilson(float(o), float(m), confidence) for o, m in zip(observed, n, strict=True)]
        method = codes.methods(codes.method("wilson"), _bins_method(bins, binning))
    else:
        limits = _effective_limits(cases, code, observed, n, confidence)
        effective = codes.method("wilson_effective_sizes")
        method = codes.methods(effective, cases.sample.words, _bins_method(bins, binning))
    low, high = np.array(limits).reshape(-1, 2).T
    return CalibrationCurve(mean, observed, low, high, n, method)


@named()
def ece(
    y: ArrayLike,
    probability: ArrayLike,
    *,
    bins: int = 15,
    binning: str = "mass",
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    finite: bool = False,
    confidence: float = 0.95,
) -> CalibrationError:
    """Expected calibration error (ECE): mean distance over bins between probability and observed proportion.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    probability : array_like of float, shape (n_cases,)
        Predicted probability of each case, in [0, 1].
    bins : int, default 15
        Number of bins.
    binning : {"mass", "width", "width-left", "mass-rank"}, default "mass"
        As for `calibration_curve`.
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
    CalibrationError
        ECE with its linearised interval for these bins, and further measures.

    Raises
    ------
    InputError
        If a probability is outside [0, 1], an array has another shape, or an option is invalid.

    Notes
    -----
    The ECE is non-negative and increases with sampling error. `expected_if_calibrated` is its expectation under perfect
    calibration and `ece.p` (independent cases only) the probability of at least the observed ECE. If the ECE is not
    distinguishable from sampling error under perfect calibration (one-sided 5 %), the interval would be invalid and is
    NaN with a note. `debiased` subtracts the expected contribution of sampling error from the mean squared error in
    bins (Kumar et al. 2019), at least 0, and shrinks the ECE accordingly. Cases or clusters are assumed to be
    independent. Checked against R 4.2.2 (all four binnings); interval, p and debiased value by simulation.

    References
    ----------
    * Guo C, Pleiss G, Sun Y, Weinberger KQ (2017). On calibration of modern neural networks. arXiv:1706.04599
    * Bröcker J (2012). Estimating reliability and resolution of probability forecasts through decomposition of the
      empirical score. Climate Dynamics 39:655-667. doi:10.1007/s00382-011-1191-1
    * Kumar A, Liang P, Ma T (2019). Verified uncertainty calibration. arXiv:1909.10155

    Examples
    --------
    >>> e = ece([0, 0, 1, 1], [0.1, 0.3, 0.6, 0.8], bins=2)
    >>> round(e.ece.value, 3), e.bins_used
    (0.25, 2)
    """
    where = "ece"
    check_confidence(confidence, where=where)
    cases = _cases(y, probability, sampling_of=(cluster, weights, strata, finite), where=where)
    code, used = _binned(cases, bins, binning, where)
    method = _bins_method(bins, binning)
    if not used:
        return CalibrationError(Estimate(nan, method=method, note=codes.note("no_cases")), nan, nan, nan, nan, 0)
    gap = cases.p - cases.truth
    signed_error = np.bincount(code, cases.mass * gap, minlength=used)  # (used,) signed contribution to the error
    size = np.bincount(code, cases.mass, minlength=used)
    value = float(np.abs(signed_error).sum())
    noise = _noise(cases, code, used, gap - (signed_error / size)[code])  # (used,) variance of the signed error
    mean, spread = float(np.sqrt(2 / pi * noise).sum()), sqrt(float((1 - 2 / pi) * noise.sum()))
    estimate = _ece_interval(cases, value, np.sign(signed_error)[code] * gap, mean, spread, method, confidence)
    squared, noise_part = float(np.sum(signed_error**2 / size)), float(np.sum(noise / size))
    signal_proportion = sqrt(max(1 - noise_part / squared, 0.0)) if squared else 0.0
    return CalibrationError(
        estimate, float(np.max(np.abs(signed_error) / size)), sqrt(squared), mean, signal_proportion * value, used
    )


@named()
def brier(
    y: ArrayLike,
    probability: ArrayLike,
    *,
    bins: int = 10,
    binning: str = "width-left",
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    finite: bool = False,
    confidence: float = 0.95,
) -> Brier:
    """Brier score (mean squared difference between probability and truth) and its decompositions.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    probability : array_like of float, shape (n_cases,)
        Predicted probability of each case, in [0, 1].
    bins : int, default 10
        Number of bins of Murphy's decomposition.
    binning : {"mass", "width", "width-left", "mass-rank"}, default "width-left"
        As for `calibration_curve`.
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
    Brier
        Brier score and scaled Brier score with linearised intervals, and the terms of both decompositions. If a class
        is empty, scaled values are NaN with a note.

    Raises
    ------
    InputError
        If a probability is outside [0, 1], an array has another shape, or an option is invalid.

    Notes
    -----
    Murphy's decomposition in bins, Brier = reliability - resolution + uncertainty, is exact up to the variation within
    bins. The CORP decomposition by isotonic regression, Brier = miscalibration - discrimination + uncertainty, is
    exact. Cases or clusters are assumed to be independent. Checked against R 4.2.2 (rms 6.5.0 and formulas).

    References
    ----------
    * Brier GW (1950). Verification of forecasts expressed in terms of probability. Monthly Weather Review 78:1-3.
      doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    * Murphy AH (1973). A new vector partition of the probability score. Journal of Applied Meteorology 12:595-600.
      doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2
    * Dimitriadis T, Gneiting T, Jordan AI (2021). Stable reliability diagrams for probabilistic classifiers. PNAS
      118:e2016191118. doi:10.1073/pnas.2016191118
    * Steyerberg EW et al. (2010). Assessing the performance of prediction models: a framework for traditional and novel
      measures. Epidemiology 21:128-138. doi:10.1097/EDE.0b013e3181c30fb2

    Examples
    --------
    >>> b = brier([0, 0, 1, 1], [0.1, 0.3, 0.6, 0.8])
    >>> round(b.brier.value, 4), round(b.scaled.value, 2)
    (0.075, 0.7)
    """
    where = "brier"
    check_confidence(confidence, where=where)
    cases = _cases(y, probability, sampling_of=(cluster, weights, strata, finite), where=where)
    code, used = _binned(cases, bins, binning, where)
    if not used:
        empty = Estimate(nan, method=codes.method("linearised"), note=codes.note("no_cases"))
        return Brier(empty, empty, nan, nan, nan, nan, nan)
    squared = (cases.p - cases.truth) ** 2
    value, prevalence = float((cases.mass * squared).sum()), float((cases.mass * cases.truth).sum())
    null = prevalence * (1 - prevalence)
    score = _linear(cases, value, squared - value, confidence)
    scaled = Estimate(nan, method=score.method, note=no_level(cases.truth))
    if 0 < prevalence < 1 and 0 < np.count_nonzero(cases.truth) < cases.truth.size:
        slope = (1 - 2 * prevalence) * (cases.truth - prevalence)
        scaled = _linear(
            cases, 1 - value / null, (value / null * slope - (squared - value)) / null, confidence, floor=-np.inf
        )
    size = np.bincount(code, cases.mass, minlength=used)
    mean = np.bincount(code, cases.mass * cases.p, minlength=used) / size
    observed = np.bincount(code, cases.mass * cases.truth, minlength=used) / size
    isotonic = isotonic_fit(cases.truth, cases.p, cases.sample.weights)
    isotonic_score = float((cases.mass * (isotonic - cases.truth) ** 2).sum())
    reliability, resolution = size @ (mean - observed) ** 2, size @ (observed - prevalence) ** 2
    return Brier(
        score, scaled, float(reliability), float(resolution), null, value - isotonic_score, null - isotonic_score
    )


def _cases(
    y: ArrayLike,
    probability: ArrayLike,
    *,
    sampling_of: tuple[ArrayLike | None, ArrayLike | None, ArrayLike | None, bool],
    where: str,
) -> _Cases:
    """Validated cases with normalised weights."""
    truth = truth_array(y, where=where)
    p = probability_array(probability, truth.size, where=where)
    cluster, weights, strata, finite = sampling_of
    sample = sampling(truth.size, where=where, cluster=cluster, weights=weights, strata=strata, finite=finite)
    weight = sample.weigh(everyone(truth.size))
    return _Cases(truth, p, sample, weight / weight.sum() if weight.size else weight)


def _binned(cases: _Cases, bins: int, binning: str, where: str) -> tuple[Codes, int]:
    """Bin code of each case and number of bins."""
    check_word(binning, BINNINGS, where=where, name="binning")
    if not cases.p.size:
        return np.zeros(0, dtype=np.intp), 0
    return bin_codes(cases.p, bins, binning, cases.sample.weights)


def _by_bin(cases: _Cases, code: Codes, used: int, values: NDArray[np.float64] | Bools) -> Floats:
    """Weighted sums of values by bin and patient, (used, n_patients)."""
    patients = cases.sample.n_patients
    patient = np.arange(cases.p.size) if cases.sample.patient is None else cases.sample.patient
    flat = np.bincount(code * patients + patient, cases.mass * values, minlength=used * patients)
    return flat.reshape(used, patients).astype(np.float64, copy=False)


def _effective_limits(
    cases: _Cases, code: Codes, observed: Floats, n: NDArray[np.intp], confidence: float
) -> list[tuple[float, float]]:
    """Wilson score limits of each bin at its effective sample size."""
    size = _by_bin(cases, code, n.size, everyone(cases.p.size))
    right = _by_bin(cases, code, n.size, cases.truth)
    limits = []
    for b in range(n.size):
        totals = (right[b] - observed[b] * size[b]) / size[b].sum()
        variance = cases.sample.variance(totals, involved(size[b]))
        e = rate(float(observed[b]), variance, int(n[b]), size[b], cases.sample, confidence=confidence)
        limits.append((e.low, e.high))
    return limits


def _linear(cases: _Cases, value: float, influence: Floats, confidence: float, floor: float = 0.0) -> Estimate:
    """Estimate of a mean with its Wald interval within [floor, 1], from influence values (n_cases,) with mean 0."""
    value = min(max(value, floor), 1.0)  # rounding error may exceed the range
    totals = cases.sample.totals(influence) / cases.sample.weigh(everyone(influence.size)).sum()
    variance = cases.sample.variance(totals, cases.sample.n_patients)
    if not variance >= 0:
        return Estimate(value, method=cases.sample.words, note=cases.sample.note or codes.note("one_patient"))
    method, se = codes.methods(cases.sample.words, codes.method("scale_wald")), sqrt(variance)
    if se < _NO_SPREAD:
        note = codes.note("whole_population") if cases.sample.census else _ALIKE
        return Estimate(value, value, value, se=0.0, method=method, note=note)
    half = float(ndtri(0.5 + confidence / 2)) * se
    return Estimate(value, max(value - half, floor), min(value + half, 1.0), se=se, method=method)


def _noise(cases: _Cases, code: Codes, used: int, residual: Floats) -> Floats:
    """Variance of the contribution of each bin to the error under perfect calibration, (used,).

    `residual` (n_cases,) is the error of a case minus the mean error of its bin. Under perfect calibration the ECE is a
    sum of absolute normal values with these variances (Bröcker 2012).
    """
    if cases.sample.patient is None:
        return np.asarray(np.bincount(code, cases.mass**2 * cases.p * (1 - cases.p), minlength=used), dtype=np.float64)
    return np.asarray((_by_bin(cases, code, used, residual) ** 2).sum(axis=1))  # errors within a patient are correlated


def _ece_interval(
    cases: _Cases, value: float, signed: Floats, mean: float, spread: float, method: codes.Text, confidence: float
) -> Estimate:
    """ECE with its interval, omitted if the ECE is not distinguishable from sampling error."""
    e = _linear(cases, value, signed - value, confidence)
    excess = (value - mean) / spread if spread else (np.inf if value > mean else 0.0)
    p = float(ndtr(-excess)) if cases.sample.patient is None else nan
    if excess < 1.6448536269514722:
        return Estimate(e.value, se=e.se, p=p, method=method, note=codes.note("consistent_with_calibration"))
    return Estimate(e.value, e.low, e.high, se=e.se, p=p, method=codes.methods(method, e.method), note=e.note)


def _bins_method(bins: int, binning: str) -> codes.Text:
    if binning == "mass":
        return codes.method("bins_equal_frequency", n=bins)
    if binning == "mass-rank":
        return codes.method("bins_equal_frequency_ties_split", n=bins)
    if binning == "width":
        return codes.method("bins_equal_width", n=bins)
    return codes.method("bins_equal_width_left_closed", n=bins)
