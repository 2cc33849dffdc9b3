"""Sums over the present-absent pairs of several raters, and over pairs of pairs that share a case or a patient.

Every moment of a U-statistic analysis is one of these sums; the win matrix of a rater (n_present, n_absent) is made
block by block and never kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.stats.arrays import Bools, Codes, Floats

BLOCK = 200_000  # elements of win matrices that are held at a time: they stay in the cache


@dataclass(frozen=True, slots=True)
class PairSums:
    """Wins of k raters summed over pairs; with patients, rows and columns are patients."""

    rows: Floats  # (k, n_present): over the pairs of each present case
    columns: Floats  # (k, n_absent): over the pairs of each absent case
    products: Floats  # (k, k): over pairs, the wins of one rater times those of another


@dataclass(frozen=True, slots=True)
class PatientSums:
    """What pairs touch each patient: enough to sum over pairs of pairs that share a patient."""

    touching: Floats  # (k, n_patients): over the patient's present cases, plus over its absent ones
    within: Floats  # (k, n_patients): over pairs within the patient
    products: Floats  # (k, k): over pairs of patients (present one, absent one)
    crossed: Floats  # (k, k): the same with the roles of the two patients exchanged in the second factor


def wins(present: Floats, absent: Floats, centre: Floats | None = None) -> Floats:
    """1 where the present case scores higher, one half for a tie, else 0, all less centre (k,); 0 where one is NaN.

    >>> wins(np.array([[2.0, np.nan]]), np.array([[1.0, 2.0]])).tolist()
    [[[1.0, 0.5], [0.0, 0.0]]]
    """
    a, b = present[..., :, None], absent[..., None, :]
    won = (a > b).astype(np.float64)
    won += 0.5 * (a == b)
    if centre is not None and centre.any():
        won -= centre[:, None, None]
        won *= ~np.isnan(a)
        won *= ~np.isnan(b)
    return won


def pair_sums(present: Floats, absent: Floats, centre: Floats | None = None) -> PairSums:
    """Present scores (k, n_present), absent scores (k, n_absent), NaN = not read; centre (k,), taken from each win."""
    k, n_present = present.shape
    rows, columns, products = np.empty(present.shape), np.zeros(absent.shape), np.zeros((k, k))
    step = max(1, BLOCK // max(k * absent.shape[1], 1))
    for start in range(0, n_present, step):
        won = wins(present[:, start : start + step], absent, centre)
        rows[:, start : start + step] = won.sum(axis=2)
        columns += won.sum(axis=1)
        flat = won.reshape(k, -1)
        products += flat @ flat.T
    return PairSums(rows, columns, products)


def patient_sums(y: Bools, scores: Floats, cluster: Codes, size: int, centre: Floats | None = None) -> PatientSums:
    """Truth (n_cases,), scores (k, n_cases) with NaN = not read, patient code of each case, centre (k,) of wins."""
    k = len(scores)
    columns_of = _starts(cluster, ~y)
    absent = scores[:, columns_of.cases]
    touching, within, products = np.zeros((k, size)), np.zeros((k, size)), np.zeros((k, k))
    mixed = np.intersect1d(cluster[y], cluster[~y])
    among = np.zeros((k, mixed.size, mixed.size))  # pairs of patients who have both classes
    at = np.searchsorted(columns_of.patients, mixed)
    step = max(1, BLOCK // max(k * absent.shape[1], 1))
    for patients in _batches(cluster[y], step):
        rows_of = _starts(cluster, y & np.isin(cluster, patients))
        won = wins(scores[:, rows_of.cases], absent, centre)
        won = np.add.reduceat(np.add.reduceat(won, columns_of.first, axis=2), rows_of.first, axis=1)
        touching[:, rows_of.patients] += won.sum(axis=2)
        touching[:, columns_of.patients] += won.sum(axis=1)
        flat = won.reshape(k, -1)
        products += flat @ flat.T
        here = np.isin(mixed, rows_of.patients)
        block = won[:, np.searchsorted(rows_of.patients, mixed[here])][:, :, at]
        among[:, here] = block
        within[:, mixed[here]] = block[:, np.arange(int(here.sum())), np.flatnonzero(here)]
    crossed = among.reshape(k, -1) @ among.transpose(0, 2, 1).reshape(k, -1).T
    return PatientSums(touching, within, products, crossed)


def patient_counts(present: Floats, absent: Floats) -> PatientSums:
    """As `patient_sums` for wins that are all 1: present and absent cases read of each patient (k, n_patients)."""
    n_present, n_absent = present.sum(axis=1, keepdims=True), absent.sum(axis=1, keepdims=True)
    products = (present @ present.T) * (absent @ absent.T)
    crossed = (present @ absent.T) * (absent @ present.T)
    return PatientSums(present * n_absent + absent * n_present, present * absent, products, crossed)


@dataclass(frozen=True, slots=True)
class _Sorted:
    cases: Codes  # the cases of a mask, patient after patient
    first: Codes  # where each patient begins among them
    patients: Codes


def _starts(cluster: Codes, mask: Bools) -> _Sorted:
    cases = np.flatnonzero(mask)
    cases = cases[np.argsort(cluster[cases], kind="stable")]
    patients, first = np.unique(cluster[cases], return_index=True)
    return _Sorted(cases, first, patients)


def _batches(patients: Codes, step: int) -> list[Codes]:
    """Patients in batches of about `step` cases."""
    unique, count = np.unique(patients, return_counts=True)
    return [unique[(np.cumsum(count) - 1) // step == batch] for batch in range((int(count.sum()) - 1) // step + 1)]
