"""Validation of array arguments: conversion to float64, bool and integer codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overread.errors import InputError, did_you_mean

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
MOST_UNEQUAL = 1_000_000  # larger ratios of weights are an input error, and sums would lose the small ones


def truth_array(y: ArrayLike, *, where: str) -> Bools:
    """Reference standard as bool (n_cases,); values other than true/false or 1/0 are refused.

    Examples
    --------
    >>> truth_array([1, 0, 1], where="auc").tolist()
    [True, False, True]
    """
    do = "Exclude or assign the cases without a reference standard first."
    return _yes_or_no(y, None, where=f"{where}: truth", do=do)


def call_array(call: ArrayLike, n_cases: int | None, *, where: str, name: str = "call") -> Bools:
    """Calls as bool (n_cases,); values other than yes/no or 1/0 are refused and their positions given.

    Examples
    --------
    >>> call_array([1, 0, 1], 3, where="operating_point").tolist()
    [True, False, True]
    """
    do = "Exclude the cases without an answer and report their number."
    return _yes_or_no(call, n_cases, where=f"{where}: {name}", do=do)


def _yes_or_no(answers: ArrayLike, n_cases: int | None, *, where: str, do: str) -> Bools:
    """Binary answers as bool."""
    values = np.asarray(answers)
    if values.ndim != 1 or (n_cases is not None and values.size != n_cases):
        expected = "one value per case" if n_cases is None else f"one value for each of {n_cases} cases"
        raise InputError(where, expected, f"an array of shape {values.shape}")
    if values.dtype == np.bool_:
        return values
    try:
        value = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        found, examples = _no_numbers(values)
        raise InputError(where, "true/false or 1/0", found, examples=examples, do=do) from error
    wrong = np.flatnonzero((value != 0) & (value != 1))
    if wrong.size:
        shown = [f"case {i}: {values[i]}" for i in wrong[:6]]
        raise InputError(where, "true/false or 1/0", f"{wrong.size} other values", examples=shown, do=do)
    yes: Bools = value == 1
    return yes


def _no_numbers(given: ArrayLike) -> tuple[str, list[str]]:
    """What was found in place of numbers: how many values are none, with examples by case."""
    try:
        values = np.asarray(given, dtype=object)
    except ValueError as error:
        return str(error), []
    examples = []
    for place in np.ndindex(values.shape):
        try:
            float(values[place])
        except (TypeError, ValueError):
            examples.append(f"case {place[-1] if place else 0}: {values[place]!r}")
    return f"{len(examples):,} values that are not", examples


def score_array(score: ArrayLike, shape: tuple[int, ...], *, where: str, name: str = "score") -> Floats:
    """Scores as float64 of the given shape; NaN and infinite values are refused and counted.

    Examples
    --------
    >>> score_array([1, 2], (2,), where="auc").tolist()
    [1.0, 2.0]
    """
    try:
        value = np.asarray(score, dtype=np.float64)
    except (TypeError, ValueError) as error:
        found, examples = _no_numbers(score)
        raise InputError(f"{where}: {name}", "numbers", found, examples=examples) from error
    if value.shape != shape:
        raise InputError(f"{where}: {name}", f"an array of shape {shape}", f"an array of shape {value.shape}")
    # A finite sum implies finite terms; this check is one pass without a temporary array.
    with np.errstate(invalid="ignore", over="ignore"):
        clean = bool(np.isfinite(value.sum()))
    if not clean and not (finite := np.isfinite(value)).all():
        wrong = np.argwhere(~finite)
        raise InputError(
            f"{where}: {name}",
            "finite numbers",
            f"{len(wrong)} NaN or infinite of {value.size}",
            examples=[f"case {i[-1]}: {value[tuple(i)]}" for i in wrong[:6]],
            do="Provide a score for every case, or exclude the case and report the number.",
        )
    return value


def probability_array(probability: ArrayLike, n_cases: int, *, where: str) -> Floats:
    """Probabilities as float64 (n_cases,), each in [0, 1].

    Examples
    --------
    >>> probability_array([0, 0.5], 2, where="brier").tolist()
    [0.0, 0.5]
    """
    value = score_array(probability, (n_cases,), where=where, name="probability")
    wrong = np.flatnonzero((value < 0) | (value > 1))
    if wrong.size:
        raise InputError(
            f"{where}: probability",
            "probabilities between 0 and 1",
            f"{wrong.size} outside this range",
            examples=[f"case {i}: {value[i]}" for i in wrong[:6]],
            do="Recalibrate a score that is not a probability on other cases first.",
        )
    return value


def group_codes(labels: ArrayLike, n_cases: int, *, where: str, name: str = "cluster") -> tuple[Codes, int]:
    """Codes 0 to k-1 in the order of np.unique(labels), and k; a missing label is refused.

    Examples
    --------
    >>> group_codes(["b", "a", "b"], 3, where="auc")
    (array([1, 0, 1]), 2)
    """
    label_array = np.asarray(labels)
    if label_array.shape != (n_cases,):
        raise InputError(f"{where}: {name}", f"one label for each of {n_cases} cases", f"shape {label_array.shape}")
    missing = _missing(label_array)
    if missing:
        raise InputError(f"{where}: {name}", "a label for every case", f"{missing} cases without one")
    if label_array.dtype.kind in "OUST":
        return _text_codes(label_array)
    if label_array.dtype.kind in "iub" and n_cases:
        low, high = int(label_array.min()), int(label_array.max())
        if high - low <= 4 * n_cases + 1024:  # counting is ten times as fast as sorting
            shifted = label_array.astype(np.intp) - low
            code_of_value = np.cumsum(np.bincount(shifted, minlength=high - low + 1) > 0) - 1
            return code_of_value[shifted], int(code_of_value[-1]) + 1
    unique, codes = np.unique(label_array, return_inverse=True)
    return codes.astype(np.intp).reshape(-1), unique.size


def weight_array(weights: ArrayLike, n_cases: int, *, where: str) -> Floats:
    """Inverse inclusion probabilities as float64 (n_cases,): finite, above 0 and within a factor of a million."""
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
            do="Check the weights in the table of images.",
        )
    return value


def check_confidence(confidence: float, *, where: str) -> None:
    """Raise if a confidence level is not in (0, 1), such as 95 for 0.95."""
    if not 0 < confidence < 1:
        raise InputError(f"{where}: confidence", "a number between 0 and 1", f"{confidence}", do="Write 0.95 for 95 %.")


def check_word(word: str, known: tuple[str, ...], *, where: str, name: str) -> None:
    """Raise if a string is not one of the known options, such as method="wlison"."""
    if word not in known:
        raise InputError(f"{where}: {name}", "one of " + ", ".join(known), repr(word), do=did_you_mean(word, known))


def _missing(labels: NDArray[Any]) -> int:
    """Number of missing labels."""
    if labels.dtype.kind == "f":
        return int(np.isnan(labels).sum())
    if labels.dtype.kind == "O":
        return sum(1 for v in labels if v is None or v != v)
    return 0


def _text_codes(labels: NDArray[Any]) -> tuple[Codes, int]:
    """Codes of text labels; a dictionary is faster than sorting a million strings."""
    label_list = labels.tolist()
    code_of_label = {label: i for i, label in enumerate(sorted(set(label_list)))}
    return np.fromiter((code_of_label[label] for label in label_list), dtype=np.intp, count=len(label_list)), len(
        code_of_label
    )
