"""The pooled reads of a panel beside a score on the same cases, with readers and patients resampled independently.

Each read weighs 1, so the average reader is the pool of all reads, and a score meets a case as often as it was read. In
a replicate of the product bootstrap a read weighs how often its reader was drawn times how often its patient was: all
rates are ratios of sums that are bilinear in the two counts, so that thousands of replicates are a few matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from overread.errors import InputError
from overread.stats.arrays import Bools, Codes, Floats, call_array, score_array, truth_array, weight_array

AT_ONCE = 2**22  # weights held at once: (replicates, cells)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Reads gathered in cells: a cell is a case with one truth (a case may have several, where the truth hangs on who
    reads); counts are weighted where weights were given.
    """

    truth: Bools  # (n_cells,)
    case: Codes  # (n_cells,) the case of the cell
    patient: Codes  # (n_cells,)
    reads: Floats  # (n_readers, n_cells) how many reads
    hits: Floats  # (n_readers, n_cells) of which called present
    n_patients: int


@dataclass(frozen=True, slots=True, eq=False)
class ProductDraws:
    """How often each reader and each patient was drawn: (replicates, n_readers), (replicates, n_patients)."""

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
    n_readers: int | None = None,
    n_patients: int | None = None,
) -> Pool:
    """Reads gathered by case and truth.

    Parameters: y truth and call, bool (n_reads,); reader, case and patient of each read, codes 0 … (n_reads,); weights
    (n_reads,), inverse inclusion probabilities of the cases; n_readers, n_patients: how many there are in all, where
    some have no read here. Raises InputError on anything but yes and no, or a case of two patients.

    >>> p = pool([1, 1, 0], [1, 0, 0], reader=[0, 1, 0], case=[0, 0, 1], patient=[0, 0, 1])
    >>> p.reads.sum(axis=0).tolist(), p.hits.sum(axis=0).tolist()
    ([2.0, 1.0], [1.0, 0.0])
    """
    where = "pool"
    truth = truth_array(y, where=where)
    called = call_array(call, truth.size, where=where)
    r, c, p = (np.asarray(a, dtype=np.intp) for a in (reader, case, patient))
    weight = np.ones(truth.size) if weights is None else weight_array(weights, truth.size, where=where)
    cells, place = np.unique(2 * c + truth, return_inverse=True)
    owner = np.zeros(cells.size, dtype=np.intp)
    owner[place] = p
    if (owner[place] != p).any():
        raise InputError(f"{where}: patient", "every case of one patient", "a case of several")
    rows = int(r.max(initial=-1)) + 1 if n_readers is None else n_readers
    flat = r * cells.size + place
    shape = (rows, cells.size)
    return Pool(
        (cells % 2).astype(bool),
        cells // 2,
        owner,
        np.bincount(flat, weight, minlength=rows * cells.size).reshape(shape).astype(np.float64),
        np.bincount(flat, weight * called, minlength=rows * cells.size).reshape(shape).astype(np.float64),
        int(p.max(initial=-1)) + 1 if n_patients is None else n_patients,
    )


def product_draws(n_readers: int, n_patients: int, *, rng: np.random.Generator, replicates: int = 2000) -> ProductDraws:
    """Readers and patients drawn with replacement, independently of each other.

    Owen (2007) doi:10.1214/07-AOAS122: for means over a table with random rows and columns its variance is right but
    for a term that makes it slightly too large. Below about five readers the readers themselves are too few.

    >>> drawn = product_draws(3, 10, rng=np.random.default_rng(0), replicates=5)
    >>> drawn.readers.sum(axis=1).tolist(), drawn.patients.shape
    ([3.0, 3.0, 3.0, 3.0, 3.0], (5, 10))
    """
    if replicates < 1:
        raise InputError("product_draws: replicates", "at least 1", f"{replicates}")
    drawn = [
        np.array([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(replicates)], dtype=np.float64)
        for n in (n_readers, n_patients)
    ]
    return ProductDraws(*drawn)


def once(n_readers: int, n_patients: int) -> ProductDraws:
    """Everyone once: the estimate itself, by the same code as its replicates."""
    return ProductDraws(np.ones((1, n_readers)), np.ones((1, n_patients)))


def pooled_rates(of: Pool, drawn: ProductDraws) -> Floats:
    """Sensitivity and specificity of the pooled reads in every replicate: float64 (replicates, 2), NaN without a class.

    Checked against resampling read by read.

    >>> p = pool([1, 1, 0], [1, 0, 0], reader=[0, 1, 0], case=[0, 0, 1], patient=[0, 0, 1])
    >>> pooled_rates(p, once(2, 2)).tolist()
    [[0.5, 1.0]]
    """
    right = np.where(of.truth, of.hits, of.reads - of.hits)
    made = []
    for chosen in (of.truth, ~of.truth):
        sums = [_bilinear(table[:, chosen], of.patient[chosen], of, drawn) for table in (right, of.reads)]
        made.append(np.divide(sums[0], sums[1], out=np.full(len(drawn), np.nan), where=sums[1] > 0))
    return np.stack(made, axis=1)


def _bilinear(table: Floats, patient: Codes, of: Pool, drawn: ProductDraws) -> Floats:
    """Sums of a table (n_readers, cells) in every replicate (replicates,)."""
    rows, n = len(table), of.n_patients
    flat = np.arange(rows)[:, None] * n + patient[None, :]
    by_patient = np.bincount(flat.ravel(), table.ravel(), minlength=rows * n).reshape(rows, n)
    return np.asarray(((drawn.readers @ by_patient) * drawn.patients).sum(axis=1), dtype=np.float64)


def cell_weights(of: Pool, drawn: ProductDraws) -> Floats:
    """How much each cell weighs in every replicate: its reads, as often as reader and patient were drawn.

    Returns float64 (replicates, n_cells).
    """
    made: Floats = drawn.readers @ of.reads
    made *= drawn.patients[:, of.patient]
    return made


def score_rates(of: Pool, call: ArrayLike, drawn: ProductDraws) -> Floats:
    """Sensitivity and specificity of calls made from a score, each case as often as it was read: (replicates, 2).

    call: bool (n_cases,), indexed by the cases of the reads.

    >>> p = pool([1, 1, 0], [1, 0, 0], reader=[0, 1, 0], case=[0, 0, 1], patient=[0, 0, 1])
    >>> score_rates(p, [True, True], once(2, 2)).tolist()
    [[1.0, 0.0]]
    """
    called = np.asarray(call, dtype=bool)[of.case]
    same = Pool(of.truth, of.case, of.patient, of.reads, of.reads * called, of.n_patients)
    return pooled_rates(same, drawn)


def matched_rates(
    of: Pool, score: ArrayLike, rates: ArrayLike, drawn: ProductDraws, *, reverse: bool = False
) -> Floats:
    """The sensitivity of a score at a stated specificity or better, threshold chosen anew in every replicate.

    Parameters: score float (n_cases,), indexed by the cases of the reads, each case as often as it was read; rates
    (replicates,) or (replicates, k), the specificity to match in each replicate (that of the pooled readers, say), or,
    with `reverse`, the sensitivity at which the specificity is wanted.

    Returns float64 of the shape of rates: the rate at the attainable step (call = score >= threshold) whose other rate
    is at least the stated one; NaN where a class is empty or the stated rate is NaN. Checked against resampling read
    by read.

    >>> p = pool([1, 1, 0, 0], [1, 0, 0, 0], reader=[0] * 4, case=range(4), patient=range(4))
    >>> matched_rates(p, [4, 2, 3, 1], [1.0], once(1, 4)).tolist()
    [0.5]
    """
    value = score_array(np.asarray(score, dtype=np.float64)[of.case], of.case.shape, where="matched_rates")
    wanted = np.asarray(rates, dtype=np.float64)
    if wanted.ndim not in (1, 2) or len(wanted) != len(drawn):
        raise InputError("matched_rates: rates", f"rates for each of {len(drawn)} replicates", f"shape {wanted.shape}")
    truth, value = (~of.truth, value) if reverse else (of.truth, -value)
    order = np.argsort(value, kind="stable")
    ranked = value[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if order.size else np.empty(0, np.intp)
    columns = wanted.reshape(len(drawn), -1)
    result = np.full(columns.shape, np.nan)
    step = max(1, AT_ONCE // max(order.size, 1))
    for first in range(0, len(drawn) if order.size else 0, step):
        block = slice(first, first + step)
        part = ProductDraws(drawn.readers[block], drawn.patients[block])
        weight = cell_weights(of, part)[:, order]
        result[block] = _best(weight, truth[order], last, columns[block])
    return result.reshape(wanted.shape)


def _best(weight: Floats, truth: Bools, last: Codes, wanted: Floats) -> Floats:
    """The share of the true kind taken at the furthest step that keeps the stated share of the other."""
    other = np.cumsum(np.where(truth, 0.0, weight), axis=1)[:, last]
    mine = np.cumsum(np.where(truth, weight, 0.0), axis=1)[:, last]
    all_other, all_mine = other[:, -1:], mine[:, -1:]
    allowed = (1 - wanted + 1e-12) * all_other
    steps = np.array([np.searchsorted(row, most, side="right") for row, most in zip(other, allowed, strict=True)])
    reached = np.where(steps > 0, np.take_along_axis(mine, np.maximum(steps, 1) - 1, axis=1), 0.0)
    fine = (all_other > 0) & (all_mine > 0) & ~np.isnan(wanted)
    return np.divide(reached, all_mine, out=np.full(wanted.shape, np.nan), where=fine)


__all__ = [
    "Pool", "ProductDraws", "cell_weights", "matched_rates", "once", "pool", "pooled_rates", "product_draws",
    "score_rates",
]  # fmt: skip
