"""Recalibration: maps from a score to a probability, fitted on one set of cases and applied to others."""

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
from overread.stats.result_text import described

METHODS = ("logistic", "temperature", "isotonic")
SCALES = ("probability", "score")


@dataclass(frozen=True, slots=True)
class Recalibration:
    """Map from a score to a probability, with parameters that can be written to JSON.

    Calling the object with scores returns probabilities. "logistic" and "temperature" compute expit(intercept + slope
    x), where x is the logit of the score (scale "probability") or the score itself (scale "score"). "isotonic"
    interpolates linearly between (score, probability) and is constant beyond them.

    Attributes
    ----------
    method : str
        "logistic", "temperature" or "isotonic".
    scale : str
        "probability" or "score".
    intercept : float
        Intercept; NaN if the fit has no solution or the method is "isotonic".
    slope : float
        Slope; NaN if the fit has no solution or the method is "isotonic".
    score : tuple of float
        Scores of the isotonic map in increasing order.
    probability : tuple of float
        Probabilities at these scores.
    note : str
        Notes on the fit, or "".

    Notes
    -----
    `recalibrate` returns this result.

    Examples
    --------
    >>> Recalibration("logistic", "probability", 0.0, 1.0)([0.2, 1.0]).round(3).tolist()
    [0.2, 1.0]
    """

    __repr__ = described

    method: str
    scale: str
    intercept: float = nan
    slope: float = nan
    score: tuple[float, ...] = ()
    probability: tuple[float, ...] = ()
    note: codes.Text = codes.NONE

    def __call__(self, score: ArrayLike) -> Floats:
        """Probabilities of scores of any shape; NaN if the fit had no solution (see `note`)."""
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
        """Convert to numbers, strings and lists; parameters of other methods are omitted and NaN becomes None.

        The note is written as codes.

        Returns
        -------
        dict
            Parameters for `from_dict`.

        Examples
        --------
        >>> Recalibration("temperature", "score", 0.0, 0.5).to_dict()
        {'method': 'temperature', 'scale': 'score', 'intercept': 0.0, 'slope': 0.5}
        """
        fields = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        fields["note"] = codes.encode(self.note)
        drop = ("intercept", "slope") if self.method == "isotonic" else ("score", "probability")
        applicable = {k: v for k, v in fields.items() if k not in drop and v != ""}
        return {k: None if isinstance(v, float) and isnan(v) else v for k, v in applicable.items()}

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> Recalibration:
        """Convert from the result of `to_dict`.

        Parameters
        ----------
        stated : mapping of str to object
            Parameters.

        Returns
        -------
        Recalibration
            The map.

        Raises
        ------
        InputError
            If a key, method or scale is unknown, or the method or scale is missing.

        Examples
        --------
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
    """Fit a map from score to probability, to be applied to other cases.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    probability : array_like of float, shape (n_cases,)
        Score of each case: in [0, 1] with `scale` "probability", any number (a logit, a rating) with "score".
    method : {"logistic", "temperature", "isotonic"}, default "logistic"
        Intercept and slope; slope only (1 / temperature); or any non-decreasing function.
    scale : {"probability", "score"}, default "probability"
        Scale of the score.
    smoothed : bool, default False
        Whether to use Platt's targets (n1+1)/(n1+2) and 1/(n0+2) for 1 and 0, which have a solution for separated
        classes.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.

    Returns
    -------
    Recalibration
        The map. NaN with a note for an empty class, equal scores or separated classes. A decreasing map has a note.

    Raises
    ------
    InputError
        If a score is NaN, infinite or outside its scale, an array has another shape, or an option is unknown.

    Notes
    -----
    Probabilities of exactly 0 or 1 are omitted from a logistic or temperature fit and counted in the note. Other cases
    are assumed to come from the same population. Checked against R 4.2.2, `glm` and an implementation of the
    pool-adjacent-violators algorithm, and scikit-learn 1.9 (isotonic, Platt).

    References
    ----------
    * Platt JC (1999). Probabilistic outputs for support vector machines and comparisons to regularized likelihood
      methods. In: Advances in Large Margin Classifiers, 61-74. MIT Press.
    * Guo C, Pleiss G, Sun Y, Weinberger KQ (2017). On calibration of modern neural networks. arXiv:1706.04599
    * Zadrozny B, Elkan C (2002). Transforming classifier scores into accurate multiclass probability estimates.
      doi:10.1145/775047.775151

    Examples
    --------
    >>> r = recalibrate([0, 0, 1, 0, 1, 1], [0.2, 0.3, 0.4, 0.5, 0.6, 0.9])
    >>> round(r.slope, 3), r([0.5]).round(3).tolist()
    (2.63, [0.622])
    """
    where = "recalibrate"
    check_word(method, METHODS, where=where, name="method")
    check_word(scale, SCALES, where=where, name="scale")
    truth = truth_array(y, where=where)
    check = probability_array if scale == "probability" else _any_score
    scores = check(probability, truth.size, where=where)
    weight = None if weights is None else weight_array(weights, truth.size, where=where)
    if method == "isotonic":
        return _isotonic(truth, scores, weight, scale)
    used = (scores > 0) & (scores < 1) if scale == "probability" else np.ones(truth.size, dtype=bool)
    n_omitted = int(np.count_nonzero(~used))
    note = codes.note("exact_probabilities_unfitted", n=n_omitted) if n_omitted else codes.NONE
    x = logit(scores[used]) if scale == "probability" else scores
    return _line(truth[used], x, None if weight is None else weight[used], (method, scale, note), smoothed)


def _line(
    y: Bools, x: Floats, weights: Floats | None, words: tuple[str, str, codes.Text], smoothed: bool
) -> Recalibration:
    """Logistic or temperature map."""
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
    coefficients = logistic_fit(terms, target, weights=weights).coefficients
    intercept, slope = (
        (float(coefficients[0]), float(coefficients[1])) if method == "logistic" else (0.0, float(coefficients[0]))
    )
    if isnan(slope):
        return Recalibration(method, scale, note=codes.notes(codes.note("not_converged"), note))
    falling = codes.note("falling_line") if slope < 0 else None
    return Recalibration(method, scale, intercept, slope, note=codes.notes(falling, note))


def _has_turning_point(y: Bools, x: Floats) -> bool:
    """Whether the likelihood of a slope without intercept has a maximum."""
    signed = np.where(y, x, -x)  # the likelihood has a maximum if and only if both signs occur
    return bool((signed > 0).any() and (signed < 0).any())


def _note(encoded: str) -> codes.Text:
    try:
        return codes.notes(*(codes.render("notes", code) for code in codes.decode(encoded)))
    except (ValueError, KeyError) as error:
        raise InputError("recalibration: note", "codes of notes, as `to_dict` writes them", repr(encoded)) from error


def _platt_targets(y: Bools) -> Floats:
    """Platt's smoothed targets."""
    present = int(np.count_nonzero(y))
    return np.where(y, (present + 1) / (present + 2), 1 / (y.size - present + 2))


def _any_score(score: ArrayLike, n_cases: int, *, where: str) -> Floats:
    """Validated finite scores."""
    return score_array(score, (n_cases,), where=where)


def _isotonic(y: Bools, score: Floats, weights: Floats | None, scale: str) -> Recalibration:
    """Isotonic map."""
    if not y.any() or y.all():
        return Recalibration("isotonic", scale, note=no_level(y))
    distinct, _, fit = _pooled(y, score, weights)
    inner = (fit[1:-1] == fit[:-2]) & (fit[1:-1] == fit[2:])  # interior points of a constant piece are redundant
    keep = np.concatenate([[True], ~inner, [True]])[: fit.size]
    return Recalibration("isotonic", scale, score=tuple(distinct[keep].tolist()), probability=tuple(fit[keep].tolist()))


def isotonic_fit(y: Bools, score: Floats, weights: Floats | None = None) -> Floats:
    """Isotonic regression of the truth on the score, evaluated at each case.

    Parameters
    ----------
    y : ndarray of bool, shape (n_cases,)
        Reference standard.
    score : ndarray of float64, shape (n_cases,)
        Finite scores.
    weights : ndarray of float64, shape (n_cases,), optional
        Inverse inclusion probabilities.

    Returns
    -------
    ndarray of float64, shape (n_cases,)
        Non-decreasing step function of the score with the least weighted squared error.

    Notes
    -----
    Computed by the pool-adjacent-violators algorithm; equal scores have equal values.

    References
    ----------
    * Zadrozny B, Elkan C (2002). Transforming classifier scores into accurate multiclass probability estimates.
      doi:10.1145/775047.775151

    Examples
    --------
    >>> isotonic_fit(np.array([True, False, True]), np.array([1.0, 2.0, 3.0])).tolist()
    [0.5, 0.5, 1.0]
    """
    _, inverse, fit = _pooled(y, score, weights)
    fitted: Floats = fit[inverse]
    return fitted


def _pooled(y: Bools, score: Floats, weights: Floats | None) -> tuple[Floats, np.ndarray, Floats]:
    """Distinct scores, index of each case, and the isotonic fit at the distinct scores."""
    distinct, inverse = np.unique(score, return_inverse=True)
    size = np.bincount(inverse, weights).astype(np.float64)
    mean = np.bincount(inverse, y if weights is None else y * weights) / size
    return distinct, inverse, np.clip(_rising(mean, size), 0.0, 1.0)


@njit()
def _rising(mean: Floats, size: Floats) -> Floats:
    """Pool-adjacent-violators algorithm: merge a block with the previous one unless it is higher."""
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
