"""Whether acting on probabilities does more good than harm: decision curves, with intervals and contrasts."""

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
from overread.stats.sampling_design import Sampling, everyone, involved, sampling

BLOCK = 4_000_000  # thresholds times cases worked on at once: 32 MB
INTERVALS = ("adjusted", "wald")


@dataclass(frozen=True, slots=True, eq=False)
class NetBenefitDifference:
    """The net benefit of one way to decide minus that of another at each threshold; all arrays (n_thresholds,)."""

    value: Floats
    low: Floats
    high: Floats
    se: Floats
    p: Floats


@dataclass(frozen=True, slots=True, eq=False)
class DecisionCurve:
    """Net benefit of treating those with probability >= threshold, all, and none; all arrays (n_thresholds,).

    low, high, se and p belong to `model`; as treating none has net benefit 0, they are those of the difference from it
    too. true_positives and false_positives are shares of all cases.
    """

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
        """Net benefit as a share of the largest possible one, the prevalence; NaN where that is 0."""
        return self.model / (self.prevalence or nan)

    @property
    def avoided(self) -> Floats:
        """Treatments of absent cases avoided, net, per case, against treating all; NaN at threshold 0."""
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
    """True positives less false positives weighed by the odds of the threshold, per case: the decision curve.

    Parameters: y truth bool (n_cases,); probability in [0, 1] (n_cases,); thresholds (n_thresholds,) in [0, 1): the
    probability from which on one would treat (treated = probability >= threshold), so that a needless treatment is
    counted as t / (1 - t) of a missed case; prevalence, where cases were sampled by their truth (case-control);
    interval, see below; cluster, weights, strata, finite, see `sampling`.
    Returns a DecisionCurve: `model`, `treat_all`, `treat_none` (0) and `minus_all` (model less treating all). `se` is
    linearised; the pointwise interval "adjusted" adds four imaginary patients, one of each kind (present or absent,
    treated or not), as Agresti and Coull do for one proportion, and so holds where hardly anybody is treated; "wald"
    does not, and has no interval where no spread is seen. p is two-sided, of no difference from treating none (all).
    No cases, or one class with `prevalence`: NaN with a note. Raises InputError for probabilities outside [0, 1] or
    thresholds outside [0, 1).
    Assumes independent cases or clusters; a threshold chosen by what treatment costs, not by these data.
    Vickers & Elkin (2006) doi:10.1177/0272989X06295361; Vickers et al. (2008) doi:10.1186/1472-6947-8-53; Pfeiffer &
    Gail (2020) doi:10.1002/bimj.201800240 (variance); Agresti & Coull (1998) doi:10.1080/00031305.1998.10480550.
    Checked against dcurves 0.5.1 and own R 4.2.2 (se); intervals by simulation.

    >>> curve = net_benefit([1, 1, 0, 0, 0], [0.9, 0.4, 0.6, 0.2, 0.1], [0.2, 0.5])
    >>> curve.model.round(3).tolist(), curve.treat_all.round(3).tolist()
    ([0.3, 0.0], [0.25, -0.2])
    """
    where = "net_benefit"
    ground = _ground(y, thresholds, (cluster, weights, strata, finite), prevalence, where=where)
    p = probability_array(probability, ground.truth.size, where=where)
    check_confidence(confidence, where=where)
    check_word(interval, INTERVALS, where=where, name="interval")
    hits, alarms = ground.shares(p)
    missed, spared = ground.shares(p, treated=False)  # counted, not subtracted: 0 exactly where all are treated
    words, nobody = (confidence, interval), np.zeros_like(hits)
    own = ground.difference((hits, alarms), [(p, 1.0)], ((1, 0), (1, 0)), words)
    less = ground.difference((-missed, -spared), [(p, 1.0), (None, -1.0)], ((-1, 0), (-1, 0)), words)
    return DecisionCurve(
        ground.thresholds,
        own.value,
        treat_all=(hits + missed) - ground.odds * (alarms + spared),
        treat_none=nobody,
        low=own.low,
        high=own.high,
        se=own.se,
        p=own.p,
        minus_all=less,
        true_positives=hits,
        false_positives=alarms,
        prevalence=float(ground.present.sum()) if ground.defined else nan,
        method=codes.methods(
            ground.sample.words,
            codes.method("scale_wald") if interval == "wald" else codes.method("agresti_coull"),
        ),
        note=ground.note,
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
    """The net benefit of acting on model A minus that of acting on model B, same cases, at each threshold.

    Parameters: as `net_benefit`, with the probabilities of two models (n_cases,) each.
    Returns a NetBenefitDifference with pointwise intervals that know that the cases are the same, and two-sided p. The
    imaginary patients of the "adjusted" interval are treated by one model only, each model one of each class.
    Raises InputError as `net_benefit`. Pfeiffer & Gail (2020) doi:10.1002/bimj.201800240.
    Checked against own R 4.2.2 (analytic standard error, and 5,000 bootstrap samples); interval by simulation.

    >>> d = compare_net_benefit([1, 1, 0, 0], [0.9, 0.6, 0.2, 0.1], [0.9, 0.2, 0.6, 0.1], [0.5])
    >>> d.value.tolist(), d.se.round(3).tolist()
    ([0.5], [0.289])
    """
    where = "compare_net_benefit"
    ground = _ground(y, thresholds, (cluster, weights, strata, finite), prevalence, where=where)
    a, b = (probability_array(p, ground.truth.size, where=where) for p in (probability_a, probability_b))
    check_confidence(confidence, where=where)
    check_word(interval, INTERVALS, where=where, name="interval")
    hits, alarms = (one - other for one, other in zip(ground.shares(a), ground.shares(b), strict=True))
    return ground.difference((hits, alarms), [(a, 1.0), (b, -1.0)], ((1, -1), (1, -1)), (confidence, interval))


@dataclass(frozen=True, slots=True, eq=False)
class _Ground:
    """Cases and thresholds, and what each case adds to the shares of present and of absent cases, (n_cases,) each."""

    truth: Bools
    thresholds: Floats
    odds: Floats
    sample: Sampling
    present: Floats
    absent: Floats
    by_class: bool  # the prevalence was given: each class is a sample of its own
    defined: bool
    note: codes.Text

    def shares(self, p: Floats, *, treated: bool = True) -> tuple[Floats, Floats]:
        """Shares of all cases that are treated (or are not) and are present, absent; (n_thresholds,) each."""
        if not self.defined:
            return np.full(self.odds.size, nan), np.full(self.odds.size, nan)
        order = np.argsort(self.thresholds, kind="stable")
        level = np.searchsorted(self.thresholds[order], p, side="right")  # how many thresholds treat the case
        made = []
        for each in (self.present, self.absent):
            share = np.bincount(level, each, minlength=order.size + 1)
            total = share[:0:-1].cumsum()[::-1] if treated else share[:-1].cumsum()
            made.append(np.empty(order.size))
            made[-1][order] = total
        return made[0], made[1]

    def difference(
        self,
        shares: tuple[Floats, Floats],
        ways: list[tuple[Floats | None, float]],
        imaginary: tuple[tuple[int, int], tuple[int, int]],
        words: tuple[float, str],
    ) -> NetBenefitDifference:
        """Net benefit from shares of present and of absent cases that one way to decide treats and another does not.

        ways: the probabilities of either with its sign; imaginary: treatments of the patients added to either class.
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
        """Middle and half a standard interval once patients of each kind are added."""
        scale = (np.ones_like(self.odds), -self.odds)
        kinds = [[s * k for k in added] for s, added in zip(scale, imaginary, strict=True)]
        if not self.by_class:
            groups = [(1.0, everyone(self.truth.size), shares[0] - self.odds * shares[1], kinds[0] + kinds[1])]
        else:
            mass = [float(each.sum()) for each in (self.present, self.absent)]
            means = [s * share / m for s, share, m in zip(scale, shares, mass, strict=True)]
            groups = [(mass[0], self.truth, means[0], kinds[0]), (mass[1], ~self.truth, means[1], kinds[1])]
        middle, variance = np.zeros_like(se), se**2
        for mass_of, mine, mean, added in groups:
            size = kish(self.sample.totals(mine)) if mine.any() else nan
            share = size / (size + len(added))
            centre = share * mean + sum(added) / (size + len(added))
            wide = (mean - centre) ** 2 / size + sum((k - centre) ** 2 for k in added) / size**2
            middle += mass_of * centre
            variance += (mass_of * share) ** 2 * wide
        return middle, np.sqrt(variance)

    def _errors(self, value: Floats, ways: list[tuple[Floats | None, float]]) -> Floats:
        """Standard errors of the signed sum of the net benefits of these ways to treat; None treats everyone."""
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
        return np.where(se > 1e-14 * (1 + self.odds), se, 0.0)  # below that it is rounding

    def _roots(self, each: Floats, value: Floats) -> Floats:
        """Standard errors from what each case adds to the value, (n_thresholds, n_cases)."""
        share = self.present + self.absent
        if self.by_class:
            for mine in (self.truth, ~self.truth):
                each[:, mine] -= each[:, mine].sum(axis=1, keepdims=True) / share[mine].sum() * share[mine]
                each[:, mine] *= self._small(mine)
        else:
            each -= value[:, None] * share
        weight = 1.0 if self.sample.weights is None else self.sample.weights  # totals weigh them again
        return np.sqrt(self.sample.variances(self.sample.totals(each / weight), self.sample.n_patients))

    def _small(self, mine: Bools) -> float:
        """The root of m / (m - 1) of a class's patients, relative to that of all patients."""
        m, n = involved(self.sample.totals(mine)), self.sample.n_patients
        return sqrt(m / (m - 1) * (n - 1) / n) if m > 1 else nan


def _ground(
    y: ArrayLike,
    thresholds: ArrayLike,
    drawn: tuple[ArrayLike | None, ArrayLike | None, ArrayLike | None, bool],
    prevalence: float | None,
    *,
    where: str,
) -> _Ground:
    truth, at = truth_array(y, where=where), _threshold_array(thresholds, where=where)
    if prevalence is not None and not 0 < prevalence < 1:
        raise InputError(f"{where}: prevalence", "a number between 0 and 1", f"{prevalence}")
    cluster, weights, strata, finite = drawn
    sample = sampling(truth.size, where=where, cluster=cluster, weights=weights, strata=strata, finite=finite)
    mass = sample.weigh(everyone(truth.size))
    why = no_level(truth) if prevalence is not None or not truth.size else codes.NONE
    if why:
        share = mass
    elif prevalence is None:
        share = mass / mass.sum()
    else:
        share = mass * np.where(truth, prevalence / mass[truth].sum(), (1 - prevalence) / mass[~truth].sum())
    note = why or sample.note or (codes.NONE if sample.n_patients > 1 else codes.note("one_patient"))
    present, absent = np.where(truth, share, 0.0), np.where(truth, 0.0, share)
    return _Ground(truth, at, at / (1 - at), sample, present, absent, prevalence is not None, not why, note)


def _threshold_array(thresholds: ArrayLike, *, where: str) -> Floats:
    at = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if at.ndim != 1:
        raise InputError(f"{where}: thresholds", "an array of one dimension", f"shape {at.shape}")
    wrong = at[~((at >= 0) & (at < 1))]
    if wrong.size:
        found, do = f"{wrong.size} outside", "At 1 nobody is ever treated; write 0.1 for 10 %."
        raise InputError(f"{where}: thresholds", "numbers from 0 to below 1", found, examples=wrong[:5].tolist(), do=do)
    return at
