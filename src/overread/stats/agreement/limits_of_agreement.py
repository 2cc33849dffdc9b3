"""Agreement of two measurements: bias, limits of agreement (Bland and Altman) and concordance (Lin)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import atanh, inf, isnan, nan, sqrt, tanh

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from overread import codes
from overread.errors import InputError
from overread.stats.agreement.ratings import measured, selected
from overread.stats.arrays import Floats, check_confidence, check_word
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.quantiles import critical
from overread.stats.random_numbers import Random
from overread.stats.resampling.replicates import (
    NO_SPREAD,
    NOTHING,
    jackknife_error,
    left_out,
    percentiles,
    replicated,
)
from overread.stats.result_text import described
from overread.stats.sampling_design import Sampling


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Agreement of two measurements A and B of the same cases.

    Attributes
    ----------
    bias : Estimate
        Mean difference A - B, with the p value of no bias.
    lower : Estimate
        Lower limit of agreement, bias - multiplier x sd.
    upper : Estimate
        Upper limit of agreement, bias + multiplier x sd.
    sd : float
        Standard deviation of the differences.
    concordance : Estimate
        Lin's concordance correlation coefficient.
    accuracy : float
        Lin's bias correction factor, 1 if mean and variance are equal.
    n_cases : int
        Number of cases with both measurements.
    note : str
        Number of omitted cases, or "".

    Notes
    -----
    `bland_altman` returns this result.
    """

    __repr__ = described

    bias: Estimate  # mean difference; p of no bias
    lower: Estimate  # limits of agreement: bias -/+ multiplier x sd
    upper: Estimate
    sd: float  # of the differences
    concordance: Estimate  # Lin's coefficient
    accuracy: float  # Lin's bias correction factor, 1 where neither mean nor spread differ
    n_cases: int
    note: codes.Text


@named()
def bland_altman(
    a: ArrayLike,
    b: ArrayLike,
    *,
    multiplier: float = 1.96,
    error: str = "1999",
    cluster: ArrayLike | None = None,
    rng: Random | None = None,
    replicates: int = 2000,
    confidence: float = 0.95,
) -> BlandAltman:
    """Bias and limits of agreement of two measurements (Bland and Altman), and Lin's concordance.

    Parameters
    ----------
    a, b : array_like of float, shape (n_cases,)
        Measurements A and B; NaN = not measured.
    multiplier : float, default 1.96
        Number of standard deviations between bias and limit; 1.96 covers 95 % of normal differences.
    error : {"1999", "simple"}, default "1999"
        Standard error of a limit: exact for normal differences (1999), or sqrt(3 sd^2 / n) (1986).
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    rng : numpy.random.Generator, optional
        If given, the interval is the percentile interval of a bootstrap over patients instead of the analytic one.
    replicates : int, default 2000
        Number of bootstrap replicates.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    BlandAltman
        Bias and limits with Student's t intervals (n - 1 degrees of freedom) and concordance with an interval on
        Fisher's scale. With `cluster`, standard errors are linearised over patients (concordance: jackknife).

    Raises
    ------
    InputError
        If the arrays have different shapes or are not numeric, or an option is invalid.

    Notes
    -----
    Cases without both measurements are omitted and counted in the note. Bias and variance are assumed not to depend on
    the size of the measurement; plot the differences first. Checked against the formulas in R 4.2.2 and epiR 2.0.57.

    References
    ----------
    * Bland JM, Altman DG (1986). Statistical methods for assessing agreement between two methods of clinical
      measurement. Lancet 327:307-310. doi:10.1016/S0140-6736(86)90837-8
    * Bland JM, Altman DG (1999). Measuring agreement in method comparison studies. Statistical Methods in Medical
      Research 8:135-160. doi:10.1177/096228029900800204
    * Lin LI (1989). A concordance correlation coefficient to evaluate reproducibility. Biometrics 45:255-268.
      doi:10.2307/2532051

    Examples
    --------
    >>> r = bland_altman([10.0, 12.0, 15.0, 11.0], [9.0, 12.0, 13.0, 12.0])
    >>> r.bias.value, round(r.lower.value, 3), round(r.upper.value, 3)
    (0.5, -2.03, 3.03)
    """
    where = "bland_altman"
    check_word(error, ("1999", "simple"), where=where, name="error")
    check_confidence(confidence, where=where)
    if not multiplier > 0:
        raise InputError(f"{where}: multiplier", "a number above 0", f"{multiplier}")
    x, sample, note = _both(a, b, cluster, where)
    if len(x) < 2:
        note = codes.notes(codes.note("few_paired_measurements"), note)
        value = float((x[:, 0] - x[:, 1]).mean()) if len(x) else nan
        bias = Estimate(value, note=note)
        none = Estimate(nan, note=note)
        return BlandAltman(bias, none, none, nan, none, nan, len(x), note)
    pair = _Measured(x - x.mean(axis=0), float(x[:, 0].mean() - x[:, 1].mean()), multiplier)
    values = pair.values(np.ones((1, len(x))))[0]
    if rng is not None:
        replicate_values = replicated(pair.values, sample, rng=rng, replicates=replicates).T
        bias, lower, upper, concordance = (
            percentiles(d, float(v), sample, confidence) for d, v in zip(replicate_values, values, strict=True)
        )
    else:
        errors = pair.errors_by_patient(sample) if cluster is not None else pair.errors(exact=error == "1999")
        df = sample.n_patients - 1
        bias, lower, upper = (_student(float(v), e, df, confidence) for v, e in zip(values[:3], errors, strict=True))
        bias = replace(bias, p=float(2 * stdtr(df, -abs(bias.value) / bias.se)) if bias.low < bias.high else nan)
        lin = _lin_error(pair, float(values[3])) if cluster is None else _jackknife_error(pair, sample)
        concordance = _fisher(float(values[3]), lin, inf if cluster is None else df, confidence)
    return BlandAltman(bias, lower, upper, pair.sd, concordance, pair.accuracy, len(x), note)


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """Two measurements (n_cases, 2), each centred, and the difference of their means."""

    x: Floats
    bias: float
    multiplier: float

    @property
    def difference(self) -> Floats:
        """Centred differences A - B."""
        return np.asarray(self.x[:, 0] - self.x[:, 1])

    @property
    def sd(self) -> float:
        """Standard deviation of the differences."""
        return sqrt(float((self.difference**2).sum()) / (len(self.x) - 1))

    @property
    def accuracy(self) -> float:
        """Lin's bias correction factor."""
        spread = self.x.std(axis=0)
        total = float((spread**2).sum()) + self.bias**2
        return 2 * float(spread[0] * spread[1]) / total if spread.min() > 0 else nan

    def values(self, weights: Floats) -> Floats:
        """Bias, limits and concordance under case weights (b, n_cases), shape (b, 4)."""
        n = weights.sum(axis=1)
        d, (a, b) = self.difference, self.x.T
        with np.errstate(invalid="ignore", divide="ignore"):  # a replicate may contain one patient only
            mean, mean_a, mean_b = (weights @ v / n for v in (d, a, b))
            sd = np.sqrt(np.maximum(weights @ d**2 - n * mean**2, 0.0) / (n - 1))
            covariance = weights @ (a * b) / n - mean_a * mean_b
            bias = mean + self.bias
            total = weights @ (a**2 + b**2) / n - mean_a**2 - mean_b**2 + bias**2
            concordance = np.where(total > 0, 2 * covariance / total, nan)
        return np.stack([bias, bias - self.multiplier * sd, bias + self.multiplier * sd, concordance], axis=1)

    def errors(self, *, exact: bool) -> list[float]:
        """Standard errors of bias and limits for independent normal differences."""
        n, sd = len(self.x), self.sd
        limit = sd * (sqrt(1 / n + self.multiplier**2 / (2 * (n - 1))) if exact else sqrt(3 / n))
        return [sd / sqrt(n), limit, limit]

    def errors_by_patient(self, sample: Sampling) -> list[float]:
        """Standard errors of bias and limits linearised over patients."""
        n, d, sd = len(self.x), self.difference, self.sd
        spread = (d**2 - float((d**2).mean())) / (2 * sd * (n - 1)) if sd > 0 else np.zeros(n)
        sums = sample.totals(np.stack([d / n + side * self.multiplier * spread for side in (0, -1, 1)]))
        return [sqrt(v) if v >= 0 else nan for v in sample.variances(sums, sample.n_patients)]


def _both(a: ArrayLike, b: ArrayLike, cluster: ArrayLike | None, where: str) -> tuple[Floats, Sampling, codes.Text]:
    """Cases with both measurements, and a note on the others."""
    first, second = np.asarray(a), np.asarray(b)
    if first.ndim != 1 or first.shape != second.shape:
        raise InputError(where, "two arrays (n_cases,) of the same cases", f"shapes {first.shape} and {second.shape}")
    x = np.stack([measured(m[:, None], where=where)[:, 0] for m in (first, second)], axis=1)
    rows, _, sample, _ = selected(~np.isnan(x), where=where, cluster=cluster, least=2)
    lost = int((~rows).sum())
    note = codes.note("cases_left_out", n=lost, why="without both measurements") if lost else codes.NONE
    return x[rows], sample, note


def _student(value: float, se: float, df: int, confidence: float) -> Estimate:
    """Estimate with a Student's t interval."""
    method = codes.method("scale_t", df=df)
    if not se * se > NOTHING:
        note = codes.note("one_unit") if isnan(se) else NO_SPREAD
        return Estimate(
            value, nan if isnan(se) else value, nan if isnan(se) else value, se=se, method=method, note=note
        )
    half = critical(confidence, df) * se
    return Estimate(value, value - half, value + half, se=se, method=method)


def _lin_error(pair: _Measured, concordance: float) -> float:
    """Standard error of the concordance on Fisher's scale (Lin 1989, with the correction of 2000)."""
    n, (a, b) = len(pair.x), pair.x.T
    product = float((a * b).sum())
    scale = sqrt(float((a**2).sum()) * float((b**2).sum()))
    if n < 3 or not scale > 0 or product == 0 or not abs(concordance) < 1:
        return nan
    r, shift = product / scale, pair.bias**2 / (scale / n)
    c = concordance
    variance = (
        (1 - r**2) * c**2 * (1 - c**2) / r**2 + 2 * c**3 * (1 - c) * shift / r - c**4 * shift**2 / (2 * r**2)
    ) / (n - 2)
    return sqrt(variance) / (1 - c**2) if variance > 0 else nan


def _jackknife_error(pair: _Measured, sample: Sampling) -> float:
    """Jackknife standard error of the concordance on Fisher's scale, over patients."""
    with np.errstate(invalid="ignore", divide="ignore"):
        error = jackknife_error(np.arctanh(left_out(lambda w: pair.values(w)[:, 3], sample)))
    return error if np.isfinite(error) else nan


def _fisher(value: float, error: float, df: float, confidence: float) -> Estimate:
    """Estimate with an interval on Fisher's scale."""
    error_method = codes.method("lin") if df == inf else codes.method("jackknife")
    method = codes.methods(error_method, codes.method("scale_fisher"))
    if isnan(value):
        return Estimate(nan, method=method, note=codes.note("constant_measurements"))
    if isnan(error) or not abs(value) < 1:
        return Estimate(value, method=method, note=codes.note("undefined_error"))
    centre, half = atanh(value), critical(confidence, df) * error
    return Estimate(value, tanh(centre - half), tanh(centre + half), se=error * (1 - value**2), method=method)
