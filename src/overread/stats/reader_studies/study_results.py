"""Results of a reader study, and the design that each analysis requires."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import exp, inf, isinf, isnan, log, nan, sqrt
from types import MappingProxyType

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
from overread.stats.result_text import without_note

ROUNDING = 1e-15  # variances below this are rounding error of a difference of means of products near 1
_METRICS = MappingProxyType(
    {"auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity", "youden": "Youden index"}
)
NULL = {"auc": 0.5, "youden": 0.0}  # value of an uninformative reader; rates have none


@dataclass(frozen=True, slots=True)
class Asked:
    """Options of an analysis."""

    metric: str
    covariance: str
    readers: str
    cases: str
    margin: float | None
    kind: str
    confidence: float
    interval: str = "wald"


@dataclass(frozen=True, slots=True)
class ReaderResult:
    """Results of one reader as a fixed effect.

    Attributes
    ----------
    arms : tuple of Estimate
        Performance in each arm.
    pairs : dict of tuple to Estimate
        Difference of each pair of arms, first minus second.

    Notes
    -----
    Intervals are normal. Part of `ReaderStudy`.
    """

    def __repr__(self) -> str:
        return "\n".join(["ReaderResult", *_arm_lines(self.arms, self.pairs, "")])

    arms: tuple[Estimate, ...]
    pairs: dict[tuple[int, int], Estimate]


@dataclass(frozen=True, slots=True)
class ReaderStudy:
    """Results of a reader study.

    Attributes
    ----------
    arms : tuple of Estimate
        Mean performance of the readers in each arm.
    difference : Estimate
        Arm 0 minus arm 1; NaN with a note unless there are two arms.
    pairs : dict of tuple to Estimate
        Differences of all pairs of arms; p is not adjusted for the number of pairs.
    f : float
        F statistic of the test of equal arms; f times df[0] is chi-square if df[1] is infinite.
    df : tuple of float
        Degrees of freedom of the numerator and denominator.
    p : float
        P value of the test of equal arms.
    components : Components or Moments
        Variance components (Obuchowski-Rockette) or moments (U-statistics).
    per_reader : tuple of ReaderResult
        Results of each reader.
    method : str
        Method of the analysis.
    note : str
        Notes on the analysis, or "".

    Notes
    -----
    `compare_arms` and `model_against_readers` return this result.
    """

    def __repr__(self) -> str:
        note = str(self.note)
        lines = [*_arm_lines(self.arms, self.pairs, note)]
        if not self.pairs:
            lines.append(f"  {self.difference}")
        if not isnan(self.p):
            numerator, denominator = (f"{df:.1f}".removesuffix(".0") for df in self.df)
            p = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"
            lines.append(f"  test of equal arms: F({numerator}, {denominator}) = {self.f:.3f}, {p}")
        lines += [f"  readers: {len(self.per_reader)}", f"  method: {self.method}"]
        return "\n".join(["ReaderStudy", *lines, *([f"  note: {note}"] if note else [])])

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


def _arm_lines(arms: tuple[Estimate, ...], pairs: dict[tuple[int, int], Estimate], note: str) -> Iterator[str]:
    """Arms and their differences as lines; a note that is that of the whole study is left out."""
    for arm, estimate in enumerate(arms):
        yield f"  arm {arm}: {without_note(estimate, note)}"
    for (a, b), estimate in pairs.items():
        yield f"  arm {a} minus arm {b}: {without_note(estimate, note)}"


def named_study(study: ReaderStudy, asked: Asked, *, model: bool = False) -> ReaderStudy:
    """The study whose estimates have the name of the metric and the level; `model` if arm 0 is a model.

    No number is changed.
    """
    metric = _METRICS[asked.metric]
    means = [f"mean {metric} over readers" for _ in study.arms]
    means[:1] = [f"{metric} of the model"] if model else means[:1]
    difference = f"difference in {metric}"

    def named(estimate: Estimate, name: str) -> Estimate:
        return replace(estimate, name=name, confidence=asked.confidence)

    return replace(
        study,
        arms=tuple(named(e, name) for e, name in zip(study.arms, means, strict=True)),
        difference=named(study.difference, difference),
        pairs={pair: named(e, difference) for pair, e in study.pairs.items()},
        per_reader=tuple(
            replace(
                reader,
                arms=tuple(named(e, metric) for e in reader.arms),
                pairs={pair: named(e, difference) for pair, e in reader.pairs.items()},
            )
            for reader in study.per_reader
        ),
    )


def mean_estimate(raw: Estimate, df: float, asked: Asked) -> Estimate:
    """Add interval and p value to a mean over readers, on the scale of the metric (not clipped to [0, 1]) or as logit.

    Notes
    -----
    The logit interval is that of log(v / (1 - v)) with the standard error se / (v (1 - v)) of the delta method,
    transformed back, so that it never leaves the range of the metric. Youden's index v enters as (1 + v) / 2.

    Examples
    --------
    >>> asked = Asked("auc", "jackknife", "random", "random", None, "difference", 0.95)
    >>> round(mean_estimate(Estimate(0.9, se=0.01), float("inf"), asked).low, 4)
    0.8804
    >>> high = mean_estimate(Estimate(0.99, se=0.01), float("inf"), replace(asked, interval="logit")).high
    >>> round(high, 4)
    0.9986
    """
    if isnan(raw.se):
        return raw
    if asked.interval == "logit":
        return _on_logit_scale(raw, df, asked)
    if raw.se == 0:
        return replace(raw, low=raw.value, high=raw.value, note=codes.notes(raw.note, codes.note("zero_variance")))
    half = critical(asked.confidence, df) * raw.se
    null = NULL.get(asked.metric, nan)
    p = nan if isnan(null) else 2 * upper(abs(raw.value - null) / raw.se, df)
    return replace(raw, low=raw.value - half, high=raw.value + half, p=p)


def _on_logit_scale(raw: Estimate, df: float, asked: Asked) -> Estimate:
    """Add the logit interval and the test on the same scale; no interval at the limits of the metric."""
    least = -1.0 if asked.metric == "youden" else 0.0
    width = 1.0 - least
    share = (raw.value - least) / width
    if raw.se == 0 or not 0 < share < 1:
        return replace(raw, note=codes.notes(raw.note, codes.note("zero_variance_no_ci")))
    logit, se = log(share / (1 - share)), raw.se / width / (share * (1 - share))
    half = critical(asked.confidence, df) * se
    low, high = (least + width / (1 + exp(-limit)) for limit in (logit - half, logit + half))
    null = NULL.get(asked.metric, nan)  # in the middle of the range, where the logit is 0
    return replace(raw, low=low, high=high, p=nan if isnan(null) else 2 * upper(abs(logit) / se, df))


def pair_estimate(raw: Estimate, df: float, asked: Asked) -> Estimate:
    """Add interval and the requested test to a difference; without variance there is no test."""
    if raw.se == 0:
        note = codes.notes(raw.note, codes.note("zero_variance"), codes.note("no_test"))
        return replace(raw, low=raw.value, high=raw.value, note=note)
    return with_test(raw, df, margin=asked.margin, kind=asked.kind, confidence=asked.confidence)


def only_pair(pairs: dict[tuple[int, int], Estimate], n_arms: int) -> Estimate:
    """The difference if there are two arms, otherwise NaN with a note."""
    if n_arms == 2:
        return pairs[0, 1]
    return Estimate(nan, note=codes.note("one_arm") if n_arms == 1 else codes.note("several_arms", n=n_arms))


def reader_result(
    values: Floats, variances: Floats, differences: dict[tuple[int, int], float], asked: Asked
) -> ReaderResult:
    """Results of one reader as a fixed effect, from values and variances (n_arms,) and variances of the differences."""
    method, arms = codes.methods(codes.method("single_reader"), codes.method("scale_wald")), []
    for value, variance in zip(values, variances, strict=True):
        se, why = root(float(variance))
        own = codes.methods(codes.method("single_reader"), arm_scale(inf, asked))
        arms.append(mean_estimate(Estimate(float(value), se=se, method=own, note=why), inf, asked))
    pairs = {}
    for (a, b), variance in differences.items():
        se, why = root(variance)
        raw = Estimate(float(values[a] - values[b]), se=se, method=method, note=why)
        pairs[a, b] = pair_estimate(raw, inf, asked)
    return ReaderResult(tuple(arms), pairs)


def root(variance: float) -> tuple[float, codes.Text]:
    """Square root of a variance estimate, or NaN and the reason.

    Examples
    --------
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

    Examples
    --------
    >>> scale(15.26), scale(float("inf"))
    ('t interval, 15.3 df', 'Wald interval')
    """
    return codes.method("scale_wald") if isinf(df) or isnan(df) else codes.method("scale_t", df=round(df, 1))


def arm_scale(df: float, asked: Asked) -> codes.Text:
    """The scale of the interval of an arm, as a part of its method."""
    if asked.interval != "logit":
        return scale(df)
    return codes.method("scale_logit") if isinf(df) or isnan(df) else codes.method("scale_logit_t", df=round(df, 1))


def class_note(y: Bools, metric: str) -> codes.Text:
    """Reason why the metric cannot be computed on these cases, or ""."""
    missing = [word for word, mask in (("present", y), ("absent", ~y)) if not mask.any()]
    needed = {"sensitivity": ["present"], "specificity": ["absent"]}.get(metric, ["present", "absent"])
    lacking = [word for word in needed if word in missing]
    return codes.notes(*(codes.note("no_cases_of_class", outcome=word) for word in lacking))


def check_design(read: Bools, cases: str, *, where: str) -> None:
    """Raise if reads (n_arms, n_readers, n_cases) do not have the design that `cases` names."""
    n_cases = read.shape[2]
    if cases == "within readers":
        is_valid = (read == read[:1]).all() and (read[0].sum(axis=0) == 1).all()
        expected = "every case read by one reader, in every arm"
    elif cases == "within arms":
        is_valid = (read == read[:, :1]).all() and (read[:, 0].sum(axis=0) == 1).all()
        expected = "every case in one arm, read by every reader"
    else:
        is_valid, expected = read.all(), "every reader to read every case in every arm"
    without_reads = [f"reader {j} in arm {i}" for i, j in np.argwhere(~read.any(axis=2))]
    if not is_valid or without_reads:
        counts = np.ndenumerate(read.sum(axis=2))
        incomplete = [f"reader {j} in arm {i}: {n} of {n_cases}" for (i, j), n in counts if n < n_cases]
        found = (
            f"no reads of {', '.join(without_reads[:5])}"
            if without_reads
            else f"{(~read).sum()} of {read.size} reads missing"
        )
        raise InputError(
            f"{where}: scores",
            expected,
            found,
            examples=[] if without_reads else incomplete,
            do='Use covariance="u-statistic" or "u-centred" for missing or unbalanced reads, or cases="within readers" '
            'or "within arms" if each reader or each arm has its own cases by design.',
        )


def equality(ms_arm: float, denominator: float, df: tuple[float, float]) -> tuple[float, float]:
    """F statistic and p value of the test of equal arms; NaN without variance."""
    if df[0] == 0 or isnan(ms_arm) or not denominator > 0:
        return nan, nan
    f = ms_arm / denominator
    return f, float(chdtrc(df[0], df[0] * f) if isinf(df[1]) else fdtrc(df[0], df[1], f))
