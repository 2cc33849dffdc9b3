"""Thresholds that attain a target specificity or sensitivity, and the other rate at these thresholds."""

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
from overread.stats.estimate_names import named
from overread.stats.random_numbers import Random
from overread.stats.resampling.patient_bootstrap import draw_counts, percentile_interval, rate_replicates
from overread.stats.result_text import described
from overread.stats.roc.delong import one_class

UNDEFINED = codes.note("undefined_rate")  # in a bootstrap replicate
SLACK = 1e-12  # tolerance for rounding, because 1 - 0.9 < 0.1 in floating point


@dataclass(frozen=True, slots=True)
class AttainedStep:
    """Threshold, and sensitivity and specificity at it on the cases it was chosen on.

    A case is called present if its score is at or above the threshold.

    Attributes
    ----------
    threshold : float
        Threshold; NaN if no threshold attains the target.
    sensitivity : float
        Sensitivity at the threshold.
    specificity : float
        Specificity at the threshold.
    note : str
        Reason for values that are NaN, otherwise "".

    Notes
    -----
    `threshold_at` returns this result.
    """

    __repr__ = described

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
    """Threshold that attains a target specificity or sensitivity at the least cost in the other rate.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    score : array_like of float, shape (n_cases,)
        Score of each case; higher means more likely present.
    specificity : float, optional
        Target specificity in [0, 1]. Exactly one of `specificity` and `sensitivity` is required.
    sensitivity : float, optional
        Target sensitivity in [0, 1].
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.

    Returns
    -------
    AttainedStep
        For a target specificity, the lowest threshold whose specificity is at least the target; for a target
        sensitivity, the highest threshold whose sensitivity is at least the target. If only calling no case present
        attains the target, the threshold is NaN with a note and the rates are 0 and 1. If the class of the target is
        empty, all values are NaN.

    Raises
    ------
    InputError
        If a score is NaN or infinite, an array has another shape, or not exactly one target within [0, 1] is given.

    Notes
    -----
    The threshold is the midpoint of two adjacent scores, so that a score recomputed with another rounding keeps its
    call. The rates are optimistic for these cases; apply the threshold to other cases. Checked against pROC 1.18.0,
    `coords`, and a brute-force reference implementation.

    References
    ----------
    * Fawcett T (2006). An introduction to ROC analysis. Pattern Recognition Letters 27:861-874.
      doi:10.1016/j.patrec.2005.10.010
    * Robin X et al. (2011). pROC: an open-source package for R and S+ to analyze and compare ROC curves. BMC
      Bioinformatics 12:77. doi:10.1186/1471-2105-12-77

    Examples
    --------
    >>> step = threshold_at([0, 0, 0, 0, 1, 1], [1, 2, 3, 4, 3.5, 5], specificity=0.75)
    >>> step.threshold, step.sensitivity, step.specificity
    (3.25, 1.0, 0.75)
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
    true_positives, false_positives = (  # by step
        np.concatenate([[0.0], np.cumsum(np.where(mask, weight, 0.0))[ends]])
        for mask in (ordered.truth, ~ordered.truth)
    )
    if specificity is not None:
        step = int(np.flatnonzero(false_positives / absent <= 1 - target + SLACK)[-1])
        if not step:  # the first step is above every score and has no threshold
            why = _tied_above(float(ordered.score[0]), false_positives[1] / absent)
            return AttainedStep(nan, 0.0 if present else nan, 1.0, note=why if present else one_class(ordered.truth))
    else:
        step = int(np.flatnonzero(true_positives / present >= target - SLACK)[0])
        if not step:
            return AttainedStep(nan, 0.0, 1.0 if absent else nan, note=codes.note("attained_with_none_called"))
    return AttainedStep(
        _between(ordered.score[ends], step),
        float(true_positives[step] / present) if present else nan,
        float(1 - false_positives[step] / absent) if absent else nan,
        note=one_class(ordered.truth),
    )


def _between(distinct: Floats, step: int) -> float:
    """Midpoint of the lowest distinct score called present at this step and the next lower one."""
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
    """Reason why no threshold attains a target rate, or an empty string if one does.

    A specificity is not attainable if only calling no case present reaches it; a sensitivity if only calling every case
    present does.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    score : array_like of float, shape (n_cases,)
        Score of each case; higher means more likely present.
    specificity : float, optional
        Target specificity in [0, 1]. Exactly one of `specificity` and `sensitivity` is required.
    sensitivity : float, optional
        Target sensitivity in [0, 1].
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.

    Returns
    -------
    Text
        Note for an estimate, or "".

    Raises
    ------
    InputError
        As for `threshold_at`.

    Notes
    -----
    Ties at the highest (lowest) score make a specificity (sensitivity) unattainable if they hold a larger proportion of
    the class than 1 - target.

    Examples
    --------
    >>> unattained([0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5], specificity=0.9)
    'NE: specificity not attainable; 100.0% of the cases without the finding have the highest score, 0.5'
    >>> unattained([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], specificity=0.9)
    ''
    >>> unattained([0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5], sensitivity=0.9)
    'NE: sensitivity attained only with every case called present'
    """
    target = _one_target(specificity, sensitivity, "unattained")
    truth = truth_array(y, where="unattained")
    scores = score_array(score, truth.shape, where="unattained")
    weight = np.ones(truth.size) if weights is None else weight_array(weights, truth.size, where="unattained")
    if not truth.any() or truth.all():
        return codes.NONE  # the note of the estimate reports the empty class
    target_class, end = (~truth, scores.max()) if specificity is not None else (truth, scores.min())
    share = float(weight[target_class & (scores == end)].sum() / weight[target_class].sum())
    if share <= 1 - target + SLACK:
        return codes.NONE
    if specificity is not None:
        return _tied_above(float(end), share)
    return codes.note("sensitivity_unattainable")


def _tied_above(highest: float, share: float) -> codes.Text:
    """Note on a specificity that ties at the highest score make unattainable."""
    return codes.note("specificity_unattainable", share=float(share), score=highest)


@named("sensitivity")
def sensitivity_at_specificity(
    y: ArrayLike,
    score: ArrayLike,
    specificity: float,
    *,
    rng: Random,
    replicates: int = 2000,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Highest sensitivity of a threshold whose specificity is at least a target.

    The estimand is the sensitivity at the attainable threshold with the target specificity; there is no interpolation
    between thresholds.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    score : array_like of float, shape (n_cases,)
        Score of each case; higher means more likely present.
    specificity : float
        Target specificity in [0, 1].
    rng : numpy.random.Generator
        Random number generator.
    replicates : int, default 2000
        Number of bootstrap replicates.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case; patients are resampled with all their cases. By default cases are resampled.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.
    strata : array_like, shape (n_cases,), optional
        Sampling stratum of each case; patients are resampled within strata.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        The sensitivity with the percentile interval and standard deviation of the bootstrap replicates. NaN with a note
        if no threshold attains the target (see `unattained`) or a class is empty.

    Raises
    ------
    InputError
        As for `threshold_at`.

    Notes
    -----
    The threshold is chosen anew in every replicate, so that the interval includes its uncertainty. Replicates without
    both classes, or in which ties leave no attainable threshold, are undefined: the note counts them, and above 1 %
    there is no interval, because the other replicates are a selection with few false positives. Patients are assumed to
    be independent. The value is optimistic, because the threshold is chosen on the same cases; for a prespecified
    threshold use `operating_point`. For several raters and findings use `draw_counts` and `rate_replicates` of
    `overread.stats.resampling` with common draws. Checked against pROC 1.18.0, `coords`, a brute-force reference
    implementation, and by simulated coverage.

    References
    ----------
    * Rutter CM (2000). Bootstrap estimation of diagnostic accuracy with patient-clustered data. Academic Radiology
      7:413-419. doi:10.1016/S1076-6332(00)80381-5

    Examples
    --------
    >>> e = sensitivity_at_specificity([0, 0, 1, 1], [1, 3, 2, 4], 0.9, rng=np.random.default_rng(1), replicates=100)
    >>> e.value
    0.5
    """
    where = "sensitivity_at_specificity"
    target = _one_target(specificity, None, where)
    check_confidence(confidence, where=where)
    truth = truth_array(y, where=where)
    scores = score_array(score, truth.shape, where=where)
    sampling_arrays = {"cluster": cluster, "weights": weights, "strata": strata}
    return _resampled((truth, scores), target, "sensitivity", where, rng, replicates, confidence, sampling_arrays)


@named("specificity")
def specificity_at_sensitivity(
    y: ArrayLike,
    score: ArrayLike,
    sensitivity: float,
    *,
    rng: Random,
    replicates: int = 2000,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Highest specificity of a threshold whose sensitivity is at least a target.

    The estimand is the specificity at the attainable threshold with the target sensitivity; there is no interpolation
    between thresholds.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    score : array_like of float, shape (n_cases,)
        Score of each case; higher means more likely present.
    sensitivity : float
        Target sensitivity in [0, 1].
    rng : numpy.random.Generator
        Random number generator.
    replicates : int, default 2000
        Number of bootstrap replicates.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case; patients are resampled with all their cases. By default cases are resampled.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.
    strata : array_like, shape (n_cases,), optional
        Sampling stratum of each case; patients are resampled within strata.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        The specificity with the percentile interval and standard deviation of the bootstrap replicates. NaN with a note
        if no threshold attains the target (see `unattained`) or a class is empty.

    Raises
    ------
    InputError
        As for `threshold_at`.

    Notes
    -----
    Method, assumptions and checks are those of `sensitivity_at_specificity` with the two rates exchanged.

    References
    ----------
    * Rutter CM (2000). Bootstrap estimation of diagnostic accuracy with patient-clustered data. Academic Radiology
      7:413-419. doi:10.1016/S1076-6332(00)80381-5

    Examples
    --------
    >>> e = specificity_at_sensitivity([0, 0, 1, 1], [1, 3, 2, 4], 1.0, rng=np.random.default_rng(1), replicates=100)
    >>> e.value
    0.5
    """
    where = "specificity_at_sensitivity"
    target = _one_target(sensitivity, None, where)
    check_confidence(confidence, where=where)
    truth = truth_array(y, where=where)
    scores = score_array(score, truth.shape, where=where)
    sampling_arrays = {"cluster": cluster, "weights": weights, "strata": strata}
    return _resampled((truth, scores), target, "specificity", where, rng, replicates, confidence, sampling_arrays)


def _resampled(
    cases: tuple[Bools, Floats],
    target: float,
    kind: str,
    where: str,
    rng: Random,
    replicates: int,
    confidence: float,
    given: dict[str, ArrayLike | None],
) -> Estimate:
    """Best rate of one kind at a target value of the other, with a percentile interval; `cases` is (truth, score)."""
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
        replicate_rates = rate_replicates(
            y, scores, drawn, [target], kind=kind, cluster=patient, weights=given["weights"]
        )
        return replicate_rates[:, 0, 0, 0]

    value = float(rates(whole)[0])
    interval = percentile_interval(rates(counts), value=value, confidence=confidence, undefined_because=UNDEFINED)
    resampled = codes.methods(interval.method, codes.method("patients_resampled"))
    return replace(interval, method=codes.methods(attained, resampled, rechosen))


@dataclass(frozen=True, slots=True, eq=False)
class _Ordered:
    """Cases in decreasing order of score; `last` marks the last case of each group of ties."""

    order: Codes
    score: Floats
    truth: Bools
    last: Bools


def _ordered(truth: Bools, score: Floats) -> _Ordered:
    """Sort the cases by decreasing score."""
    order = np.argsort(-score, kind="stable")
    down = score[order]
    return _Ordered(order, down, truth[order], np.append(down[1:] != down[:-1], True)[: down.size])


_OTHER = {"sensitivity": "specificity", "specificity": "sensitivity"}  # the fixed rate by the estimated rate


def _one_target(specificity: float | None, sensitivity: float | None, where: str) -> float:
    """Validated target rate; exactly one of the two must be given."""
    targets = [v for v in (specificity, sensitivity) if v is not None]
    if len(targets) != 1:
        raise InputError(f"{where}: target", "exactly one of specificity and sensitivity", f"{len(targets)}")
    if not 0 <= targets[0] <= 1:
        raise InputError(f"{where}: target", "a rate between 0 and 1", str(targets[0]))
    return float(targets[0])
