"""Obuchowski and Rockette's analysis of a crossed reader study, with Hillis's degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, nan

import numpy as np

from overread import codes
from overread.stats.arrays import Floats

ROUNDING = 1e-12  # a variance this small beside that of one reader's value is 0 but for rounding


def _none() -> Floats:
    return np.empty(0)


@dataclass(frozen=True, slots=True)
class Components:
    """Variance components of the Obuchowski-Rockette model, as estimated: they may be negative.

    The test takes max(cov2 - cov3, 0) (an arm alone: max(cov2, 0)). NaN = nothing informs it (cov1 with one arm, cov2
    and cov3 with one reader).
    """

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
        """A note on the components that came out negative, or ""."""
        named = {"reader": self.reader, "reader by arm": self.reader_by_arm, "cov2 - cov3": self.cov2 - self.cov3}
        named |= {f"cov2 of arm {i}": float(value) for i, value in enumerate(self.cov2_of_arm)}
        found = tuple(f"{name} {value:.3g}" for name, value in named.items() if _cleared(value, self) < 0)
        return codes.note("negative_components", components=found) if found else codes.NONE


@dataclass(frozen=True, slots=True)
class DifferenceSpread:
    """Variance of a mean over readers, or of a difference of two such means, and its degrees of freedom."""

    variance: float
    df: float  # infinite = normal


def _cleared(variance: float, found: Components) -> float:
    return 0.0 if abs(variance) < ROUNDING * found.error else variance


def components_of(values: Floats, covariance: Floats, n_cases: int) -> Components:
    """Values (n_arms, n_readers) on n_cases, their covariance (n_arms n_readers, the same) with readers as fixed."""
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


def difference_spread(found: Components, n_arms: int, n_readers: int, *, readers: str, cases: str) -> DifferenceSpread:
    """Of the difference of two arms: 2/J times the denominator of the test of equality."""
    shared = max(_cleared(found.cov2 - found.cov3, found), 0.0) if n_readers > 1 else 0.0
    if readers == "fixed":
        return DifferenceSpread(
            2 / n_readers * (_cleared(found.error - found.cov1, found) + (n_readers - 1) * shared), inf
        )
    own, df = _cleared(found.ms_reader_by_arm, found), float((n_arms - 1) * (n_readers - 1))
    return _random_readers(own, n_readers * shared if cases != "fixed" else 0.0, df, 2 / n_readers)


def arm_spread(found: Components, arm: int, n_readers: int, *, readers: str, cases: str) -> DifferenceSpread:
    """Of the mean over readers of one arm."""
    shared = max(float(found.cov2_of_arm[arm]), 0.0) if n_readers > 1 else 0.0
    if readers == "fixed":
        return DifferenceSpread((float(found.error_of_arm[arm]) + (n_readers - 1) * shared) / n_readers, inf)
    own = float(found.ms_reader_of_arm[arm])
    return _random_readers(own, n_readers * shared if cases != "fixed" else 0.0, float(n_readers - 1), 1 / n_readers)


def reader_variance(found: Components, reader: int) -> float:
    """Of the difference of two arms of one reader, the arms' errors pooled."""
    return 2 * float(found.error_of_reader[reader] - found.cov1_of_reader[reader])


def _random_readers(own: float, cases: float, df: float, scale: float) -> DifferenceSpread:
    """Hillis's df: the readers' mean square has its own, the part that cases add is taken as known."""
    if df == 0:
        return DifferenceSpread(nan, nan)
    whole = own + cases
    if whole == 0:
        return DifferenceSpread(0.0, df)
    share = own / whole
    return DifferenceSpread(scale * whole, df / share**2 if share > 1e-9 else inf)  # readers who do not vary: normal


def _off_diagonal(square: Floats) -> Floats:
    """Mean of what is off the diagonal of each of several squares (m, k, k) -> (m,); NaN for k = 1."""
    k = square.shape[1]
    total = square.sum(axis=(1, 2)) - np.einsum("mkk->m", square)
    return total / (k * (k - 1)) if k > 1 else np.full(len(square), nan)


def _mean_square(total: float, df: int) -> float:
    return float(total) / df if df else nan


def _mean_squares(total: Floats, df: int) -> Floats:
    return total / df if df else np.full(total.shape, nan)
