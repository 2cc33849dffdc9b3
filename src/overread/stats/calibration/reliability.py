"""Probabilities in bins against what was observed: the calibration curve, its error, and the Brier score's parts."""

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
from overread.stats.rates.proportions import rate, wilson
from overread.stats.sampling_design import Sampling, everyone, involved, sampling

_NO_SPREAD = 1e-13  # a standard error that is a rounding of 0
_ALIKE = codes.notes(codes.note("equal_errors"), codes.note("zero_variance"))


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationCurve:
    """Per bin that holds a case: mean probability, observed rate with its interval, and the number of cases."""

    probability: Floats  # (n_bins,)
    observed: Floats
    low: Floats
    high: Floats
    n: NDArray[np.intp]
    method: codes.Text


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """Mean, largest and root mean square distance between probability and observed rate over the bins."""

    ece: Estimate
    maximum: float
    root_mean_square: float
    expected_if_calibrated: float  # the ECE that perfect probabilities would show on as many cases
    debiased: float  # the ECE times the root of the share of its squared error that is not noise
    bins_used: int


@dataclass(frozen=True, slots=True)
class Brier:
    """The Brier score, scaled by that of the prevalence, and its parts: binned (Murphy) and by isotonic fit (CORP)."""

    brier: Estimate
    scaled: Estimate
    reliability: float
    resolution: float
    uncertainty: float
    miscalibration: float
    discrimination: float


@dataclass(frozen=True, slots=True, eq=False)
class _Cases:
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
    """The rate of present cases among those given about the same probability.

    Parameters: y truth bool (n_cases,); probability in [0, 1] (n_cases,); bins; binning "mass" (equal numbers, ties
    together), "width" (right-closed), "width-left", "mass-rank", see `binning`; cluster, weights, strata and finite,
    see `sampling`. Returns a CalibrationCurve of the bins that hold cases, with Wilson intervals (at the effective
    sample size with cluster or weights), pointwise, for the bins as they are. Raises InputError for probabilities
    outside [0, 1]. Assumes independent cases or clusters. Bröcker & Smith (2007) doi:10.1175/WAF993.1.
    Checked against R 4.2.2 and a slow twin.

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
    observed = np.clip(observed, 0.0, 1.0)  # a sum of fractions may end a rounding above 1
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
    """Expected calibration error: the mean distance, over bins of cases, between probability and observed rate.

    Parameters: y truth bool (n_cases,); probability in [0, 1] (n_cases,); bins and binning, see `calibration_curve`;
    cluster, weights, strata, finite, see `sampling`.
    Returns a CalibrationError. The ECE is never negative and grows with noise: `expected_if_calibrated` is what perfect
    probabilities would show on as many cases, and `ece.p` (independent cases only) the chance of at least the ECE seen
    then; `debiased` takes the noise out: the mean squared error in bins less what noise adds to it (Kumar), 0 where
    nothing is left, and the ECE shrunk in that proportion. The interval is the linearised one for these bins; where the
    ECE does not stand clear of noise (one-sided 5 %) it would be wrong and is NaN with a note.
    Assumes independent cases or clusters. Guo et al. (2017) arXiv:1706.04599; Bröcker (2012)
    doi:10.1007/s00382-011-1191-1; Kumar, Liang & Ma (2019) arXiv:1909.10155.
    Checked against R 4.2.2 (all four binnings); interval, p and debiased value by simulation.

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
    part = np.bincount(code, cases.mass * gap, minlength=used)  # (used,) signed share of the error
    size = np.bincount(code, cases.mass, minlength=used)
    value = float(np.abs(part).sum())
    noise = _noise(cases, code, used, gap - (part / size)[code])  # (used,) variance of part
    mean, spread = float(np.sqrt(2 / pi * noise).sum()), sqrt(float((1 - 2 / pi) * noise.sum()))
    estimate = _ece_interval(cases, value, np.sign(part)[code] * gap, mean, spread, method, confidence)
    squared, by_noise = float(np.sum(part**2 / size)), float(np.sum(noise / size))
    left = sqrt(max(1 - by_noise / squared, 0.0)) if squared else 0.0
    return CalibrationError(estimate, float(np.max(np.abs(part) / size)), sqrt(squared), mean, left * value, used)


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
    """The mean squared distance between probability and truth, and its parts.

    Parameters: y truth bool (n_cases,); probability in [0, 1] (n_cases,); bins and binning of Murphy's parts, see
    `calibration_curve`; cluster, weights, strata, finite, see `sampling`.
    Returns a Brier: `brier` and `scaled` = 1 - Brier / (prevalence (1 - prevalence)) with linearised intervals;
    Murphy's reliability (0 is best), resolution and uncertainty, Brier = reliability - resolution + uncertainty up to
    the spread within bins; and, without bins, miscalibration and discrimination from the isotonic fit, Brier =
    miscalibration - discrimination + uncertainty exactly. One class: what is scaled is NaN with a note.
    Assumes independent cases or clusters. Brier (1950) doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; Murphy
    (1973) doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2; Dimitriadis et al. (2021) doi:10.1073/pnas.2016191118;
    Steyerberg et al. (2010) doi:10.1097/EDE.0b013e3181c30fb2 (scaled). Checked against R 4.2.2 (rms 6.5.0, formulas).

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
    fitted = isotonic_fit(cases.truth, cases.p, cases.sample.weights)
    left = float((cases.mass * (fitted - cases.truth) ** 2).sum())
    reliability, resolution = size @ (mean - observed) ** 2, size @ (observed - prevalence) ** 2
    return Brier(score, scaled, float(reliability), float(resolution), null, value - left, null - left)


def _cases(
    y: ArrayLike,
    probability: ArrayLike,
    *,
    sampling_of: tuple[ArrayLike | None, ArrayLike | None, ArrayLike | None, bool],
    where: str,
) -> _Cases:
    truth = truth_array(y, where=where)
    p = probability_array(probability, truth.size, where=where)
    cluster, weights, strata, finite = sampling_of
    sample = sampling(truth.size, where=where, cluster=cluster, weights=weights, strata=strata, finite=finite)
    weight = sample.weigh(everyone(truth.size))
    return _Cases(truth, p, sample, weight / weight.sum() if weight.size else weight)


def _binned(cases: _Cases, bins: int, binning: str, where: str) -> tuple[Codes, int]:
    check_word(binning, BINNINGS, where=where, name="binning")
    if not cases.p.size:
        return np.zeros(0, dtype=np.intp), 0
    return bin_codes(cases.p, bins, binning, cases.sample.weights)


def _by_bin(cases: _Cases, code: Codes, used: int, values: NDArray) -> Floats:
    """Sums of mass times value per bin and patient (used, n_patients)."""
    patients = cases.sample.n_patients
    patient = np.arange(cases.p.size) if cases.sample.patient is None else cases.sample.patient
    flat = np.bincount(code * patients + patient, cases.mass * values, minlength=used * patients)
    return flat.reshape(used, patients).astype(np.float64, copy=False)


def _effective_limits(
    cases: _Cases, code: Codes, observed: Floats, n: NDArray[np.intp], confidence: float
) -> list[tuple[float, float]]:
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
    """A mean with its Wald interval; influence (n_cases,) has mean 0; cut to [floor, 1]."""
    value = min(max(value, floor), 1.0)  # a sum of fractions may end a rounding beyond its range, and its limit not
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
    """Variance of each bin's share of the error if the probabilities are perfect, (used,).

    residual (n_cases,) is the error of a case less the mean error of its bin. The ECE of perfect probabilities is a sum
    of absolute normal values of these variances.
    """
    if cases.sample.patient is None:
        return np.asarray(np.bincount(code, cases.mass**2 * cases.p * (1 - cases.p), minlength=used), dtype=np.float64)
    return np.asarray((_by_bin(cases, code, used, residual) ** 2).sum(axis=1))  # within a patient errors go together


def _ece_interval(
    cases: _Cases, value: float, signed: Floats, mean: float, spread: float, method: codes.Text, confidence: float
) -> Estimate:
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
