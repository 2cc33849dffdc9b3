"""Thresholds that reach a stated specificity or sensitivity, and the other rate there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import (
    Bools,
    Codes,
    Floats,
    check_confidence,
    group_codes,
    score_array,
    truth_array,
    weight_array,
)
from overread.stats.estimate import Estimate
from overread.stats.resampling.patient_bootstrap import draw_counts, percentile_interval, rate_replicates
from overread.stats.roc.delong import one_class

UNDEFINED = codes.note("undefined_rate")  # of a resample
SLACK = 1e-12  # 1 - 0.9 is a hair below 0.1: a step that reaches the target up to rounding reaches it


@dataclass(frozen=True, slots=True)
class AttainedStep:
    """A threshold (call = score >= threshold) and the rates that it has on the cases it was chosen on."""

    threshold: float
    sensitivity: float
    specificity: float
    note: codes.Text = codes.NONE


def threshold_at(
    y: ArrayLike,
    score: ArrayLike,
    *,
    specificity: float | None = None,
    sensitivity: float | None = None,
    weights: ArrayLike | None = None,
) -> AttainedStep:
    """The threshold that reaches a stated specificity (or sensitivity) and gives away no more than it must.

    Parameters: y truth bool (n_cases,); score (n_cases,); exactly one of specificity, sensitivity, in [0, 1];
    weights (n_cases,), inverse inclusion probabilities.
    Returns an AttainedStep: with specificity the lowest threshold whose specificity is at least that, with sensitivity
    the highest one whose sensitivity is at least that. It lies midway between two scores, so that a score recomputed
    elsewhere with another rounding keeps its call. Where a specificity is reached only by
    calling nothing present, the threshold is NaN with a note and the rates are those of that step (0 and 1). Where no
    case is of the class that the target is about: NaN with a note.
    Raises InputError for missing or infinite scores. Assumes that the threshold is used on other cases.
    Checked against pROC 1.18.0 (`coords`, attainable steps) and a slow twin.

    >>> threshold_at([0, 0, 0, 0, 1, 1], [1, 2, 3, 4, 3.5, 5], specificity=0.75)
    AttainedStep(threshold=3.25, sensitivity=1.0, specificity=0.75, note='')
    """
    where = "threshold_at"
    target = _one_target(specificity, sensitivity, where)
    truth = truth_array(y, where=where)
    ordered = _ordered(truth, score_array(score, truth.shape, where=where))
    weight = np.ones(truth.size) if weights is None else weight_array(weights, truth.size, where=where)[ordered.order]
    present, absent = (float(weight[mask].sum()) for mask in (ordered.truth, ~ordered.truth))
    if not (absent if specificity is not None else present):
        missing = "absent" if specificity is not None else "present"
        return AttainedStep(nan, nan, nan, note=codes.note("no_cases_of_class", outcome=missing))
    ends = np.flatnonzero(ordered.last)
    called, wrong = (  # present and called, absent and called, by step
        np.concatenate([[0.0], np.cumsum(np.where(mask, weight, 0.0))[ends]])
        for mask in (ordered.truth, ~ordered.truth)
    )
    if specificity is not None:
        step = int(np.flatnonzero(wrong / absent <= 1 - target + SLACK)[-1])
        if not step:  # the first step is above every score: it has rates, and no threshold
            why = _tied_above(float(ordered.score[0]), wrong[1] / absent)
            return AttainedStep(nan, 0.0 if present else nan, 1.0, note=why if present else one_class(ordered.truth))
    else:
        step = int(np.flatnonzero(called / present >= target - SLACK)[0])
        if not step:
            return AttainedStep(nan, 0.0, 1.0 if absent else nan, note=codes.note("attained_with_none_called"))
    return AttainedStep(
        _between(ordered.score[ends], step),
        float(called[step] / present) if present else nan,
        float(1 - wrong[step] / absent) if absent else nan,
        note=one_class(ordered.truth),
    )


def _between(distinct: Floats, step: int) -> float:
    """Midway between the distinct score that is still called at this step and the next lower one."""
    if step == distinct.size:
        return float(distinct[-1])
    upper, lower = distinct[step - 1], distinct[step]
    middle = lower + (upper - lower) / 2
    return float(middle if middle > lower else upper)


def unattained(
    y: ArrayLike,
    score: ArrayLike,
    *,
    specificity: float | None = None,
    sensitivity: float | None = None,
    weights: ArrayLike | None = None,
) -> codes.Text:
    """Why only calling nobody has this specificity, or only calling everyone this sensitivity; "" where it is attained.

    Parameters: as in `threshold_at`; exactly one of specificity and sensitivity.

    >>> unattained([0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5], specificity=0.9)
    'NE: specificity not attainable; 100.0% of the cases without the finding have the highest score, 0.5'
    >>> unattained([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], specificity=0.9)
    ''
    >>> unattained([0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5], sensitivity=0.9)
    'NE: sensitivity attained only with every case called present'
    """
    target = _one_target(specificity, sensitivity, "unattained")
    truth = truth_array(y, where="unattained")
    given = score_array(score, truth.shape, where="unattained")
    weight = np.ones(truth.size) if weights is None else weight_array(weights, truth.size, where="unattained")
    if not truth.any() or truth.all():
        return codes.NONE  # the estimate itself says that a class is missing
    asked, end = (~truth, given.max()) if specificity is not None else (truth, given.min())
    share = float(weight[asked & (given == end)].sum() / weight[asked].sum())
    if share <= 1 - target + SLACK:
        return codes.NONE
    if specificity is not None:
        return _tied_above(float(end), share)
    return codes.note("sensitivity_unattainable")


def _tied_above(highest: float, share: float) -> codes.Text:
    return codes.note("specificity_unattainable", share=float(share), score=highest)


def sensitivity_at_specificity(
    y: ArrayLike,
    score: ArrayLike,
    specificity: float,
    *,
    rng: np.random.Generator,
    replicates: int = 2000,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """The highest sensitivity that a threshold of specificity at least this has, on these cases.

    Parameters: y truth bool (n_cases,); score (n_cases,); specificity in [0, 1]; rng; replicates, number of
    resamples; cluster (n_cases,), the patient, who is resampled with all cases, within strata (n_cases,) where given;
    weights (n_cases,), inverse inclusion probabilities.
    Returns an Estimate: attainable step, never interpolated; percentile interval of resamples in each of which the
    threshold is chosen again, so that its uncertainty is in the interval; `se` their standard deviation. Where no
    threshold attains the specificity (`unattained`): NaN with a note, never the 0 of calling nobody. Resamples without
    both classes, and those whose ties leave no such threshold (`bootstrap.rate_replicates`), have no value: they are
    counted in the note, and above 1 % of them there is no interval, because the rest are the resamples that happened
    to have few false positives. So decisions whose specificity is close to the stated one have no interval; their
    sensitivity and specificity as they are have (`operating_point`).
    For many raters and findings draw once: `bootstrap.draw_counts`, `bootstrap.rate_replicates`.
    Assumes independent patients; the value is a little optimistic, as its threshold is chosen on the same cases: for a
    frozen threshold use `operating_point`. Rutter (2000) doi:10.1016/S1076-6332(00)80381-5 (resampling patients).
    Checked against pROC 1.18.0 (`coords`), a slow twin, and by simulated coverage.

    >>> e = sensitivity_at_specificity([0, 0, 1, 1], [1, 3, 2, 4], 0.9, rng=np.random.default_rng(1), replicates=100)
    >>> e.value
    0.5
    """
    where = "sensitivity_at_specificity"
    target = _one_target(specificity, None, where)
    check_confidence(confidence, where=where)
    truth = truth_array(y, where=where)
    given_score = score_array(score, truth.shape, where=where)
    given = {"cluster": cluster, "weights": weights, "strata": strata}
    return _resampled((truth, given_score), target, "sensitivity", where, rng, replicates, confidence, given)


def specificity_at_sensitivity(
    y: ArrayLike,
    score: ArrayLike,
    sensitivity: float,
    *,
    rng: np.random.Generator,
    replicates: int = 2000,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """The highest specificity that a threshold of sensitivity at least this has, on these cases.

    Parameters, returns, assumptions, paper and checks as in `sensitivity_at_specificity`, the two rates exchanged.

    >>> e = specificity_at_sensitivity([0, 0, 1, 1], [1, 3, 2, 4], 1.0, rng=np.random.default_rng(1), replicates=100)
    >>> e.value
    0.5
    """
    where = "specificity_at_sensitivity"
    target = _one_target(sensitivity, None, where)
    check_confidence(confidence, where=where)
    truth = truth_array(y, where=where)
    given_score = score_array(score, truth.shape, where=where)
    given = {"cluster": cluster, "weights": weights, "strata": strata}
    return _resampled((truth, given_score), target, "specificity", where, rng, replicates, confidence, given)


def _resampled(
    cases: tuple[Bools, Floats],
    target: float,
    kind: str,
    where: str,
    rng: np.random.Generator,
    replicates: int,
    confidence: float,
    given: dict[str, ArrayLike | None],
) -> Estimate:
    """The best rate of this kind at a stated other one, in every resample, of cases given as truth and score."""
    truth, score = cases
    attained, rechosen = codes.method("attained_step"), codes.method("threshold_rechosen")
    if not truth.any() or truth.all():
        return Estimate(nan, method=attained, note=one_class(truth))
    if why := unattained(truth, score, weights=given["weights"], **{_OTHER[kind]: target}):
        return Estimate(nan, method=attained, note=why)
    labels = np.arange(truth.size) if given["cluster"] is None else np.asarray(given["cluster"])
    patient, n_patients = group_codes(labels, truth.size, where=where)
    counts = draw_counts(patient, rng=rng, replicates=replicates, strata=given["strata"])
    whole = np.ones((1, n_patients), dtype=counts.dtype)

    def rates(drawn: NDArray[np.uint16]) -> Floats:
        y, scores = truth[None].astype(np.float64), score[None, None]
        made = rate_replicates(y, scores, drawn, [target], kind=kind, cluster=patient, weights=given["weights"])
        return made[:, 0, 0, 0]

    value = float(rates(whole)[0])
    interval = percentile_interval(rates(counts), value=value, confidence=confidence, undefined_because=UNDEFINED)
    resampled = codes.methods(interval.method, codes.method("patients_resampled"))
    return replace(interval, method=codes.methods(attained, resampled, rechosen))


@dataclass(frozen=True, slots=True, eq=False)
class _Ordered:
    """Cases from the highest score down; last marks the end of a group of equal scores."""

    order: Codes
    score: Floats
    truth: Bools
    last: Bools


def _ordered(truth: Bools, score: Floats) -> _Ordered:
    order = np.argsort(-score, kind="stable")
    down = score[order]
    return _Ordered(order, down, truth[order], np.append(down[1:] != down[:-1], True)[: down.size])


_OTHER = {"sensitivity": "specificity", "specificity": "sensitivity"}  # the rate that is fixed, by the one wanted


def _one_target(specificity: float | None, sensitivity: float | None, where: str) -> float:
    given = [v for v in (specificity, sensitivity) if v is not None]
    if len(given) != 1:
        raise InputError(f"{where}: target", "exactly one of specificity and sensitivity", f"{len(given)}")
    if not 0 <= given[0] <= 1:
        raise InputError(f"{where}: target", "a rate between 0 and 1", str(given[0]))
    return float(given[0])
