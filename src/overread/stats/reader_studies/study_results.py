"""What a reader study gives back, and the design that it must have for each analysis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isinf, isnan, nan, sqrt

import numpy as np
from scipy.special import chdtrc, fdtrc

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Floats
from overread.stats.estimate import Estimate
from overread.stats.margins import with_test
from overread.stats.quantiles import critical, upper
from overread.stats.reader_studies.obuchowski_rockette import Components
from overread.stats.reader_studies.u_statistics import Moments

ROUNDING = 1e-15  # a variance this near 0 is 0: it is a difference of means of products near 1
NULL = {"auc": 0.5, "youden": 0.0}  # what a reader without knowledge attains; sensitivity and specificity have no such


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller asked for, beside the data."""

    metric: str
    covariance: str
    readers: str
    cases: str
    margin: float | None
    kind: str
    confidence: float


@dataclass(frozen=True, slots=True)
class ReaderResult:
    """One reader, taken as fixed: each arm, and the difference of each pair of arms (first minus second)."""

    arms: tuple[Estimate, ...]
    pairs: dict[tuple[int, int], Estimate]


@dataclass(frozen=True, slots=True)
class ReaderStudy:
    """The mean reader in each arm, the differences, and what they rest on."""

    arms: tuple[Estimate, ...]
    difference: Estimate  # arm 0 - arm 1 where there are two; otherwise NaN with a note
    pairs: dict[tuple[int, int], Estimate]  # (a, b): arm a - arm b; p is not adjusted for the number of pairs
    f: float  # test that all arms are equal; F x df[0] is the chi-square where df[1] is infinite
    df: tuple[float, float]
    p: float
    components: Components | Moments
    per_reader: tuple[ReaderResult, ...]
    method: codes.Text = codes.NONE
    note: codes.Text = codes.NONE


def mean_estimate(raw: Estimate, df: float, *, metric: str, confidence: float) -> Estimate:
    """A mean over readers with value, se and method completed; the interval is not cut at 0 and 1.

    >>> round(mean_estimate(Estimate(0.9, se=0.01), float("inf"), metric="auc", confidence=0.95).low, 4)
    0.8804
    """
    if isnan(raw.se):
        return raw
    if raw.se == 0:
        return replace(raw, low=raw.value, high=raw.value, note=codes.notes(raw.note, codes.note("zero_variance")))
    half = critical(confidence, df) * raw.se
    null = NULL.get(metric, nan)
    p = nan if isnan(null) else 2 * upper(abs(raw.value - null) / raw.se, df)
    return replace(raw, low=raw.value - half, high=raw.value + half, p=p)


def pair_estimate(raw: Estimate, df: float, asked: Asked) -> Estimate:
    """A difference with value, se and method completed by the test asked for; without variance there is none."""
    if raw.se == 0:
        note = codes.notes(raw.note, codes.note("zero_variance"), codes.note("no_test"))
        return replace(raw, low=raw.value, high=raw.value, note=note)
    return with_test(raw, df, margin=asked.margin, kind=asked.kind, confidence=asked.confidence)


def only_pair(pairs: dict[tuple[int, int], Estimate], n_arms: int) -> Estimate:
    """The difference where there are two arms, otherwise NaN and why."""
    if n_arms == 2:
        return pairs[0, 1]
    return Estimate(nan, note=codes.note("one_arm") if n_arms == 1 else codes.note("several_arms", n=n_arms))


def reader_result(
    values: Floats, variances: Floats, differences: dict[tuple[int, int], float], asked: Asked
) -> ReaderResult:
    """One reader as fixed: values and variances (n_arms,), variances of the differences; normal intervals."""
    method, arms = codes.methods(codes.method("single_reader"), codes.method("scale_wald")), []
    for value, variance in zip(values, variances, strict=True):
        se, why = root(float(variance))
        raw = Estimate(float(value), se=se, method=method, note=why)
        arms.append(mean_estimate(raw, inf, metric=asked.metric, confidence=asked.confidence))
    pairs = {}
    for (a, b), variance in differences.items():
        se, why = root(variance)
        raw = Estimate(float(values[a] - values[b]), se=se, method=method, note=why)
        pairs[a, b] = pair_estimate(raw, inf, asked)
    return ReaderResult(tuple(arms), pairs)


def root(variance: float) -> tuple[float, codes.Text]:
    """The root of a variance estimate, or NaN and why there is none.

    >>> root(0.04), root(-1.0)[1]
    ((0.2, ''), 'no CI: negative variance estimate (-1)')
    """
    if isnan(variance):
        return nan, codes.NONE
    if abs(variance) < ROUNDING:
        return 0.0, codes.NONE
    if variance < 0:
        return nan, codes.note("negative_variance", variance=variance)
    return sqrt(variance), codes.NONE


def scale(df: float) -> codes.Text:
    """The scale of the interval, as a part of its method.

    >>> scale(15.26), scale(float("inf"))
    ('t interval, 15.3 df', 'Wald interval')
    """
    return codes.method("scale_wald") if isinf(df) or isnan(df) else codes.method("scale_t", df=round(df, 1))


def class_note(y: Bools, metric: str) -> codes.Text:
    """Why the metric cannot be computed on these cases, or ""."""
    missing = [word for word, mask in (("present", y), ("absent", ~y)) if not mask.any()]
    needed = {"sensitivity": ["present"], "specificity": ["absent"]}.get(metric, ["present", "absent"])
    lacking = [word for word in needed if word in missing]
    return codes.notes(*(codes.note("no_cases_of_class", outcome=word) for word in lacking))


def check_design(read: Bools, cases: str, *, where: str) -> None:
    """Refuse reads (n_arms, n_readers, n_cases), of cases that somebody read, that are not of the design named."""
    n_cases = read.shape[2]
    if cases == "within readers":
        fits = (read == read[:1]).all() and (read[0].sum(axis=0) == 1).all()
        expected = "every case read by one reader, in every arm"
    elif cases == "within arms":
        fits = (read == read[:, :1]).all() and (read[:, 0].sum(axis=0) == 1).all()
        expected = "every case in one arm, read by every reader"
    else:
        fits, expected = read.all(), "every reader to read every case in every arm"
    empty = [f"reader {j} in arm {i}" for i, j in np.argwhere(~read.any(axis=2))]
    if not fits or empty:
        counts = np.ndenumerate(read.sum(axis=2))
        few = [f"reader {j} in arm {i}: {n} of {n_cases}" for (i, j), n in counts if n < n_cases]
        found = f"no reads of {', '.join(empty[:5])}" if empty else f"{(~read).sum()} of {read.size} reads missing"
        raise InputError(
            f"{where}: scores",
            expected,
            found,
            examples=[] if empty else few,
            do='Use covariance="u-statistic" (steadier: "u-centred"), made for missing reads and readers with other '
            'cases; or, where each reader or each arm has cases of its own by design, cases="within readers" or '
            '"within arms".',
        )


def equality(ms_arm: float, denominator: float, df: tuple[float, float]) -> tuple[float, float]:
    """F and p of the test that all arms are equal; NaN without variance."""
    if df[0] == 0 or isnan(ms_arm) or not denominator > 0:
        return nan, nan
    f = ms_arm / denominator
    return f, float(chdtrc(df[0], df[0] * f) if isinf(df[1]) else fdtrc(df[0], df[1], f))
