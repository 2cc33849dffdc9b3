"""Sums over present-absent pairs of several raters, and over pairs of pairs that share a case or a patient.

Every moment of a U-statistic analysis is such a sum. The matrix of wins of a rater (n_present, n_absent) is computed
in blocks and not stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.stats.arrays import Bools, Codes, Floats

BLOCK = 200_000  # elements of a block of wins, which fits the processor cache
LEVELS = 101  # largest number of different scores that are counted by level, such as 0 to 100 per cent


@dataclass(frozen=True, slots=True)
class PairSums:
    """Sums of the wins of k raters over pairs; with patients, rows and columns are patients."""

    rows: Floats  # (k, n_present): over the pairs of each present case
    columns: Floats  # (k, n_absent): over the pairs of each absent case
    products: Floats  # (k, k): over pairs, the wins of one rater times those of another


@dataclass(frozen=True, slots=True)
class PatientSums:
    """Sums by patient from which sums over pairs of pairs that share a patient are computed."""

    touching: Floats  # (k, n_patients): over the patient's present cases, plus over its absent ones
    within: Floats  # (k, n_patients): over pairs within the patient
    products: Floats  # (k, k): over pairs of patients (present one, absent one)
    crossed: Floats  # (k, k): the same with the roles of the two patients exchanged in the second factor


def wins(present: Floats, absent: Floats, centre: Floats | None = None) -> Floats:
    """Win of each pair minus `centre` (k,): 1 if the present case scores higher, 1/2 for ties, else 0; 0 where NaN.

    Examples
    --------
    >>> wins(np.array([[2.0, np.nan]]), np.array([[1.0, 2.0]])).tolist()
    [[[1.0, 0.5], [0.0, 0.0]]]
    """
    a, b = present[..., :, None], absent[..., None, :]
    win = (a > b).astype(np.float64)
    win += 0.5 * (a == b)
    if centre is not None and centre.any():
        win -= centre[:, None, None]
        win *= ~np.isnan(a)
        win *= ~np.isnan(b)
    return win


def pair_sums(
    present: Floats, absent: Floats, centre: Floats | None = None, *, weights: tuple[Floats, Floats] | None = None
) -> PairSums:
    """Sums of wins minus `centre` (k,) for present scores (k, n_present) and absent scores (k, n_absent).

    With `weights` of the present and of the absent cases, a win is multiplied by both. Many ratings on a scale of few
    levels are counted by level; the sums are the same, without one step per pair.
    """
    k, n_present = present.shape
    if k * n_present * absent.shape[1] > BLOCK:
        levels = np.unique(np.concatenate((present, absent), axis=None))
        if np.count_nonzero(~np.isnan(levels)) <= LEVELS:
            return _sums_by_level(present, absent, np.zeros(k) if centre is None else centre, weights, levels)
    rows, columns, products = np.empty(present.shape), np.zeros(absent.shape), np.zeros((k, k))
    step = max(1, BLOCK // max(k * absent.shape[1], 1))
    for start in range(0, n_present, step):
        win_block = wins(present[:, start : start + step], absent, centre)
        if weights is not None:
            win_block *= weights[0][start : start + step, None] * weights[1]
        rows[:, start : start + step] = win_block.sum(axis=2)
        columns += win_block.sum(axis=1)
        flat = win_block.reshape(k, -1)
        products += flat @ flat.T
    return PairSums(rows, columns, products)


def _sums_by_level(
    present: Floats, absent: Floats, centre: Floats, weights: tuple[Floats, Floats] | None, levels: Floats
) -> PairSums:
    """`pair_sums` of ratings from numbers of cases at each level, or at each pair of levels of two raters.

    With W_r the wins of one level over another minus the centre of rater r, and P and A the numbers of present and of
    absent cases that raters r and s rated (a, b), the sum over pairs of the product of their wins is that of the
    elements of P (W_r A W_s').
    """
    levels = levels[~np.isnan(levels)]
    size, k = levels.size, len(present)
    win = wins(levels[None], levels[None])[0]
    table = win - centre[:, None, None]  # (k, size, size)
    read = [~np.isnan(scores) for scores in (present, absent)]
    code = [np.searchsorted(levels, np.nan_to_num(scores, nan=levels[0])) for scores in (present, absent)]
    weight = [np.ones(scores.shape[1]) for scores in (present, absent)] if weights is None else list(weights)
    rows, columns, products = np.zeros(present.shape), np.zeros(absent.shape), np.zeros((k, k))

    def joint(side: int, r: int, s: int) -> Floats:
        both = np.flatnonzero(read[side][r] & read[side][s])
        cell = code[side][r, both] * size + code[side][s, both]
        count = np.bincount(cell, weight[side][both] ** 2, minlength=size * size)
        return np.asarray(count.reshape(size, size), dtype=np.float64)

    for r in range(k):
        at = [np.flatnonzero(read[side][r]) for side in (0, 1)]
        number = [np.bincount(code[side][r, i], weight[side][i], minlength=size) for side, i in enumerate(at)]
        rows[r, at[0]] = (table[r] @ number[1])[code[0][r, at[0]]] * weight[0][at[0]]
        columns[r, at[1]] = (number[0] @ table[r])[code[1][r, at[1]]] * weight[1][at[1]]
        for s in range(r + 1):
            products[r, s] = products[s, r] = (joint(0, r, s) * (table[r] @ joint(1, r, s) @ table[s].T)).sum()
    return PairSums(rows, columns, products)


def patient_sums(
    y: Bools,
    scores: Floats,
    cluster: Codes,
    size: int,
    centre: Floats | None = None,
    *,
    weights: Floats | None = None,
) -> PatientSums:
    """Sums by patient of wins minus `centre`, for truth (n_cases,), scores (k, n_cases), patient codes (n_cases,).

    With `weights` (n_cases,), a win is multiplied by the weights of its two cases.
    """
    k = len(scores)
    columns_of = _starts(cluster, ~y)
    absent = scores[:, columns_of.cases]
    touching, within, products = np.zeros((k, size)), np.zeros((k, size)), np.zeros((k, k))
    mixed = np.intersect1d(cluster[y], cluster[~y])
    mixed_pairs = np.zeros((k, mixed.size, mixed.size))  # pairs of patients who have both classes
    columns = np.searchsorted(columns_of.patients, mixed)
    step = max(1, BLOCK // max(k * absent.shape[1], 1))
    for patients in _batches(cluster[y], step):
        rows_of = _starts(cluster, y & np.isin(cluster, patients))
        win_block = wins(scores[:, rows_of.cases], absent, centre)
        if weights is not None:
            win_block *= weights[rows_of.cases][:, None] * weights[columns_of.cases]
        win_block = np.add.reduceat(np.add.reduceat(win_block, columns_of.first, axis=2), rows_of.first, axis=1)
        touching[:, rows_of.patients] += win_block.sum(axis=2)
        touching[:, columns_of.patients] += win_block.sum(axis=1)
        flat = win_block.reshape(k, -1)
        products += flat @ flat.T
        in_batch = np.isin(mixed, rows_of.patients)
        block = win_block[:, np.searchsorted(rows_of.patients, mixed[in_batch])][:, :, columns]
        mixed_pairs[:, in_batch] = block
        within[:, mixed[in_batch]] = block[:, np.arange(int(in_batch.sum())), np.flatnonzero(in_batch)]
    crossed = mixed_pairs.reshape(k, -1) @ mixed_pairs.transpose(0, 2, 1).reshape(k, -1).T
    return PatientSums(touching, within, products, crossed)


def patient_counts(present: Floats, absent: Floats) -> PatientSums:
    """`patient_sums` with all wins equal to 1, from the present and absent cases of each patient (k, n_patients)."""
    n_present, n_absent = present.sum(axis=1, keepdims=True), absent.sum(axis=1, keepdims=True)
    products = (present @ present.T) * (absent @ absent.T)
    crossed = (present @ absent.T) * (absent @ present.T)
    return PatientSums(present * n_absent + absent * n_present, present * absent, products, crossed)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Cases of one class sorted by patient, with the first position of each patient."""

    cases: Codes  # the cases of a mask, patient after patient
    first: Codes  # where each patient begins among them
    patients: Codes


def _starts(cluster: Codes, mask: Bools) -> _Sorted:
    """Sort the cases of a mask by patient."""
    cases = np.flatnonzero(mask)
    cases = cases[np.argsort(cluster[cases], kind="stable")]
    patients, first = np.unique(cluster[cases], return_index=True)
    return _Sorted(cases, first, patients)


def _batches(patients: Codes, step: int) -> list[Codes]:
    """Split the patients into batches of about `step` cases."""
    unique, count = np.unique(patients, return_counts=True)
    return [unique[(np.cumsum(count) - 1) // step == batch] for batch in range((int(count.sum()) - 1) // step + 1)]
