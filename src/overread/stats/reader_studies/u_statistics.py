"""U-statistic analysis of reader studies of any design (Gallas), with random readers and cases.

Each read has the same weight. The variance of U = (sum of wins) / (number of wins) is U^2 minus an unbiased estimate of
its squared expectation, the mean product of two wins that share neither reader nor case (nor patient). Moments are
indexed by what the two factors share, [reader, present case, absent case], 0 = different, 1 = same. The moments M1 to
M8 of Gallas (2006), doi:10.1016/j.acra.2005.11.030, are [1,1,1], [1,1,0], [1,0,1], [1,0,0], [0,1,1], [0,1,0], [0,0,1]
and [0,0,0].
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan, nan

import numpy as np

from overread import codes
from overread.stats.arrays import Bools, Codes, Floats
from overread.stats.reader_studies.shared_kernel_sums import shared_kernels, totals
from overread.stats.result_text import described


@dataclass(frozen=True, slots=True)
class Moments:
    """U-statistic moments of the arms, for the q combinations of a rate and an arm (Youden index: sensitivities first).

    The axes [r, p, a] state what two wins share: reader, present case, absent case. With patients, p stands for a
    shared patient and a is unused. A moment that the design does not identify is 0 with coefficient 0.
    """

    __repr__ = described

    values: Floats  # (q,)
    moments: Floats  # (q, q, 2, 2, 2) unbiased
    biased: Floats  # (q, q, 2, 2, 2) of V-statistics, "different" read as "any"
    coefficients: Floats  # (q, q, 2, 2, 2); that of [0, 0, 0] less 1; covariance = sum of coefficients x moments
    covariance: Floats  # (n_arms, n_arms), unbiased: may be negative on the diagonal
    covariance_biased: Floats  # (n_arms, n_arms), of V-statistics
    reader_values: Floats  # (n_arms, n_readers)
    reader_covariance: Floats  # (n_arms, n_arms, n_readers) of one reader taken as fixed, unbiased
    note: codes.Text = codes.NONE
    pooled: bool = False  # readers with unequal numbers of kernels: the value is not the mean of the readers' values

    @property
    def components(self) -> Floats:
        """Variance components (q, q, 2, 2, 2): [1,0,0] of readers, [0,1,0] of present cases, and so on.

        A component with coefficient 0 is 0.
        """
        return np.where(self.component_coefficients != 0, _alternating(self.moments), 0.0)

    @property
    def components_biased(self) -> Floats:
        """Components of the V-statistics, which determine the degrees of freedom."""
        return np.where(self.component_coefficients != 0, _alternating(self.biased), 0.0)

    @property
    def component_coefficients(self) -> Floats:
        """Coefficients (q, q, 2, 2, 2) of the components; the covariance is the sum of products without [0,0,0]."""
        return _with_same(self.coefficients)


def moments_of(
    y: Bools,
    scores: Floats,
    metric: str,
    cluster: Codes | None = None,
    *,
    centred: bool = False,
    weights: Floats | None = None,
) -> Moments:
    """Moments from truth (n_cases,), scores or calls (n_arms, n_readers, n_cases), NaN = not read, and patient codes.

    With `centred`, kernels are deviations from the value of the arm. The estimated variance is the same, but its
    estimate is no longer a small difference between U^2 and a mean product with other weights.

    `weights` (n_cases,) are inverse inclusion probabilities: a kernel has the product of the weights of its cases.
    Values are then ratios of weighted sums; centred at them, the mean products are those of the linearised ratio, so
    that the variance also holds if weights and answers are related. They require `centred`.
    """
    parts = {"auc": ("auc",), "youden": ("sensitivity", "specificity")}.get(metric, (metric,))
    win_sums, win_counts = totals(y, scores, parts, weights=weights)
    values = _share(win_sums.sum(axis=1), win_counts.sum(axis=1), empty=nan)
    centre = np.repeat((np.nan_to_num(values) * centred)[:, None], scores.shape[1], axis=1)
    wins, counts = shared_kernels(y, scores, parts, centre, cluster, weights=weights)
    by_reader = wins.by_reader
    if weights is not None:  # each reader as fixed: the ratio of that reader is linearised at its own value
        own = np.nan_to_num(_share(win_sums, win_counts, empty=nan))
        by_reader = shared_kernels(y, scores, parts, own, cluster, weights=weights)[0].by_reader
    pooled = wins.joined, counts.joined
    unbiased = [_different(array, axes=(-3, -2, -1)) for array in pooled]
    moments, biased = (_share(*array) for array in (unbiased, pooled))
    coefficients = _share(unbiased[1], np.broadcast_to(pooled[1][..., :1, :1, :1], unbiased[1].shape))
    coefficients[..., 0, 0, 0] -= 1
    no_independent_pair = unbiased[1][..., 0, 0, 0] == 0
    n_arms, offset = len(scores), -1.0 if metric == "youden" else 0.0
    own_values = _share(win_sums, win_counts, empty=nan).reshape(-1, n_arms, win_sums.shape[1]).sum(axis=0) + offset
    estimates = [
        np.where(no_independent_pair, nan, (coefficients * array).sum(axis=(-3, -2, -1))) for array in (moments, biased)
    ]
    if centred:
        estimates[0] = estimates[0] + _for_centring(
            moments, coefficients, (win_counts, *counts.of_units), win_counts.sum(axis=1)
        )
    return Moments(
        values,
        moments,
        biased,
        coefficients,
        _over_parts(estimates[0], n_arms),
        _over_parts(estimates[1], n_arms),
        own_values,
        _over_parts(_of_readers(by_reader, counts.by_reader), n_arms),
        codes.note("no_independent_reads") if no_independent_pair.any() else codes.NONE,
        _unequal(win_counts),
    )


def _unequal(counts: Floats) -> bool:
    """Whether readers with kernels have unequal numbers (or sums of weights) of them in an arm.

    >>> _unequal(np.array([[4.0, 4, 0], [6, 6, 6]])), _unequal(np.array([[4.0, 4, 3]]))
    (False, True)
    """
    most = counts.max(axis=1, keepdims=True, initial=0.0)
    return bool(((counts > 0) & (counts < most * (1 - 1e-9))).any())


def arm_values(moments: Moments, n_arms: int, metric: str) -> Floats:
    """Metric of each arm (n_arms,) over the pooled reads."""
    values: Floats = moments.values.reshape(-1, n_arms).sum(axis=0) - (1.0 if metric == "youden" else 0.0)
    return values


def degrees_of_freedom(moments: Moments, weights: Floats, variance: float) -> float:
    """BDG degrees of freedom (Gallas et al. 2009) of a weighted sum of arms, given the variance of the sum.

    variance^2 / (sum over reader, present, absent of component^2 / df^3), where the components are those of the
    V-statistics and df is the effective number of readers, present or absent cases minus 1; at least the smallest df.
    NaN if the variance is negative. doi:10.1080/03610920802610084
    """
    size = len(moments.values)
    weight = np.tile(weights, size // len(weights))
    used = np.flatnonzero(weight)
    inner = np.outer(weight, weight)[:, :, None, None, None]
    components = (inner * moments.components_biased).sum(axis=(0, 1))
    spread, least = 0.0, inf
    for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        share = moments.component_coefficients[used, used, *axis]
        if not (share > 0).any():
            continue
        df = float(min(round(1 / c - 1) for c in share[share > 0]))
        if df == 0:
            return nan
        spread, least = spread + float(components[axis]) ** 2 / df**3, min(least, df)
    if isnan(variance) or variance < 0:
        return nan
    return max(variance**2 / spread, least) if spread > 0 else least


def _alternating(moments: Floats) -> Floats:
    """Difference "same" minus "different" along each axis."""
    for axis in (-3, -2, -1):
        different = np.take(moments, [0], axis=axis)
        moments = np.concatenate((different, np.take(moments, [1], axis=axis) - different), axis=axis)
    return moments


def _with_same(coefficients: Floats) -> Floats:
    """Convert [different, same] to [any, same] along each axis."""
    for axis in (-3, -2, -1):
        same = np.take(coefficients, [1], axis=axis)
        coefficients = np.concatenate((np.take(coefficients, [0], axis=axis) + same, same), axis=axis)
    return coefficients


def _different(inclusive: Floats, *, axes: tuple[int, ...]) -> Floats:
    """Convert [any, same] to [different, same] along the given axes."""
    for axis in axes:
        same = np.take(inclusive, [1], axis=axis)
        inclusive = np.concatenate((np.take(inclusive, [0], axis=axis) - same, same), axis=axis)
    return inclusive


def _share(part: Floats, whole: Floats, *, empty: float = 0.0) -> Floats:
    """Elementwise part / whole, with a fill value where the whole is 0."""
    share: Floats = np.divide(part, whole, out=np.full(part.shape, empty), where=whole > 0)
    return share


def _over_parts(covariance: Floats, n_arms: int) -> Floats:
    """Sum over the parts of the metric (two for the Youden index): (q, q, ...) -> (n_arms, n_arms, ...)."""
    parts = len(covariance) // n_arms
    split = covariance.reshape(parts, n_arms, parts, n_arms, *covariance.shape[2:])
    return np.asarray(split.sum(axis=(0, 2)))


def _for_centring(moments: Floats, coefficients: Floats, sizes: tuple[Floats, ...], counts: Floats) -> Floats:
    """Correction (q, q) of the variance for centring at the estimate with unequal numbers of kernels.

    Centred at U, the mean product estimates cov(U, m) + cov(m, U) - var(U), where m is the mean with the weights of the
    products. For units (readers, cases, patients) with N_u of N kernels, var(U) has the coefficient a = sum N_u^2 / N^2
    and cov(U, m) approximately (a - sum N_u^3 / N^3) / (1 - a); the two are equal if all N_u are equal.
    """
    components, shares = _alternating(moments), _with_same(coefficients)
    correction = np.zeros(moments.shape[:2])
    for axis, size in zip(((1, 0, 0), (0, 1, 0), (0, 0, 1)), sizes, strict=True):
        share = _share(size, np.broadcast_to(counts[:, None], size.shape))
        own = share @ share.T
        mixed = (own - (share**2) @ share.T) / np.maximum(1 - own, 1e-9)
        estimated = mixed + mixed.T - own
        factor = np.divide(own, estimated, out=np.ones(own.shape), where=estimated > 0)
        correction += (factor - 1) * shares[..., *axis] * components[..., *axis]
    return correction


def _of_readers(wins: Floats, counts: Floats) -> Floats:
    """Covariance (q, q, n_readers) of the values of each reader as a fixed effect."""
    apart = [_different(array, axes=(-2, -1))[..., 0, 0] for array in (wins, counts)]
    return _share(wins[..., 0, 0], counts[..., 0, 0], empty=nan) - _share(*apart, empty=nan)
