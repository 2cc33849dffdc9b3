"""The name of the quantity and the level of the interval, put on the result of a public function in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from overread.stats.estimate import Estimate

P = ParamSpec("P")
R = TypeVar("R")

_WORDS = MappingProxyType(
    {
        "arms": "mean over readers",
        "pairs": "difference",
        "ppv": "PPV",
        "npv": "NPV",
        "f1": "F1 score",
        "lr_positive": "positive likelihood ratio",
        "lr_negative": "negative likelihood ratio",
        "in_the_large": "calibration in the large",
        "scaled": "scaled Brier score",
        "brier": "Brier score",
        "ece": "ECE",
        "ici": "ICI",
        "ratio": "reading time ratio",
        "gap": "largest difference",
    }
)


def named(name: str = "{}") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Name the estimate that a function returns; "{}" stands for the name of the field of a result of several.

    The level is the argument `confidence` of the function, 0.95 where none is given. No number is changed.

    >>> named("share")(lambda *, confidence=0.95: Estimate(0.5, 0.4, 0.6))(confidence=0.9)
    share 0.500 (90% CI 0.400 to 0.600)
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def statistic(*args: P.args, **kwargs: P.kwargs) -> R:
            result: R = labelled(function(*args, **kwargs), name, kwargs.get("confidence", 0.95))
            return result

        return statistic

    return decorate


def labelled(result: Any, name: str, confidence: Any) -> Any:
    """The result with named estimates: itself, or the fields of a frozen result that are estimates or hold them."""
    if isinstance(result, Estimate):
        return replace(result, name=name, confidence=confidence)
    if isinstance(result, tuple):
        return tuple(labelled(each, name, confidence) for each in result)
    if isinstance(result, dict):
        return {key: labelled(each, name, confidence) for key, each in result.items()}
    if not is_dataclass(result) or isinstance(result, type):
        return result
    values = {f.name: getattr(result, f.name) for f in fields(result) if f.init}
    held = {field: value for field, value in values.items() if _holds_estimates(value)}
    words = {field: name.replace("{}", _WORDS.get(field, field.replace("_", " "))) for field in held}
    return replace(result, **{f: labelled(v, words[f] if "{}" in name else name, confidence) for f, v in held.items()})


def _holds_estimates(value: Any) -> bool:
    if isinstance(value, dict):
        return _holds_estimates(tuple(value.values()))
    if isinstance(value, tuple):
        return any(_holds_estimates(each) for each in value)
    if is_dataclass(value) and not isinstance(value, type | Estimate):
        return any(_holds_estimates(getattr(value, f.name)) for f in fields(value))
    return isinstance(value, Estimate)
