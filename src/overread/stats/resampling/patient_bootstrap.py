"""Bootstrap by patient: common draws for all statistics, and fast replicates of AUCs and rates."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from math import nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import (
    Codes,
    Floats,
    check_confidence,
    check_word,
    group_codes,
    score_array,
    truth_array,
    weight_array,
)
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.random_numbers import Random, generator
from overread.stats.resampling.sorted_resamples import (
    LANES,
    Ranked,
    drop_unattained,
    ranked,
    sum_auc,
    sum_lines,
    sum_rates,
    sum_reverse,
)
from overread.stats.roc.delong import groups_of, stratum_of_cluster

Counts = NDArray[np.uint16]

DRAWS_AT_ONCE = 2**28  # counts in memory (2 bytes each) in bootstrap_auc; the draws do not depend on it
_DRAWN_AT_ONCE = 2**17  # draws in one call: they and their counts fit into the cache
UNDEFINED_ALLOWED = 0.01  # largest proportion of undefined replicates for which there is an interval


def draw_counts(cluster: ArrayLike, *, rng: Random, replicates: int = 2000, strata: ArrayLike | None = None) -> Counts:
    """Draw patients with replacement and count the draws of each patient in every replicate.

    Parameters
    ----------
    cluster : array_like, shape (n_cases,)
        Patient identifier of each case; `np.arange(n_cases)` for independent cases.
    rng : numpy.random.Generator
        Random number generator.
    replicates : int, default 2000
        Number of bootstrap replicates.
    strata : array_like, shape (n_cases,), optional
        Sampling stratum of each case; patients are drawn within strata.

    Returns
    -------
    ndarray of uint16, shape (replicates, n_clusters)
        Number of draws, with patients in the order of `np.unique(cluster)`. Each replicate has as many draws as
        patients.

    Raises
    ------
    InputError
        If a patient is in several strata, a label is missing, or `replicates` is below 1.

    Notes
    -----
    Statistics whose differences or means are of interest must use the same counts. Whole patients are resampled as in
    Davison AC, Hinkley DV (1997), Bootstrap Methods and their Application, section 3.8.

    References
    ----------
    * Efron B (1979). Bootstrap methods: another look at the jackknife. Annals of Statistics 7:1-26.
      doi:10.1214/aos/1176344552

    Examples
    --------
    >>> draw_counts(["a", "b", "b", "c"], rng=np.random.default_rng(0), replicates=2).sum(axis=1).tolist()
    [3, 3]
    """
    where = "draw_counts"
    _check_replicates(replicates, where)
    rng = generator(rng, where=where)
    n_cases = np.asarray(cluster).shape[0]
    groups = groups_of(n_cases, cluster, strata, where=where)
    counts = np.zeros((replicates, groups.n_clusters), dtype=np.uint16)
    if groups.n_clusters == 0:
        return counts
    if groups.stratum is None:
        return _unstratified_counts(counts, rng)
    stratum = stratum_of_cluster(groups)
    pools = np.split(np.argsort(stratum, kind="stable"), np.cumsum(np.bincount(stratum))[:-1])
    for replicate in counts:
        for pool in pools:
            draws = np.bincount(rng.integers(0, pool.size, pool.size), minlength=pool.size)
            replicate[pool] = draws
    return counts


def _unstratified_counts(counts: Counts, rng: np.random.Generator) -> Counts:
    """Fill the counts in blocks of replicates: the same draws as one replicate at a time, in fewer calls."""
    n = counts.shape[1]
    step = max(1, _DRAWN_AT_ONCE // n)
    for first in range(0, len(counts), step):
        block = counts[first : first + step]
        draws = rng.integers(0, n, block.shape) + np.arange(len(block))[:, None] * n
        block[:] = np.bincount(draws.ravel(), minlength=block.size).reshape(block.shape)
    return counts


def bootstrap(
    statistic: Callable[..., ArrayLike],
    *arrays: ArrayLike,
    rng: Random,
    cluster: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    replicates: int = 2000,
) -> Floats:
    """Bootstrap replicates of any statistic, with patients as the resampling unit.

    Parameters
    ----------
    statistic : callable
        Called as statistic(*arrays) with the cases of a replicate; returns a number or a fixed number of numbers.
    *arrays : array_like
        Data with cases on the last axis.
    rng : numpy.random.Generator
        Random number generator.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    strata : array_like, shape (n_cases,), optional
        Sampling stratum of each case; patients are drawn within strata.
    replicates : int, default 2000
        Number of bootstrap replicates.

    Returns
    -------
    ndarray of float64, shape (replicates,) or (replicates, k)
        Replicates; NaN where the statistic is undefined.

    Raises
    ------
    InputError
        If the arrays have different numbers of cases.

    Notes
    -----
    `percentile_interval` computes an interval from the replicates.

    References
    ----------
    * Efron B (1979). Bootstrap methods: another look at the jackknife. Annals of Statistics 7:1-26.
      doi:10.1214/aos/1176344552

    Examples
    --------
    >>> values = bootstrap(np.mean, [1.0, 2.0, 3.0, 4.0], rng=np.random.default_rng(1), replicates=500)
    >>> values.shape, bool(2.3 < values.mean() < 2.7)
    ((500,), True)
    """
    where = "bootstrap"
    data = [np.asarray(a) for a in arrays]
    sizes = {a.shape[-1] if a.ndim else 0 for a in data}
    if len(sizes) != 1:
        raise InputError(where, "arrays with the same number of cases on the last axis", f"{sorted(sizes)}")
    n_cases = sizes.pop()
    labels = np.arange(n_cases) if cluster is None else np.asarray(cluster)
    codes, n_clusters = group_codes(labels, n_cases, where=where)
    counts = draw_counts(codes, rng=rng, replicates=replicates, strata=strata)
    order = np.argsort(codes, kind="stable")
    start = np.concatenate(([0], np.cumsum(np.bincount(codes, minlength=n_clusters))))
    members = np.split(order, start[1:-1])
    values = []
    for row in counts:
        patients = np.repeat(np.arange(n_clusters), row)
        cases = patients if cluster is None else np.concatenate([members[c] for c in patients])
        values.append(np.asarray(statistic(*(a[..., cases] for a in data)), dtype=np.float64))
    return np.array(values)


def bootstrap_auc(
    y: ArrayLike,
    scores: ArrayLike,
    *,
    rng: Random,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    replicates: int = 2000,
) -> Floats:
    """Bootstrap replicates of the AUCs of several raters and findings, with common draws of patients.

    Parameters
    ----------
    y : array_like of float, shape (n_findings, n_cases)
        Reference standard: 1 present, 0 absent, NaN not stated.
    scores : array_like of float, shape (n_raters, n_findings, n_cases)
        Scores; used only where `y` is not NaN.
    rng : numpy.random.Generator
        Random number generator.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.
    strata : array_like, shape (n_cases,), optional
        Sampling stratum of each case; patients are drawn within strata.
    replicates : int, default 2000
        Number of bootstrap replicates.

    Returns
    -------
    ndarray of float64, shape (replicates, n_raters, n_findings)
        AUCs; NaN where a class is empty in a replicate.

    Raises
    ------
    InputError
        If an array has another shape, or a score of a case with a reference standard is NaN or infinite.

    Notes
    -----
    Means and differences over the axes have the correct joint distribution. 2,000 replicates of 14 findings on 22,433
    images take about a second. Checked against a brute-force bootstrap over cases.

    References
    ----------
    * Efron B (1979). Bootstrap methods: another look at the jackknife. Annals of Statistics 7:1-26.
      doi:10.1214/aos/1176344552

    Examples
    --------
    >>> y = [[1, 1, 0, 0, 0, np.nan]]
    >>> values = bootstrap_auc(y, [[[5, 3, 4, 2, 1, 0]]], rng=np.random.default_rng(2), replicates=100)
    >>> values.shape
    (100, 1, 1)
    """
    n_cases = np.asarray(y).shape[-1]
    _check_replicates(replicates, "bootstrap_auc")
    rng = generator(rng, where="bootstrap_auc")  # once: the parts below go on with it
    labels = np.arange(n_cases) if cluster is None else cluster
    codes, n_clusters = group_codes(labels, n_cases, where="bootstrap_auc")
    step = max(LANES, DRAWS_AT_ONCE // max(n_clusters, 1))
    parts = []
    for first in range(0, replicates, step):
        counts = draw_counts(codes, rng=rng, replicates=min(step, replicates - first), strata=strata)
        parts.append(auc_replicates(y, scores, counts, cluster=codes, weights=weights))
    return np.concatenate(parts)


def auc_replicates(
    y: ArrayLike,
    scores: ArrayLike,
    counts: Counts,
    *,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Floats:
    """Bootstrap replicates of AUCs from given draws of patients.

    Parameters
    ----------
    y : array_like of float, shape (n_findings, n_cases)
        Reference standard: 1 present, 0 absent, NaN not stated.
    scores : array_like of float, shape (n_raters, n_findings, n_cases)
        Scores; used only where `y` is not NaN.
    counts : ndarray of uint16, shape (replicates, n_clusters)
        Draws by `draw_counts`.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.

    Returns
    -------
    ndarray of float64, shape (replicates, n_raters, n_findings)
        AUCs; NaN where a class is empty in a replicate.

    Raises
    ------
    InputError
        As for `bootstrap_auc`, and if the draws do not match the patients.

    Notes
    -----
    Checked against a brute-force bootstrap over cases.

    Examples
    --------
    >>> counts = np.array([[1, 1, 1], [2, 0, 1]], dtype=np.uint16)
    >>> auc_replicates([[1, 0, 0]], [[[2, 3, 1]]], counts)[:, 0, 0].tolist()
    [0.5, 1.0]
    """
    where = "auc_replicates"
    truth, score_array_3d = _tables(y, scores, where)
    codes = _codes(truth.shape[1], counts, cluster, where)
    weight = None if weights is None else weight_array(weights, truth.shape[1], where=where)
    n_raters, n_findings = score_array_3d.shape[:2]
    columns = [(r, f) for r in range(n_raters) for f in range(n_findings)]
    sorts = [_ranked(truth[f], score_array_3d[r, f], codes, weight is not None, where) for r, f in columns]
    result = np.full((len(counts), n_raters, n_findings), nan)

    def fill(first: int, table: NDArray[Any]) -> None:
        out = np.empty(LANES)
        for (r, f), column in zip(columns, sorts, strict=True):
            sum_auc(column.case, column.edge, table, out)
            n_valid = min(LANES, len(counts) - first)
            result[first : first + n_valid, r, f] = out[:n_valid]

    _each_block(fill, counts, codes, weight)
    return result


def rate_replicates(
    y: ArrayLike,
    scores: ArrayLike,
    counts: Counts,
    fixed: ArrayLike,
    *,
    kind: str = "sensitivity",
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Floats:
    """Bootstrap replicates of one rate at fixed values of the other, with the threshold chosen anew in every replicate.

    Parameters
    ----------
    y : array_like of float, shape (n_findings, n_cases)
        Reference standard: 1 present, 0 absent, NaN not stated.
    scores : array_like of float, shape (n_raters, n_findings, n_cases)
        Scores; used only where `y` is not NaN.
    counts : ndarray of uint16, shape (replicates, n_clusters)
        Draws by `draw_counts`.
    fixed : array_like of float, shape (k,)
        Fixed rates in [0, 1].
    kind : {"sensitivity", "specificity", "curve"}, default "sensitivity"
        Sensitivity at fixed specificities, specificity at fixed sensitivities, or sensitivity at fixed specificities on
        the ROC curve with linear interpolation (for the band of a curve; no threshold exists between attainable
        points).
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.

    Returns
    -------
    ndarray of float64, shape (replicates, n_raters, n_findings, k)
        Best rate of an attainable threshold with at least the fixed rate; a case is called present if its score is at
        or above the threshold. NaN where a class is empty or no threshold attains the fixed rate.

    Raises
    ------
    InputError
        As for `auc_replicates`, and if a fixed rate is outside [0, 1] or `kind` is unknown.

    Notes
    -----
    No threshold attains the fixed rate if too many absent cases have the highest score (or present cases the lowest),
    as in binary calls or saturated outputs. Calling no case present attains any specificity, but a sensitivity of 0
    would bias the interval downwards. If a single case has that score and is drawn several times, the rate is 0,
    because a threshold next to the score exists. "curve" attains every rate.

    References
    ----------
    * Fawcett T (2006). An introduction to ROC analysis. Pattern Recognition Letters 27:861-874.
      doi:10.1016/j.patrec.2005.10.010

    Examples
    --------
    >>> counts = np.array([[1, 1, 1, 1], [1, 2, 0, 1]], dtype=np.uint16)
    >>> rate_replicates([[1, 1, 0, 0]], [[[4, 2, 3, 1]]], counts, [0.9])[:, 0, 0, 0].round(4).tolist()
    [0.5, 1.0]
    >>> decisions = [[[1, 0, 1, 0]]]  # in the second replicate the false positive is not drawn
    >>> rate_replicates([[1, 1, 0, 0]], decisions, counts, [0.9])[:, 0, 0, 0].round(4).tolist()
    [nan, 0.3333]
    >>> rate_replicates([[1, 1, 0, 0]], decisions, counts, [0.75, 0.5], kind="curve")[0, 0, 0].tolist()
    [0.25, 0.5]
    """
    where = "rate_replicates"
    check_word(kind, tuple(_KERNELS), where=where, name="kind")
    rates = _fixed_rates(fixed, where)
    steps = rates if kind == "specificity" else 1 - rates
    truth, score_array_3d = _tables(y, scores, where)
    codes = _codes(truth.shape[1], counts, cluster, where)
    weight = None if weights is None else weight_array(weights, truth.shape[1], where=where)
    n_raters, n_findings = score_array_3d.shape[:2]
    columns = [(r, f) for r in range(n_raters) for f in range(n_findings)]
    sorts = [_ranked(truth[f], -score_array_3d[r, f], codes, weight is not None, where) for r, f in columns]
    result = np.full((len(counts), n_raters, n_findings, steps.size), nan)

    def fill(first: int, table: NDArray[Any]) -> None:
        for (r, f), column in zip(columns, sorts, strict=True):
            n_valid = min(LANES, len(counts) - first)
            result[first : first + n_valid, r, f] = _rates_of(column, table, steps, kind)[:n_valid]

    _each_block(fill, counts, codes, weight)
    return result


_KERNELS: dict[str, Callable[..., None]] = {"sensitivity": sum_rates, "specificity": sum_reverse, "curve": sum_lines}


def _rates_of(column: Ranked, table: NDArray[Any], steps: Floats, kind: str) -> Floats:
    """Rates at each step (k,) in the replicates of a table, (LANES, k); the kernels need increasing steps."""
    order = np.argsort(steps, kind="stable")
    rising, sorted_rates, rates = steps[order], np.empty((LANES, steps.size)), np.empty((LANES, steps.size))
    _KERNELS[kind](column.case, column.edge, table, rising, sorted_rates)
    if kind != "curve":
        lowest = kind == "specificity"
        drop_unattained(
            column.case, column.level, column.turn, table, 1 - rising if lowest else rising, sorted_rates, lowest
        )
    rates[:, order] = sorted_rates
    return rates


def _fixed_rates(fixed: ArrayLike, where: str) -> Floats:
    """Validated fixed rates."""
    rates = np.atleast_1d(np.asarray(fixed, dtype=np.float64))
    if not ((rates >= 0) & (rates <= 1)).all():
        raise InputError(f"{where}: fixed", "numbers from 0 to 1", f"{rates.tolist()}")
    return rates


@named("")
def percentile_interval(
    replicates: ArrayLike, *, value: float = nan, confidence: float = 0.95, undefined_because: codes.Text = codes.NONE
) -> Estimate:
    """Percentile interval and standard error from bootstrap replicates.

    Parameters
    ----------
    replicates : array_like of float, shape (n,)
        Replicates; NaN = undefined.
    value : float, optional
        Estimate, which is returned unchanged.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.
    undefined_because : str, optional
        Reason for undefined replicates, for the note.

    Returns
    -------
    Estimate
        Value, interval and standard deviation of the replicates. NaN interval with a note if the replicates do not
        vary.

    Raises
    ------
    InputError
        If `confidence` is not in (0, 1).

    Notes
    -----
    Up to 1 % undefined replicates are omitted and counted in the note. Above 1 % there is no interval, because the
    defined replicates are a selection.

    References
    ----------
    * Efron B (1979). Bootstrap methods: another look at the jackknife. Annals of Statistics 7:1-26.
      doi:10.1214/aos/1176344552

    Examples
    --------
    >>> interval = percentile_interval([1.0, 2.0, 3.0, 4.0, 5.0], value=3.0, confidence=0.5)
    >>> interval.value, interval.low, interval.high, round(interval.se, 2), interval.method
    (3.0, 2.0, 4.0, 1.58, 'percentile bootstrap, 5 samples')
    """
    check_confidence(confidence, where="percentile_interval")
    values = np.asarray(replicates, dtype=np.float64).reshape(-1)
    defined = values[~np.isnan(values)]
    method = codes.method("bootstrap_percentile", replicates=values.size)
    undefined = values.size - defined.size
    counted = codes.note("undefined_samples", n=undefined, replicates=values.size) if undefined else codes.NONE
    note = codes.notes(counted, undefined_because) if undefined else codes.NONE
    if defined.size < 2 or undefined > UNDEFINED_ALLOWED * values.size:
        reason = codes.note("many_undefined") if defined.size >= 2 else codes.note("few_defined")
        return Estimate(value, method=method, note=codes.notes(note, reason))
    if defined.min() == defined.max():
        return Estimate(value, method=method, note=codes.notes(note, codes.note("equal_samples")))
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high), float(defined.std(ddof=1)), method=method, note=note)


def _check_replicates(replicates: int, where: str) -> None:
    """Raise if the number of replicates is below 1."""
    if replicates < 1:
        raise InputError(f"{where}: replicates", "at least 1", f"{replicates}")


def _tables(y: ArrayLike, scores: ArrayLike, where: str) -> tuple[Floats, Floats]:
    """Validated truth (n_findings, n_cases) and scores (n_raters, n_findings, n_cases)."""
    truth = np.asarray(y, dtype=np.float64)
    score_table = np.asarray(scores, dtype=np.float64)
    if truth.ndim != 2:
        raise InputError(f"{where}: y", "an array (n_findings, n_cases)", f"shape {truth.shape}")
    if score_table.ndim != 3 or score_table.shape[1:] != truth.shape:
        raise InputError(
            f"{where}: scores", f"an array (n_raters, {truth.shape[0]}, {truth.shape[1]})", f"{score_table.shape}"
        )
    return truth, score_table


def _codes(n_cases: int, counts: Counts, cluster: ArrayLike | None, where: str) -> Codes:
    """Patient codes that match the columns of the draws."""
    labels = np.arange(n_cases) if cluster is None else cluster
    codes, n_clusters = group_codes(labels, n_cases, where=where)
    if counts.ndim != 2 or counts.shape[1] != n_clusters:
        raise InputError(
            f"{where}: counts",
            f"draws (replicates, {n_clusters})",
            f"shape {counts.shape}",
            do="Use draw_counts with the same cluster labels.",
        )
    return codes


def _ranked(truth: Floats, score: Floats, codes: Codes, weighted: bool, where: str) -> Ranked:
    """Sorted cases of one rater and finding; the table of a block has one row per patient, or per case if weighted."""
    with_truth = np.flatnonzero(~np.isnan(truth))
    y = truth_array(truth[with_truth], where=where)
    values = score_array(score[with_truth], y.shape, where=where)
    return ranked(y, values, with_truth if weighted else codes[with_truth])


def _each_block(fill: Callable[[int, NDArray[Any]], None], counts: Counts, codes: Codes, weight: Floats | None) -> None:
    """Run `fill` on blocks of replicates in threads; a block is a table (patients or cases, LANES)."""

    def tables() -> Iterator[tuple[int, NDArray[Any]]]:
        for first in range(0, len(counts), LANES):
            block = counts[first : first + LANES]
            if len(block) < LANES:
                block = np.concatenate([block, np.zeros((LANES - len(block), counts.shape[1]), counts.dtype)])
            if weight is None:
                yield first, np.ascontiguousarray(block.T)
            else:
                yield first, np.ascontiguousarray(block.T, dtype=np.float64)[codes] * weight[:, None]

    workers = max(1, min(os.cpu_count() or 1, 8))
    with ThreadPoolExecutor(workers) as pool:
        pending = []
        for first, table in tables():
            pending.append(pool.submit(fill, first, table))
            if len(pending) > workers:  # limits the number of tables in memory
                pending.pop(0).result()
        for job in pending:
            job.result()
