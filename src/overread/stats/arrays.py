"""What statistics take: the arrays of a caller, checked once and in one place, as float64, bool and codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overread.errors import InputError, did_you_mean

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
MOST_UNEQUAL = 1_000_000  # weights further apart are a slip, and no sum of them keeps the small ones


def truth_array(y: ArrayLike, *, where: str) -> Bools:
    """The truth as bool (n_cases,); anything but true/false or 1/0 is refused, never coerced.

    >>> truth_array([1, 0, 1], where="auc").tolist()
    [True, False, True]
    """
    do = "Decide what a case without a stated truth means before the statistic."
    return _yes_or_no(y, None, where=f"{where}: truth", do=do)


def call_array(call: ArrayLike, n_cases: int | None, *, where: str, name: str = "call") -> Bools:
    """Calls as bool (n_cases,); anything but yes/no or 1/0 is refused, by position.

    >>> call_array([1, 0, 1], 3, where="operating_point").tolist()
    [True, False, True]
    """
    do = "Leave out the cases that have no answer, and count them."
    return _yes_or_no(call, n_cases, where=f"{where}: {name}", do=do)


def _yes_or_no(answers: ArrayLike, n_cases: int | None, *, where: str, do: str) -> Bools:
    given = np.asarray(answers)
    if given.ndim != 1 or (n_cases is not None and given.size != n_cases):
        expected = "one value per case" if n_cases is None else f"one value for each of {n_cases} cases"
        raise InputError(where, expected, f"an array of shape {given.shape}")
    if given.dtype == np.bool_:
        return given
    try:
        value = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(where, "true/false or 1/0", f"values of type {given.dtype}") from error
    wrong = np.flatnonzero((value != 0) & (value != 1))
    if wrong.size:
        shown = [f"case {i}: {given[i]}" for i in wrong[:6]]
        raise InputError(where, "true/false or 1/0", f"{wrong.size} other values", examples=shown, do=do)
    return value == 1


def score_array(score: ArrayLike, shape: tuple[int, ...], *, where: str, name: str = "score") -> Floats:
    """The scores as float64 of the shape asked for; NaN and infinity are counted and refused.

    >>> score_array([1, 2], (2,), where="auc").tolist()
    [1.0, 2.0]
    """
    try:
        value = np.asarray(score, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {name}", "numbers", str(error)) from error
    if value.shape != shape:
        raise InputError(f"{where}: {name}", f"an array of shape {shape}", f"an array of shape {value.shape}")
    # A sum is finite only where every term is, and is one pass without a temporary array.
    with np.errstate(invalid="ignore", over="ignore"):
        clean = bool(np.isfinite(value.sum()))
    if not clean and not (finite := np.isfinite(value)).all():
        wrong = np.argwhere(~finite)
        raise InputError(
            f"{where}: {name}",
            "finite numbers",
            f"{len(wrong)} NaN or infinite of {value.size}",
            examples=[f"case {i[-1]}: {value[tuple(i)]}" for i in wrong[:6]],
            do="Score every case, or leave the case out and count it.",
        )
    return value


def probability_array(probability: ArrayLike, n_cases: int, *, where: str) -> Floats:
    """Probabilities as float64 (n_cases,), each within [0, 1].

    >>> probability_array([0, 0.5], 2, where="brier").tolist()
    [0.0, 0.5]
    """
    value = score_array(probability, (n_cases,), where=where, name="probability")
    wrong = np.flatnonzero((value < 0) | (value > 1))
    if wrong.size:
        raise InputError(
            f"{where}: probability",
            "probabilities between 0 and 1",
            f"{wrong.size} outside",
            examples=[f"case {i}: {value[i]}" for i in wrong[:6]],
            do="A score that only ranks has no calibration: recalibrate it on other cases first.",
        )
    return value


def group_codes(labels: ArrayLike, n_cases: int, *, where: str, name: str = "cluster") -> tuple[Codes, int]:
    """Codes 0 … k-1 in the order of np.unique(labels), and k; a case without a label is refused.

    >>> group_codes(["b", "a", "b"], 3, where="auc")
    (array([1, 0, 1]), 2)
    """
    given = np.asarray(labels)
    if given.shape != (n_cases,):
        raise InputError(f"{where}: {name}", f"one label for each of {n_cases} cases", f"shape {given.shape}")
    missing = _missing(given)
    if missing:
        raise InputError(f"{where}: {name}", "a label for every case", f"{missing} cases without one")
    if given.dtype.kind in "OUST":
        return _text_codes(given)
    if given.dtype.kind in "iub" and n_cases:
        low, high = int(given.min()), int(given.max())
        if high - low <= 4 * n_cases + 1024:  # counting is ten times faster than sorting
            shifted = given.astype(np.intp) - low
            place = np.cumsum(np.bincount(shifted, minlength=high - low + 1) > 0) - 1
            return place[shifted], int(place[-1]) + 1
    unique, codes = np.unique(given, return_inverse=True)
    return codes.astype(np.intp).reshape(-1), unique.size


def weight_array(weights: ArrayLike, n_cases: int, *, where: str) -> Floats:
    """Inverse inclusion probabilities as float64 (n_cases,), each finite and above 0, within a factor of a million."""
    value = score_array(weights, (n_cases,), where=where, name="weights")
    if n_cases and value.min() <= 0:
        wrong = np.flatnonzero(value <= 0)
        raise InputError(
            f"{where}: weights",
            "inverse inclusion probabilities above 0",
            f"{wrong.size} that are 0 or negative",
            examples=[f"case {i}: {value[i]}" for i in wrong[:6]],
        )
    if n_cases and value.max() > MOST_UNEQUAL * value.min():
        found = f"weights from {value.min():g} to {value.max():g}"
        raise InputError(
            f"{where}: weights",
            f"weights within a factor of {MOST_UNEQUAL:,}",
            found,
            do="No case stands for so many others: look for a slip in the table of images.",
        )
    return value


def check_confidence(confidence: float, *, where: str) -> None:
    """Refuse a confidence outside (0, 1), such as 95 for 0.95."""
    if not 0 < confidence < 1:
        raise InputError(f"{where}: confidence", "a number between 0 and 1", f"{confidence}", do="Write 0.95 for 95 %.")


def check_word(word: str, known: tuple[str, ...], *, where: str, name: str) -> None:
    """Refuse a word that is not in the list, such as method="wlison"."""
    if word not in known:
        raise InputError(f"{where}: {name}", "one of " + ", ".join(known), repr(word), do=did_you_mean(word, known))


def _missing(given: NDArray[Any]) -> int:
    if given.dtype.kind == "f":
        return int(np.isnan(given).sum())
    if given.dtype.kind == "O":
        return sum(1 for v in given if v is None or v != v)
    return 0


def _text_codes(given: NDArray[Any]) -> tuple[Codes, int]:
    """A dictionary beats sorting a million strings; only the distinct ones are sorted."""
    listed = given.tolist()
    first = {label: i for i, label in enumerate(sorted(set(listed)))}
    return np.fromiter((first[label] for label in listed), dtype=np.intp, count=len(listed)), len(first)
