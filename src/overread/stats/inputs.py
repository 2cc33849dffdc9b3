"""What statistics of calls and probabilities take beyond `arrays`: calls, probabilities, a word from a short list."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from overread.errors import InputError, did_you_mean
from overread.stats.arrays import Bools, Floats, score_array


def call_array(call: ArrayLike, n_cases: int | None, *, where: str, name: str = "call") -> Bools:
    """Calls as bool (n_cases,); anything but yes/no or 1/0 is refused, by position.

    >>> call_array([1, 0, 1], 3, where="operating_point").tolist()
    [True, False, True]
    """
    given = np.asarray(call)
    if given.ndim != 1 or (n_cases is not None and given.size != n_cases):
        expected = "one value per case" if n_cases is None else f"one value for each of {n_cases} cases"
        raise InputError(f"{where}: {name}", expected, f"an array of shape {given.shape}")
    if given.dtype == np.bool_:
        return given
    try:
        value = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {name}", "true/false or 1/0", f"values of type {given.dtype}") from error
    wrong = np.flatnonzero((value != 0) & (value != 1))
    if wrong.size:
        raise InputError(
            f"{where}: {name}",
            "true/false or 1/0",
            f"{wrong.size} other values",
            examples=[f"case {i}: {given[i]}" for i in wrong[:6]],
            do="Leave out the cases that have no answer, and count them.",
        )
    return value == 1


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


def check_word(word: str, known: tuple[str, ...], *, where: str, name: str) -> None:
    """Refuse a word that is not in the list, such as method="wlison"."""
    if word not in known:
        raise InputError(f"{where}: {name}", "one of " + ", ".join(known), repr(word), do=did_you_mean(word, known))
