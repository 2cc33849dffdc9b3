from __future__ import annotations

from itertools import combinations
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from overread import codes
from overread.stats.agreement import cohen_kappa, pairwise_kappa

nan = np.nan


def simulated(rng, n, accuracy=0.85, readers=4, patients=None):
    truth = rng.random(n if patients is None else patients) < 0.4
    patient = np.arange(n) if patients is None else rng.integers(0, patients, n)
    right = rng.random((n, readers)) < accuracy
    return np.where(right, truth[patient][:, None], ~truth[patient][:, None]).astype(float), patient


def test_by_hand():
    """a and b agree on 3 of 4, shares 1/2 and 1/4: (3/4 - 1/2)/(1/2) = 1/2; a and c are equal: 1; b and c: 1/2."""
    ratings = [[1, 1, 1], [1, 0, 1], [0, 0, 0], [0, 0, 0]]
    found = pairwise_kappa(ratings, least=2)
    assert found.pairs == ((0, 1), (0, 2), (1, 2))
    assert [e.value for e in found.kappas] == [0.5, 1.0, 0.5]
    assert found.mean.value == pytest.approx(2 / 3)
    assert found.n_common == (4, 4, 4)


def test_two_readers_have_the_interval_of_cohen_except_for_the_quantile():
    ratings, patient = simulated(np.random.default_rng(1), 80, readers=2, patients=30)
    mean = pairwise_kappa(ratings, cluster=patient).mean
    pair = cohen_kappa(ratings[:, 0], ratings[:, 1], cluster=patient, interval="t")
    assert (mean.value, mean.se) == pytest.approx((pair.value, pair.se), rel=1e-12)
    assert (mean.low, mean.high) == pytest.approx((pair.low, pair.high), rel=1e-12)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([None, "linear", "quadratic"]), st.booleans())
def test_mean_of_another_program_s_kappas_and_jackknife_error(seed, weights, missing):
    rng = np.random.default_rng(seed)
    ratings = rng.integers(0, 4, (40, 3)).astype(float)
    ratings[:, 1] = np.where(rng.random(40) < 0.6, ratings[:, 0], ratings[:, 1])
    if missing:
        ratings[rng.random(ratings.shape) < 0.1] = nan

    def mean(table):
        values = []
        for i, j in combinations(range(3), 2):
            both = ~np.isnan(table[:, [i, j]]).any(axis=1)
            values.append(cohen_kappa_score(table[both, i], table[both, j], weights=weights))
        return np.mean(values)

    found = pairwise_kappa(ratings, weights=weights).mean
    assert found.value == pytest.approx(mean(ratings), rel=1e-12)
    left_out = np.array([mean(np.delete(ratings, k, axis=0)) for k in range(40)])
    jackknife = np.sqrt(39 / 40 * ((left_out - left_out.mean()) ** 2).sum())
    assert found.se == pytest.approx(jackknife, rel=0.15)  # linearisation against leave-one-out, of order 1/n


def test_order_of_cases_names_of_patients_and_copies_of_readers():
    rng = np.random.default_rng(2)
    ratings, patient = simulated(rng, 60, patients=25)
    order = rng.permutation(60)
    plain, other = (
        pairwise_kappa(r, cluster=c).mean for r, c in ((ratings, patient), (ratings[order], patient[order]))
    )
    assert (other.value, other.se) == pytest.approx((plain.value, plain.se), rel=1e-12)
    assert pairwise_kappa(np.stack([ratings[:, 0]] * 3, axis=1)).mean.value == 1.0


def test_pairs_with_few_common_cases_or_one_category_are_left_out_of_the_mean_and_counted():
    ratings = np.full((40, 4), nan)
    ratings[:, 0] = np.arange(40) % 2
    ratings[:, 1] = np.arange(40) % 2
    ratings[:5, 2] = [1, 0, 0, 0, 1]
    ratings[:, 3] = 0
    found = pairwise_kappa(ratings)
    assert found.mean.value == pytest.approx((1 + 0 + 0) / 3)  # a reader with one category agrees as by chance: 0
    assert "3 of 6 pairs of readers excluded: fewer than 10 common cases, or one category only" in found.mean.note
    nothing = pairwise_kappa([[1, nan], [nan, 0]])
    assert nothing.pairs == ()
    assert isnan(nothing.mean.value)
    assert codes.note("no_usable_pair") in nothing.mean.note


def test_columns_without_a_read_keep_their_place():
    ratings = np.full((20, 3), nan)
    ratings[:, 0], ratings[:, 2] = np.arange(20) % 2, np.arange(20) % 3 == 0
    assert pairwise_kappa(ratings).pairs == ((0, 2),)


@pytest.mark.slow
def test_coverage_of_the_mean_with_clustered_cases():
    """95 % intervals over 800 samples of 120 cases of 60 patients; the true value from 400,000 cases."""
    rng = np.random.default_rng(3)
    big, _ = simulated(rng, 400_000)
    true = pairwise_kappa(big).mean.value
    held = 0
    for _ in range(800):
        ratings, patient = simulated(rng, 120, patients=60)
        mean = pairwise_kappa(ratings, cluster=patient).mean
        held += mean.low <= true <= mean.high
    assert held / 800 == pytest.approx(0.95, abs=0.025)
