"""Confidence interval and test of a single AUC on its own or on the logit scale."""

from __future__ import annotations

from dataclasses import replace
from math import inf, isnan

from scipy.special import expit, logit

from overread.errors import InputError, did_you_mean
from overread.stats.estimate import Estimate
from overread.stats.quantiles import critical, upper

INTERVALS = ("wald", "logit", "logit-t")


def check_interval(interval: str, *, where: str) -> None:
    """Raise if `interval` is not one of the names in `INTERVALS`."""
    if interval not in INTERVALS:
        raise InputError(f"{where}: interval", " or ".join(INTERVALS), interval, do=did_you_mean(interval, INTERVALS))


def auc_estimate(raw: Estimate, df: float, *, interval: str, clip: bool, confidence: float = 0.95) -> Estimate:
    """Complete an AUC that has a value, standard error, method and note with its interval and p value.

    An infinite `df` means normal quantiles; `clip` limits a Wald interval to [0, 1]. Without a variance there is no
    interval. With a variance of 0 the interval has zero width and the note gives the reason.

    Examples
    --------
    >>> auc_estimate(Estimate(0.8, se=0.1, method="DeLong"), 9.0, interval="logit-t", clip=True).method
    'DeLong, logit, t with 9.0 df'
    """
    name = {"wald": "Wald", "logit": "logit", "logit-t": "logit, t"}[interval]
    value, se = raw.value, raw.se
    if isnan(se):
        return replace(raw, method=f"{raw.method}, {name}")
    if se == 0 or value in (0.0, 1.0):
        why = f"AUC of {value:g}: every pair is ordered" if value in (0.0, 1.0) else "the placement values do not vary"
        why += "; the variance is 0 and the zero-width interval understates the uncertainty"
        note = f"{raw.note}; {why}" if raw.note else why
        return replace(raw, low=value, high=value, method=f"{raw.method}, {name}", note=note)
    quantile = critical(confidence, df)
    if interval == "wald":
        low, high, z = value - quantile * se, value + quantile * se, (value - 0.5) / se
        low, high = (max(low, 0.0), min(high, 1.0)) if clip else (low, high)
    else:
        centre, error = float(logit(value)), se / (value * (1 - value))
        low, high = (float(expit(centre + sign * quantile * error)) for sign in (-1, 1))
        z = centre / error
        name += f" with {df:.1f} df" if df < inf else ""
    return replace(raw, low=low, high=high, p=2 * upper(abs(z), df), method=f"{raw.method}, {name}")
