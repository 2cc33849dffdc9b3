"""Reading time: ratio of the geometric means of two arms for a population of readers and cases."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Codes, Floats, check_confidence, group_codes, score_array, truth_array
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.reader_studies.reader_means import differences, in_both, levels_of, paired_t, two_arms
from overread.stats.reading_time.crossed_effects import FixedEffect, MixedModel, mixed_model
from overread.stats.result_text import described


@dataclass(frozen=True, slots=True)
class TimeSummary:
    """Observed reading times of each arm (in seconds), and paired comparisons by case and by reader."""

    __repr__ = described

    geometric_mean: dict[str, float]  # seconds
    median: dict[str, float]
    mean: dict[str, float]
    n_reads: dict[str, int]
    n_pairs: int  # of a reader and a case read in both arms
    mean_log_ratio: float  # over these pairs
    reader_means: FixedEffect  # paired t test on readers' mean log seconds, a difference of logs


@dataclass(frozen=True, slots=True)
class ReadingTime:
    """Ratio of the geometric mean reading times of two arms, with the underlying model.

    Attributes
    ----------
    ratio : Estimate
        Ratio of arm 0 to arm 1, null value 1; with `truth`, in absent cases.
    df : float
        Satterthwaite's degrees of freedom of `ratio`.
    arms : tuple of str
        Names of the arms.
    fixed : dict of str to FixedEffect
        Effects on log seconds.
    components : dict of str to float
        Variances of log seconds.
    summary : TimeSummary
        Observed times.
    ratio_present : Estimate or None
        With `truth`: ratio in present cases.
    ratio_of_ratios : Estimate or None
        With `truth`: ratio in present cases divided by that in absent cases.

    Notes
    -----
    `reading_time_ratio` returns this result.
    """

    __repr__ = described

    ratio: Estimate  # null 1; with truth: in absent cases
    df: float  # Satterthwaite's, of `ratio`
    arms: tuple[str, str]
    fixed: dict[str, FixedEffect]  # effects on log seconds
    components: dict[str, float]  # variances of log seconds
    summary: TimeSummary
    ratio_present: Estimate | None = None  # with truth: in present cases
    ratio_of_ratios: Estimate | None = None  # with truth: present over absent

    @property
    def geometric_mean(self) -> dict[str, float]:
        """Geometric mean of the observed seconds of each arm."""
        return self.summary.geometric_mean


@named()
def reading_time_ratio(
    seconds: ArrayLike,
    *,
    arm: ArrayLike,
    reader: ArrayLike,
    case: ArrayLike,
    period: ArrayLike | None = None,
    sequence: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    baseline: str = "",
    confidence: float = 0.95,
) -> ReadingTime:
    """Ratio of the geometric mean reading times of two arms.

    The estimand is the ratio, aided over unaided, in the population of readers and cases.

    Parameters
    ----------
    seconds : array_like of float, shape (n_reads,)
        Reading time of each read in seconds, above 0.
    arm : array_like, shape (n_reads,)
        Arm of each read, two names. "unaided" is the denominator; without it, the first name in sorted order.
    reader : array_like, shape (n_reads,)
        Reader of each read.
    case : array_like, shape (n_reads,)
        Case of each read.
    period : array_like, shape (n_reads,), optional
        Period of a crossover design; fixed effects relative to the first period.
    sequence : array_like, shape (n_reads,), optional
        Sequence of a crossover design; fixed effects relative to the sequence that starts with the denominator arm.
    truth : array_like of bool, shape (n_reads,), optional
        Reference standard of the case of each read; the ratio may then differ between absent and present cases.
    baseline : str, optional
        The arm that is the denominator, in place of the rule above.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    ReadingTime
        Ratio with interval and p value from t with Satterthwaite's degrees of freedom, and standard error by the delta
        method. NaN with a note for fewer than two readers with reads in both arms.

    Raises
    ------
    InputError
        If a time is missing or not above 0, there are not exactly two arms, or effects are not identified (such as a
        period that equals the arm).

    Notes
    -----
    The model of log seconds has fixed effects of arm, period and sequence and random effects of reader, case and
    reader-by-arm, fitted by REML. Without reader-by-arm, the reads of a reader would count as independent and p would
    be far too small. If its variance is estimated as 0, the degrees of freedom count reads; the note states this, and
    `summary.reader_means` is the test that does not depend on it. Times are assumed to be log-normal. Checked against
    lme4 1.1.31 with lmerTest 3.1.3.

    References
    ----------
    * Kuznetsova A, Brockhoff PB, Christensen RHB (2017). lmerTest package: tests in linear mixed effects models.
      Journal of Statistical Software 82(13). doi:10.18637/jss.v082.i13
    * Barr DJ, Levy R, Scheepers C, Tily HJ (2013). Random effects structure for confirmatory hypothesis testing: keep
      it maximal. Journal of Memory and Language 68:255-278. doi:10.1016/j.jml.2012.11.001

    Examples
    --------
    >>> seconds = [30, 24, 41, 37, 52, 50, 36, 27, 47, 39, 66, 52]
    >>> result = reading_time_ratio(seconds, arm=["unaided", "aided"] * 6, reader=[1, 1, 2, 2, 3, 3] * 2,
    ...                       case=["a"] * 6 + ["b"] * 6)
    >>> round(result.ratio.value, 3), result.arms, round(result.df, 2)
    (0.836, ('aided', 'unaided'), 2.0)
    """
    where = "reading_time_ratio"
    check_confidence(confidence, where=where)
    time = _seconds(seconds, where=where)
    arms, aided = two_arms(arm, time.size, where=where, baseline=baseline)
    readers, n_readers = group_codes(reader, time.size, where=where, name="reader")
    cases, _ = group_codes(case, time.size, where=where, name="case")
    summary = _summary(time, arms, aided, (readers, cases), confidence=confidence)
    if note := _too_few(aided, readers, n_readers):
        nothing = Estimate(nan, method=codes.method("mixed_model"), note=note)
        extra = None if truth is None else nothing
        return ReadingTime(nothing, nan, arms, {}, {}, summary, extra, extra)
    present = None if truth is None else truth_array(truth, where=where)
    fixed = _fixed(arms, aided, (period, sequence), present, where=where)
    random, note = _random(aided, readers, cases, present)
    model = mixed_model(np.log(time), fixed, random)
    ratios = [_ratio(model, weights, arms, note, confidence=confidence) for weights in _weights(arms, present)]
    df = model.contrast(_weights(arms, present)[0]).df
    effects = model.effects(confidence=confidence)
    return ReadingTime(ratios[0], df, arms, effects, model.components, summary, *ratios[1:])


def _seconds(seconds: ArrayLike, *, where: str) -> Floats:
    """Validated reading times."""
    time = score_array(seconds, (np.size(seconds),), where=where, name="seconds")
    wrong = np.flatnonzero(time <= 0)
    if wrong.size:
        shown = [f"read {i}: {time[i]:g}" for i in wrong[:6]]
        do = "A time of 0 was not measured: exclude the read and report the number."
        raise InputError(f"{where}: seconds", "times above 0", f"{wrong.size} of {time.size}", examples=shown, do=do)
    return time


def _too_few(aided: Bools, readers: Codes, n_readers: int) -> codes.Text:
    """Reason why the variance between readers cannot be estimated, or ""."""
    both = int(in_both(aided, readers, n_readers).sum())
    if n_readers < 2:
        return codes.note("one_reader")
    return codes.NONE if both >= 2 else codes.note("few_paired_readers", n=both)


def _fixed(
    arms: tuple[str, str],
    aided: Bools,
    order: tuple[ArrayLike | None, ArrayLike | None],
    present: Bools | None,
    *,
    where: str,
) -> dict[str, Floats]:
    """Columns of the design; each level of period and sequence except the reference is a column."""
    columns: dict[str, Floats] = {f"arm {arms[0]}": aided.astype(np.float64)}
    if present is not None:
        if present.shape != aided.shape:
            raise InputError(f"{where}: truth", f"one value for each of {aided.size} reads", f"shape {present.shape}")
        columns |= {"truth": present.astype(np.float64), f"arm {arms[0]} x truth": (aided & present).astype(np.float64)}
    first = ~aided  # reads of the unaided arm, in the first period if periods are given
    for name, labels in zip(("period", "sequence"), order, strict=True):
        if labels is None:
            continue
        codes, n_levels = group_codes(labels, aided.size, where=where, name=name)
        base = 0 if name == "period" else int(codes[first].min(initial=n_levels - 1))
        first &= codes == base
        levels = levels_of(labels)
        columns |= {f"{name} {levels[k]}": (codes == k).astype(np.float64) for k in range(n_levels) if k != base}
    return columns


def _random(aided: Bools, readers: Codes, cases: Codes, present: Bools | None) -> tuple[dict[str, Codes], codes.Text]:
    """Grouping factors, without those of one level or with one read per level, which are part of the residual."""
    factors = {"reader": readers, "case": cases, "reader by arm": 2 * readers + aided}
    if present is not None:
        factors |= {
            "reader by truth": 2 * readers + present,
            "reader by arm by truth": 4 * readers + 2 * aided + present,
        }
    usable, notes = {}, []
    for name, levels in factors.items():
        n_levels = np.unique(levels).size
        if 1 < n_levels < levels.size:
            usable[name] = levels
        else:
            notes.append(codes.note("no_case_factor") if n_levels == 1 else codes.note("in_residual", factor=name))
    return usable, codes.notes(*notes)


def _weights(arms: tuple[str, str], present: Bools | None) -> list[dict[str, float]]:
    """Ratio in absent cases, in present cases, and their ratio, as linear combinations of fixed effects."""
    main, joint = f"arm {arms[0]}", f"arm {arms[0]} x truth"
    return [{main: 1.0}] if present is None else [{main: 1.0}, {main: 1.0, joint: 1.0}, {joint: 1.0}]


def _ratio(
    model: MixedModel, weights: dict[str, float], arms: tuple[str, str], note: codes.Text, *, confidence: float
) -> Estimate:
    """Estimate of a ratio from a linear combination of fixed effects."""
    c = model.contrast(weights, confidence=confidence)
    method = codes.methods(
        codes.method("ratio_of_geometric_means", arm=arms[0], base=arms[1]),
        codes.method("mixed_model"),
        codes.method("scale_log_t", df=round(c.df, 1)) if isfinite(c.df) else None,
    )
    note = codes.notes(note, model.note)
    error_term = "reader by arm" if f"arm {arms[0]}" in weights else "reader by arm by truth"
    if error_term in model.singular:
        note = codes.notes(note, codes.note("df_counts_reads"))
    with np.errstate(over="ignore"):  # with less than one degree of freedom the limits may be 0 and infinity
        value, low, high = np.exp([c.value, c.low, c.high]).tolist()
    return Estimate(value, low, high, se=value * c.se, p=c.p, method=method, note=note)


def _summary(
    time: Floats, arms: tuple[str, str], aided: Bools, labels: tuple[Codes, Codes], *, confidence: float
) -> TimeSummary:
    """Observed times and paired comparisons."""
    logs, (readers, cases) = np.log(time), labels
    both = {arms[0]: aided, arms[1]: ~aided}
    pairs = differences(logs, aided, np.unique(readers * (int(cases.max()) + 1) + cases, return_inverse=True)[1])
    return TimeSummary(
        geometric_mean={name: float(np.exp(logs[where].mean())) for name, where in both.items()},
        median={name: float(np.median(time[where])) for name, where in both.items()},
        mean={name: float(time[where].mean()) for name, where in both.items()},
        n_reads={name: int(where.sum()) for name, where in both.items()},
        n_pairs=pairs.size,
        mean_log_ratio=float(pairs.mean()) if pairs.size else nan,
        reader_means=paired_t(differences(logs, aided, readers), confidence=confidence),
    )
