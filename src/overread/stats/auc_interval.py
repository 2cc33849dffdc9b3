"""The interval and the test of one AUC, on its own scale or on the logit, with the special cases said in words."""

from __future__ import annotations

from math import inf, isnan

from scipy.special import expit, logit
from scipy.stats import t

from overread.errors import InputError, did_you_mean
from overread.stats.estimate import Estimate

INTERVALS = ("wald", "logit", "logit-t")


def check_interval(interval: str, *, where: str) -> None:
    """Refuse a word that names no interval."""
    if interval not in INTERVALS:
        raise InputError(f"{where}: interval", " or ".join(INTERVALS), interval, do=did_you_mean(interval, INTERVALS))


def auc_estimate(
    value: float, se: float, df: float, *, interval: str, clip: bool, confidence: float, method: str, note: str
) -> Estimate:
    """Interval and p on the scale asked for; df infinite = normal quantiles; special cases say why they are.

    >>> auc_estimate(0.8, 0.1, 9.0, interval="logit-t", clip=True, confidence=0.95, method="DeLong", note="").method
    'DeLong, logit, t with 9.0 df'
    """
    name = {"wald": "Wald", "logit": "logit", "logit-t": "logit, t"}[interval]
    if isnan(se):
        return Estimate(value, method=f"{method}, {name}", note=note)
    if se == 0 or value in (0.0, 1.0):
        why = f"AUC of {value:g}: every pair is ordered" if value in (0.0, 1.0) else "the placement values do not vary"
        why += "; the variance is 0 and the zero-width interval understates the uncertainty"
        note = f"{note}; {why}" if note else why
        return Estimate(value, value, value, se, method=f"{method}, {name}", note=note)
    quantile = float(t.isf((1 - confidence) / 2, df))
    if interval == "wald":
        low, high, z = value - quantile * se, value + quantile * se, (value - 0.5) / se
        low, high = (max(low, 0.0), min(high, 1.0)) if clip else (low, high)
    else:
        centre, spread_ = float(logit(value)), se / (value * (1 - value))
        low, high = (float(expit(centre + sign * quantile * spread_)) for sign in (-1, 1))
        z = centre / spread_
        name += f" with {df:.1f} df" if df < inf else ""
    return Estimate(value, low, high, se, 2 * float(t.sf(abs(z), df)), f"{method}, {name}", note)
