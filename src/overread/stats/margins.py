"""Interval and test of a difference: equality, non-inferiority or equivalence."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan

from overread import codes
from overread.errors import InputError, did_you_mean
from overread.stats.estimate import Estimate
from overread.stats.quantiles import critical, upper

TESTS = ("difference", "non-inferiority", "equivalence")


def check_test(margin: float | None, test: str | None, *, where: str) -> str:
    """Kind of test for a margin and an option: "difference" without margin, by default "non-inferiority" with one.

    Examples
    --------
    >>> check_test(0.05, None, where="compare_aucs")
    'non-inferiority'
    """
    kind = test or ("difference" if margin is None else "non-inferiority")
    if kind not in TESTS:
        raise InputError(f"{where}: test", " or ".join(TESTS), kind, do=did_you_mean(kind, TESTS))
    if kind == "difference" and margin is not None:
        raise InputError(
            f"{where}: margin",
            "no margin for a test of a difference",
            f"margin {margin}",
            do="Remove the margin or change the test.",
        )
    if kind != "difference" and (margin is None or not margin > 0):
        raise InputError(f"{where}: margin", f"a margin above 0 for {kind}, in units of the metric", f"{margin}")
    return kind


def with_test(raw: Estimate, df: float, *, margin: float | None, kind: str, confidence: float) -> Estimate:
    """Add interval and p value to a difference; with a variance of 0 only equality is testable.

    Examples
    --------
    >>> raw = Estimate(0.02, se=0.02)
    >>> round(with_test(raw, float("inf"), margin=0.05, kind="non-inferiority", confidence=0.95).p, 6)
    0.000233
    """
    difference, se, method = raw.value, raw.se, raw.method
    if margin is not None and kind == "equivalence":
        method = codes.methods(method, codes.method("equivalence", margin=margin))
    elif margin is not None:
        method = codes.methods(method, codes.method("non_inferiority", margin=margin))
    if isnan(se):
        return replace(raw, method=method)
    if se == 0:
        p = 1.0 if difference == 0 and kind == "difference" else nan
        untested = None if p == 1.0 else codes.note("no_test")
        note = codes.notes(raw.note, codes.note("zero_variance"), untested)
        return replace(raw, low=difference, high=difference, p=p, method=method, note=note)
    half = critical(confidence, df) * se
    if margin is None:
        p = 2 * upper(abs(difference) / se, df)
    else:
        p = upper((difference + margin) / se, df)
        if kind == "equivalence":
            p = max(p, upper((margin - difference) / se, df))
    return replace(raw, low=difference - half, high=difference + half, p=p, method=method)
