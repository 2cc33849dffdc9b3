"""Product bootstrap of the pooled reads of several readers, next to a score on the same cases.

Each read has weight 1, so that the pooled readers are all reads and a score counts a case as often as it was
read. In a replicate, a read has weight (draws of its reader) x (draws of its patient). All rates are ratios of sums
that are bilinear in the two counts, so that thousands of replicates are a few matrix products.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from overread.errors import InputError
from overread.kernels import njit
from overread.stats.arrays import Bools, Codes, Floats, call_array, score_array, truth_array, weight_array
from overread.stats.random_numbers import Random, generator

TOLERANCE = 1e-12  # tolerance of a rate for rounding
FEWEST_IN_THREAD = 250  # replicates for which a thread of their own saves more time than it takes


@dataclass(frozen=True, slots=True, eq=False)
class PooledReads:
    """Numbers of reads and of positive calls, by reader and cell.

    A cell is a case with one truth. A case has two cells if its truth depends on the reader. Counts are weighted if
    weights were given.

    Attributes
    ----------
    truth : ndarray of bool, shape (n_cells,)
        Reference standard of the cell.
    case : ndarray of intp, shape (n_cells,)
        Case of the cell.
    patient : ndarray of intp, shape (n_cells,)
        Patient of the cell.
    reads : ndarray of float64, shape (n_readers, n_cells)
        Number of reads.
    hits : ndarray of float64, shape (n_readers, n_cells)
        Number of reads that called the finding present.
    n_patients : int
        Number of patients.

    Notes
    -----
    `pool` returns this result.
    """

    truth: Bools  # (n_cells,)
    case: Codes  # (n_cells,) the case of the cell
    patient: Codes  # (n_cells,)
    reads: Floats  # (n_readers, n_cells) how many reads
    hits: Floats  # (n_readers, n_cells) of which called present
    n_patients: int


@dataclass(frozen=True, slots=True, eq=False)
class ProductDraws:
    """Numbers of draws of each reader and of each patient in every replicate.

    Attributes
    ----------
    readers : ndarray of float64, shape (replicates, n_readers)
        Number of draws of each reader.
    patients : ndarray of float64, shape (replicates, n_patients)
        Number of draws of each patient.

    Notes
    -----
    `product_draws` and `once` return this result.
    """

    readers: Floats
    patients: Floats

    def __len__(self) -> int:
        return len(self.readers)


def pool(
    y: ArrayLike,
    call: ArrayLike,
    *,
    reader: ArrayLike,
    case: ArrayLike,
    patient: ArrayLike,
    weights: ArrayLike | None = None,
    shape: tuple[int, int] | None = None,
) -> PooledReads:
    """Pool the reads of several readers by case and truth.

    Parameters
    ----------
    y : array_like of bool, shape (n_reads,)
        Reference standard of the case of each read.
    call : array_like of bool, shape (n_reads,)
        Call of each read.
    reader : array_like of int, shape (n_reads,)
        Reader of each read, codes from 0.
    case : array_like of int, shape (n_reads,)
        Case of each read, codes from 0.
    patient : array_like of int, shape (n_reads,)
        Patient of each read, codes from 0.
    weights : array_like of float, shape (n_reads,), optional
        Inverse inclusion probabilities of the cases.
    shape : tuple of int, optional
        Numbers of readers and of patients, if some have no read here.

    Returns
    -------
    PooledReads
        Counts by reader and cell.

    Raises
    ------
    InputError
        If a value of `y` or `call` is neither true/false nor 1/0, or a case has several patients.

    Notes
    -----
    A repeated reading of a case by the same reader is a further read.

    Examples
    --------
    >>> p = pool([1, 1, 0], [1, 0, 0], reader=[0, 1, 0], case=[0, 0, 1], patient=[0, 0, 1])
    >>> p.reads.sum(axis=0).tolist(), p.hits.sum(axis=0).tolist()
    ([2.0, 1.0], [1.0, 0.0])
    """
    where = "pool"
    truth = truth_array(y, where=where)
    called = call_array(call, truth.size, where=where)
    r, c, p = (np.asarray(a, dtype=np.intp) for a in (reader, case, patient))
    weight = np.ones(truth.size) if weights is None else weight_array(weights, truth.size, where=where)
    cells, cell_of_read = np.unique(2 * c + truth, return_inverse=True)
    owner = np.zeros(cells.size, dtype=np.intp)
    owner[cell_of_read] = p
    if (owner[cell_of_read] != p).any():
        raise InputError(
            f"{where}: patient",
            "every case of one patient",
            "a case with several patients",
            do="Correct the patient identifiers.",
        )
    rows, n_patients = (int(r.max(initial=-1)) + 1, int(p.max(initial=-1)) + 1) if shape is None else shape
    flat = r * cells.size + cell_of_read
    return PooledReads(
        (cells % 2).astype(bool),
        cells // 2,
        owner,
        np.bincount(flat, weight, minlength=rows * cells.size).reshape(rows, cells.size).astype(np.float64),
        np.bincount(flat, weight * called, minlength=rows * cells.size).reshape(rows, cells.size).astype(np.float64),
        n_patients,
    )


def product_draws(n_readers: int, n_patients: int, *, rng: Random, replicates: int = 2000) -> ProductDraws:
    """Draw readers and patients with replacement, independently of each other.

    Parameters
    ----------
    n_readers : int
        Number of readers.
    n_patients : int
        Number of patients.
    rng : numpy.random.Generator
        Random number generator.
    replicates : int, default 2000
        Number of bootstrap replicates.

    Returns
    -------
    ProductDraws
        Numbers of draws.

    Raises
    ------
    InputError
        If `replicates` is below 1.

    Notes
    -----
    The bootstrap variance of a mean over readers and patients is correct for the contributions of readers and patients,
    but counts the error of the single read (reader by patient) three times; intervals are therefore conservative. The
    U-statistics of `compare_arms` show the size of this effect. Below about five readers, the number of readers is too
    small.

    References
    ----------
    * Owen AB (2007). The pigeonhole bootstrap. Annals of Applied Statistics 1:386-411. doi:10.1214/07-AOAS122

    Examples
    --------
    >>> draws = product_draws(3, 10, rng=np.random.default_rng(0), replicates=5)
    >>> draws.readers.sum(axis=1).tolist(), draws.patients.shape
    ([3.0, 3.0, 3.0, 3.0, 3.0], (5, 10))
    """
    if replicates < 1:
        raise InputError("product_draws: replicates", "at least 1", f"{replicates}")
    rng = generator(rng, where="product_draws")
    draws = [
        np.array([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(replicates)], dtype=np.float64)
        for n in (n_readers, n_patients)
    ]
    return ProductDraws(*draws)


def once(n_readers: int, n_patients: int) -> ProductDraws:
    """Draws that contain every reader and every patient once, which give the estimate itself.

    Parameters
    ----------
    n_readers : int
        Number of readers.
    n_patients : int
        Number of patients.

    Returns
    -------
    ProductDraws
        One replicate of ones.

    Notes
    -----
    The estimate is thus computed by the same code as its replicates.

    Examples
    --------
    >>> once(2, 3).patients.tolist()
    [[1.0, 1.0, 1.0]]
    """
    return ProductDraws(np.ones((1, n_readers)), np.ones((1, n_patients)))


def pooled_rates(pooled_reads: PooledReads, draws: ProductDraws) -> Floats:
    """Sensitivity and specificity of the pooled reads in every replicate.

    Parameters
    ----------
    pooled_reads : PooledReads
        Pooled reads.
    draws : ProductDraws
        Draws of readers and patients.

    Returns
    -------
    ndarray of float64, shape (replicates, 2)
        Sensitivity and specificity; NaN if a class is empty.

    Notes
    -----
    Checked against a brute-force bootstrap over single reads.

    References
    ----------
    * Owen AB (2007). The pigeonhole bootstrap. Annals of Applied Statistics 1:386-411. doi:10.1214/07-AOAS122

    Examples
    --------
    >>> p = pool([1, 1, 0], [1, 0, 0], reader=[0, 1, 0], case=[0, 0, 1], patient=[0, 0, 1])
    >>> pooled_rates(p, once(2, 2)).tolist()
    [[0.5, 1.0]]
    """
    right = np.where(pooled_reads.truth, pooled_reads.hits, pooled_reads.reads - pooled_reads.hits)
    in_class = np.stack([pooled_reads.truth, ~pooled_reads.truth])  # (2, n_cells)
    tables = np.stack([right, pooled_reads.reads])[:, None] * in_class[None, :, None]
    correct, read = _bilinear(tables.reshape(4, *right.shape), pooled_reads, draws).reshape(2, 2, len(draws))
    rates = np.divide(correct, read, out=np.full(read.shape, np.nan), where=read > 0)
    return np.ascontiguousarray(rates.T)


def _bilinear(tables: Floats, pooled_reads: PooledReads, draws: ProductDraws) -> Floats:
    """Sums of tables (n_tables, n_readers, n_cells) in every replicate, shape (n_tables, replicates).

    A sum is the bilinear form of the draws of readers and of patients. The large array of patients is read once for all
    tables.
    """
    k, rows, n = len(tables), tables.shape[1], pooled_reads.n_patients
    flat = np.arange(k * rows)[:, None] * n + pooled_reads.patient[None, :]
    by_patient = np.bincount(flat.ravel(), tables.ravel(), minlength=k * rows * n).reshape(k * rows, n)
    drawn = (draws.patients @ by_patient.T).reshape(len(draws), k, rows)
    return np.asarray(np.einsum("dr,dkr->kd", draws.readers, drawn), dtype=np.float64)


def cell_weights(pooled_reads: PooledReads, draws: ProductDraws) -> Floats:
    """Weight of each cell in every replicate: its reads, multiplied by the draws of their readers and of the patient.

    Parameters
    ----------
    pooled_reads : PooledReads
        Pooled reads.
    draws : ProductDraws
        Draws of readers and patients.

    Returns
    -------
    ndarray of float64, shape (replicates, n_cells)
        Weights for `score_rates` and `matched_rates`.

    Notes
    -----
    Weights are linear in the draws of readers and in the draws of patients.

    Examples
    --------
    >>> p = pool([1, 1, 0], [1, 0, 0], reader=[0, 1, 0], case=[0, 0, 1], patient=[0, 0, 1])
    >>> cell_weights(p, once(2, 2)).tolist()
    [[2.0, 1.0]]
    """
    weights: Floats = draws.readers @ pooled_reads.reads
    weights *= draws.patients[:, pooled_reads.patient]
    return weights


def score_rates(pooled_reads: PooledReads, calls: ArrayLike, weight: Floats) -> Floats:
    """Sensitivity and specificity of calls of a model, with each case weighted by its reads.

    Parameters
    ----------
    pooled_reads : PooledReads
        Pooled reads.
    calls : array_like of bool, shape (k, n_cases)
        Calls by k rules, indexed by the case codes of the reads.
    weight : ndarray of float64, shape (replicates, n_cells)
        Result of `cell_weights`.

    Returns
    -------
    ndarray of float64, shape (replicates, k, 2)
        Sensitivity and specificity; NaN if a class is empty.

    Notes
    -----
    Checked against a brute-force bootstrap over single reads.

    Examples
    --------
    >>> p = pool([1, 1, 0], [1, 0, 0], reader=[0, 1, 0], case=[0, 0, 1], patient=[0, 0, 1])
    >>> score_rates(p, [[True, True]], cell_weights(p, once(2, 2))).tolist()
    [[[1.0, 0.0]]]
    """
    calls_by_cell = np.atleast_2d(np.asarray(calls, dtype=bool))[:, pooled_reads.case]
    rates = np.full((len(weight), len(calls_by_cell), 2), np.nan)
    for side, (in_class, right) in enumerate(
        ((pooled_reads.truth, calls_by_cell), (~pooled_reads.truth, ~calls_by_cell))
    ):
        total = (weight @ in_class.astype(np.float64))[:, None]
        hits = weight @ (right & in_class).T.astype(np.float64)
        np.divide(hits, total, out=rates[:, :, side], where=total > 0)
    return rates


def matched_rates(
    pooled_reads: PooledReads,
    score: ArrayLike,
    weight: Floats,
    *,
    specificity: ArrayLike,
    sensitivity: ArrayLike,
    lines: bool = False,
) -> tuple[Floats, Floats]:
    """Sensitivity of a score at given specificities, and specificity at given sensitivities, in every replicate.

    The threshold is chosen anew in every replicate, for example to match the specificity of the pooled readers.

    Parameters
    ----------
    pooled_reads : PooledReads
        Pooled reads.
    score : array_like of float, shape (n_cases,)
        Score of each case, indexed by the case codes of the reads.
    weight : ndarray of float64, shape (replicates, n_cells)
        Result of `cell_weights`.
    specificity : array_like of float, shape (replicates, k)
        Specificities to match in each replicate.
    sensitivity : array_like of float, shape (replicates, m)
        Sensitivities to match in each replicate.
    lines : bool, default False
        Whether to interpolate linearly on the ROC curve instead of using attainable thresholds.

    Returns
    -------
    sensitivity : ndarray of float64, shape (replicates, k)
        Sensitivity at the attainable threshold with at least the given specificity.
    specificity : ndarray of float64, shape (replicates, m)
        Specificity at the attainable threshold with at least the given sensitivity.

    Raises
    ------
    InputError
        If a score is NaN or infinite, or the rates do not have one row for each replicate.

    Notes
    -----
    A case is called present if its score is at or above the threshold. Rates are NaN if a class is empty, the given
    rate is NaN, or ties leave no attainable threshold (see `overread.stats.resampling.rate_replicates`). Checked
    against a brute-force bootstrap over single reads.

    Examples
    --------
    >>> p = pool([1, 1, 0, 0], [1, 0, 0, 0], reader=[0] * 4, case=range(4), patient=range(4))
    >>> rates = matched_rates(p, [4, 2, 3, 1], cell_weights(p, once(1, 4)), specificity=[[1.0]], sensitivity=[[1.0]])
    >>> [rate.tolist() for rate in rates]
    [[[0.5]], [[0.5]]]
    """
    where = "matched_rates"
    value = score_array(np.asarray(score, dtype=np.float64)[pooled_reads.case], pooled_reads.case.shape, where=where)
    targets = [np.asarray(w, dtype=np.float64) for w in (specificity, sensitivity)]
    for w in targets:
        if w.ndim != 2 or len(w) != len(weight):
            expected = f"rates for each of {len(weight)} replicates, (replicates, k)"
            raise InputError(f"{where}: rates", expected, f"shape {w.shape}")
    order = np.argsort(-value, kind="stable")
    ranked = value[order]
    last = np.append(ranked[1:] != ranked[:-1], True) if order.size else np.empty(0, dtype=bool)
    group = np.cumsum(last) - last
    group_of_case = np.unique(np.stack([group, pooled_reads.case[order]]), axis=1)[
        0
    ]  # a case may have a cell of each class
    shared = np.bincount(group_of_case, minlength=int(last.sum()))[group] > 1  # several cases have this score
    ranks = [_ranks(-w if k == 0 else w) for k, w in enumerate(targets)]
    sorted_targets = [w if r is None else np.take_along_axis(w, r, axis=1) for w, r in zip(targets, ranks, strict=True)]
    sorted_rates = [np.full(w.shape, np.nan) for w in targets]
    truth = pooled_reads.truth[order]

    def fill(part: slice) -> None:
        wanted, found = tuple(w[part] for w in sorted_targets), tuple(r[part] for r in sorted_rates)
        in_class = np.stack([pooled_reads.truth, ~pooled_reads.truth], axis=1).astype(np.float64)
        totals = weight[part] @ in_class
        _walk(weight[part], totals, (order, truth, last), wanted, found, lines)
        if not lines:
            _drop_unattained(weight[part], totals, (order, truth, last, shared), wanted, found)

    _each_part(fill, len(weight))
    rates = []
    for f, r in zip(sorted_rates, ranks, strict=True):
        values = f
        if r is not None:
            values = np.empty_like(f)
            np.put_along_axis(values, r, f, axis=1)
        rates.append(values)
    return rates[0], rates[1]


def _ranks(values: Floats) -> Codes | None:
    """Return the ascending order of each row; None if every row is in order already."""
    if (values[:, 1:] >= values[:, :-1]).all():
        return None
    return np.argsort(values, axis=1, kind="stable")


def _each_part(fill: Callable[[slice], None], replicates: int) -> None:
    """Run `fill` on parts of the replicates in threads; replicates are independent of each other."""
    workers = max(1, min(os.cpu_count() or 1, 8, replicates // FEWEST_IN_THREAD))
    if workers == 1:
        fill(slice(0, replicates))
        return
    ends = [replicates * k // workers for k in range(workers + 1)]
    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(fill, (slice(a, b) for a, b in pairwise(ends))))


@njit(nogil=True)
def _walk(weight: Any, totals: Any, cells: Any, targets: Any, out: Any, lines: bool) -> None:
    """Fill in the rates at descending thresholds; along an axis specificities decrease and sensitivities increase."""
    order, truth, last = cells
    specificity, sensitivity = targets
    sensitivity_out, specificity_out = out
    for b in range(weight.shape[0]):
        present, absent = totals[b, 0], totals[b, 1]
        if not (present > 0 and absent > 0):
            continue
        true_positives, false_positives, new_true_positives, new_false_positives = 0.0, 0.0, 0.0, 0.0
        index, index_back = 0, 0
        while (
            index_back < sensitivity.shape[1] and true_positives >= (sensitivity[b, index_back] - TOLERANCE) * present
        ):
            specificity_out[b, index_back] = 1.0
            index_back += 1
        for i in range(order.size):
            if index == specificity.shape[1] and index_back == sensitivity.shape[1]:
                break  # every rate is found, usually at a high threshold
            if truth[i]:
                new_true_positives += weight[b, order[i]]
            else:
                new_false_positives += weight[b, order[i]]
            if not last[i]:
                continue
            while (
                index < specificity.shape[1] and new_false_positives > (1 - specificity[b, index] + TOLERANCE) * absent
            ):
                share = 0.0
                if lines:
                    share = max((1 - specificity[b, index]) * absent - false_positives, 0.0) / (
                        new_false_positives - false_positives
                    )
                sensitivity_out[b, index] = (true_positives + share * (new_true_positives - true_positives)) / present
                index += 1
            true_positives, false_positives = new_true_positives, new_false_positives
            while (
                index_back < sensitivity.shape[1]
                and true_positives >= (sensitivity[b, index_back] - TOLERANCE) * present
            ):
                specificity_out[b, index_back] = 1 - false_positives / absent
                index_back += 1
        while index < specificity.shape[1] and not np.isnan(specificity[b, index]):
            sensitivity_out[b, index] = 1.0
            index += 1


@njit(nogil=True)
def _drop_unattained(weight: Any, totals: Any, cells: Any, targets: Any, out: Any) -> None:
    """Set a rate to NaN if ties of several cases make the target attainable only by calling all cases alike.

    Only the highest and the lowest group of equal scores that has weight in the replicate decides it.
    """
    order, truth, last, shared = cells
    for b in range(weight.shape[0]):
        highest, lowest, tied = 0.0, 0.0, False
        group_present, group_absent = 0.0, 0.0
        for i in range(order.size):
            if truth[i]:
                group_present += weight[b, order[i]]
            else:
                group_absent += weight[b, order[i]]
            if last[i] and group_present + group_absent > 0:
                highest = group_absent if shared[i] else 0.0
                break
        group_present, group_absent = 0.0, 0.0
        for i in range(order.size - 1, -1, -1):
            if last[i]:
                if group_present + group_absent > 0:
                    break
                group_present, group_absent, tied = 0.0, 0.0, shared[i]
            if truth[i]:
                group_present += weight[b, order[i]]
            else:
                group_absent += weight[b, order[i]]
        if group_present + group_absent > 0:
            lowest = group_present if tied else 0.0
        for k in range(targets[0].shape[1]):
            if highest > (1 - targets[0][b, k] + TOLERANCE) * totals[b, 1]:
                out[0][b, k] = np.nan
        for k in range(targets[1].shape[1]):
            if lowest > (1 - targets[1][b, k] + TOLERANCE) * totals[b, 0]:
                out[1][b, k] = np.nan
