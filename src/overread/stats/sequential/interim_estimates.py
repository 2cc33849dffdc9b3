"""Sequential estimates of sensitivity, specificity, AUC and calibration, valid at all interim analyses.

All functions use the first case of each patient, in random order within an interim analysis or in the order of arrival,
and pass the outcomes to `confidence_sequence`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import (
    Bools,
    Codes,
    Floats,
    call_array,
    check_word,
    group_codes,
    probability_array,
    score_array,
)
from overread.stats.random_numbers import Random, generator
from overread.stats.result_text import described
from overread.stats.sequential.betting import ConfidenceSequence, confidence_sequence

RATES = ("sensitivity", "specificity")


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """Probabilities that the reference standard of each case is established, by a design that does not depend on it.

    Attributes
    ----------
    probability : array_like of float, shape (n_cases,)
        Verification probability of every case, verified or not.
    smallest : float
        Smallest probability that the design allows, known in advance.

    Notes
    -----
    Cases are weighted by the inverse of their verification probability.
    """

    __repr__ = described

    probability: ArrayLike
    smallest: float


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """Cases used, in their order; `weights` is None if every case has a reference standard."""

    case: Codes  # positions in the input
    truth: Bools
    weights: Floats | None
    largest: float | None
    note: codes.Text


def sequential_rate(
    y: ArrayLike,
    call: ArrayLike,
    *,
    patient: ArrayLike,
    rng: Random | None,
    rate: str = "sensitivity",
    look: ArrayLike | None = None,
    verification: Verification | None = None,
    confidence: float = 0.95,
) -> ConfidenceSequence:
    """Confidence sequence for sensitivity or specificity.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard; NaN = not verified, only with `verification`.
    call : array_like of bool, shape (n_cases,)
        Call of each case.
    patient : array_like, shape (n_cases,)
        Patient identifier of each case; only the first case of a patient is used.
    rng : numpy.random.Generator or None
        Generator of the random order of the patients; None uses the given order, which must be that of arrival.
    rate : {"sensitivity", "specificity"}, default "sensitivity"
        Rate of the present or of the absent cases.
    look : array_like, shape (n_cases,), optional
        First interim analysis at which a case was available. Earlier analyses come first; the order is random within an
        analysis. Append the cases of a new analysis at the end and use the same seed: earlier results then stay the
        same.
    verification : Verification, optional
        Verification probabilities, if only some cases have a reference standard.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    ConfidenceSequence
        Sequence over the present (absent) cases; empty with a note without such cases.

    Raises
    ------
    InputError
        If the first case of a patient has no reference standard and `verification` is not given, because reference
        standards that are delayed or obtained on suspicion only are a biased sample, or if an array has another shape.

    Notes
    -----
    The estimand is the rate at the first case of a patient. The rate is assumed not to drift. Checked as
    `confidence_sequence`.

    References
    ----------
    * Waudby-Smith I, Ramdas A (2024). Estimating means of bounded random variables by betting. Journal of the Royal
      Statistical Society Series B 86:1-27. doi:10.1093/jrsssb/qkad009

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> y, call = np.ones(400), rng.random(400) < 0.9
    >>> sequence = sequential_rate(y, call, patient=np.arange(400), rng=rng)
    >>> sequence.excluded_at(0.75)
    66
    """
    where = "sequential_rate"
    check_word(rate, RATES, where=where, name="rate")
    sample = _sample(y, patient, look, verification, rng, where=where)
    calls = call_array(call, np.size(y), where=where)
    is_present = rate == "sensitivity"
    in_class = sample.truth == is_present
    correct = (calls[sample.case] == is_present)[in_class].astype(np.float64)
    weights = None if sample.weights is None else sample.weights[in_class]
    sequence = confidence_sequence(correct, weights=weights, largest_weight=sample.largest, confidence=confidence)
    nothing = codes.note("no_cases_of_class", outcome="present" if is_present else "absent")
    return _with_notes(sequence, sample.case[in_class], sample, nothing)


def sequential_auc(
    y: ArrayLike,
    score: ArrayLike,
    *,
    patient: ArrayLike,
    rng: Random | None,
    look: ArrayLike | None = None,
    verification: Verification | None = None,
    confidence: float = 0.95,
) -> ConfidenceSequence:
    """Confidence sequence for the AUC, from disjoint pairs of a present and an absent case.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard; NaN = not verified, only with `verification`.
    score : array_like of float, shape (n_cases,)
        Score of each case; higher means more likely present.
    patient : array_like, shape (n_cases,)
        Patient identifier of each case; only the first case of a patient is used.
    rng : numpy.random.Generator or None
        Generator of the random order of the patients; None uses the given order, which must be that of arrival.
    look : array_like, shape (n_cases,), optional
        First interim analysis at which a case was available. Earlier analyses come first; the order is random within an
        analysis.
    verification : Verification, optional
        Verification probabilities, if only some cases have a reference standard.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    ConfidenceSequence
        Sequence over pairs; `index` is the later case of each pair. Cases without a partner are counted in the note.

    Raises
    ------
    InputError
        As for `sequential_rate`, and if a score is NaN or infinite.

    Notes
    -----
    The i-th present case is paired with the i-th absent case, so that pairs are independent. The number of pairs is
    that of the rarer class, which makes intervals wider than those of `auc`. Checked as `confidence_sequence`.

    References
    ----------
    * Waudby-Smith I, Ramdas A (2024). Estimating means of bounded random variables by betting. Journal of the Royal
      Statistical Society Series B 86:1-27. doi:10.1093/jrsssb/qkad009

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> y = rng.random(1000) < 0.3
    >>> sequence = sequential_auc(y, rng.normal(size=1000) + 1.5 * y, patient=np.arange(1000), rng=rng)
    >>> round(sequence.last.value, 3), round(sequence.last.low, 3), round(sequence.last.high, 3)
    (0.838, 0.797, 0.907)
    """
    where = "sequential_auc"
    sample = _sample(y, patient, look, verification, rng, where=where)
    value = score_array(score, np.shape(y), where=where)[sample.case]
    present, absent = np.flatnonzero(sample.truth), np.flatnonzero(~sample.truth)
    n = min(present.size, absent.size)
    n_unpaired = sample.truth.size - 2 * n
    present, absent = present[:n], absent[:n]
    wins = (1 + np.sign(value[present] - value[absent])) / 2
    weights = None if sample.weights is None else sample.weights[present] * sample.weights[absent]
    largest = None if sample.largest is None else sample.largest**2
    sequence = confidence_sequence(wins, weights=weights, largest_weight=largest, confidence=confidence)
    note = codes.notes(sample.note, codes.note("unpaired_cases", n=n_unpaired) if n_unpaired else None)
    later = sample.case[np.maximum(present, absent)]
    return _with_notes(sequence, later, replace(sample, note=note), codes.note("no_pairs"))


def sequential_calibration(
    y: ArrayLike,
    probability: ArrayLike,
    *,
    patient: ArrayLike,
    rng: Random | None,
    look: ArrayLike | None = None,
    verification: Verification | None = None,
    confidence: float = 0.95,
) -> ConfidenceSequence:
    """Confidence sequence for calibration in the large: the mean of y - probability.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard; NaN = not verified, only with `verification`.
    probability : array_like of float, shape (n_cases,)
        Predicted probability of each case, in [0, 1].
    patient : array_like, shape (n_cases,)
        Patient identifier of each case; only the first case of a patient is used.
    rng : numpy.random.Generator or None
        Generator of the random order of the patients; None uses the given order, which must be that of arrival.
    look : array_like, shape (n_cases,), optional
        First interim analysis at which a case was available. Earlier analyses come first; the order is random within an
        analysis.
    verification : Verification, optional
        Verification probabilities, if only some cases have a reference standard.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    ConfidenceSequence
        Sequence over the cases, null value 0; above 0, the finding is more frequent than predicted.

    Raises
    ------
    InputError
        As for `sequential_rate`, and if a probability is outside [0, 1].

    Notes
    -----
    Assumptions and checks are those of `confidence_sequence`.

    References
    ----------
    * Waudby-Smith I, Ramdas A (2024). Estimating means of bounded random variables by betting. Journal of the Royal
      Statistical Society Series B 86:1-27. doi:10.1093/jrsssb/qkad009

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> probability = rng.random(500)
    >>> y = rng.random(500) < probability**2
    >>> sequence = sequential_calibration(y, probability, patient=np.arange(500), rng=rng)
    >>> sequence.last.high < 0, sequence.excluded_at(0.0)
    (True, 57)
    """
    where = "sequential_calibration"
    sample = _sample(y, patient, look, verification, rng, where=where)
    predicted = probability_array(probability, np.size(y), where=where)[sample.case]
    sequence = confidence_sequence(
        sample.truth - predicted,
        lower=-1.0,
        upper=1.0,
        weights=sample.weights,
        largest_weight=sample.largest,
        confidence=confidence,
    )
    return _with_notes(sequence, sample.case, sample, codes.note("no_cases"))


def _sample(
    y: ArrayLike,
    patient: ArrayLike,
    look: ArrayLike | None,
    verification: Verification | None,
    rng: Random | None,
    *,
    where: str,
) -> _Sample:
    """First case of each patient in order, those with a reference standard, and their weights."""
    truth = _truth_or_nan(y, where=where)
    patients, n_patients = group_codes(patient, truth.size, where=where, name="patient")
    looks = (
        np.zeros(truth.size, np.intp) if look is None else group_codes(look, truth.size, where=where, name="look")[0]
    )
    arrival = np.lexsort((np.arange(truth.size), looks))
    first = np.sort(np.unique(patients[arrival], return_index=True)[1])
    case = arrival[first]
    if rng is not None:
        # One key per input case, so that cases added at the end do not change earlier keys.
        keys = generator(rng, where=where).random(truth.size)[case]
        case = case[np.lexsort((keys, looks[case]))]
    later = truth.size - n_patients
    notes = [codes.note("later_cases", n=later)] if later else []
    unknown = np.isnan(truth[case])
    if verification is None:
        _refuse_unknown(case[unknown], case.size, where=where)
        return _Sample(case, truth[case] == 1, None, None, codes.notes(*notes))
    probability = _probability(verification, truth.size, where=where)[case]
    if unknown.any():
        notes.append(codes.note("unverified_cases", n=int(unknown.sum()), total=case.size))
    verified = case[~unknown]
    return _Sample(
        verified, truth[verified] == 1, 1 / probability[~unknown], 1 / verification.smallest, codes.notes(*notes)
    )


def _truth_or_nan(y: ArrayLike, *, where: str) -> Floats:
    """Validated truth (n_cases,): 1, 0 or NaN."""
    values = np.asarray(y)
    is_stated = np.array([v is not None and v == v for v in values.reshape(-1).tolist()], dtype=bool).reshape(
        values.shape
    )
    truth = np.full(values.shape, np.nan)
    truth[is_stated] = call_array(values[is_stated], None, where=where, name="truth")
    if truth.ndim != 1:
        raise InputError(f"{where}: truth", "one value per case", f"an array of shape {truth.shape}")
    return truth


def _refuse_unknown(unknown: Codes, n: int, *, where: str) -> None:
    """Raise if the first case of a patient has no reference standard."""
    if unknown.size:
        raise InputError(
            f"{where}: truth",
            "a truth for the first case of every patient",
            f"{unknown.size} of {n} without one",
            examples=[f"case {i}" for i in unknown[:6].tolist()],
            do="Reference standards that are delayed, or obtained on suspicion only, are a biased sample: wait until "
            "all cases of the interim analysis have one, or pass verification=Verification(probability, smallest).",
        )


def _probability(verification: Verification, n: int, *, where: str) -> Floats:
    """Validated verification probabilities."""
    least = verification.smallest
    if not 0 < least <= 1:
        raise InputError(f"{where}: verification", "a smallest probability above 0 and at most 1", f"{least}")
    probability = score_array(verification.probability, (n,), where=where, name="verification")
    wrong = np.flatnonzero((probability < least) | (probability > 1))
    if wrong.size:
        shown = [f"case {i}: {probability[i]}" for i in wrong[:6]]
        expected = f"probabilities between the smallest ({least:g}) and 1"
        raise InputError(f"{where}: verification", expected, f"{wrong.size} outside", examples=shown)
    return probability


def _with_notes(sequence: ConfidenceSequence, case: Codes, sample: _Sample, nothing: codes.Text) -> ConfidenceSequence:
    """The sequence with its cases and what is to be known of the sample."""
    own = sequence.note if sequence.value.size else nothing
    return replace(sequence, index=case, note=codes.notes(own, sample.note))
