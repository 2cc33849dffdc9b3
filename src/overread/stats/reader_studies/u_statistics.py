"""The U-statistic analysis of reader studies of any design (Gallas): each read weighs 1, readers and cases are random.

The variance of U = (sum of wins) / (number of wins that were looked at) is U^2 less an unbiased estimate of its squared
expectation: the mean product of two wins that share neither reader nor case (nor patient). All moments are indexed by
what the two factors share, [reader, present case, absent case], 0 = different, 1 = same; the paper's M1 … M8 are
[1,1,1], [1,1,0], [1,0,1], [1,0,0], [0,1,1], [0,1,0], [0,0,1], [0,0,0].
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan, nan

import numpy as np

from overread import codes
from overread.stats.arrays import Bools, Codes, Floats
from overread.stats.reader_studies.shared_kernel_sums import shared_looks, totals


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments of the arms and their errors; q counts arm within metric (Youden: all sensitivities, then specificities).

    Axes named [r, p, a] say what two wins share: reader, present case, absent case; with patients p stands for "a
    patient" and a is unused. A moment that no two wins of the design inform is 0 with coefficient 0.
    """

    values: Floats  # (q,)
    moments: Floats  # (q, q, 2, 2, 2) unbiased
    biased: Floats  # (q, q, 2, 2, 2) of V-statistics, "different" read as "any"
    coefficients: Floats  # (q, q, 2, 2, 2); that of [0, 0, 0] less 1; covariance = sum of coefficients x moments
    covariance: Floats  # (n_arms, n_arms), unbiased: may be negative on the diagonal
    covariance_biased: Floats  # (n_arms, n_arms), of V-statistics
    reader_values: Floats  # (n_arms, n_readers)
    reader_covariance: Floats  # (n_arms, n_arms, n_readers) of one reader taken as fixed, unbiased
    note: codes.Text = codes.NONE

    @property
    def components(self) -> Floats:
        """Variance components (q, q, 2, 2, 2): [1,0,0] of readers, [0,1,0] of present cases, [0,1,1] of their pairs …

        Where the coefficient is 0 so is the component.
        """
        return np.where(self.component_coefficients != 0, _alternating(self.moments), 0.0)

    @property
    def components_biased(self) -> Floats:
        """The components of the V-statistics, which the degrees of freedom are made of."""
        return np.where(self.component_coefficients != 0, _alternating(self.biased), 0.0)

    @property
    def component_coefficients(self) -> Floats:
        """Coefficients (q, q, 2, 2, 2) of the components: covariance = their products summed over all but [0,0,0]."""
        return _with_same(self.coefficients)


def moments_of(
    y: Bools, scores: Floats, metric: str, cluster: Codes | None = None, *, centred: bool = False
) -> Moments:
    """Truth (n_cases,), scores or calls (n_arms, n_readers, n_cases) with NaN = not read, patient codes (n_cases,).

    centred: the moments are of looks less the arm's value. The variance to be estimated is the same; its estimate no
    longer is a small difference of U^2 and a mean product of other weights, for both are near 0.
    """
    parts = {"auc": ("auc",), "youden": ("sensitivity", "specificity")}.get(metric, (metric,))
    won, looked = totals(y, scores, parts)
    values = _share(won.sum(axis=1), looked.sum(axis=1), empty=nan)
    wins, counts = shared_looks(y, scores, parts, np.nan_to_num(values) * centred, cluster)
    pooled = wins.joined, counts.joined
    unbiased = [_different(of, axes=(-3, -2, -1)) for of in pooled]
    moments, biased = (_share(*of) for of in (unbiased, pooled))
    coefficients = _share(unbiased[1], np.broadcast_to(pooled[1][..., :1, :1, :1], unbiased[1].shape))
    coefficients[..., 0, 0, 0] -= 1
    none_apart = unbiased[1][..., 0, 0, 0] == 0
    n_arms, offset = len(scores), -1.0 if metric == "youden" else 0.0
    own_values = _share(won, looked, empty=nan).reshape(-1, n_arms, won.shape[1]).sum(axis=0) + offset
    estimates = [np.where(none_apart, nan, (coefficients * of).sum(axis=(-3, -2, -1))) for of in (moments, biased)]
    if centred:
        estimates[0] = estimates[0] + _for_centring(
            moments, coefficients, (looked, *counts.of_units), looked.sum(axis=1)
        )
    return Moments(
        values,
        moments,
        biased,
        coefficients,
        _over_parts(estimates[0], n_arms),
        _over_parts(estimates[1], n_arms),
        own_values,
        _over_parts(_of_readers(wins.by_reader, counts.by_reader), n_arms),
        codes.note("no_independent_reads") if none_apart.any() else codes.NONE,
    )


def arm_values(found: Moments, n_arms: int, metric: str) -> Floats:
    """The metric of each arm (n_arms,), reads pooled."""
    return found.values.reshape(-1, n_arms).sum(axis=0) - (1.0 if metric == "youden" else 0.0)


def degrees_of_freedom(found: Moments, weights: Floats, variance: float) -> float:
    """BDG degrees of freedom of sum(weights x arms), weights (n_arms,), variance = that of the sum; NaN if negative.

    variance^2 / (sum over reader, present, absent of component^2 / df^3), component the V-statistic's, df = the
    effective number of readers, of present or of absent cases less 1; at least the least of these.
    """
    size = len(found.values)
    weight = np.tile(weights, size // len(weights))
    used = np.flatnonzero(weight)
    inner = np.outer(weight, weight)[:, :, None, None, None]
    components = (inner * found.components_biased).sum(axis=(0, 1))
    spread, least = 0.0, inf
    for at in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        share = found.component_coefficients[used, used, *at]
        if not (share > 0).any():
            continue
        df = float(min(round(1 / c - 1) for c in share[share > 0]))
        if df == 0:
            return nan
        spread, least = spread + float(components[at]) ** 2 / df**3, min(least, df)
    if isnan(variance) or variance < 0:
        return nan
    return max(variance**2 / spread, least) if spread > 0 else least


def _alternating(moments: Floats) -> Floats:
    """Same less different, along each axis."""
    for axis in (-3, -2, -1):
        different = np.take(moments, [0], axis=axis)
        moments = np.concatenate((different, np.take(moments, [1], axis=axis) - different), axis=axis)
    return moments


def _with_same(coefficients: Floats) -> Floats:
    """From [different, same] to [any, same] along each axis."""
    for axis in (-3, -2, -1):
        same = np.take(coefficients, [1], axis=axis)
        coefficients = np.concatenate((np.take(coefficients, [0], axis=axis) + same, same), axis=axis)
    return coefficients


def _different(inclusive: Floats, *, axes: tuple[int, ...]) -> Floats:
    """From [any, same] to [different, same] along the axes."""
    for axis in axes:
        same = np.take(inclusive, [1], axis=axis)
        inclusive = np.concatenate((np.take(inclusive, [0], axis=axis) - same, same), axis=axis)
    return inclusive


def _share(part: Floats, whole: Floats, *, empty: float = 0.0) -> Floats:
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole > 0)


def _over_parts(covariance: Floats, n_arms: int) -> Floats:
    """(q, q, …) -> (n_arms, n_arms, …): sensitivities and specificities of Youden's index added."""
    parts = len(covariance) // n_arms
    split = covariance.reshape(parts, n_arms, parts, n_arms, *covariance.shape[2:])
    return np.asarray(split.sum(axis=(0, 2)))


def _for_centring(moments: Floats, coefficients: Floats, sizes: tuple[Floats, ...], looked: Floats) -> Floats:
    """What centring at the estimate itself takes from the variance (q, q), where readers or cases have unequal shares.

    Centred at U the mean product estimates cov(U, m) + cov(m, U) - var(U), m the mean whose weights are those of the
    products. Of units (readers, cases, patients) with N_u of N looks var(U) has the coefficient a = sum N_u^2 / N^2 and
    cov(U, m) nearly (a - sum N_u^3 / N^3) / (1 - a): the same where all N_u are equal.
    """
    components, shares = _alternating(moments), _with_same(coefficients)
    added = np.zeros(moments.shape[:2])
    for at, of in zip(((1, 0, 0), (0, 1, 0), (0, 0, 1)), sizes, strict=True):
        share = _share(of, np.broadcast_to(looked[:, None], of.shape))
        own = share @ share.T
        mixed = (own - (share**2) @ share.T) / np.maximum(1 - own, 1e-9)
        seen = mixed + mixed.T - own
        factor = np.divide(own, seen, out=np.ones(own.shape), where=seen > 0)
        added += (factor - 1) * shares[..., *at] * components[..., *at]
    return added


def _of_readers(wins: Floats, counts: Floats) -> Floats:
    """Covariance (q, q, n_readers) of the values of one reader taken as fixed."""
    apart = [_different(of, axes=(-2, -1))[..., 0, 0] for of in (wins, counts)]
    return _share(wins[..., 0, 0], counts[..., 0, 0], empty=nan) - _share(*apart, empty=nan)
