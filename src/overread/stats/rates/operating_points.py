"""What a yes/no call is worth: sensitivity, specificity, predictive values, F1, accuracy, likelihood ratios."""

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
from overread.stats.rates.proportions import rate, wilson
from overread.stats.sampling_design import Sampling, involved, sampling

TP, FP, FN, TN = 3, 2, 1, 0  # the class of a case is 2 * call + truth


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What calls are worth at one threshold; tp, fp, fn, tn count cases, unweighted."""

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
    """Weighted totals of the four classes, over all cases (4,) and, unless cases are a simple sample, per patient."""

    counts: Floats  # (4,) cases
    totals: Floats  # (4,) weights
    patients: Floats | None  # (4, n_patients)
    sample: Sampling
    confidence: float

    def size(self, classes: tuple[int, ...]) -> Floats:
        """Weight of each patient in the denominator made of these classes (n_patients,)."""
        assert self.patients is not None
        return self.patients[list(classes)].sum(axis=0)

    def variance(self, influence: Floats, classes: tuple[int, ...]) -> float:
        """Variance of an estimate whose influence value is influence[class], computed on cases of these classes."""
        if self.patients is None:
            return float(self.totals @ influence**2)
        return self.sample.variance(np.einsum("c,cp->p", influence, self.patients), involved(self.size(classes)))


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
    """Sensitivity, specificity, PPV, NPV, F1, accuracy and likelihood ratios of yes/no calls.

    Parameters: y truth and call, bool (n_cases,); cluster, patient of each case; weights, inverse inclusion
    probabilities, strata and finite, see `sampling`; prevalence in (0, 1): PPV and NPV as they would be there, from
    sensitivity and specificity (Mercaldo's logit interval), not as they are in the sample.
    Returns an OperatingPoint. Rates: Wilson; with cluster or weights Wilson at the effective sample size of the ratio
    estimator. F1: delta method, cut to [0, 1]. Likelihood ratios: Simel's log interval. A rate whose denominator is
    empty and a ratio that divides by zero are NaN with a note. Raises InputError on anything but yes and no.
    Assumes independent cases, or independent clusters (about 20 or more that enter the rate).
    Simel et al. (1991) doi:10.1016/0895-4356(91)90128-V; Takahashi et al. (2022) doi:10.1007/s10489-021-02635-5;
    Mercaldo et al. (2007) doi:10.1002/sim.2677; Genders et al. (2012) doi:10.1148/radiol.12120509.
    Checked against R 4.2.2: epiR 2.0.57, binom 1.1.1.1, bdpv 1.4.

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
    size = table.totals[hit] + table.totals[miss]
    if not size:
        return Estimate(nan, method=codes.method("wilson"), note=empty)
    return _interval(table, (hit,), (hit, miss), float(table.totals[hit] / size))


def _accuracy(table: _Table) -> Estimate:
    size = table.totals.sum()
    if not size:
        return Estimate(nan, method=codes.method("wilson"), note=codes.note("no_cases"))
    return _interval(table, (TP, TN), (TP, FP, FN, TN), float((table.totals[TP] + table.totals[TN]) / size))


def _interval(table: _Table, hits: tuple[int, ...], classes: tuple[int, ...], p: float) -> Estimate:
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
    """hit / (hit + miss) over other / (other + other_miss), with the interval on the log scale."""
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
    influence = np.zeros(4)
    for sign, a, b in ((1, hit, miss), (-1, other, other_miss)):
        size = table.totals[a] + table.totals[b]
        influence[a] = sign * (1 / table.totals[a] - 1 / size)
        influence[b] = -sign / size
    return table.variance(influence, (TP, FP, FN, TN))


def _at_prevalence(table: _Table, prevalence: float) -> tuple[Estimate, Estimate]:
    """PPV and NPV elsewhere: their logits are log likelihood ratios plus the log odds of the prevalence."""
    present, absent = table.totals[TP] + table.totals[FN], table.totals[TN] + table.totals[FP]
    method = codes.method("mercaldo", prevalence=prevalence)
    if not (present and absent):
        return (Estimate(nan, method=method, note=_one_class(table, present > 0)),) * 2
    rows = {c: table.totals[c] / present * prevalence for c in (TP, FN)}
    rows |= {c: table.totals[c] / absent * (1 - prevalence) for c in (TN, FP)}
    return _predictive(table, rows, TP, FP, method), _predictive(table, rows, TN, FN, method)


def _predictive(table: _Table, rows: dict[int, float], right: int, wrong: int, method: codes.Text) -> Estimate:
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
