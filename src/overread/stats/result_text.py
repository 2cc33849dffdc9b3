"""Results of several estimates and arrays as short text, one line for each field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from overread.stats.estimate import Estimate, decimals


def described(result: Any) -> str:
    """The text of a frozen result: its estimates, numbers and notes; of an array only the shape.

    It is assigned as `__repr__` of the results, so that a prompt or a notebook shows no dump of arrays.

    >>> from overread.stats import mcnemar
    >>> print(str(mcnemar([1, 1, 0], [1, 0, 0], [1, 1, 0])).splitlines()[0])
    PairedRates
    """
    lines = [line for f in fields(result) for line in _lines(f.name.replace("_", " "), getattr(result, f.name))]
    return "\n".join([type(result).__name__, *(f"  {line}" for line in lines)])


def _lines(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Estimate):
        yield str(value) if value.name else f"{name} {value}"
    elif isinstance(value, np.ndarray):
        yield f"{name}: array of shape {value.shape}"
    elif is_dataclass(value):
        yield f"{name}: {type(value).__name__}"
    elif isinstance(value, dict) and any(isinstance(each, Estimate) for each in value.values()):
        for key, each in value.items():
            yield f"{name} {key}: {each}"
    elif isinstance(value, tuple) and any(isinstance(each, Estimate) for each in value):
        for number, each in enumerate(value):
            yield f"{name} {number}: {each}"
    elif isinstance(value, tuple | list | dict) and (len(value) > 10 or any(is_dataclass(each) for each in value)):
        yield f"{name}: {len(value):,}"
    elif isinstance(value, float):
        yield f"{name}: {value:.{decimals(value)}f}"
    elif value is not None and value != "":
        yield f"{name}: {value}"
