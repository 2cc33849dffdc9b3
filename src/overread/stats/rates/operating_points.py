"""Diagnostic accuracy of binary calls: sensitivity, specificity, predictive values, F1, accuracy, likelihood ratios."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Floats, call_array, check_confidence, truth_array
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.rates.proportions import rate, wilson
from overread.stats.result_text import described
from overread.stats.sampling_design import Sampling, involved, sampling

TP, FP, FN, TN = 3, 2, 1, 0  # index of the cell of a case: 2 * call + truth


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Diagnostic accuracy of binary calls at one threshold, with the counts of the confusion matrix.

    Attributes
    ----------
    sensitivity : Estimate
        True positives / present cases.
    specificity : Estimate
        True negatives / absent cases.
    ppv : Estimate
        Positive predictive value.
    npv : Estimate
        Negative predictive value.
    f1 : Estimate
        F1 score, 2 TP / (2 TP + FP + FN).
    accuracy : Estimate
        Correct calls / cases.
    lr_positive : Estimate
        Positive likelihood ratio, sensitivity / (1 - specificity).
    lr_negative : Estimate
        Negative likelihood ratio, (1 - sensitivity) / specificity.
    tp : int
        Number of true positive cases, unweighted.
    fp : int
        Number of false positive cases, unweighted.
    fn : int
        Number of false negative cases, unweighted.
    tn : int
        Number of true negative cases, unweighted.

    Notes
    -----
    `operating_point` returns this result.
    """

    __repr__ = described

    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    f1: Estimate
    accuracy: Estimate
    lr_positive: Estimate
    lr_negative: Estimate
    tp: int
    fp: int
    fn: int
    tn: int


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Weighted totals of the cells of the confusion matrix and, unless cases are a simple random sample, by patient."""

    counts: Floats  # (4,) cases
    totals: Floats  # (4,) weights
    patients: Floats | None  # (4, n_patients)
    sample: Sampling
    confidence: float

    def size(self, classes: tuple[int, ...]) -> Floats:
        """Weight of each patient in the denominator that consists of these cells, shape (n_patients,)."""
        assert self.patients is not None
        weight: Floats = self.patients[list(classes)].sum(axis=0)
        return weight

    def variance(self, influence: Floats, classes: tuple[int, ...]) -> float:
        """Variance of an estimate from the influence value of each cell, on the cases of these cells."""
        if self.patients is None:
            return float(self.totals @ influence**2)
        return self.sample.variance(np.einsum("c,cp->p", influence, self.patients), involved(self.size(classes)))


@named()
def operating_point(
    y: ArrayLike,
    call: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    finite: bool = False,
    prevalence: float | None = None,
    confidence: float = 0.95,
) -> OperatingPoint:
    """Sensitivity, specificity, predictive values, F1, accuracy and likelihood ratios of binary calls.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    call : array_like of bool, shape (n_cases,)
        Call of each case: True (or 1) means "present".
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.
    strata : array_like, shape (n_cases,), optional
        Sampling stratum of each case; all cases of a patient must be in one stratum.
    finite : bool, default False
        Whether to apply the finite-population correction 1 - n_h/N_h to the variance of each stratum h, where N_h is
        the sum of the weights of the stratum.
    prevalence : float, optional
        Prevalence in (0, 1) at which PPV and NPV are computed from sensitivity and specificity. By default they are
        those of the sample.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    OperatingPoint
        Rates have Wilson score intervals; with `cluster` or `weights` the effective sample size of the ratio estimator
        is used. F1 has a delta-method interval within [0, 1], likelihood ratios the log interval of Simel et al.
        (1991), and predictive values at a given prevalence the logit interval of Mercaldo et al. (2007). A rate with an
        empty denominator and a ratio with a zero denominator are NaN with a note.

    Raises
    ------
    InputError
        If a value of `y` or `call` is neither true/false nor 1/0, an array has another shape, or `prevalence` is not in
        (0, 1).

    Notes
    -----
    Cases, or patients with `cluster`, are assumed to be independent; about 20 or more patients should contribute to a
    rate. Checked against R 4.2.2 with epiR 2.0.57, binom 1.1.1.1 and bdpv 1.4.

    References
    ----------
    * Simel DL, Samsa GP, Matchar DB (1991). Likelihood ratios with confidence: sample size estimation for diagnostic
      test studies. Journal of Clinical Epidemiology 44:763-770. doi:10.1016/0895-4356(91)90128-V
    * Takahashi K et al. (2022). Confidence interval for micro-averaged F1 and macro-averaged F1 scores. Applied
      Intelligence 52:4961-4972. doi:10.1007/s10489-021-02635-5
    * Mercaldo ND, Lau KF, Zhou XH (2007). Confidence intervals for predictive values with an emphasis to case-control
      studies. Statistics in Medicine 26:2170-2183. doi:10.1002/sim.2677
    * Genders TSS et al. (2012). Methods for calculating sensitivity and specificity of clustered data: a tutorial.
      Radiology 265:910-916. doi:10.1148/radiol.12120509

    Examples
    --------
    >>> o = operating_point([1, 1, 1, 0, 0], [1, 1, 0, 0, 1])
    >>> round(o.sensitivity.value, 3), o.specificity.value, o.tp
    (0.667, 0.5, 2)
    """
    where = "operating_point"
    check_confidence(confidence, where=where)
    if prevalence is not None and not 0 < prevalence < 1:
        raise InputError(f"{where}: prevalence", "a number between 0 and 1", str(prevalence))
    truth = truth_array(y, where=where)
    called = call_array(call, truth.size, where=where)
    sample = sampling(truth.size, where=where, cluster=cluster, weights=weights, strata=strata, finite=finite)
    table = _table(truth, called, sample, confidence)
    ppv = _rate(table, TP, FP, codes.note("none_called", call="present"))
    npv = _rate(table, TN, FN, codes.note("none_called", call="absent"))
    if prevalence is not None:
        ppv, npv = _at_prevalence(table, prevalence)
    return OperatingPoint(
        sensitivity=_rate(table, TP, FN, codes.note("no_cases_of_class", outcome="present")),
        specificity=_rate(table, TN, FP, codes.note("no_cases_of_class", outcome="absent")),
        ppv=ppv,
        npv=npv,
        f1=_f1(table),
        accuracy=_accuracy(table),
        lr_positive=_ratio(table, TP, FN, FP, TN),
        lr_negative=_ratio(table, FN, TP, TN, FP),
        **{name: int(table.counts[c]) for name, c in (("tp", TP), ("fp", FP), ("fn", FN), ("tn", TN))},
    )


def _table(truth: np.ndarray, called: np.ndarray, sample: Sampling, confidence: float) -> _Table:
    """Confusion matrix of the cases, in total and by patient."""
    both = int(np.count_nonzero(truth & called))
    present, positive = int(np.count_nonzero(truth)), int(np.count_nonzero(called))
    counts = np.zeros(4)
    counts[[TP, FP, FN, TN]] = both, positive - both, present - both, truth.size - present - positive + both
    if sample.simple:
        return _Table(counts, counts, None, sample, confidence)
    kind = 2 * called.astype(np.intp) + truth  # TP 3, FP 2, FN 1, TN 0
    patient = np.arange(truth.size) if sample.patient is None else sample.patient
    flat = np.bincount(kind * sample.n_patients + patient, sample.weights, minlength=4 * sample.n_patients)
    patients = flat.reshape(4, sample.n_patients).astype(np.float64, copy=False)
    return _Table(counts, patients.sum(axis=1), patients, sample, confidence)


def _rate(table: _Table, hit: int, miss: int, empty: codes.Text) -> Estimate:
    """Proportion hit / (hit + miss) with its interval."""
    size = table.totals[hit] + table.totals[miss]
    if not size:
        return Estimate(nan, method=codes.method("wilson"), note=empty)
    return _interval(table, (hit,), (hit, miss), float(table.totals[hit] / size))


def _accuracy(table: _Table) -> Estimate:
    """Proportion of correct calls with its interval."""
    size = table.totals.sum()
    if not size:
        return Estimate(nan, method=codes.method("wilson"), note=codes.note("no_cases"))
    return _interval(table, (TP, TN), (TP, FP, FN, TN), float((table.totals[TP] + table.totals[TN]) / size))


def _interval(table: _Table, hits: tuple[int, ...], classes: tuple[int, ...], p: float) -> Estimate:
    """Wilson score interval of a proportion, at the effective sample size if cases are clustered or weighted."""
    size, cases = table.totals[list(classes)].sum(), table.counts[list(classes)].sum()
    if table.patients is None:
        low, high = wilson(p, float(cases), table.confidence)
        return Estimate(p, low, high, se=sqrt(p * (1 - p) / cases), method=codes.method("wilson"))
    influence = np.zeros(4)
    influence[list(classes)] = -p / size
    influence[list(hits)] += 1 / size
    variance = table.variance(influence, classes)
    return rate(p, variance, int(cases), table.size(classes), table.sample, confidence=table.confidence)


def _f1(table: _Table) -> Estimate:
    """F1 score with its delta-method interval (Takahashi et al. 2022)."""
    method = codes.method("delta")
    size = 2 * table.totals[TP] + table.totals[FP] + table.totals[FN]
    if not size:
        return Estimate(nan, method=method, note=codes.note("none_present_or_called"))
    f1 = float(2 * table.totals[TP] / size)
    influence = np.zeros(4)
    influence[[TP, FP, FN]] = np.array([2 - 2 * f1, -f1, -f1]) / size
    se = sqrt(table.variance(influence, (TP, FP, FN)))
    if not se > 0:
        return Estimate(f1, se=se, method=method, note=codes.note("zero_variance_no_ci"))
    half = float(ndtri(0.5 + table.confidence / 2)) * se
    return Estimate(f1, max(f1 - half, 0.0), min(f1 + half, 1.0), se=se, method=method)


def _ratio(table: _Table, hit: int, miss: int, other: int, other_miss: int) -> Estimate:
    """Ratio of hit / (hit + miss) to other / (other + other_miss), with the log interval of Simel et al. (1991)."""
    present, absent = table.totals[hit] + table.totals[miss], table.totals[other] + table.totals[other_miss]
    method = codes.method("simel")
    if not (present and absent):
        return Estimate(nan, method=method, note=_one_class(table, present > 0))
    if not table.totals[other]:
        count = "false positives" if other == FP else "true negatives"
        return Estimate(nan, method=method, note=codes.note("division_by_zero", count=count))
    ratio = float(table.totals[hit] / present / (table.totals[other] / absent))
    if not table.totals[hit]:
        count = "true positives" if hit == TP else "false negatives"
        return Estimate(ratio, method=method, note=codes.note("no_log_interval", count=count))
    variance = _log_variance(table, hit, miss, other, other_miss)
    if not variance > 0:
        return Estimate(ratio, method=method, note=codes.note("zero_variance_no_ci"))
    spread = exp(float(ndtri(0.5 + table.confidence / 2)) * sqrt(variance))
    return Estimate(ratio, ratio / spread, ratio * spread, se=ratio * sqrt(variance), method=method)


def _one_class(table: _Table, present: bool) -> codes.Text:
    n = int(table.counts.sum())
    return codes.note("one_class", n=n, outcome="present" if present else "absent") if n else codes.note("no_cases")


def _log_variance(table: _Table, hit: int, miss: int, other: int, other_miss: int) -> float:
    """Linearised variance of the logarithm of a likelihood ratio."""
    influence = np.zeros(4)
    for sign, a, b in ((1, hit, miss), (-1, other, other_miss)):
        size = table.totals[a] + table.totals[b]
        influence[a] = sign * (1 / table.totals[a] - 1 / size)
        influence[b] = -sign / size
    return table.variance(influence, (TP, FP, FN, TN))


def _at_prevalence(table: _Table, prevalence: float) -> tuple[Estimate, Estimate]:
    """PPV and NPV at a given prevalence: their logits are log likelihood ratios plus the log odds of the prevalence."""
    present, absent = table.totals[TP] + table.totals[FN], table.totals[TN] + table.totals[FP]
    method = codes.method("mercaldo", prevalence=prevalence)
    if not (present and absent):
        return (Estimate(nan, method=method, note=_one_class(table, present > 0)),) * 2
    rows = {c: table.totals[c] / present * prevalence for c in (TP, FN)}
    rows |= {c: table.totals[c] / absent * (1 - prevalence) for c in (TN, FP)}
    return _predictive(table, rows, TP, FP, method), _predictive(table, rows, TN, FN, method)


def _predictive(table: _Table, rows: dict[int, float], right: int, wrong: int, method: codes.Text) -> Estimate:
    """One predictive value with its logit interval (Mercaldo et al. 2007)."""
    called = rows[right] + rows[wrong]
    if not called:
        call = "present" if right == TP else "absent"
        return Estimate(nan, method=method, note=codes.note("none_called", call=call))
    value = float(rows[right] / called)
    if not (rows[right] and rows[wrong]):
        return Estimate(value, method=method, note=codes.note("no_logit_interval"))
    miss, other_miss = (FN, TN) if right == TP else (FP, TP)
    spread = sqrt(_log_variance(table, right, miss, wrong, other_miss))
    half, centre = float(ndtri(0.5 + table.confidence / 2)) * spread, log(rows[right] / rows[wrong])
    low, high = (1 / (1 + exp(-(centre + side * half))) for side in (-1, 1))
    return Estimate(value, low, high, se=value * (1 - value) * spread, method=method)
