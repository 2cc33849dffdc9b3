"""Sums over pairs of kernels that share a reader, a case or a patient, from which U-statistic moments are computed.

A kernel is what a metric averages: for an AUC, the win of a present-absent pair of one reader; for a rate, whether a
read is correct. Sums have the axes [r, p, a]: 0 = any, 1 = the two kernels share the reader, the present case, the
absent case. With patients, p stands for a shared patient and a is unused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overread.stats.arrays import Bools, Codes, Floats
from overread.stats.reader_studies.covariance import influences
from overread.stats.reader_studies.pair_kernels import PatientSums, pair_sums, patient_counts, patient_sums
from overread.stats.roc.delong import placements


@dataclass(frozen=True, slots=True)
class Shared:
    """Sums of products of two kernels, for the q combinations of a part of the metric and an arm."""

    by_reader: Floats  # (q, q, n_readers, 2, 2), the same reader twice
    pooled: Floats  # (q, q, 2, 2), any two readers
    of_units: tuple[Floats, Floats]  # (q, n_present or n_patients), (q, n_absent): sum of the kernels of each

    @property
    def joined(self) -> Floats:
        """Sums with the reader as a further axis, (q, q, 2, 2, 2)."""
        return np.stack((self.pooled, self.by_reader.sum(axis=2)), axis=2)


def totals(y: Bools, scores: Floats, parts: tuple[str, ...], *, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """Sum and number of kernels, each (q, n_readers), for scores (n_arms, n_readers, n_cases) with NaN = not read.

    With `weights` (n_cases,), both are weighted: a kernel has the product of the weights of its cases.
    """
    n_arms, n_readers, n_cases = scores.shape
    wins, numbers = [], []
    for part in parts:
        if weights is None:
            values, _, counts = influences(y, scores.reshape(-1, n_cases), part)
            number = np.prod([count for count in counts if count is not None], axis=0)
        else:
            values, number = _weighted(y, scores.reshape(-1, n_cases), part, weights)
        wins.append(np.where(number > 0, np.nan_to_num(values) * number, 0.0).reshape(n_arms, n_readers))
        numbers.append(number.reshape(n_arms, n_readers))
    return np.concatenate(wins), np.concatenate(numbers)


def _weighted(y: Bools, scores: Floats, part: str, weights: Floats) -> tuple[Floats, Floats]:
    """Weighted value and number of kernels (k,) of each row of scores (k, n_cases); NaN without a class."""
    read = ~np.isnan(scores)
    n_present, n_absent = ((read & mask) @ weights for mask in (y, ~y))
    values = np.full(len(scores), np.nan)
    if part == "auc":
        for row in np.flatnonzero((n_present > 0) & (n_absent > 0)):
            seen = read[row]
            values[row] = placements(y[seen], scores[row, seen], weights[seen])[0]
        return values, np.asarray(n_present * n_absent)
    mask, right = (y, scores) if part == "sensitivity" else (~y, 1 - scores)
    number = n_present if part == "sensitivity" else n_absent
    np.divide(np.where(read & mask, right, 0.0) @ weights, number, out=values, where=number > 0)
    return values, np.asarray(number)


def shared_kernels(
    y: Bools,
    scores: Floats,
    parts: tuple[str, ...],
    centre: Floats,
    cluster: Codes | None,
    *,
    weights: Floats | None = None,
) -> tuple[Shared, Shared]:
    """Sums of products of kernels minus `centre` (q, n_readers), and numbers of such products.

    With `weights` (n_cases,), a kernel has the product of the weights of its cases, in the sums and in the numbers.
    """
    if parts == ("auc",):
        if cluster is None:
            return _of_pairs(y, scores, centre, weights)
        return _of_pairs_of_patients(y, scores, centre, cluster, weights)
    split = zip(parts, centre.reshape(len(parts), -1, centre.shape[1]), strict=True)
    each = (_right(y, scores, *item, weights) for item in split)
    right, reads = (np.concatenate(item) for item in zip(*each, strict=True))
    if cluster is None:
        return _summed(right[..., y], right[..., ~y]), _summed(reads[..., y], reads[..., ~y])
    patients = [_by_patient(item, cluster) for item in (right, reads)]
    none = np.zeros((len(patients[0]), len(patients[0])))
    n_readers = scores.shape[1]
    sums = [PatientSums(item, np.zeros_like(item), none, none) for item in patients]
    return _shared_patient(sums[0], n_readers, touches=1), _shared_patient(sums[1], n_readers, touches=1)


def _right(y: Bools, scores: Floats, part: str, centre: Floats, weights: Floats | None) -> tuple[Floats, Floats]:
    """Correctness of each read of the class of the part minus the centre, and indicator of such reads; 0 elsewhere."""
    mask, right = (y, scores) if part == "sensitivity" else (~y, 1 - scores)
    reads = ~np.isnan(scores) & mask
    wins, numbers = np.where(reads, right - centre[..., None], 0.0), reads.astype(np.float64)
    return (wins, numbers) if weights is None else (wins * weights, numbers * weights)


def _of_pairs(y: Bools, scores: Floats, centre: Floats, weights: Floats | None) -> tuple[Shared, Shared]:
    """Sums for an AUC with independent cases."""
    present, absent = scores[..., y], scores[..., ~y]
    n_arms, n_readers, _ = present.shape
    flat = [array.reshape(n_arms * n_readers, -1) for array in (present, absent)]
    of_class = None if weights is None else (weights[y], weights[~y])
    sums = pair_sums(flat[0], flat[1], centre.ravel(), weights=of_class)
    rows, columns = sums.rows.reshape(present.shape), sums.columns.reshape(absent.shape)
    counts = [(~np.isnan(array)).astype(np.float64) for array in flat]
    if of_class is not None:
        counts = [count * weight for count, weight in zip(counts, of_class, strict=True)]
    pairs = (counts[0] @ counts[0].T) * (counts[1] @ counts[1].T)
    reads = [array.reshape(n_arms, n_readers, -1) for array in counts]
    number = [array.sum(axis=2, keepdims=True) for array in reads]
    return _summed(rows, columns, sums.products), _summed(reads[0] * number[1], reads[1] * number[0], pairs)


def _summed(rows: Floats, columns: Floats, products: Floats | None = None) -> Shared:
    """Sums from rows (q, n_readers, n_present), columns (q, n_readers, n_absent) and products of all kernels.

    Without products, each kernel is of one case and is in either the rows or the columns; with them it is in both.
    """
    q, n_readers, _ = rows.shape
    total = rows.sum(axis=2) + (columns.sum(axis=2) if products is None else 0.0)
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
    return Shared(by_reader, pooled, (rows.sum(axis=1), columns.sum(axis=1)))


def _by_patient(values: NDArray[Any], cluster: Codes) -> Floats:
    """Sums by patient, (..., n_cases) -> (k, n_patients), where k is the number of rows."""
    size = int(cluster.max()) + 1
    return np.stack([np.bincount(cluster, row, minlength=size) for row in values.reshape(-1, cluster.size)])


def _of_pairs_of_patients(
    y: Bools, scores: Floats, centre: Floats, cluster: Codes, weights: Floats | None
) -> tuple[Shared, Shared]:
    """Sums for an AUC with clustered cases."""
    n_readers, read = scores.shape[1], (~np.isnan(scores)).astype(np.float64)
    read = read if weights is None else read * weights
    counts = patient_counts(_by_patient(read * y, cluster), _by_patient(read * ~y, cluster))
    flat, size = scores.reshape(-1, cluster.size), int(cluster.max()) + 1
    wins = patient_sums(y, flat, cluster, size, centre.ravel(), weights=weights)
    return _shared_patient(wins, n_readers, touches=2), _shared_patient(counts, n_readers, touches=2)


def _shared_patient(sums: PatientSums, n_readers: int, *, touches: int) -> Shared:
    """Sums over pairs of kernels that share at least one patient, by inclusion and exclusion.

    `touches` is the number of patients with which a kernel is counted, 2 for the pairs of an AUC.
    """
    touching, within = (array.reshape(-1, n_readers, array.shape[1]) for array in (sums.touching, sums.within))
    q, total = len(touching), touching.sum(axis=2) / touches
    by_reader, pooled = np.zeros((q, q, n_readers, 2, 2)), np.zeros((q, q, 2, 2))
    by_reader[..., 0, 0] = total[:, None] * total[None]
    pooled[..., 0, 0] = np.outer(total.sum(axis=1), total.sum(axis=1))
    both = (sums.products + sums.crossed).reshape(q, n_readers, q, n_readers)

    def any_shared(subscripts: str, m: Floats, d: Floats) -> Floats:
        mixed = np.einsum(subscripts, m, d) + np.einsum(subscripts, d, m)
        total_shared: Floats = np.einsum(subscripts, m, m) - mixed + 3 * np.einsum(subscripts, d, d)
        return total_shared

    by_reader[..., 1, 0] = any_shared("qju,sju->qsj", touching, within) - np.einsum("qjsj->qsj", both)
    pooled[..., 1, 0] = any_shared("qu,su->qs", touching.sum(axis=1), within.sum(axis=1)) - both.sum(axis=(1, 3))
    return Shared(by_reader, pooled, (touching.sum(axis=1), np.zeros((q, 1))))
