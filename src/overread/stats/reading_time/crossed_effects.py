"""Linear mixed model with crossed random intercepts: REML or ML, contrasts with Satterthwaite's degrees of freedom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, isnan, log, nan, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Codes, Floats, check_confidence, group_codes, score_array
from overread.stats.quantiles import critical, upper
from overread.stats.reading_time.variance_components import State, completed, maximise, products, state

RESIDUAL = "residual"
SINGULAR = 1e-8  # of the residual variance
CONFOUNDED = 1e-10


@dataclass(frozen=True, slots=True)
class FixedEffect:
    """A linear combination of the fixed effects with its t test; NaN with a note where undefined."""

    value: float
    se: float
    df: float
    t: float
    p: float
    low: float
    high: float
    note: codes.Text = codes.NONE


@dataclass(frozen=True, slots=True, eq=False)
class MixedModel:
    """A fitted model: fixed effects, variances, likelihood, and what Satterthwaite's method needs."""

    names: tuple[str, ...]  # of the fixed effects, "intercept" first
    coefficients: Floats  # (p,)
    covariance: Floats  # (p, p)
    components: dict[str, float]  # variance of each grouping factor, then of "residual"
    log_likelihood: float  # restricted under REML, as lme4 has it
    n: int
    reml: bool
    slopes: Floats  # (n_components, p, p), derivative of the covariance in each variance above 0
    uncertainty: Floats  # (n_components, n_components), covariance of these variances
    note: codes.Text = codes.NONE

    @property
    def singular(self) -> tuple[str, ...]:
        """The grouping factors whose variance is estimated as 0."""
        floor = SINGULAR * self.components[RESIDUAL]
        return tuple(name for name, variance in self.components.items() if name != RESIDUAL and variance <= floor)

    @property
    def n_parameters(self) -> int:
        """Fixed effects and variances."""
        return len(self.names) + len(self.components)

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2 * (self.n_parameters - self.log_likelihood)

    @property
    def bic(self) -> float:
        """Schwarz's criterion; n = the number of rows, as lme4 has it."""
        return log(self.n) * self.n_parameters - 2 * self.log_likelihood

    def contrast(self, weights: Mapping[str, float], *, confidence: float = 0.95) -> FixedEffect:
        """The sum of weight times fixed effect, its interval and t test with Satterthwaite's degrees of freedom.

        Parameters: weights, from the name of a fixed effect to its weight; effects not named have weight 0. A variance
        estimated as 0 is taken as known (as lmerTest does). Raises InputError on an unknown name.
        """
        check_confidence(confidence, where="contrast")
        unknown = [name for name in weights if name not in self.names]
        if unknown:
            raise InputError("contrast", "names among " + ", ".join(self.names), ", ".join(unknown))
        line = np.array([float(weights.get(name, 0.0)) for name in self.names])
        value, variance = float(line @ self.coefficients), float(line @ self.covariance @ line)
        if isnan(variance):
            return FixedEffect(nan, nan, nan, nan, nan, nan, nan, self.note)
        slope = line @ self.slopes @ line  # (n_components,)
        doubt = float(slope @ self.uncertainty @ slope)
        df, se = (2 * variance**2 / doubt if doubt > 0 else inf), sqrt(variance)
        if isnan(doubt):
            return FixedEffect(value, se, nan, value / se, nan, nan, nan, self.note)
        half = critical(confidence, df) * se
        return FixedEffect(
            value, se, df, value / se, 2 * upper(abs(value / se), df), value - half, value + half, self.note
        )

    def effects(self, *, confidence: float = 0.95) -> dict[str, FixedEffect]:
        """Each fixed effect with its test."""
        return {name: self.contrast({name: 1.0}, confidence=confidence) for name in self.names}


def mixed_model(
    y: ArrayLike, fixed: Mapping[str, ArrayLike], random: Mapping[str, ArrayLike], *, reml: bool = True
) -> MixedModel:
    """The effects on the mean of y when rows share readers, cases, …: each grouping factor has a random intercept.

    Parameters
    ----------
    y : float (n,).
    fixed : name -> float (n,), the columns of the design; an intercept is added as the first.
    random : name -> label (n,), the grouping factors, crossed or nested as their labels have it.
    reml : restricted maximum likelihood; False = maximum likelihood, for `likelihood_ratio`.

    Returns
    -------
    MixedModel. `.effects()` and `.contrast(…)` test with t and Satterthwaite's df from the exact second derivatives of
    the criterion in the variances (lmerTest takes them numerically). A variance estimated as 0 is in `.singular` and in
    the note. No residual variation, or no maximum found: NaN with a note.

    Raises
    ------
    InputError on NaN, columns of the design that determine one another, and grouping factors with one level, with as
    many levels as rows, or whose variances cannot be told apart.

    Notes
    -----
    Assumes normal, independent random intercepts and residuals. Bates, Mächler, Bolker & Walker (2015)
    doi:10.18637/jss.v067.i01; Kuznetsova, Brockhoff & Christensen (2017) doi:10.18637/jss.v082.i13. Checked against
    lme4 1.1.31 and lmerTest 3.1.3; a slow twin with the full covariance matrix. Kenward and Roger's correction is not
    offered.

    >>> model = mixed_model([1.0, 2, 2, 4, 3, 5], {"aid": [0, 1, 0, 1, 0, 1]}, {"reader": [1, 1, 2, 2, 3, 3]})
    >>> aid = model.effects()["aid"]
    >>> round(aid.value, 4), round(aid.se, 4), round(aid.df, 4)
    (1.6667, 0.3333, 2.0)
    """
    where = "mixed_model"
    outcome = score_array(y, np.shape(y), where=where, name="y")
    names, design = _design(fixed, outcome.size, where=where)
    groups = [_factor(name, labels, outcome.size, where=where) for name, labels in random.items()]
    if not groups:
        raise InputError(f"{where}: random", "at least one grouping factor", "none")
    basis, triangle = np.linalg.qr(design)
    start = np.linalg.solve(triangle, basis.T @ outcome)
    rest = outcome - design @ start
    data = products(basis, rest, groups)
    _refuse_confounded(state(data, np.ones(len(groups)), reml=True), list(random), where=where)
    if rest @ rest <= 1e-24 * max(float(outcome @ outcome), 1.0):
        return _undefined(names, list(random), outcome.size, reml, codes.note("no_residual"))
    ratios, best, found = maximise(data, reml=reml)
    if not found:
        return _undefined(names, list(random), outcome.size, reml, codes.note("no_maximum"))
    back = np.linalg.inv(triangle)
    scale = 2 * float(np.log(np.abs(triangle.diagonal())).sum()) if reml else 0.0
    residual = best.square / best.df
    variances = dict(zip(np.array(list(random))[data.order].tolist(), (ratios * residual).tolist(), strict=True))
    slopes, uncertainty = _satterthwaite(best, ratios, residual)
    model = MixedModel(
        names=names,
        coefficients=start + back @ best.beta,
        covariance=residual * back @ best.covariance @ back.T,
        components={name: variances[name] for name in random} | {RESIDUAL: residual},
        log_likelihood=-(best.log_determinant + scale + best.df * (1 + log(2 * pi * residual))) / 2,
        n=outcome.size,
        reml=reml,
        slopes=back @ slopes @ back.T,
        uncertainty=uncertainty,
    )
    return _noted(model)


def likelihood_ratio(model: MixedModel, reduced: MixedModel) -> tuple[float, int, float]:
    """Chi-square, degrees of freedom and p of a model against one with fewer fixed effects, both by ML.

    Raises InputError where either was fitted by REML, whose likelihoods of different fixed effects do not compare.

    >>> y, reader = [1.0, 2, 2, 4, 3, 5], {"reader": [1, 1, 2, 2, 3, 3]}
    >>> full = mixed_model(y, {"aid": [0, 1, 0, 1, 0, 1]}, reader, reml=False)
    >>> chi_square, df, p = likelihood_ratio(full, mixed_model(y, {}, reader, reml=False))
    >>> round(chi_square, 2), df
    (7.81, 1)
    """
    where = "likelihood_ratio"
    if model.reml or reduced.reml:
        raise InputError(where, "models fitted with reml=False", "a model fitted by REML")
    same = model.n == reduced.n and list(model.components) == list(reduced.components)
    if not same or not set(reduced.names) < set(model.names):
        raise InputError(
            where, "a model and one with fewer of its fixed effects, same rows", "models that are not nested"
        )
    chi_square = max(2 * (model.log_likelihood - reduced.log_likelihood), 0.0)
    df = len(model.names) - len(reduced.names)
    return chi_square, df, float(chdtrc(df, chi_square))


def _design(fixed: Mapping[str, ArrayLike], n: int, *, where: str) -> tuple[tuple[str, ...], Floats]:
    columns = [score_array(values, (n,), where=where, name=name) for name, values in fixed.items()]
    design = np.column_stack((np.ones(n), *columns))
    names = ("intercept", *fixed)
    if n <= len(names):
        raise InputError(where, f"more rows than the {len(names)} fixed effects", f"{n} rows")
    length = np.linalg.norm(design, axis=0)
    pivots = np.abs(np.linalg.qr(design / np.where(length > 0, length, 1.0))[1].diagonal())
    lost = [name for name, pivot in zip(names, pivots, strict=True) if pivot < 1e-9]
    if lost:
        do = "Leave out what the others determine."
        raise InputError(f"{where}: fixed", "columns that do not determine one another", ", ".join(lost), do=do)
    return names, design


def _factor(name: str, labels: ArrayLike, n: int, *, where: str) -> tuple[Codes, int]:
    codes, n_levels = group_codes(labels, n, where=where, name=name)
    if not 1 < n_levels < n:
        raise InputError(f"{where}: {name}", f"at least 2 levels and fewer than the {n} rows", f"{n_levels} levels")
    return codes, n_levels


def _refuse_confounded(at: State, names: list[str], *, where: str) -> None:
    """The matrices of the factors and of the residual must be linearly independent; `at` has all ratios 1."""
    full = completed(at.traces, at.trace, at.df, np.ones(len(names)))
    length = np.sqrt(np.maximum(full.diagonal(), 0.0))
    if (length == 0).any() or np.linalg.eigvalsh(full / np.outer(length, length))[0] < CONFOUNDED:
        found = "variances of " + ", ".join(names) + " that cannot be told apart on these rows"
        do = "Leave out the factor whose levels another one repeats."
        raise InputError(f"{where}: random", "grouping factors that differ", found, do=do)


def _satterthwaite(at: State, ratios: Floats, residual: float) -> tuple[Floats, Floats]:
    """Derivatives of the covariance in the variances above 0, and the covariance of these variances."""
    kept = np.concatenate(([True], ratios > SINGULAR))
    traces = completed(at.traces, at.trace, at.df, ratios)[np.ix_(kept, kept)]
    squares = completed(at.squares, at.square_by, at.square, ratios)[np.ix_(kept, kept)]
    hessian = (2 * squares / residual - traces) / residual**2
    own = np.linalg.inv(at.covariance) - np.tensordot(ratios, at.spread_by, 1)
    slopes = at.covariance @ np.concatenate((own[None], at.spread_by))[kept] @ at.covariance
    positive = bool(np.linalg.eigvalsh(hessian * residual**2)[0] > 0)
    return slopes, 2 * np.linalg.inv(hessian) if positive else np.full_like(hessian, nan)


def _undefined(names: tuple[str, ...], random: list[str], n: int, reml: bool, note: codes.Text) -> MixedModel:
    p, k = len(names), len(random) + 1
    empty = dict.fromkeys([*random, RESIDUAL], nan)
    slopes = np.full((k, p, p), nan)
    return MixedModel(names, np.full(p, nan), slopes[0], empty, nan, n, reml, slopes, np.full((k, k), nan), note)


def _noted(model: MixedModel) -> MixedModel:
    notes = [codes.note("singular", factor=name) for name in model.singular]
    if np.isnan(model.uncertainty).any():
        notes.append(codes.note("undefined_df"))
    return replace(model, note=codes.notes(*notes))
