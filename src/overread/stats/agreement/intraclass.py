"""Intraclass correlation coefficient of measurements by several readers."""

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
from overread.stats.estimate_names import named
from overread.stats.quantiles import critical
from overread.stats.random_numbers import Random
from overread.stats.resampling.replicates import NO_SPREAD, jackknife_error, left_out, resampled
from overread.stats.sampling_design import Sampling

MODELS = ("two-way-random", "one-way", "two-way-mixed")
INTERVALS = ("shrout-fleiss", "mcgraw-wong")


@dataclass(frozen=True, slots=True, eq=False)
class _Squares:
    """Mean squares under case weights, each (b,): cases, readers, error; n cases and k reads per case."""

    cases: Floats
    readers: Floats  # NaN in the one-way model
    error: Floats
    n: Floats
    k: Floats

    def single(self, agreement: bool) -> Floats:
        """ICC of a single read; with `agreement`, systematic differences between readers count as disagreement."""
        level = self.k * (self.readers - self.error) / self.n if agreement else 0.0
        return self._ratio(self.cases - self.error, self.cases + (self.k - 1) * self.error + level)

    def average(self, agreement: bool) -> Floats:
        """ICC of the mean of k reads."""
        level = (self.readers - self.error) / self.n if agreement else 0.0
        return self._ratio(self.cases - self.error, self.cases + level)

    def _ratio(self, between: Floats, all_: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(all_ > 0, between / all_, nan)


@named("ICC")
def icc(
    ratings: ArrayLike,
    *,
    model: str = "two-way-random",
    agreement: bool = True,
    unit: str = "single",
    interval: str = "shrout-fleiss",
    cluster: ArrayLike | None = None,
    rng: Random | None = None,
    replicates: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Intraclass correlation coefficient (ICC): proportion of the variance of a measurement that is between cases.

    Parameters
    ----------
    ratings : array_like of float, shape (n_cases, n_readers)
        Measurement of each case by each reader; NaN = not read.
    model : {"two-way-random", "one-way", "two-way-mixed"}, default "two-way-random"
        Readers as a random sample, different readers for each case, or fixed readers (same value as random, with
        another interpretation).
    agreement : bool, default True
        Whether systematic differences between readers count as disagreement; False gives consistency. Not used in the
        one-way model.
    unit : {"single", "average"}, default "single"
        Reliability of a single read or of the mean over readers.
    interval : {"shrout-fleiss", "mcgraw-wong"}, default "shrout-fleiss"
        Interval of Shrout and Fleiss (1979) or of McGraw and Wong (1996); they differ for average agreement and in p.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    rng : numpy.random.Generator, optional
        If given, the interval is the percentile interval of a bootstrap over patients instead of the analytic one.
    replicates : int, default 2000
        Number of bootstrap replicates.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        The ICC with an F interval and the p value of ICC = 0. With `cluster` the interval is a jackknife over patients
        on the scale -log(1 - average ICC) with Student's t. A negative value is reported as it is, with a note.

    Raises
    ------
    InputError
        If `ratings` has another shape or is not numeric, or an option is unknown.

    Notes
    -----
    Two-way models use the cases that every reader read; other cases are counted in the note. The one-way model allows
    unequal numbers of reads (approximate interval). With `rng` or `cluster` readers are not resampled, so that the
    interval refers to these readers; an interval for other readers is wider. Errors are assumed to be normal with equal
    variance. Checked against psych 2.2.9 and irr 0.84.1 (R 4.2.2).

    References
    ----------
    * Shrout PE, Fleiss JL (1979). Intraclass correlations: uses in assessing rater reliability. Psychological Bulletin
      86:420-428. doi:10.1037/0033-2909.86.2.420
    * McGraw KO, Wong SP (1996). Forming inferences about some intraclass correlation coefficients. Psychological
      Methods 1:30-46. doi:10.1037/1082-989X.1.1.30

    Examples
    --------
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
    """Variant of the ICC."""

    one_way: bool
    agreement: bool
    average: bool
    interval: str

    @property
    def name(self) -> str:
        """Name of the variant by McGraw and Wong (1996), such as (A,1)."""
        kind = "" if self.one_way else "A," if self.agreement else "C,"
        return f"({kind}{'k' if self.average else '1'})"

    def value(self, squares: _Squares) -> Floats:
        """ICC of the variant from mean squares."""
        return squares.average(self.agreement) if self.average else squares.single(self.agreement)


def _usable(numbers: Floats, form: _Form, cluster: ArrayLike | None) -> tuple[Floats, Sampling, codes.Text]:
    """Cases and readers that the model can use, and a note on those it cannot."""
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
    """Reason why the ICC is undefined, or ""."""
    if not len(table):
        return codes.note("no_complete_case")
    if len(table) < 2:
        return codes.note("single_case")
    if (~np.isnan(table)).sum(axis=1).max() < 2:
        return codes.note("single_reader")
    values = table[~np.isnan(table)]
    return codes.note("equal_measurements") if (values == values[0]).all() else codes.NONE


def _squares(table: Floats, weights: Floats, one_way: bool) -> _Squares:
    """Mean squares of the analysis of variance under case weights (b, n_cases)."""
    read = ~np.isnan(table)
    reads = read.sum(axis=1) * 1.0
    mean = np.where(read, table, 0.0).sum(axis=1) / reads
    within = np.where(read, (table - mean[:, None]) ** 2, 0.0).sum(axis=1)
    n, total = weights.sum(axis=1), weights @ reads
    with np.errstate(invalid="ignore", divide="ignore"):  # a replicate may contain one patient only
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
    """F interval of the single ICC, transformed to the average of k reads by the Spearman-Brown formula."""
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
    """Limits with Satterthwaite's degrees of freedom for the reader effect, and p at these degrees of freedom."""
    ms, mr, me, n, k = (float(v[0]) for v in (squares.cases, squares.readers, squares.error, squares.n, squares.k))
    is_average = form.average and form.interval == "mcgraw-wong"
    rho = float(form.value(squares)[0]) if is_average else float(squares.single(True)[0])

    a, b = k * rho / (n * (1 - rho)) * mr, (1 + k * rho * (n - 1) / (n * (1 - rho))) * me
    spread = a**2 / (k - 1) + b**2 / ((n - 1) * (k - 1))
    if not spread > 0:
        return nan, nan, nan
    v = (a + b) ** 2 / spread
    f_low, f_high = float(fdtri(n - 1, v, 1 - tail)), float(fdtri(v, n - 1, 1 - tail))
    p = float(fdtrc(n - 1, v, ms / me))
    if is_average:
        return (
            n * (ms - f_low * me) / (f_low * (mr - me) + n * ms),
            n * (f_high * ms - me) / (mr - me + n * f_high * ms),
            p,
        )
    low = n * (ms - f_low * me) / (f_low * (k * mr + (k * n - k - n) * me) + n * ms)
    high = n * (f_high * ms - me) / (k * mr + (k * n - k - n) * me + n * f_high * ms)
    if form.average:
        low, high = (k * e / (1 + (k - 1) * e) for e in (low, high))
    return low, high, p


def _by_patient(
    value: float, sample: Sampling, table: Floats, form: _Form, confidence: float, method: codes.Text, note: codes.Text
) -> Estimate:
    """Jackknife over patients on the scale -log(1 - average ICC), which stabilises the variance."""
    method = codes.methods(method, codes.method("jackknife"))
    squares = _squares(table, np.ones((1, sample.n_cases)), form.one_way)
    k = 1.0 if form.average else float(squares.k[0])

    def scaled(weights: Floats) -> Floats:
        replicate_icc = form.value(_squares(table, weights, form.one_way))
        with np.errstate(invalid="ignore", divide="ignore"):
            return -np.log1p(
                -k * replicate_icc / (1 + (k - 1) * replicate_icc)
            )  # k steps a single ICC up to the average of k

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
