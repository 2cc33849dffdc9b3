"""Decision curve analysis: net benefit of acting on probabilities, with intervals and comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Floats, check_confidence, check_word, probability_array, truth_array
from overread.stats.calibration.logistic_fits import no_level
from overread.stats.rates.proportions import kish
from overread.stats.result_text import described
from overread.stats.sampling_design import Sampling, everyone, involved, sampling

BLOCK = 4_000_000  # thresholds times cases in one block: 32 MB
INTERVALS = ("adjusted", "wald")


@dataclass(frozen=True, slots=True, eq=False)
class NetBenefitDifference:
    """Difference of the net benefits of two strategies at each threshold.

    Attributes
    ----------
    value : ndarray of float64, shape (n_thresholds,)
        Difference in net benefit per case.
    low : ndarray of float64, shape (n_thresholds,)
        Lower limit of the pointwise interval.
    high : ndarray of float64, shape (n_thresholds,)
        Upper limit of the pointwise interval.
    se : ndarray of float64, shape (n_thresholds,)
        Standard error.
    p : ndarray of float64, shape (n_thresholds,)
        Two-sided p value of no difference.

    Notes
    -----
    `compare_net_benefit` returns this result.
    """

    __repr__ = described

    value: Floats
    low: Floats
    high: Floats
    se: Floats
    p: Floats


@dataclass(frozen=True, slots=True, eq=False)
class DecisionCurve:
    """Net benefit of treating by a model, treating all and treating none, at each threshold.

    Attributes
    ----------
    thresholds : ndarray of float64, shape (n_thresholds,)
        Threshold probabilities.
    model : ndarray of float64, shape (n_thresholds,)
        Net benefit per case of treating if probability >= threshold.
    treat_all : ndarray of float64, shape (n_thresholds,)
        Net benefit of treating all.
    treat_none : ndarray of float64, shape (n_thresholds,)
        Net benefit of treating none, 0.
    low : ndarray of float64, shape (n_thresholds,)
        Lower limit of the pointwise interval of `model`.
    high : ndarray of float64, shape (n_thresholds,)
        Upper limit of the pointwise interval of `model`.
    se : ndarray of float64, shape (n_thresholds,)
        Standard error of `model`.
    p : ndarray of float64, shape (n_thresholds,)
        Two-sided p value of no difference from treating none.
    minus_all : NetBenefitDifference
        Model minus treating all.
    true_positives : ndarray of float64, shape (n_thresholds,)
        True positives as a proportion of all cases.
    false_positives : ndarray of float64, shape (n_thresholds,)
        False positives as a proportion of all cases.
    prevalence : float
        Prevalence.
    method : str
        Interval and variance.
    note : str
        Reason for values that are NaN, otherwise "".

    Notes
    -----
    `net_benefit` returns this result.
    """

    __repr__ = described

    thresholds: Floats
    model: Floats
    treat_all: Floats
    treat_none: Floats
    low: Floats
    high: Floats
    se: Floats
    p: Floats
    minus_all: NetBenefitDifference
    true_positives: Floats
    false_positives: Floats
    prevalence: float
    method: codes.Text
    note: codes.Text = codes.NONE

    @property
    def standardized(self) -> Floats:
        """Net benefit divided by its largest possible value, the prevalence; NaN if that is 0."""
        return self.model / (self.prevalence or nan)

    @property
    def avoided(self) -> Floats:
        """Net reduction in treatments of absent cases per case, compared with treating all; NaN at threshold 0."""
        odds = self.thresholds / (1 - self.thresholds)
        return self.minus_all.value / np.where(odds > 0, odds, nan)


def net_benefit(
    y: ArrayLike,
    probability: ArrayLike,
    thresholds: ArrayLike,
    *,
    prevalence: float | None = None,
    interval: str = "adjusted",
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    finite: bool = False,
    confidence: float = 0.95,
) -> DecisionCurve:
    """Net benefit of acting on a probability at given thresholds (decision curve).

    The estimand is (true positives - false positives t / (1 - t)) per case at threshold t, in the population with the
    prevalence of the sample or the given one.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    probability : array_like of float, shape (n_cases,)
        Predicted probability of each case, in [0, 1].
    thresholds : array_like of float, shape (n_thresholds,)
        Threshold probabilities t in [0, 1). A case is treated if its probability is at or above t; an unnecessary
        treatment counts t / (1 - t) of a missed case.
    prevalence : float, optional
        Prevalence in (0, 1) of the target population, if cases were sampled by their truth (case-control).
    interval : {"adjusted", "wald"}, default "adjusted"
        Pointwise interval: Agresti-Coull type adjustment that adds one case of each combination of class and treatment,
        or Wald interval.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.
    strata : array_like, shape (n_cases,), optional
        Sampling stratum of each case; all cases of a patient must be in one stratum.
    finite : bool, default False
        Whether to apply the finite-population correction 1 - n_h/N_h to the variance of each stratum h, where N_h is
        the sum of the weights of the stratum.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    DecisionCurve
        Net benefit of the model with intervals and p values, and of treating all and none. NaN with a note without
        cases, or for an empty class if `prevalence` is given.

    Raises
    ------
    InputError
        If a probability is outside [0, 1], a threshold is outside [0, 1), an array has another shape, or an option is
        invalid.

    Notes
    -----
    Standard errors are linearised. The "adjusted" interval also has valid coverage if few cases are treated; the "wald"
    interval does not, and is omitted if the variance is 0. Cases or clusters are assumed to be independent. The
    thresholds follow from the consequences of treatment and are not chosen on these data. Checked against dcurves 0.5.1
    and an implementation in R 4.2.2 (standard errors); intervals by simulation.

    References
    ----------
    * Vickers AJ, Elkin EB (2006). Decision curve analysis: a novel method for evaluating prediction models. Medical
      Decision Making 26:565-574. doi:10.1177/0272989X06295361
    * Vickers AJ et al. (2008). Extensions to decision curve analysis. BMC Medical Informatics and Decision Making 8:53.
      doi:10.1186/1472-6947-8-53
    * Pfeiffer RM, Gail MH (2020). Estimating the decision curve and its precision from three study designs. Biometrical
      Journal 62:764-776. doi:10.1002/bimj.201800240
    * Agresti A, Coull BA (1998). Approximate is better than "exact" for interval estimation of binomial proportions.
      The American Statistician 52:119-126. doi:10.1080/00031305.1998.10480550

    Examples
    --------
    >>> curve = net_benefit([1, 1, 0, 0, 0], [0.9, 0.4, 0.6, 0.2, 0.1], [0.2, 0.5])
    >>> curve.model.round(3).tolist(), curve.treat_all.round(3).tolist()
    ([0.3, 0.0], [0.25, -0.2])
    """
    where = "net_benefit"
    setting = _ground(y, thresholds, (cluster, weights, strata, finite), prevalence, where=where)
    p = probability_array(probability, setting.truth.size, where=where)
    check_confidence(confidence, where=where)
    check_word(interval, INTERVALS, where=where, name="interval")
    true_positives, false_positives = setting.shares(p)
    false_negatives, true_negatives = setting.shares(
        p, treated=False
    )  # counted, not by subtraction, so that it is exactly 0 if all are treated
    interval_options, zeros = (confidence, interval), np.zeros_like(true_positives)
    against_none = setting.difference((true_positives, false_positives), [(p, 1.0)], ((1, 0), (1, 0)), interval_options)
    against_all = setting.difference(
        (-false_negatives, -true_negatives), [(p, 1.0), (None, -1.0)], ((-1, 0), (-1, 0)), interval_options
    )
    return DecisionCurve(
        setting.thresholds,
        against_none.value,
        treat_all=(true_positives + false_negatives) - setting.odds * (false_positives + true_negatives),
        treat_none=zeros,
        low=against_none.low,
        high=against_none.high,
        se=against_none.se,
        p=against_none.p,
        minus_all=against_all,
        true_positives=true_positives,
        false_positives=false_positives,
        prevalence=float(setting.present.sum()) if setting.defined else nan,
        method=codes.methods(
            setting.sample.words,
            codes.method("scale_wald") if interval == "wald" else codes.method("agresti_coull"),
        ),
        note=setting.note,
    )


def compare_net_benefit(
    y: ArrayLike,
    probability_a: ArrayLike,
    probability_b: ArrayLike,
    thresholds: ArrayLike,
    *,
    prevalence: float | None = None,
    interval: str = "adjusted",
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    finite: bool = False,
    confidence: float = 0.95,
) -> NetBenefitDifference:
    """Difference in net benefit of two models on the same cases at given thresholds.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    probability_a : array_like of float, shape (n_cases,)
        Predicted probability of model A, in [0, 1].
    probability_b : array_like of float, shape (n_cases,)
        Predicted probability of model B, in [0, 1].
    thresholds : array_like of float, shape (n_thresholds,)
        Threshold probabilities in [0, 1).
    prevalence : float, optional
        As for `net_benefit`.
    interval : {"adjusted", "wald"}, default "adjusted"
        As for `net_benefit`. The added cases of the adjusted interval are treated by one model only, one of each class
        by each model.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.
    strata : array_like, shape (n_cases,), optional
        Sampling stratum of each case; all cases of a patient must be in one stratum.
    finite : bool, default False
        Whether to apply the finite-population correction 1 - n_h/N_h to the variance of each stratum h, where N_h is
        the sum of the weights of the stratum.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    NetBenefitDifference
        A - B with pointwise paired intervals and two-sided p values.

    Raises
    ------
    InputError
        As for `net_benefit`.

    Notes
    -----
    Checked against an implementation in R 4.2.2 (analytic standard error and 5,000 bootstrap samples); intervals by
    simulation.

    References
    ----------
    * Pfeiffer RM, Gail MH (2020). Estimating the decision curve and its precision from three study designs. Biometrical
      Journal 62:764-776. doi:10.1002/bimj.201800240

    Examples
    --------
    >>> d = compare_net_benefit([1, 1, 0, 0], [0.9, 0.6, 0.2, 0.1], [0.9, 0.2, 0.6, 0.1], [0.5])
    >>> d.value.tolist(), d.se.round(3).tolist()
    ([0.5], [0.289])
    """
    where = "compare_net_benefit"
    setting = _ground(y, thresholds, (cluster, weights, strata, finite), prevalence, where=where)
    a, b = (probability_array(p, setting.truth.size, where=where) for p in (probability_a, probability_b))
    check_confidence(confidence, where=where)
    check_word(interval, INTERVALS, where=where, name="interval")
    true_positives, false_positives = (
        share_a - share_b for share_a, share_b in zip(setting.shares(a), setting.shares(b), strict=True)
    )
    return setting.difference(
        (true_positives, false_positives), [(a, 1.0), (b, -1.0)], ((1, -1), (1, -1)), (confidence, interval)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Ground:
    """Cases, thresholds, and contribution of each case to the proportions of present and absent cases, (n_cases,)."""

    truth: Bools
    thresholds: Floats
    odds: Floats
    sample: Sampling
    present: Floats
    absent: Floats
    by_class: bool  # with a given prevalence each class is a separate sample
    defined: bool
    note: codes.Text

    def shares(self, p: Floats, *, treated: bool = True) -> tuple[Floats, Floats]:
        """Proportions of all cases that are treated (or not) and present, absent; (n_thresholds,) each."""
        if not self.defined:
            return np.full(self.odds.size, nan), np.full(self.odds.size, nan)
        order = np.argsort(self.thresholds, kind="stable")
        level = np.searchsorted(
            self.thresholds[order], p, side="right"
        )  # number of thresholds at which the case is treated
        totals = []
        for each in (self.present, self.absent):
            share = np.bincount(level, each, minlength=order.size + 1)
            total = share[:0:-1].cumsum()[::-1] if treated else share[:-1].cumsum()
            totals.append(np.empty(order.size))
            totals[-1][order] = total
        return totals[0], totals[1]

    def difference(
        self,
        shares: tuple[Floats, Floats],
        ways: list[tuple[Floats | None, float]],
        imaginary: tuple[tuple[int, int], tuple[int, int]],
        words: tuple[float, str],
    ) -> NetBenefitDifference:
        """Net benefit from proportions of present and absent cases that one strategy treats and another does not.

        `ways` holds the probabilities of each strategy with its sign; `imaginary` holds the treatments of the added
        cases of each class.
        """
        z, interval = float(ndtri(0.5 + words[0] / 2)), words[1]
        value = shares[0] - self.odds * shares[1]
        se = self._errors(value, ways)
        if interval == "wald":
            middle, spread = value, np.where(se > 0, se, nan)
            p = np.where((se == 0) & (value == 0), 1.0, 2 * ndtr(-np.abs(value / spread)))
        else:
            middle, spread = self._with_imaginary(shares, se, imaginary)
            p = 2 * ndtr(-np.abs(middle / spread))
        low, high = np.minimum(middle - z * spread, value), np.maximum(middle + z * spread, value)
        return NetBenefitDifference(value, low, high, se, p)

    def _with_imaginary(
        self, shares: tuple[Floats, Floats], se: Floats, imaginary: tuple[tuple[int, int], tuple[int, int]]
    ) -> tuple[Floats, Floats]:
        """Centre and standard error of the Agresti-Coull type adjustment (Agresti and Coull 1998)."""
        scale = (np.ones_like(self.odds), -self.odds)
        kinds = [[s * k for k in added] for s, added in zip(scale, imaginary, strict=True)]
        if not self.by_class:
            groups = [(1.0, everyone(self.truth.size), shares[0] - self.odds * shares[1], kinds[0] + kinds[1])]
        else:
            mass = [float(each.sum()) for each in (self.present, self.absent)]
            means = [s * share / m for s, share, m in zip(scale, shares, mass, strict=True)]
            groups = [(mass[0], self.truth, means[0], kinds[0]), (mass[1], ~self.truth, means[1], kinds[1])]
        centre_of_all, variance = np.zeros_like(se), se**2
        for mass_of, in_class, mean, added in groups:
            size = kish(self.sample.totals(in_class)) if in_class.any() else nan
            share = size / (size + len(added))
            centre = share * mean + sum(added) / (size + len(added))
            spread_of_added = (mean - centre) ** 2 / size + sum((k - centre) ** 2 for k in added) / size**2
            centre_of_all += mass_of * centre
            variance += (mass_of * share) ** 2 * spread_of_added
        return centre_of_all, np.sqrt(variance)

    def _errors(self, value: Floats, ways: list[tuple[Floats | None, float]]) -> Floats:
        """Standard errors of the signed sum of the net benefits of these strategies; None treats all cases."""
        se = np.full(value.size, nan)
        if self.note:
            return se
        step = max(BLOCK // self.truth.size, 1)
        for start in range(0, value.size, step):
            block = slice(start, start + step)
            treated = np.zeros((value[block].size, self.truth.size))
            for p, sign in ways:
                treated += sign if p is None else sign * (p >= self.thresholds[block, None])
            each = treated * np.where(self.truth, self.present, -self.odds[block, None] * self.absent)
            se[block] = self._roots(each, value[block])
        return np.where(se > 1e-14 * (1 + self.odds), se, 0.0)  # smaller values are rounding error

    def _roots(self, each: Floats, value: Floats) -> Floats:
        """Standard errors from the contribution of each case to the value, (n_thresholds, n_cases)."""
        share = self.present + self.absent
        if self.by_class:
            for in_class in (self.truth, ~self.truth):
                each[:, in_class] -= (
                    each[:, in_class].sum(axis=1, keepdims=True) / share[in_class].sum() * share[in_class]
                )
                each[:, in_class] *= self._small(in_class)
        else:
            each -= value[:, None] * share
        weight = 1.0 if self.sample.weights is None else self.sample.weights  # `totals` applies the weights again
        return np.sqrt(self.sample.variances(self.sample.totals(each / weight), self.sample.n_patients))

    def _small(self, in_class: Bools) -> float:
        """Square root of m / (m - 1) for the m patients of a class, relative to that of all patients."""
        m, n = involved(self.sample.totals(in_class)), self.sample.n_patients
        return sqrt(m / (m - 1) * (n - 1) / n) if m > 1 else nan


def _ground(
    y: ArrayLike,
    thresholds: ArrayLike,
    design: tuple[ArrayLike | None, ArrayLike | None, ArrayLike | None, bool],
    prevalence: float | None,
    *,
    where: str,
) -> _Ground:
    """Validated cases and thresholds with the sampling design."""
    truth, threshold_values = truth_array(y, where=where), _threshold_array(thresholds, where=where)
    if prevalence is not None and not 0 < prevalence < 1:
        raise InputError(f"{where}: prevalence", "a number between 0 and 1", f"{prevalence}")
    cluster, weights, strata, finite = design
    sample = sampling(truth.size, where=where, cluster=cluster, weights=weights, strata=strata, finite=finite)
    mass = sample.weigh(everyone(truth.size))
    class_note = no_level(truth) if prevalence is not None or not truth.size else codes.NONE
    if class_note:
        share = mass
    elif prevalence is None:
        share = mass / mass.sum()
    else:
        share = mass * np.where(truth, prevalence / mass[truth].sum(), (1 - prevalence) / mass[~truth].sum())
    note = class_note or sample.note or (codes.NONE if sample.n_patients > 1 else codes.note("one_patient"))
    present, absent = np.where(truth, share, 0.0), np.where(truth, 0.0, share)
    return _Ground(
        truth,
        threshold_values,
        threshold_values / (1 - threshold_values),
        sample,
        present,
        absent,
        prevalence is not None,
        not class_note,
        note,
    )


def _threshold_array(thresholds: ArrayLike, *, where: str) -> Floats:
    """Validated thresholds."""
    threshold_values = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if threshold_values.ndim != 1:
        raise InputError(f"{where}: thresholds", "an array of one dimension", f"shape {threshold_values.shape}")
    invalid = threshold_values[~((threshold_values >= 0) & (threshold_values < 1))]
    if invalid.size:
        description, do = f"{invalid.size} outside", "At threshold 1 no case is treated; write 0.1 for 10 %."
        raise InputError(
            f"{where}: thresholds", "numbers from 0 to below 1", description, examples=invalid[:5].tolist(), do=do
        )
    return threshold_values
