"""Statistics as functions of case weights: whole resamples of the patients are then a few matrix products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from overread import codes
from overread.stats.arrays import Floats
from overread.stats.estimate import Estimate
from overread.stats.resampling.patient_bootstrap import draw_counts, percentile_interval
from overread.stats.sampling_design import Sampling

Statistic = Callable[[Floats], Floats]  # weights (b, n_cases) -> values (b,) or (b, k)

CELLS_AT_ONCE = 2**22  # weights (replicates x cases) held at once: 32 MB
NOTHING = 1e-24  # a variance below this is rounding
NO_SPREAD = codes.note("zero_variance")


def replicated(statistic: Statistic, sample: Sampling, *, rng: np.random.Generator, replicates: int) -> Floats:
    """A statistic in resamples of the patients, (replicates,) or (replicates, k).

    >>> sample = Sampling(3, 3, None, None, None)
    >>> values = replicated(lambda w: w @ [1.0, 2.0, 3.0] / 3, sample, rng=np.random.default_rng(0), replicates=400)
    >>> values.shape, bool(1.9 < values.mean() < 2.1)
    ((400,), True)
    """
    patient = np.arange(sample.n_cases) if sample.patient is None else sample.patient
    counts = draw_counts(patient, rng=rng, replicates=replicates)
    parts = [statistic(counts[rows].astype(np.float64)[:, patient]) for rows in _blocks(len(counts), sample)]
    return np.concatenate(parts)


def left_out(statistic: Statistic, sample: Sampling) -> Floats:
    """A statistic without each patient in turn (the jackknife), (n_patients,) or (n_patients, k).

    >>> left_out(lambda w: w @ [1.0, 2.0, 6.0] / w.sum(axis=1), Sampling(3, 3, None, None, None)).tolist()
    [4.0, 3.5, 1.5]
    """
    patient = np.arange(sample.n_cases) if sample.patient is None else sample.patient
    each = np.arange(sample.n_patients)
    return np.concatenate([statistic((each[r, None] != patient) * 1.0) for r in _blocks(each.size, sample)])


def jackknife_error(without: Floats) -> float:
    """The standard error from the values (n_patients,) without each patient; NaN when one of them is undefined.

    >>> jackknife_error(np.array([4.0, 3.5, 1.5]))
    1.5275252316519465
    """
    n = without.size
    if n < 2 or not np.isfinite(without).all():
        return float("nan")
    return float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def resampled(
    statistic: Statistic, sample: Sampling, *, rng: np.random.Generator, replicates: int, confidence: float
) -> Estimate:
    """The statistic of all cases with the percentile interval of resamples of the patients."""
    value = float(statistic(np.ones((1, sample.n_cases)))[0])
    values = replicated(statistic, sample, rng=rng, replicates=replicates)
    return percentiles(values, value, sample, confidence)


def percentiles(values: Floats, value: float, sample: Sampling, confidence: float) -> Estimate:
    """An estimate with the percentile interval of its replicates (n,); says what was drawn and where nothing varies."""
    made = percentile_interval(values, value=value, confidence=confidence)
    drawn = codes.method("cases_resampled") if sample.patient is None else codes.method("patients_resampled")
    note = codes.notes(made.note, NO_SPREAD if made.low == made.high else None)
    return replace(made, method=codes.methods(made.method, drawn), note=note)


def _blocks(n_rows: int, sample: Sampling) -> Iterator[slice]:
    step = max(1, CELLS_AT_ONCE // max(sample.n_cases, 1))
    return (slice(first, first + step) for first in range(0, n_rows, step))
