"""The intraclass correlation: agreement of readers on a measurement, as a share of the variance between cases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, inf, isnan, nan

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import fdtrc, fdtri

from overread import codes
from overread.stats.agreement.ratings import left_out_because, measured, selected
from overread.stats.arrays import Floats, check_confidence, check_word
from overread.stats.estimate import Estimate
from overread.stats.quantiles import critical
from overread.stats.resampling.replicates import NO_SPREAD, jackknife_error, left_out, resampled
from overread.stats.sampling_design import Sampling

MODELS = ("two-way-random", "one-way", "two-way-mixed")
INTERVALS = ("shrout-fleiss", "mcgraw-wong")


@dataclass(frozen=True, slots=True, eq=False)
class _Squares:
    """Mean squares under case weights, each (b,): between cases, readers, what is left; n cases, k reads of a case."""

    cases: Floats
    readers: Floats  # NaN in the one-way model
    error: Floats
    n: Floats
    k: Floats

    def single(self, agreement: bool) -> Floats:
        """The ICC of one read; with agreement the readers' level counts as disagreement."""
        level = self.k * (self.readers - self.error) / self.n if agreement else 0.0
        return self._ratio(self.cases - self.error, self.cases + (self.k - 1) * self.error + level)

    def average(self, agreement: bool) -> Floats:
        """The ICC of the mean of k reads."""
        level = (self.readers - self.error) / self.n if agreement else 0.0
        return self._ratio(self.cases - self.error, self.cases + level)

    def _ratio(self, between: Floats, all_: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(all_ > 0, between / all_, nan)


def icc(
    ratings: ArrayLike,
    *,
    model: str = "two-way-random",
    agreement: bool = True,
    unit: str = "single",
    interval: str = "shrout-fleiss",
    cluster: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    replicates: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """The share of a measurement's variance that lies between cases, for one read or the mean of all readers'.

    Parameters: ratings (n_cases, n_readers), NaN = not read; model "two-way-random" (readers are a sample of readers),
    "two-way-mixed" (these readers and no others; the same number, with another meaning) or "one-way" (any readers, not
    the same ones for all cases); agreement False = consistency, a reader's level does not count (no role in one-way);
    unit "single" or "average"; interval "shrout-fleiss" or "mcgraw-wong" (differs for average agreement, and in p);
    cluster (n_cases,), the patient of each case; rng: patients are resampled `replicates` times.

    Returns an Estimate: interval by F, p of ICC = 0; with cluster by jackknife over patients on the scale -log(1 -
    average ICC), Student's t. Two-way models need every reader on every case: the others are left out and counted.
    One-way takes unequal numbers of reads (approximate interval). A negative value is kept and noted. With rng or
    cluster the readers stay as they are, so that an interval for other readers (two-way-random, agreement) is wider.
    Assumes normal errors of equal variance. Shrout & Fleiss (1979) doi:10.1037/0033-2909.86.2.420; McGraw & Wong
    (1996) doi:10.1037/1082-989X.1.1.30. Checked against psych 2.2.9 and irr 0.84.1 (R 4.2.2).

    >>> reads = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    >>> [round(icc(reads, model=m, agreement=a).value, 2) for m, a in zip(MODELS, (True, True, False), strict=True)]
    [0.29, 0.17, 0.71]
    """
    where = "icc"
    check_word(model, MODELS, where=where, name="model")
    check_word(unit, ("single", "average"), where=where, name="unit")
    check_word(interval, INTERVALS, where=where, name="interval")
    check_confidence(confidence, where=where)
    form = _Form(model == "one-way", agreement and model != "one-way", unit == "average", interval)
    table, sample, note = _usable(measured(ratings, where=where), form, cluster)
    method = codes.method("icc", form=form.name, model=model)
    reason = _undefined(table)
    if reason:
        return Estimate(nan, method=method, note=codes.notes(reason, note))
    centred = np.where(np.isnan(table), nan, table - np.nanmean(table))

    def statistic(weights: Floats) -> Floats:
        return form.value(_squares(centred, weights, form.one_way))

    whole = _squares(centred, np.ones((1, sample.n_cases)), form.one_way)
    value = float(form.value(whole)[0])
    if isnan(value):
        return Estimate(nan, method=method, note=codes.notes(codes.note("no_case_variance"), note))
    note = codes.notes(codes.note("negative_case_variance") if value < 0 else None, note)
    if form.agreement and (rng is not None or cluster is not None):
        note = codes.notes(codes.note("same_readers"), note)
    if rng is not None:
        result = resampled(statistic, sample, rng=rng, replicates=replicates, confidence=confidence)
        return replace(result, method=codes.methods(method, result.method), note=codes.notes(result.note, note))
    if cluster is not None:
        return _by_patient(value, sample, centred, form, confidence, method, note)
    return _by_f(value, whole, form, confidence, method, note)


@dataclass(frozen=True, slots=True)
class _Form:
    one_way: bool
    agreement: bool
    average: bool
    interval: str

    @property
    def name(self) -> str:
        """The name of McGraw & Wong, such as (A,1)."""
        kind = "" if self.one_way else "A," if self.agreement else "C,"
        return f"({kind}{'k' if self.average else '1'})"

    def value(self, squares: _Squares) -> Floats:
        return squares.average(self.agreement) if self.average else squares.single(self.agreement)


def _usable(numbers: Floats, form: _Form, cluster: ArrayLike | None) -> tuple[Floats, Sampling, codes.Text]:
    """Cases and readers that the model can take, and what was left out."""
    read = ~np.isnan(numbers)
    n_readers = int(read.any(axis=0).sum())
    if form.one_way:
        rows, columns, sample, note = selected(read, where="icc", cluster=cluster, least=1)
        reads = read[rows].sum(axis=1)
        if reads.size and (reads != reads[0]).any():
            uneven = codes.note("unequal_reads", fewest=int(reads.min()), most=int(reads.max()))
            note = codes.notes(uneven, note)
    else:
        rows, columns, sample, note = selected(read, where="icc", cluster=cluster, least=max(n_readers, 1))
        note = left_out_because(note, "not read by every reader") if n_readers > 1 else note
    return numbers[rows][:, columns], sample, note


def _undefined(table: Floats) -> codes.Text:
    if not len(table):
        return codes.note("no_complete_case")
    if len(table) < 2:
        return codes.note("single_case")
    if (~np.isnan(table)).sum(axis=1).max() < 2:
        return codes.note("single_reader")
    values = table[~np.isnan(table)]
    return codes.note("equal_measurements") if (values == values[0]).all() else codes.NONE


def _squares(table: Floats, weights: Floats, one_way: bool) -> _Squares:
    """Mean squares of the analysis of variance under case weights (b, n_cases), which count cases."""
    read = ~np.isnan(table)
    reads = read.sum(axis=1) * 1.0
    mean = np.where(read, table, 0.0).sum(axis=1) / reads
    within = np.where(read, (table - mean[:, None]) ** 2, 0.0).sum(axis=1)
    n, total = weights.sum(axis=1), weights @ reads
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample may hold one patient
        grand = weights @ (reads * mean) / total
        spread = np.maximum(weights @ (reads * mean**2) - total * grand**2, 0.0)
        cases, left = spread / (n - 1), weights @ within
        if one_way:
            k = (total - weights @ reads**2 / total) / (n - 1)
            return _Squares(cases, np.full_like(n, nan), left / (total - n), n, k)
        k = np.full_like(n, table.shape[1])
        level = weights @ table / n[:, None] - grand[:, None]
        between = n * (level**2).sum(axis=1)
        error = np.maximum(left - between, 0.0) / ((n - 1) * (k - 1))
        return _Squares(cases, between / (k - 1), error, n, k)


def _by_f(
    value: float, squares: _Squares, form: _Form, confidence: float, method: codes.Text, note: codes.Text
) -> Estimate:
    """The interval of the single ICC from F, stepped up to the average of k (Spearman-Brown)."""
    ms, me, n, k = (float(v[0]) for v in (squares.cases, squares.error, squares.n, squares.k))
    df, error_df = n - 1, n * (k - 1) if form.one_way else (n - 1) * (k - 1)
    if not me > 1e-14 * ms:
        if form.agreement and squares.readers[0] > 1e-14 * ms:
            note = codes.notes(codes.note("constant_reader_differences"), note)
            return Estimate(value, method=method, note=note)
        return Estimate(value, value, value, se=0.0, method=method, note=codes.notes(NO_SPREAD, note))
    f, tail = ms / me, (1 - confidence) / 2
    p = float(fdtrc(df, error_df, f))
    if form.agreement:
        low, high, p_mcgraw_wong = _agreement_limits(squares, form, tail)
        if isnan(low):
            note = codes.notes(codes.note("undefined_reader_df"), note)
        return Estimate(
            value, low, high, p=p_mcgraw_wong if form.interval == "mcgraw-wong" else p, method=method, note=note
        )
    ends = [f / float(fdtri(df, error_df, 1 - tail)), f * float(fdtri(error_df, df, 1 - tail))]
    low, high = (1 - 1 / e if form.average else (e - 1) / (e + k - 1) for e in ends)
    return Estimate(value, low, high, p=p, method=method, note=note)


def _agreement_limits(squares: _Squares, form: _Form, tail: float) -> tuple[float, float, float]:
    """Limits by Satterthwaite's df for the readers' level, and p at those df."""
    ms, mr, me, n, k = (float(v[0]) for v in (squares.cases, squares.readers, squares.error, squares.n, squares.k))
    stepped = form.average and form.interval == "mcgraw-wong"
    rho = float(form.value(squares)[0]) if stepped else float(squares.single(True)[0])

    a, b = k * rho / (n * (1 - rho)) * mr, (1 + k * rho * (n - 1) / (n * (1 - rho))) * me
    spread = a**2 / (k - 1) + b**2 / ((n - 1) * (k - 1))
    if not spread > 0:
        return nan, nan, nan
    v = (a + b) ** 2 / spread
    up, down = float(fdtri(n - 1, v, 1 - tail)), float(fdtri(v, n - 1, 1 - tail))
    p = float(fdtrc(n - 1, v, ms / me))
    if stepped:
        return (
            n * (ms - up * me) / (up * (mr - me) + n * ms),
            n * (down * ms - me) / (mr - me + n * down * ms),
            p,
        )
    low = n * (ms - up * me) / (up * (k * mr + (k * n - k - n) * me) + n * ms)
    high = n * (down * ms - me) / (k * mr + (k * n - k - n) * me + n * down * ms)
    if form.average:
        low, high = (k * e / (1 + (k - 1) * e) for e in (low, high))
    return low, high, p


def _by_patient(
    value: float, sample: Sampling, table: Floats, form: _Form, confidence: float, method: codes.Text, note: codes.Text
) -> Estimate:
    """The jackknife over patients on the scale -log(1 - average ICC), where its error varies little."""
    method = codes.methods(method, codes.method("jackknife"))
    squares = _squares(table, np.ones((1, sample.n_cases)), form.one_way)
    k = 1.0 if form.average else float(squares.k[0])

    def scaled(weights: Floats) -> Floats:
        of_all = form.value(_squares(table, weights, form.one_way))
        with np.errstate(invalid="ignore", divide="ignore"):
            return -np.log1p(-k * of_all / (1 + (k - 1) * of_all))  # k steps a single ICC up to the average of k

    error = jackknife_error(left_out(scaled, sample))
    if not 0 < error < inf or not value < 1:
        note = codes.notes(codes.note("undefined_error"), note)
        return Estimate(value, method=method, note=note)
    half = critical(confidence, sample.n_patients - 1) * error
    centre = float(scaled(np.ones((1, sample.n_cases)))[0])
    low, high = (1 - exp(-e) for e in (centre - half, centre + half))
    low, high = (e / (k - (k - 1) * e) for e in (low, high))
    slope = (1 - value) * (1 + (k - 1) * value) / k
    return Estimate(value, low, high, se=error * slope, method=method, note=note)
