"""AUCs and points of ROC curves of many bootstrap replicates: one sort of the cases, one pass per replicate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overread.kernels import njit
from overread.stats.arrays import Bools, Codes, Floats

LANES = 64  # replicates per block: a row of 64 counts of 2 bytes is two adjacent cache lines


@dataclass(frozen=True, slots=True)
class Ranked:
    """Cases in increasing order of score, in runs that end at present cases.

    `case` holds row numbers of a table of multiplicities: the absent cases below a score that a present case has, the
    absent cases with that score, the present cases with it, and so on; the absent cases above the last such score are
    at the end. `edge` (3 n_groups + 1,) holds the start of each of these runs and the end of the last one. `level`
    (n_scores + 1,) holds the start of each distinct score and the end of the last one; `turn` (n_scores,) the start of
    its present cases.
    """

    case: NDArray[np.int32]
    edge: NDArray[np.int32]
    level: NDArray[np.int32]
    turn: NDArray[np.int32]


def ranked(y: Bools, score: Floats, row: Codes) -> Ranked:
    """Sort the cases by score, absent before present, and find the runs.

    Examples
    --------
    >>> ranked(np.array([True, False, False]), np.array([1.0, 1.0, 0.0]), np.array([0, 1, 2]))
    Ranked(case=array([2, 1, 0], dtype=int32), edge=array([0, 1, 2, 3], dtype=int32),
           level=array([0, 1, 3], dtype=int32), turn=array([1, 2], dtype=int32))
    """
    order = np.lexsort((y, score))
    s, present = score[order], y[order]
    begins = np.flatnonzero(np.concatenate(([True], s[1:] != s[:-1]))[: s.size])
    level = np.append(begins, s.size)
    turn = level[1:] - (np.add.reduceat(present, begins, dtype=np.intp) if s.size else 0)
    steps = (level.astype(np.int32), turn.astype(np.int32))
    where = np.flatnonzero(present)
    if where.size == 0:
        return Ranked(row[order].astype(np.int32), np.zeros(1, dtype=np.int32), *steps)
    first = where[np.concatenate(([True], s[where[1:]] != s[where[:-1]]))]  # first present case of each score
    below = np.searchsorted(s, s[first], side="left")
    above = np.searchsorted(s, s[first], side="right")
    start = np.concatenate(([0], above[:-1]))
    edge = np.concatenate((np.stack([start, below, first], axis=1).reshape(-1), above[-1:]))
    return Ranked(row[order].astype(np.int32), edge.astype(np.int32), *steps)


@njit(nogil=True)
def _sums(table: NDArray[Any]) -> NDArray[Any]:
    """Zeros (LANES,) for sums of table rows: 8-byte integers for counts, floats for weights."""
    return np.full(LANES, 0 * table[0, 0])


@njit(nogil=True)
def _add(total: NDArray[Any], case: NDArray[Any], a: int, b: int, table: NDArray[Any]) -> None:
    """Add the table rows of cases a to b-1."""
    for i in range(a, b):
        row = case[i]
        for k in range(LANES):
            total[k] += table[row, k]


@njit(nogil=True)
def sum_auc(case: NDArray[Any], edge: NDArray[Any], table: NDArray[Any], out: Floats) -> None:
    """Write the AUCs of LANES replicates into out (LANES,); table (rows, LANES) of weights; NaN for an empty class."""
    if case.size == 0:
        out[:] = np.nan
        return
    absent, tied, hit = _sums(table), _sums(table), _sums(table)
    beaten, present = np.zeros(LANES), np.zeros(LANES)
    for g in range((edge.size - 1) // 3):
        tied[:] = 0
        hit[:] = 0
        _add(absent, case, edge[3 * g], edge[3 * g + 1], table)
        _add(tied, case, edge[3 * g + 1], edge[3 * g + 2], table)
        _add(hit, case, edge[3 * g + 2], edge[3 * g + 3], table)
        for k in range(LANES):
            beaten[k] += float(hit[k]) * (float(absent[k]) + 0.5 * float(tied[k]))
            present[k] += hit[k]
            absent[k] += tied[k]
    _add(absent, case, edge[edge.size - 1], case.size, table)
    for k in range(LANES):
        pairs = present[k] * float(absent[k])
        out[k] = beaten[k] / pairs if pairs > 0 else np.nan


@njit(nogil=True)
def _totals(case: NDArray[Any], edge: NDArray[Any], table: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Sums (LANES,) over all absent and all present cases, by table row, because a row may represent several cases."""
    times = np.zeros((2, table.shape[0]), np.int32)
    n_groups = (edge.size - 1) // 3
    for g in range(n_groups):
        for i in range(edge[3 * g], edge[3 * g + 2]):
            times[0, case[i]] += 1
        for i in range(edge[3 * g + 2], edge[3 * g + 3]):
            times[1, case[i]] += 1
    for i in range(edge[3 * n_groups], case.size):
        times[0, case[i]] += 1
    absent, present = _sums(table), _sums(table)
    for row in range(table.shape[0]):
        for total, n in ((absent, times[0, row]), (present, times[1, row])):
            if n:
                for k in range(LANES):
                    total[k] += n * table[row, k]
    return absent, present


@njit(nogil=True)
def sum_rates(case: NDArray[Any], edge: NDArray[Any], table: NDArray[Any], allowed: Floats, out: Floats) -> None:
    """Write the highest sensitivity at increasing rates `allowed` (k,) into out (LANES, k); scores are negated."""
    if case.size == 0:
        out[:] = np.nan
        return
    absent, present = _totals(case, edge, table)
    alarms, hits = _sums(table), _sums(table)
    passed = np.zeros(LANES, np.int64)  # number of allowed rates that are already exceeded
    limit = (allowed[0] + 1e-12) * absent.astype(np.float64)  # number of false positives that exceeds the next rate
    for g in range((edge.size - 1) // 3):
        _add(alarms, case, edge[3 * g], edge[3 * g + 2], table)
        over = 0
        for k in range(LANES):
            over += alarms[k] > limit[k]
        if over and _pass(alarms, hits, absent, present, allowed, passed, limit, out):
            break
        _add(hits, case, edge[3 * g + 2], edge[3 * g + 3], table)
    for k in range(LANES):
        out[k, passed[k] :] = 1.0
        if not (absent[k] > 0 and present[k] > 0):
            out[k] = np.nan


@njit(nogil=True)
def drop_unattained(
    case: NDArray[Any],
    level: NDArray[Any],
    turn: NDArray[Any],
    table: NDArray[Any],
    freedom: Floats,
    out: Floats,
    lowest: bool,
) -> None:
    """Set out (LANES, k) to NaN where no threshold attains the fixed rate in the replicate.

    This is the case if the absent cases with the highest drawn score exceed the allowed proportion of false positives
    `freedom` (k,), so that only calling no case present attains the specificity; with `lowest`, the present cases with
    the lowest score and the allowed misses. A score of a single case is exempt, because it ties only with its own draws
    and a threshold next to it exists. Scores are negated.
    """
    for k in range(LANES):
        doubtful = False
        for j in range(freedom.size):
            doubtful |= out[k, j] <= 1e-9  # rate 0, with tolerance for rounding of weights
        if not doubtful:
            continue
        tied, total = _tied_at_end(case, level, turn, table, k, lowest)
        for j in range(freedom.size):
            if tied > (freedom[j] + 1e-12) * total:
                out[k, j] = np.nan


@njit(nogil=True)
def _tied_at_end(
    case: NDArray[Any], level: NDArray[Any], turn: NDArray[Any], table: NDArray[Any], k: int, lowest: bool
) -> tuple[float, float]:
    """Weight of the absent (with `lowest`, present) cases at the first (last) drawn score, and of all of them.

    The first is 0 if a single case has that score.
    """
    tied, total, found = 0.0, 0.0, False
    for step in range(turn.size):
        d = turn.size - 1 - step if lowest else step
        absent, present = 0.0, 0.0
        for i in range(level[d], turn[d]):
            absent += table[case[i], k]
        for i in range(turn[d], level[d + 1]):
            present += table[case[i], k]
        total += present if lowest else absent
        if not found and absent + present > 0:
            found = True
            if level[d + 1] - level[d] > 1:
                tied = present if lowest else absent
    return tied, total


@njit(nogil=True)
def _pass(
    alarms: NDArray[Any],
    hits: NDArray[Any],
    absent: NDArray[Any],
    present: NDArray[Any],
    allowed: Floats,
    passed: NDArray[np.int64],
    limit: Floats,
    out: Floats,
) -> bool:
    """Record the sensitivity of the lanes that just exceeded an allowed rate; return whether all are finished."""
    through = 0
    for k in range(LANES):
        while passed[k] < allowed.size and float(alarms[k]) > limit[k]:
            out[k, passed[k]] = min(float(hits[k]) / max(float(present[k]), 1e-300), 1.0)
            passed[k] += 1
            if passed[k] < allowed.size:
                limit[k] = (allowed[passed[k]] + 1e-12) * float(absent[k])
            else:
                limit[k] = np.inf
        through += passed[k] == allowed.size
    return through == LANES


@njit(nogil=True)
def sum_lines(case: NDArray[Any], edge: NDArray[Any], table: NDArray[Any], allowed: Floats, out: Floats) -> None:
    """Write the sensitivity on the ROC curve at increasing rates `allowed` (k,) into out (LANES, k).

    Attainable points are joined by straight lines, so that ties give a sloping line. Scores are negated.
    """
    if case.size == 0:
        out[:] = np.nan
        return
    absent, present = _totals(case, edge, table)
    alarms, hits = _sums(table), _sums(table)
    passed = np.zeros(LANES, np.int64)
    for g in range((edge.size - 1) // 3):
        before = alarms.copy()
        _add(alarms, case, edge[3 * g], edge[3 * g + 1], table)  # absent cases only: a horizontal line
        _join((before, hits), (alarms, hits), absent, present, allowed, passed, out)
        before, hits_before = alarms.copy(), hits.copy()
        _add(alarms, case, edge[3 * g + 1], edge[3 * g + 2], table)
        _add(hits, case, edge[3 * g + 2], edge[3 * g + 3], table)
        _join((before, hits_before), (alarms, hits), absent, present, allowed, passed, out)
    for k in range(LANES):
        out[k, passed[k] :] = 1.0
        if not (absent[k] > 0 and present[k] > 0):
            out[k] = np.nan


@njit(nogil=True)
def _join(
    start: tuple[NDArray[Any], NDArray[Any]],
    end: tuple[NDArray[Any], NDArray[Any]],
    absent: NDArray[Any],
    present: NDArray[Any],
    allowed: Floats,
    passed: NDArray[np.int64],
    out: Floats,
) -> None:
    """Record the height of the line from start to end, (false positives, true positives) each, at the allowed rates."""
    for k in range(LANES):
        while passed[k] < allowed.size and float(end[0][k]) > (allowed[passed[k]] + 1e-12) * float(absent[k]):
            width = float(end[0][k]) - float(start[0][k])
            share = max(allowed[passed[k]] * float(absent[k]) - float(start[0][k]), 0.0) / width
            height = float(start[1][k]) + share * (float(end[1][k]) - float(start[1][k]))
            out[k, passed[k]] = min(height / max(float(present[k]), 1e-300), 1.0)
            passed[k] += 1


@njit(nogil=True)
def sum_reverse(case: NDArray[Any], edge: NDArray[Any], table: NDArray[Any], wanted: Floats, out: Floats) -> None:
    """Write the highest specificity at increasing sensitivities `wanted` (k,) into out (LANES, k); scores negated."""
    if case.size == 0:
        out[:] = np.nan
        return
    absent, present = _totals(case, edge, table)
    alarms, hits = _sums(table), _sums(table)
    free = 0  # calling no case present attains a sensitivity of 0
    while free < wanted.size and wanted[free] <= 1e-12:
        out[:, free] = 1.0
        free += 1
    reached = np.full(LANES, free)
    for g in range((edge.size - 1) // 3):
        _add(alarms, case, edge[3 * g], edge[3 * g + 2], table)
        _add(hits, case, edge[3 * g + 2], edge[3 * g + 3], table)
        open_ = 0
        for k in range(LANES):
            while reached[k] < wanted.size and float(hits[k]) >= (wanted[reached[k]] - 1e-12) * float(present[k]):
                left = max(float(absent[k] - alarms[k]), 0.0)  # sums of weights may differ by rounding
                out[k, reached[k]] = left / max(float(absent[k]), 1e-300)
                reached[k] += 1
            open_ += wanted.size - reached[k]
        if open_ == 0:
            break
    for k in range(LANES):
        if not (absent[k] > 0 and present[k] > 0):
            out[k] = np.nan
