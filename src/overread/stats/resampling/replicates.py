"""Bootstrap and jackknife of statistics that are functions of case weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from overread import codes
from overread.stats.arrays import Floats
from overread.stats.estimate import Estimate
from overread.stats.random_numbers import Random
from overread.stats.resampling.patient_bootstrap import draw_counts, percentile_interval
from overread.stats.sampling_design import Sampling

Statistic = Callable[[Floats], Floats]  # weights (b, n_cases) -> values (b,) or (b, k)

CELLS_AT_ONCE = 2**22  # weights (replicates x cases) in one block: 32 MB
NOTHING = 1e-24  # variances below this are rounding error
NO_SPREAD = codes.note("zero_variance")


def replicated(statistic: Statistic, sample: Sampling, *, rng: Random, replicates: int) -> Floats:
    """Bootstrap replicates of a statistic, with patients as the resampling unit.

    Parameters
    ----------
    statistic : callable
        Function of case weights (b, n_cases) that returns (b,) or (b, k).
    sample : Sampling
        Sampling design.
    rng : numpy.random.Generator
        Random number generator.
    replicates : int, default 2000
        Number of bootstrap replicates.

    Returns
    -------
    ndarray of float64, shape (replicates,) or (replicates, k)
        Replicates.

    Notes
    -----
    A replicate is a row of case weights, so that many replicates are a few matrix products.

    Examples
    --------
    >>> sample = Sampling(3, 3, None, None, None)
    >>> values = replicated(lambda w: w @ [1.0, 2.0, 3.0] / 3, sample, rng=np.random.default_rng(0), replicates=400)
    >>> values.shape, bool(1.9 < values.mean() < 2.1)
    ((400,), True)
    """
    each = np.arange(sample.n_cases)
    patient = each if sample.patient is None else sample.patient
    counts = draw_counts(patient, rng=rng, replicates=replicates)
    in_order = np.array_equal(patient, each)  # the counts are the weights: nothing to look up
    parts = []
    for rows in _blocks(len(counts), sample):
        weights = counts[rows].astype(np.float64)
        parts.append(statistic(weights if in_order else weights[:, patient]))
    return np.concatenate(parts)


def left_out(statistic: Statistic, sample: Sampling) -> Floats:
    """Jackknife values of a statistic: its value without each patient in turn.

    Parameters
    ----------
    statistic : callable
        Function of case weights (b, n_cases) that returns (b,) or (b, k).
    sample : Sampling
        Sampling design.

    Returns
    -------
    ndarray of float64, shape (n_patients,) or (n_patients, k)
        Values without each patient.

    Notes
    -----
    `jackknife_error` computes a standard error from these values.

    Examples
    --------
    >>> left_out(lambda w: w @ [1.0, 2.0, 6.0] / w.sum(axis=1), Sampling(3, 3, None, None, None)).tolist()
    [4.0, 3.5, 1.5]
    """
    patient = np.arange(sample.n_cases) if sample.patient is None else sample.patient
    each = np.arange(sample.n_patients)
    return np.concatenate([statistic((each[r, None] != patient) * 1.0) for r in _blocks(each.size, sample)])


def jackknife_error(without: Floats) -> float:
    """Jackknife standard error.

    Parameters
    ----------
    without : ndarray of float64, shape (n_patients,)
        Values of the statistic without each patient.

    Returns
    -------
    float
        sqrt((n - 1) / n * sum of squared deviations); NaN for fewer than two values or an undefined one.

    Notes
    -----
    See Efron B, Tibshirani RJ (1993), An Introduction to the Bootstrap, chapter 11.

    Examples
    --------
    >>> jackknife_error(np.array([4.0, 3.5, 1.5]))
    1.5275252316519465
    """
    n = without.size
    if n < 2 or not np.isfinite(without).all():
        return float("nan")
    return float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def resampled(statistic: Statistic, sample: Sampling, *, rng: Random, replicates: int, confidence: float) -> Estimate:
    """Estimate of a statistic with the percentile interval of bootstrap replicates over patients.

    Parameters
    ----------
    statistic : callable
        Function of case weights (b, n_cases) that returns (b,).
    sample : Sampling
        Sampling design.
    rng : numpy.random.Generator
        Random number generator.
    replicates : int, default 2000
        Number of bootstrap replicates.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        Value, interval and standard error.

    Notes
    -----
    Combines `replicated` and `percentiles`.

    Examples
    --------
    >>> sample = Sampling(4, 4, None, None, None)
    >>> mean = resampled(lambda w: w @ [1.0, 2.0, 3.0, 6.0] / 4, sample, rng=np.random.default_rng(0), replicates=200,
    ...                  confidence=0.95)
    >>> mean.value, mean.low < 3 < mean.high
    (3.0, True)
    """
    value = float(statistic(np.ones((1, sample.n_cases)))[0])
    values = replicated(statistic, sample, rng=rng, replicates=replicates)
    return percentiles(values, value, sample, confidence)


def percentiles(values: Floats, value: float, sample: Sampling, confidence: float) -> Estimate:
    """Estimate with the percentile interval of given replicates; the method names the resampling unit.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Bootstrap replicates.
    value : float
        Estimate.
    sample : Sampling
        Sampling design.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        Value, interval and standard error.

    Notes
    -----
    As `percentile_interval`, with a note on an interval of zero width.

    Examples
    --------
    >>> percentiles(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 3.0, Sampling(4, 4, None, None, None), 0.5).method
    'percentile bootstrap, 5 samples, cases resampled'
    """
    interval = percentile_interval(values, value=value, confidence=confidence)
    unit = codes.method("cases_resampled") if sample.patient is None else codes.method("patients_resampled")
    note = codes.notes(interval.note, NO_SPREAD if interval.low == interval.high else None)
    return replace(interval, method=codes.methods(interval.method, unit), note=note)


def _blocks(n_rows: int, sample: Sampling) -> Iterator[slice]:
    """Slices of rows so that one block of weights fits into memory."""
    step = max(1, CELLS_AT_ONCE // max(sample.n_cases, 1))
    return (slice(first, first + step) for first in range(0, n_rows, step))
