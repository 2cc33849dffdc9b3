"""Results of several estimates and arrays as short text, one line for each field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from math import isnan
from typing import Any

import numpy as np

from overread import codes
from overread.stats.estimate import Estimate, decimals


def described(result: Any) -> str:
    """The text of a frozen result: its estimates, numbers and notes; of an array only the shape.

    It is assigned as `__repr__` of the results, so that a prompt or a notebook shows no dump of arrays.

    >>> from overread.stats import mcnemar
    >>> print(str(mcnemar([1, 1, 0], [1, 0, 0], [1, 1, 0])).splitlines()[0])
    PairedRates
    """
    note = str(getattr(result, "note", ""))
    lines = [line for f in fields(result) for line in _lines(f.name.replace("_", " "), getattr(result, f.name), note)]
    return "\n".join([type(result).__name__, *(f"  {line}" for line in lines)])


def without_note(estimate: Estimate, note: str) -> Estimate:
    """The estimate without its note if that is the note of the whole result, which is shown once."""
    known = note and str(estimate.note) == note and not isnan(estimate.value)
    return replace(estimate, note=codes.NONE) if known else estimate


def _lines(name: str, value: Any, note: str) -> Iterator[str]:
    if isinstance(value, Estimate):
        value = without_note(value, note)
        yield str(value) if value.name else f"{name} {value}"
    elif isinstance(value, np.ndarray):
        yield f"{name}: array of shape {value.shape}"
    elif is_dataclass(value):
        return  # it prints its own text
    elif isinstance(value, dict) and any(isinstance(each, Estimate) for each in value.values()):
        for key, each in value.items():
            yield f"{name} {key}: {without_note(each, note)}"
    elif isinstance(value, tuple) and any(isinstance(each, Estimate) for each in value):
        for number, each in enumerate(value):
            yield f"{name} {number}: {without_note(each, note)}"
    elif isinstance(value, tuple | list | dict) and (len(value) > 10 or any(is_dataclass(each) for each in value)):
        yield f"{name}: {len(value):,}"
    elif isinstance(value, tuple) and any(isinstance(each, float) for each in value):
        yield f"{name}: {', '.join(_number(each) for each in value)}"
    elif isinstance(value, float | int) and not isinstance(value, bool):
        yield f"{name}: {_number(value)}"
    elif value is not None and value != "":
        yield f"{name}: {value}"


def _number(value: Any) -> str:
    return (
        f"{value:.{decimals(value)}f}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
