"""The U-statistic analysis of reader studies of any design (Gallas): each read weighs 1, readers and cases are random.

The variance of U = (sum of wins) / (number of wins that were looked at) is U^2 less an unbiased estimate of its squared
expectation: the mean product of two wins that share neither reader nor case (nor patient). All moments are indexed by
what the two factors share, [reader, present case, absent case], 0 = different, 1 = same; the paper's M1 … M8 are
[1,1,1], [1,1,0], [1,0,1], [1,0,0], [0,1,1], [0,1,0], [0,0,1], [0,0,0].
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overread.stats.arrays import Bools, Codes, Floats
from overread.stats.pair_sums import PatientSums, pair_sums, patient_counts, patient_sums


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
    note: str = ""

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
        c = self.coefficients
        for axis in (-3, -2, -1):
            same = np.take(c, [1], axis=axis)
            c = np.concatenate((np.take(c, [0], axis=axis) + same, same), axis=axis)
        return c


def moments_of(y: Bools, scores: Floats, metric: str, cluster: Codes | None = None) -> Moments:
    """Truth (n_cases,), scores or calls (n_arms, n_readers, n_cases) with NaN = not read, patient codes (n_cases,)."""
    parts = {"auc": ("auc",), "youden": ("sensitivity", "specificity")}.get(metric, (metric,))
    if cluster is None:
        wins, counts = _inclusive(y, scores, parts)
    else:
        wins, counts = _inclusive_of_patients(y, scores, parts, cluster)
    by_reader, looked = _apart(wins[0]), _apart(counts[0])
    pooled = _join(wins), _join(counts)
    unbiased = [_different(of, axes=(-3, -2, -1)) for of in pooled]
    moments, biased = (_share(*of) for of in (unbiased, pooled))
    everything = pooled[1][..., :1, :1, :1]
    coefficients = _share(unbiased[1], np.broadcast_to(everything, unbiased[1].shape))
    coefficients[..., 0, 0, 0] -= 1
    none_apart = unbiased[1][..., 0, 0, 0] == 0
    covariance = np.where(none_apart, nan, (coefficients * moments).sum(axis=(-3, -2, -1)))
    values = _share(*(np.sqrt(np.einsum("qqrpa->qrpa", of)[:, 0, 0, 0]) for of in pooled), empty=nan)
    own_values, own = _of_readers(by_reader, looked)
    n_arms, offset = len(scores), -1.0 if metric == "youden" else 0.0
    return Moments(
        values,
        moments,
        biased,
        coefficients,
        _over_parts(covariance, n_arms),
        _over_parts(np.where(none_apart, nan, (coefficients * biased).sum(axis=(-3, -2, -1))), n_arms),
        own_values.reshape(-1, n_arms, own_values.shape[-1]).sum(axis=0) + offset,
        _over_parts(own, n_arms),
        "no two reads of different readers and different cases" if none_apart.any() else "",
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


Inclusive = tuple[
    Floats, Floats
]  # sums with the same reader (q, q, n_readers, 2, 2), with any two readers (q, q, 2, 2)


def _join(sums: Inclusive) -> Floats:
    """[any, same] reader as one more axis: (q, q, 2, 2, 2)."""
    return np.stack((sums[1], sums[0].sum(axis=2)), axis=2)


def _apart(by_reader: Floats) -> tuple[Floats, Floats]:
    """Of one reader: sums over all pairs of pairs, and over those that share no case, (q, q, n_readers)."""
    return by_reader[..., 0, 0], _different(by_reader, axes=(-2, -1))[..., 0, 0]


def _of_readers(wins: tuple[Floats, Floats], looked: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    product = _share(wins[0], looked[0], empty=nan)
    values = np.sqrt(np.einsum("qqj->qj", product))
    return values, product - _share(wins[1], looked[1], empty=nan)


def _inclusive(y: Bools, scores: Floats, parts: tuple[str, ...]) -> tuple[Inclusive, Inclusive]:
    n_arms, n_readers, _ = scores.shape
    read = (~np.isnan(scores)).astype(np.float64)
    present, absent = read[..., y], read[..., ~y]
    if parts == ("auc",):
        found = pair_sums(
            scores[..., y].reshape(n_arms * n_readers, -1), scores[..., ~y].reshape(n_arms * n_readers, -1)
        )
        rows, columns = found.rows.reshape(present.shape), found.columns.reshape(absent.shape)
        n_present, n_absent = present.sum(axis=2, keepdims=True), absent.sum(axis=2, keepdims=True)
        both = [m.reshape(n_arms * n_readers, -1) for m in (present, absent)]
        pairs = (both[0] @ both[0].T) * (both[1] @ both[1].T)
        counted = (present * n_absent, absent * n_present, pairs)
        return _summed(rows, columns, found.products), _summed(*counted)
    right = {
        "sensitivity": np.where(present > 0, scores[..., y], 0),
        "specificity": np.where(absent > 0, 1 - scores[..., ~y], 0),
    }
    reads = {"sensitivity": present, "specificity": absent}
    return _rates(right, parts), _rates(reads, parts)


def _rates(sums: dict[str, Floats], parts: tuple[str, ...]) -> Inclusive:
    """Rates have no pairs; a sensitivity and a specificity share at most the reader."""
    nothing = {part: np.zeros_like(of) for part, of in sums.items()}
    rows = np.concatenate([(sums if part == "sensitivity" else nothing)["sensitivity"] for part in parts])
    columns = np.concatenate([(sums if part == "specificity" else nothing)["specificity"] for part in parts])
    return _summed(rows, columns, None, total=rows.sum(axis=2) + columns.sum(axis=2))


def _summed(rows: Floats, columns: Floats, products: Floats | None, total: Floats | None = None) -> Inclusive:
    """Rows (q, n_readers, n_present), columns (q, n_readers, n_absent), products (q n_readers, q n_readers)."""
    q, n_readers, _ = rows.shape
    total = rows.sum(axis=2) if total is None else total
    by_reader, pooled = np.zeros((q, q, n_readers, 2, 2)), np.zeros((q, q, 2, 2))
    by_reader[..., 0, 0] = total[:, None] * total[None]
    pooled[..., 0, 0] = np.outer(total.sum(axis=1), total.sum(axis=1))
    for at, part in (((1, 0), rows), ((0, 1), columns)):
        by_reader[..., at[0], at[1]] = np.einsum("qju,sju->qsj", part, part)
        pooled[..., at[0], at[1]] = part.sum(axis=1) @ part.sum(axis=1).T
    if products is not None:
        split = products.reshape(q, n_readers, q, n_readers)
        by_reader[..., 1, 1] = np.einsum("qjsj->qsj", split)
        pooled[..., 1, 1] = split.sum(axis=(1, 3))
    return by_reader, pooled


def _inclusive_of_patients(
    y: Bools, scores: Floats, parts: tuple[str, ...], cluster: Codes
) -> tuple[Inclusive, Inclusive]:
    n_arms, n_readers, n_cases = scores.shape
    size = int(cluster.max()) + 1
    flat = scores.reshape(-1, n_cases)
    read = ~np.isnan(flat)

    def patients(values: NDArray[Any]) -> Floats:
        return np.stack([np.bincount(cluster, row, minlength=size) for row in values])

    if parts == ("auc",):
        present, absent = patients(read & y), patients(read & ~y)
        whole = (present.sum(axis=1) * absent.sum(axis=1)).reshape(n_arms, n_readers)
        wins = patient_sums(y, flat, cluster, size)
        won = (wins.touching.sum(axis=1) / 2).reshape(n_arms, n_readers)
        return _shared_patient(wins, won), _shared_patient(patient_counts(present, absent), whole)
    right = np.concatenate(
        [
            patients(np.where(read & (y if part == "sensitivity" else ~y), np.where(y, flat, 1 - flat), 0))
            for part in parts
        ]
    )
    seen = np.concatenate([patients(read & (y if part == "sensitivity" else ~y)) for part in parts])
    none = np.zeros((len(seen), len(seen)))
    return tuple(  # type: ignore[return-value]
        _shared_patient(PatientSums(of, np.zeros_like(of), none, none), of.sum(axis=1).reshape(-1, n_readers))
        for of in (right, seen)
    )


def _shared_patient(sums: PatientSums, total: Floats) -> Inclusive:
    """Sums over pairs of pairs that share at least one patient, by inclusion and exclusion over the four ways to."""
    q, n_readers = total.shape
    touching, within = (of.reshape(q, n_readers, -1) for of in (sums.touching, sums.within))
    by_reader, pooled = np.zeros((q, q, n_readers, 2, 2)), np.zeros((q, q, 2, 2))
    by_reader[..., 0, 0] = total[:, None] * total[None]
    pooled[..., 0, 0] = np.outer(total.sum(axis=1), total.sum(axis=1))
    crossed = (sums.products + sums.crossed).reshape(q, n_readers, q, n_readers)

    def any_shared(subscripts: str, m: Floats, d: Floats) -> Floats:
        mixed = np.einsum(subscripts, m, d) + np.einsum(subscripts, d, m)
        return np.einsum(subscripts, m, m) - mixed + 3 * np.einsum(subscripts, d, d)

    by_reader[..., 1, 0] = any_shared("qju,sju->qsj", touching, within) - np.einsum("qjsj->qsj", crossed)
    pooled[..., 1, 0] = any_shared("qu,su->qs", touching.sum(axis=1), within.sum(axis=1)) - crossed.sum(axis=(1, 3))
    return by_reader, pooled
