"""Variance components of Obuchowski and Rockette for a crossed reader study, with the degrees of freedom of Hillis."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, nan

import numpy as np

from overread import codes
from overread.stats.arrays import Floats
from overread.stats.result_text import described

ROUNDING = 1e-12  # variances below this proportion of the error variance are rounding error


def _none() -> Floats:
    """Empty array, the default of array fields."""
    return np.empty(0)


@dataclass(frozen=True, slots=True)
class Components:
    """Estimated variance components of the Obuchowski-Rockette model, which may be negative.

    The test uses max(cov2 - cov3, 0), for a single arm max(cov2, 0). NaN means that the design does not identify the
    component (cov1 with one arm; cov2 and cov3 with one reader).

    Attributes
    ----------
    reader_by_arm : float
        Variance of the interaction of reader and arm.
    error : float
        Error variance of the value of one reader in one arm, from cases and within-reader variability.
    cov1 : float
        Covariance of the errors of the same reader in different arms.
    cov2 : float
        Covariance of the errors of different readers in the same arm.
    cov3 : float
        Covariance of the errors of different readers in different arms.
    n_cases : int
        Number of cases that contribute to the metric (for a rate, of its class).
    reader : float
        Variance between readers.
    ms_arm : float
        Mean square of the arms.
    ms_reader : float
        Mean square of the readers.
    ms_reader_by_arm : float
        Mean square of the interaction of reader and arm.
    error_of_arm : ndarray of float64, shape (n_arms,)
        Error variance in each arm.
    cov2_of_arm : ndarray of float64, shape (n_arms,)
        cov2 in each arm.
    ms_reader_of_arm : ndarray of float64, shape (n_arms,)
        Mean square of the readers in each arm.
    error_of_reader : ndarray of float64, shape (n_readers,)
        Error variance of each reader.
    cov1_of_reader : ndarray of float64, shape (n_readers,)
        cov1 of each reader.
    covariance : ndarray of float64, shape (n_arms, n_readers, n_arms, n_readers)
        Covariance of the values of all readers in all arms, with readers as fixed effects.

    References
    ----------
    * Obuchowski NA, Rockette HE (1995). Hypothesis testing of diagnostic accuracy for multiple readers and multiple
      tests: an ANOVA approach with dependent observations. Communications in Statistics - Simulation and Computation
      24:285-308. doi:10.1080/03610919508813243
    * Hillis SL (2007). A comparison of denominator degrees of freedom methods for multiple observer ROC analysis.
      Statistics in Medicine 26:596-619. doi:10.1002/sim.2532
    """

    __repr__ = described

    reader_by_arm: float
    error: float  # of one reader's value in one arm: cases and the reader's own inconstancy
    cov1: float  # same reader, different arms
    cov2: float  # different readers, same arm
    cov3: float  # different readers, different arms
    n_cases: int = 0  # that entered the metric (a rate: of its class); what the components shrink with
    reader: float = nan
    ms_arm: float = nan
    ms_reader: float = nan
    ms_reader_by_arm: float = nan
    error_of_arm: Floats = field(default_factory=_none)  # (n_arms,)
    cov2_of_arm: Floats = field(default_factory=_none)  # (n_arms,)
    ms_reader_of_arm: Floats = field(default_factory=_none)  # (n_arms,)
    error_of_reader: Floats = field(default_factory=_none)  # (n_readers,)
    cov1_of_reader: Floats = field(default_factory=_none)  # (n_readers,)
    covariance: Floats = field(default_factory=_none)  # (n_arms, n_readers, n_arms, n_readers)

    @property
    def negative(self) -> codes.Text:
        """Note with the names and values of negative components, or ""."""
        named = {"reader": self.reader, "reader by arm": self.reader_by_arm, "cov2 - cov3": self.cov2 - self.cov3}
        named |= {f"cov2 of arm {i}": float(value) for i, value in enumerate(self.cov2_of_arm)}
        negative = tuple(f"{name} {value:.3g}" for name, value in named.items() if _cleared(value, self) < 0)
        return codes.note("negative_components", components=negative) if negative else codes.NONE


@dataclass(frozen=True, slots=True)
class DifferenceSpread:
    """Variance and degrees of freedom of a mean over readers or of a difference of two such means."""

    variance: float
    df: float  # infinite = normal


def _cleared(variance: float, components: Components) -> float:
    """The variance, or 0 if it is within rounding error of 0."""
    return 0.0 if abs(variance) < ROUNDING * components.error else variance


def components_of(values: Floats, covariance: Floats, n_cases: int) -> Components:
    """Variance components from values (n_arms, n_readers) and their covariance matrix with readers as fixed effects."""
    n_arms, n_readers = values.shape
    table = covariance.reshape(n_arms, n_readers, n_arms, n_readers)
    same = np.einsum("ijij->ij", table)
    own, others = np.einsum("ijkj->jik", table), np.einsum("ijil->ijl", table)
    pairs = np.einsum("ijkl->", table)
    cov1_of_reader = _off_diagonal(own)
    cov2_of_arm = _off_diagonal(others)
    n_cov3 = n_arms * (n_arms - 1) * n_readers * (n_readers - 1)
    cov3 = float((pairs - own.sum() - others.sum() + same.sum()) / n_cov3) if n_cov3 else nan
    arm, reader, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
    residual = values - arm[:, None] - reader[None] + mean
    ms_arm = _mean_square(n_readers * ((arm - mean) ** 2).sum(), n_arms - 1)
    ms_reader = _mean_square(n_arms * ((reader - mean) ** 2).sum(), n_readers - 1)
    ms_both = _mean_square((residual**2).sum(), (n_arms - 1) * (n_readers - 1))
    error, cov1, cov2 = float(same.mean()), float(cov1_of_reader.mean()), float(cov2_of_arm.mean())
    return Components(
        reader_by_arm=ms_both - error + cov1 + cov2 - cov3,
        error=error,
        cov1=cov1,
        cov2=cov2,
        cov3=cov3,
        n_cases=n_cases,
        reader=(ms_reader - ms_both) / n_arms - cov1 + cov3,
        ms_arm=ms_arm,
        ms_reader=ms_reader,
        ms_reader_by_arm=ms_both,
        error_of_arm=same.mean(axis=1),
        cov2_of_arm=cov2_of_arm,
        ms_reader_of_arm=_mean_squares(((values - arm[:, None]) ** 2).sum(axis=1), n_readers - 1),
        error_of_reader=same.mean(axis=0),
        cov1_of_reader=cov1_of_reader,
        covariance=table,
    )


def difference_spread(
    components: Components, n_arms: int, n_readers: int, *, readers: str, cases: str
) -> DifferenceSpread:
    """Variance of the difference of two arms: 2/J times the denominator of the F test, for J readers."""
    shared = max(_cleared(components.cov2 - components.cov3, components), 0.0) if n_readers > 1 else 0.0
    if readers == "fixed":
        return DifferenceSpread(
            2 / n_readers * (_cleared(components.error - components.cov1, components) + (n_readers - 1) * shared), inf
        )
    reader_by_arm, df = _cleared(components.ms_reader_by_arm, components), float((n_arms - 1) * (n_readers - 1))
    return _random_readers(reader_by_arm, n_readers * shared if cases != "fixed" else 0.0, df, 2 / n_readers)


def arm_spread(components: Components, arm: int, n_readers: int, *, readers: str, cases: str) -> DifferenceSpread:
    """Variance of the mean over readers of one arm."""
    shared = max(float(components.cov2_of_arm[arm]), 0.0) if n_readers > 1 else 0.0
    if readers == "fixed":
        return DifferenceSpread((float(components.error_of_arm[arm]) + (n_readers - 1) * shared) / n_readers, inf)
    reader = float(components.ms_reader_of_arm[arm])
    return _random_readers(reader, n_readers * shared if cases != "fixed" else 0.0, float(n_readers - 1), 1 / n_readers)


def reader_variance(components: Components, reader: int) -> float:
    """Variance of the difference of two arms of one reader, with error variances pooled over arms."""
    return 2 * float(components.error_of_reader[reader] - components.cov1_of_reader[reader])


def _random_readers(readers: float, cases: float, df: float, scale: float) -> DifferenceSpread:
    """Variance with the degrees of freedom of Hillis (2007): the part due to cases is treated as known."""
    if df == 0:
        return DifferenceSpread(nan, nan)
    total = readers + cases
    if total == 0:
        return DifferenceSpread(0.0, df)
    share = readers / total
    return DifferenceSpread(
        scale * total, df / share**2 if share > 1e-9 else inf
    )  # normal without variance between readers


def _off_diagonal(square: Floats) -> Floats:
    """Mean of the off-diagonal elements of each of m matrices (m, k, k), shape (m,); NaN for k = 1."""
    k = square.shape[1]
    total = square.sum(axis=(1, 2)) - np.einsum("mkk->m", square)
    return total / (k * (k - 1)) if k > 1 else np.full(len(square), nan)


def _mean_square(total: float, df: int) -> float:
    """Sum of squares divided by its degrees of freedom; NaN without degrees of freedom."""
    return float(total) / df if df else nan


def _mean_squares(total: Floats, df: int) -> Floats:
    """Elementwise `_mean_square`."""
    return total / df if df else np.full(total.shape, nan)
