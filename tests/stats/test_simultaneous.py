from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm, studentized_range

from overread import codes
from overread.errors import InputError
from overread.stats import roc
from overread.stats.roc.influence_values import influence, influence_covariance
from overread.stats.simultaneous import largest_gap, max_t_quantile


def test_by_hand_on_two_groups():
    """d = 0.06, s = sqrt(0.02^2 + 0.03^2 - 2 * 0.0001) = sqrt(0.0011); c = 1.96: the Wald interval, cut at 0."""
    found = largest_gap([0.90, 0.84], [[0.0004, 0.0001], [0.0001, 0.0009]])
    s = np.sqrt(0.0011)
    assert found.critical == pytest.approx(norm.ppf(0.975))
    assert found.gap.value == pytest.approx(0.06)
    assert (found.gap.low, found.gap.high) == (0.0, pytest.approx(0.06 + norm.ppf(0.975) * s))
    assert found.chi_square == pytest.approx(0.06**2 / 0.0011)
    assert found.gap.p == pytest.approx(2 * norm.sf(0.06 / s))
    assert (found.best, found.worst, found.df) == (0, 1, 1)
    assert np.isnan(found.gap.se)


def test_by_hand_on_three_groups():
    """Variances 1, 1, 4: the widest pair need not be the one with the largest difference."""
    c = max_t_quantile(np.diag([1.0, 1.0, 4.0]))
    found = largest_gap([10.0, 4.0, 5.0], np.diag([1.0, 1.0, 4.0]))
    # pairs: 6 +- c sqrt 2, 5 +- c sqrt 5, 1 +- c sqrt 5
    assert found.gap.value == 6.0
    assert found.gap.low == pytest.approx(6 - c * np.sqrt(2))
    assert found.gap.high == pytest.approx(5 + c * np.sqrt(5))
    # weighted mean (10 + 4 + 5/4) / 2.25 = 6.7778; sum of (value - mean)^2 / variance
    mean = 15.25 / 2.25
    assert found.chi_square == pytest.approx((10 - mean) ** 2 + (4 - mean) ** 2 + (5 - mean) ** 2 / 4)
    assert found.gap.p == pytest.approx(chi2.sf(found.chi_square, 2))


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("groups", range(2, 13))
def test_quantile_of_equal_independent_groups_is_the_studentised_range(groups, confidence):
    """Tukey: the range of k standard normals over sqrt 2; SciPy's studentized_range with infinite df is the oracle."""
    oracle = studentized_range.ppf(confidence, groups, np.inf) / np.sqrt(2)
    tolerance = 1e-5 if groups <= 3 else 0.006
    assert max_t_quantile(np.eye(groups), confidence=confidence) == pytest.approx(oracle, abs=tolerance)


def slow_quantile(covariance, confidence, rng, draws=300_000):
    values = rng.multivariate_normal(np.zeros(len(covariance)), covariance, size=draws)
    largest = np.zeros(draws)
    for i, j in combinations(range(len(covariance)), 2):
        se = np.sqrt(covariance[i, i] + covariance[j, j] - 2 * covariance[i, j])
        largest = np.maximum(largest, np.abs(values[:, i] - values[:, j]) / se)
    return np.quantile(largest, confidence)


@pytest.mark.parametrize("groups", [3, 4, 6])
def test_slow_twin_of_correlated_groups_of_unequal_variance(groups):
    rng = np.random.default_rng(groups)
    factor = rng.normal(size=(groups, groups + 1)) * rng.uniform(0.2, 3, size=(groups, 1)) + 1
    covariance = factor @ factor.T
    simulated = slow_quantile(covariance, 0.95, rng)
    assert max_t_quantile(covariance) == pytest.approx(simulated, abs=0.012)  # three standard errors of the twin


def test_slow_twin_of_the_interval():
    values, covariance = np.array([0.8, 0.9, 0.85, 0.7]), np.diag([0.01, 0.03, 0.02, 0.02]) ** 2 + 2e-5
    found = largest_gap(values, covariance)
    c, lows, highs = found.critical, [0.0], []
    for i, j in combinations(range(4), 2):
        se = np.sqrt(covariance[i, i] + covariance[j, j] - 2 * covariance[i, j])
        lows.append(abs(values[i] - values[j]) - c * se)
        highs.append(abs(values[i] - values[j]) + c * se)
    assert (found.gap.low, found.gap.high) == pytest.approx((max(lows), max(highs)))
    assert (found.best, found.worst) == (1, 3)


made = st.lists(st.tuples(st.floats(-3, 3), st.floats(0.1, 2)), min_size=2, max_size=5)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(made, st.floats(-5, 5), st.floats(0.5, 4), st.randoms())
def test_order_shift_scale_and_sign(groups, shift, scale, random):
    value, error = np.array([g[0] for g in groups]), np.array([g[1] for g in groups])
    found = largest_gap(value, np.diag(error**2)).gap
    order = list(range(len(groups)))
    random.shuffle(order)
    again = largest_gap(value[order], np.diag(error[order] ** 2)).gap
    assert (again.value, again.low, again.high, again.p) == pytest.approx(
        (found.value, found.low, found.high, found.p), rel=1e-6, abs=1e-6
    )
    moved = largest_gap(-scale * value + shift, np.diag((scale * error) ** 2)).gap
    assert (moved.value, moved.low, moved.high) == pytest.approx(
        (scale * found.value, scale * found.low, scale * found.high), rel=1e-6, abs=1e-6
    )
    assert moved.p == pytest.approx(found.p, rel=1e-6, abs=1e-9)
    assert 0 <= found.low <= found.value <= found.high


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(4, 7), st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.booleans())
def test_the_quantile_does_not_depend_on_order_scale_or_what_is_shared(groups, seed, scale, equal):
    rng = np.random.default_rng(seed)
    factor = rng.integers(-2, 3, size=(groups, groups)) if equal else rng.normal(size=(groups, groups))
    covariance = factor @ factor.T + np.eye(groups)  # whole numbers: many equal variances and covariances
    order = rng.permutation(groups)
    again = scale * covariance[np.ix_(order, order)] + 0.7 * scale
    assert max_t_quantile(again) == pytest.approx(max_t_quantile(covariance), rel=1e-6)


def test_what_all_groups_share_does_not_count():
    apart = largest_gap([0.8, 0.9, 0.7], np.diag([0.01, 0.02, 0.03]) ** 2)
    shared = largest_gap([0.8, 0.9, 0.7], np.diag([0.01, 0.02, 0.03]) ** 2 + 0.5)
    assert (shared.gap.low, shared.gap.high) == pytest.approx((apart.gap.low, apart.gap.high), rel=1e-6)
    assert shared.chi_square == pytest.approx(apart.chi_square)


def test_a_copy_of_a_group_changes_nothing():
    two = largest_gap([0.9, 0.8], np.diag([1e-4, 1e-4]))
    joint = np.array([[1e-4, 0, 1e-4], [0, 1e-4, 0], [1e-4, 0, 1e-4]])
    three = largest_gap([0.9, 0.8, 0.9], joint)
    assert three.critical == pytest.approx(two.critical)
    assert (three.gap.low, three.gap.high, three.gap.p) == pytest.approx((two.gap.low, two.gap.high, two.gap.p))
    assert (three.df, three.gap.note) == (1, codes.note("some_zero_variance"))


def test_no_spread_has_no_interval():
    found = largest_gap([1.0, 0.9], np.zeros((2, 2)))
    assert found.gap.value == pytest.approx(0.1)
    assert np.isnan([found.gap.low, found.gap.high, found.gap.p, found.critical]).all()
    assert found.gap.note == codes.note("zero_variance_no_ci")


def test_a_difference_without_spread_forbids_the_test():
    joint = np.array([[1e-4, 0, 1e-4], [0, 1e-4, 0], [1e-4, 0, 1e-4]])
    found = largest_gap([0.9, 0.8, 0.95], joint)
    assert np.isnan(found.gap.p)
    assert np.isfinite(found.gap.low)
    assert found.gap.note == codes.note("some_zero_variance")


@pytest.mark.parametrize(
    ("values", "covariance", "words"),
    [
        ([0.9], [[1.0]], "expected two groups or more; found 1"),
        ([0.9, np.nan], np.eye(2), "1 NaN or infinite of 2"),
        ([0.9, 0.8], np.eye(3), r"shape \(3, 3\)"),
        ([0.9, 0.8], -np.eye(2), "variances of 0 or more"),
    ],
)
def test_refused(values, covariance, words):
    with pytest.raises(InputError, match=words):
        largest_gap(values, covariance)


def study(rng, separations, present, absent):
    """AUCs of groups of different patients, with their covariance."""
    found = []
    for separation in separations:
        y = np.arange(present + absent) < present
        found.append((y, rng.normal(size=y.size) + separation * y))
    made = [influence(y, score) for y, score in found]
    variance = [float(influence_covariance(i)[0, 0]) for _, i in made]
    return np.array([v for v, _ in made]), np.diag(variance), found


@pytest.mark.slow
@pytest.mark.parametrize("separations", [(1.2,) * 3, (1.2, 0.9, 1.6)])
def test_coverage(separations):
    """2,000 studies, 50 present and 50 absent in each of three groups: at least 0.94; equality is refuted in 5 %."""
    rng = np.random.default_rng(12)
    true = norm.cdf(np.array(separations) / np.sqrt(2))
    hits = refuted = 0
    for _ in range(2000):
        values, covariance, _ = study(rng, separations, 50, 50)
        gap = largest_gap(values, covariance).gap
        hits += gap.low <= true.max() - true.min() <= gap.high
        refuted += gap.p < 0.05
    assert hits / 2000 >= 0.94
    if len(set(separations)) == 1:
        assert refuted / 2000 == pytest.approx(0.05, abs=0.025)


@pytest.mark.slow
def test_the_naive_bootstrap_covers_no_equality():
    rng = np.random.default_rng(3)
    hits = naive = 0
    for _ in range(40):
        values, covariance, cases = study(rng, (1.2,) * 4, 50, 50)
        gap = largest_gap(values, covariance).gap
        hits += gap.low <= 0 <= gap.high
        drawn = []
        for _ in range(200):
            resampled = []
            for y, score in cases:
                i = rng.integers(0, y.size, y.size)
                resampled.append(roc.auc(y[i], score[i]).value)
            drawn.append(max(resampled) - min(resampled))
        naive += np.quantile(drawn, 0.025) <= 0
    assert (hits >= 36, naive) == (True, 0)


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        ([[0.1, 0.2], [0.0, 0.1]], "a symmetric matrix"),
        ([[0.01, 0.02], [0.02, 0.01]], "no negative eigenvalue"),
    ],
)
def test_what_is_no_covariance_is_refused(covariance, message):
    with pytest.raises(InputError, match=message):
        largest_gap([0.8, 0.7], covariance)
