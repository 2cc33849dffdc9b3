"""The pooled reads of a panel beside a score on the same cases, with readers and patients resampled independently.

Each read weighs 1, so the average reader is the pool of all reads, and a score meets a case as often as it was read. In
a replicate of the product bootstrap a read weighs how often its reader was drawn times how often its patient was: all
rates are ratios of sums that are bilinear in the two counts, so that thousands of replicates are a few matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from overread.errors import InputError
from overread.kernels import njit
from overread.stats.arrays import Bools, Codes, Floats, call_array, score_array, truth_array, weight_array
from overread.stats.random_numbers import Random, generator

TOLERANCE = 1e-12  # of a rate, so that one that is met exactly is met whatever the rounding


@dataclass(frozen=True, slots=True, eq=False)
class PooledReads:
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
    shape: tuple[int, int] | None = None,
) -> PooledReads:
    """Reads gathered by case and truth.

    Parameters: y truth and call, bool (n_reads,); reader, case and patient of each read, codes 0 … (n_reads,); weights
    (n_reads,), inverse inclusion probabilities of the cases; shape (n_readers, n_patients): how many there are in all,
    where some have no read here. Raises InputError on anything but yes and no, or a case of two patients.

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
    rows, n_patients = (int(r.max(initial=-1)) + 1, int(p.max(initial=-1)) + 1) if shape is None else shape
    flat = r * cells.size + place
    return PooledReads(
        (cells % 2).astype(bool),
        cells // 2,
        owner,
        np.bincount(flat, weight, minlength=rows * cells.size).reshape(rows, cells.size).astype(np.float64),
        np.bincount(flat, weight * called, minlength=rows * cells.size).reshape(rows, cells.size).astype(np.float64),
        n_patients,
    )


def product_draws(n_readers: int, n_patients: int, *, rng: Random, replicates: int = 2000) -> ProductDraws:
    """Readers and patients drawn with replacement, independently of each other.

    The variance of a mean over readers and patients comes out right for what readers and patients contribute, while
    the error of the single read (reader by patient) counts three times: the interval errs on the wide side, and the
    U-statistics of `mrmc` beside it say by how much. Below about five readers the readers themselves are too few.
    Owen (2007) doi:10.1214/07-AOAS122.

    >>> drawn = product_draws(3, 10, rng=np.random.default_rng(0), replicates=5)
    >>> drawn.readers.sum(axis=1).tolist(), drawn.patients.shape
    ([3.0, 3.0, 3.0, 3.0, 3.0], (5, 10))
    """
    if replicates < 1:
        raise InputError("product_draws: replicates", "at least 1", f"{replicates}")
    rng = generator(rng, where="product_draws")
    drawn = [
        np.array([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(replicates)], dtype=np.float64)
        for n in (n_readers, n_patients)
    ]
    return ProductDraws(*drawn)


def once(n_readers: int, n_patients: int) -> ProductDraws:
    """Everyone once: the estimate itself, by the same code as its replicates."""
    return ProductDraws(np.ones((1, n_readers)), np.ones((1, n_patients)))


def pooled_rates(of: PooledReads, drawn: ProductDraws) -> Floats:
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


def _bilinear(table: Floats, patient: Codes, of: PooledReads, drawn: ProductDraws) -> Floats:
    """Sums of a table (n_readers, cells) in every replicate (replicates,)."""
    rows, n = len(table), of.n_patients
    flat = np.arange(rows)[:, None] * n + patient[None, :]
    by_patient = np.bincount(flat.ravel(), table.ravel(), minlength=rows * n).reshape(rows, n)
    return np.asarray(((drawn.readers @ by_patient) * drawn.patients).sum(axis=1), dtype=np.float64)


def cell_weights(of: PooledReads, drawn: ProductDraws) -> Floats:
    """How much each cell weighs in every replicate: its reads, as often as reader and patient were drawn.

    Returns float64 (replicates, n_cells), the ground of `score_rates` and `matched_rates`.
    """
    made: Floats = drawn.readers @ of.reads
    made *= drawn.patients[:, of.patient]
    return made


def score_rates(of: PooledReads, calls: ArrayLike, weight: Floats) -> Floats:
    """Sensitivity and specificity of calls made from scores, each case as often as it was read.

    Parameters: calls bool (k, n_cases), indexed by the cases of the reads; weight: `cell_weights`. Returns float64
    (replicates, k, 2), NaN without a class.

    >>> p = pool([1, 1, 0], [1, 0, 0], reader=[0, 1, 0], case=[0, 0, 1], patient=[0, 0, 1])
    >>> score_rates(p, [[True, True]], cell_weights(p, once(2, 2))).tolist()
    [[[1.0, 0.0]]]
    """
    called = np.atleast_2d(np.asarray(calls, dtype=bool))[:, of.case]
    made = np.full((len(weight), len(called), 2), np.nan)
    for side, (chosen, right) in enumerate(((of.truth, called), (~of.truth, ~called))):
        total = (weight @ chosen.astype(np.float64))[:, None]
        hits = weight @ (right & chosen).T.astype(np.float64)
        np.divide(hits, total, out=made[:, :, side], where=total > 0)
    return made


def matched_rates(
    of: PooledReads,
    score: ArrayLike,
    weight: Floats,
    *,
    specificity: ArrayLike,
    sensitivity: ArrayLike,
    lines: bool = False,
) -> tuple[Floats, Floats]:
    """The sensitivity of a score at stated specificities, and the reverse, thresholds chosen anew in every replicate.

    Parameters: score float (n_cases,), indexed by the cases of the reads, each case as often as it was read; weight:
    `cell_weights`; lines: sensitivities on the ROC curve, its points joined by straight lines, in place of attainable
    steps; specificity (replicates, k) and sensitivity (replicates, m): the rates to match in each replicate
    (those of the pooled readers, say).

    Returns the sensitivities (replicates, k) and the specificities (replicates, m) at the attainable step (call = score
    >= threshold) whose other rate is at least the stated one; NaN where a class is empty, where the stated rate is NaN
    and where ties leave no threshold that attains it, as in `bootstrap.rate_replicates`.
    Checked against resampling read by read.

    >>> p = pool([1, 1, 0, 0], [1, 0, 0, 0], reader=[0] * 4, case=range(4), patient=range(4))
    >>> found = matched_rates(p, [4, 2, 3, 1], cell_weights(p, once(1, 4)), specificity=[[1.0]], sensitivity=[[1.0]])
    >>> [f.tolist() for f in found]
    [[[0.5]], [[0.5]]]
    """
    where = "matched_rates"
    value = score_array(np.asarray(score, dtype=np.float64)[of.case], of.case.shape, where=where)
    wanted = [np.asarray(w, dtype=np.float64) for w in (specificity, sensitivity)]
    for w in wanted:
        if w.ndim != 2 or len(w) != len(weight):
            expected = f"rates for each of {len(weight)} replicates, (replicates, k)"
            raise InputError(f"{where}: rates", expected, f"shape {w.shape}")
    order = np.argsort(-value, kind="stable")
    ranked = value[order]
    last = np.append(ranked[1:] != ranked[:-1], True) if order.size else np.empty(0, dtype=bool)
    group = np.cumsum(last) - last
    held = np.unique(np.stack([group, of.case[order]]), axis=1)[0]  # a case may have a cell of either truth
    shared = np.bincount(held, minlength=int(last.sum()))[group] > 1  # several cases have this score
    rows = [np.argsort(-w if k == 0 else w, axis=1, kind="stable") for k, w in enumerate(wanted)]
    sorted_wanted = [np.take_along_axis(w, r, axis=1) for w, r in zip(wanted, rows, strict=True)]
    found = [np.full(w.shape, np.nan) for w in wanted]
    truth = of.truth[order]
    _walk(weight, order, truth, last, (*sorted_wanted,), (*found,), lines)
    if not lines:
        _drop_unattained(weight, order, truth, (last, shared), (*sorted_wanted,), (*found,))
    made = []
    for f, r in zip(found, rows, strict=True):
        back = np.empty_like(f)
        np.put_along_axis(back, r, f, axis=1)
        made.append(back)
    return made[0], made[1]


@njit(nogil=True)
def _walk(weight: Any, order: Any, truth: Any, last: Any, wanted: Any, out: Any, lines: bool) -> None:
    """Down the scores of every replicate; specificities come falling, sensitivities rising, NaN last."""
    specificity, sensitivity = wanted
    found, found_back = out
    for b in range(weight.shape[0]):
        present, absent = 0.0, 0.0
        for i in range(order.size):
            if truth[i]:
                present += weight[b, order[i]]
            else:
                absent += weight[b, order[i]]
        if not (present > 0 and absent > 0):
            continue
        hits, alarms, new_hits, new_alarms = 0.0, 0.0, 0.0, 0.0
        at, back = 0, 0
        while back < sensitivity.shape[1] and hits >= (sensitivity[b, back] - TOLERANCE) * present:
            found_back[b, back] = 1.0
            back += 1
        for i in range(order.size):
            if truth[i]:
                new_hits += weight[b, order[i]]
            else:
                new_alarms += weight[b, order[i]]
            if not last[i]:
                continue
            while at < specificity.shape[1] and new_alarms > (1 - specificity[b, at] + TOLERANCE) * absent:
                share = 0.0
                if lines:
                    share = max((1 - specificity[b, at]) * absent - alarms, 0.0) / (new_alarms - alarms)
                found[b, at] = (hits + share * (new_hits - hits)) / present
                at += 1
            hits, alarms = new_hits, new_alarms
            while back < sensitivity.shape[1] and hits >= (sensitivity[b, back] - TOLERANCE) * present:
                found_back[b, back] = 1 - alarms / absent
                back += 1
        while at < specificity.shape[1] and not np.isnan(specificity[b, at]):
            found[b, at] = 1.0
            at += 1


@njit(nogil=True)
def _drop_unattained(weight: Any, order: Any, truth: Any, groups: Any, wanted: Any, out: Any) -> None:
    """NaN where only calling nobody (everyone) attains the stated rate because several cases tie at the end."""
    last, shared = groups
    for b in range(weight.shape[0]):
        present, absent, highest, lowest, seen = 0.0, 0.0, 0.0, 0.0, False
        group_present, group_absent = 0.0, 0.0
        for i in range(order.size):
            if truth[i]:
                group_present += weight[b, order[i]]
            else:
                group_absent += weight[b, order[i]]
            if not last[i]:
                continue
            present += group_present
            absent += group_absent
            if group_present + group_absent > 0:
                if not seen:
                    highest = group_absent if shared[i] else 0.0
                seen = True
                lowest = group_present if shared[i] else 0.0
            group_present, group_absent = 0.0, 0.0
        for k in range(wanted[0].shape[1]):
            if highest > (1 - wanted[0][b, k] + TOLERANCE) * absent:
                out[0][b, k] = np.nan
        for k in range(wanted[1].shape[1]):
            if lowest > (1 - wanted[1][b, k] + TOLERANCE) * present:
                out[1][b, k] = np.nan


__all__ = [
    "PooledReads",
    "ProductDraws",
    "cell_weights",
    "matched_rates",
    "once",
    "pool",
    "pooled_rates",
    "product_draws",
    "score_rates",
]
