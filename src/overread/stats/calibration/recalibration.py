"""From a score to a probability that means what it says: fitted on one set of cases, frozen, used on others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isnan, nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from overread import codes
from overread.errors import InputError
from overread.kernels import njit
from overread.stats.arrays import Bools, Floats, check_word, probability_array, score_array, truth_array, weight_array
from overread.stats.calibration.logistic_fits import logistic_fit, no_level, unfit

METHODS = ("logistic", "temperature", "isotonic")
SCALES = ("probability", "score")


@dataclass(frozen=True, slots=True)
class Recalibration:
    """A function from score to probability; its parameters are plain numbers, so that it can be written to JSON.

    logistic and temperature: expit(intercept + slope x), x the logit of the score (scale "probability") or the score
    itself (scale "score"); isotonic: linear between (score, probability), constant beyond them.

    >>> Recalibration("logistic", "probability", 0.0, 1.0)([0.2, 1.0]).round(3).tolist()
    [0.2, 1.0]
    """

    method: str
    scale: str
    intercept: float = nan
    slope: float = nan
    score: tuple[float, ...] = ()
    probability: tuple[float, ...] = ()
    note: codes.Text = codes.NONE

    def __call__(self, score: ArrayLike) -> Floats:
        """Probabilities of scores of any shape; NaN where the fit had no solution (see `note`)."""
        x = np.asarray(score, dtype=np.float64)
        if self.scale == "probability" and ((x < 0) | (x > 1)).any():
            raise InputError("recalibration", "scores between 0 and 1", f"{x.min()} to {x.max()}")
        if self.method == "isotonic":
            return np.interp(x, self.score, self.probability) if self.score else np.full(x.shape, nan)
        if isnan(self.slope):
            return np.full(x.shape, nan)
        with np.errstate(invalid="ignore"):  # slope 0 times the logit of 0 or 1
            line = self.intercept + self.slope * (logit(x) if self.scale == "probability" else x)
        return np.asarray(expit(np.where(np.isnan(line) & ~np.isnan(x), self.intercept, line)), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, words and lists, the note as codes; what does not apply is left out, NaN is None.

        >>> Recalibration("temperature", "score", 0.0, 0.5).to_dict()
        {'method': 'temperature', 'scale': 'score', 'intercept': 0.0, 'slope': 0.5}
        """
        mine = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        mine["note"] = codes.encode(self.note)
        drop = ("intercept", "slope") if self.method == "isotonic" else ("score", "probability")
        kept = {k: v for k, v in mine.items() if k not in drop and v != ""}
        return {k: None if isinstance(v, float) and isnan(v) else v for k, v in kept.items()}

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> Recalibration:
        """What `to_dict` wrote; unknown keys and words are refused.

        >>> Recalibration.from_dict({"method": "logistic", "scale": "score", "intercept": 0.0, "slope": 1.0}).slope
        1.0
        """
        known = {"method", "scale", "intercept", "slope", "score", "probability", "note"}
        if not {"method", "scale"} <= set(stated) or set(stated) - known:
            raise InputError("recalibration", f"the keys {', '.join(sorted(known))}", ", ".join(map(str, stated)))
        check_word(stated["method"], METHODS, where="recalibration", name="method")
        check_word(stated["scale"], SCALES, where="recalibration", name="scale")
        values: dict[str, Any] = dict(stated)
        for key, value in values.items():
            values[key] = nan if value is None else tuple(value) if isinstance(value, list) else value
        values["note"] = _note(stated.get("note", ""))
        return cls(**values)


def recalibrate(
    y: ArrayLike,
    probability: ArrayLike,
    *,
    method: str = "logistic",
    scale: str = "probability",
    smoothed: bool = False,
    weights: ArrayLike | None = None,
) -> Recalibration:
    """The map from score to probability that fits these cases best; use it on other cases.

    Parameters: y truth bool (n_cases,); probability (n_cases,): in [0, 1] with scale "probability", any number (a
    network's logit, a rating) with scale "score"; method "logistic" (intercept and slope), "temperature" (slope alone,
    1 / T), "isotonic" (any rising curve); smoothed: Platt's targets (n1+1)/(n1+2) and 1/(n0+2) for 1 and 0, which
    have a solution for separated classes; weights, inverse inclusion probabilities.
    Returns a Recalibration. Probabilities of exactly 0 or 1 are left out of a logistic or temperature fit and
    counted in the note. One class, equal scores or separated classes: NaN with a note. A falling line is noted.
    Assumes that other cases resemble these. Platt (1999) in Advances in Large Margin Classifiers, 61-74; Guo et al.
    (2017) arXiv:1706.04599 (temperature); Zadrozny & Elkan (2002) doi:10.1145/775047.775151 (isotonic).
    Checked against R 4.2.2 glm, an own PAVA in R, and scikit-learn 1.9 (isotonic, Platt).

    >>> r = recalibrate([0, 0, 1, 0, 1, 1], [0.2, 0.3, 0.4, 0.5, 0.6, 0.9])
    >>> round(r.slope, 3), r([0.5]).round(3).tolist()
    (2.63, [0.622])
    """
    where = "recalibrate"
    check_word(method, METHODS, where=where, name="method")
    check_word(scale, SCALES, where=where, name="scale")
    truth = truth_array(y, where=where)
    check = probability_array if scale == "probability" else _any_score
    given = check(probability, truth.size, where=where)
    weight = None if weights is None else weight_array(weights, truth.size, where=where)
    if method == "isotonic":
        return _isotonic(truth, given, weight, scale)
    keep = (given > 0) & (given < 1) if scale == "probability" else np.ones(truth.size, dtype=bool)
    left = int(np.count_nonzero(~keep))
    note = codes.note("exact_probabilities_unfitted", n=left) if left else codes.NONE
    x = logit(given[keep]) if scale == "probability" else given
    return _line(truth[keep], x, None if weight is None else weight[keep], (method, scale, note), smoothed)


def _line(
    y: Bools, x: Floats, weights: Floats | None, words: tuple[str, str, codes.Text], smoothed: bool
) -> Recalibration:
    method, scale, note = words
    why = unfit(y, x)
    if smoothed and why == codes.note("separated"):
        why = codes.NONE
    if not (why or smoothed) and method == "temperature" and not _has_turning_point(y, x):
        why = codes.note("sign_separated")
    if why:
        return Recalibration(method, scale, note=codes.notes(why, note))
    target = _platt_targets(y) if smoothed else y.astype(np.float64)
    terms = np.stack([np.ones(x.size), x]) if method == "logistic" else x[None]
    found = logistic_fit(terms, target, weights=weights).coefficients
    intercept, slope = (float(found[0]), float(found[1])) if method == "logistic" else (0.0, float(found[0]))
    if isnan(slope):
        return Recalibration(method, scale, note=codes.notes(codes.note("not_converged"), note))
    falling = codes.note("falling_line") if slope < 0 else None
    return Recalibration(method, scale, intercept, slope, note=codes.notes(falling, note))


def _has_turning_point(y: Bools, x: Floats) -> bool:
    signed = np.where(y, x, -x)  # without intercept the likelihood has a maximum where both signs occur
    return bool((signed > 0).any() and (signed < 0).any())


def _note(encoded: str) -> codes.Text:
    try:
        return codes.notes(*(codes.render("notes", code) for code in codes.decode(encoded)))
    except (ValueError, KeyError) as error:
        raise InputError("recalibration: note", "codes of notes, as `to_dict` writes them", repr(encoded)) from error


def _platt_targets(y: Bools) -> Floats:
    present = int(np.count_nonzero(y))
    return np.where(y, (present + 1) / (present + 2), 1 / (y.size - present + 2))


def _any_score(score: ArrayLike, n_cases: int, *, where: str) -> Floats:
    return score_array(score, (n_cases,), where=where)


def _isotonic(y: Bools, score: Floats, weights: Floats | None, scale: str) -> Recalibration:
    if not y.any() or y.all():
        return Recalibration("isotonic", scale, note=no_level(y))
    distinct, _, fit = _pooled(y, score, weights)
    inner = (fit[1:-1] == fit[:-2]) & (fit[1:-1] == fit[2:])  # the middle of a flat piece says nothing
    keep = np.concatenate([[True], ~inner, [True]])[: fit.size]
    return Recalibration("isotonic", scale, score=tuple(distinct[keep].tolist()), probability=tuple(fit[keep].tolist()))


def isotonic_fit(y: Bools, score: Floats, weights: Floats | None = None) -> Floats:
    """The rising step function of the score nearest to the truth, at each case (n_cases,).

    >>> isotonic_fit(np.array([True, False, True]), np.array([1.0, 2.0, 3.0])).tolist()
    [0.5, 0.5, 1.0]
    """
    _, inverse, fit = _pooled(y, score, weights)
    return fit[inverse]


def _pooled(y: Bools, score: Floats, weights: Floats | None) -> tuple[Floats, np.ndarray, Floats]:
    distinct, inverse = np.unique(score, return_inverse=True)
    size = np.bincount(inverse, weights).astype(np.float64)
    mean = np.bincount(inverse, y if weights is None else y * weights) / size
    return distinct, inverse, np.clip(_rising(mean, size), 0.0, 1.0)


@njit()
def _rising(mean, size):
    """Pool adjacent violators: while a block is not above the one before it, they become one block."""
    level, weight, count = np.empty(mean.size), np.empty(mean.size), np.empty(mean.size, np.int64)
    last = -1
    for i in range(mean.size):
        last += 1
        level[last], weight[last], count[last] = mean[i], size[i], 1
        while last > 0 and level[last - 1] >= level[last]:
            both = weight[last - 1] + weight[last]
            level[last - 1] = (weight[last - 1] * level[last - 1] + weight[last] * level[last]) / both
            weight[last - 1] = both
            count[last - 1] += count[last]
            last -= 1
    return np.repeat(level[: last + 1], count[: last + 1])
