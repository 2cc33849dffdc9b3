"""Confidence interval and test of a single AUC on its own or on the logit scale."""

from __future__ import annotations

from dataclasses import replace
from math import inf, isnan

from scipy.special import expit, logit

from overread import codes
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
    >>> raw = Estimate(0.8, se=0.1, method=codes.method("delong"))
    >>> auc_estimate(raw, 9.0, interval="logit-t", clip=True).method
    'DeLong, logit scale, t with 9 df'
    """
    value, se = raw.value, raw.se
    if isnan(se):
        return raw
    if se == 0 or value in (0.0, 1.0):
        ordered = value in (0.0, 1.0)
        why = codes.note("all_pairs_ordered", auc=float(value)) if ordered else codes.note("equal_placements")
        return replace(raw, low=value, high=value, note=codes.notes(raw.note, why, codes.note("zero_variance")))
    quantile = critical(confidence, df)
    if interval == "wald":
        low, high, z = value - quantile * se, value + quantile * se, (value - 0.5) / se
        low, high = (max(low, 0.0), min(high, 1.0)) if clip else (low, high)
    else:
        centre, error = float(logit(value)), se / (value * (1 - value))
        low, high = (float(expit(centre + sign * quantile * error)) for sign in (-1, 1))
        z = centre / error
    return replace(
        raw, low=low, high=high, p=2 * upper(abs(z), df), method=codes.methods(raw.method, _scale(interval, df))
    )


def _scale(interval: str, df: float) -> codes.Text:
    if interval == "wald":
        return codes.method("scale_wald")
    return codes.method("scale_logit_t", df=round(df, 1)) if df < inf else codes.method("scale_logit")
