"""Weights of cases in U-statistics of arms, and intervals of arms on the logit scale."""

from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from overread.errors import InputError
from overread.stats.estimate import Estimate
from overread.stats.reader_studies import mrmc, pair_kernels
from overread.stats.reader_studies.study_results import Asked, mean_estimate
from overread.stats.reader_studies.u_statistics import moments_of


def study(seed, missing=0.0, shape=(2, 3, 14)):
    rng = np.random.default_rng(seed)
    y = np.arange(shape[2]) % 2 == 0
    scores = np.round(rng.normal(size=shape) + rng.normal(size=shape[2]) + y, 1)
    scores[rng.random(shape) < missing] = np.nan
    return y, scores, np.round(rng.uniform(0.5, 4.0, shape[2]), 2), rng.integers(0, 8, shape[2])


def weighted_value(y, score, weights, metric):
    """The definition: a weighted mean over pairs, or over reads of the class."""
    if metric != "auc":
        mask = y if metric == "sensitivity" else ~y
        right = score if metric == "sensitivity" else 1 - score
        reads = [(weights[i], right[i]) for i in np.flatnonzero(mask & ~np.isnan(score))]
        return sum(w * x for w, x in reads), sum(w for w, _ in reads)
    top = bottom = 0.0
    for i in np.flatnonzero(y & ~np.isnan(score)):
        for j in np.flatnonzero(~y & ~np.isnan(score)):
            win = 1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0
            top, bottom = top + weights[i] * weights[j] * win, bottom + weights[i] * weights[j]
    return top, bottom


@pytest.mark.parametrize("metric", ["auc", "sensitivity", "specificity"])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_a_weighted_arm_is_the_weighted_mean_of_its_kernels(metric, missing):
    y, scores, weights, patient = study(3, missing)
    reads = scores if metric == "auc" else np.where(np.isnan(scores), np.nan, scores > 0.5)
    found = mrmc.compare_arms(y, reads, metric=metric, covariance="u-centred", weights=weights, cluster=patient)
    for arm in range(2):
        sums = np.array([weighted_value(y, reads[arm, j], weights, metric) for j in range(3)])
        assert found.arms[arm].value == pytest.approx(sums[:, 0].sum() / sums[:, 1].sum(), rel=1e-12)
        for j in range(3):
            assert found.per_reader[j].arms[arm].value == pytest.approx(sums[j, 0] / sums[j, 1], rel=1e-12)


def kernels(y, scores, weights, patient, metric):
    """Every kernel of every arm and reader: weight, value minus that of the arm, reader, patients."""
    result = []
    for arm in scores:
        sums = np.array([weighted_value(y, row, weights, metric) for row in arm])
        centre = sums[:, 0].sum() / sums[:, 1].sum()
        mine = []
        for r, row in enumerate(arm):
            read = ~np.isnan(row)
            if metric == "auc":
                for i in np.flatnonzero(y & read):
                    for j in np.flatnonzero(~y & read):
                        win = float(row[i] > row[j]) + 0.5 * float(row[i] == row[j])
                        mine.append((weights[i] * weights[j], win - centre, r, (i, j), {patient[i], patient[j]}))
            else:
                for i in np.flatnonzero(y & read):
                    mine.append((weights[i], row[i] - centre, r, (i,), {patient[i]}))
        result.append(mine)
    return result


@pytest.mark.parametrize("metric", ["auc", "sensitivity"])
@pytest.mark.parametrize("patients", [False, True])
def test_weighted_variance_is_the_sum_over_pairs_of_kernels(metric, patients):
    """Before the correction for centring: var = sum of squares of weighted sums minus the mean product of kernels
    that share neither reader nor case (nor patient), each product weighted by both kernels.
    """
    y, scores, weights, patient = study(5, 0.2, (2, 3, 10))
    reads = scores if metric == "auc" else np.where(np.isnan(scores), np.nan, scores > 0.5)
    unit = patient if patients else np.arange(y.size)
    every = kernels(y, reads, weights, unit, metric)
    cluster = np.unique(patient, return_inverse=True)[1] if patients else None
    moments = moments_of(y, reads, metric, cluster, centred=True, weights=weights)
    for a in range(2):
        for b in range(2):
            apart = total = 0.0
            for w, x, r, _, p in every[a]:
                for v, z, s, _, q in every[b]:
                    if r != s and not p & q:
                        apart, total = apart + w * v * x * z, total + w * v
            assert moments.moments[a, b, 0, 0, 0] == pytest.approx(apart / total, rel=1e-9, abs=1e-12)
    alike = sum(w * w * x * x for w, x, *_ in every[0])
    squares = sum(w * w for w, *_ in every[0])
    if not patients:
        used = moments.moments[0, 0, 1, 1, 1 if metric == "auc" else 0]
        assert used == pytest.approx(alike / squares, rel=1e-9)


def test_weights_that_are_equal_change_nothing():
    y, scores, _, patient = study(1, 0.1, (2, 5, 60))
    for metric in ("auc", "sensitivity", "specificity", "youden"):
        reads = scores if metric == "auc" else np.where(np.isnan(scores), np.nan, scores > 0.5)
        plain, even = (
            mrmc.compare_arms(y, reads, metric=metric, covariance="u-centred", cluster=patient, weights=w)
            for w in (None, np.full(y.size, 2.5))
        )
        assert even.difference.value == pytest.approx(plain.difference.value, rel=1e-12)
        assert even.difference.se == pytest.approx(plain.difference.se, rel=1e-9)


def test_equal_weights_change_no_reader_where_every_reader_reads_every_case():
    y, scores, _, _ = study(1, 0.0, (2, 5, 60))
    for metric in ("auc", "sensitivity", "youden"):
        reads = scores if metric == "auc" else np.where(np.isnan(scores), np.nan, scores > 0.5)
        plain, even = (
            mrmc.compare_arms(y, reads, metric=metric, covariance="u-centred", weights=w)
            for w in (None, np.full(y.size, 2.5))
        )
        for a, b in zip(even.per_reader, plain.per_reader, strict=True):
            assert a.pairs[0, 1].se == pytest.approx(b.pairs[0, 1].se, rel=1e-9)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 20), st.booleans())
def test_order_scale_and_swap_of_weighted_arms(seed, factor, patients):
    """The unit of the weights and the order of the cases do not matter; swapped arms change the sign."""
    y, scores, weights, patient = study(seed, 0.2)
    cluster = patient if patients else None
    order = np.random.default_rng(seed).permutation(y.size)
    ask = {"covariance": "u-centred"}
    one = mrmc.compare_arms(y, scores, weights=weights, cluster=cluster, **ask).difference
    shuffled = None if cluster is None else cluster[order]
    two = mrmc.compare_arms(y[order], scores[..., order], weights=factor * weights[order], cluster=shuffled, **ask)
    back = mrmc.compare_arms(y, scores[::-1], weights=weights, cluster=cluster, **ask).difference
    assert two.difference.value == pytest.approx(one.value, abs=1e-9)
    assert two.difference.se == pytest.approx(one.se, rel=1e-6, abs=1e-9, nan_ok=True)
    assert (back.value, back.se) == (pytest.approx(-one.value, abs=1e-9), pytest.approx(one.se, rel=1e-6, nan_ok=True))


@pytest.mark.parametrize("weighted", [False, True])
def test_ratings_counted_by_level_have_the_sums_of_their_pairs(monkeypatch, weighted):
    rng = np.random.default_rng(4)
    present, absent = (rng.integers(1, 6, (3, n)).astype(float) + shift for n, shift in ((30, 1), (40, 0)))
    for scores in (present, absent):
        scores[rng.random(scores.shape) < 0.3] = np.nan
    centre = np.array([0.0, 0.7, 0.4])
    weights = (rng.uniform(0.5, 3, 30), rng.uniform(0.5, 3, 40)) if weighted else None
    every_pair = pair_kernels.pair_sums(present, absent, centre, weights=weights)
    monkeypatch.setattr(pair_kernels, "BLOCK", 0)
    by_level = pair_kernels.pair_sums(present, absent, centre, weights=weights)
    for name in ("rows", "columns", "products"):
        assert getattr(by_level, name) == pytest.approx(getattr(every_pair, name), rel=1e-12, abs=1e-12)


def test_weights_need_centred_statistics():
    y, scores, weights, _ = study(0)
    with pytest.raises(InputError, match='covariance "u-centred" with weights'):
        mrmc.compare_arms(y, scores, weights=weights)


@pytest.mark.slow
def test_coverage_of_a_difference_in_a_sample_with_unequal_probabilities():
    """Cases of which arm 0 is sensitive are taken more often: without weights the interval misses (see validation)."""
    rng = np.random.default_rng(12)
    hits, trials = np.zeros(2), 200
    for _ in range(trials):
        y = np.arange(600) < 300
        shared = rng.normal(size=600) + 0.5 * rng.normal(size=(2, 1, 600))
        score = shared + 0.8 * rng.normal(size=(2, 6, 600)) + 0.2 * rng.normal(size=(2, 6, 1)) + 1.2 * y
        calls = (score > 0.8).astype(float)
        chance = 0.08 + 0.6 * ndtr(2 * (score[0] - score[1]).mean(axis=0))
        taken = rng.random(600) < chance
        for k, w in enumerate((1 / chance[taken], None)):
            got = mrmc.compare_arms(
                y[taken], calls[..., taken], metric="sensitivity", covariance="u-centred", weights=w
            ).difference
            hits[k] += got.low <= 0 <= got.high
    assert hits[0] / trials > 0.90
    assert hits[1] / trials < 0.7


def test_logit_interval_by_hand():
    """v = 0.95, se = 0.03, normal: logit 2.944439 with se 0.03 / 0.0475 = 0.631579; limits 1.706567 and 4.182311."""
    asked = Asked("auc", "jackknife", "random", "random", None, "difference", 0.95, "logit")
    found = mean_estimate(Estimate(0.95, se=0.03), float("inf"), asked)
    half = 1.959963984540054 * 0.03 / 0.0475
    assert found.low == pytest.approx(1 / (1 + exp(-(log(19) - half))), abs=1e-12)
    assert found.high == pytest.approx(1 / (1 + exp(-(log(19) + half))), abs=1e-12)
    wald = mean_estimate(Estimate(0.95, se=0.03), float("inf"), Asked(*(*asked_fields(asked)[:-1], "wald")))
    assert wald.high > 1 > found.high
    assert sqrt(0.0009) == pytest.approx(found.se)


def asked_fields(asked):
    return [getattr(asked, name) for name in Asked.__slots__]


@given(st.floats(0.01, 0.99), st.floats(1e-4, 0.5), st.sampled_from(["auc", "youden", "sensitivity"]))
def test_logit_limits_stay_in_the_range_of_the_metric(share, se, metric):
    asked = Asked(metric, "jackknife", "random", "random", None, "difference", 0.95, "logit")
    value = 2 * share - 1 if metric == "youden" else share
    found = mean_estimate(Estimate(value, se=se), 4.0, asked)
    least = -1 if metric == "youden" else 0
    assert least <= found.low <= value <= found.high <= 1


def test_an_arm_without_errors_has_no_interval_on_the_logit_scale():
    y = [1, 1, 1, 0, 0, 0]
    scores = [[[5, 4, 3, 1, 2, 1], [4, 5, 3, 1, 1, 2]], [[4, 2, 3, 2, 1, 3], [3, 4, 2, 2, 1, 4]]]
    found = mrmc.compare_arms(y, scores, interval="logit")
    assert np.isnan(found.arms[0].low)
    assert [c.name for c in found.arms[0].note.codes][-1] == "zero_variance_no_ci"
    wald = mrmc.compare_arms(y, scores)
    assert found.difference == wald.difference
    assert found.arms[1].value == wald.arms[1].value
