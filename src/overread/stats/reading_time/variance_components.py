"""Likelihood of crossed random intercepts as a function of variance ratios: exact derivatives and maximum.

The covariance of the outcomes is s2 (I + sum_k r_k Z_k Z_k'), where Z_k are the indicator columns of grouping factor k
and r_k is the ratio of its variance to the residual variance. The factor with the most levels (usually the cases) is
eliminated in closed form, because its block is diagonal; the remaining matrix has as many rows as the other factors
have levels. After the sums of products are computed, the cost does not depend on the number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product as combinations

import numpy as np

from overread.stats.arrays import Codes, Floats

STEPS = 200
LARGE = 1e9  # variance ratio at which the factors leave no residual variation
DONE = 1e-13  # expected decrease of the criterion at which the iterations end


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """Sums of products of F = (Z of the smaller factors, X, y) with itself and with the largest factor."""

    n: int
    p: int  # columns of X, orthonormal
    cross: Floats  # (m + 1, m + 1), F'F
    joined: Floats  # (n_levels of the largest factor, m + 1), Z'F
    sizes: Floats  # (n_levels of the largest factor,)
    owner: Codes  # (columns of smaller factors,), the position of each column's factor
    pick: Floats  # (columns of smaller factors, n_factors - 1), 1 where the column is of the factor
    order: Codes  # (n_factors,), positions of the factors as given, the largest one last


def products(x: Floats, y: Floats, groups: list[tuple[Codes, int]]) -> Products:
    """Sums of products of x (n, p), y (n,) and grouping factors (codes (n,), n_levels)."""
    order = np.argsort([n_levels for _, n_levels in groups], kind="stable")
    *smaller, (largest, n_largest) = [groups[k] for k in order]
    right = np.column_stack((x, y))

    def against(codes: Codes, n_levels: int) -> Floats:
        tables = [
            np.bincount(codes * q + other, minlength=n_levels * q).reshape(n_levels, q).astype(np.float64)
            for other, q in smaller
        ]
        return np.column_stack((*tables, *(np.bincount(codes, column, n_levels) for column in right.T)))

    rows = [against(*group) for group in smaller]
    q = sum(n_levels for _, n_levels in smaller)
    top = np.vstack(rows) if rows else np.empty((0, right.shape[1]))
    cross = np.vstack((top, np.hstack((top[:, q:].T, right.T @ right))))
    owner = np.repeat(np.arange(len(smaller)), [n_levels for _, n_levels in smaller])
    sizes = np.bincount(largest, minlength=n_largest).astype(np.float64)
    pick = 1.0 * (owner[:, None] == np.arange(len(smaller)))
    return Products(y.size, x.shape[1], cross, against(largest, n_largest), sizes, owner, pick, order)


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Criterion at given ratios, and the terms of its derivatives, for a residual variance of 1.

    With P = V^-1 - V^-1 X (X'V^-1X)^-1 X'V^-1 and V_k = Z_k Z_k': trace_k = tr(P V_k), square_k = y'P V_k P y,
    traces_kl = tr(P V_k P V_l), squares_kl = y'P V_k P V_l P y. Under maximum likelihood V^-1 replaces P in traces.
    """

    df: int  # n - p, or n under maximum likelihood
    log_determinant: float
    square: float  # y'Py
    trace: Floats
    square_by: Floats
    traces: Floats
    squares: Floats
    beta: Floats  # (p,)
    covariance: Floats  # (p, p), (X'V^-1X)^-1
    spread_by: Floats  # (n_factors, p, p), X'V^-1 V_k V^-1 X

    @property
    def criterion(self) -> float:
        """Minus twice the profiled log likelihood, up to a constant."""
        return self.log_determinant + self.df * float(np.log(self.square))

    @property
    def gradient(self) -> Floats:
        """Derivative of the criterion with respect to the ratios."""
        return self.trace - self.df * self.square_by / self.square

    @property
    def hessian(self) -> Floats:
        """Second derivative of the criterion with respect to the ratios."""
        outer = np.outer(self.square_by, self.square_by) / self.square**2
        return self.df * (2 * self.squares / self.square - outer) - self.traces

    @property
    def expected(self) -> Floats:
        """Expected second derivative; positive semidefinite, so that a step along it decreases the criterion."""
        return self.traces - np.outer(self.trace, self.trace) / self.df


def state(data: Products, ratios: Floats, *, reml: bool) -> State:
    """Criterion and terms of its derivatives at these ratios (n_factors,), the largest factor last.

    H = I + r Z Z' contains the largest factor only. V = H + U U', where U are the scaled columns of the others. With N
    = [U X]'H^-1 [U X] + (I, 0) and its Cholesky factor, every product through P is a product through H^-1 minus a
    product of two half-products; without the rows of X in these it is the product through V^-1.
    """
    q, m = data.owner.size, data.owner.size + data.p
    shrink = 1 / (1 + ratios[-1] * data.sizes)
    joined = shrink[:, None] * data.joined  # (n_levels, m + 1), Z'H^-1 F
    cross = data.cross - ratios[-1] * data.joined.T @ joined  # (m + 1, m + 1), F'H^-1 F
    scale = np.concatenate((np.sqrt(ratios[data.owner]), np.ones(data.p)))
    factor = np.linalg.cholesky(scale[:, None] * cross[:m, :m] * scale + np.diag(1.0 * (np.arange(m) < q)))
    half = np.linalg.solve(factor, scale[:, None] * np.column_stack((cross[:m], joined[:, :m].T)))
    through_p = Blocks(data, shrink * data.sizes, cross, joined, half)
    through_v = Blocks(data, shrink * data.sizes, cross, joined, half[:q])
    traced = through_p if reml else through_v
    inverse = np.linalg.inv(factor[q:, q:])  # of the factor of X'V^-1X
    trace, traces = traced.traces()
    square_by, squares = through_p.squares()
    return State(
        df=data.n - data.p if reml else data.n,
        log_determinant=float(
            np.log1p(ratios[-1] * data.sizes).sum() + 2 * np.log(factor.diagonal()[: m if reml else q]).sum()
        ),
        square=float(through_p.within[m, m]),
        trace=trace,
        square_by=square_by,
        traces=traces,
        squares=squares,
        beta=inverse.T @ half[q:, m],
        covariance=inverse.T @ inverse,
        spread_by=through_v.spread(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Products of columns through P or V^-1: those through H^-1 minus those of the half-products."""

    data: Products
    diagonal: Floats  # (n_levels,), Z'H^-1 Z of the largest factor
    cross: Floats
    joined: Floats
    half: Floats  # (rows, m + 1 + n_levels)

    @property
    def within(self) -> Floats:
        """F'PF (m + 1, m + 1)."""
        width = len(self.cross)
        return self.cross - self.half[:, :width].T @ self.half[:, :width]

    @property
    def outside(self) -> Floats:
        """Z'PF (n_levels, m + 1), with Z of the largest factor."""
        width = len(self.cross)
        return self.joined - self.half[:, width:].T @ self.half[:, :width]

    def traces(self) -> tuple[Floats, Floats]:
        """tr(P V_k) and tr(P V_k P V_l), the largest factor last; its own block is never formed."""
        q, pick = self.data.owner.size, self.data.pick
        small, tall, half = self.within[:q, :q], self.outside[:, :q], self.half[:, len(self.cross) :]
        shared = (half**2).sum(axis=0)
        own = self.diagonal @ self.diagonal - 2 * self.diagonal @ shared + ((half @ half.T) ** 2).sum()
        trace = np.append(small.diagonal() @ pick, self.diagonal.sum() - shared.sum())
        return trace, _bordered(pick.T @ small**2 @ pick, (tall**2).sum(axis=0) @ pick, own)

    def squares(self) -> tuple[Floats, Floats]:
        """y'P V_k P y and y'P V_k P V_l P y, the largest factor last."""
        q, pick, half = self.data.owner.size, self.data.pick, self.half[:, len(self.cross) :]
        within, outside = self.within, self.outside
        small, large = within[:q, -1], outside[:, -1]  # Z'Py
        own = self.diagonal @ large**2 - ((half @ large) ** 2).sum()
        inner = pick.T @ (small[:, None] * within[:q, :q] * small) @ pick
        edge = ((large @ outside[:, :q]) * small) @ pick
        return np.append(small**2 @ pick, large @ large), _bordered(inner, edge, own)

    def spread(self) -> Floats:
        """X'P V_k P X (n_factors, p, p), the largest factor last."""
        q = self.data.owner.size
        small, large = self.within[:q, q:-1], self.outside[:, q:-1]
        parts = [small[self.data.owner == k] for k in range(self.data.pick.shape[1])]
        return np.array([z.T @ z for z in (*parts, large)])


def _bordered(inner: Floats, edge: Floats, corner: float) -> Floats:
    """Matrix with a border row and column."""
    return np.block([[inner, edge[:, None]], [edge[None], np.array([[corner]])]])


def completed(by_pair: Floats, by_one: Floats, total: float, ratios: Floats) -> Floats:
    """Values of all pairs of components, the residual first, from those of the factors.

    Since PVP = P, the values of a component with all others, weighted by their ratios, sum to its own (`by_one`), and
    those to the total.
    """
    edge = by_one - by_pair @ ratios
    corner = total - by_one @ ratios - edge @ ratios
    return np.block([[np.array([[corner]]), edge[None]], [edge[:, None], by_pair]])


def maximise(data: Products, *, reml: bool) -> tuple[Floats, State, bool]:
    """Variance ratios that maximise the (restricted) likelihood, the state there, and whether the maximum was reached.

    A step goes to the minimum, over ratios of at least 0, of a quadratic approximation of the criterion, with its
    expected second derivative far from the maximum and the exact one near it. A step that does not decrease the
    criterion is halved.
    """
    ratios = np.ones(data.pick.shape[1] + 1)
    current = state(data, ratios, reml=reml)
    exact = False
    for _ in range(STEPS):
        curvature = current.hessian if exact and _positive(current.hessian) else current.expected
        step = _lowest(curvature, curvature @ ratios - current.gradient) - ratios
        expected_decrease = float(-current.gradient @ step)
        noise = (
            1e-14 * current.df * data.cross[-1, -1] / current.square
        )  # of the criterion, from the subtraction in y'Py
        if expected_decrease < max(DONE, noise):
            return ratios, current, True
        exact = expected_decrease < 0.1
        for halvings in range(40):
            candidate = ratios + step / 2**halvings
            if (
                candidate.max() < LARGE
                and (candidate_state := state(data, candidate, reml=reml)).criterion <= current.criterion + noise
            ):
                break
        else:
            break
        ratios, current = candidate, candidate_state
    return ratios, current, False


def _positive(matrix: Floats) -> bool:
    """Whether a symmetric matrix is positive definite."""
    return bool(np.linalg.eigvalsh(matrix)[0] > 0)


def _lowest(curvature: Floats, slope: Floats) -> Floats:
    """Minimiser over x >= 0 of x'Cx/2 - slope'x, by enumeration of the active sets (factors are few)."""
    best, least = np.zeros(slope.size), 0.0
    for choice in combinations((False, True), repeat=slope.size):
        free = np.array(choice)
        if not free.any():
            continue
        x = np.zeros(slope.size)
        x[free] = np.linalg.solve(curvature[np.ix_(free, free)], slope[free])
        value = -float(slope @ x) / 2
        if (x >= 0).all() and value < least:
            best, least = x, value
    return best
