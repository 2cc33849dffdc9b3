"""Linear mixed model with crossed random intercepts, by REML or ML, with Satterthwaite's degrees of freedom."""

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
from overread.stats.result_text import described

RESIDUAL = "residual"
SINGULAR = 1e-8  # variance, relative to the residual variance, that counts as 0
CONFOUNDED = 1e-10


@dataclass(frozen=True, slots=True)
class FixedEffect:
    """Linear combination of fixed effects with its t test; NaN with a note where undefined.

    Attributes
    ----------
    value : float
        Estimate.
    se : float
        Standard error.
    df : float
        Degrees of freedom.
    t : float
        t statistic.
    p : float
        Two-sided p value of 0.
    low : float
        Lower confidence limit.
    high : float
        Upper confidence limit.
    note : str
        Reason for values that are NaN, otherwise "".

    Notes
    -----
    `MixedModel.contrast` returns this result.
    """

    __repr__ = described

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
    """Fitted linear mixed model with crossed random intercepts.

    Attributes
    ----------
    names : tuple of str
        Names of the fixed effects, "intercept" first.
    coefficients : ndarray of float64, shape (p,)
        Fixed effects.
    covariance : ndarray of float64, shape (p, p)
        Covariance matrix of the fixed effects.
    components : dict of str to float
        Variance of each grouping factor, then of "residual".
    log_likelihood : float
        Log likelihood, restricted under REML (as in lme4).
    n : int
        Number of rows.
    reml : bool
        Whether the model was fitted by restricted maximum likelihood.
    slopes : ndarray of float64, shape (n_components, p, p)
        Derivative of `covariance` with respect to each variance above 0.
    uncertainty : ndarray of float64, shape (n_components, n_components)
        Covariance matrix of these variances.
    note : str
        Notes on singular fits, or "".

    Notes
    -----
    `mixed_model` returns this result.
    """

    __repr__ = described

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
        """Grouping factors whose variance is estimated as 0."""
        floor = SINGULAR * self.components[RESIDUAL]
        return tuple(name for name, variance in self.components.items() if name != RESIDUAL and variance <= floor)

    @property
    def n_parameters(self) -> int:
        """Number of fixed effects and variances."""
        return len(self.names) + len(self.components)

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return 2 * (self.n_parameters - self.log_likelihood)

    @property
    def bic(self) -> float:
        """Bayesian information criterion, with n the number of rows (as in lme4)."""
        return log(self.n) * self.n_parameters - 2 * self.log_likelihood

    def contrast(self, weights: Mapping[str, float], *, confidence: float = 0.95) -> FixedEffect:
        """Linear combination of fixed effects, with Satterthwaite's degrees of freedom.

        Parameters
        ----------
        weights : mapping of str to float
            Weight of each named fixed effect; the others have weight 0.
        confidence : float, default 0.95
            Confidence level of the two-sided interval, between 0 and 1.

        Returns
        -------
        FixedEffect
            Estimate, interval and t test.

        Raises
        ------
        InputError
            If a name is not a fixed effect.

        Notes
        -----
        A variance estimated as 0 is treated as known, as in lmerTest.
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
        """Each fixed effect with its t test.

        Parameters
        ----------
        confidence : float, default 0.95
            Confidence level of the two-sided interval, between 0 and 1.

        Returns
        -------
        dict of str to FixedEffect
            Result of `contrast` for each fixed effect.
        """
        return {name: self.contrast({name: 1.0}, confidence=confidence) for name in self.names}


def mixed_model(
    y: ArrayLike, fixed: Mapping[str, ArrayLike], random: Mapping[str, ArrayLike], *, reml: bool = True
) -> MixedModel:
    """Fit a linear mixed model with crossed random intercepts.

    The estimands are the effects on the mean of y, if rows share readers, cases or other grouping factors.

    Parameters
    ----------
    y : array_like of float, shape (n,)
        Outcome.
    fixed : mapping of str to array_like of float, shape (n,)
        Columns of the design. An intercept is added as the first column.
    random : mapping of str to array_like, shape (n,)
        Labels of each grouping factor; factors may be crossed or nested.
    reml : bool, default True
        Restricted maximum likelihood; False gives maximum likelihood, for `likelihood_ratio`.

    Returns
    -------
    MixedModel
        The fitted model. NaN with a note without residual variation or if no maximum is found.

    Raises
    ------
    InputError
        If a value is NaN or infinite, columns are linearly dependent, a grouping factor has one level or as many levels
        as rows, or the variances of grouping factors are not identified.

    Notes
    -----
    Random intercepts and residuals are assumed to be normal and independent. The degrees of freedom use exact second
    derivatives of the criterion with respect to the variances (lmerTest uses numerical ones). A variance estimated as 0
    is reported in `singular` and in the note. The correction of Kenward and Roger is not available. Checked against
    lme4 1.1.31, lmerTest 3.1.3 and a brute-force reference implementation with the full covariance matrix.

    References
    ----------
    * Bates D, Mächler M, Bolker B, Walker S (2015). Fitting linear mixed-effects models using lme4. Journal of
      Statistical Software 67(1). doi:10.18637/jss.v067.i01
    * Kuznetsova A, Brockhoff PB, Christensen RHB (2017). lmerTest package: tests in linear mixed effects models.
      Journal of Statistical Software 82(13). doi:10.18637/jss.v082.i13

    Examples
    --------
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
    residuals = outcome - design @ start
    data = products(basis, residuals, groups)
    _refuse_confounded(state(data, np.ones(len(groups)), reml=True), list(random), where=where)
    if residuals @ residuals <= 1e-24 * max(float(outcome @ outcome), 1.0):
        return _undefined(names, list(random), outcome.size, reml, codes.note("no_residual"))
    ratios, optimum, converged = maximise(data, reml=reml)
    if not converged:
        return _undefined(names, list(random), outcome.size, reml, codes.note("no_maximum"))
    inverse_triangle = np.linalg.inv(triangle)
    scale = 2 * float(np.log(np.abs(triangle.diagonal())).sum()) if reml else 0.0
    residual = optimum.square / optimum.df
    variances = dict(zip(np.array(list(random))[data.order].tolist(), (ratios * residual).tolist(), strict=True))
    slopes, uncertainty = _satterthwaite(optimum, ratios, residual)
    model = MixedModel(
        names=names,
        coefficients=start + inverse_triangle @ optimum.beta,
        covariance=residual * inverse_triangle @ optimum.covariance @ inverse_triangle.T,
        components={name: variances[name] for name in random} | {RESIDUAL: residual},
        log_likelihood=-(optimum.log_determinant + scale + optimum.df * (1 + log(2 * pi * residual))) / 2,
        n=outcome.size,
        reml=reml,
        slopes=inverse_triangle @ slopes @ inverse_triangle.T,
        uncertainty=uncertainty,
    )
    return _noted(model)


def likelihood_ratio(model: MixedModel, reduced: MixedModel) -> tuple[float, int, float]:
    """Likelihood ratio test of a model against a model with fewer fixed effects.

    Parameters
    ----------
    model : MixedModel
        Model fitted by maximum likelihood.
    reduced : MixedModel
        Model with a subset of its fixed effects, fitted by maximum likelihood to the same rows.

    Returns
    -------
    chi_square : float
        Twice the difference of the log likelihoods.
    df : int
        Difference of the numbers of fixed effects.
    p : float
        P value from the chi-square distribution.

    Raises
    ------
    InputError
        If a model was fitted by REML or the models are not nested.

    Notes
    -----
    Restricted likelihoods of models with different fixed effects are not comparable.

    Examples
    --------
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
    """Names and columns of the design matrix."""
    columns = [score_array(values, (n,), where=where, name=name) for name, values in fixed.items()]
    design = np.column_stack((np.ones(n), *columns))
    names = ("intercept", *fixed)
    if n <= len(names):
        raise InputError(where, f"more rows than the {len(names)} fixed effects", f"{n} rows")
    length = np.linalg.norm(design, axis=0)
    pivots = np.abs(np.linalg.qr(design / np.where(length > 0, length, 1.0))[1].diagonal())
    dependent = [name for name, pivot in zip(names, pivots, strict=True) if pivot < 1e-9]
    if dependent:
        do = "Remove the columns that are linear combinations of others."
        raise InputError(f"{where}: fixed", "columns that do not determine one another", ", ".join(dependent), do=do)
    return names, design


def _factor(name: str, labels: ArrayLike, n: int, *, where: str) -> tuple[Codes, int]:
    """Validated codes of a grouping factor."""
    codes, n_levels = group_codes(labels, n, where=where, name=name)
    if not 1 < n_levels < n:
        raise InputError(f"{where}: {name}", f"at least 2 levels and fewer than the {n} rows", f"{n_levels} levels")
    return codes, n_levels


def _refuse_confounded(unit_state: State, names: list[str], *, where: str) -> None:
    """Raise if the matrices of the factors and the residual are linearly dependent, given the state at ratios of 1."""
    full = completed(unit_state.traces, unit_state.trace, unit_state.df, np.ones(len(names)))
    length = np.sqrt(np.maximum(full.diagonal(), 0.0))
    if (length == 0).any() or np.linalg.eigvalsh(full / np.outer(length, length))[0] < CONFOUNDED:
        found = "variances of " + ", ".join(names) + " that cannot be told apart on these rows"
        do = "Remove the factor that repeats the levels of another one."
        raise InputError(f"{where}: random", "grouping factors that differ", found, do=do)


def _satterthwaite(optimum: State, ratios: Floats, residual: float) -> tuple[Floats, Floats]:
    """Derivatives of the covariance with respect to the variances above 0, and the covariance of these variances."""
    positive_components = np.concatenate(([True], ratios > SINGULAR))
    traces = completed(optimum.traces, optimum.trace, optimum.df, ratios)[
        np.ix_(positive_components, positive_components)
    ]
    squares = completed(optimum.squares, optimum.square_by, optimum.square, ratios)[
        np.ix_(positive_components, positive_components)
    ]
    hessian = (2 * squares / residual - traces) / residual**2
    residual_derivative = np.linalg.inv(optimum.covariance) - np.tensordot(ratios, optimum.spread_by, 1)
    slopes = (
        optimum.covariance
        @ np.concatenate((residual_derivative[None], optimum.spread_by))[positive_components]
        @ optimum.covariance
    )
    positive = bool(np.linalg.eigvalsh(hessian * residual**2)[0] > 0)
    return slopes, 2 * np.linalg.inv(hessian) if positive else np.full_like(hessian, nan)


def _undefined(names: tuple[str, ...], random: list[str], n: int, reml: bool, note: codes.Text) -> MixedModel:
    """Model without a solution."""
    p, k = len(names), len(random) + 1
    empty = dict.fromkeys([*random, RESIDUAL], nan)
    slopes = np.full((k, p, p), nan)
    return MixedModel(names, np.full(p, nan), slopes[0], empty, nan, n, reml, slopes, np.full((k, k), nan), note)


def _noted(model: MixedModel) -> MixedModel:
    """Add notes on singular fits."""
    notes = [codes.note("singular", factor=name) for name in model.singular]
    if np.isnan(model.uncertainty).any():
        notes.append(codes.note("undefined_df"))
    return replace(model, note=codes.notes(*notes))
