from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import f_oneway

from overread import codes
from overread.errors import InputError
from overread.stats.reading_time.crossed_effects import likelihood_ratio, mixed_model


def crossed(readers, cases, rng, *, arms=2, keep=1.0, sd=(0.5, 0.2, 0.7, 0.3)):
    """Reads of every reader of every case in every arm, or a share of them, with the effects' standard deviations."""
    r, c, a = (z.ravel() for z in np.meshgrid(range(readers), range(cases), range(arms), indexing="ij"))
    by_reader, by_arm, by_case, left = sd
    y = 3 - 0.1 * a + by_reader * rng.normal(size=readers)[r] + by_arm * rng.normal(size=(readers, arms))[r, a]
    y += by_case * rng.normal(size=cases)[c] + left * rng.normal(size=r.size)
    kept = rng.random(r.size) < keep
    groups = {"reader": r[kept], "case": c[kept], "reader by arm": (r * arms + a)[kept]}
    return y[kept], {"arm": a[kept].astype(float)}, groups


def full(y, fixed, random, variances, *, reml=True):
    """Minus twice the log likelihood with the whole n x n covariance matrix, and the generalised least squares."""
    n = len(y)
    x = np.column_stack((np.ones(n), *fixed.values()))
    v = variances[-1] * np.eye(n)
    for labels, variance in zip(random.values(), variances[:-1], strict=True):
        v += variance * (np.asarray(labels)[:, None] == np.asarray(labels))
    inverse = np.linalg.inv(v)
    information = x.T @ inverse @ x
    beta = np.linalg.solve(information, x.T @ inverse @ y)
    rest = y - x @ beta
    deviance = np.linalg.slogdet(v)[1] + rest @ inverse @ rest + (n - reml * x.shape[1]) * np.log(2 * np.pi)
    return deviance + reml * np.linalg.slogdet(information)[1], beta, np.linalg.inv(information)


def second_derivative(f, at):
    """Central differences, improved once by Richardson's rule."""

    def plain(step):
        k = len(at)
        out = np.empty((k, k))
        for i in range(k):
            for j in range(k):
                e, d = np.eye(k)[i] * step * at[i], np.eye(k)[j] * step * at[j]
                out[i, j] = (f(at + e + d) - f(at + e - d) - f(at - e + d) + f(at - e - d)) / (
                    4 * step**2 * at[i] * at[j]
                )
        return out

    return (4 * plain(5e-3) - plain(1e-2)) / 3


@pytest.mark.slow
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("keep", [1.0, 0.6])
def test_slow_twin_with_the_whole_covariance_matrix(reml, keep):
    y, fixed, random = crossed(5, 12, np.random.default_rng(3), keep=keep)
    model = mixed_model(y, fixed, random, reml=reml)
    found = np.array(list(model.components.values()))
    assert found.min() > 1e-3
    deviance, beta, covariance = full(y, fixed, random, found, reml=reml)
    assert model.log_likelihood == pytest.approx(-deviance / 2, rel=1e-12)
    np.testing.assert_allclose(model.coefficients, beta, rtol=1e-10)
    np.testing.assert_allclose(model.covariance, covariance, rtol=1e-9, atol=1e-14)
    best = minimize(
        lambda logs: full(y, fixed, random, np.exp(logs), reml=reml)[0],
        np.log(found) + 0.3,
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000, "maxfev": 4000},
    )
    np.testing.assert_allclose(np.exp(best.x), found, rtol=1e-5)
    assert deviance <= best.fun + 1e-9

    # Satterthwaite from the definition, all derivatives by differences
    curvature = second_derivative(lambda v: full(y, fixed, random, v, reml=reml)[0], found)
    step = 1e-4
    slope = []
    for k in range(len(found)):
        e = np.eye(len(found))[k] * step * found[k]
        up, down = (full(y, fixed, random, found + s * e, reml=reml)[2][1, 1] for s in (1, -1))
        slope.append((up - down) / (2 * step * found[k]))
    df = 2 * covariance[1, 1] ** 2 / (slope @ (2 * np.linalg.inv(curvature)) @ slope)
    assert model.contrast({"arm": 1.0}).df == pytest.approx(df, rel=1e-4)


def test_one_way_by_hand():
    # Three groups of two: means 2, 4, 9; within mean square (2 + 2 + 2) / 3 = 2, between 2 * (9 + 1 + 16) / 2 = 26.
    y, group = [1.0, 3, 3, 5, 8, 10], [0, 0, 1, 1, 2, 2]
    model = mixed_model(y, {}, {"group": group})
    assert model.components["residual"] == pytest.approx(2.0)
    assert model.components["group"] == pytest.approx((26 - 2) / 2)
    mean = model.effects()["intercept"]
    assert mean.value == pytest.approx(5.0)
    assert mean.se == pytest.approx(np.sqrt(26 / 6))  # the between mean square over the number of rows
    assert mean.df == pytest.approx(2.0)
    assert f_oneway(y[:2], y[2:4], y[4:]).statistic == pytest.approx(13)


def test_a_variance_of_zero_is_said_and_taken_as_known():
    # Group means are equal, so the between mean square is below the within one.
    y, group = [1.0, 3, 1, 3, 1, 3.5], [0, 0, 1, 1, 2, 2]
    model = mixed_model(y, {}, {"group": group})
    assert model.components["group"] == 0
    assert model.singular == ("group",)
    assert "group" in model.note
    mean = model.effects()["intercept"]
    assert (mean.se, mean.df) == pytest.approx((np.std(y, ddof=1) / np.sqrt(6), 5.0))


@pytest.mark.slow
@given(seed=st.integers(0, 10_000), shift=st.floats(-5, 5), scale=st.floats(0.01, 100))
@settings(max_examples=25, deadline=None)
def test_shift_scale_and_order_of_rows(seed, shift, scale):
    rng = np.random.default_rng(seed)
    y, fixed, random = crossed(4, 6, rng, keep=0.8)
    model, order = mixed_model(y, fixed, random), rng.permutation(y.size)
    other = mixed_model(
        (shift + scale * y)[order], {k: v[order] for k, v in fixed.items()}, {k: v[order] for k, v in random.items()}
    )
    one, two = model.contrast({"arm": 1.0}), other.contrast({"arm": 1.0})
    assert two.value == pytest.approx(scale * one.value, rel=1e-6, abs=1e-9 * scale)
    assert (two.se, two.df) == pytest.approx((scale * one.se, one.df), rel=1e-5)
    for name, variance in model.components.items():
        assert other.components[name] == pytest.approx(scale**2 * variance, rel=1e-4, abs=1e-6 * scale**2)
    # log density of a scaled outcome: one log of the scale for each of n - p contrasts
    gain = (y.size - 2) * np.log(scale)
    assert other.log_likelihood == pytest.approx(model.log_likelihood - gain, rel=1e-8, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("sd", [(0.5, 0, 0.7, 0.3), (0, 0, 0, 1), (30, 1, 5, 0.01), (1e-3, 1e-3, 2, 1), (0, 3, 0, 0.1)])
def test_the_maximum_is_one_wherever_the_variances_lie(sd):
    for seed in range(20):
        y, fixed, random = crossed(4, 9, np.random.default_rng(seed), keep=0.7, sd=sd)
        model = mixed_model(y, fixed, random)
        found = np.array(list(model.components.values()))
        least = full(y, fixed, random, found)[0]
        for k in range(4):
            for factor in (0.98, 1.02):
                near = found.copy()
                near[k] = near[k] * factor if near[k] > 0 else 1e-3 * found[-1] * (factor > 1)
                assert full(y, fixed, random, near)[0] >= least - 1e-7


def test_nested_models_compare_by_maximum_likelihood_only():
    y, fixed, random = crossed(4, 6, np.random.default_rng(1))
    reduced, model = (mixed_model(y, f, random, reml=False) for f in ({}, fixed))
    chi_square, df, p = likelihood_ratio(model, reduced)
    assert df == 1
    assert chi_square == pytest.approx(2 * (model.log_likelihood - reduced.log_likelihood))
    assert 0 < p < 1
    with pytest.raises(InputError, match="reml=False"):
        likelihood_ratio(mixed_model(y, fixed, random), reduced)
    with pytest.raises(InputError, match="not nested"):
        likelihood_ratio(reduced, model)


def test_what_cannot_be_fitted_is_said():
    y, reader = [1.0, 2, 2, 4, 3, 5], [1, 1, 2, 2, 3, 3]
    arm = [0, 1, 0, 1, 0, 1]
    with pytest.raises(InputError, match="again"):
        mixed_model(y, {"arm": arm, "again": arm}, {"reader": reader})
    with pytest.raises(InputError, match="cannot be told apart"):
        mixed_model(y, {"arm": arm}, {"reader": reader, "same": [c + 7 for c in reader]})
    for labels in (range(6), [1] * 6):
        with pytest.raises(InputError, match="levels"):
            mixed_model(y, {"arm": arm}, {"reader": list(labels)})
    with pytest.raises(InputError, match="grouping"):
        mixed_model(y, {"arm": arm}, {})
    with pytest.raises(InputError, match="1 NaN"):
        mixed_model([1, 2, np.nan, 4, 3, 5], {"arm": arm}, {"reader": reader})
    with pytest.raises(InputError, match="names among intercept, arm"):
        mixed_model(y, {"arm": arm}, {"reader": reader}).contrast({"amr": 1})
    with pytest.raises(InputError, match="more rows"):
        mixed_model([1.0, 2], {"arm": [0, 1]}, {"reader": [1, 1]})
    flat = mixed_model([1.0, 2, 1, 2, 1, 2], {"arm": arm}, {"reader": reader})
    assert np.isnan(flat.contrast({"arm": 1}).value)
    assert flat.note == codes.note("no_residual")
    exact = mixed_model([1.0, 2, 2, 3, 7, 8], {"arm": arm}, {"reader": reader})
    assert np.isnan(exact.log_likelihood)
    assert "no maximum" in exact.note


def test_twenty_thousand_rows_take_no_time():
    y, fixed, random = crossed(20, 500, np.random.default_rng(0))
    start = time.perf_counter()
    mixed_model(y, fixed, random).effects()
    assert time.perf_counter() - start < 5  # 0.1 s on an idle core
