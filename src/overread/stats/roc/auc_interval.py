"""The interval and the test of one AUC, on its own scale or on the logit, with the special cases said in words."""

from __future__ import annotations

from dataclasses import replace
from math import inf, isnan

from scipy.special import expit, logit

from overread.errors import InputError, did_you_mean
from overread.stats.estimate import Estimate
from overread.stats.quantiles import critical, upper

INTERVALS = ("wald", "logit", "logit-t")


def check_interval(interval: str, *, where: str) -> None:
    """Refuse a word that names no interval."""
    if interval not in INTERVALS:
        raise InputError(f"{where}: interval", " or ".join(INTERVALS), interval, do=did_you_mean(interval, INTERVALS))


def auc_estimate(raw: Estimate, df: float, *, interval: str, clip: bool, confidence: float = 0.95) -> Estimate:
    """An AUC with value, se, method and note completed by interval and p on the scale asked for.

    df infinite = normal quantiles; clip cuts a Wald interval to [0, 1]. Without a variance there is no interval, with a
    variance of 0 one of zero width and the reason in the note.

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
    times = critical(confidence, df)
    if interval == "wald":
        low, high, z = value - times * se, value + times * se, (value - 0.5) / se
        low, high = (max(low, 0.0), min(high, 1.0)) if clip else (low, high)
    else:
        centre, error = float(logit(value)), se / (value * (1 - value))
        low, high = (float(expit(centre + sign * times * error)) for sign in (-1, 1))
        z = centre / error
        name += f" with {df:.1f} df" if df < inf else ""
    return replace(raw, low=low, high=high, p=2 * upper(abs(z), df), method=f"{raw.method}, {name}")
