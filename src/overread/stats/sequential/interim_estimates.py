"""A test that is looked at again and again: sensitivity, specificity, AUC and calibration with intervals for all looks.

All take one case per patient (the first), in random order within a look or in the order of arrival, and hand their
outcomes to `confidence_sequence`.
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
from overread.stats.sequential.betting import ConfidenceSequence, confidence_sequence

__all__ = [
    "ConfidenceSequence",
    "Verification",
    "confidence_sequence",
    "sequential_auc",
    "sequential_calibration",
    "sequential_rate",
]

RATES = ("sensitivity", "specificity")


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """How likely each case was to have its truth established, by a design that does not look at the truth.

    probability (n_cases,), of all cases, verified or not; smallest, the least that the design allows, known beforehand.
    """

    probability: ArrayLike
    smallest: float


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """The cases that enter, in their order; weights None = each has its truth."""

    case: Codes  # positions in what the caller gave
    truth: Bools
    weights: Floats | None
    largest: float | None
    note: codes.Text


def sequential_rate(
    y: ArrayLike,
    call: ArrayLike,
    *,
    patient: ArrayLike,
    rng: np.random.Generator | None,
    rate: str = "sensitivity",
    look: ArrayLike | None = None,
    verification: Verification | None = None,
    confidence: float = 0.95,
) -> ConfidenceSequence:
    """Sensitivity or specificity after each case, with an interval that holds at all of them at once.

    Parameters
    ----------
    y : bool (n_cases,), the truth; NaN = not verified, only together with `verification`.
    call : bool (n_cases,). patient : (n_cases,), labels; only the first case of a patient enters.
    rng : draws the order of the patients; None = the order given, which is that of arrival.
    rate : "sensitivity" (of the present cases) or "specificity" (of the absent ones).
    look : (n_cases,), the first look at which a case was there; earlier looks come first, the order is random within a
        look. Give the cases of a new look at the end, with its number, and start rng from the same seed: then what was
        seen at earlier looks stays as it was.
    verification : where only some truths were established: with which probability.

    Returns
    -------
    ConfidenceSequence over the present (absent) cases; `.index` is each one's position in y. None: empty, with a note.

    Raises
    ------
    InputError where a first case has no truth and no verification is given: truths that come late, or on suspicion
    only, are no sample of the cases.

    Notes
    -----
    The rate is that of patients at their first case. Assumes patients without drift in the rate. Waudby-Smith & Ramdas
    (2024) doi:10.1093/jrsssb/qkad009. Checked as `confidence_sequence`.

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
    wanted = rate == "sensitivity"
    kept = sample.truth == wanted
    right = (calls[sample.case] == wanted)[kept].astype(np.float64)
    weights = None if sample.weights is None else sample.weights[kept]
    sequence = confidence_sequence(right, weights=weights, largest_weight=sample.largest, confidence=confidence)
    nothing = codes.note("no_cases_of_class", outcome="present" if wanted else "absent")
    return _said(sequence, sample.case[kept], sample, nothing)


def sequential_auc(
    y: ArrayLike,
    score: ArrayLike,
    *,
    patient: ArrayLike,
    rng: np.random.Generator | None,
    look: ArrayLike | None = None,
    verification: Verification | None = None,
    confidence: float = 0.95,
) -> ConfidenceSequence:
    """The AUC after each pair of a present and an absent case, with an interval that holds at all of them at once.

    Parameters: score float (n_cases,), higher = more likely present; the others as in `sequential_rate`. The first
    present case is paired with the first absent one, the second with the second, and so on: no case is in two pairs, so
    that pairs are independent. Returns a ConfidenceSequence over pairs; `.index` is the later case of each. Cases that
    found no partner yet are counted in the note. Raises InputError as `sequential_rate` and on NaN scores.

    The price of disjoint pairs is precision: there are no more of them than cases of the rarer class. Waudby-Smith &
    Ramdas (2024) doi:10.1093/jrsssb/qkad009. Checked as `confidence_sequence`.

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
    alone = sample.truth.size - 2 * n
    present, absent = present[:n], absent[:n]
    above = (1 + np.sign(value[present] - value[absent])) / 2
    weights = None if sample.weights is None else sample.weights[present] * sample.weights[absent]
    largest = None if sample.largest is None else sample.largest**2
    sequence = confidence_sequence(above, weights=weights, largest_weight=largest, confidence=confidence)
    note = codes.notes(sample.note, codes.note("unpaired_cases", n=alone) if alone else None)
    later = sample.case[np.maximum(present, absent)]
    return _said(sequence, later, replace(sample, note=note), codes.note("no_pairs"))


def sequential_calibration(
    y: ArrayLike,
    probability: ArrayLike,
    *,
    patient: ArrayLike,
    rng: np.random.Generator | None,
    look: ArrayLike | None = None,
    verification: Verification | None = None,
    confidence: float = 0.95,
) -> ConfidenceSequence:
    """Calibration in the large, the mean of y - probability, after each case, with an interval for all of them at once.

    Parameters: probability float (n_cases,) in [0, 1]; the others as in `sequential_rate`. Returns a
    ConfidenceSequence; null 0; above 0 the finding is more frequent than predicted. Raises InputError as
    `sequential_rate` and on probabilities outside [0, 1]. Waudby-Smith & Ramdas (2024) doi:10.1093/jrsssb/qkad009.
    Checked as `confidence_sequence`.

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
    return _said(sequence, sample.case, sample, codes.note("no_cases"))


def _sample(
    y: ArrayLike,
    patient: ArrayLike,
    look: ArrayLike | None,
    verification: Verification | None,
    rng: np.random.Generator | None,
    *,
    where: str,
) -> _Sample:
    """The first case of each patient in order, those with a truth, and what they weigh."""
    truth = _truth_or_nan(y, where=where)
    patients, n_patients = group_codes(patient, truth.size, where=where, name="patient")
    looks = (
        np.zeros(truth.size, np.intp) if look is None else group_codes(look, truth.size, where=where, name="look")[0]
    )
    arrival = np.lexsort((np.arange(truth.size), looks))
    first = np.sort(np.unique(patients[arrival], return_index=True)[1])
    case = arrival[first]
    if rng is not None:
        keys = rng.random(truth.size)[case]  # one per case given: cases added at the end change no earlier key
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
    known = case[~unknown]
    return _Sample(known, truth[known] == 1, 1 / probability[~unknown], 1 / verification.smallest, codes.notes(*notes))


def _truth_or_nan(y: ArrayLike, *, where: str) -> Floats:
    """1, 0 or NaN (n_cases,); anything else is refused."""
    given = np.asarray(y)
    stated = np.array([v is not None and v == v for v in given.reshape(-1).tolist()], dtype=bool).reshape(given.shape)
    truth = np.full(given.shape, np.nan)
    truth[stated] = call_array(given[stated], None, where=where, name="truth")
    if truth.ndim != 1:
        raise InputError(f"{where}: truth", "one value per case", f"an array of shape {truth.shape}")
    return truth


def _refuse_unknown(unknown: Codes, n: int, *, where: str) -> None:
    if unknown.size:
        raise InputError(
            f"{where}: truth",
            "a truth for the first case of every patient",
            f"{unknown.size} of {n} without one",
            examples=[f"case {i}" for i in unknown[:6].tolist()],
            do="Truths that come late, or on suspicion only, are no sample of the cases: wait until all of a look are "
            "there, or give verification=Verification(probability, smallest).",
        )


def _probability(verification: Verification, n: int, *, where: str) -> Floats:
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


def _said(sequence: ConfidenceSequence, case: Codes, sample: _Sample, nothing: codes.Text) -> ConfidenceSequence:
    """The sequence with its cases and what is to be known of the sample."""
    own = sequence.note if sequence.value.size else nothing
    return replace(sequence, index=case, note=codes.notes(own, sample.note))
